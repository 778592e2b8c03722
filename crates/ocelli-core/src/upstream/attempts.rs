//! What runs while an upstream is wanted: one attempt after the other, and its watchdog.
//! The renditions of what it brings run beside it: `derive`.

use super::Upstream;
use crate::crashes::Crashes;
use crate::demand::{Demand, Derived, lapse};
use crate::session::{Ending, GivenUp, Session};
use crate::source::{Failure, FailureKind, PATIENCE, Publisher, RunOnce};
use crate::state::State;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

/// A live camera without a picture for this long is shown as stalled.
const STALL: Duration = Duration::from_secs(3);
/// The shortest wait before a restart that a person asked for.
const BY_HAND: Duration = Duration::from_secs(2);

impl Upstream {
    pub(super) async fn supervise(self: Arc<Self>) {
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
        if self.streams.demand.borrow().any() {
            return false;
        }
        inner.task = None;
        // At once: a viewer may come before this task has ended.
        if let Some(session) = inner.session.take() {
            session.end();
        }
        self.streams.rest();
        tracing::debug!(camera = %self.streams.id, state = "idle", "wanted no more");
        true
    }

    /// Returns when nobody has wanted it for [`crate::GRACE`].
    async fn unwanted(&self) {
        lapse(&self.streams.demand, Demand::any).await;
    }

    /// One attempt with its watchdog and what is derived from it; how it failed.
    pub(super) async fn attempt(self: &Arc<Self>) -> Failure {
        let Some(session) = self.begin().await else {
            // It was stopped while it waited, so nobody waits for this.
            return std::future::pending().await;
        };
        let (publisher, ended) = Publisher::new(self.streams.clone(), None);
        let ending = Ending {
            session: session.clone(),
            source: self.source.clone(),
        };
        let _given_up = GivenUp(session);
        let run = contained(self.source.clone().run_once(publisher), Some(ending));
        let failure = tokio::select! {
            biased;
            Ok(failure) = ended => failure,
            failure = run => failure,
            failure = self.watch() => failure,
            () = self.derive(Derived::Jpeg) => unreachable!("derive runs as long as the attempt"),
            () = self.derive(Derived::Mpeg1) => unreachable!("derive runs as long as the attempt"),
        };
        // What is wrong from now on is the camera's own.
        for derived in [Derived::Jpeg, Derived::Mpeg1] {
            self.streams.rest_derived(derived);
        }
        failure
    }

    /// Begins a session, once no other one is ending at the camera.
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

    /// Marks a quiet camera stalled, and gives it up after its patience.
    async fn watch(&self) -> Failure {
        if self.source.is_ingest() {
            return std::future::pending().await;
        }
        let streams = &self.streams;
        let patience = self.source.patience();
        // A source that asks for more patience than most has a picture now and then.
        let stall = if patience > PATIENCE {
            patience / 2
        } else {
            STALL
        };
        loop {
            let heard = streams.heard();
            sleep_until(heard + stall).await;
            let Some(lived) = streams.quiet_since(heard) else {
                continue;
            };
            let reason = no_picture(stall);
            if lived
                && streams.set_state(State::Stalled(reason.clone()))
                && let Some(times) = streams.complain(|told| &mut told.stalled)
            {
                tracing::warn!(camera = %streams.id, state = "stalled", %reason, "stalled{times}");
            }
            sleep_until(heard + patience).await;
            if streams.heard() == heard {
                let reason = no_picture(patience);
                let reason = match lived {
                    true => reason,
                    false => format!("connected, but {reason}"),
                };
                return Failure::new(FailureKind::Silent, reason);
            }
        }
    }

    async fn after_crash(&self, crashes: &mut Crashes, failure: Failure) {
        let streams = &self.streams;
        self.lock().restarts += 1;
        let lived = streams.end();
        let (failed, wait) = crashes.add(Instant::now(), lived);
        streams.note_failure(&failure.reason);
        if failed {
            if let Some(times) = streams.complain(|told| &mut told.failed) {
                tracing::warn!(camera = %streams.id, state = "failed", reason = %failure,
                    "failed{times}; next try in {wait:?}");
            }
            streams.set_state(State::Failed(failure.reason));
        } else {
            if let Some(times) = streams.complain(|told| &mut told.restarting) {
                tracing::info!(camera = %streams.id, reason = %failure, "restarting{times}");
            }
            if lived {
                streams.set_state(State::Stalled(failure.reason));
            }
        }
        self.crashed.notify_waiters();
        self.wait_or_retry(wait).await;
    }

    /// Waits before the next try: less if a person asks for it, but even a hand on
    /// the button does not hammer a camera, whose account may be locked after a few
    /// wrong passwords, or this machine.
    pub(super) async fn wait_or_retry(&self, wait: Duration) {
        let crashed = Instant::now();
        tokio::select! {
            () = sleep(wait) => {}
            () = async { self.retry.notified().await; sleep_until(crashed + BY_HAND).await } => {}
        }
    }
}

/// An attempt and its session's end. Fields are dropped in their order, also after a
/// panic and where the attempt never began.
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

fn no_picture(time: Duration) -> String {
    format!("no picture for {} s", time.as_secs())
}

/// Runs an attempt in a task of its own, so that a defect in it (a panic on what
/// some camera sends) is that camera's crash and nobody else's. Its session ends right
/// after it.
pub(super) async fn contained(run: RunOnce, ending: Option<Ending>) -> Failure {
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
            "it sends something that this hub stumbled over; please report it",
        ),
    }
}
