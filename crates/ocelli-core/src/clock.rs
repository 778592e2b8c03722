//! Time stamps and where they come from. Deadlines inside the frame path use
//! tokio's clock, which tests can pause; this one is for stamps on frames.

use std::time::{SystemTime, UNIX_EPOCH};

/// Microseconds since the Unix epoch by the hub's clock; 0 means unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// The stamp of a frame whose time nobody knows.
    pub const UNKNOWN: Timestamp = Timestamp(0);

    /// Whether a time is known at all.
    pub fn is_known(self) -> bool {
        self.0 != 0
    }

    /// Microseconds from `earlier` to this stamp; 0 when a clock stepped back.
    pub fn micros_since(self, earlier: Timestamp) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// The clock that stamps frames. Passed in, so that tests own time.
pub trait Clock: Send + Sync + 'static {
    /// The present time.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        // A clock before 1970 is a clock that was never set: unknown.
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        Timestamp(since.map_or(0, |elapsed| elapsed.as_micros() as u64))
    }
}

/// A clock that is set by hand.
#[cfg(test)]
#[derive(Default)]
pub(crate) struct Hand(std::sync::atomic::AtomicU64);

#[cfg(test)]
impl Hand {
    pub(crate) fn pass(&self, micros: u64) {
        self.0
            .fetch_add(micros, std::sync::atomic::Ordering::SeqCst);
    }
}

#[cfg(test)]
impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(std::sync::atomic::Ordering::SeqCst))
    }
}
