//! Shared application state.

use crate::api::TRIALS;
use crate::auth::{AdminToken, Passwords};
use crate::config::{CameraConfig, Metrics};
use crate::ingest::Ingest;
use crate::store::Store;
use crate::telemetry::Telemetry;
use crate::visitor::{Attempts, Visitors};
use ocelli_core::{CameraId, Hub};
use ocelli_media::sources::Fence;
use ocelli_net::front::Front;
use ocelli_net::tls::authority::Certificate;
use ocelli_series::Bounds;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// Shared application state.
pub struct Site {
    /// The server below the routes.
    pub front: Arc<Front>,
    /// The cameras.
    pub hub: Arc<Hub>,
    /// The hub's own certificate authority, if that is what vouches for it.
    pub authority: Option<Certificate>,
    /// What outlives the hub.
    pub store: Store,
    /// Series of samples.
    pub telemetry: Telemetry,
    /// That the data directory is this hub's.
    pub claim: Option<File>,
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
    /// The cameras that push.
    pub ingest: Ingest,
    /// The cameras of the configuration, likewise.
    pub configured_cameras: BTreeMap<CameraId, CameraConfig>,
    /// Where cameras that are added over HTTP may be.
    pub fence: Fence,
    /// Turns at looking at cameras before they are added.
    pub trials: Semaphore,
    /// How many cameras may be added over HTTP.
    pub max_added_cameras: usize,
    /// Whether the numbers are told, and to whom.
    pub metrics: Metrics,
    /// When the server began.
    pub started: Instant,
}

impl Site {
    /// The state of a server that shows `hub` through `front`, without a store and without an
    /// administrator's token.
    pub fn new(hub: Arc<Hub>, front: Front) -> Self {
        Self {
            front: Arc::new(front),
            hub,
            authority: None,
            store: Store::closed("this hub was started without a store"),
            claim: None,
            telemetry: Telemetry::start(Bounds::default(), None),
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            admin: None,
            passwords: Passwords::default(),
            attempts: Attempts::default(),
            visitors: Visitors::default(),
            configured_apps: BTreeSet::new(),
            ingest: Ingest::default(),
            configured_cameras: BTreeMap::new(),
            fence: Fence::new(0),
            trials: Semaphore::new(TRIALS),
            max_added_cameras: 0,
            metrics: Metrics::default(),
            started: Instant::now(),
        }
    }

    /// The hub's time in ms since the Unix epoch.
    pub fn now(&self) -> i64 {
        i64::try_from(self.hub.clock().now().0 / 1000).unwrap_or(i64::MAX)
    }
}
