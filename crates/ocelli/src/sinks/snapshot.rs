//! `GET /live/<app>/<room>/frame.jpg`: a camera's last frame.

use super::playback::Playback;
use crate::answer::{PathParams, Problem, QueryParams};
use crate::visitor::{Identity, Visitor};
use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use ocelli_core::{Camera, Follower, Frame};
use ocelli_media::sources::push;
use ocelli_net::counts::Transport;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// How long an idle camera may take to deliver its first picture.
const FIRST_PICTURE_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) fn routes() -> Router<Arc<Identity>> {
    Router::new().route("/live/{app}/{room}/frame.jpg", get(snapshot))
}

async fn snapshot(
    State(identity): State<Arc<Identity>>,
    visitor: Visitor,
    PathParams((app, room)): PathParams<(String, String)>,
    QueryParams(playback): QueryParams<Playback>,
) -> Result<Response, Problem> {
    let camera = visitor.find(&app, &room)?;
    let viewer_guard = identity.server_state.counts.enter(Transport::Snapshot);
    // The follower starts the camera and keeps it running for the grace period.
    let mut follower = camera.follow(playback.stream.into());
    let frame = match follower.try_next() {
        Some(frame) => frame,
        // The hub can't start it: its device opens the connection.
        None if camera.kind() == push::KIND => {
            let message =
                format!("no picture of camera {room:?} yet; its device must push one first");
            return Err(Problem::not_found(message));
        }
        None => first_frame(&camera, follower).await?,
    };
    viewer_guard.tally().sent(frame.payload_len());
    let headers = [(CONTENT_TYPE, "image/jpeg"), (CACHE_CONTROL, "no-store")];
    Ok((headers, frame.payload()).into_response())
}

/// The first picture of a camera that was idle.
async fn first_frame(camera: &Camera, mut follower: Follower) -> Result<Frame, Problem> {
    timeout(FIRST_PICTURE_TIMEOUT, follower.next())
        .await
        .map_err(|_| {
            let status = camera.status();
            let why = status.state.reason().map(|reason| format!(": {reason}"));
            Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                format!(
                    "no picture within {} s; the camera is {}{}",
                    FIRST_PICTURE_TIMEOUT.as_secs(),
                    status.state.name(),
                    why.unwrap_or_default()
                ),
            )
        })
}
