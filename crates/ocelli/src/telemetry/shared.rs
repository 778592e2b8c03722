//! The state that the tasks of telemetry share.

use ocelli_series::Registry;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::watch;

/// The current time in ms since the Unix epoch, from the clock that also stamps frames.
pub fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |elapsed| elapsed.as_millis() as u64)
}

/// A configured port of telemetry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Its key in `[telemetry]`.
    pub key: &'static str,
    /// The bound address, or the configured one if it can't be bound.
    pub address: SocketAddr,
    /// Why the port can't be used.
    pub fault: Option<String>,
}

/// The state of telemetry's ports and file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// The ports that are not turned off.
    pub ports: Vec<Port>,
    /// Why series are kept only in memory.
    pub file_fault: Option<String>,
}

/// The state that the tasks of the telemetry thread share.
pub struct Shared {
    pub(super) registry: Mutex<Registry>,
    /// Locked only while it is copied.
    pub(super) health: Mutex<Health>,
    /// Signalled when there is something new for viewers.
    pub(super) changes: watch::Sender<()>,
    /// The number of viewers of all series. The hub's own metrics are sampled while it is not
    /// 0.
    pub(super) all_series_viewers: AtomicUsize,
    /// The number of connected sources.
    pub(super) connected: AtomicUsize,
    /// The maximum number of connected sources.
    pub(super) max_connected: usize,
    /// The number of the hub's own samples that were dropped.
    pub(super) dropped: AtomicU64,
}

impl Shared {
    /// The series. Only for the telemetry thread, and never across an await.
    pub(super) fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes waiting viewers.
    pub(super) fn wake_viewers(&self) {
        self.changes.send_replace(());
    }
}
