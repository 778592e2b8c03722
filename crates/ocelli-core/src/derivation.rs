//! A derived stream: its slot, and its current failure.
//!
//! A [`crate::Rendition`] makes the stream, and [`crate::upstream`] decides when to run it.

use crate::clock::Clock;
use crate::slot::Slot;
use crate::state::LastFailure;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One derived stream.
pub(crate) struct Derivation {
    /// The slot with its newest group.
    pub slot: Arc<Slot>,
    /// Whether its rendition is running.
    pub running: Arc<AtomicBool>,
    clock: Arc<dyn Clock>,
    failure_state: Mutex<FailureState>,
    /// The size of its pictures, fixed until the stream is discarded.
    size: Mutex<Option<(u16, u16)>>,
}

#[derive(Default)]
struct FailureState {
    /// Whether it fails while there is demand.
    failing: bool,
    /// Whether its pictures have stopped while there is demand.
    stalled: bool,
    /// The last failure; `None` once it works.
    last: Option<LastFailure>,
}

impl Derivation {
    /// Creates the derived stream in `slot`, with no rendition running.
    pub fn new(slot: Arc<Slot>, clock: Arc<dyn Clock>) -> Self {
        Self {
            slot,
            running: Arc::default(),
            clock,
            failure_state: Mutex::default(),
            size: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, FailureState> {
        self.failure_state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether its rendition is running.
    pub fn is_running(&self) -> bool {
        self.running.load(Relaxed)
    }

    /// Returns why it fails, while there is demand.
    pub fn failure(&self) -> Option<String> {
        let failure_state = self.lock();
        let last = failure_state
            .last
            .as_ref()
            .filter(|_| failure_state.failing);
        last.map(|last| last.reason.clone())
    }

    /// Returns why its pictures have stopped, while there is demand.
    pub fn stall(&self) -> Option<String> {
        let failure_state = self.lock();
        let last = failure_state.last.as_ref();
        let last = last.filter(|_| failure_state.stalled);
        last.map(|last| last.reason.clone())
    }

    /// Returns the last failure, until it works again.
    pub fn last_failure(&self) -> Option<LastFailure> {
        self.lock().last.clone()
    }

    /// Records a failure. Returns whether that is a change.
    pub fn fail(&self, reason: String) -> bool {
        let mut failure_state = self.lock();
        let at = self.clock.now();
        let last = failure_state.last.replace(LastFailure {
            reason: reason.clone(),
            at,
        });
        let known = last.is_some_and(|last| last.reason == reason);
        !std::mem::replace(&mut failure_state.failing, true) || !known
    }

    /// Records that its pictures have stopped. Returns whether that is a change. A failure that
    /// continues takes precedence.
    pub fn stop(&self, reason: String) -> bool {
        let mut failure_state = self.lock();
        if failure_state.failing || failure_state.stalled {
            return false;
        }
        failure_state.stalled = true;
        let at = self.clock.now();
        failure_state.last = Some(LastFailure { reason, at });
        true
    }

    /// Records that it works. Returns whether that is a change.
    pub fn succeed(&self) -> bool {
        let mut failure_state = self.lock();
        failure_state.failing = false;
        failure_state.stalled = false;
        failure_state.last.take().is_some()
    }

    /// Records that there is no demand. Returns whether that is a change. The last failure
    /// is kept.
    pub fn go_idle(&self) -> bool {
        let mut failure_state = self.lock();
        let stalled = std::mem::take(&mut failure_state.stalled);
        std::mem::take(&mut failure_state.failing) || stalled
    }

    /// Returns the size that its viewers rely on, if there is one.
    pub fn size(&self) -> Option<(u16, u16)> {
        *self.size.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fixes the size of its pictures, unless it is fixed already. Returns the fixed size.
    pub fn fix_size(&self, size: (u16, u16)) -> (u16, u16) {
        let mut fixed = self.size.lock().unwrap_or_else(PoisonError::into_inner);
        *fixed.get_or_insert(size)
    }

    /// Discards its picture and its size.
    pub fn discard(&self) {
        self.slot.clear();
        *self.size.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Discards its picture, and records that there is no demand.
    pub fn clear(&self) {
        self.go_idle();
        self.discard();
    }
}
