//! Distinguishes wake-ups of a task for rare events from wake-ups for frames.
//!
//! A viewer's task is woken for a frame thousands of times for each time that it is woken for
//! anything else. A future polled with a wake flag's waker need not be polled again before the
//! flag has fired: it was pending, and it keeps that waker.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Wake, Waker};

#[derive(Default)]
struct Inner {
    fired: AtomicBool,
    /// The task to wake. Waking does not remove it: a late wake-up must not consume a waker that
    /// was registered after it.
    task: Mutex<Option<Waker>>,
}

impl Inner {
    fn mark(&self) {
        self.fired.store(true, Ordering::Release);
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

/// A waker for one task that records that it was used.
pub struct WakeFlag {
    inner: Arc<Inner>,
    waker: Waker,
    /// The task that it wakes.
    task: Option<Waker>,
    /// Whether it has fired since everything was pending.
    due: bool,
}

impl Default for WakeFlag {
    /// A flag that has fired, because nothing was polled with it yet.
    fn default() -> Self {
        let inner = Arc::<Inner>::default();
        Self {
            waker: Waker::from(inner.clone()),
            task: None,
            due: true,
            inner,
        }
    }
}

impl WakeFlag {
    /// Checks whether the flag has fired. Called once at the start of each poll of the task. If it
    /// has not fired, it wakes this task when it does.
    pub fn observe(&mut self, cx: &mut Context<'_>) {
        let current = |task: &Waker| task.will_wake(cx.waker());
        if !self.task.as_ref().is_some_and(current) {
            // Registered before the flag is read, so that a wake-up in between is not lost.
            let task = cx.waker().clone();
            let mut registered = self
                .inner
                .task
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            *registered = Some(task.clone());
            drop(registered);
            self.task = Some(task);
        }
        // A load first: it is cheaper than a swap, and the flag is nearly always clear.
        if self.inner.fired.load(Ordering::Acquire) {
            self.due |= self.inner.fired.swap(false, Ordering::AcqRel);
        }
    }

    /// Returns the waker to poll with if rare events must be polled.
    pub fn fired(&self) -> Option<Waker> {
        self.due.then(|| self.waker.clone())
    }

    /// Records that everything was pending: nothing is polled before the flag fires again.
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
    fn a_wake_flag_wakes_the_last_task_and_fires_once() {
        let tasks = [Arc::<Woken>::default(), Arc::default()];
        let wakers = tasks.clone().map(Waker::from);
        let [first, second] = &wakers;
        let mut wake_flag = WakeFlag::default();
        assert!(is_due(&mut wake_flag, first), "at first");
        assert!(!is_due(&mut wake_flag, second));
        let waker = wake_flag.waker.clone();
        waker.wake_by_ref();
        let woken = tasks.each_ref().map(|task| task.0.load(SeqCst));
        assert_eq!(woken, [0, 1]);
        for round in 2..4 {
            assert!(is_due(&mut wake_flag, second));
            assert!(!is_due(&mut wake_flag, second));
            waker.wake_by_ref();
            assert_eq!(tasks[1].0.load(SeqCst), round);
        }
    }

    /// Firing marks the flag and then wakes the task. The task may run in between, on another
    /// thread.
    #[test]
    fn no_wake_up_is_lost_under_any_interleaving() {
        const WAKE_UPS: usize = 3;
        let orders = every_order(|schedule| {
            let task = Arc::<Woken>::default();
            let waker = Waker::from(task.clone());
            let mut wake_flag = WakeFlag::default();
            assert!(is_due(&mut wake_flag, &waker), "at first");
            let inner = wake_flag.inner.clone();
            // Each wake-up comes from a different thread: 0 not begun, 1 marked, 2 done.
            let mut steps = [0; WAKE_UPS];
            let (mut marked, mut observed, mut turns, mut strays) = (0, 0, 0, 2);
            loop {
                let woken = task.0.load(SeqCst) > turns;
                let mut able: Vec<_> = (0..WAKE_UPS).filter(|&at| steps[at] < 2).collect();
                // A frame sometimes wakes the task without the flag.
                if woken || (strays > 0 && !able.is_empty()) {
                    able.push(WAKE_UPS);
                }
                if able.is_empty() {
                    break;
                }
                let actor = able[schedule.pick(able.len())];
                if actor == WAKE_UPS {
                    match woken {
                        true => turns = task.0.load(SeqCst),
                        false => strays -= 1,
                    }
                    if is_due(&mut wake_flag, &waker) {
                        observed = marked;
                    }
                    continue;
                }
                steps[actor] += 1;
                match steps[actor] {
                    1 => {
                        inner.mark();
                        marked += 1;
                    }
                    _ => inner.wake_task(),
                }
            }
            assert_eq!(observed, WAKE_UPS, "a sleeping task missed a wake-up");
        });
        assert!(orders > 1000, "{orders}");
    }
}
