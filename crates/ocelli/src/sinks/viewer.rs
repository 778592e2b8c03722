//! `WS /live/ws?app=&room=`: one camera over one WebSocket.

use super::news::Stay;
use super::playback::{GOODBYE, Stream, refuse};
use super::watching::Watching;
use crate::answer::{Asked, Problem};
use crate::visitor::{Identity, Visitor};
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use axum::routing::any;
use axum::{Extension, Router};
use http::Request;
use ocelli_core::Form;
use ocelli_net::bell::Bell;
use ocelli_net::connection::Peer;
use ocelli_net::counts::{Viewing, Way};
use ocelli_net::websocket::{self, Incoming, Socket, close};
use serde::Deserialize;
use serde_json::json;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};
use tokio_util::sync::WaitForCancellationFuture;
use tokio_websockets::Message;

/// How often the viewer is told the frame rate.
const INFO_INTERVAL: Duration = Duration::from_secs(5);
/// When it is told first.
const FIRST_INFO: Duration = Duration::from_secs(1);

pub(super) fn routes() -> Router<Arc<Identity>> {
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
    State(identity): State<Arc<Identity>>,
    Extension(peer): Extension<Peer>,
    visitor: Result<Visitor, Problem>,
    Asked(asked): Asked<Place>,
    request: Request<Body>,
) -> Response {
    let found = visitor.and_then(|visitor| {
        let camera = visitor.find(&asked.app, &asked.room)?;
        Ok((Stay::new(&identity, visitor, &camera), camera))
    });
    let (stay, camera) = match found {
        Ok(found) => found,
        Err(problem) => return refuse(&identity, &peer, request, problem),
    };
    let served = identity.clone();
    websocket::upgrade(
        &identity.front,
        &peer,
        request,
        None,
        move |socket| async move {
            // The picture comes first.
            let mut infos = interval_at(Instant::now() + FIRST_INFO, INFO_INTERVAL);
            infos.set_missed_tick_behavior(MissedTickBehavior::Skip);
            let viewer = Viewer {
                socket,
                watching: Watching::new(served.hub.clone(), camera, asked.stream.into()),
                stay,
                infos,
                bell: Bell::default(),
                viewing: served.front.counts.enter(Way::LiveWs),
            };
            viewer.run(&served).await;
        },
    )
}

struct Viewer {
    socket: Socket,
    watching: Watching,
    stay: Stay,
    infos: Interval,
    /// Rings for whatever is not a frame.
    bell: Bell,
    viewing: Viewing,
}

enum Event {
    Came(Incoming),
    InfoDue,
    Over(&'static str),
    Gone,
    Stopped,
}

impl Viewer {
    async fn run(mut self, identity: &Identity) {
        let mut stopped = pin!(identity.front.stopping.cancelled());
        loop {
            let next = std::future::poll_fn(|cx| self.poll_next(stopped.as_mut(), cx));
            match next.await {
                Event::Stopped => {
                    self.socket.close(1001, "the hub stops");
                    return self.socket.finish(GOODBYE).await;
                }
                Event::Over(why) => self.socket.close(close::UNAUTHORIZED, why),
                Event::InfoDue => {
                    let fps = (self.watching.camera().status().fps * 10.0).round() / 10.0;
                    let now = identity.hub.clock().now();
                    let info = json!({ "type": "info", "fps": fps, "ts": now.0 / 1000 });
                    self.socket.send(Message::text(info.to_string()));
                }
                Event::Gone => {
                    self.socket.close(1000, "the camera is gone");
                    return self.socket.finish(GOODBYE).await;
                }
                Event::Came(Incoming::Text(_)) => identity.front.ignore(1),
                Event::Came(Incoming::Binary(_) | Incoming::TooLong) => {
                    self.socket.close(1003, "a viewer sends no binary messages");
                }
                Event::Came(Incoming::Closed) => return,
            }
        }
    }

    /// Sends frames until there is something else to do. What is rare is polled when
    /// its [`Bell`] has rung, and not for each frame; while there is nothing to do the
    /// socket is lent to whoever publishes the next.
    fn poll_next(
        &mut self,
        stopped: Pin<&mut WaitForCancellationFuture<'_>>,
        cx: &mut Context<'_>,
    ) -> Poll<Event> {
        self.socket.take_back(self.watching.ready(), Form::Bare);
        self.bell.hear(cx);
        // Cameras end when the hub does, which is told as what it is.
        if let Some(bell) = self.bell.due()
            && stopped.poll(&mut Context::from_waker(&bell)).is_ready()
        {
            return Poll::Ready(Event::Stopped);
        }
        loop {
            if ready!(self.socket.poll_written(cx)).is_err() {
                return Poll::Ready(Event::Came(Incoming::Closed));
            }
            if let Some(bell) = self.bell.due() {
                if let Poll::Ready(event) = self.poll_else(&mut Context::from_waker(&bell)) {
                    return Poll::Ready(event);
                }
                // While a message is being written not all of it was polled.
                if self.socket.is_idle() {
                    self.bell.settle();
                }
            }
            if !self.socket.is_idle() {
                return Poll::Pending;
            }
            let frame = match self.watching.poll_next(cx) {
                Poll::Ready(Some(frame)) => frame,
                Poll::Ready(None) => return Poll::Ready(Event::Gone),
                Poll::Pending => {
                    let (ready, tally) = (self.watching.ready(), self.viewing.tally());
                    self.socket.lend(ready, Form::Bare, usize::MAX, tally);
                    return Poll::Pending;
                }
            };
            self.viewing.tally().sent(frame.payload_len());
            self.socket.send_binary(frame.into_message(Form::Bare));
        }
    }

    /// Whatever is not a frame.
    fn poll_else(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        if let Poll::Ready(incoming) = self.socket.poll(cx) {
            return Poll::Ready(Event::Came(incoming));
        }
        if !self.socket.is_idle() {
            return Poll::Pending;
        }
        if let Poll::Ready(why) = self.stay.poll_over(cx) {
            return Poll::Ready(Event::Over(why));
        }
        if self.infos.poll_tick(cx).is_ready() {
            return Poll::Ready(Event::InfoDue);
        }
        Poll::Pending
    }
}
