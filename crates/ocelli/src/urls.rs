//! The URLs that the hub gives out, made in this one place.

use crate::visitor::Identity;
use axum::extract::{FromRef, FromRequestParts};
use http::request::Parts;
use ocelli_core::CameraId;
use ocelli_net::request::Peer;
use std::convert::Infallible;
use std::sync::Arc;

/// Where whoever asks reaches this hub.
#[derive(Clone, Debug)]
pub struct Urls {
    /// Scheme and host, like `http://cams.lan:8080`.
    origin: String,
}

impl<S: Send + Sync> FromRequestParts<S> for Urls
where
    Arc<Identity>: FromRef<S>,
{
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let origin_policy = &Arc::<Identity>::from_ref(state).front.origin_policy;
        let peer = parts.extensions.get::<Peer>();
        let origin = peer.map(|peer| origin_policy.own_address(peer));
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

/// The link by which a password is set. The code is in its fragment, which browsers
/// send to nobody.
pub fn sign_in_link(origin: &str, code: &str) -> String {
    format!("{origin}/sign-in#code={code}")
}
