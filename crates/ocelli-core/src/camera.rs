//! A camera: the device that a user names, with its one or two upstreams.

use crate::camera_subscription::{CameraSubscription, Delivery};
use crate::clock::Timestamp;
use crate::demand::{Lease, Want};
use crate::frame::{Codec, Frame};
use crate::name::CameraId;
use crate::ready::{Ready, Token};
use crate::session::Endpoint;
use crate::sound::{Sound, SoundFormat, SoundSubscription};
use crate::source::Failure;
use crate::state::{LastFailure, State};
use crate::streams::Streams;
use crate::subscription::Follower;
use crate::upstream::Upstream;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use tokio::sync::watch;

/// Which of a camera's streams is requested.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Quality {
    /// The main stream: full screen, snapshots, recorders.
    #[default]
    Main,
    /// The substream for tiles; the main stream if there is no substream.
    Sub,
}

/// Status of a camera.
#[derive(Clone, Debug, PartialEq)]
pub struct CameraStatus {
    /// Its state, with the reason.
    pub state: State,
    /// The last failure of either of its streams, until that stream works again.
    pub last_failure: Option<LastFailure>,
    /// The codec that it sends, once known.
    pub codec: Option<Codec>,
    /// Width and height of its newest picture.
    pub size: Option<(u16, u16)>,
    /// Frames per second of native video, JPEG or MPEG-1, whichever is watched; 0 unless the
    /// camera is live.
    pub fps: f64,
    /// Capture time of its newest picture, or its receipt time; unknown if there is no
    /// picture. Without viewers, a picture in any codec counts.
    pub taken: Timestamp,
    /// Number of viewers.
    pub viewers: usize,
    /// Frames superseded before a viewer took them, summed over all viewers.
    pub dropped: u64,
    /// Units of sound dropped before a viewer took them, summed over all viewers.
    pub dropped_sound: u64,
    /// JPEG and MPEG-1 frames since the hub started.
    pub frames: u64,
    /// Payload bytes of these frames.
    pub bytes: u64,
    /// Number of restarts of its sources.
    pub restarts: u64,
}

/// A stream of a camera, as it is listed.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamListing {
    /// Which of the camera's streams it is.
    pub quality: Quality,
    /// The codec that the camera sends.
    pub codec: Codec,
    /// The codec with profile and level, if known; see [`crate::Picture::codec_string`].
    pub codec_string: Option<Arc<str>>,
    /// Width and height in pixels, if known.
    pub size: Option<(u16, u16)>,
    /// Frames per second; 0 if unknown.
    pub fps: f64,
}

/// The user's name for a camera, and how often it was changed.
struct CameraName {
    name: String,
    changes: u64,
}

/// A camera.
pub struct Camera {
    id: CameraId,
    name: RwLock<CameraName>,
    kind: &'static str,
    main: Arc<Upstream>,
    sub: Option<Arc<Upstream>>,
    /// Whether its sources have been stopped permanently.
    stopped: watch::Sender<bool>,
    /// Whether it stays connected without viewers.
    keep: bool,
    /// The lease of a camera that stays connected, once started.
    kept: OnceLock<Lease>,
}

impl Camera {
    /// Creates a camera of source kind `kind`. With `keep`, it connects as soon as it is
    /// added to the hub, and stays connected.
    pub fn new(
        id: CameraId,
        name: String,
        kind: &'static str,
        main: Arc<Upstream>,
        sub: Option<Arc<Upstream>>,
        keep: bool,
    ) -> Self {
        Self {
            id,
            name: RwLock::new(CameraName { name, changes: 0 }),
            kind,
            main,
            sub,
            stopped: watch::Sender::new(false),
            keep,
            kept: OnceLock::new(),
        }
    }

    /// Connects a camera that stays connected without viewers.
    pub(crate) fn begin(&self) {
        if self.keep {
            self.kept.get_or_init(|| self.main.lease(Want::Connection));
        }
    }

    /// Returns its id.
    pub fn id(&self) -> &CameraId {
        &self.id
    }

    /// Returns the name that the user gave it.
    pub fn name(&self) -> String {
        let named = self.name.read().unwrap_or_else(PoisonError::into_inner);
        named.name.clone()
    }

    /// Renames it; its streams continue. [`crate::Hub::rename`] also notifies of the
    /// change.
    pub(crate) fn rename(&self, name: String) {
        let mut named = self.name.write().unwrap_or_else(PoisonError::into_inner);
        named.name = name;
        named.changes += 1;
    }

    /// Returns the kind of its source.
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// Whether it has a substream for tiles.
    pub fn has_substream(&self) -> bool {
        self.sub.is_some()
    }

    fn upstream(&self, quality: Quality) -> &Arc<Upstream> {
        match (quality, &self.sub) {
            (Quality::Sub, Some(sub)) => sub,
            _ => &self.main,
        }
    }

