//! A background thread that repeats an action during a test, and the state it collects.

use crate::Result;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// A running background thread; dropping it stops and joins the thread.
pub(crate) struct Background<S> {
    shared: Arc<Shared<S>>,
    thread: Option<JoinHandle<()>>,
}

/// State shared between the thread and its owner.
#[derive(Default)]
pub(crate) struct Shared<S> {
    state: Mutex<S>,
    ending: AtomicBool,
}

impl<S: Default + Send + 'static> Background<S> {
    /// Calls `once` repeatedly. After a failure it calls `failed` and pauses.
    pub fn start(
        once: impl Fn(&Shared<S>) -> Result<()> + Send + 'static,
        failed: fn(&mut S),
        pause: Duration,
    ) -> Self {
        let shared = Arc::<Shared<S>>::default();
        let own = shared.clone();
        let thread = thread::spawn(move || {
            while own.is_running() {
                if once(&own).is_err() {
                    failed(&mut own.lock());
                    thread::sleep(pause);
                }
            }
        });
        Self {
            shared,
            thread: Some(thread),
        }
    }
}

impl<S> Background<S> {
    /// Locks the collected state.
    pub fn lock(&self) -> MutexGuard<'_, S> {
        self.shared.lock()
    }
}

impl<S> Drop for Background<S> {
    fn drop(&mut self) {
        self.shared.ending.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl<S> Shared<S> {
    /// Returns false once the owner is being dropped.
    pub fn is_running(&self) -> bool {
        !self.ending.load(Ordering::Relaxed)
    }

    /// Locks the collected state.
    pub fn lock(&self) -> MutexGuard<'_, S> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
