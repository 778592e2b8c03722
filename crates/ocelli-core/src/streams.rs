//! The streams of one upstream: their slots, what the hub tells of them, and the demand
//! for them. An attempt publishes into them without knowing what runs it.
//!
//! What does not belong here: when an attempt is made, and what makes a derived stream.
//! [`crate::upstream`] decides both.

use crate::budget::Budgets;
use crate::capacity::Capacity;
use crate::clock::Clock;
use crate::demand::{Demand, Derived};
use crate::derivation::Derivation;
use crate::frame::{Codec, Picture};
use crate::log_limiter::{Complaints, LogLimiter, Times};
use crate::slot::Slot;
use crate::state::{LastFailure, State};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;
use tokio::time::Instant;

/// What the streams of a hub share.
#[derive(Clone)]
pub(crate) struct Common {
    pub clock: Arc<dyn Clock>,
    pub capacity: Arc<Capacity>,
    pub budgets: Budgets,
    /// Bumped with each change of state.
    pub changes: Arc<watch::Sender<u64>>,
}

struct Inner {
    state: State,
    /// What went wrong last; none once pictures come.
    last_failure: Option<LastFailure>,
    log_limiters: Complaints,
    heard: Instant,
    lived: bool,
    revision: u64,
}

/// The streams that come of one connection to a camera.
pub(crate) struct Streams {
    /// The camera's id.
    pub id: String,
    pub common: Common,
    /// The stream as the camera sends it; empty while that is JPEG.
    pub native: Arc<Slot>,
    /// Filled by the camera itself where it sends JPEG.
    pub jpeg: Derivation,
    pub mpeg1: Derivation,
    pub demand: watch::Sender<Demand>,
    inner: Mutex<Inner>,
}

