//! The main port: accepts connections within the connection limits and serves each in its
//! own task. `run` returns after the shutdown signal, even if connections are still open.

use crate::api::Api;
use crate::ingest::Ingest;
use crate::pages::trust::Authority;
use crate::pages::{self, trust};
use crate::telemetry::Telemetry;
use crate::visitor::{Identity, reauthorize_periodically};
use crate::{api, ingest, sinks, telemetry};
use axum::Router;
use ocelli_core::State;
use ocelli_media::all_children_ended;
use ocelli_net::accept::{accept, back_off_after};
use ocelli_net::http_server::PortRoutes;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// Grace period for RTSP TEARDOWN: a camera that gets no TEARDOWN keeps its session for a
/// minute, and may allow only one session.
const TEARDOWN_GRACE: Duration = Duration::from_millis(200);
/// Time limit for the closing handshakes of connections.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);
/// Time limit for killed child processes to end: the system frees their memory first.
const CHILD_TIMEOUT: Duration = Duration::from_secs(1);

/// The services whose routes are served, and which end with the server.
pub struct Services {
    /// Authentication and authorization of clients.
    pub identity: Arc<Identity>,
    /// The devices that push.
    pub ingest: Arc<Ingest>,
    /// Series of samples.
    pub telemetry: Telemetry,
    /// The HTTP interface.
    pub api: Api,
    /// The certificate authority that devices must trust, if it is the hub's own.
    pub authority: Authority,
}

impl Services {
    /// Merges the routes of all services.
    fn routes(&self) -> Router {
        let Self {
            identity,
            telemetry,
            ..
        } = self;
        Router::new()
            .merge(sinks::routes(identity.clone()))
            .merge(telemetry::routes(identity.clone(), telemetry.clone()))
            .merge(api::routes(self.api.clone()))
            .merge(trust::routes(self.authority.clone()))
            .merge(ingest::routes(self.ingest.clone()))
            .merge(pages::routes(identity.clone()))
    }
}

/// Serves `services` on `listener` until `shutdown` is ready, then ends every source and
/// every connection.
pub async fn run(listener: TcpListener, services: Services, shutdown: impl Future<Output = ()>) {
    let Identity {
        server_state, hub, ..
    } = &*services.identity;
    let plaintext_routes = trust::routes(services.authority.clone());
    let port_routes = PortRoutes::new(services.routes(), plaintext_routes, server_state.clone());
    server_state
        .tasks
        .spawn(reauthorize_periodically(services.identity.clone()));
    tokio::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => accept(stream, server_state, &port_routes),
            Err(error) => back_off_after(&error).await,
        }
    }
    drop(listener);
    server_state.stopping.cancel();
    let awake = hub
        .cameras()
        .iter()
        .any(|camera| camera.status().state != State::Idle);
    hub.stop();
    server_state.tasks.close();
    let teardown = async {
        if awake {
            tokio::time::sleep(TEARDOWN_GRACE).await;
        }
    };
    // Tasks that have not ended by then end with the runtime.
    let closing = tokio::time::timeout(CLOSE_TIMEOUT, server_state.tasks.wait());
    let _ = tokio::join!(closing, teardown);
    let _ = tokio::time::timeout(CHILD_TIMEOUT, all_children_ended()).await;
    services.telemetry.stop().await;
}