    fn upstreams(&self) -> impl Iterator<Item = &Arc<Upstream>> {
        std::iter::once(&self.main).chain(&self.sub)
    }

    /// Subscribes to one of its streams; `token` is queued in `ready` when a frame is due.
    pub fn subscribe(
        &self,
        quality: Quality,
        delivery: Delivery,
        ready: Arc<Ready>,
        token: Token,
    ) -> CameraSubscription {
        CameraSubscription::new(self.upstream(quality).clone(), delivery, ready, token)
    }

    /// Returns its streams whose codec is known.
    pub fn streams(&self) -> Vec<StreamListing> {
        let qualities = [Quality::Main, Quality::Sub].into_iter();
        let listed = qualities
            .zip(self.upstreams())
            .filter_map(|(quality, upstream)| {
                let streams = upstream.streams();
                let codec = streams.codec()?;
                let slot = match codec {
                    Codec::Jpeg => &streams.jpeg.slot,
                    _ => &streams.native,
                };
                let status = slot.status();
                Some(StreamListing {
                    quality,
                    codec,
                    codec_string: slot.codec_string(),
                    size: status.size,
                    fps: status.fps,
                })
            });
        listed.collect()
    }

    /// Returns the format of its sound, if it has sound: that of the main stream if that is
    /// played, otherwise that of the substream.
    pub fn sound(&self) -> Option<Arc<SoundFormat>> {
        self.current_sound()?.format()
    }

    /// Whether it has sound whose format is not known yet, but will be in a moment.
    pub fn expects_sound(&self) -> bool {
        self.upstreams()
            .any(|upstream| upstream.streams().sound.is_expected())
    }

    /// Subscribes to its sound, if it has any. Sound keeps no camera running. After a change of
    /// the camera, see [`Self::is_current_sound`].
    pub fn listen(&self, ready: Arc<Ready>, token: Token) -> Option<SoundSubscription> {
        let sound = self.current_sound()?;
        Some(SoundSubscription::new(sound.clone(), ready, token))
    }

    /// Whether [`Self::listen`] would subscribe to the same sound.
    pub fn is_current_sound(&self, subscription: &SoundSubscription) -> bool {
        self.current_sound()
            .is_some_and(|sound| subscription.is_to(sound))
    }

    fn current_sound(&self) -> Option<&Arc<Sound>> {
        let mut audible = self
            .upstreams()
            .map(|upstream| upstream.streams())
            .filter(|streams| streams.sound.format().is_some());
        let first = audible.next()?;
        // A stream that is live takes precedence over one that has failed.
        let live = |streams: &&Streams| streams.state() == State::Live;
        let chosen = match live(&first) {
            true => first,
            false => audible.find(live).unwrap_or(first),
        };
        Some(&chosen.sound)
    }

    /// Follows only its JPEG stream.
    pub fn follow(&self, quality: Quality) -> Follower {
        self.upstream(quality).follow_jpeg()
    }

    /// Follows only its stream as the camera sends it, if that is not JPEG.
    pub fn follow_native(&self, quality: Quality) -> Follower {
        self.upstream(quality).follow_native()
    }

    /// Follows only its MPEG-1 stream.
    pub fn follow_mpeg1(&self, quality: Quality) -> Follower {
        self.upstream(quality).follow_mpeg1()
    }

    /// Returns the width and height of its MPEG-1 stream, as soon as they are known.
    pub fn mpeg1_size(&self, quality: Quality) -> Option<(u16, u16)> {
        self.upstream(quality).mpeg1_size()
    }

    /// Fixes the size of its MPEG-1 stream as long as it has viewers, because a viewer has
    /// been told this size. Returns the size, which is another one if it was fixed before.
    pub fn fix_mpeg1_size(&self, quality: Quality, size: (u16, u16)) -> (u16, u16) {
        self.upstream(quality).fix_mpeg1_size(size)
    }

    /// Continues the MPEG-1 stream of the camera that it replaces, at the size that viewers were
    /// told. Returns false if viewers of this camera have been told another size.
    pub fn continue_mpeg1(&self, replaced: &Camera, quality: Quality) -> bool {
        let told = replaced.upstream(quality).streams().mpeg1.size();
        told.is_none_or(|size| self.fix_mpeg1_size(quality, size) == size)
    }

    /// Returns why it has no MPEG-1, if there is a failure.
    pub fn mpeg1_failure(&self, quality: Quality) -> Option<String> {
        self.upstream(quality).streams().mpeg1_failure()
    }

    /// Returns why no MPEG-1 viewer can start now, if the hub has no capacity left for it.
    /// Such a refusal is counted.
    pub fn mpeg1_refusal(&self, quality: Quality) -> Option<String> {
        self.upstream(quality).mpeg1_refusal()
    }

