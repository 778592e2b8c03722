//! Builds the URLs that the hub hands out.

use crate::visitor::Identity;
use axum::extract::{FromRef, FromRequestParts};
use http::request::Parts;
use ocelli_core::CameraId;
use ocelli_net::request::Peer;
use std::convert::Infallible;
use std::sync::Arc;

/// The hub's URLs, based on the origin that the requester used.
#[derive(Clone, Debug)]
pub struct Urls {
    /// Scheme and host, such as `http://cams.lan:8080`.
    origin: String,
}

impl<S: Send + Sync> FromRequestParts<S> for Urls
where
    Arc<Identity>: FromRef<S>,
{
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let origin_policy = &Arc::<Identity>::from_ref(state).server_state.origin_policy;
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
        // The same replacement turns https into wss.
        format!("{}{path}", self.origin.replacen("http", "ws", 1))
    }

    /// The ingest WebSocket of a camera's device.
    pub fn ingest(&self, camera: &CameraId) -> String {
        let (app, room) = (camera.app(), camera.full_room());
        self.ws(&format!("/ingest/ws?app={app}&room={room}"))
    }

    /// The camera's stream over WebSocket.
    pub fn socket(&self, camera: &CameraId) -> String {
        let (app, room) = (camera.app(), camera.full_room());
        self.ws(&format!("/live/ws?app={app}&room={room}"))
    }

    /// The camera's stream over WebSocket, opened by a play token.
    pub fn play(&self, camera: &CameraId, token: &str) -> String {
        let (app, room) = (camera.app(), camera.room());
        self.ws(&format!("/live/ws?app={app}&room={room}&token={token}"))
    }

    /// The wall that a link's token opens. The token is in the fragment.
    pub fn wall(&self, token: &str) -> String {
        self.http(&format!("/#wall={token}"))
    }

    /// The link for setting a password by a one-time code.
    pub fn sign_in(&self, code: &str) -> String {
        sign_in_link(&self.origin, code)
    }

    /// The camera's stream as MJPEG.
    pub fn mjpeg(&self, camera: &CameraId) -> String {
        let (app, room) = (camera.app(), camera.full_room());
        self.http(&format!("/live/{app}/{room}/mjpeg"))
    }

    /// The camera's newest frame as JPEG.
    pub fn frame(&self, camera: &CameraId) -> String {
        let (app, room) = (camera.app(), camera.full_room());
        self.http(&format!("/live/{app}/{room}/frame.jpg"))
    }

    /// The player page of the camera, which other sites may embed.
    pub fn player(&self, camera: &CameraId) -> String {
        let (app, room) = (camera.app(), camera.full_room());
        self.http(&format!("/play/{app}/{room}"))
    }
}

/// The link for setting a password. The code is in the fragment, which browsers never send
/// to a server.
pub fn sign_in_link(origin: &str, code: &str) -> String {
    format!("{origin}/sign-in#code={code}")
}
