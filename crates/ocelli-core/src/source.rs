//! Sources, renditions, and how they fail.
//!
//! Both make **one attempt**. [`crate::upstream`] decides whether, when and how often to
//! retry.

use crate::budget::{Budget, BudgetExceeded, PeerKind};
use crate::capacity::Capacity;
use crate::clock::Timestamp;
use crate::demand::Derived;
use crate::frame::Picture;
use crate::sound::SoundFormat;
use crate::state::State;
use crate::streams::Streams;
use crate::subscription::Follower;
use crate::text::shown;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// Kind of a failure, for programs to act on. The reason is for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// The camera rejects the user name or password.
    Unauthorized,
    /// The address responds, but has no such stream.
    NotFound,
    /// Nothing responds at the address.
    Unreachable,
    /// The data is not video, or not video that can be shown.
    Unsupported,
    /// The stream worked, then ended or broke off.
    Ended,
    /// Connected, but no picture for too long.
    Silent,
    /// Something on this machine is missing, such as a program or a file.
    Missing,
}

/// Why an attempt ended, in words for the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The kind.
    pub kind: FailureKind,
    /// One line; never contains a password or a control character.
    pub reason: String,
}

impl Failure {
    /// Creates a failure of `kind` with `reason`. Part of the reason can come from cameras
    /// and programs, so control characters are escaped and anything that looks like a
    /// secret is hidden.
    pub fn new(kind: FailureKind, reason: impl AsRef<str>) -> Self {
        Self {
            kind,
            reason: shown(reason.as_ref()),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for Failure {}

impl From<BudgetExceeded> for Failure {
    fn from(exceeded: BudgetExceeded) -> Self {
        Self::new(FailureKind::Unsupported, exceeded.to_string())
    }
}

/// A running attempt. Dropping it ends the attempt and everything it started.
pub type RunOnce = Pin<Box<dyn Future<Output = Result<(), Failure>> + Send>>;

/// Completes when nothing is left of earlier attempts.
pub type Closed = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Longest time without a picture, unless the source sets another.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Fetches a camera's native stream.
pub trait Source: Send + Sync + 'static {
    /// Connects and publishes pictures until the stream ends (`Ok`) or fails.
    fn run_once(self: Arc<Self>, publisher: Publisher) -> RunOnce;

    /// Returns the longest time without a picture before the attempt counts as crashed. It is
    /// longer for a camera that was seen to send pictures at longer intervals.
    fn patience(&self) -> Duration {
        PATIENCE
    }

    /// Returns the width and height of its pictures, if known beforehand.
    fn size(&self) -> Option<(u16, u16)> {
        None
    }

    /// Returns its frame rate, if known beforehand.
    fn rate(&self) -> Option<f64> {
        None
    }

    /// Completes when nothing is left of the attempts that have ended: no connection, and
    /// no session at the camera. The hub waits for it, for at most
    /// [`crate::session::CLOSE_TIMEOUT`], before it connects to the same camera again. Called after
    /// an attempt was dropped.
    fn closed(self: Arc<Self>) -> Closed {
        Box::pin(std::future::ready(()))
    }

    /// Whether it receives pushed pictures. Only such a source can detect whether a device
    /// is connected: it is not monitored for silence, and it sets its own state
    /// ([`Publisher::set_state`]).
    fn is_ingest(&self) -> bool {
        false
    }
}

/// Derives a stream from the one that the camera sends.
pub trait Rendition: Send + Sync + 'static {
    /// Reads `input` and publishes pictures until it fails.
    fn run_once(self: Arc<Self>, input: Follower, publisher: Publisher) -> RunOnce;

    /// Returns the width and height of its output for input of this size, if known
    /// beforehand.
    fn size_of(&self, _input: (u16, u16)) -> Option<(u16, u16)> {
        None
    }
}

/// The renditions available for a camera's stream.
#[derive(Clone, Default)]
pub struct Renditions {
    /// JPEG, for streams in other codecs.
    pub jpeg: Option<Arc<dyn Rendition>>,
    /// MPEG-1, for any stream.
    pub mpeg1: Option<Arc<dyn Rendition>>,
}

impl Renditions {
    /// Returns the rendition for a derived stream, if there is one.
    pub(crate) fn of(&self, derived: Derived) -> Option<&Arc<dyn Rendition>> {
        match derived {
            Derived::Jpeg => self.jpeg.as_ref(),
            Derived::Mpeg1 => self.mpeg1.as_ref(),
        }
    }
}

/// Publishes the pictures of an attempt.
pub struct Publisher {
    streams: Arc<Streams>,
    derived: Option<Derived>,
    /// Ends the attempt; `None` once it has been ended.
    end: Mutex<Option<oneshot::Sender<Failure>>>,
}

impl Publisher {
    /// Creates the publisher of one attempt. The attempt is over when the receiver gets a
    /// failure.
    pub(crate) fn new(
        streams: Arc<Streams>,
        derived: Option<Derived>,
    ) -> (Self, oneshot::Receiver<Failure>) {
        let (end, ended) = oneshot::channel();
        let publisher = Self {
            streams,
            derived,
            end: Mutex::new(Some(end)),
        };
        (publisher, ended)
    }

