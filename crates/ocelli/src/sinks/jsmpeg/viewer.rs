//! One JSMpeg viewer.

use super::stream::{self, Messages};
use crate::sinks::news::{News, Stay};
use crate::sinks::playback::GOODBYE;
use crate::visitor::Identity;
use ocelli_core::{Camera, Follower, Form, Frame, Quality};
use ocelli_net::bell::Bell;
use ocelli_net::counts::{Viewing, Way};
use ocelli_net::websocket::{Incoming, Socket, close};
use serde_json::json;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};
use tokio_util::sync::WaitForCancellationFuture;
use tokio_websockets::Message;

/// How often a viewer that asks for it is told how old the pictures are.
const INFO_INTERVAL: Duration = Duration::from_secs(1);

/// How a message has a picture that is a message by itself.
const FORM: Form = Form::Bare;

/// What a viewer asks for.
pub(super) struct Wish {
    pub form: stream::Form,
    pub quality: Quality,
    /// Whether it wants text messages that say how old the pictures are.
    pub info: bool,
}

pub(super) struct Viewer {
    socket: Socket,
    camera: Arc<Camera>,
    wish: Wish,
    stay: Stay,
    viewing: Viewing,
    follower: Follower,
    messages: Messages,
    infos: Interval,
    news: News,
    /// Rings for whatever is not a picture.
    bell: Bell,
    /// For who wants to know how old it is.
    newest: Option<Frame>,
    /// The camera's state when this viewer came: an old failure is no news.
    revision: u64,
}

enum Event {
    Came(Incoming),
    Over(&'static str),
    InfoDue,
    News,
    Stopped,
}

impl Viewer {
    pub(super) fn new(
        socket: Socket,
        identity: &Identity,
        stay: Stay,
        camera: Arc<Camera>,
        wish: Wish,
    ) -> Self {
        let mut infos = interval_at(Instant::now() + INFO_INTERVAL, INFO_INTERVAL);
        infos.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let news = News::new(&identity.hub);
        Self {
            socket,
            stay,
            viewing: identity.front.counts.enter(Way::Jsmpeg),
            follower: camera.follow_mpeg1(wish.quality),
            messages: Messages::new(wish.form),
            infos,
            news,
            bell: Bell::default(),
            newest: None,
            revision: camera.revision(),
            camera,
            wish,
        }
    }

    pub(super) async fn run(mut self, identity: &Identity) {
        let mut stopped = pin!(identity.front.stopping.cancelled());
        loop {
            let next = std::future::poll_fn(|cx| self.poll_next(stopped.as_mut(), cx));
            match next.await {
                Event::Stopped => {
                    self.socket.close(1001, "the hub stops");
                    return self.socket.finish(GOODBYE).await;
                }
                Event::Over(why) => self.socket.close(close::UNAUTHORIZED, why),
                Event::InfoDue => self.inform(identity),
                Event::News => self.notice_the_end(),
                // Players of the classic kind say nothing, but may.
                Event::Came(Incoming::Text(_) | Incoming::Binary(_) | Incoming::TooLong) => {
                    identity.front.ignore(1)
                }
                Event::Came(Incoming::Closed) => return,
            }
        }
    }

    /// Sends the stream until there is something else to do. What is rare is polled
    /// when its [`Bell`] has rung, and not for each picture.
    fn poll_next(
        &mut self,
        stopped: Pin<&mut WaitForCancellationFuture<'_>>,
        cx: &mut Context<'_>,
    ) -> Poll<Event> {
        self.socket.take_back(self.follower.ready(), FORM);
        self.bell.hear(cx);
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
            if let Some(message) = self.messages.next() {
                self.socket.send_binary(message);
                continue;
            }
            if self.messages.wants_header()
                && let Some(size) = self.camera.mpeg1_size(self.wish.quality)
            {
                let header = self.messages.header(size);
                self.socket.send_binary(header);
                continue;
            }
            let Poll::Ready(frame) = self.follower.poll_next(cx) else {
                self.lend();
                return Poll::Pending;
            };
            if self.messages.wants_header()
                && let Some(size) = frame.size
            {
                let header = self.messages.header(size);
                self.socket.send_binary(header);
            }
            self.messages.take(&frame);
            self.viewing.tally().sent(frame.payload_len());
            if self.wish.info {
                self.newest = Some(frame);
            }
        }
    }

    /// Lends the socket to whoever publishes the next picture, where its message is the
    /// picture as it is, and nobody asks what it was.
    fn lend(&self) {
        if self.messages.are_pictures() && !self.wish.info {
            let (ready, tally) = (self.follower.ready(), self.viewing.tally());
            self.socket.lend(ready, FORM, stream::LONGEST, tally);
        }
    }

    /// Whatever is not a picture.
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
        if self.news.any(cx) {
            self.news.take();
            return Poll::Ready(Event::News);
        }
        if self.wish.info && self.infos.poll_tick(cx).is_ready() {
            return Poll::Ready(Event::InfoDue);
        }
        Poll::Pending
    }

    fn inform(&mut self, identity: &Identity) {
        let Some(newest) = &self.newest else {
            return;
        };
        let info = json!({
            "type": "info",
            "fps": (self.camera.status().fps * 10.0).round() / 10.0,
            "captureTime": newest.taken().0,
            "hubTime": identity.hub.clock().now().0,
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
            let end = reason.floor_char_boundary(close::REASON_LIMIT);
            self.socket.close(1011, &reason[..end]);
        }
    }
}
