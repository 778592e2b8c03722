//! Shared application state.

use crate::answer::Problem;
use crate::api::TRIALS;
use crate::config::{CameraConfig, Metrics};
use crate::ingest::Ingest;
use crate::telemetry::Telemetry;
use crate::visitor::{Identity, Visitor};
use axum::extract::FromRequestParts;
use http::request::Parts;
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
    /// Who asks.
    pub identity: Arc<Identity>,
    /// The cameras.
    pub hub: Arc<Hub>,
    /// The hub's own certificate authority, if that is what vouches for it.
    pub authority: Option<Certificate>,
    /// Series of samples.
    pub telemetry: Telemetry,
    /// That the data directory is this hub's.
    pub claim: Option<File>,
    /// Where the hub was told to listen; port 0 for any.
    pub listen: SocketAddr,
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
    /// Without any configured camera or app.
    pub fn new(identity: Identity) -> Self {
        Self {
            front: identity.front.clone(),
            hub: identity.hub.clone(),
            identity: Arc::new(identity),
            authority: None,
            claim: None,
            telemetry: Telemetry::start(Bounds::default(), None),
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
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
}

impl FromRequestParts<Arc<Site>> for Visitor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, site: &Arc<Site>) -> Result<Self, Problem> {
        Visitor::of(&site.identity, parts).await
    }
}
