//! The streams of one upstream: slots, status and demand. An attempt publishes into them
//! and does not depend on its supervisor.
//!
//! [`crate::upstream`] decides when an attempt is made and which rendition makes a derived
//! stream.

use crate::budget::Budgets;
use crate::capacity::Capacity;
use crate::clock::Clock;
use crate::demand::{Demand, Derived};
use crate::derivation::Derivation;
use crate::frame::{Codec, Picture};
use crate::group::GroupMemory;
use crate::liveness::{Bounds, Liveness, Verdict};
use crate::log_limiter::{LogLimiter, LogLimiters, Times};
use crate::slot::{Published, Slot};
use crate::sound::{Sound, SoundFormat};
use crate::state::{LastFailure, State};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// State shared by all streams of a hub.
#[derive(Clone)]
pub(crate) struct Common {
    pub clock: Arc<dyn Clock>,
    pub capacity: Arc<Capacity>,
    pub budgets: Budgets,
    /// Memory of the groups of video.
    pub groups: Arc<GroupMemory>,
    /// Incremented with each change of state.
    pub changes: Arc<watch::Sender<u64>>,
}

struct Inner {
    state: State,
    /// The last failure; `None` once pictures arrive.
    last_failure: Option<LastFailure>,
    log_limiters: LogLimiters,
    liveness: Liveness,
    revision: u64,
}

/// The streams of one connection to a camera.
pub(crate) struct Streams {
    /// The camera's id.
    pub id: String,
    pub common: Common,
    /// The stream as the camera sends it; empty if that is JPEG.
    pub native: Arc<Slot>,
    /// Published by the camera itself if it sends JPEG.
    pub jpeg: Derivation,
    pub mpeg1: Derivation,
    pub sound: Arc<Sound>,
    pub demand: watch::Sender<Demand>,
    inner: Mutex<Inner>,
}

