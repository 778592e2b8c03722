//! Everything that shows pictures. A new kind of sink is one file here and one
//! line in [`routes`].
//!
//! Who may watch what is asked of the request's `Visitor`, and while a stream goes on
//! of [`news::Stay`].
//!
//! What does not belong here: where pictures come from, and what they are.

pub mod jsmpeg;
mod mjpeg;
mod news;
mod snapshot;
mod viewer;
mod wall;
mod watching;

#[cfg(fuzzing)]
pub use wall::Command;

use crate::answer::Problem;
use crate::visitor::Identity;
use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{Request, StatusCode};
use ocelli_core::Quality;
use ocelli_net::connection::Peer;
use ocelli_net::counts::Refusal;
use ocelli_net::websocket::{self, close};
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;

/// How long a viewer may take to answer a close.
const GOODBYE: Duration = Duration::from_millis(400);

/// The addresses of all sinks.
pub fn routes(identity: Arc<Identity>) -> Router {
    Router::new()
        .merge(wall::routes())
        .merge(viewer::routes())
        .merge(mjpeg::routes())
        .merge(jsmpeg::routes())
        .merge(snapshot::routes())
        .with_state(identity)
}

/// Which stream a viewer asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// The main stream.
    #[default]
    Main,
    /// The small one for tiles.
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

/// The parameters that every playback address takes.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub struct Playback {
    /// Which stream.
    #[serde(default)]
    pub stream: Stream,
}

/// Refuses a socket to whoever asks for what there is not, or may not watch it. A
/// browser learns nothing from a refused upgrade, but reads a close code.
pub fn refuse(
    identity: &Arc<Identity>,
    peer: &Peer,
    request: Request<Body>,
    problem: Problem,
) -> Response {
    if problem.status() != StatusCode::UNAUTHORIZED {
        let reason = format!("{}: {}", request.uri().path(), problem.message());
        identity.front.refused(Refusal::Unknown, peer, &reason);
        return problem.into_response();
    }
    let why = problem.message();
    close_at_once(
        identity,
        peer,
        request,
        Refusal::Access,
        close::UNAUTHORIZED,
        why,
    )
}

/// Refuses a socket for which the hub has no capacity.
fn refuse_for_now(
    identity: &Arc<Identity>,
    peer: &Peer,
    request: Request<Body>,
    reason: &str,
) -> Response {
    close_at_once(
        identity,
        peer,
        request,
        Refusal::Capacity,
        close::TRY_AGAIN_LATER,
        reason,
    )
}

fn close_at_once(
    identity: &Arc<Identity>,
    peer: &Peer,
    request: Request<Body>,
    refusal: Refusal,
    code: u16,
    why: &str,
) -> Response {
    // The path alone: behind it there may be a token.
    let reason = format!("{}: {why}", request.uri().path());
    let why = why[..why.floor_char_boundary(close::REASON_LIMIT)].to_owned();
    let (front, from) = (identity.front.clone(), peer.clone());
    websocket::upgrade(
        &identity.front,
        peer,
        request,
        None,
        move |mut socket| async move {
            front.refused(refusal, &from, &reason);
            socket.close(code, &why);
            socket.finish(GOODBYE).await;
        },
    )
}
