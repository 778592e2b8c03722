//! Everything that shows pictures. A new kind of sink is one file here and one
//! line in [`routes`].
//!
//! What does not belong here: where pictures come from, and what they are.

pub mod jsmpeg;
mod mjpeg;
mod snapshot;
mod viewer;
mod wall;

use crate::answer::Problem;
use crate::site::Site;
use axum::Router;
use http::StatusCode;
use ocelli_core::{Camera, Hub, Quality};
use serde::Deserialize;
use std::sync::Arc;

/// The addresses of all sinks.
pub fn routes() -> Router<Arc<Site>> {
    Router::new()
        .merge(wall::routes())
        .merge(viewer::routes())
        .merge(mjpeg::routes())
        .merge(jsmpeg::routes())
        .merge(snapshot::routes())
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

/// Whether whoever asks may watch the cameras of an app.
pub fn may_watch(hub: &Hub, app: &str) -> bool {
    hub.app(app).is_some_and(|app| app.public_playback)
}

/// Finds the camera that an address names.
///
/// # Errors
/// 404 for an unknown app or room, 401 where playback is not public.
pub fn find(hub: &Hub, app: &str, room: &str) -> Result<Arc<Camera>, Problem> {
    if hub.app(app).is_none() {
        return Err(Problem::not_found(format!("there is no app {app:?}")));
    }
    if !may_watch(hub, app) {
        return Err(Problem::new(
            StatusCode::UNAUTHORIZED,
            format!("playback in app {app:?} is not public"),
        ));
    }
    hub.find(app, room)
        .ok_or_else(|| Problem::not_found(format!("there is no camera {room:?} in app {app:?}")))
}
