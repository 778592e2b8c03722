//! Starts, watches, restarts and stops one source by demand.
//!
//! One upstream is one connection to a camera. A [`Lease`] is the demand; the
//! first starts it, and [`GRACE`] after the last is gone it stops, leaving no task
//! behind. What is derived from it runs inside it, under the same rules.

use crate::clock::Clock;
use crate::crashes::Crashes;
use crate::frame::{Codec, Frame, Picture};
use crate::slot::Slot;
use crate::source::{Failure, FailureKind, PATIENCE, Publisher, Rendition, Source};
use crate::subscription::Follower;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// How long an upstream outlives its last viewer: a page refresh keeps it.
pub const GRACE: Duration = Duration::from_secs(10);
/// A live camera without a picture for this long is shown as stalled.
const STALL: Duration = Duration::from_secs(3);
/// The shortest wait before a restart that a person asked for.
const BY_HAND: Duration = Duration::from_secs(2);

/// What a camera is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Nobody watches, so nothing runs.
    Idle,
    /// Connecting; no picture yet.
    Starting,
    /// Pictures come.
    Live,
    /// Pictures have stopped; why, if that is known.
    Stalled(Option<String>),
    /// It crashed again and again, for this reason; tried again with backoff.
    Failed(String),
}

impl State {
    /// The word for it on every interface.
    pub fn name(&self) -> &'static str {
        match self {
            State::Idle => "idle",
            State::Starting => "starting",
            State::Live => "live",
            State::Stalled(_) => "stalled",
            State::Failed(_) => "failed",
        }
    }

    /// What a person should know about it.
    pub fn reason(&self) -> Option<&str> {
        match self {
            State::Stalled(reason) => reason.as_deref(),
            State::Failed(reason) => Some(reason),
            _ => None,
        }
    }
}

/// Which stream a lease wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// The stream as the camera sends it.
    Native,
    /// JPEG, derived if the camera sends something else.
    Jpeg,
}

#[derive(Clone, Copy, Debug, Default)]
struct Demand {
    native: usize,
    jpeg: usize,
    /// The codec the camera sends, once it does.
    codec: Option<Codec>,
}

impl Demand {
    fn any(&self) -> bool {
        self.native + self.jpeg > 0
    }

    fn rendition(&self) -> bool {
        self.jpeg > 0 && self.codec.is_some_and(|codec| codec != Codec::Jpeg)
    }
}

struct Inner {
    state: State,
    /// Why the rendition fails, while it does.
    rendition_failure: Option<String>,
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
    source: Arc<dyn Source>,
    rendition: Option<Arc<dyn Rendition>>,
    native: Arc<Slot>,
    jpeg: Arc<Slot>,
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
        self.upstream.demand.send_modify(|demand| match self.want {
            Want::Native => demand.native -= 1,
            Want::Jpeg => demand.jpeg -= 1,
        });
    }
}

