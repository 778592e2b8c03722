//! One JSMpeg viewer.

use super::stream::{self, Messages};
use crate::sinks::changes::ViewingPermission;
use crate::sinks::watching::{Encoding, Watching};
use crate::visitor::Identity;
use ocelli_core::{Camera, Form, Frame, Quality, Ready};
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

/// Sends a camera's stream to one viewer until it disconnects, the camera is deleted or the hub
/// stops. While the camera fails the socket stays open, because the classic players do not
/// reconnect.
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
    options: ViewerOptions,
    permission: ViewingPermission,
    watching: Watching,
    messages: Messages,
    info_timer: Interval,
    /// The newest frame, for viewers that request its age.
    newest: Option<Frame>,
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
        let hub = identity.hub.clone();
        Self {
            identity,
            permission,
            watching: Watching::new(hub, camera, options.quality, Encoding::Mpeg1),
            messages: Messages::new(options.form),
            info_timer,
            newest: None,
            options,
        }
    }

    /// Returns the size for the header, as soon as it is known. From then on, all viewers'
    /// pictures have this size.
    fn announced_size(&self) -> Option<(u16, u16)> {
        let (camera, quality) = (self.watching.camera(), self.options.quality);
        let size = camera.mpeg1_size(quality)?;
        Some(camera.fix_mpeg1_size(quality, size))
    }

    fn send_info(&self, socket: &mut Socket) {
        let camera = self.watching.camera();
        let failure = camera.mpeg1_failure(self.options.quality);
        if self.newest.is_none() && failure.is_none() {
            return;
        }
        let mut info = json!({
            "type": "info",
            "fps": (camera.status().fps * 10.0).round() / 10.0,
            "hubTime": self.identity.hub.clock().now().0,
        });
        if let Some(newest) = &self.newest {
            info["captureTime"] = newest.taken().0.into();
        }
        if let Some(failure) = failure {
            info["failure"] = failure.into();
        }
        socket.send(Message::text(info.to_string()));
    }
}

impl Delivery for Viewer {
    fn ready(&self) -> &Ready {
        self.watching.ready()
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
            && let Some(size) = self.announced_size()
        {
            return Poll::Ready(Next::Message(self.messages.header(size)));
        }
        let Some(frame) = ready!(self.watching.poll_next(cx)) else {
            return Poll::Ready(Next::End(1000, "the camera is gone"));
        };
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
