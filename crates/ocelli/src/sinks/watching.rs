//! A viewer of one camera, by an address that names it: its pictures continue when the
//! camera is reconfigured, and end when it is deleted.

use futures_util::Stream;
use ocelli_core::{Camera, Follower, Frame, Hub, Quality, Ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio_stream::wrappers::WatchStream;

/// One viewer's subscription to one camera.
pub struct Watching {
    hub: Arc<Hub>,
    camera: Arc<Camera>,
    quality: Quality,
    follower: Follower,
    stopped: WatchStream<bool>,
}

impl Watching {
    /// Starts to watch.
    pub fn new(hub: Arc<Hub>, camera: Arc<Camera>, quality: Quality) -> Self {
        Self {
            follower: camera.follow(quality),
            stopped: WatchStream::new(camera.stopped()),
            hub,
            camera,
            quality,
        }
    }

    /// The camera in its current configuration.
    pub fn camera(&self) -> &Camera {
        &self.camera
    }

    /// The readiness that a direct write needs.
    pub fn ready(&self) -> &Ready {
        self.follower.ready()
    }

    /// The next frame for this viewer; `None` when the camera has been deleted.
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
