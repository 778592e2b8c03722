//! One camera being watched alone, by an address that names it: its pictures go on
//! when it is set anew, and end when it is deleted.

use futures_util::Stream;
use ocelli_core::{Camera, Follower, Frame, Hub, Quality, Ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio_stream::wrappers::WatchStream;

/// One viewer's hold on one camera.
pub struct Watching {
    hub: Arc<Hub>,
    camera: Arc<Camera>,
    quality: Quality,
    follower: Follower,
    stopped: WatchStream<bool>,
}

impl Watching {
    /// Begins to watch.
    pub fn new(hub: Arc<Hub>, camera: Arc<Camera>, quality: Quality) -> Self {
        Self {
            follower: camera.follow(quality),
            stopped: WatchStream::new(camera.stopped()),
            hub,
            camera,
            quality,
        }
    }

    /// The camera as it is set now.
    pub fn camera(&self) -> &Camera {
        &self.camera
    }

    /// What it waits on, to lend it an outlet.
    pub fn ready(&self) -> &Ready {
        self.follower.ready()
    }

    /// The next frame for this viewer; none when there is no such camera any more.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Frame>> {
        loop {
            if let Poll::Ready(frame) = self.follower.poll_next(cx) {
                return Poll::Ready(Some(frame));
            }
            if ready!(Pin::new(&mut self.stopped).poll_next(cx)) == Some(false) {
                continue;
            }
            let now = self.hub.find_by_id(self.camera.id().as_str());
            let Some(now) = now.filter(|now| !Arc::ptr_eq(now, &self.camera)) else {
                return Poll::Ready(None);
            };
            *self = Self::new(self.hub.clone(), now, self.quality);
        }
    }
}
