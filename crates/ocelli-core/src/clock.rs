//! Timestamps and the clock they come from. Deadlines in the frame path use tokio's clock,
//! which tests can pause; this clock is only for stamps on frames.

use std::time::{SystemTime, UNIX_EPOCH};

/// Microseconds since the Unix epoch by the hub's clock; 0 means unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// The stamp of a frame whose time is unknown.
    pub const UNKNOWN: Timestamp = Timestamp(0);

    /// Whether the time is known.
    pub fn is_known(self) -> bool {
        self.0 != 0
    }

    /// Returns the microseconds from `earlier` to this stamp; 0 if a clock stepped back.
    pub fn micros_since(self, earlier: Timestamp) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// The clock that stamps frames. It is injected so that tests can control time.
pub trait Clock: Send + Sync + 'static {
    /// Returns the current time.
    fn now(&self) -> Timestamp;
}

/// The system clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        // A time before 1970 means that the clock was never set: unknown.
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        Timestamp(since.map_or(0, |elapsed| elapsed.as_micros() as u64))
    }
}

/// A clock that a test advances manually.
#[cfg(test)]
#[derive(Default)]
pub(crate) struct ManualClock(std::sync::atomic::AtomicU64);

#[cfg(test)]
impl ManualClock {
    pub(crate) fn advance(&self, micros: u64) {
        self.0
            .fetch_add(micros, std::sync::atomic::Ordering::SeqCst);
    }
}

#[cfg(test)]
impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(std::sync::atomic::Ordering::SeqCst))
    }
}
