//! The representation of a camera in the API, and the extractor for a camera id in a path.

use crate::answer::Problem;
use crate::api::paths::TEST_ROOM;
use crate::api::state::Api;
use crate::catalog::{Jpeg, Settings, shown};
use crate::config::CameraConfig;
use axum::extract::{FromRequestParts, RawPathParams};
use http::StatusCode;
use http::request::Parts;
use ocelli_core::{Camera, LastFailure, Timestamp};
use ocelli_media::sources::Address;
use serde::Serialize;
use utoipa::ToSchema;

/// The camera id in the path.
pub struct CameraPath(pub String);

impl<S: Send + Sync> FromRequestParts<S> for CameraPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let params = RawPathParams::from_request_parts(parts, state).await;
        let params = params.map_err(|error| {
            let message = error.body_text();
            Problem::new(StatusCode::BAD_REQUEST, message)
        })?;
        let found = params.iter().find(|(name, _)| *name == "camera");
        let named = found.map_or(TEST_ROOM, |(_, camera)| camera);
        Ok(Self(named.to_owned()))
    }
}

/// The most recent failure.
#[derive(Serialize, ToSchema)]
#[schema(as = LastFailure)]
pub struct LastView {
    /// The reason.
    reason: String,
    /// When it occurred, in ms since the Unix epoch.
    at: u64,
}

impl From<LastFailure> for LastView {
    fn from(last: LastFailure) -> Self {
        Self {
            reason: last.reason,
            at: last.at.0 / 1000,
        }
    }
}

/// A camera.
#[derive(Serialize, ToSchema)]
#[schema(as = Camera)]
#[serde(rename_all = "camelCase")]
pub struct CameraView {
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
    /// The reason for the state, if any.
    reason: Option<String>,
    /// The most recent failure, whatever the current state; null once the camera works again.
    last_failure: Option<LastView>,
    codec: Option<String>,
    width: Option<u16>,
    height: Option<u16>,
    fps: f64,
    /// The age of its newest picture; null if there is none.
    frame_age_ms: Option<u64>,
    frames: u64,
    viewers: usize,
    dropped: u64,
    restarts: u64,
    has_substream: bool,
    /// Whether the configuration file defines it; it can then be changed only there.
    read_only: bool,
}

impl CameraView {
    /// The current state of a camera.
    pub fn of(camera: &Camera, api: &Api, now: Timestamp) -> Self {
        let status = camera.status();
        let id = camera.id();
        let known = status.taken.is_known();
        Self {
            id: id.as_str().to_owned(),
            app: id.app().to_owned(),
            room: id.room().to_owned(),
            full_room: id.full_room().to_owned(),
            name: camera.name(),
            kind: camera.kind(),
            state: status.state.name().to_owned(),
            reason: status.state.reason().map(ToString::to_string),
            last_failure: status.last_failure.map(LastView::from),
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
            read_only: api.catalog.configured_camera(id).is_some(),
        }
    }
}

/// A camera with its settings, without its password.
#[derive(Serialize, ToSchema)]
#[schema(as = ShownCamera)]
#[serde(rename_all = "camelCase")]
pub struct CameraDetails {
    #[serde(flatten)]
    view: CameraView,
    /// The URL of its main stream, without credentials, and with `***` for probable secrets in the
    /// query. Null for a camera without settings.
    source: Option<String>,
    /// The URL of its substream, likewise.
    substream: Option<String>,
    /// The user name for signing in to the camera.
    user: Option<String>,
    /// Whether a password is stored.
    has_password: bool,
    jpeg: Option<Jpeg>,
    /// Whether it stays connected without viewers.
    keep: Option<bool>,
    /// The interval between single pictures; null for the default `1s` and for configured cameras.
    interval: Option<String>,
    /// False if any certificate is accepted; null for the default and for configured cameras.
    verify_tls: Option<bool>,
}

impl CameraDetails {
    /// A camera without stored settings.
    pub fn bare(view: CameraView) -> Self {
        Self {
            view,
            source: None,
            substream: None,
            user: None,
            has_password: false,
            jpeg: None,
            keep: None,
            interval: None,
            verify_tls: None,
        }
    }

    /// A configured camera.
    pub fn configured(view: CameraView, camera: &CameraConfig) -> Self {
        let credentials = camera.address.credentials.as_ref();
        let password = credentials.map(|known| known.password.as_str());
        Self {
            source: Some(camera.address.redacted()),
            substream: camera.substream_address.as_ref().map(Address::redacted),
            user: credentials.map(|known| known.user.clone()),
            has_password: password.is_some_and(|password| !password.is_empty()),
            jpeg: Some(camera.jpeg.into()),
            keep: Some(camera.keep),
            ..Self::bare(view)
        }
    }

    /// A camera that was added over HTTP, with its settings.
    pub fn added(view: CameraView, settings: Settings) -> Self {
        Self {
            source: Some(shown(&settings.source)),
            substream: settings.substream.as_deref().map(shown),
            user: settings.user,
            has_password: settings.password.is_some(),
            jpeg: Some(settings.jpeg),
            keep: Some(settings.keep),
            interval: settings.interval,
            verify_tls: settings.verify_tls,
            view,
        }
    }
}
