//! Visitors who stay, such as viewers of a stream.

use super::authorization::{Inner, Visitor};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tokio::sync::Notify;

/// Those who stay.
#[derive(Default)]
pub struct Visitors {
    present: Mutex<Vec<Weak<Inner>>>,
    pub(super) revoked: Notify,
}

impl Visitors {
    /// Has a visitor looked up again while they stay, which is while a clone is kept.
    pub fn track(&self, visitor: &Visitor) {
        if visitor.0.credentials.is_empty() {
            return;
        }
        let mut present = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        present.push(Arc::downgrade(&visitor.0));
    }

    /// Has all looked up again at once, for something was revoked or changed.
    pub fn recheck(&self) {
        self.revoked.notify_one();
    }

    /// All of them.
    pub(super) fn present(&self) -> Vec<Arc<Inner>> {
        let mut all = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        let present: Vec<_> = all.iter().filter_map(Weak::upgrade).collect();
        *all = present.iter().map(Arc::downgrade).collect();
        present
    }
}
