//! The attempts of an upstream while there is demand, one after the other, and their
//! watchdog. The stream's renditions run in parallel; see `derive`.

use super::Upstream;
use crate::crashes::{Backoff, Crashes, Ended};
use crate::demand::{Demand, Derived, lapse};
use crate::liveness::{Bounds, PATIENCE_FACTOR, STALL_FACTOR, Verdict, no_picture};
use crate::session::{EndOnDrop, Ending, Session};
use crate::source::{Failure, FailureKind, PATIENCE, Publisher, RunOnce};
use crate::state::State;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

/// Minimum delay before a restart requested by a user.
const MIN_RETRY_DELAY: Duration = Duration::from_secs(2);

impl Upstream {
    pub(super) async fn supervise(self: Arc<Self>) {
        let mut trying = std::pin::pin!(self.keep_trying());
        loop {
            tokio::select! {
                () = self.unwanted() => {
                    if self.go_idle() {
                        return;
                    }
                }
                () = &mut trying => unreachable!("it retries while there is demand"),
            }
        }
    }

    async fn keep_trying(self: &Arc<Self>) {
        let mut crashes = Crashes::default();
        loop {
            let began = Instant::now();
            let failure = self.attempt().await;
            self.after_crash(&mut crashes, failure, began.elapsed())
                .await;
        }
    }

    /// Goes idle, unless there is new demand.
    fn go_idle(&self) -> bool {
        let mut inner = self.lock();
        if self.streams.demand.borrow().any() {
            return false;
        }
        inner.task = None;
        // Immediately: a viewer may come before this task has ended.
        if let Some(session) = inner.session.take() {
            session.end();
        }
        self.streams.go_idle();
        tracing::debug!(camera = %self.streams.id, state = "idle", "no demand");
        true
    }

    /// Returns when there has been no demand for [`crate::GRACE`].
    async fn unwanted(&self) {
        lapse(&self.streams.demand, Demand::any).await;
    }

    /// Makes one attempt, with its watchdog and renditions. Returns why it failed.
    pub(super) async fn attempt(self: &Arc<Self>) -> Failure {
        let Some(account) = self.endpoint.account() else {
            return self.attempt_now().await;
        };
        let turns = self.sessions.turns();
        turns.wait(account).await;
        let failure = tokio::select! {
            failure = self.attempt_now() => failure,
            () = self.note_accepted(account) => unreachable!("it watches until the attempt ends"),
        };
        match failure.kind {
            FailureKind::Unauthorized => turns.refuse(account),
            _ => turns.release(account),
        }
        failure
    }

    /// Notes when the camera has accepted the password, which its first picture shows.
    async fn note_accepted(&self, account: &str) {
        let mut changes = self.streams.common.changes.subscribe();
        // It may still be live from the attempt before, which had the same password.
        while self.streams.state() != State::Live {
            // The sender is in `streams`, so waiting can't fail.
            let _ = changes.changed().await;
        }
        self.sessions.turns().accept(account);
        std::future::pending().await
    }

    async fn attempt_now(self: &Arc<Self>) -> Failure {
        let Some(session) = self.begin().await else {
            // The upstream was stopped while the attempt waited, so no caller waits for the result.
            return std::future::pending().await;
        };
        let (publisher, ended) = Publisher::new(self.streams.clone(), None);
        let ending = Ending {
            session: session.clone(),
            source: self.source.clone(),
        };
        let _given_up = EndOnDrop(session);
        let run = run_isolated(self.source.clone().run_once(publisher), Some(ending));
        let failure = tokio::select! {
            biased;
            Ok(failure) = ended => failure,
            failure = run => failure,
            failure = self.watch() => failure,
            () = self.derive(Derived::Jpeg) => unreachable!("derive runs until the attempt ends"),
            () = self.derive(Derived::Mpeg1) => unreachable!("derive runs until the attempt ends"),
        };
        // From here on, any failure is that of the camera itself.
        for derived in [Derived::Jpeg, Derived::Mpeg1] {
            self.streams.derived_idle(derived);
        }
        failure
    }

    /// Opens a session, once no other session is ending at the camera.
    async fn begin(self: &Arc<Self>) -> Option<Arc<Session>> {
        let session = self.sessions.open(&self.endpoint, &self.streams.id).await;
        let mut inner = self.lock();
        if inner.stopped {
            session.close();
            return None;
        }
        inner.session = Some(session.clone());
        drop(inner);
        self.streams.begin();
        Some(session)
    }