impl Upstream {
    /// An idle upstream for camera `id`. `changes` is bumped with each change of state.
    pub fn new(
        id: impl Into<String>,
        clock: Arc<dyn Clock>,
        source: Arc<dyn Source>,
        rendition: Option<Arc<dyn Rendition>>,
        changes: Arc<watch::Sender<u64>>,
    ) -> Arc<Self> {
        let id = id.into();
        Arc::new(Self {
            native: Arc::new(Slot::new(id.clone(), clock.clone())),
            jpeg: Arc::new(Slot::new(id.clone(), clock.clone())),
            id,
            clock,
            source,
            rendition,
            demand: watch::Sender::new(Demand::default()),
            retry: Notify::new(),
            changes,
            inner: Mutex::new(Inner {
                state: State::Idle,
                rendition_failure: None,
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
        &self.jpeg
    }

    /// The hub's clock.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// The codec the camera sends, once it has.
    pub fn codec(&self) -> Option<Codec> {
        self.demand.borrow().codec
    }

    /// What it is doing.
    pub fn state(&self) -> State {
        let inner = self.lock();
        match &inner.rendition_failure {
            Some(reason) => State::Failed(reason.clone()),
            None => inner.state.clone(),
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

    /// Follows the JPEG stream, keeping the camera awake.
    pub fn follow_jpeg(self: &Arc<Self>) -> Follower {
        Follower::new(self.jpeg.clone(), Some(self.lease(Want::Jpeg)))
    }

    fn demand(self: &Arc<Self>, want: Want) -> Lease {
        self.demand.send_modify(|demand| match want {
            Want::Native => demand.native += 1,
            Want::Jpeg => demand.jpeg += 1,
        });
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
        let mut pictures = Follower::new(self.jpeg.clone(), None);
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
            inner.state = State::Starting;
            inner.task = Some(tokio::spawn(self.clone().supervise()).abort_handle());
            self.changed(inner);
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

    fn set_state(&self, state: State) {
        let mut inner = self.lock();
        if inner.state != state {
            inner.state = state;
            self.changed(inner);
        }
    }

    fn set_rendition_failure(&self, reason: Option<String>) {
        let mut inner = self.lock();
        if inner.rendition_failure != reason {
            inner.rendition_failure = reason;
            self.changed(inner);
        }
    }

    pub(crate) fn take_native(&self, picture: Picture) {
        let codec = picture.codec;
        let slot = match codec {
            Codec::Jpeg => &self.jpeg,
            Codec::H264 | Codec::H265 => &self.native,
        };
        slot.publish(picture);
        self.demand.send_if_modified(|demand| {
            let new = demand.codec != Some(codec);
            demand.codec = Some(codec);
            new
        });
        let mut inner = self.lock();
        inner.heard = Instant::now();
        inner.lived = true;
        if inner.state != State::Live {
            inner.state = State::Live;
            self.changed(inner);
        }
    }

    pub(crate) fn take_derived(&self, picture: Picture) {
        self.jpeg.publish(picture);
        self.set_rendition_failure(None);
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
        inner.rendition_failure = None;
        self.native.clear();
        self.jpeg.clear();
        self.changed(inner);
        true
    }

    /// Returns when nobody has wanted it for [`GRACE`].
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
        self.native.interrupt();
        self.jpeg.interrupt();
        let publisher = Publisher::new(self.clone(), false);
        let run = contained(self.source.clone().run_once(publisher));
        tokio::select! {
            failure = run => failure,
            failure = self.watch() => failure,
            () = self.derive() => unreachable!("derive runs as long as the attempt"),
        }
    }

    /// Marks a quiet camera stalled, and gives it up after its patience.
    async fn watch(&self) -> Failure {
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
            if lived {
                self.set_state(State::Stalled(None));
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
            tracing::warn!(camera = %self.id, reason = %failure, "failed; next try in {wait:?}");
            self.set_state(State::Failed(failure.reason));
        } else {
            tracing::info!(camera = %self.id, reason = %failure, "restarting");
            if lived {
                self.set_state(State::Stalled(Some(failure.reason)));
            }
        }
        self.wait_or_retry(wait).await;
    }

    /// Runs the rendition while it is wanted. Never ends by itself.
    async fn derive(self: &Arc<Self>) {
        let mut demand = self.demand.subscribe();
        let mut crashes = Crashes::default();
        loop {
            // The sender lives in `self`, so waiting can't fail.
            let _ = demand.wait_for(Demand::rendition).await;
            let Some(rendition) = self.rendition.clone() else {
                self.set_rendition_failure(Some(
                    "this hub has nothing that turns its stream into JPEG".to_owned(),
                ));
                return std::future::pending().await;
            };
            // Without a lease: those who watch the JPEG already keep the camera
            // awake, and one grace must not follow upon another.
            let input = Follower::new(self.native.clone(), None);
            let publisher = Publisher::new(self.clone(), true);
            let run = contained(rendition.run_once(input, publisher));
            let failure = tokio::select! {
                failure = run => failure,
                () = lapse(&self.demand, Demand::rendition) => {
                    self.jpeg.clear();
                    continue;
                }
            };
            self.jpeg.interrupt();
            let (failed, wait) = crashes.add(Instant::now(), self.jpeg.status().fps > 0.0);
            if failed {
                tracing::warn!(camera = %self.id, reason = %failure, "its JPEG rendition failed; next try in {wait:?}");
                self.set_rendition_failure(Some(failure.reason));
            } else {
                tracing::info!(camera = %self.id, reason = %failure, "restarting its JPEG rendition");
            }
            self.wait_or_retry(wait).await;
        }
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

/// Returns when `wanted` has been false for [`GRACE`].
async fn lapse(demand: &watch::Sender<Demand>, wanted: fn(&Demand) -> bool) {
    let mut demand = demand.subscribe();
    loop {
        let _ = demand.wait_for(|now| !wanted(now)).await;
        if timeout(GRACE, demand.wait_for(wanted)).await.is_err() {
            return;
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
