//! Change notifications of the hub, and re-authorization of viewers after a change.

use crate::visitor::{Identity, LAPSED, PRIVATE, Visitor};
use futures_util::Stream;
use ocelli_core::name::CameraId;
use ocelli_core::{Camera, Hub};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio_stream::wrappers::WatchStream;

/// Change flag for the hub: cameras were added, removed or changed, other viewers may see
/// them, or the hub stops.
///
/// `A` is the stream of changes; only tests set it.
pub struct HubChanges<A = WatchStream<u64>> {
    changes: A,
    any: bool,
}

impl HubChanges {
    /// Changes of `hub` from now on.
    pub fn new(hub: &Hub) -> Self {
        Self::of(WatchStream::from_changes(hub.changes()))
    }
}

impl<A: Stream + Unpin> HubChanges<A> {
    fn of(changes: A) -> Self {
        Self {
            changes,
            any: false,
        }
    }

    /// Returns true if there are changes. If not, `cx` is woken at the next change.
    ///
    /// The stream is polled every time, until it is pending. A wake consumes the registered
    /// waker, and not every wake means that there is a change: the change may have been seen before
    /// its wake arrives. So an earlier registration may no longer exist.
    pub fn any(&mut self, cx: &mut Context<'_>) -> bool {
        while let Poll::Ready(Some(_)) = Pin::new(&mut self.changes).poll_next(cx) {
            self.any = true;
        }
        self.any
    }

    /// Clears the flag.
    pub fn take(&mut self) {
        self.any = false;
    }
}

/// Permission of one viewer to watch one camera. It is checked after changes, not for every
/// frame.
pub struct ViewingPermission {
    visitor: Visitor,
    camera: CameraId,
    changes: HubChanges,
    started: bool,
}

impl ViewingPermission {
    /// A permission that is valid now.
    pub fn new(identity: &Identity, visitor: Visitor, camera: &Arc<Camera>) -> Self {
        identity.visitors.track(&visitor);
        Self {
            visitor,
            camera: camera.id().clone(),
            changes: HubChanges::new(&identity.hub),
            started: false,
        }
    }

    /// Ready with the reason when the viewer may no longer watch.
    pub fn poll_revoked(&mut self, cx: &mut Context<'_>) -> Poll<&'static str> {
        // The first poll checks once for changes from before the subscription.
        while self.changes.any(cx) || !self.started {
            self.started = true;
            self.changes.take();
            if self.visitor.has_lapsed() {
                return Poll::Ready(LAPSED);
            }
            if !self.visitor.may_watch(&self.camera) {
                return Poll::Ready(PRIVATE);
            }
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ocelli_net::wake_flag::WakeFlag;
    use ocelli_testkit::schedule::every_order;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
    use std::task::{Wake, Waker};

    /// Model of `tokio::sync::watch`, in steps that other threads can observe: a sender first
    /// stores the version and then wakes the registered waker, which removes the registration.
    #[derive(Default)]
    struct Watch {
        version: u64,
        registered: Option<Waker>,
    }

    struct Changes {
        watch: Arc<Mutex<Watch>>,
        seen: u64,
        /// Whether a waker is registered. Until it fires, versions are not compared again, as in
        /// tokio's future of a change.
        waits: bool,
    }

    impl Stream for Changes {
        type Item = u64;

        fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<u64>> {
            let watch = self.watch.clone();
            let mut watch = watch.lock().expect("one thread");
            if self.waits && watch.registered.is_some() {
                watch.registered = Some(cx.waker().clone());
                return Poll::Pending;
            }
            if watch.version != self.seen {
                self.waits = false;
                self.seen = watch.version;
                return Poll::Ready(Some(self.seen));
            }
            self.waits = true;
            watch.registered = Some(cx.waker().clone());
            Poll::Pending
        }
    }

    #[derive(Default)]
    struct Task {
        woken: AtomicBool,
    }

    impl Wake for Task {
        fn wake(self: Arc<Self>) {
            self.woken.store(true, SeqCst);
        }
    }

    /// The steps of a viewer's turn, in the order in which a frame sender runs them.
    #[derive(Clone, Copy)]
    enum Step {
        Hear,
        Ask,
        Take,
    }

    #[test]
    fn every_change_reaches_a_viewer_under_any_interleaving() {
        const CHANGES: u64 = 3;
        let orders = every_order(|schedule| {
            let watch = Arc::<Mutex<Watch>>::default();
            let mut changes = HubChanges::of(Changes {
                watch: watch.clone(),
                seen: 0,
                waits: false,
            });
            let task = Arc::<Task>::default();
            task.woken.store(true, SeqCst);
            let waker = Waker::from(task.clone());
            let mut wake_flag = WakeFlag::default();
            let (mut step, mut seen_version) = (None, 0);
            // One sender, which stores and wakes alternately.
            let mut sent = 0;
            loop {
                let can_run = step.is_some() || task.woken.load(SeqCst);
                let can_send = sent < CHANGES * 2;
                let run = match (can_run, can_send) {
                    (false, false) => break,
                    (true, true) => schedule.pick(2) == 0,
                    (can_run, _) => can_run,
                };
                if !run {
                    let mut watch = watch.lock().expect("one thread");
                    match sent % 2 {
                        0 => watch.version += 1,
                        _ => {
                            let registered = watch.registered.take();
                            drop(watch);
                            registered.into_iter().for_each(Waker::wake);
                        }
                    }
                    sent += 1;
                    continue;
                }
                step = match step.take().unwrap_or(Step::Hear) {
                    Step::Hear => {
                        task.woken.store(false, SeqCst);
                        wake_flag.observe(&mut Context::from_waker(&waker));
                        wake_flag.fired().map(|_| Step::Ask)
                    }
                    Step::Ask => {
                        let due = wake_flag.fired().expect("it was due");
                        if changes.any(&mut Context::from_waker(&due)) {
                            Some(Step::Take)
                        } else {
                            wake_flag.clear();
                            None
                        }
                    }
                    Step::Take => {
                        changes.take();
                        seen_version = watch.lock().expect("one thread").version;
                        Some(Step::Ask)
                    }
                };
            }
            assert_eq!(
                seen_version, CHANGES,
                "a sleeping viewer has missed a change"
            );
        });
        assert!(orders > 1000, "{orders}");
    }
}
