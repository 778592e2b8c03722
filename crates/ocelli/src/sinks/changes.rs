//! That something has happened in the hub, and whether a viewer may stay after it.

use crate::visitor::{Identity, LAPSED, PRIVATE, Visitor};
use futures_util::Stream;
use ocelli_core::name::CameraId;
use ocelli_core::{Camera, Hub};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio_stream::wrappers::WatchStream;

/// That cameras came, went or changed, or that other viewers may see them, or that the
/// hub stops.
///
/// `A` is where changes come from, which only tests choose.
pub struct HubChanges<A = WatchStream<u64>> {
    alarm: A,
    any: bool,
}

impl HubChanges {
    /// Of this hub, from now on.
    pub fn new(hub: &Hub) -> Self {
        Self::of(WatchStream::from_changes(hub.changes()))
    }
}

impl<A: Stream + Unpin> HubChanges<A> {
    fn of(alarm: A) -> Self {
        Self { alarm, any: false }
    }

    /// Whether there are any; if not, there will be a wake when there are.
    ///
    /// The alarm is polled each time, until it is pending. A wake uses up its registration,
    /// and not every wake brings a change: the change may have been seen before the wake that
    /// belongs to it comes. So what was registered once need not be registered any more.
    pub fn any(&mut self, cx: &mut Context<'_>) -> bool {
        while let Poll::Ready(Some(_)) = Pin::new(&mut self.alarm).poll_next(cx) {
            self.any = true;
        }
        self.any
    }

    /// Counts what there is as known.
    pub fn take(&mut self) {
        self.any = false;
    }
}

/// That one viewer may watch one camera, asked whenever something has happened and
/// not at each frame.
pub struct ViewingPermission {
    visitor: Visitor,
    camera: CameraId,
    changes: HubChanges,
    begun: bool,
}

impl ViewingPermission {
    /// A viewer who may watch this camera now.
    pub fn new(identity: &Identity, visitor: Visitor, camera: &Arc<Camera>) -> Self {
        identity.visitors.track(&visitor);
        Self {
            visitor,
            camera: camera.id().clone(),
            changes: HubChanges::new(&identity.hub),
            begun: false,
        }
    }

    /// Ready when the viewer may watch no more; says why.
    pub fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<&'static str> {
        // What happened before the news began is asked once.
        while self.changes.any(cx) || !self.begun {
            self.begun = true;
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

    /// What `tokio::sync::watch` does, in the steps in which other threads can see it: a
    /// sender first stores the version and then wakes who has registered, and that uses the
    /// registration up.
    #[derive(Default)]
    struct Watch {
        version: u64,
        registered: Option<Waker>,
    }

    struct Changes {
        watch: Arc<Mutex<Watch>>,
        seen: u64,
        /// Waits for its own registration to be used, as the future of a change does: until
        /// then it does not compare versions again.
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

    /// The steps of a viewer's turn, as a sender of frames takes them.
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
            let (mut step, mut told) = (None, 0);
            // One sender, which stores and wakes in turn.
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
                        told = watch.lock().expect("one thread").version;
                        Some(Step::Ask)
                    }
                };
            }
            assert_eq!(told, CHANGES, "a viewer that sleeps has not been told all");
        });
        assert!(orders > 1000, "{orders}");
    }
}
