//! The HTTP interface under `/api/v1`, and `/health`.

use crate::answer::{self, Problem};
use crate::server::Site;
use crate::sinks::may_watch;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use axum::{Json, Router};
use ocelli_core::{Camera, Timestamp};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The addresses of the HTTP interface.
pub fn routes() -> Router<Arc<Site>> {
    Router::new()
        .route("/health", get(health))
        .route("/api/v1/cameras", get(cameras))
        .route("/api/{*rest}", get(unknown).fallback(unknown))
}

async fn health(State(site): State<Arc<Site>>) -> Json<Value> {
    Json(json!({
        "status": "ok",
        "up": true,
        "version": env!("CARGO_PKG_VERSION"),
        "ts": site.hub.clock().now().0 / 1000,
        "uptimeSeconds": site.started.elapsed().as_secs(),
        "ignoredMessages": site.ignored.load(Ordering::Relaxed),
    }))
}

async fn cameras(State(site): State<Arc<Site>>) -> Response {
    let now = site.hub.clock().now();
    let cameras = site.hub.cameras();
    let visible = cameras
        .iter()
        .filter(|camera| may_watch(&site.hub, camera.id().app()));
    answer::data(
        visible
            .map(|camera| describe(camera, now))
            .collect::<Vec<_>>(),
    )
}

/// A camera as the interface shows it. `frameAgeMs` is null without a frame.
fn describe(camera: &Camera, now: Timestamp) -> Value {
    let status = camera.status();
    let id = camera.id();
    let age = status
        .taken
        .is_known()
        .then(|| now.micros_since(status.taken) / 1000);
    json!({
        "id": id.as_str(),
        "app": id.app(),
        "room": id.room(),
        "fullRoom": id.full_room(),
        "name": camera.name(),
        "kind": camera.kind(),
        "state": status.state.name(),
        "reason": status.state.reason(),
        "codec": status.codec.map(|codec| codec.name()),
        "width": status.size.map(|size| size.0),
        "height": status.size.map(|size| size.1),
        "fps": (status.fps * 10.0).round() / 10.0,
        "frameAgeMs": age,
        "frames": status.frames,
        "viewers": status.viewers,
        "dropped": status.dropped,
        "restarts": status.restarts,
        "hasSubstream": camera.has_substream(),
    })
}

async fn unknown() -> Problem {
    Problem::not_found("there is no such address in the HTTP interface")
}
