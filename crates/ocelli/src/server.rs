//! The one port: accepts connections as long as there is room for them, each of which
//! is then a conversation of its own. `run` ends when it is told to, whatever connections stay open.

use crate::api::Api;
use crate::ingest::Ingest;
use crate::pages::trust::Authority;
use crate::pages::{self, trust};
use crate::telemetry::Telemetry;
use crate::visitor::{Identity, rounds};
use crate::{api, ingest, sinks, telemetry};
use axum::Router;
use ocelli_core::State;
use ocelli_media::all_children_ended;
use ocelli_net::accept::{accept, wait_out};
use ocelli_net::conversation::Doors;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// For the cameras to be taken leave of: one that is not told keeps its session
/// for a minute, and may allow no more than one.
const FAREWELL: Duration = Duration::from_millis(200);
/// How long connections may take to say goodbye.
const GOODBYE: Duration = Duration::from_millis(500);
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
    let signpost = trust::routes(services.authority.clone());
    let doors = Doors::new(services.routes(), signpost, front.clone());
    front.tasks.spawn(rounds(services.identity.clone()));
    tokio::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => accept(stream, front, &doors),
            Err(error) => wait_out(&error).await,
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
    let farewell = async {
        if awake {
            tokio::time::sleep(FAREWELL).await;
        }
    };
    // Tasks that don't end by then end with the runtime.
    let goodbye = tokio::time::timeout(GOODBYE, front.tasks.wait());
    let _ = tokio::join!(goodbye, farewell);
    let _ = tokio::time::timeout(CHILDREN, all_children_ended()).await;
    services.telemetry.stop().await;
}
