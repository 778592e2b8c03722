//! Shared state of the HTTP interface.

use crate::catalog::Catalog;
use crate::config::Metrics;
use crate::ingest::Ingest;
use crate::telemetry::Telemetry;
use crate::visitor::Identity;
use axum::extract::FromRef;
use ocelli_core::Hub;
use ocelli_net::front::Front;
use std::ops::Deref;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// How many cameras may be looked at side by side before they are added.
pub const TRIALS: usize = 4;

/// What the handlers share. Clones share it too.
#[derive(Clone)]
pub struct Api(Arc<State>);

/// The services that the handlers call, and what is configured of the interface.
pub struct State {
    /// Who asks.
    pub identity: Arc<Identity>,
    /// The server below the routes.
    pub front: Arc<Front>,
    /// The cameras.
    pub hub: Arc<Hub>,
    /// Series of samples.
    pub telemetry: Telemetry,
    /// Apps, cameras, keys, links, tokens and users, to be changed.
    pub catalog: Arc<Catalog>,
    /// The cameras that push.
    pub ingest: Arc<Ingest>,
    /// Turns at looking at cameras before they are added.
    pub trials: Semaphore,
    /// Whether `/metrics` is answered, and to whom.
    pub metrics: Metrics,
    /// When the server began.
    pub started: Instant,
}

impl State {
    /// The state of a server that starts now.
    pub fn new(
        identity: Arc<Identity>,
        catalog: Arc<Catalog>,
        ingest: Arc<Ingest>,
        telemetry: Telemetry,
        metrics: Metrics,
    ) -> Self {
        Self {
            front: identity.front.clone(),
            hub: identity.hub.clone(),
            identity,
            telemetry,
            catalog,
            ingest,
            trials: Semaphore::new(TRIALS),
            metrics,
            started: Instant::now(),
        }
    }
}

impl From<State> for Api {
    fn from(state: State) -> Self {
        Self(Arc::new(state))
    }
}

impl Deref for Api {
    type Target = State;

    fn deref(&self) -> &State {
        &self.0
    }
}

impl FromRef<Api> for Arc<Identity> {
    fn from_ref(api: &Api) -> Self {
        api.identity.clone()
    }
}