    /// Returns a number that changes whenever its state or its name changes.
    pub fn revision(&self) -> u64 {
        let named = self.name.read().unwrap_or_else(PoisonError::into_inner);
        let revision = |upstream: &Arc<Upstream>| upstream.streams().revision();
        let states: u64 = self.upstreams().map(revision).sum();
        states + named.changes
    }

    /// Makes a single attempt at its main stream. Returns the first JPEG. The camera must
    /// not be in a hub, which would retry it.
    ///
    /// # Errors
    /// Returns why the attempt failed.
    pub async fn try_once(&self) -> Result<Frame, Failure> {
        self.main.try_once().await
    }

    /// Returns which of its streams has this endpoint, if any.
    pub(crate) fn quality_at(&self, endpoint: &Endpoint) -> Option<Quality> {
        let qualities = [Quality::Main, Quality::Sub].into_iter();
        qualities
            .take(self.upstreams().count())
            .find(|quality| self.upstream(*quality).endpoint() == endpoint)
    }

    /// Returns the codec in which a stream arrives, once known.
    pub fn codec(&self, quality: Quality) -> Option<Codec> {
        self.upstream(quality).streams().codec()
    }

    /// Returns a picture of a stream that the hub already shows: the newest if it is live,
    /// otherwise the first that arrives. It opens no additional session.
    ///
    /// # Errors
    /// Returns why the next attempt failed.
    pub async fn current_frame(&self, quality: Quality) -> Result<Frame, String> {
        self.upstream(quality).current_frame().await
    }

    /// Shortens the wait before the next attempt, if it is waiting for one.
    pub fn retry(&self) {
        self.upstreams().for_each(|upstream| upstream.retry());
    }

    /// Stops its sources, even if there are viewers.
    pub fn stop(&self) {
        self.upstreams().for_each(|upstream| upstream.stop());
        self.stopped.send_replace(true);
    }

    /// Returns a receiver that becomes true when its sources are stopped permanently: when
    /// it was removed from the hub or replaced by another camera.
    pub fn stopped(&self) -> watch::Receiver<bool> {
        self.stopped.subscribe()
    }

    fn last_failure(&self) -> Option<LastFailure> {
        let of = |upstream: &Arc<Upstream>| upstream.streams().last_failure();
        let sub = self.sub.as_ref().and_then(of);
        let sub = sub.map(|last| LastFailure {
            reason: format!("substream: {}", last.reason),
            ..last
        });
        let both = [of(&self.main), sub].into_iter().flatten();
        both.max_by_key(|last| last.at)
    }

    /// Returns its status: that of the stream that plays, if there is one.
    pub fn status(&self) -> CameraStatus {
        let rank = |state: &State| match state {
            State::Live => 4,
            State::Stalled(_) => 3,
            State::Failed(_) => 2,
            State::Starting => 1,
            State::Idle => 0,
        };
        let mut shown = (self.main.streams(), self.main.streams().state());
        if let Some(sub) = &self.sub {
            let state = sub.streams().state();
            if rank(&state) > rank(&shown.1) {
                shown = (sub.streams(), state);
            }
        }
        let (streams, state) = shown;
        let is_live = state == State::Live;
        // The numbers are those of native video if it is watched, of JPEG, or of MPEG-1 if JPEG is
        // not watched.
        let native = streams.native.status();
        let (jpeg, mpeg1) = (streams.jpeg.slot.status(), streams.mpeg1.slot.status());
        let slot = if native.viewers > 0 && native.taken.is_known() {
            native
        } else if mpeg1.taken > jpeg.taken {
            mpeg1
        } else {
            jpeg
        };
        let is_watched = native.viewers + jpeg.viewers + mpeg1.viewers > 0;
        let mut status = CameraStatus {
            state,
            last_failure: self.last_failure(),
            codec: streams.codec(),
            size: match native.viewers {
                0 => jpeg.size.or(native.size),
                _ => native.size.or(jpeg.size),
            },
            fps: if is_live { slot.fps } else { 0.0 },
            taken: match is_watched {
                true => slot.taken,
                false => native.taken.max(jpeg.taken).max(mpeg1.taken),
            },
            viewers: 0,
            dropped: 0,
            dropped_sound: 0,
            frames: 0,
            bytes: 0,
            restarts: 0,
        };
        for upstream in self.upstreams() {
            let streams = upstream.streams();
            let native = streams.native.status();
            status.viewers += native.viewers;
            status.dropped += native.dropped;
            status.dropped_sound += streams.sound.dropped();
            for slot in [streams.jpeg.slot.status(), streams.mpeg1.slot.status()] {
                status.viewers += slot.viewers;
                status.dropped += slot.dropped;
                status.frames += slot.frames;
                status.bytes += slot.bytes;
            }
            status.restarts += upstream.restarts();
        }
        status
    }
}