impl Streams {
    /// Creates the streams of camera `id`; nothing has been published yet.
    pub fn new(id: String, common: Common) -> Self {
        let slot = || {
            let (clock, groups) = (common.clock.clone(), common.groups.clone());
            Arc::new(Slot::with_memory(id.clone(), clock, groups))
        };
        Self {
            native: slot(),
            jpeg: Derivation::new(slot(), common.clock.clone()),
            mpeg1: Derivation::new(slot(), common.clock.clone()),
            sound: Arc::new(Sound::new(id.clone(), common.clock.clone())),
            id,
            common,
            demand: watch::Sender::new(Demand::default()),
            inner: Mutex::new(Inner {
                state: State::Idle,
                last_failure: None,
                log_limiters: LogLimiters::default(),
                liveness: Liveness::new(Instant::now()),
                revision: 0,
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the codec that the camera sends, once known.
    pub fn codec(&self) -> Option<Codec> {
        self.demand.borrow().codec
    }

    /// Returns the state of the upstream. While native video is watched, a failure of the JPEG
    /// rendition is not the camera's; it is reported as the last failure.
    pub fn state(&self) -> State {
        let own = self.lock().state.clone();
        if self.demand.borrow().has_native() {
            return own;
        }
        if let Some(reason) = self.jpeg.failure() {
            return State::Failed(reason);
        }
        match own {
            State::Live => self.jpeg.stall().map_or(State::Live, State::Stalled),
            state => state,
        }
    }

    /// Returns the last failure of the camera's stream or of a rendition; `None` if what
    /// failed works again.
    pub fn last_failure(&self) -> Option<LastFailure> {
        let mpeg1 = self.mpeg1.last_failure().map(|last| LastFailure {
            reason: format!("{}: {}", Derived::Mpeg1.name(), last.reason),
            ..last
        });
        let own = self.lock().last_failure.clone();
        let all = [own, self.jpeg.last_failure(), mpeg1].into_iter().flatten();
        all.max_by_key(|last| last.at)
    }

    /// Returns a number that changes with the state.
    pub fn revision(&self) -> u64 {
        self.lock().revision
    }

    /// Returns why there is no MPEG-1: a failure of the camera or of the rendition.
    pub fn mpeg1_failure(&self) -> Option<String> {
        match &self.lock().state {
            State::Failed(reason) => Some(reason.clone()),
            _ => self.mpeg1.failure(),
        }
    }

    /// Returns one of the derived streams.
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

    /// Records that the upstream was started.
    pub fn start(&self, state: State) {
        let mut inner = self.lock();
        inner.state = state;
        self.changed(inner);
    }

    /// Records that the upstream was stopped because there is no demand for its streams.
    pub fn go_idle(&self) {
        let mut inner = self.lock();
        inner.state = State::Idle;
        self.native.clear();
        self.jpeg.clear();
        self.mpeg1.clear();
        self.mpeg1.succeed();
        self.sound.set_format(None);
        self.changed(inner);
    }

    /// Records the start of an attempt.
    pub fn begin(&self) {
        self.lock().liveness.begin(Instant::now());
        self.interrupt();
    }

    /// Judges how long the attempt has delivered no picture, see [`Liveness::check`].
    pub fn check(&self, bounds: Bounds) -> Verdict {
        self.lock().liveness.check(Instant::now(), bounds)
    }

    /// Returns the time without a picture after which the camera is stalled.
    pub fn stall_timeout(&self) -> Duration {
        self.lock().liveness.stall_timeout(Bounds::default())
    }

    /// Records media data that is not a picture yet. A camera that failed before is starting
    /// again then: its failure is still reported as the last one.
    pub fn note_received(&self) {
        let mut inner = self.lock();
        let first = inner.liveness.data(Instant::now());
        if first && matches!(inner.state, State::Failed(_)) {
            inner.state = State::Starting;
            self.changed(inner);
        }
    }

    /// Records the end of the attempt. Returns whether it delivered pictures.
    pub fn end(&self) -> bool {
        self.lock().liveness.end()
    }

    /// Marks that the next picture of each stream does not continue from the last one.
    pub fn interrupt(&self) {
        self.lock().liveness.interrupt();
        self.native.interrupt();
        self.jpeg.slot.interrupt();
        self.mpeg1.slot.interrupt();
        self.sound.interrupt();
    }

    /// Sets the state. Returns whether that is a change. Its reason is also kept as the
    /// last failure, which is reported in later states too.
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

    /// Records a failure in any state.
    pub fn note_failure(&self, reason: &str) {
        let mut inner = self.lock();
        if self.note(&mut inner, reason) {
            self.changed(inner);
        }
    }

    /// Records a failure. Returns whether the reason is new. A repeated reason is not a
    /// change: it would be sent to every viewer with each attempt.
    fn note(&self, inner: &mut Inner, reason: &str) -> bool {
        let at = self.common.clock.now();
        let reason = reason.to_owned();
        let last = inner.last_failure.replace(LastFailure { reason, at });
        last.map(|last| last.reason) != inner.last_failure.as_ref().map(|now| now.reason.clone())
    }

    /// Counts an event of the log. Returns a value if a line must be written now.
    pub fn count_log(&self, kind: fn(&mut LogLimiters) -> &mut LogLimiter) -> Option<Times> {
        kind(&mut self.lock().log_limiters).count(Instant::now())
    }

    /// Publishes a picture from the camera.
    pub fn take_native(&self, picture: Picture) {
        let (codec, key) = (picture.codec, picture.key);
        let slot = match codec {
            Codec::Jpeg => &self.jpeg.slot,
            _ => &self.native,
        };
        let published = slot.publish(picture);
        if published == Published::Discarded {
            self.note_received();
            return;
        }
        // Compared first, because reading is cheaper and the codec rarely changes.
        if self.codec() != Some(codec) {
            self.demand.send_modify(|demand| demand.codec = Some(codec));
            if codec == Codec::Jpeg {
                self.jpeg.succeed();
            }
            // Viewers choose their stream anew.
            self.changed(self.lock());
        } else if published == Published::Listing {
            self.changed(self.lock());
        }
        let mut inner = self.lock();
        inner.liveness.picture(Instant::now(), key);
        if inner.state != State::Live || inner.last_failure.is_some() {
            let again = inner.state != State::Live;
            inner.state = State::Live;
            inner.last_failure = None;
            let times = again.then(|| inner.log_limiters.live.count(Instant::now()));
            self.changed(inner);
            if let Some(times) = times.flatten() {
                tracing::info!(camera = %self.id, state = "live", "live{times}");
            }
        }
    }

    /// Sets the format of the sound; `None` if there is none.
    pub fn set_sound(&self, format: Option<SoundFormat>) {
        if self.sound.set_format(format) {
            self.changed(self.lock());
        }
    }

    /// Publishes a picture from a rendition.
    pub fn take_derived(&self, derived: Derived, picture: Picture) {
        let derived = self.derived(derived);
        if let Some(size) = picture.size {
            derived.fix_size(size);
        }
        derived.slot.publish(picture);
        if derived.succeed() {
            self.changed(self.lock());
        }
    }

    /// Records that a derived stream can't be made.
    pub fn fail_derived(&self, derived: Derived, reason: String) {
        if self.derived(derived).fail(reason) {
            self.changed(self.lock());
        }
    }

    /// Records that a rendition has made no picture for `time`, although the camera sends some.
    pub fn stall_derived(&self, derived: Derived, time: Duration) {
        let name = derived.name();
        let reason = format!(
            "its {name} rendition delivers nothing for {} s",
            time.as_secs()
        );
        if self.derived(derived).stop(reason.clone()) {
            if let Some(times) = self.count_log(|log| &mut log.stalled) {
                tracing::warn!(camera = %self.id, state = "stalled", %reason, "stalled{times}");
            }
            self.changed(self.lock());
        }
    }

    /// Records that there is no demand for this stream, so that it does not count as
    /// failing.
    pub fn derived_idle(&self, derived: Derived) {
        let changed = match derived {
            Derived::Jpeg => self.jpeg.go_idle(),
            // Few viewers use it: once there is no demand, its failure is no longer
            // reported.
            Derived::Mpeg1 => self.mpeg1.succeed(),
        };
        if changed {
            self.changed(self.lock());
        }
    }
}
