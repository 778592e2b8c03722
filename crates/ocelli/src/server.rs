//! The one port: accepts connections as long as there is room for them, each of which
//! is then a conversation of its own. `run` ends when it is told to, whatever connections stay open.

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
use ocelli_net::conversation::PortRoutes;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// For the cameras to be taken leave of: one that is not told keeps its session
/// for a minute, and may allow no more than one.
const TEARDOWN_GRACE: Duration = Duration::from_millis(200);
/// How long connections may take to say goodbye.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);
/// How long killed children may take to end: the system frees their memory first.
const CHILDREN: Duration = Duration::from_secs(1);

/// The services whose routes are served, and which end with the server.
pub struct Services {
    /// Who asks.
    pub identity: Arc<Identity>,
    /// The cameras that push.
    pub ingest: Arc<Ingest>,
    /// Series of samples.
    pub telemetry: Telemetry,
    /// The HTTP interface.
    pub api: Api,
    /// What devices trust, if that is the hub's own authority.
    pub authority: Authority,
}

impl Services {
    /// The routes of all of them.
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

/// Serves them on `listener` until `shutdown` is ready, then ends every source
/// and every connection.
pub async fn run(listener: TcpListener, services: Services, shutdown: impl Future<Output = ()>) {
    let Identity { front, hub, .. } = &*services.identity;
    let plaintext_routes = trust::routes(services.authority.clone());
    let port_routes = PortRoutes::new(services.routes(), plaintext_routes, front.clone());
    front
        .tasks
        .spawn(reauthorize_periodically(services.identity.clone()));
    tokio::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => accept(stream, front, &port_routes),
            Err(error) => back_off_after(&error).await,
        }
    }
    drop(listener);
    front.stopping.cancel();
    let awake = hub
        .cameras()
        .iter()
        .any(|camera| camera.status().state != State::Idle);
    hub.stop();
    front.tasks.close();
    let teardown = async {
        if awake {
            tokio::time::sleep(TEARDOWN_GRACE).await;
        }
    };
    // Tasks that don't end by then end with the runtime.
    let closing = tokio::time::timeout(CLOSE_TIMEOUT, front.tasks.wait());
    let _ = tokio::join!(closing, teardown);
    let _ = tokio::time::timeout(CHILDREN, all_children_ended()).await;
    services.telemetry.stop().await;
}
