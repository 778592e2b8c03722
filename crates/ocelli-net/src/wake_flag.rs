//! What wakes a task for something rare, told from what wakes it for each frame.
//!
//! A viewer's task is woken for a frame thousands of times for each time that it is
//! woken for anything else. What is polled with a bell's waker need not be polled again
//! before the bell has rung: it was pending, and its waker stays with it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Wake, Waker};

#[derive(Default)]
struct Inner {
    rang: AtomicBool,
    /// The task to wake. It stays when it is woken: a ring that comes late must not use up
    /// what was registered after it.
    task: Mutex<Option<Waker>>,
}

impl Inner {
    fn mark(&self) {
        self.rang.store(true, Ordering::Release);
    }

    fn wake_task(&self) {
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(task) = &*task {
            task.wake_by_ref();
        }
    }
}

impl Wake for Inner {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.mark();
        self.wake_task();
    }
}

/// A waker of one task that is remembered to have been used.
pub struct WakeFlag {
    inner: Arc<Inner>,
    waker: Waker,
    /// The task that it wakes.
    asker: Option<Waker>,
    /// Whether it has rung since all was pending.
    due: bool,
}

impl Default for WakeFlag {
    /// One that has rung: nothing was polled with it yet.
    fn default() -> Self {
        let inner = Arc::<Inner>::default();
        Self {
            waker: Waker::from(inner.clone()),
            asker: None,
            due: true,
            inner,
        }
    }
}

impl WakeFlag {
    /// Hears whether it has rung, once at the beginning of a task's turn. If not, it wakes
    /// this task when it does.
    pub fn observe(&mut self, cx: &mut Context<'_>) {
        let known = |asker: &Waker| asker.will_wake(cx.waker());
        if !self.asker.as_ref().is_some_and(known) {
            // Registered before the mark is looked at, so that a ring in between is not lost.
            let task = cx.waker().clone();
            let mut registered = self
                .inner
                .task
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            *registered = Some(task.clone());
            drop(registered);
            self.asker = Some(task);
        }
        // Looked at first, for that is cheaper and nearly always the end of it.
        if self.inner.rang.load(Ordering::Acquire) {
            self.due |= self.inner.rang.swap(false, Ordering::AcqRel);
        }
    }

    /// What to poll with, if there is reason to poll at all.
    pub fn fired(&self) -> Option<Waker> {
        self.due.then(|| self.waker.clone())
    }

    /// Notes that all was pending: nothing is due before it rings again.
    pub fn clear(&mut self) {
        self.due = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ocelli_testkit::schedule::every_order;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, SeqCst);
        }
    }

    fn is_due(wake_flag: &mut WakeFlag, task: &Waker) -> bool {
        wake_flag.observe(&mut Context::from_waker(task));
        let due = wake_flag.fired().is_some();
        wake_flag.clear();
        due
    }

    #[test]
    fn it_wakes_who_asked_last_and_is_heard_once() {
        let tasks = [Arc::<Woken>::default(), Arc::default()];
        let wakers = tasks.clone().map(Waker::from);
        let [first, second] = &wakers;
        let mut wake_flag = WakeFlag::default();
        assert!(is_due(&mut wake_flag, first), "at first");
        assert!(!is_due(&mut wake_flag, second));
        let ring = wake_flag.waker.clone();
        ring.wake_by_ref();
        let woken = tasks.each_ref().map(|task| task.0.load(SeqCst));
        assert_eq!(woken, [0, 1]);
        for round in 2..4 {
            assert!(is_due(&mut wake_flag, second));
            assert!(!is_due(&mut wake_flag, second));
            ring.wake_by_ref();
            assert_eq!(tasks[1].0.load(SeqCst), round);
        }
    }

    /// A ring marks and then wakes, and a task may run in between, on another thread.
    #[test]
    fn every_ring_is_heard_under_any_interleaving() {
        const RINGS: usize = 3;
        let orders = every_order(|schedule| {
            let task = Arc::<Woken>::default();
            let waker = Waker::from(task.clone());
            let mut wake_flag = WakeFlag::default();
            assert!(is_due(&mut wake_flag, &waker), "at first");
            let inner = wake_flag.inner.clone();
            // Each ring comes from a thread of its own: 0 not begun, 1 marked, 2 done.
            let mut rings = [0; RINGS];
            let (mut marked, mut heard, mut turns, mut strays) = (0, 0, 0, 2);
            loop {
                let woken = task.0.load(SeqCst) > turns;
                let mut able: Vec<_> = (0..RINGS).filter(|&ring| rings[ring] < 2).collect();
                // A frame wakes the task now and then without a ring.
                if woken || (strays > 0 && !able.is_empty()) {
                    able.push(RINGS);
                }
                if able.is_empty() {
                    break;
                }
                let actor = able[schedule.pick(able.len())];
                if actor == RINGS {
                    match woken {
                        true => turns = task.0.load(SeqCst),
                        false => strays -= 1,
                    }
                    if is_due(&mut wake_flag, &waker) {
                        heard = marked;
                    }
                    continue;
                }
                rings[actor] += 1;
                match rings[actor] {
                    1 => {
                        inner.mark();
                        marked += 1;
                    }
                    _ => inner.wake_task(),
                }
            }
            assert_eq!(heard, RINGS, "a ring was not heard by a task that sleeps");
        });
        assert!(orders > 1000, "{orders}");
    }
}
