//! What every route has at hand. It knows no route: those know it.

use crate::auth::{AdminToken, Passwords};
use crate::gate::Gate;
use crate::store::Store;
use crate::telemetry::Telemetry;
use crate::visitor::{Attempts, Visitors};
use ocelli_core::Hub;
use ocelli_series::Limits;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What every route has at hand.
pub struct Site {
    /// The cameras.
    pub hub: Arc<Hub>,
    /// The Host and Origin rules.
    pub gate: Gate,
    /// What outlives the hub.
    pub store: Store,
    /// Series of samples.
    pub telemetry: Telemetry,
    /// Where the hub was told to listen; port 0 for any.
    pub listen: SocketAddr,
    /// The administrator's own token, if one was set.
    pub admin: Option<AdminToken>,
    /// Makes hashes of passwords.
    pub passwords: Passwords,
    /// Attempts to get in.
    pub attempts: Attempts,
    /// Who stays a while, by a token or a session.
    pub visitors: Visitors,
    /// The apps of the configuration, which is the one place to change them.
    pub configured_apps: BTreeSet<String>,
    /// The tasks of connections that were upgraded.
    pub tasks: TaskTracker,
    /// Cancelled when the server stops.
    pub stopping: CancellationToken,
    /// When the server began.
    pub started: Instant,
    /// Messages of viewers that were passed over: malformed, or of unknown cameras.
    pub ignored: AtomicU64,
}

impl Site {
    /// A site that shows `hub` to whoever `gate` lets in. It keeps nothing and
    /// knows no token, until it is given what does.
    pub fn new(hub: Arc<Hub>, gate: Gate) -> Self {
        Self {
            hub,
            gate,
            store: Store::closed("this hub was started without a store"),
            telemetry: Telemetry::start(Limits::default(), None),
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            admin: None,
            passwords: Passwords::default(),
            attempts: Attempts::default(),
            visitors: Visitors::default(),
            configured_apps: BTreeSet::new(),
            tasks: TaskTracker::new(),
            stopping: CancellationToken::new(),
            started: Instant::now(),
            ignored: AtomicU64::new(0),
        }
    }

    /// The hub's time in ms since the Unix epoch.
    pub fn now(&self) -> i64 {
        i64::try_from(self.hub.clock().now().0 / 1000).unwrap_or(i64::MAX)
    }

    /// Counts messages that were passed over.
    pub fn ignore(&self, count: u64) {
        self.ignored.fetch_add(count, Ordering::Relaxed);
    }
}
