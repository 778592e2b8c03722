//! The one port: accepts connections as long as there is room for them, each of which
//! is then a conversation of its own. `run` ends when it is told to, whatever connections stay open.

use crate::pages::{self, trust};
use crate::site::Site;
use crate::visitor::rounds;
use crate::{api, ingest, sinks, telemetry};
use axum::Router;
use ocelli_core::State;
use ocelli_media::supervise;
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

/// All routes.
fn routes(site: Arc<Site>) -> Router {
    Router::new()
        .merge(sinks::routes())
        .merge(telemetry::routes())
        .merge(api::routes(&site))
        .merge(trust::routes())
        .merge(ingest::routes())
        .fallback(pages::serve)
        .with_state(site)
}

/// Serves `site` on `listener` until `shutdown` is ready, then ends every source
/// and every connection.
pub async fn run(listener: TcpListener, site: Arc<Site>, shutdown: impl Future<Output = ()>) {
    let front = site.front.clone();
    let signpost = trust::routes().with_state(site.clone());
    let doors = Doors::new(routes(site.clone()), signpost, front.clone());
    front.tasks.spawn(rounds(site.identity.clone()));
    tokio::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => accept(stream, &front, &doors),
            Err(error) => wait_out(&error).await,
        }
    }
    drop(listener);
    front.stopping.cancel();
    let awake = site
        .hub
        .cameras()
        .iter()
        .any(|camera| camera.status().state != State::Idle);
    site.hub.stop();
    front.tasks.close();
    let farewell = async {
        if awake {
            tokio::time::sleep(FAREWELL).await;
        }
    };
    // Tasks that don't end by then end with the runtime.
    let goodbye = tokio::time::timeout(GOODBYE, front.tasks.wait());
    let _ = tokio::join!(goodbye, farewell);
    let _ = tokio::time::timeout(CHILDREN, supervise::all_ended()).await;
    site.telemetry.stop().await;
}
