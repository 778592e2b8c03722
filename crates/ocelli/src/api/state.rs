//! Shared state of the HTTP interface.

use crate::catalog::Catalog;
use crate::config::Metrics;
use crate::ingest::Ingest;
use crate::telemetry::Telemetry;
use crate::visitor::Identity;
use axum::extract::FromRef;
use ocelli_core::Hub;
use ocelli_net::server_state::ServerState;
use std::ops::Deref;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// Maximum number of concurrent camera tests.
pub const MAX_CONCURRENT_TESTS: usize = 4;

/// The state shared by the handlers and by all clones.
#[derive(Clone)]
pub struct Api(Arc<State>);

/// The services that the handlers call, and the API's configuration.
pub struct State {
    /// Authentication of visitors.
    pub identity: Arc<Identity>,
    /// The HTTP server.
    pub server_state: Arc<ServerState>,
    /// The cameras.
    pub hub: Arc<Hub>,
    /// Series of samples.
    pub telemetry: Telemetry,
    /// Changes apps, cameras, keys, links, tokens and users.
    pub catalog: Arc<Catalog>,
    /// Ingest from devices.
    pub ingest: Arc<Ingest>,
    /// Permits for camera tests.
    pub trials: Semaphore,
    /// Whether `/metrics` is enabled, and its token.
    pub metrics: Metrics,
    /// When the server started.
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
            server_state: identity.server_state.clone(),
            hub: identity.hub.clone(),
            identity,
            telemetry,
            catalog,
            ingest,
            trials: Semaphore::new(MAX_CONCURRENT_TESTS),
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
