//! A stream that is derived from the one a camera sends: its slot, and why it fails
//! while it does.
//!
//! What does not belong here: what makes it, which is a [`crate::Rendition`], and when
//! to run that, which [`crate::upstream`] decides.

use crate::clock::Clock;
use crate::slot::Slot;
use crate::state::LastFailure;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One derived stream.
pub(crate) struct Derivation {
    /// Its newest group.
    pub slot: Arc<Slot>,
    /// Whether it is being made now.
    pub running: Arc<AtomicBool>,
    clock: Arc<dyn Clock>,
    trouble: Mutex<Trouble>,
}

#[derive(Default)]
struct Trouble {
    /// Whether it fails now, while somebody wants it.
    failing: bool,
    /// What went wrong last; none once it works.
    last: Option<LastFailure>,
}

impl Derivation {
    /// Of camera `id`; nothing is made yet.
    pub fn new(id: &str, clock: Arc<dyn Clock>) -> Self {
        Self {
            slot: Arc::new(Slot::new(id, clock.clone())),
            running: Arc::default(),
            clock,
            trouble: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Trouble> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is being made now.
    pub fn is_running(&self) -> bool {
        self.running.load(Relaxed)
    }

    /// Why there is none, while somebody wants it and something is wrong.
    pub fn failure(&self) -> Option<String> {
        let trouble = self.lock();
        let last = trouble.last.as_ref().filter(|_| trouble.failing);
        last.map(|last| last.reason.clone())
    }

    /// What went wrong last, until it works again.
    pub fn last_failure(&self) -> Option<LastFailure> {
        self.lock().last.clone()
    }

    /// It fails; whether that is news.
    pub fn fail(&self, reason: String) -> bool {
        let mut trouble = self.lock();
        let at = self.clock.now();
        let last = trouble.last.replace(LastFailure {
            reason: reason.clone(),
            at,
        });
        let known = last.is_some_and(|last| last.reason == reason);
        !std::mem::replace(&mut trouble.failing, true) || !known
    }

    /// It works; whether that is news.
    pub fn works(&self) -> bool {
        let mut trouble = self.lock();
        trouble.failing = false;
        trouble.last.take().is_some()
    }

    /// Nobody waits for it now; whether that is news. What went wrong is remembered.
    pub fn rest(&self) -> bool {
        std::mem::take(&mut self.lock().failing)
    }

    /// Forgets its picture.
    pub fn clear(&self) {
        self.rest();
        self.slot.clear();
    }
}
