//! Starts, watches, restarts and stops one source by demand.
//!
//! One upstream is one connection to a camera. A [`Lease`] is the demand; the
//! first starts it, and [`crate::GRACE`] after the last is gone it stops, leaving no task
//! behind. What is derived from it runs inside it, under the same rules: [`attempts`].

mod attempts;
mod derive;

use crate::demand::{Lease, Want};
use crate::frame::Frame;
use crate::session::{Endpoint, Session, Sessions};
use crate::source::{Failure, Renditions, Source};
use crate::state::State;
use crate::streams::Streams;
use crate::subscription::Follower;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;
use tokio::task::AbortHandle;

#[derive(Default)]
struct Inner {
    restarts: u64,
    task: Option<AbortHandle>,
    /// Of the attempt under way.
    session: Option<Arc<Session>>,
    /// Ended for good: no lease starts it again.
    stopped: bool,
}

/// One connection to a camera.
pub struct Upstream {
    streams: Arc<Streams>,
    source: Arc<dyn Source>,
    renditions: Renditions,
    endpoint: Endpoint,
    sessions: Sessions,
    retry: Notify,
    /// Told of each attempt that failed.
    crashed: Notify,
    /// Locked before the streams are, where both are.
    inner: Mutex<Inner>,
}

impl Upstream {
    /// An idle upstream for these streams, whose source connects to `endpoint`.
    pub(crate) fn new(
        streams: Streams,
        sessions: Sessions,
        endpoint: Endpoint,
        source: Arc<dyn Source>,
        renditions: Renditions,
    ) -> Arc<Self> {
        Arc::new(Self {
            streams: Arc::new(streams),
            source,
            renditions,
            endpoint,
            sessions,
            retry: Notify::new(),
            crashed: Notify::new(),
            inner: Mutex::default(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What its attempts fill.
    pub(crate) fn streams(&self) -> &Streams {
        &self.streams
    }

    /// Where its source connects to.
    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// How often it was restarted.
    pub(crate) fn restarts(&self) -> u64 {
        self.lock().restarts
    }

    /// Pixels across and down of its MPEG-1, once or as soon as that is known.
    pub(crate) fn mpeg1_size(&self) -> Option<(u16, u16)> {
        let told = || {
            let rendition = self.renditions.mpeg1.as_ref();
            rendition?.size_of(self.source.size()?)
        };
        self.streams.mpeg1.slot.status().size.or_else(told)
    }

    /// Follows the MPEG-1 stream, keeping the camera awake.
    pub(crate) fn follow_mpeg1(self: &Arc<Self>) -> Follower {
        let slot = &self.streams.mpeg1.slot;
        Follower::new(slot.clone(), Some(self.lease(Want::Mpeg1)))
    }

    /// Follows the JPEG stream, keeping the camera awake.
    pub(crate) fn follow_jpeg(self: &Arc<Self>) -> Follower {
        let slot = &self.streams.jpeg.slot;
        Follower::new(slot.clone(), Some(self.lease(Want::Jpeg)))
    }

    /// Makes one attempt and no other: the first JPEG, or how it failed. For an
    /// upstream that nobody holds a lease on.
    pub(crate) async fn try_once(self: &Arc<Self>) -> Result<Frame, Failure> {
        // A rendition runs only where somebody wants its pictures.
        let _lease = Lease::new(&self.streams.demand, Want::Jpeg);
        let mut pictures = Follower::new(self.streams.jpeg.slot.clone(), None);
        tokio::select! {
            biased;
            frame = pictures.next() => Ok(frame),
            failure = self.attempt() => Err(failure),
        }
    }

    /// A picture of a stream that is shown anyway: the newest where it is live, else the
    /// first that comes; or why the next attempt fails.
    pub(crate) async fn look(self: &Arc<Self>) -> Result<Frame, String> {
        let mut changes = self.streams.common.changes.subscribe();
        let mut pictures = self.follow_jpeg();
        if self.streams.state() != State::Live {
            // What is there is old.
            let _ = pictures.try_next();
            self.retry();
        }
        let before = self.restarts();
        let failed = async {
            loop {
                // The same failure again is no change.
                let crashed = self.crashed.notified();
                let derived = self.streams.jpeg.failure();
                let last = || self.streams.last_failure();
                let own = || last().filter(|_| self.restarts() > before);
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
    pub(crate) fn lease(self: &Arc<Self>, want: Want) -> Lease {
        let lease = Lease::new(&self.streams.demand, want);
        let mut inner = self.lock();
        if inner.task.is_none() && !inner.stopped {
            inner.task = Some(tokio::spawn(self.clone().supervise()).abort_handle());
            self.streams.start(match self.source.is_ingest() {
                true => State::Idle,
                false => State::Starting,
            });
            tracing::debug!(camera = %self.streams.id, state = "starting", "wanted");
        }
        lease
    }

    /// Tries a failed camera again at once instead of waiting out its backoff.
    pub(crate) fn retry(&self) {
        self.retry.notify_waiters();
    }

    /// Ends the source now and for good, whoever watches.
    pub(crate) fn stop(&self) {
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
}
