//! `WS /live/ws?app=&room=`: one camera over one WebSocket.

use super::{Stream, find, may_watch};
use crate::answer::Asked;
use crate::connection::Peer;
use crate::site::Site;
use crate::websocket::{self, Incoming, Socket, close};
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use axum::{Extension, Router};
use http::Request;
use ocelli_core::{Camera, Follower};
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};
use tokio_websockets::Message;

/// How often the viewer is told the frame rate.
const INFO_INTERVAL: Duration = Duration::from_secs(5);
/// When it is told first.
const FIRST_INFO: Duration = Duration::from_secs(1);
/// How long a viewer may take to answer a close.
const GOODBYE: Duration = Duration::from_millis(400);

/// What a viewer is told who may not watch, or no more.
const PRIVATE: &str = "playback in this app is not public";

pub(super) fn routes() -> Router<Arc<Site>> {
    Router::new().route("/live/ws", any(open))
}

#[derive(Deserialize)]
struct Place {
    #[serde(default)]
    app: String,
    #[serde(default)]
    room: String,
    #[serde(default)]
    stream: Stream,
}

async fn open(
    State(site): State<Arc<Site>>,
    Extension(peer): Extension<Peer>,
    Asked(asked): Asked<Place>,
    request: Request<Body>,
) -> Response {
    let hub = &site.hub;
    if hub.app(&asked.app).is_some() && !may_watch(hub, &asked.app) {
        // A browser learns nothing from a refused upgrade, but reads a close code.
        return websocket::upgrade(&site, &peer, request, None, |mut socket| async move {
            socket.close(close::UNAUTHORIZED, PRIVATE);
            socket.finish(GOODBYE).await;
        });
    }
    let camera = match find(hub, &asked.app, &asked.room) {
        Ok(camera) => camera,
        Err(problem) => return problem.into_response(),
    };
    let served = site.clone();
    websocket::upgrade(&site, &peer, request, None, move |socket| async move {
        // The picture comes first.
        let mut infos = interval_at(Instant::now() + FIRST_INFO, INFO_INTERVAL);
        infos.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let viewer = Viewer {
            socket,
            follower: camera.follow(asked.stream.into()),
            camera,
            infos,
        };
        viewer.run(&served).await;
    })
}

struct Viewer {
    socket: Socket,
    camera: Arc<Camera>,
    follower: Follower,
    infos: Interval,
}

enum Event {
    Came(Incoming),
    InfoDue,
}

impl Viewer {
    async fn run(mut self, site: &Site) {
        let mut stopped = std::pin::pin!(site.stopping.cancelled());
        loop {
            let event = tokio::select! {
                event = self.next() => event,
                () = &mut stopped => {
                    self.socket.close(1001, "the hub stops");
                    return self.socket.finish(GOODBYE).await;
                }
            };
            match event {
                Event::InfoDue if !may_watch(&site.hub, self.camera.id().app()) => {
                    self.socket.close(close::UNAUTHORIZED, PRIVATE);
                }
                Event::InfoDue => {
                    let fps = (self.camera.status().fps * 10.0).round() / 10.0;
                    let now = site.hub.clock().now();
                    let info = json!({ "type": "info", "fps": fps, "ts": now.0 / 1000 });
                    self.socket.send(Message::text(info.to_string()));
                }
                Event::Came(Incoming::Text(_)) => site.ignore(1),
                Event::Came(Incoming::Binary(_)) => {
                    self.socket.close(1003, "a viewer sends no binary messages");
                }
                Event::Came(Incoming::Closed) => return,
            }
        }
    }

    /// Sends frames until there is something else to do.
    async fn next(&mut self) -> Event {
        std::future::poll_fn(|cx| {
            loop {
                if let Poll::Ready(incoming) = self.socket.poll(cx) {
                    return Poll::Ready(Event::Came(incoming));
                }
                if !self.socket.is_idle() {
                    return Poll::Pending;
                }
                if self.infos.poll_tick(cx).is_ready() {
                    return Poll::Ready(Event::InfoDue);
                }
                let Poll::Ready(frame) = self.follower.poll_next(cx) else {
                    return Poll::Pending;
                };
                self.socket.send(Message::binary(frame.payload()));
            }
        })
        .await
    }
}