impl Streams {
    /// Of camera `id`; nothing has been published yet.
    pub fn new(id: String, common: Common) -> Self {
        let clock = &common.clock;
        Self {
            native: Arc::new(Slot::new(id.clone(), clock.clone())),
            jpeg: Derivation::new(&id, clock.clone()),
            mpeg1: Derivation::new(&id, clock.clone()),
            id,
            common,
            demand: watch::Sender::new(Demand::default()),
            inner: Mutex::new(Inner {
                state: State::Idle,
                last_failure: None,
                log_limiters: Complaints::default(),
                heard: Instant::now(),
                lived: false,
                revision: 0,
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The codec the camera sends, once it has.
    pub fn codec(&self) -> Option<Codec> {
        self.demand.borrow().codec
    }

    /// What the upstream is doing.
    pub fn state(&self) -> State {
        match self.jpeg.failure() {
            Some(reason) => State::Failed(reason),
            None => self.lock().state.clone(),
        }
    }

    /// What went wrong last with the camera's stream or with what is derived from it,
    /// until it works again.
    pub fn last_failure(&self) -> Option<LastFailure> {
        let mpeg1 = self.mpeg1.last_failure().map(|last| LastFailure {
            reason: format!("{}: {}", Derived::Mpeg1.name(), last.reason),
            ..last
        });
        let own = self.lock().last_failure.clone();
        let all = [own, self.jpeg.last_failure(), mpeg1].into_iter().flatten();
        all.max_by_key(|last| last.at)
    }

    /// A number that changes with the state.
    pub fn revision(&self) -> u64 {
        self.lock().revision
    }

    /// Why there is no MPEG-1: the camera's own trouble, or the rendition's.
    pub fn mpeg1_failure(&self) -> Option<String> {
        match &self.lock().state {
            State::Failed(reason) => Some(reason.clone()),
            _ => self.mpeg1.failure(),
        }
    }

    /// One of the derived streams.
    pub fn derived(&self, derived: Derived) -> &Derivation {
        match derived {
            Derived::Jpeg => &self.jpeg,
            Derived::Mpeg1 => &self.mpeg1,
        }
    }

    fn changed(&self, mut inner: MutexGuard<'_, Inner>) {
        inner.revision += 1;
        drop(inner);
        let changes = &self.common.changes;
        changes.send_modify(|generation| *generation += 1);
    }

    /// The upstream has been started.
    pub fn start(&self, state: State) {
        let mut inner = self.lock();
        inner.state = state;
        self.changed(inner);
    }

    /// The upstream has been stopped because nobody wants its streams.
    pub fn rest(&self) {
        let mut inner = self.lock();
        inner.state = State::Idle;
        self.native.clear();
        self.jpeg.clear();
        self.mpeg1.clear();
        self.mpeg1.works();
        self.changed(inner);
    }

    /// An attempt begins.
    pub fn begin(&self) {
        let mut inner = self.lock();
        inner.heard = Instant::now();
        inner.lived = false;
        drop(inner);
        self.interrupt();
    }

    /// When the attempt began or last brought a picture.
    pub fn heard(&self) -> Instant {
        self.lock().heard
    }

    /// `None` if a picture has come since `heard`; otherwise whether the attempt brought
    /// any before.
    pub fn quiet_since(&self, heard: Instant) -> Option<bool> {
        let inner = self.lock();
        (inner.heard == heard).then_some(inner.lived)
    }

    /// The attempt has ended. Returns whether it brought pictures.
    pub fn end(&self) -> bool {
        std::mem::take(&mut self.lock().lived)
    }

    /// The next picture of each stream does not continue from its last one.
    pub fn interrupt(&self) {
        self.native.interrupt();
        self.jpeg.slot.interrupt();
        self.mpeg1.slot.interrupt();
    }

    /// Returns whether that is a change. A reason is told as the last failure too, in whatever
    /// state it is later.
    pub fn set_state(&self, state: State) -> bool {
        let mut inner = self.lock();
        let new = inner.state != state;
        if new {
            if let Some(reason) = state.reason() {
                self.note(&mut inner, reason);
            }
            inner.state = state;
            self.changed(inner);
        }
        new
    }

    /// Notes what went wrong, whatever the state.
    pub fn note_failure(&self, reason: &str) {
        let mut inner = self.lock();
        if self.note(&mut inner, reason) {
            self.changed(inner);
        }
    }

    /// Whether that is news. The same again is not: it would be told to every viewer
    /// with each attempt.
    fn note(&self, inner: &mut Inner, reason: &str) -> bool {
        let at = self.common.clock.now();
        let reason = reason.to_owned();
        let last = inner.last_failure.replace(LastFailure { reason, at });
        last.map(|last| last.reason) != inner.last_failure.as_ref().map(|now| now.reason.clone())
    }

    /// Counts what the log could be told; how often it happened, if it is told.
    pub fn complain(&self, kind: fn(&mut Complaints) -> &mut LogLimiter) -> Option<Times> {
        kind(&mut self.lock().log_limiters).count(Instant::now())
    }

    /// Publishes a picture that the camera sent.
    pub fn take_native(&self, picture: Picture) {
        let codec = picture.codec;
        let slot = match codec {
            Codec::Jpeg => &self.jpeg.slot,
            _ => &self.native,
        };
        slot.publish(picture);
        // Asked first, for that is cheaper and nearly always the end of it.
        if self.codec() != Some(codec) {
            self.demand.send_modify(|demand| demand.codec = Some(codec));
            if codec == Codec::Jpeg && self.jpeg.works() {
                self.changed(self.lock());
            }
        }
        let mut inner = self.lock();
        inner.heard = Instant::now();
        inner.lived = true;
        if inner.state != State::Live || inner.last_failure.is_some() {
            let again = inner.state != State::Live;
            inner.state = State::Live;
            inner.last_failure = None;
            let worth = again.then(|| inner.log_limiters.live.count(Instant::now()));
            self.changed(inner);
            if let Some(times) = worth.flatten() {
                tracing::info!(camera = %self.id, state = "live", "live{times}");
            }
        }
    }

    /// Publishes a picture that was derived.
    pub fn take_derived(&self, derived: Derived, picture: Picture) {
        let derived = self.derived(derived);
        derived.slot.publish(picture);
        if derived.works() {
            self.changed(self.lock());
        }
    }

    /// A derived stream can't be made.
    pub fn fail_derived(&self, derived: Derived, reason: String) {
        if self.derived(derived).fail(reason) {
            self.changed(self.lock());
        }
    }

    /// Nobody waits for that stream now, so it does not fail either.
    pub fn rest_derived(&self, derived: Derived) {
        let news = match derived {
            Derived::Jpeg => self.jpeg.rest(),
            // Few ever watch it: once nobody does, its trouble is nobody's.
            Derived::Mpeg1 => self.mpeg1.works(),
        };
        if news {
            self.changed(self.lock());
        }
    }
}
