//! The URLs that the hub gives out, made in this one place.

use crate::connection::Peer;
use axum::extract::FromRequestParts;
use http::header::HOST;
use http::request::Parts;
use ocelli_core::CameraId;
use std::convert::Infallible;

/// Where whoever asks reaches this hub: by the name that they asked for.
#[derive(Clone, Debug)]
pub struct Urls {
    host: String,
}

impl<S: Send + Sync> FromRequestParts<S> for Urls {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        // The Host rule has let it pass, so it is one of the hub's own names.
        let named = parts.uri.authority().map(ToString::to_string).or_else(|| {
            let host = parts.headers.get(HOST)?;
            host.to_str().ok().map(str::to_owned)
        });
        let reached = || {
            let peer = parts.extensions.get::<Peer>();
            peer.map(|peer| peer.local.to_string()).unwrap_or_default()
        };
        Ok(Self {
            host: named.unwrap_or_else(reached),
        })
    }
}

impl Urls {
    fn http(&self, path: &str) -> String {
        format!("http://{}{path}", self.host)
    }

    fn ws(&self, path: &str) -> String {
        format!("ws://{}{path}", self.host)
    }

    /// Where a camera's device pushes.
    pub fn ingest(&self, camera: &CameraId) -> String {
        let (app, room) = (camera.app(), camera.full_room());
        self.ws(&format!("/ingest/ws?app={app}&room={room}"))
    }

    /// Its stream over a WebSocket.
    pub fn socket(&self, camera: &CameraId) -> String {
        let (app, room) = (camera.app(), camera.full_room());
        self.ws(&format!("/live/ws?app={app}&room={room}"))
    }

    /// Its stream as MJPEG.
    pub fn mjpeg(&self, camera: &CameraId) -> String {
        let (app, room) = (camera.app(), camera.full_room());
        self.http(&format!("/live/{app}/{room}/mjpeg"))
    }

    /// Its last frame.
    pub fn frame(&self, camera: &CameraId) -> String {
        let (app, room) = (camera.app(), camera.full_room());
        self.http(&format!("/live/{app}/{room}/frame.jpg"))
    }

    /// A page that plays it, also inside of another.
    pub fn player(&self, camera: &CameraId) -> String {
        let (app, room) = (camera.app(), camera.full_room());
        self.http(&format!("/play/{app}/{room}"))
    }
}
