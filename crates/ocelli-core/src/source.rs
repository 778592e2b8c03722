//! What brings pictures in, what derives others from them, and how they fail.
//!
//! Both make **one attempt**: whether, when and how often to try again is decided
//! in [`crate::upstream`] alone.

use crate::budget::{Budget, Overspent, PeerKind};
use crate::capacity::Capacity;
use crate::demand::Derived;
use crate::frame::Picture;
use crate::state::State;
use crate::streams::Streams;
use crate::subscription::Follower;
use crate::text::shown;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// How an attempt failed: what a program may act on. The reason is for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// The address answers, but not to this user and password.
    Unauthorized,
    /// The address answers, but has no such stream.
    NotFound,
    /// Nothing answers there.
    Unreachable,
    /// What is sent is no video, or none that can be shown.
    Unsupported,
    /// It worked and then ended or broke off.
    Ended,
    /// Connected, and no picture for too long.
    Silent,
    /// Something on this machine is missing, such as a program or a file.
    Missing,
}

/// Why an attempt ended, in the words that the person at the wall reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The kind.
    pub kind: FailureKind,
    /// One line; never holds a password nor a control character.
    pub reason: String,
}

impl Failure {
    /// A failure of `kind` for `reason`. Cameras and programs have a part in the words, so
    /// control characters in it are escaped, and what has the form of a secret is hidden.
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

impl From<Overspent> for Failure {
    fn from(overspent: Overspent) -> Self {
        Self::new(FailureKind::Unsupported, overspent.to_string())
    }
}

/// One attempt under way. Dropping it ends the attempt and all that belongs to it.
pub type RunOnce = Pin<Box<dyn Future<Output = Result<(), Failure>> + Send>>;

/// The end of what attempts left behind.
pub type Left = Pin<Box<dyn Future<Output = ()> + Send>>;

/// How long a camera may bring no picture, unless its source says otherwise.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// The code that fetches a camera's native stream.
pub trait Source: Send + Sync + 'static {
    /// Connects and publishes pictures until the stream ends (`Ok`) or fails.
    fn run_once(self: Arc<Self>, publisher: Publisher) -> RunOnce;

    /// How long it may bring no picture before it counts as crashed.
    fn patience(&self) -> Duration {
        PATIENCE
    }

    /// Pixels across and down of its pictures, where that is known beforehand.
    fn size(&self) -> Option<(u16, u16)> {
        None
    }

    /// How many pictures a second it brings, where that is known beforehand.
    fn rate(&self) -> Option<f64> {
        None
    }

    /// Ready once nothing is left of the attempts that have ended: no connection, and no
    /// session at the camera. The hub waits for it, for at most [`crate::session::LEAVE`],
    /// before it connects to the same camera again. Called when an attempt was dropped.
    fn left(self: Arc<Self>) -> Left {
        Box::pin(std::future::ready(()))
    }

    /// Whether the outside pushes to it. Then it alone knows whether somebody is
    /// there: it is not watched for silence, and says its state itself
    /// ([`Publisher::set_state`]).
    fn is_ingest(&self) -> bool {
        false
    }
}

/// The code that derives a stream from the one that the camera sends.
pub trait Rendition: Send + Sync + 'static {
    /// Reads `input` and publishes pictures until it fails.
    fn run_once(self: Arc<Self>, input: Follower, publisher: Publisher) -> RunOnce;

    /// Pixels across and down of what it makes of pictures of this size, where it
    /// can tell beforehand.
    fn size_of(&self, _input: (u16, u16)) -> Option<(u16, u16)> {
        None
    }
}

/// What can be derived of one camera's stream.
#[derive(Clone, Default)]
pub struct Renditions {
    /// JPEG of a stream that is none.
    pub jpeg: Option<Arc<dyn Rendition>>,
    /// MPEG-1 of any stream.
    pub mpeg1: Option<Arc<dyn Rendition>>,
}

impl Renditions {
    /// What makes this stream, if this hub has anything that does.
    pub(crate) fn of(&self, derived: Derived) -> Option<&Arc<dyn Rendition>> {
        match derived {
            Derived::Jpeg => self.jpeg.as_ref(),
            Derived::Mpeg1 => self.mpeg1.as_ref(),
        }
    }
}

/// Where an attempt puts its pictures.
pub struct Publisher {
    streams: Arc<Streams>,
    derived: Option<Derived>,
    /// Ends the attempt; none once it has.
    end: Mutex<Option<oneshot::Sender<Failure>>>,
}

impl Publisher {
    /// Of one attempt, which is over when the receiver has a failure.
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

    /// Makes `picture` the newest of its stream. Never waits. One that is larger than
    /// the hub takes goes nowhere, and ends the attempt.
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

    /// Says what an ingest is doing; a picture says by itself that it is live.
    pub fn set_state(&self, state: State) {
        self.streams.set_state(state);
    }

    /// Notes what went wrong with an ingest; it is told until a picture comes.
    pub fn note_failure(&self, reason: &str) {
        self.streams.note_failure(reason);
    }

    /// Marks that the next picture does not continue from the last one, which stays.
    pub fn interrupt(&self) {
        self.streams.interrupt();
    }

    /// A budget for what this attempt reads.
    pub fn budget(&self, kind: PeerKind) -> Budget {
        self.streams.common.budgets.budget(kind)
    }

    /// What the hub's cameras may cost.
    pub fn capacity(&self) -> &Capacity {
        &self.streams.common.capacity
    }

    /// The hub's clock, for pictures that are stamped where they are made.
    pub fn now(&self) -> crate::clock::Timestamp {
        self.streams.common.clock.now()
    }
}
