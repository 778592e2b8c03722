//! Visitors with long-lived connections, such as stream viewers.

use super::authorization::{Inner, Visitor};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tokio::sync::Notify;

/// The visitors that are re-authorized periodically.
#[derive(Default)]
pub struct Visitors {
    connected: Mutex<Vec<Weak<Inner>>>,
    pub(super) revoked: Notify,
}

impl Visitors {
    /// Re-authorizes a visitor periodically while any clone of it exists.
    pub fn track(&self, visitor: &Visitor) {
        if visitor.0.credentials.is_empty() {
            return;
        }
        let mut connected = self
            .connected
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        connected.push(Arc::downgrade(&visitor.0));
    }

    /// Re-authorizes all visitors immediately, after something was revoked or changed.
    pub fn recheck(&self) {
        self.revoked.notify_one();
    }

    /// All visitors that are still connected.
    pub(super) fn connected(&self) -> Vec<Arc<Inner>> {
        let mut all = self
            .connected
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let connected: Vec<_> = all.iter().filter_map(Weak::upgrade).collect();
        *all = connected.iter().map(Arc::downgrade).collect();
        connected
    }
}
