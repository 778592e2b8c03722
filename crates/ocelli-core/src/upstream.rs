//! Starts, watches, restarts and stops one source on demand.
//!
//! One upstream is one connection to a camera. A [`Lease`] expresses demand: the first
//! lease starts the upstream, and it stops [`crate::GRACE`] after the last one is dropped,
//! leaving no task behind. Renditions of its stream run inside it, under the same rules; see
//! [`attempts`].

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
    /// Session of the current attempt.
    session: Option<Arc<Session>>,
    /// Whether it is stopped permanently; no lease starts it again then.
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
    /// Notified of each failed attempt.
    crashed: Notify,
    /// Lock order: this before the streams.
    inner: Mutex<Inner>,
}

impl Upstream {
    /// Creates an idle upstream for these streams, whose source connects to `endpoint`.
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

    /// Returns the streams that its attempts publish to.
    pub(crate) fn streams(&self) -> &Streams {
        &self.streams
    }

    /// Returns the endpoint that its source connects to.
    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Returns the number of restarts.
    pub(crate) fn restarts(&self) -> u64 {
        self.lock().restarts
    }

    /// Returns the width and height of its MPEG-1 stream, as soon as they are known.
    pub(crate) fn mpeg1_size(&self) -> Option<(u16, u16)> {
        let expected = || {
            let rendition = self.renditions.mpeg1.as_ref();
            rendition?.size_of(self.source.size()?)
        };
        self.streams.mpeg1.size().or_else(expected)
    }

    /// Fixes the width and height of its MPEG-1 stream while there is demand, unless they are
    /// fixed already. Returns the fixed size.
    pub(crate) fn fix_mpeg1_size(&self, size: (u16, u16)) -> (u16, u16) {
        self.streams.mpeg1.fix_size(size)
    }

    /// Follows the MPEG-1 stream and keeps the camera running.
    pub(crate) fn follow_mpeg1(self: &Arc<Self>) -> Follower {
        let slot = &self.streams.mpeg1.slot;
        Follower::new(slot.clone(), Some(self.lease(Want::Mpeg1)))
    }

    /// Follows the stream as the camera sends it and keeps the camera running.
    pub(crate) fn follow_native(self: &Arc<Self>) -> Follower {
        let slot = &self.streams.native;
        Follower::new(slot.clone(), Some(self.lease(Want::Native)))
    }

    /// Follows the JPEG stream and keeps the camera running.
    pub(crate) fn follow_jpeg(self: &Arc<Self>) -> Follower {
        let slot = &self.streams.jpeg.slot;
        Follower::new(slot.clone(), Some(self.lease(Want::Jpeg)))
    }

    /// Makes a single attempt. Returns the first JPEG, or why the attempt failed. Only for
    /// an upstream without leases.
    pub(crate) async fn try_once(self: &Arc<Self>) -> Result<Frame, Failure> {
        // A rendition runs only while there is demand for it.
        let _lease = Lease::new(&self.streams.demand, Want::Jpeg);
        let mut pictures = Follower::new(self.streams.jpeg.slot.clone(), None);
        tokio::select! {
            biased;
            frame = pictures.next() => Ok(frame),
            failure = self.attempt() => Err(failure),
        }
    }

    /// Returns a picture of a stream that is shown already: the newest if it is live,
    /// otherwise the first that arrives; or why the next attempt failed.
    pub(crate) async fn current_frame(self: &Arc<Self>) -> Result<Frame, String> {
        let mut changes = self.streams.common.changes.subscribe();
        let mut pictures = self.follow_jpeg();
        if self.streams.state() != State::Live {
            // The picture in the slot is old.
            let _ = pictures.try_next();
            self.retry();
        }
        let before = self.restarts();
        let failed = async {
            loop {
                // The same failure again is not reported as a change.
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

    /// Leases a stream; the first lease starts the source.
    pub(crate) fn lease(self: &Arc<Self>, want: Want) -> Lease {
        let lease = Lease::new(&self.streams.demand, want);
        let mut inner = self.lock();
        if inner.task.is_none() && !inner.stopped {
            inner.task = Some(tokio::spawn(self.clone().supervise()).abort_handle());
            self.streams.start(match self.source.is_ingest() {
                true => State::Idle,
                false => State::Starting,
            });
            tracing::debug!(camera = %self.streams.id, state = "starting", "first lease");
        }
        lease
    }

    /// Retries a failed camera at once instead of waiting for the end of its backoff.
    pub(crate) fn retry(&self) {
        self.retry.notify_waiters();
    }

    /// Stops the source immediately and permanently, even if there are viewers.
    pub(crate) fn stop(&self) {
        let mut inner = self.lock();
        inner.stopped = true;
        if let Some(task) = inner.task.take() {
            task.abort();
        }
        // Immediately, because a replacement may connect before the task has ended.
        if let Some(session) = inner.session.take() {
            session.end();
        }
    }
}
