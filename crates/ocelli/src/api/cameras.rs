//! `/api/v1/cameras`: what each camera is doing.

use crate::answer::{Answer, ProblemBody};
use crate::site::Site;
use crate::visitor::Visitor;
use axum::extract::State;
use ocelli_core::{Camera, Timestamp};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// A camera.
#[derive(Serialize, ToSchema)]
#[schema(as = Camera)]
#[serde(rename_all = "camelCase")]
pub struct View {
    /// Its id on the wall socket.
    id: String,
    app: String,
    room: String,
    full_room: String,
    name: String,
    /// The kind of its source.
    kind: &'static str,
    /// idle, starting, live, stalled or failed.
    state: String,
    /// Why it is in that state, if there is a reason.
    reason: Option<String>,
    codec: Option<String>,
    width: Option<u16>,
    height: Option<u16>,
    fps: f64,
    /// The age of its newest picture; null when there is none.
    frame_age_ms: Option<u64>,
    frames: u64,
    viewers: usize,
    dropped: u64,
    restarts: u64,
    has_substream: bool,
}

impl View {
    fn of(camera: &Camera, now: Timestamp) -> Self {
        let status = camera.status();
        let id = camera.id();
        let known = status.taken.is_known();
        Self {
            id: id.as_str().to_owned(),
            app: id.app().to_owned(),
            room: id.room().to_owned(),
            full_room: id.full_room().to_owned(),
            name: camera.name().to_owned(),
            kind: camera.kind(),
            state: status.state.name().to_owned(),
            reason: status.state.reason().map(ToString::to_string),
            codec: status.codec.map(|codec| codec.name().to_owned()),
            width: status.size.map(|size| size.0),
            height: status.size.map(|size| size.1),
            fps: (status.fps * 10.0).round() / 10.0,
            frame_age_ms: known.then(|| now.micros_since(status.taken) / 1000),
            frames: status.frames,
            viewers: status.viewers,
            dropped: status.dropped,
            restarts: status.restarts,
            has_substream: camera.has_substream(),
        }
    }
}

/// The cameras that whoever asks may watch: those of every app whose playback is public,
/// and what their session or their token opens.
#[utoipa::path(get, path = "/api/v1/cameras", tag = "cameras", security(()),
    responses(
        (status = 200, description = "The cameras", body = Answer<Vec<View>>),
        (status = 401, description = "The token that was sent is none", body = ProblemBody)))]
pub async fn list(State(site): State<Arc<Site>>, visitor: Visitor) -> Answer<Vec<View>> {
    let now = site.hub.clock().now();
    let cameras = visitor.cameras();
    let cameras = cameras.iter().map(|camera| View::of(camera, now));
    Answer::new(cameras.collect())
}
