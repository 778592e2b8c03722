//! A thread that does something again and again beside a test, and what it has seen.

use crate::Result;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// A running one; ended when dropped.
pub(crate) struct Background<S> {
    shared: Arc<Shared<S>>,
    thread: Option<JoinHandle<()>>,
}

/// What the thread shares with its owner.
#[derive(Default)]
pub(crate) struct Shared<S> {
    state: Mutex<S>,
    ending: AtomicBool,
}

impl<S: Default + Send + 'static> Background<S> {
    /// Does `once` repeatedly. When it fails, `failed` is told and a pause follows.
    pub fn start(
        once: impl Fn(&Shared<S>) -> Result<()> + Send + 'static,
        failed: fn(&mut S),
        pause: Duration,
    ) -> Self {
        let shared = Arc::<Shared<S>>::default();
        let own = shared.clone();
        let thread = thread::spawn(move || {
            while own.goes_on() {
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
    /// What it has seen.
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
    /// False once the owner is being dropped.
    pub fn goes_on(&self) -> bool {
        !self.ending.load(Ordering::Relaxed)
    }

    /// What has been seen.
    pub fn lock(&self) -> MutexGuard<'_, S> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
