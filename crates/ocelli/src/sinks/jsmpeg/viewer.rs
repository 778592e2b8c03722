//! One JSMpeg viewer.

use super::stream::{Form, Messages};
use crate::sinks::may_watch;
use crate::site::Site;
use crate::websocket::{Incoming, Socket, close};
use ocelli_core::{Camera, Follower, Frame, Quality};
use serde_json::json;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};
use tokio_websockets::Message;

/// How long a viewer may take to answer a close.
const GOODBYE: Duration = Duration::from_millis(400);
/// How often is looked whether it may still watch, and told what it asked for.
const LOOK: Duration = Duration::from_secs(1);
/// What a viewer is told who may not watch, or no more.
pub(super) const PRIVATE: &str = "playback in this app is not public";
/// The longest reason that a close has room for (RFC 6455, 5.5).
const LONGEST_REASON: usize = 123;

/// What a viewer asks for.
pub(super) struct Wish {
    pub form: Form,
    pub quality: Quality,
    /// Whether it wants text messages that say how old the pictures are.
    pub info: bool,
}

pub(super) struct Viewer {
    socket: Socket,
    camera: Arc<Camera>,
    wish: Wish,
    follower: Follower,
    messages: Messages,
    looks: Interval,
    changes: watch::Receiver<u64>,
    newest: Option<Frame>,
    /// The camera's state when this viewer came: an old failure is no news.
    revision: u64,
}

enum Event {
    Came(Incoming),
    Look,
    Changed,
}

impl Viewer {
    pub(super) fn new(socket: Socket, site: &Site, camera: Arc<Camera>, wish: Wish) -> Self {
        let mut looks = interval_at(Instant::now() + LOOK, LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let follower = camera.follow_mpeg1(wish.quality);
        Self {
            socket,
            follower,
            messages: Messages::new(wish.form),
            looks,
            changes: site.hub.changes(),
            newest: None,
            revision: camera.revision(),
            camera,
            wish,
        }
    }

    pub(super) async fn run(mut self, site: &Site) {
        let mut stopped = std::pin::pin!(site.stopping.cancelled());
        loop {
            let event = tokio::select! {
                event = next(
                    &mut self.socket,
                    &mut self.follower,
                    &mut self.messages,
                    &mut self.looks,
                    &mut self.newest,
                    || self.camera.mpeg1_size(self.wish.quality),
                ) => event,
                _ = self.changes.changed() => Event::Changed,
                () = &mut stopped => {
                    self.socket.close(1001, "the hub stops");
                    return self.socket.finish(GOODBYE).await;
                }
            };
            match event {
                Event::Look if !may_watch(&site.hub, self.camera.id().app()) => {
                    self.socket.close(close::UNAUTHORIZED, PRIVATE);
                }
                Event::Look => self.inform(site),
                Event::Changed => self.notice_the_end(),
                // Players of the classic kind say nothing, but may.
                Event::Came(Incoming::Text(_) | Incoming::Binary) => site.ignore(1),
                Event::Came(Incoming::Closed) => return,
            }
        }
    }

    fn inform(&mut self, site: &Site) {
        let Some(newest) = self.newest.as_ref().filter(|_| self.wish.info) else {
            return;
        };
        let info = json!({
            "type": "info",
            "fps": (self.camera.status().fps * 10.0).round() / 10.0,
            "captureTime": newest.taken().0,
            "hubTime": site.hub.clock().now().0,
        });
        self.socket.send(Message::text(info.to_string()));
    }

    /// A camera that failed is not waited for with an open socket and a still
    /// picture: the page learns of it by the close, and may come again.
    fn notice_the_end(&mut self) {
        let revision = self.camera.revision();
        if revision == self.revision {
            return;
        }
        self.revision = revision;
        if let Some(reason) = self.camera.mpeg1_failure(self.wish.quality) {
            self.socket.close(1011, cut(&reason));
        }
    }
}

fn cut(reason: &str) -> &str {
    let mut end = reason.len().min(LONGEST_REASON);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    &reason[..end]
}

/// Sends the stream until there is something else to do.
async fn next(
    socket: &mut Socket,
    follower: &mut Follower,
    messages: &mut Messages,
    looks: &mut Interval,
    newest: &mut Option<Frame>,
    size: impl Fn() -> Option<(u16, u16)>,
) -> Event {
    let poll = |cx: &mut Context<'_>| {
        loop {
            if let Poll::Ready(incoming) = socket.poll(cx) {
                return Poll::Ready(Event::Came(incoming));
            }
            if !socket.is_idle() {
                return Poll::Pending;
            }
            if let Some(message) = messages.next() {
                socket.send(Message::binary(message));
                continue;
            }
            if looks.poll_tick(cx).is_ready() {
                return Poll::Ready(Event::Look);
            }
            if let Some(header) = messages.header(size()) {
                socket.send(Message::binary(header));
                continue;
            }
            let Poll::Ready(frame) = follower.poll_next(cx) else {
                return Poll::Pending;
            };
            if let Some(header) = messages.header(frame.size) {
                socket.send(Message::binary(header));
            }
            messages.take(&frame);
            *newest = Some(frame);
        }
    };
    std::future::poll_fn(poll).await
}
