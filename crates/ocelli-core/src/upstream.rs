//! Starts, watches, restarts and stops one source by demand.
//!
//! One upstream is one connection to a camera. A [`Lease`] is the demand; the
//! first starts it, and [`crate::GRACE`] after the last is gone it stops, leaving no task
//! behind. What is derived from it runs inside it, under the same rules.

mod derive;

use crate::budget::Budgets;
use crate::capacity::Capacity;
use crate::clock::Clock;
use crate::complaint::{Complaint, Complaints, Times};
use crate::crashes::Crashes;
use crate::demand::{Demand, Derived, Want, lapse};
use crate::derivation::Derivation;
use crate::frame::{Codec, Frame, Picture};
use crate::slot::Slot;
use crate::source::{Failure, FailureKind, PATIENCE, Publisher, Renditions, Source};
use crate::state::State;
use crate::subscription::Follower;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep, sleep_until};

/// A live camera without a picture for this long is shown as stalled.
const STALL: Duration = Duration::from_secs(3);
/// The shortest wait before a restart that a person asked for.
const BY_HAND: Duration = Duration::from_secs(2);

struct Inner {
    state: State,
    complaints: Complaints,
    heard: Instant,
    lived: bool,
    restarts: u64,
    task: Option<AbortHandle>,
    /// Ended for good: no lease starts it again.
    stopped: bool,
    revision: u64,
}

/// One connection to a camera, and the streams that come of it.
pub struct Upstream {
    id: String,
    clock: Arc<dyn Clock>,
    budgets: Budgets,
    capacity: Arc<Capacity>,
    source: Arc<dyn Source>,
    native: Arc<Slot>,
    /// Filled by the camera itself where it sends JPEG.
    jpeg: Derivation,
    mpeg1: Derivation,
    demand: watch::Sender<Demand>,
    retry: Notify,
    changes: Arc<watch::Sender<u64>>,
    inner: Mutex<Inner>,
}

/// Demand for one stream of an upstream, for as long as it is held.
pub struct Lease {
    upstream: Arc<Upstream>,
    want: Want,
}

impl Drop for Lease {
    fn drop(&mut self) {
        let demand = &self.upstream.demand;
        demand.send_modify(|demand| *demand.count(self.want) -= 1);
    }
}

