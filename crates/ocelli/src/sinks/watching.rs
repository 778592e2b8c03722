//! A viewer of one camera that its URL names. Its pictures continue when the camera is
//! reconfigured, and end when the camera is deleted.

use futures_util::Stream;
use ocelli_core::{
    Camera, Codec, Follower, Frame, Hub, Quality, Ready, SoundFormat, SoundSubscription, SoundUnit,
};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio_stream::wrappers::WatchStream;

/// The encoding that a viewer gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// JPEG.
    Jpeg,
    /// MPEG-1.
    Mpeg1,
    /// What the camera sends, if that is not JPEG.
    Native,
}

/// One viewer's subscription to one camera.
pub struct Watching {
    hub: Arc<Hub>,
    camera: Arc<Camera>,
    quality: Quality,
    encoding: Encoding,
    follower: Follower,
    stopped: WatchStream<bool>,
    sound: Option<Sound>,
}

/// A subscription to the camera's sound, with the readiness on which it waits.
struct Sound {
    ready: Arc<Ready>,
    subscription: SoundSubscription,
}

impl Watching {
    /// Starts to watch.
    pub fn new(hub: Arc<Hub>, camera: Arc<Camera>, quality: Quality, encoding: Encoding) -> Self {
        Self {
            follower: match encoding {
                Encoding::Jpeg => camera.follow(quality),
                Encoding::Mpeg1 => camera.follow_mpeg1(quality),
                Encoding::Native => camera.follow_native(quality),
            },
            stopped: WatchStream::new(camera.stopped()),
            hub,
            camera,
            quality,
            encoding,
            sound: None,
        }
    }

    /// Listens to the camera's sound too, if it has sound. Returns its format.
    pub fn listen(&mut self) -> Option<Arc<SoundFormat>> {
        let ready = Arc::<Ready>::default();
        let subscription = self.camera.listen(ready.clone(), 0)?;
        let format = subscription.format();
        self.sound = Some(Sound {
            ready,
            subscription,
        });
        format
    }

    /// The camera in its current configuration.
    pub fn camera(&self) -> &Camera {
        &self.camera
    }

    /// The codec that the camera sends, once known.
    pub fn codec(&self) -> Option<Codec> {
        self.camera.codec(self.quality)
    }

    /// The ready queue, for direct writes.
    pub fn ready(&self) -> &Ready {
        self.follower.ready()
    }

    /// The next unit of sound, with its format.
    pub fn poll_sound(&mut self, cx: &mut Context<'_>) -> Poll<(SoundUnit, Arc<SoundFormat>)> {
        let Some(sound) = &self.sound else {
            return Poll::Pending;
        };
        if !self.camera.is_current_sound(&sound.subscription) {
            // Another stream of the camera has the sound now.
            self.listen();
        }
        let Some(sound) = &mut self.sound else {
            return Poll::Pending;
        };
        loop {
            let unit = sound.subscription.take();
            if let Some(next) = unit.zip(sound.subscription.format()) {
                return Poll::Ready(next);
            }
            ready!(sound.ready.poll_next(cx));
        }
    }

    /// The next frame for this viewer; `None` when the camera has been deleted, or replaced by
    /// one whose MPEG-1 has a size that the viewer can't show.
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
            if self.encoding == Encoding::Mpeg1 && !now.continue_mpeg1(&self.camera, self.quality) {
                return Poll::Ready(None);
            }
            let listens = self.sound.is_some();
            *self = Self::new(self.hub.clone(), now, self.quality, self.encoding);
            if listens {
                self.listen();
            }
        }
    }
}
