//! What the tasks of telemetry share.

use ocelli_series::Registry;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::watch;

/// The present time, in ms since the Unix epoch: the clock that stamps frames too.
pub fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |elapsed| elapsed.as_millis() as u64)
}

/// A port of telemetry, as somebody configured it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Its key in `[telemetry]`.
    pub key: &'static str,
    /// Where it is, or was to be.
    pub address: SocketAddr,
    /// Why nobody can come there.
    pub fault: Option<String>,
}

/// What of telemetry works, and what does not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// The ports; none that is turned off.
    pub ports: Vec<Port>,
    /// Why series are kept in memory alone.
    pub file_fault: Option<String>,
}

/// What the tasks of the telemetry thread share.
pub struct Shared {
    pub(super) registry: Mutex<Registry>,
    /// Never held for longer than a copy takes.
    pub(super) health: Mutex<Health>,
    /// Moves whenever there is something new for viewers.
    pub(super) news: watch::Sender<()>,
    /// Viewers of all series; while there is one the hub's own figures are taken.
    pub(super) lookers: AtomicUsize,
    /// Sources that are connected.
    pub(super) connected: AtomicUsize,
    /// How many of them there may be.
    pub(super) most_connected: usize,
    /// Samples of the hub's own that were dropped.
    pub(super) dropped: AtomicU64,
}

impl Shared {
    /// The series; for the telemetry thread alone, and never across an await.
    pub(super) fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes viewers that wait.
    pub(super) fn tell(&self) {
        self.news.send_replace(());
    }
}
