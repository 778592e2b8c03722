//! Starts, watches, restarts and stops one source by demand.
//!
//! One upstream is one connection to a camera. A [`Lease`] is the demand; the
//! first starts it, and [`crate::GRACE`] after the last is gone it stops, leaving no task
//! behind. What is derived from it runs inside it, under the same rules: [`attempts`].

mod attempts;
mod derive;

use crate::budget::Budgets;
use crate::capacity::Capacity;
use crate::clock::Clock;
use crate::complaint::{Complaint, Complaints, Times};
use crate::demand::{Demand, Derived, Lease, Want};
use crate::derivation::Derivation;
use crate::frame::{Codec, Frame, Picture};
use crate::session::{Endpoint, Session, Sessions};
use crate::slot::Slot;
use crate::source::{Failure, Renditions, Source};
use crate::state::{LastFailure, State};
use crate::subscription::Follower;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use tokio::time::Instant;

/// What the upstreams of a hub share.
#[derive(Clone)]
pub(crate) struct Common {
    pub clock: Arc<dyn Clock>,
    pub capacity: Arc<Capacity>,
    pub budgets: Budgets,
    pub sessions: Sessions,
    /// Bumped with each change of state.
    pub changes: Arc<watch::Sender<u64>>,
}

struct Inner {
    state: State,
    /// What went wrong last; none once pictures come.
    last_failure: Option<LastFailure>,
    complaints: Complaints,
    heard: Instant,
    lived: bool,
    restarts: u64,
    task: Option<AbortHandle>,
    /// Of the attempt under way.
    session: Option<Arc<Session>>,
    /// Ended for good: no lease starts it again.
    stopped: bool,
    revision: u64,
}

/// One connection to a camera, and the streams that come of it.
pub struct Upstream {
    id: String,
    common: Common,
    source: Arc<dyn Source>,
    endpoint: Endpoint,
    native: Arc<Slot>,
    /// Filled by the camera itself where it sends JPEG.
    jpeg: Derivation,
    mpeg1: Derivation,
    demand: watch::Sender<Demand>,
    retry: Notify,
    /// Told of each attempt that failed.
    crashed: Notify,
    inner: Mutex<Inner>,
}

