//! Ready queue of a viewer: the slots that have a newer frame, each at most once, in the
//! order in which they became ready. Serving them in this order is fair to all cameras of
//! the viewer.
//!
//! The queue holds tokens, not frames, so a stalled viewer costs a few bytes per camera. A
//! viewer that waits, and whose socket could accept the next frame at once, may register a
//! [`DirectWrite`] here: the publishing thread then writes the frame directly, and the
//! viewer's task is not woken. This covers only the frame that the viewer waits for; the
//! viewer itself sends a frame that the direct write does not accept at once.

use crate::frame::Frame;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Index that a viewer assigns to one of its subscriptions; small, so it can index an
/// array.
pub type Token = usize;

/// Result of offering a frame to a [`DirectWrite`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offered {
    /// The whole frame was written, and the next may follow.
    Sent,
    /// This many bytes of the message were written; the viewer must send the rest.
    Partial(usize),
    /// Nothing was written.
    Declined,
}

/// Writes the next frame of a waiting viewer without waking its task.
///
/// It is called by the publisher while the slot is locked, so it must never block.
pub trait DirectWrite: Send {
    /// Writes a frame if that is possible without waiting.
    fn offer(&mut self, frame: &Frame) -> Offered;
}

/// A frame that a [`DirectWrite`] has written in part.
pub struct PartialWrite {
    /// The frame.
    pub frame: Frame,
    /// Number of bytes of its message that were written.
    pub sent: usize,
}

/// Queue of a viewer's tokens. Every frame of every camera accesses it for every viewer, so
/// what a typical viewer needs is stored inline, not behind pointers.
#[derive(Default)]
struct Queue {
    /// The next token.
    first: Option<Token>,
    /// The tokens after it.
    others: VecDeque<Token>,
    /// Whether a token is queued: one bit for each of the first 64.
    queued: u64,
    /// The same for all other tokens.
    queued_beyond: Vec<bool>,
    waker: Option<Waker>,
    /// Whether the viewer found the queue empty and must be woken.
    waits: bool,
    /// Whether `direct_write` may be used for frames; only while the viewer waits.
    direct: bool,
    direct_write: Option<Box<dyn DirectWrite>>,
    partial: Option<Box<PartialWrite>>,
}

impl Queue {
    /// Sets whether `token` is queued. Returns whether it was queued before.
    fn mark(&mut self, token: Token, queued: bool) -> bool {
        if let Some(beyond) = token.checked_sub(64) {
            if self.queued_beyond.len() <= beyond {
                self.queued_beyond.resize(beyond + 1, false);
            }
            return std::mem::replace(&mut self.queued_beyond[beyond], queued);
        }
        let (bit, before) = (1 << token, self.queued);
        self.queued = if queued { before | bit } else { before & !bit };
        before & bit != 0
    }

    fn put(&mut self, token: Token) {
        if self.mark(token, true) {
            return;
        }
        match self.first {
            None => self.first = Some(token),
            Some(_) => self.others.push_back(token),
        }
        self.wake();
    }

    fn wake(&mut self) {
        self.direct = false;
        // The waker is kept: a task's waker is the same each time, and cloning it costs
        // time.
        if std::mem::take(&mut self.waits)
            && let Some(waker) = &self.waker
        {
            waker.wake_by_ref();
        }
    }
}

/// Queue of the tokens of one viewer that have a newer frame.
#[derive(Default)]
pub struct Ready {
    queue: Mutex<Queue>,
}

impl Ready {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends `token` to the queue unless it is already queued.
    pub fn enqueue(&self, token: Token) {
        self.lock().put(token);
    }

    /// Offers a frame to the direct write if one is active. If it is not accepted, `token`
    /// is queued. Returns true if the direct write accepted it, at least in part.
    pub(crate) fn offer_frame(&self, token: Token, frame: &Frame) -> bool {
        let mut queue = self.lock();
        let queue = &mut *queue;
        if queue.direct
            && let Some(direct_write) = &mut queue.direct_write
        {
            match direct_write.offer(frame) {
                Offered::Sent => return true,
                Offered::Partial(sent) => {
                    let frame = frame.clone();
                    queue.partial = Some(Box::new(PartialWrite { frame, sent }));
                    queue.wake();
                    return true;
                }
                Offered::Declined => {}
            }
        }
        queue.put(token);
        false
    }

    /// Returns the next token of the queue.
    pub fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Token> {
        let mut queue = self.lock();
        if let Some(token) = queue.first.take() {
            queue.first = queue.others.pop_front();
            queue.mark(token, false);
            return Poll::Ready(token);
        }
        let known = |waker: &Waker| waker.will_wake(cx.waker());
        if !queue.waker.as_ref().is_some_and(known) {
            queue.waker = Some(cx.waker().clone());
        }
        queue.waits = true;
        Poll::Pending
    }

