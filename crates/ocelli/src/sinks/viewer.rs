//! `WS /live/ws?app=&room=`: one camera over one WebSocket.

use super::changes::ViewingPermission;
use super::playback::{Stream, refuse};
use super::watching::{Encoding, Watching};
use crate::answer::{Problem, QueryParams};
use crate::visitor::{Identity, Visitor};
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use axum::routing::any;
use axum::{Extension, Router};
use http::Request;
use ocelli_core::{Form, Ready};
use ocelli_net::counts::Transport;
use ocelli_net::request::Peer;
use ocelli_net::websocket::{self, Delivery, FrameSender, Next, Socket, close};
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};
use tokio_websockets::Message;

/// How often the viewer is sent the frame rate.
const INFO_INTERVAL: Duration = Duration::from_secs(5);
/// When it is sent for the first time.
const FIRST_INFO: Duration = Duration::from_secs(1);

pub(super) fn routes() -> Router<Arc<Identity>> {
    Router::new().route("/live/ws", any(open))
}

#[derive(Deserialize)]
struct Query {
    #[serde(default)]
    app: String,
    #[serde(default)]
    room: String,
    #[serde(default)]
    stream: Stream,
}

async fn open(
    State(identity): State<Arc<Identity>>,
    Extension(peer): Extension<Peer>,
    visitor: Result<Visitor, Problem>,
    QueryParams(query): QueryParams<Query>,
    request: Request<Body>,
) -> Response {
    let found = visitor.and_then(|visitor| {
        let camera = visitor.find(&query.app, &query.room)?;
        Ok((ViewingPermission::new(&identity, visitor, &camera), camera))
    });
    let (permission, camera) = match found {
        Ok(found) => found,
        Err(problem) => return refuse(&identity, &peer, request, None, problem),
    };
    let served = identity.clone();
    websocket::upgrade(
        &identity.server_state,
        &peer,
        request,
        None,
        move |socket| async move {
            // The first picture is sent before the first information.
            let mut infos = interval_at(Instant::now() + FIRST_INFO, INFO_INTERVAL);
            infos.set_missed_tick_behavior(MissedTickBehavior::Skip);
            let sender =
                FrameSender::new(socket, Form::Bare, &served.server_state, Transport::LiveWs);
            let mut viewer = Viewer {
                watching: Watching::new(
                    served.hub.clone(),
                    camera,
                    query.stream.into(),
                    Encoding::Jpeg,
                ),
                identity: served,
                permission,
                infos,
            };
            sender.run(&mut viewer).await;
        },
    )
}

struct Viewer {
    identity: Arc<Identity>,
    watching: Watching,
    permission: ViewingPermission,
    infos: Interval,
}

impl Delivery for Viewer {
    fn ready(&self) -> &Ready {
        self.watching.ready()
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Next> {
        Poll::Ready(match ready!(self.watching.poll_next(cx)) {
            Some(frame) => Next::Frame(frame),
            None => Next::End(1000, "the camera is gone"),
        })
    }

    fn poll_rare(&mut self, socket: &mut Socket, cx: &mut Context<'_>) -> Poll<()> {
        if let Poll::Ready(why) = self.permission.poll_revoked(cx) {
            socket.close(close::UNAUTHORIZED, why);
            return Poll::Ready(());
        }
        ready!(self.infos.poll_tick(cx));
        let fps = (self.watching.camera().status().fps * 10.0).round() / 10.0;
        let now = self.identity.hub.clock().now();
        let info = json!({ "type": "info", "fps": fps, "ts": now.0 / 1000 });
        socket.send(Message::text(info.to_string()));
        Poll::Ready(())
    }

    fn text(&mut self, _: String, _: &mut Socket) {
        self.identity.server_state.ignore(1);
    }
}
