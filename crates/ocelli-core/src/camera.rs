//! A camera: the device a person names, with its one or two upstreams.

use crate::clock::Timestamp;
use crate::demand::{Lease, Want};
use crate::frame::{Codec, Frame};
use crate::name::CameraId;
use crate::ready::{Ready, Token};
use crate::session::Endpoint;
use crate::source::Failure;
use crate::state::{LastFailure, State};
use crate::subscription::{Follower, Subscription};
use crate::upstream::Upstream;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use tokio::sync::watch;

/// Which of a camera's pictures is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Quality {
    /// The main stream: full screen, snapshots, recorders.
    #[default]
    Main,
    /// The small stream for tiles; the main one where there is no other.
    Sub,
}

/// What a camera tells of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct CameraStatus {
    /// What it is doing, with the reason.
    pub state: State,
    /// What went wrong last with either of its streams, until that works again.
    pub last_failure: Option<LastFailure>,
    /// The codec it sends, once it has.
    pub codec: Option<Codec>,
    /// Pixels across and down of its newest picture.
    pub size: Option<(u16, u16)>,
    /// Frames a second, of JPEG or of MPEG-1, whichever is watched.
    pub fps: f64,
    /// When its newest picture was taken; unknown when there is none.
    pub taken: Timestamp,
    /// Subscriptions on it.
    pub viewers: usize,
    /// Frames superseded before a viewer took them, over all viewers.
    pub dropped: u64,
    /// Frames of JPEG and MPEG-1 since the hub started.
    pub frames: u64,
    /// Payload bytes of these frames.
    pub bytes: u64,
    /// How often its source was restarted.
    pub restarts: u64,
}

/// What a person calls a camera, and how often that was changed.
struct Named {
    name: String,
    changes: u64,
}

/// A camera.
pub struct Camera {
    id: CameraId,
    name: RwLock<Named>,
    kind: &'static str,
    main: Arc<Upstream>,
    sub: Option<Arc<Upstream>>,
    /// Whether its sources were ended for good.
    stopped: watch::Sender<bool>,
    /// Whether it stays connected without viewers.
    keep: bool,
    /// Held by one that does, once it has begun.
    kept: OnceLock<Lease>,
}

impl Camera {
    /// A camera of source kind `kind`. With `keep` it is connected as soon as it is in
    /// the hub, and stays so.
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
            name: RwLock::new(Named { name, changes: 0 }),
            kind,
            main,
            sub,
            stopped: watch::Sender::new(false),
            keep,
            kept: OnceLock::new(),
        }
    }

    /// Begins to stay connected, where it does.
    pub(crate) fn begin(&self) {
        if self.keep {
            self.kept.get_or_init(|| self.main.lease(Want::Native));
        }
    }

    /// Its id.
    pub fn id(&self) -> &CameraId {
        &self.id
    }

    /// The name a person gave it.
    pub fn name(&self) -> String {
        let named = self.name.read().unwrap_or_else(PoisonError::into_inner);
        named.name.clone()
    }

    /// Gives it another name; its streams go on. [`crate::Hub::rename`] tells of it.
    pub(crate) fn rename(&self, name: String) {
        let mut named = self.name.write().unwrap_or_else(PoisonError::into_inner);
        named.name = name;
        named.changes += 1;
    }

    /// The kind of its source.
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// Whether it has a small stream for tiles.
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

    /// Subscribes to its JPEG stream; `ready` is raised with `token`.
    pub fn subscribe(&self, quality: Quality, ready: Arc<Ready>, token: Token) -> Subscription {
        let upstream = self.upstream(quality);
        let lease = upstream.lease(Want::Jpeg);
        let slot = upstream.streams().jpeg.slot.clone();
        Subscription::new(slot, Some(lease), ready, token)
    }

    /// Follows its JPEG stream alone.
    pub fn follow(&self, quality: Quality) -> Follower {
        self.upstream(quality).follow_jpeg()
    }

    /// Follows its MPEG-1 stream alone.
    pub fn follow_mpeg1(&self, quality: Quality) -> Follower {
        self.upstream(quality).follow_mpeg1()
    }

    /// Pixels across and down of its MPEG-1, once or as soon as that is known.
    pub fn mpeg1_size(&self, quality: Quality) -> Option<(u16, u16)> {
        self.upstream(quality).mpeg1_size()
    }

    /// Why it has no MPEG-1, if something is wrong.
    pub fn mpeg1_failure(&self, quality: Quality) -> Option<String> {
        self.upstream(quality).streams().mpeg1_failure()
    }

    /// Why nobody else can begin to watch its MPEG-1 now, if the hub has no capacity
    /// left for it; that is counted.
    pub fn mpeg1_refusal(&self, quality: Quality) -> Option<String> {
        self.upstream(quality).mpeg1_refusal()
    }

    /// A number that changes with its state and its name.
    pub fn revision(&self) -> u64 {
        let named = self.name.read().unwrap_or_else(PoisonError::into_inner);
        let revision = |upstream: &Arc<Upstream>| upstream.streams().revision();
        let states: u64 = self.upstreams().map(revision).sum();
        states + named.changes
    }

    /// One attempt at its main stream, and none after it: the first JPEG, or why
    /// there is none. The camera is to be in no hub, for there it would be tried anew.
    ///
    /// # Errors
    /// How the attempt failed.
    pub async fn try_once(&self) -> Result<Frame, Failure> {
        self.main.try_once().await
    }

    /// Which of its streams this endpoint is, if it is one.
    pub(crate) fn quality_at(&self, endpoint: &Endpoint) -> Option<Quality> {
        let qualities = [Quality::Main, Quality::Sub].into_iter();
        qualities
            .take(self.upstreams().count())
            .find(|quality| self.upstream(*quality).endpoint() == endpoint)
    }

    /// The codec that a stream arrives in, once it has.
    pub fn codec(&self, quality: Quality) -> Option<Codec> {
        self.upstream(quality).streams().codec()
    }

    /// A picture of a stream that the hub shows anyway: the newest where it is live, else
    /// the first that comes; or why the next attempt fails. It opens no session of its own.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn look(&self, quality: Quality) -> Result<Frame, String> {
        self.upstream(quality).look().await
    }

    /// Tries it again at once if it waits to be.
    pub fn retry(&self) {
        self.upstreams().for_each(|upstream| upstream.retry());
    }

    /// Ends its sources, whoever watches.
    pub fn stop(&self) {
        self.upstreams().for_each(|upstream| upstream.stop());
        self.stopped.send_replace(true);
    }

    /// Becomes true when its sources are ended for good: when it was taken out of
    /// the hub, or another took its place there.
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

    /// What it tells of itself: of the stream that plays, where one does.
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
        // Of what is shown: JPEG, or MPEG-1 where nobody asks for JPEG.
        let (jpeg, mpeg1) = (streams.jpeg.slot.status(), streams.mpeg1.slot.status());
        let slot = if mpeg1.taken > jpeg.taken {
            mpeg1
        } else {
            jpeg
        };
        let mut status = CameraStatus {
            state,
            last_failure: self.last_failure(),
            codec: streams.codec(),
            size: jpeg.size.or(streams.native.status().size),
            fps: slot.fps,
            taken: slot.taken,
            viewers: 0,
            dropped: 0,
            frames: 0,
            bytes: 0,
            restarts: 0,
        };
        for upstream in self.upstreams() {
            let streams = upstream.streams();
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