impl Upstream {
    /// An idle upstream for camera `id`, whose source connects to `endpoint`.
    pub(crate) fn new(
        id: impl Into<String>,
        common: Common,
        endpoint: Endpoint,
        source: Arc<dyn Source>,
        renditions: Renditions,
    ) -> Arc<Self> {
        let (id, clock) = (id.into(), &common.clock);
        Arc::new(Self {
            native: Arc::new(Slot::new(id.clone(), clock.clone())),
            jpeg: Derivation::new(&id, clock.clone(), renditions.jpeg),
            mpeg1: Derivation::new(&id, clock.clone(), renditions.mpeg1),
            id,
            common,
            source,
            endpoint,
            demand: watch::Sender::new(Demand::default()),
            retry: Notify::new(),
            crashed: Notify::new(),
            inner: Mutex::new(Inner {
                state: State::Idle,
                last_failure: None,
                complaints: Complaints::default(),
                heard: Instant::now(),
                lived: false,
                restarts: 0,
                task: None,
                session: None,
                stopped: false,
                revision: 0,
            }),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The slot of the stream as the camera sends it; empty while that is JPEG.
    pub fn native(&self) -> &Arc<Slot> {
        &self.native
    }

    /// The slot of the JPEG stream.
    pub fn jpeg(&self) -> &Arc<Slot> {
        &self.jpeg.slot
    }

    /// The slot of the MPEG-1 stream.
    pub fn mpeg1(&self) -> &Arc<Slot> {
        &self.mpeg1.slot
    }

    /// The hub's clock.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.common.clock
    }

    /// Where its source's budget comes from.
    pub(crate) fn budgets(&self) -> &Budgets {
        &self.common.budgets
    }

    /// What the hub's cameras may cost.
    pub fn capacity(&self) -> &Capacity {
        &self.common.capacity
    }

    /// The codec the camera sends, once it has.
    pub fn codec(&self) -> Option<Codec> {
        self.demand.borrow().codec
    }

    /// What it is doing.
    pub fn state(&self) -> State {
        match self.jpeg.failure() {
            Some(reason) => State::Failed(reason),
            None => self.lock().state.clone(),
        }
    }

    /// What went wrong last with its stream or with what is derived from it, until it
    /// works again.
    pub fn last_failure(&self) -> Option<LastFailure> {
        let mpeg1 = self.mpeg1.last_failure().map(|last| LastFailure {
            reason: format!("{}: {}", Derived::Mpeg1.name(), last.reason),
            ..last
        });
        let own = self.lock().last_failure.clone();
        let all = [own, self.jpeg.last_failure(), mpeg1].into_iter().flatten();
        all.max_by_key(|last| last.at)
    }

    /// Where its source connects to.
    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// A number that changes with the state.
    pub fn revision(&self) -> u64 {
        self.lock().revision
    }

    /// How often it was restarted.
    pub fn restarts(&self) -> u64 {
        self.lock().restarts
    }

    /// Pixels across and down of its MPEG-1, once or as soon as that is known.
    pub fn mpeg1_size(&self) -> Option<(u16, u16)> {
        let told = || {
            let rendition = self.mpeg1.rendition.as_ref();
            rendition?.size_of(self.source.size()?)
        };
        self.mpeg1.slot.status().size.or_else(told)
    }

    /// Why there is no MPEG-1: the camera's own trouble, or the rendition's.
    pub fn mpeg1_failure(&self) -> Option<String> {
        match &self.lock().state {
            State::Failed(reason) => Some(reason.clone()),
            _ => self.mpeg1.failure(),
        }
    }

    /// Follows the MPEG-1 stream, keeping the camera awake.
    pub fn follow_mpeg1(self: &Arc<Self>) -> Follower {
        Follower::new(self.mpeg1.slot.clone(), Some(self.lease(Want::Mpeg1)))
    }

    /// Follows the JPEG stream, keeping the camera awake.
    pub fn follow_jpeg(self: &Arc<Self>) -> Follower {
        Follower::new(self.jpeg.slot.clone(), Some(self.lease(Want::Jpeg)))
    }

    /// Makes one attempt and no other: the first JPEG, or how it failed. For an
    /// upstream that nobody holds a lease on.
    pub(crate) async fn try_once(self: &Arc<Self>) -> Result<Frame, Failure> {
        // A rendition runs only where somebody wants its pictures.
        let _lease = Lease::new(&self.demand, Want::Jpeg);
        let mut pictures = Follower::new(self.jpeg.slot.clone(), None);
        tokio::select! {
            biased;
            frame = pictures.next() => Ok(frame),
            failure = self.attempt() => Err(failure),
        }
    }

    /// A picture of a stream that is shown anyway: the newest where it is live, else the
    /// first that comes; or why the next attempt fails.
    pub(crate) async fn look(self: &Arc<Self>) -> Result<Frame, String> {
        let mut changes = self.common.changes.subscribe();
        let mut pictures = self.follow_jpeg();
        if self.state() != State::Live {
            // What is there is old.
            let _ = pictures.try_next();
            self.retry();
        }
        let before = self.restarts();
        let failed = async {
            loop {
                // The same failure again is no change.
                let crashed = self.crashed.notified();
                let derived = self.jpeg.failure();
                let own = || self.last_failure().filter(|_| self.restarts() > before);
                if let Some(reason) = derived.or_else(|| own().map(|last| last.reason)) {
                    return reason;
                }
                tokio::select! {
                    () = crashed => {}
                    _ = changes.changed() => {}
                }
            }
        };
        tokio::select! {
            biased;
            frame = pictures.next() => Ok(frame),
            reason = failed => Err(reason),
        }
    }

    /// Asks for a stream; the first lease starts the source.
    pub fn lease(self: &Arc<Self>, want: Want) -> Lease {
        let lease = Lease::new(&self.demand, want);
        let mut inner = self.lock();
        if inner.task.is_none() && !inner.stopped {
            inner.state = match self.source.is_ingest() {
                true => State::Idle,
                false => State::Starting,
            };
            inner.task = Some(tokio::spawn(self.clone().supervise()).abort_handle());
            self.changed(inner);
            tracing::debug!(camera = %self.id, state = "starting", "wanted");
        }
        lease
    }

    /// Tries a failed camera again at once instead of waiting out its backoff.
    pub fn retry(&self) {
        self.retry.notify_waiters();
    }

    /// Ends the source now and for good, whoever watches.
    pub fn stop(&self) {
        let mut inner = self.lock();
        inner.stopped = true;
        if let Some(task) = inner.task.take() {
            task.abort();
        }
        // At once, for whoever takes its place may connect before the task has ended.
        if let Some(session) = inner.session.take() {
            session.end();
        }
    }

    fn changed(&self, mut inner: MutexGuard<'_, Inner>) {
        inner.revision += 1;
        drop(inner);
        let changes = &self.common.changes;
        changes.send_modify(|generation| *generation += 1);
    }

    pub(crate) fn interrupt(&self) {
        self.native.interrupt();
        self.jpeg.slot.interrupt();
        self.mpeg1.slot.interrupt();
    }

    /// Whether that is a change. A reason is told as the last failure too, in whatever
    /// state it is later.
    pub(crate) fn set_state(&self, state: State) -> bool {
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
    pub(crate) fn note_failure(&self, reason: &str) {
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
    fn complain(&self, kind: fn(&mut Complaints) -> &mut Complaint) -> Option<Times> {
        kind(&mut self.lock().complaints).count(Instant::now())
    }

    fn derived(&self, derived: Derived) -> &Derivation {
        match derived {
            Derived::Jpeg => &self.jpeg,
            Derived::Mpeg1 => &self.mpeg1,
        }
    }

    pub(crate) fn take_native(&self, picture: Picture) {
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
            let worth = again.then(|| inner.complaints.live.count(Instant::now()));
            self.changed(inner);
            if let Some(times) = worth.flatten() {
                tracing::info!(camera = %self.id, state = "live", "live{times}");
            }
        }
    }

    pub(crate) fn take_derived(&self, derived: Derived, picture: Picture) {
        let derived = self.derived(derived);
        derived.slot.publish(picture);
        if derived.works() {
            self.changed(self.lock());
        }
    }

    /// Nobody waits for that stream now, so it does not fail either.
    fn rest_derived(&self, derived: Derived) {
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
