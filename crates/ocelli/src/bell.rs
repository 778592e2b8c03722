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
    /// The task that it will wake, since it was last asked in vain.
    asker: Option<Waker>,
    /// Whether it has rung since all was pending.
    due: bool,
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
            asker: None,
            due: false,
            inner,
        }
    }
}

impl Bell {
    /// Hears whether it has rung, once at the beginning of a task's turn.
    pub fn hear(&mut self, cx: &mut Context<'_>) {
        self.due |= self.rang(cx);
    }

    /// What to poll with, if there is reason to poll at all.
    pub fn due(&self) -> Option<Waker> {
        self.due.then(|| self.waker())
    }

    /// Notes that all was pending: nothing is due before it rings again.
    pub fn settle(&mut self) {
        self.due = false;
    }

    /// Whether it has rung since it was last asked; if not, it will wake whoever asks.
    fn rang(&mut self, cx: &mut Context<'_>) -> bool {
        let known = |asker: &Waker| asker.will_wake(cx.waker());
        if self.asker.as_ref().is_some_and(known) && !self.inner.rang.load(Ordering::Acquire) {
            // It has not rung, so it still has this task to wake.
            return false;
        }
        // In this order: what rings in between is heard now and wakes once too often.
        self.inner.task.register(cx.waker());
        let rang = self.inner.rang.swap(false, Ordering::AcqRel);
        // Who was woken for a ring is forgotten by it.
        self.asker = (!rang).then(|| cx.waker().clone());
        rang
    }

    fn waker(&self) -> Waker {
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
        let mut bell = Bell::default();
        assert!(bell.rang(&mut Context::from_waker(first)), "at first");
        assert!(!bell.rang(&mut Context::from_waker(second)));
        bell.waker().wake_by_ref();
        bell.waker().wake();
        let woken = tasks.each_ref().map(|task| task.0.load(Ordering::SeqCst));
        assert_eq!(woken, [0, 1]);
        assert!(bell.rang(&mut Context::from_waker(second)));
        for _ in 0..2 {
            assert!(!bell.rang(&mut Context::from_waker(second)));
            assert!(!bell.rang(&mut Context::from_waker(second)));
            bell.waker().wake();
            assert!(bell.rang(&mut Context::from_waker(second)));
        }
        let woken = tasks.each_ref().map(|task| task.0.load(Ordering::SeqCst));
        assert_eq!(woken, [0, 3]);
    }
}