    /// Makes `picture` the newest of its stream. Never waits. A picture that exceeds the
    /// hub's size limit is discarded and ends the attempt.
    pub fn publish(&self, mut picture: Picture) {
        if let Err(too_large) = self.capacity().admit(&mut picture) {
            let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(end) = end.take() {
                // The attempt may be over already.
                let _ = end.send(Failure::new(
                    FailureKind::Unsupported,
                    too_large.to_string(),
                ));
            }
            return;
        }
        match self.derived {
            Some(derived) => self.streams.take_derived(derived, picture),
            None => self.streams.take_native(picture),
        }
    }

    /// Sets the format of the camera's sound; `None` if it has none. To be called before the first
    /// picture of an attempt, if possible: viewers are told then.
    pub fn set_sound(&self, format: Option<SoundFormat>) {
        if self.derived.is_none() {
            self.streams.set_sound(format);
        }
    }

    /// Notes that the camera has sound whose format will be known with its first unit.
    pub fn expect_sound(&self) {
        if self.derived.is_none() {
            self.streams.sound.expect();
        }
    }

    /// Sends a unit of sound to the viewers that listen. `captured` is when its first sample was
    /// recorded, on the clock of the pictures. Never waits. Sound is no sign of life: a camera
    /// without pictures is stalled.
    pub fn publish_sound(&self, captured: Timestamp, payload: &[u8]) {
        if self.derived.is_none() {
            self.streams.sound.publish(captured, payload);
        }
    }

    /// Marks that sound is missing before the next unit.
    pub fn interrupt_sound(&self) {
        if self.derived.is_none() {
            self.streams.sound.interrupt();
        }
    }

    /// Records that media data arrived although no picture could be published yet, for
    /// example before the first key frame. The attempt is not given up while data arrives,
    /// within limits; the camera is not live because of it.
    pub fn note_received(&self) {
        if self.derived.is_none() {
            self.streams.note_received();
        }
    }

    /// Records that a derived stream has had no picture for `time`, although one is due. The camera
    /// is stalled until the next one.
    pub fn note_stalled(&self, time: Duration) {
        if let Some(derived) = self.derived {
            self.streams.stall_derived(derived, time);
        }
    }

    /// Fixes the size of a derived stream's pictures while it has viewers, and returns it. It is
    /// another one if viewers have been told a size before.
    pub fn fix_size(&self, size: (u16, u16)) -> (u16, u16) {
        match self.derived {
            Some(derived) => self.streams.derived(derived).fix_size(size),
            None => size,
        }
    }

    /// Sets the state of an ingest camera. Publishing a picture sets it to live.
    pub fn set_state(&self, state: State) {
        self.streams.set_state(state);
    }

    /// Returns the time without a picture after which the camera is stalled. It follows the
    /// intervals between the latest pictures.
    pub fn stall_timeout(&self) -> Duration {
        self.streams.stall_timeout()
    }

    /// Records the failure of an ingest camera; it is reported until a picture arrives.
    pub fn note_failure(&self, reason: &str) {
        self.streams.note_failure(reason);
    }

    /// Marks that the next picture does not continue from the last one. The last one is
    /// kept.
    pub fn interrupt(&self) {
        self.streams.interrupt();
    }

    /// Returns a budget for the data that this attempt reads.
    pub fn budget(&self, kind: PeerKind) -> Budget {
        self.streams.common.budgets.budget(kind)
    }

    /// Returns the hub's capacity for media processing.
    pub fn capacity(&self) -> &Capacity {
        &self.streams.common.capacity
    }

    /// Returns the time of the hub's clock, for pictures that are stamped where they are
    /// made.
    pub fn now(&self) -> Timestamp {
        self.streams.common.clock.now()
    }
}
