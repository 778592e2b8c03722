//! Visitors with long-lived connections, such as stream viewers.

use super::authorization::{Inner, Visitor};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tokio::sync::Notify;

/// The visitors that are re-authorized periodically.
#[derive(Default)]
pub struct Visitors {
    present: Mutex<Vec<Weak<Inner>>>,
    pub(super) revoked: Notify,
}

impl Visitors {
    /// Re-authorizes a visitor periodically while any clone of it exists.
    pub fn track(&self, visitor: &Visitor) {
        if visitor.0.credentials.is_empty() {
            return;
        }
        let mut present = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        present.push(Arc::downgrade(&visitor.0));
    }

    /// Re-authorizes all visitors immediately, after something was revoked or changed.
    pub fn recheck(&self) {
        self.revoked.notify_one();
    }

    /// All visitors that are still connected.
    pub(super) fn present(&self) -> Vec<Arc<Inner>> {
        let mut all = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        let present: Vec<_> = all.iter().filter_map(Weak::upgrade).collect();
        *all = present.iter().map(Arc::downgrade).collect();
        present
    }
}
