//! `WS /ingest/ws?app=&room=[&identity=]`: a device connects and is admitted. `session`
//! reads what it sends after that.

use super::Refusal;
use super::admission::{Admission, AdmissionRequest, admit};
use super::devices::Ingest;
use super::session::{Session, refuse_device};
use crate::answer::QueryParams;
use crate::auth::STREAM_KEY_PREFIX;
use crate::visitor::bearer;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use axum::routing::any;
use axum::{Extension, Router};
use http::Request;
use ocelli_core::name::check_room;
use ocelli_core::text::has_secret;
use ocelli_net::counts;
use ocelli_net::request::Peer;
use ocelli_net::throttle::AddressPrefix;
use ocelli_net::websocket::{self, Incoming, ReadLimits, Socket};
use serde::Deserialize;
use std::future::poll_fn;
use std::sync::Arc;
use tokio::runtime::Handle;

/// The subprotocol that the WebSocket library common on boards requests. That library
/// accepts a response without it, but other libraries close if the subprotocol is not
/// confirmed.
const PROTOCOL: &str = "arduino";
/// The route of the ingest socket.
pub fn routes(ingest: Arc<Ingest>) -> Router {
    Router::new()
        .route("/ingest/ws", any(open))
        .with_state(ingest)
}

#[derive(Deserialize)]
struct Query {
    #[serde(default)]
    app: String,
    #[serde(default)]
    room: String,
    identity: Option<String>,
    key: Option<String>,
}

async fn open(
    State(ingest): State<Arc<Ingest>>,
    Extension(peer): Extension<Peer>,
    QueryParams(query): QueryParams<Query>,
    request: Request<Body>,
) -> Response {
    let key = bearer(request.headers()).filter(|key| !key.is_empty());
    let key = key.map(str::to_owned).or(query.key);
    let key = key.filter(|key| key.starts_with(STREAM_KEY_PREFIX));
    let limits = ingest.identity.hub.app(&query.app).map(|app| app.ingest);
    let read_limits = ReadLimits::device(limits.unwrap_or_default().max_frame_bytes());
    let offered = websocket::offers(request.headers(), PROTOCOL);
    let connection = NewConnection {
        ingest: ingest.clone(),
        peer: peer.clone(),
        app: query.app,
        room: query.room,
        identity: query.identity.filter(|name| is_identity(name)),
        key,
    };
    let protocol = offered.then_some(PROTOCOL);
    websocket::upgrade_any_origin(
        &ingest.identity.server_state,
        &peer,
        request,
        protocol,
        read_limits,
        |socket| connection.serve(socket),
    )
}

/// Returns true if `name` is valid as a device's identity. Identities are displayed, so a
/// key that was put there by mistake is not valid.
pub fn is_identity(name: &str) -> bool {
    check_room(name).is_ok() && !has_secret(name)
}

/// A device that connects.
struct NewConnection {
    ingest: Arc<Ingest>,
    peer: Peer,
    app: String,
    room: String,
    identity: Option<String>,
    key: Option<String>,
}

impl NewConnection {
    async fn serve(self, mut socket: Socket) {
        let (admitted, early_end) = {
            let mut admitting = std::pin::pin!(self.admit());
            let mut early_end = None;
            // Messages that arrive before admission are discarded. The admission continues in the
            // store even if this task ends.
            let admitted = loop {
                tokio::select! {
                    biased;
                    admitted = &mut admitting => break admitted,
                    came = poll_fn(|cx| socket.poll(cx)), if early_end.is_none() => match came {
                        Incoming::Text(_) | Incoming::Binary(_) => {}
                        end => early_end = Some(end),
                    },
                }
            };
            (admitted, early_end)
        };
        let (ingest, remote) = (&self.ingest, self.peer.remote);
        match admitted {
            Ok(admission) if early_end.is_some() => {
                let stream = admission.device.stream_id.clone();
                let session = Session::new(ingest, socket, admission);
                let end = match early_end {
                    Some(Incoming::TooLong) => session.too_large(),
                    _ => session.end_reason(),
                };
                tracing::info!(peer = %remote, stream, reason = end.reason(),
                    "a device disconnected before it could push");
                session.finish(end).await;
            }
            Ok(admission) => {
                socket.exempt_from_address_limit();
                let stream = admission.device.stream_id.clone();
                tracing::info!(peer = %remote, stream, "a device pushes");
                let mut session = Session::new(ingest, socket, admission);
                let end = session.run().await;
                tracing::info!(peer = %remote, stream, reason = end.reason(),
                    "a device stopped pushing");
                session.finish(end).await;
            }
            Err(refusal) => {
                let room = format!("app {:?}, room {:?}", self.app, self.room);
                let reason = format!("{room}: {}", refusal.message);
                let server_state = &ingest.identity.server_state;
                server_state.refused(counts::Refusal::Device, remote, &reason);
                refuse_device(socket, &refusal).await;
            }
        }
    }

    /// Admits the device.
    async fn admit(&self) -> Result<Admission, Refusal> {
        let admitted = self.try_admit().await;
        match admitted {
            Err(refusal) if refusal.code == websocket::close::UNAUTHORIZED => {
                let address = AddressPrefix::from(self.peer.remote.ip());
                match self.ingest.failures.count(&address) {
                    Ok(()) => Err(refusal),
                    Err(_) => Err(Refusal::rate_limited()),
                }
            }
            admitted => admitted,
        }
    }

    async fn try_admit(&self) -> Result<Admission, Refusal> {
        let Ingest { identity, .. } = &*self.ingest;
        let Some(key) = &self.key else {
            return Err(Refusal::invalid_key(
                "a key is required: send it in the header `Authorization: Bearer wsk_…` or as `&key=wsk_…`",
            ));
        };
        let camera = identity.hub.resolve(&self.app, &self.room);
        let camera = camera.map_err(|error| Refusal::invalid_key(error.to_string()))?;
        let store_error =
            |error: crate::store::StoreError| Refusal::internal_error(error.to_string());
        let admission_request = AdmissionRequest {
            camera,
            key: identity.store.key().map_err(store_error)?.hash(key),
            identity: self.identity.clone(),
            runtime: Handle::current(),
        };
        let ingest = self.ingest.clone();
        let job = move |connection: &mut _| Ok(admit(&ingest, connection, admission_request));
        identity.store.call(job).await.map_err(store_error)?
    }
}
