//! What wakes a task for something rare, told from what wakes it for each frame.
//!
//! A viewer's task is woken for a frame thousands of times for each time that it is
//! woken for anything else. What is polled with a bell's waker need not be polled again
//! before the bell has rung: it was pending, and its waker stays with it.

use futures_util::task::AtomicWaker;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Wake, Waker};

struct Inner {
    rang: AtomicBool,
    task: AtomicWaker,
}

impl Wake for Inner {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rang.store(true, Ordering::Release);
        self.task.wake();
    }
}

/// A waker of one task that is remembered to have been used.
pub struct Bell {
    inner: Arc<Inner>,
    waker: Waker,
}

impl Default for Bell {
    /// One that has rung: nothing was polled with it yet.
    fn default() -> Self {
        let inner = Arc::new(Inner {
            rang: AtomicBool::new(true),
            task: AtomicWaker::new(),
        });
        Self {
            waker: Waker::from(inner.clone()),
            inner,
        }
    }
}

impl Bell {
    /// Whether it has rung since it was last asked; if not, it will wake whoever asks.
    pub fn rang(&self, cx: &mut Context<'_>) -> bool {
        // In this order: what rings in between is heard now and wakes once too often.
        self.inner.task.register(cx.waker());
        self.inner.rang.swap(false, Ordering::AcqRel)
    }

    /// What to poll with.
    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn it_wakes_who_asked_last_and_is_heard_once() {
        let tasks = [Arc::<Woken>::default(), Arc::default()];
        let wakers = tasks.clone().map(Waker::from);
        let [first, second] = &wakers;
        let bell = Bell::default();
        assert!(bell.rang(&mut Context::from_waker(first)), "at first");
        assert!(!bell.rang(&mut Context::from_waker(second)));
        bell.waker().wake_by_ref();
        bell.waker().wake();
        let woken = tasks.each_ref().map(|task| task.0.load(Ordering::SeqCst));
        assert_eq!(woken, [0, 1]);
        assert!(bell.rang(&mut Context::from_waker(second)));
        assert!(!bell.rang(&mut Context::from_waker(second)));
    }
}