impl Upstream {
    /// An idle upstream for camera `id`. `changes` is bumped with each change of state.
    pub fn new(
        id: impl Into<String>,
        clock: Arc<dyn Clock>,
        budgets: Budgets,
        capacity: Arc<Capacity>,
        source: Arc<dyn Source>,
        renditions: Renditions,
        changes: Arc<watch::Sender<u64>>,
    ) -> Arc<Self> {
        let id = id.into();
        Arc::new(Self {
            native: Arc::new(Slot::new(id.clone(), clock.clone())),
            jpeg: Derivation::new(&id, clock.clone(), renditions.jpeg),
            mpeg1: Derivation::new(&id, clock.clone(), renditions.mpeg1),
            id,
            clock,
            budgets,
            capacity,
            source,
            demand: watch::Sender::new(Demand::default()),
            retry: Notify::new(),
            changes,
            inner: Mutex::new(Inner {
                state: State::Idle,
                complaints: Complaints::default(),
                heard: Instant::now(),
                lived: false,
                restarts: 0,
                task: None,
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
        &self.clock
    }

    /// Where its source's budget comes from.
    pub(crate) fn budgets(&self) -> &Budgets {
        &self.budgets
    }

    /// What the hub's cameras may cost.
    pub fn capacity(&self) -> &Capacity {
        &self.capacity
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

    fn demand(self: &Arc<Self>, want: Want) -> Lease {
        self.demand.send_modify(|demand| *demand.count(want) += 1);
        Lease {
            upstream: self.clone(),
            want,
        }
    }

    /// Makes one attempt and no other: the first JPEG, or how it failed. For an
    /// upstream that nobody holds a lease on.
    pub(crate) async fn try_once(self: &Arc<Self>) -> Result<Frame, Failure> {
        // A rendition runs only where somebody wants its pictures.
        let _lease = self.demand(Want::Jpeg);
        let mut pictures = Follower::new(self.jpeg.slot.clone(), None);
        tokio::select! {
            biased;
            frame = pictures.next() => Ok(frame),
            failure = self.attempt() => Err(failure),
        }
    }

    /// Asks for a stream; the first lease starts the source.
    pub fn lease(self: &Arc<Self>, want: Want) -> Lease {
        let lease = self.demand(want);
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
    }

    fn changed(&self, mut inner: MutexGuard<'_, Inner>) {
        inner.revision += 1;
        drop(inner);
        self.changes.send_modify(|generation| *generation += 1);
    }

    pub(crate) fn interrupt(&self) {
        self.native.interrupt();
        self.jpeg.slot.interrupt();
        self.mpeg1.slot.interrupt();
    }

    /// Whether that is a change.
    pub(crate) fn set_state(&self, state: State) -> bool {
        let mut inner = self.lock();
        let new = inner.state != state;
        if new {
            inner.state = state;
            self.changed(inner);
        }
        new
    }

    /// Counts what the log could be told; how often it happened, if it is told.
    fn complain(&self, kind: fn(&mut Complaints) -> &mut Complaint) -> Option<Times> {
        kind(&mut self.lock().complaints).count(Instant::now())
    }

    fn set_rendition_failure(&self, derived: Derived, reason: Option<String>) {
        if self.derived(derived).set_failure(reason) {
            self.changed(self.lock());
        }
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
        }
        let mut inner = self.lock();
        inner.heard = Instant::now();
        inner.lived = true;
        if inner.state != State::Live {
            inner.state = State::Live;
            let worth = inner.complaints.live.count(Instant::now());
            self.changed(inner);
            if let Some(times) = worth {
                tracing::info!(camera = %self.id, state = "live", "live{times}");
            }
        }
    }

    pub(crate) fn take_derived(&self, derived: Derived, picture: Picture) {
        self.derived(derived).slot.publish(picture);
        self.set_rendition_failure(derived, None);
    }

    async fn supervise(self: Arc<Self>) {
        let mut trying = std::pin::pin!(self.keep_trying());
        loop {
            tokio::select! {
                () = self.unwanted() => {
                    if self.rest() {
                        return;
                    }
                }
                () = &mut trying => unreachable!("it tries as long as it is wanted"),
            }
        }
    }

    async fn keep_trying(self: &Arc<Self>) {
        let mut crashes = Crashes::default();
        loop {
            let failure = self.attempt().await;
            self.after_crash(&mut crashes, failure).await;
        }
    }

    /// Goes idle, unless somebody came in this very moment.
    fn rest(&self) -> bool {
        let mut inner = self.lock();
        if self.demand.borrow().any() {
            return false;
        }
        inner.task = None;
        inner.state = State::Idle;
        self.native.clear();
        self.jpeg.clear();
        self.mpeg1.clear();
        self.changed(inner);
        tracing::debug!(camera = %self.id, state = "idle", "wanted no more");
        true
    }

    /// Returns when nobody has wanted it for [`crate::GRACE`].
    async fn unwanted(&self) {
        lapse(&self.demand, Demand::any).await;
    }

    /// One attempt with its watchdog and what is derived from it; how it failed.
    async fn attempt(self: &Arc<Self>) -> Failure {
        {
            let mut inner = self.lock();
            inner.heard = Instant::now();
            inner.lived = false;
        }
        self.interrupt();
        let (publisher, ended) = Publisher::new(self.clone(), None);
        let run = contained(self.source.clone().run_once(publisher));
        tokio::select! {
            biased;
            Ok(failure) = ended => failure,
            failure = run => failure,
            failure = self.watch() => failure,
            () = self.derive(Derived::Jpeg) => unreachable!("derive runs as long as the attempt"),
            () = self.derive(Derived::Mpeg1) => unreachable!("derive runs as long as the attempt"),
        }
    }

    /// Marks a quiet camera stalled, and gives it up after its patience.
    async fn watch(&self) -> Failure {
        if self.source.is_ingest() {
            return std::future::pending().await;
        }
        let patience = self.source.patience();
        // A source that asks for more patience than most has a picture now and then.
        let stall = if patience > PATIENCE {
            patience / 2
        } else {
            STALL
        };
        loop {
            let heard = self.lock().heard;
            sleep_until(heard + stall).await;
            let quiet = {
                let inner = self.lock();
                (inner.heard == heard).then_some(inner.lived)
            };
            let Some(lived) = quiet else { continue };
            if lived && self.set_state(State::Stalled(None)) {
                let seconds = stall.as_secs();
                if let Some(times) = self.complain(|told| &mut told.stalled) {
                    let reason = format_args!("no picture for {seconds} s");
                    tracing::warn!(camera = %self.id, state = "stalled", %reason, "stalled{times}");
                }
            }
            sleep_until(heard + patience).await;
            if self.lock().heard == heard {
                let what = if lived {
                    "no picture"
                } else {
                    "connected, but no picture"
                };
                return Failure::new(
                    FailureKind::Silent,
                    format!("{what} for {} s", patience.as_secs()),
                );
            }
        }
    }

    async fn after_crash(&self, crashes: &mut Crashes, failure: Failure) {
        let lived = {
            let mut inner = self.lock();
            inner.restarts += 1;
            std::mem::take(&mut inner.lived)
        };
        let (failed, wait) = crashes.add(Instant::now(), lived);
        if failed {
            if let Some(times) = self.complain(|told| &mut told.failed) {
                tracing::warn!(camera = %self.id, state = "failed", reason = %failure,
                    "failed{times}; next try in {wait:?}");
            }
            self.set_state(State::Failed(failure.reason));
        } else {
            if let Some(times) = self.complain(|told| &mut told.restarting) {
                tracing::info!(camera = %self.id, reason = %failure, "restarting{times}");
            }
            if lived {
                self.set_state(State::Stalled(Some(failure.reason)));
            }
        }
        self.wait_or_retry(wait).await;
    }

    /// Waits before the next try: less if a person asks for it, but even a hand on
    /// the button does not hammer a camera, whose account may be locked after a few
    /// wrong passwords, or this machine.
    async fn wait_or_retry(&self, wait: Duration) {
        let crashed = Instant::now();
        tokio::select! {
            () = sleep(wait) => {}
            () = async { self.retry.notified().await; sleep_until(crashed + BY_HAND).await } => {}
        }
    }
}

/// Runs an attempt in a task of its own, so that a defect in it (a panic on what
/// some camera sends) is that camera's crash and nobody else's.
async fn contained(run: crate::source::RunOnce) -> Failure {
    let mut tasks = JoinSet::new();
    tasks.spawn(run);
    match tasks.join_next().await {
        Some(Ok(Err(failure))) => failure,
        Some(Ok(Ok(()))) | None => Failure::new(FailureKind::Ended, "the stream ended"),
        Some(Err(_)) => Failure::new(
            FailureKind::Unsupported,
            "it sends something that this hub stumbled over; please report it",
        ),
    }
}