    /// Marks a camera without pictures as stalled, and ends the attempt when its patience
    /// has expired.
    async fn watch(&self) -> Failure {
        if self.source.is_ingest() {
            return std::future::pending().await;
        }
        let streams = &self.streams;
        let patience = self.source.patience();
        // A source with a longer patience delivers pictures at long intervals.
        let is_slow = patience > PATIENCE;
        let rate = self.source.rate();
        let interval = rate.and_then(|rate| Duration::try_from_secs_f64(1.0 / rate).ok());
        let interval = interval.unwrap_or_default();
        let bounds = Bounds {
            stall: match is_slow {
                true => patience / 2,
                false => interval * STALL_FACTOR,
            },
            patience: patience.max(interval * PATIENCE_FACTOR),
            rate_known: is_slow || rate.is_some(),
        };
        loop {
            let next = match streams.check(bounds) {
                Verdict::Wait(next) => next,
                Verdict::WaitsForKey(next) => {
                    streams.note_failure("it sends video; waiting for a key frame");
                    next
                }
                Verdict::Stalled(quiet, next) => {
                    self.stalled(no_picture(quiet));
                    next
                }
                Verdict::GiveUp(reason) => return Failure::new(FailureKind::Silent, reason),
            };
            sleep_until(next).await;
        }
    }

    fn stalled(&self, reason: String) {
        let streams = &self.streams;
        if streams.set_state(State::Stalled(reason.clone()))
            && let Some(times) = streams.count_log(|log| &mut log.stalled)
        {
            tracing::warn!(camera = %streams.id, state = "stalled", %reason, "stalled{times}");
        }
    }

    async fn after_crash(&self, crashes: &mut Crashes, failure: Failure, lasted: Duration) {
        let streams = &self.streams;
        self.lock().restarts += 1;
        let had_pictures = streams.end();
        let ended = Ended {
            had_pictures,
            unauthorized: failure.kind == FailureKind::Unauthorized,
            lasted,
        };
        let backoff = crashes.add(Instant::now(), ended);
        streams.note_failure(&failure.reason);
        if backoff.failed {
            let wait = self.backoff_now(backoff);
            if let Some(times) = streams.count_log(|log| &mut log.failed) {
                tracing::warn!(camera = %streams.id, state = "failed", reason = %failure,
                    "failed{times}; next try in {wait:?}");
            }
            streams.set_state(State::Failed(failure.reason));
        } else {
            if let Some(times) = streams.count_log(|log| &mut log.restarting) {
                tracing::info!(camera = %streams.id, reason = %failure, "restarting{times}");
            }
            if had_pictures {
                streams.set_state(State::Stalled(failure.reason));
            }
        }
        self.crashed.notify_waiters();
        tokio::select! {
            () = self.wait_or_retry(backoff.wait) => {}
            () = self.watched_wait(backoff.watched) => {}
        }
    }

    /// Returns how long the next attempt waits, given the present demand.
    fn backoff_now(&self, backoff: Backoff) -> Duration {
        match self.streams.demand.borrow().watched() {
            true => backoff.watched,
            false => backoff.wait,
        }
    }

    /// Completes when `wait` has passed and the camera is watched.
    async fn watched_wait(&self, wait: Duration) {
        let mut demand = self.streams.demand.subscribe();
        sleep(wait).await;
        // The sender is in `streams`, so waiting can't fail.
        let _ = demand.wait_for(Demand::watched).await;
    }

    /// Waits before the next attempt. A user's retry shortens the wait, but not below a
    /// minimum, so that repeated clicks overload neither this machine nor a camera, which
    /// may lock the account after a few wrong passwords.
    pub(super) async fn wait_or_retry(&self, wait: Duration) {
        let crashed = Instant::now();
        tokio::select! {
            () = sleep(wait) => {}
            () = async { self.retry.notified().await; sleep_until(crashed + MIN_RETRY_DELAY).await } => {}
        }
    }
}

/// An attempt and the end of its session. Fields are dropped in declaration order, also
/// after a panic and if the attempt never started.
struct Attempt {
    run: RunOnce,
    _ending: Option<Ending>,
}

impl Future for Attempt {
    type Output = Result<(), Failure>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.run.as_mut().poll(cx)
    }
}

/// Runs an attempt in a separate task, so that a defect in it (a panic on the data of some
/// camera) crashes only that camera. Its session ends right after it.
pub(super) async fn run_isolated(run: RunOnce, ending: Option<Ending>) -> Failure {
    let mut tasks = JoinSet::new();
    tasks.spawn(Attempt {
        run,
        _ending: ending,
    });
    match tasks.join_next().await {
        Some(Ok(Err(failure))) => failure,
        Some(Ok(Ok(()))) | None => Failure::new(FailureKind::Ended, "the stream ended"),
        Some(Err(_)) => Failure::new(
            FailureKind::Unsupported,
            "an internal error occurred while processing its stream; please report this",
        ),
    }
}
