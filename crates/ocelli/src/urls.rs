//! The URLs that the hub gives out, made in this one place.

use crate::site::Site;
use axum::extract::FromRequestParts;
use http::request::Parts;
use ocelli_core::CameraId;
use ocelli_net::connection::Peer;
use std::convert::Infallible;
use std::sync::Arc;

/// Where whoever asks reaches this hub.
#[derive(Clone, Debug)]
pub struct Urls {
    /// Scheme and host, like `http://cams.lan:8080`.
    origin: String,
}

impl FromRequestParts<Arc<Site>> for Urls {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, site: &Arc<Site>) -> Result<Self, Infallible> {
        let peer = parts.extensions.get::<Peer>();
        let origin = peer.map(|peer| {
            site.front
                .gate
                .own_address(&parts.uri, &parts.headers, peer)
        });
        Ok(Self {
            origin: origin.unwrap_or_default(),
        })
    }
}

impl Urls {
    fn http(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    fn ws(&self, path: &str) -> String {
        // https becomes wss by the same.
        format!("{}{path}", self.origin.replacen("http", "ws", 1))
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
