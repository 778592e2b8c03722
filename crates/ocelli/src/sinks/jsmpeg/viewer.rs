//! One JSMpeg viewer.

use super::stream::{self, Messages};
use crate::sinks::changes::{HubChanges, ViewingPermission};
use crate::visitor::Identity;
use ocelli_core::{Camera, Follower, Form, Frame, Quality, Ready};
use ocelli_net::counts::Transport;
use ocelli_net::websocket::{Delivery, FrameSender, Next, Socket, close};
use serde_json::json;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};
use tokio_websockets::Message;

/// How often a viewer that requests it is sent the age of the pictures.
const INFO_INTERVAL: Duration = Duration::from_secs(1);

/// What a viewer requests.
pub(super) struct ViewerOptions {
    pub form: stream::Form,
    pub quality: Quality,
    /// Whether to send text messages with the age of the pictures.
    pub info: bool,
}

/// Sends a camera's stream to one viewer until it disconnects or the hub stops.
pub(super) async fn serve(
    socket: Socket,
    identity: Arc<Identity>,
    permission: ViewingPermission,
    camera: Arc<Camera>,
    options: ViewerOptions,
) {
    let sender = FrameSender::new(
        socket,
        Form::Bare,
        &identity.server_state,
        Transport::Jsmpeg,
    );
    let mut viewer = Viewer::new(identity, permission, camera, options);
    sender.run(&mut viewer).await;
}

struct Viewer {
    identity: Arc<Identity>,
    camera: Arc<Camera>,
    options: ViewerOptions,
    permission: ViewingPermission,
    follower: Follower,
    messages: Messages,
    info_timer: Interval,
    changes: HubChanges,
    /// The newest frame, for viewers that request its age.
    newest: Option<Frame>,
    /// The camera's revision that the viewer has seen. An earlier failure does not close the
    /// socket.
    revision: u64,
}

impl Viewer {
    fn new(
        identity: Arc<Identity>,
        permission: ViewingPermission,
        camera: Arc<Camera>,
        options: ViewerOptions,
    ) -> Self {
        let mut info_timer = interval_at(Instant::now() + INFO_INTERVAL, INFO_INTERVAL);
        info_timer.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let changes = HubChanges::new(&identity.hub);
        Self {
            identity,
            permission,
            follower: camera.follow_mpeg1(options.quality),
            messages: Messages::new(options.form),
            info_timer,
            changes,
            newest: None,
            revision: camera.revision(),
            camera,
            options,
        }
    }

    fn send_info(&self, socket: &mut Socket) {
        let Some(newest) = &self.newest else {
            return;
        };
        let info = json!({
            "type": "info",
            "fps": (self.camera.status().fps * 10.0).round() / 10.0,
            "captureTime": newest.taken().0,
            "hubTime": self.identity.hub.clock().now().0,
        });
        socket.send(Message::text(info.to_string()));
    }

    /// Closes the socket if the camera has failed: the page is notified by the close and may
    /// reconnect, instead of showing a still picture.
    fn close_on_failure(&mut self, socket: &mut Socket) {
        let revision = self.camera.revision();
        if revision == self.revision {
            return;
        }
        self.revision = revision;
        if let Some(reason) = self.camera.mpeg1_failure(self.options.quality) {
            let end = reason.floor_char_boundary(close::REASON_LIMIT);
            socket.close(1011, &reason[..end]);
        }
    }
}

impl Delivery for Viewer {
    fn ready(&self) -> &Ready {
        self.follower.ready()
    }

    /// A direct write is possible if the message is the unchanged picture and the viewer
    /// requests no information about it.
    fn longest_direct(&self) -> Option<usize> {
        let as_it_is = self.messages.are_pictures() && !self.options.info;
        as_it_is.then_some(stream::LONGEST)
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Next> {
        if let Some(message) = self.messages.next() {
            return Poll::Ready(Next::Message(message));
        }
        if self.messages.wants_header()
            && let Some(size) = self.camera.mpeg1_size(self.options.quality)
        {
            return Poll::Ready(Next::Message(self.messages.header(size)));
        }
        let frame = ready!(self.follower.poll_next(cx));
        self.messages.take(&frame);
        let len = frame.payload_len();
        if self.options.info {
            self.newest = Some(frame);
        }
        Poll::Ready(Next::Taken(len))
    }

    fn poll_rare(&mut self, socket: &mut Socket, cx: &mut Context<'_>) -> Poll<()> {
        if let Poll::Ready(why) = self.permission.poll_revoked(cx) {
            socket.close(close::UNAUTHORIZED, why);
            return Poll::Ready(());
        }
        if self.changes.any(cx) {
            self.changes.take();
            self.close_on_failure(socket);
            return Poll::Ready(());
        }
        if self.options.info && self.info_timer.poll_tick(cx).is_ready() {
            self.send_info(socket);
            return Poll::Ready(());
        }
        Poll::Pending
    }

    // JSMpeg players send nothing, but are allowed to.
    fn text(&mut self, _: String, _: &mut Socket) {
        self.identity.server_state.ignore(1);
    }

    fn binary(&mut self, _: &mut Socket) {
        self.identity.server_state.ignore(1);
    }
}
