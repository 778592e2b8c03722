//! A stream that is derived from the one a camera sends: its slot, what makes it,
//! and why it fails while it does.
//!
//! What does not belong here: when to run it. That is [`crate::upstream`], under
//! whose rules it is started, retried and stopped.

use crate::clock::Clock;
use crate::slot::Slot;
use crate::source::Rendition;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

/// One derived stream.
pub(crate) struct Derivation {
    /// Its newest group.
    pub slot: Arc<Slot>,
    /// What makes it, if this hub has anything that does.
    pub rendition: Option<Arc<dyn Rendition>>,
    /// Whether it is being made now.
    pub running: Arc<AtomicBool>,
    failure: Mutex<Option<String>>,
}

impl Derivation {
    /// Of camera `id`; nothing is made yet.
    pub fn new(id: &str, clock: Arc<dyn Clock>, rendition: Option<Arc<dyn Rendition>>) -> Self {
        Self {
            slot: Arc::new(Slot::new(id, clock)),
            rendition,
            running: Arc::default(),
            failure: Mutex::default(),
        }
    }

    /// Whether it is being made now.
    pub fn is_running(&self) -> bool {
        self.running.load(Relaxed)
    }

    /// Why there is none, while something is wrong.
    pub fn failure(&self) -> Option<String> {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.clone()
    }

    /// Whether that is a change.
    pub fn set_failure(&self, reason: Option<String>) -> bool {
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        let new = *failure != reason;
        *failure = reason;
        new
    }

    /// Forgets its picture and its trouble.
    pub fn clear(&self) {
        self.set_failure(None);
        self.slot.clear();
    }
}
