//! MPEG-1 over WebSocket, for browsers with no video decoder but JavaScript:
//! `WS /live/jsmpeg?app=&room=`, and the ports of the classic pair of servers.
//!
//! What does not belong here: encoding. That is `renditions`.

mod ports;
mod stream;
mod transport;
mod viewer;

pub use ports::{Ports, serve};

use super::{Stream, find, may_watch};
use crate::answer::Asked;
use crate::connection::Peer;
use crate::site::Site;
use crate::websocket::{self, close};
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use axum::{Extension, Router};
use http::Request;
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;
use stream::Form;
use viewer::{PRIVATE, Viewer, Wish};

/// How long a viewer may take to answer a close.
const GOODBYE: Duration = Duration::from_millis(400);

pub(super) fn routes() -> Router<Arc<Site>> {
    Router::new().route("/live/jsmpeg", any(open))
}

#[derive(Deserialize)]
struct Place {
    #[serde(default)]
    app: String,
    #[serde(default)]
    room: String,
    #[serde(default)]
    stream: Stream,
    #[serde(default)]
    format: Form,
    /// `1` asks for text messages that say how old the pictures are.
    #[serde(default)]
    info: u8,
}

async fn open(
    State(site): State<Arc<Site>>,
    Extension(peer): Extension<Peer>,
    Asked(asked): Asked<Place>,
    request: Request<Body>,
) -> Response {
    let hub = &site.hub;
    if hub.app(&asked.app).is_some() && !may_watch(hub, &asked.app) {
        // A browser learns nothing from a refused upgrade, but reads a close code.
        return websocket::upgrade(&site, &peer, request, None, |mut socket| async move {
            socket.close(close::UNAUTHORIZED, PRIVATE);
            socket.finish(GOODBYE).await;
        });
    }
    let camera = match find(hub, &asked.app, &asked.room) {
        Ok(camera) => camera,
        Err(problem) => return problem.into_response(),
    };
    let wish = Wish {
        form: asked.format,
        quality: asked.stream.into(),
        info: asked.info == 1,
    };
    let served = site.clone();
    websocket::upgrade(&site, &peer, request, None, move |socket| async move {
        Viewer::new(socket, &served, camera, wish)
            .run(&served)
            .await;
    })
}
