//! MPEG-1 over WebSocket, for browsers whose only video decoder is JavaScript: `WS
//! /live/jsmpeg?app=&room=`, and a camera's own JSMpeg ports.
//!
//! Encoding is in `renditions`.

mod ports;
mod stream;
mod transport;
mod viewer;

pub use ports::{Ports, serve};

use super::changes::ViewingPermission;
use super::playback::{Stream, refuse, refuse_for_now};
use crate::answer::{Problem, QueryParams};
use crate::visitor::{Identity, Visitor};
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use axum::routing::any;
use axum::{Extension, Router};
use http::{HeaderMap, Request};
use ocelli_net::request::Peer;
use ocelli_net::websocket;
use serde::Deserialize;
use std::sync::Arc;
use stream::Form;
use viewer::ViewerOptions;

/// The subprotocol that JSMpeg's players of 2017 to 2022 request by mistake: they pass `null` to
/// the browser, which turns it into a word. A browser closes a socket whose subprotocol is not
/// confirmed.
const PROTOCOL: &str = "null";

/// Returns the subprotocol for a viewer with these headers.
fn protocol(headers: &HeaderMap) -> Option<&'static str> {
    websocket::offers(headers, PROTOCOL).then_some(PROTOCOL)
}

pub(super) fn routes() -> Router<Arc<Identity>> {
    Router::new().route("/live/jsmpeg", any(open))
}

#[derive(Deserialize)]
struct Query {
    #[serde(default)]
    app: String,
    #[serde(default)]
    room: String,
    #[serde(default)]
    stream: Stream,
    #[serde(default)]
    format: Form,
    /// `1` requests text messages with the age of the pictures.
    #[serde(default)]
    info: u8,
}

async fn open(
    State(identity): State<Arc<Identity>>,
    Extension(peer): Extension<Peer>,
    visitor: Result<Visitor, Problem>,
    QueryParams(query): QueryParams<Query>,
    request: Request<Body>,
) -> Response {
    let protocol = protocol(request.headers());
    let found = visitor.and_then(|visitor| {
        let camera = visitor.find(&query.app, &query.room)?;
        Ok((ViewingPermission::new(&identity, visitor, &camera), camera))
    });
    let (permission, camera) = match found {
        Ok(found) => found,
        Err(problem) => return refuse(&identity, &peer, request, protocol, problem),
    };
    let options = ViewerOptions {
        form: query.format,
        quality: query.stream.into(),
        info: query.info == 1,
    };
    if let Some(reason) = camera.mpeg1_refusal(options.quality) {
        return refuse_for_now(&identity, &peer, request, protocol, &reason);
    }
    let served = identity.clone();
    websocket::upgrade(
        &identity.server_state,
        &peer,
        request,
        protocol,
        move |socket| viewer::serve(socket, served, permission, camera, options),
    )
}