    /// Enables the direct write until the viewer is woken or stops it. Has an effect only while the
    /// viewer waits. `make` creates the direct write on the first call; it is kept.
    pub fn start_direct_write(&self, make: impl FnOnce() -> Box<dyn DirectWrite>) {
        let mut queue = self.lock();
        if queue.waits {
            queue.direct_write.get_or_insert_with(make);
            queue.direct = true;
        }
    }

    /// Stops the direct write. Must be called before any other use of the transport it
    /// writes to. Returns a frame that was written in part, which the viewer must complete.
    pub fn stop_direct_write(&self) -> Option<PartialWrite> {
        let mut queue = self.lock();
        queue.direct = false;
        queue.partial.take().map(|partial| *partial)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::frame::{FrameBuffer, Picture};
    use crate::{Slot, Subscription};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
    use std::task::Wake;

    #[test]
    fn cameras_are_served_in_turn() {
        let ready = Ready::default();
        for token in [0, 1, 0, 2, 0] {
            ready.enqueue(token);
        }
        let mut cx = Context::from_waker(Waker::noop());
        let mut order = Vec::new();
        while let Poll::Ready(token) = ready.poll_next(&mut cx) {
            order.push(token);
            if order.len() == 1 {
                ready.enqueue(0);
            }
        }
        assert_eq!(order, [0, 1, 2, 0]);
    }

    #[test]
    fn any_number_of_cameras_is_queued_once_each() {
        let ready = Ready::default();
        let tokens = [63, 64, 200, 0, 65, 63, 64, 0];
        tokens.iter().for_each(|&token| ready.enqueue(token));
        let mut cx = Context::from_waker(Waker::noop());
        let mut next = || match ready.poll_next(&mut cx) {
            Poll::Ready(token) => Some(token),
            Poll::Pending => None,
        };
        assert_eq!(
            [(); 6].map(|()| next()),
            [Some(63), Some(64), Some(200), Some(0), Some(65), None]
        );
        tokens.iter().for_each(|&token| ready.enqueue(token));
        assert_eq!(next(), Some(63));
    }

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, SeqCst);
        }
    }

    #[test]
    fn a_viewer_is_woken_once_per_wait() {
        let (ready, woken) = (Ready::default(), Arc::<Woken>::default());
        let waker = Waker::from(woken.clone());
        let mut cx = Context::from_waker(&waker);
        for round in 1..=3 {
            assert!(ready.poll_next(&mut cx).is_pending());
            ready.enqueue(0);
            ready.enqueue(1);
            assert_eq!(woken.0.load(SeqCst), round);
            assert!(ready.poll_next(&mut cx).is_ready());
            assert!(ready.poll_next(&mut cx).is_ready());
        }
        assert!(ready.poll_next(&mut cx).is_pending());
        assert!(
            ready
                .poll_next(&mut Context::from_waker(Waker::noop()))
                .is_pending()
        );
        ready.enqueue(0);
        assert_eq!(woken.0.load(SeqCst), 3, "the latest waker is woken");
    }

    /// A direct write with scripted results: each offer takes the set time and is recorded.
    #[derive(Default)]
    struct ScriptedWrite {
        clock: Arc<ManualClock>,
        takes: AtomicU64,
        does: Mutex<VecDeque<Offered>>,
        seen: Mutex<Vec<u8>>,
    }

    impl DirectWrite for Arc<ScriptedWrite> {
        fn offer(&mut self, frame: &Frame) -> Offered {
            self.seen.lock().expect("one").push(frame.payload()[0]);
            self.clock.advance(self.takes.load(SeqCst));
            let does = self.does.lock().expect("one").pop_front();
            does.unwrap_or(Offered::Sent)
        }
    }

    /// A viewer of one camera that uses a direct write.
    struct Viewer {
        slot: Arc<Slot>,
        ready: Arc<Ready>,
        subscription: Subscription,
        woken: Arc<Woken>,
        direct_write: Arc<ScriptedWrite>,
    }

    impl Viewer {
        fn new() -> Self {
            let direct_write = Arc::<ScriptedWrite>::default();
            let slot = Arc::new(Slot::new("cam", direct_write.clock.clone()));
            let ready = Arc::<Ready>::default();
            Self {
                subscription: Subscription::new(slot.clone(), None, ready.clone(), 0),
                slot,
                ready,
                woken: Arc::default(),
                direct_write,
            }
        }

        fn publish(&self, byte: u8) {
            let buffer = FrameBuffer::copy_from(&[byte]);
            self.slot.publish(Picture::jpeg(buffer, None));
        }

        /// Takes all queued frames, then waits with the direct write active.
        fn wait(&mut self) -> Vec<u8> {
            let waker = Waker::from(self.woken.clone());
            let mut taken = Vec::new();
            while self
                .ready
                .poll_next(&mut Context::from_waker(&waker))
                .is_ready()
            {
                let frames = std::iter::from_fn(|| self.subscription.take());
                taken.extend(frames.map(|frame| frame.payload()[0]));
            }
            self.ready
                .start_direct_write(|| Box::new(self.direct_write.clone()));
            taken
        }

        fn seen(&self) -> Vec<u8> {
            std::mem::take(&mut self.direct_write.seen.lock().expect("one"))
        }

        fn does(&self, does: Offered) {
            self.direct_write.does.lock().expect("one").push_back(does);
        }

        fn woken(&self) -> usize {
            self.woken.0.load(SeqCst)
        }
    }

    #[test]
    fn frames_go_to_an_active_direct_write_and_the_viewer_is_not_woken() {
        let mut viewer = Viewer::new();
        viewer.publish(0);
        assert_eq!(viewer.wait(), [0]);
        for byte in 1..4 {
            viewer.publish(byte);
        }
        assert_eq!((viewer.seen(), viewer.woken()), (vec![1, 2, 3], 0));
        assert_eq!(
            (viewer.subscription.taken(), viewer.subscription.dropped()),
            (4, 0)
        );
        assert!(viewer.ready.stop_direct_write().is_none());
        viewer.publish(4);
        viewer.publish(5);
        assert_eq!((viewer.seen(), viewer.woken()), (vec![], 1));
        assert_eq!(viewer.wait(), [5], "the newest one not yet taken");
        assert_eq!(
            (viewer.subscription.taken(), viewer.subscription.dropped()),
            (5, 1)
        );
    }

    #[test]
    fn the_viewer_sends_what_a_direct_write_declines_or_only_begins() {
        let mut viewer = Viewer::new();
        viewer.publish(0);
        viewer.wait();
        viewer.does(Offered::Declined);
        viewer.publish(1);
        viewer.publish(2);
        assert_eq!((viewer.seen(), viewer.woken()), (vec![1], 1));
        assert_eq!(viewer.wait(), [2]);
        viewer.does(Offered::Partial(7));
        viewer.publish(3);
        viewer.publish(4);
        assert_eq!((viewer.seen(), viewer.woken()), (vec![3], 2));
        let partial = viewer.ready.stop_direct_write().expect("a part");
        assert_eq!((partial.frame.payload()[0], partial.sent), (3, 7));
        assert_eq!(viewer.wait(), [4]);
        assert!(viewer.ready.stop_direct_write().is_none());
    }

    #[test]
    fn a_paced_viewer_and_one_that_missed_frames_get_no_direct_write() {
        let mut viewer = Viewer::new();
        viewer.publish(0);
        viewer.wait();
        viewer.subscription.allow_direct(false);
        viewer.publish(1);
        viewer.publish(2);
        assert_eq!((viewer.seen(), viewer.woken()), (vec![], 1));
        viewer.subscription.allow_direct(true);
        // The woken viewer takes its token but no frame, like a viewer without credit.
        assert!(
            viewer
                .ready
                .poll_next(&mut Context::from_waker(Waker::noop()))
                .is_ready()
        );
        viewer.wait();
        viewer.publish(3);
        assert_eq!(viewer.seen(), [], "the viewer itself counts what it missed");
        assert_eq!(viewer.wait(), [3]);
        assert_eq!(viewer.subscription.dropped(), 2);
        viewer.publish(4);
        assert_eq!(viewer.seen(), [4]);
    }

    #[test]
    fn a_direct_write_costs_credit_and_ends_with_it() {
        let mut viewer = Viewer::new();
        viewer.subscription.set_credit(Some(3));
        viewer.publish(0);
        assert_eq!(viewer.wait(), [0]);
        viewer.publish(1);
        viewer.does(Offered::Partial(7));
        viewer.publish(2);
        viewer.publish(3);
        assert_eq!((viewer.seen(), viewer.woken()), (vec![1, 2], 1));
        assert!(viewer.ready.stop_direct_write().is_some());
        assert_eq!(viewer.wait(), []);
        viewer.publish(4);
        assert_eq!((viewer.seen(), viewer.woken()), (vec![], 1), "no credit");
        viewer.subscription.add_credit(2, 8);
        assert_eq!(viewer.woken(), 2);
        assert_eq!(viewer.wait(), [4], "the newest");
        viewer.publish(5);
        assert_eq!((viewer.seen(), viewer.woken()), (vec![5], 2));
        assert_eq!(
            (viewer.subscription.taken(), viewer.subscription.dropped()),
            (5, 1)
        );
    }

    #[test]
    fn a_viewer_takes_the_newest_of_pictures_that_arrive_faster_than_they_are_sent() {
        let mut viewer = Viewer::new();
        viewer.publish(0);
        viewer.wait();
        viewer.direct_write.takes.store(5000, SeqCst);
        for byte in 1..5 {
            viewer.publish(byte);
        }
        assert_eq!((viewer.seen(), viewer.woken()), (vec![1], 1));
        assert_eq!(viewer.wait(), [4]);
        assert_eq!(viewer.subscription.dropped(), 2);
        viewer.direct_write.clock.advance(4999);
        viewer.publish(5);
        assert_eq!(viewer.wait(), [5]);
        viewer.direct_write.clock.advance(1);
        viewer.publish(6);
        assert_eq!(viewer.seen(), [6]);
    }
}
