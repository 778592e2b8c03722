//! The playback parameters of all viewers, and refusals of sockets.

use crate::answer::Problem;
use crate::visitor::Identity;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{Request, StatusCode};
use ocelli_core::Quality;
use ocelli_net::counts::Refusal;
use ocelli_net::request::Peer;
use ocelli_net::websocket::{self, CLOSE_TIMEOUT, close};
use serde::Deserialize;
use std::sync::Arc;

/// The stream that a viewer requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// The main stream.
    #[default]
    Main,
    /// The small stream, for tiles.
    Sub,
}

impl From<Stream> for Quality {
    fn from(stream: Stream) -> Self {
        match stream {
            Stream::Main => Quality::Main,
            Stream::Sub => Quality::Sub,
        }
    }
}

/// The parameters of every playback address.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub struct Playback {
    /// Which stream.
    #[serde(default)]
    pub stream: Stream,
}

/// Refuses a socket: unauthorized viewers get a close code, because a browser can read that
/// but not the response to a refused upgrade. Other requests get an HTTP error. `protocol` is the
/// subprotocol that the socket would have; without it, a browser that offered one would not read
/// the close code either.
pub fn refuse(
    identity: &Arc<Identity>,
    peer: &Peer,
    request: Request<Body>,
    protocol: Option<&'static str>,
    problem: Problem,
) -> Response {
    if problem.status() != StatusCode::UNAUTHORIZED {
        let reason = format!("{}: {}", request.uri().path(), problem.message());
        identity
            .server_state
            .refused(Refusal::Unknown, peer.remote, &reason);
        return problem.into_response();
    }
    let why = problem.message();
    close_at_once(
        identity,
        peer,
        request,
        protocol,
        Refusal::Access,
        close::UNAUTHORIZED,
        why,
    )
}

/// Refuses a socket for which the hub has no capacity.
pub fn refuse_for_now(
    identity: &Arc<Identity>,
    peer: &Peer,
    request: Request<Body>,
    protocol: Option<&'static str>,
    reason: &str,
) -> Response {
    close_at_once(
        identity,
        peer,
        request,
        protocol,
        Refusal::Capacity,
        close::TRY_AGAIN_LATER,
        reason,
    )
}

fn close_at_once(
    identity: &Arc<Identity>,
    peer: &Peer,
    request: Request<Body>,
    protocol: Option<&'static str>,
    refusal: Refusal,
    code: u16,
    why: &str,
) -> Response {
    // Only the path is logged: the query may have a token.
    let reason = format!("{}: {why}", request.uri().path());
    let why = why[..why.floor_char_boundary(close::REASON_LIMIT)].to_owned();
    let (server_state, remote) = (identity.server_state.clone(), peer.remote);
    websocket::upgrade(
        &identity.server_state,
        peer,
        request,
        protocol,
        move |mut socket| async move {
            server_state.refused(refusal, remote, &reason);
            socket.close(code, &why);
            socket.finish(CLOSE_TIMEOUT).await;
        },
    )
}
