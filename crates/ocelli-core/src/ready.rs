//! What a viewer waits on: the slots that have something newer, each at most once, in
//! the order they became ready. Serving them in that order is what makes a viewer fair
//! to its cameras.
//!
//! It holds tokens, never frames, so a viewer that does not come costs a few bytes a
//! camera. A viewer that waits, and could send the next frame that very moment, may
//! leave an [`DirectWrite`] here: then whoever publishes the frame hands it over, and the
//! viewer's task sleeps on. That is the one frame it asked for, no more; a frame that
//! the outlet does not take at once is the viewer's own again.

use crate::frame::Frame;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// A viewer's own number for one of its subscriptions; small, so it can index.
pub type Token = usize;

/// What an [`DirectWrite`] did with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offered {
    /// All of it is on its way, and the next may follow.
    Sent,
    /// So many bytes of its message are; the viewer has to see to the rest.
    Begun(usize),
    /// Nothing is.
    Declined,
}

/// Where a waiting viewer's next frame can go without the viewer.
///
/// It is called by whoever publishes, under the locks of the slot: it never waits.
pub trait DirectWrite: Send {
    /// Takes a frame, if it can be taken now.
    fn offer(&mut self, frame: &Frame) -> Offered;
}

/// A frame of which an [`DirectWrite`] has sent the beginning.
pub struct Begun {
    /// The frame.
    pub frame: Frame,
    /// How many bytes of its message are sent.
    pub sent: usize,
}

/// The line of a viewer's tokens. Each frame of each camera touches it for each viewer,
/// so what the usual viewer needs stands in it and not behind pointers.
#[derive(Default)]
struct Queue {
    /// Whose turn it is.
    first: Option<Token>,
    /// Those behind it.
    others: VecDeque<Token>,
    /// Whether a token stands in line: a bit each of the first 64.
    queued: u64,
    /// The same of those beyond.
    queued_beyond: Vec<bool>,
    waker: Option<Waker>,
    /// Whether the viewer found nobody in line and wants to be woken.
    waits: bool,
    /// Whether frames may go to `direct_write`; only while the viewer waits.
    lent: bool,
    direct_write: Option<Box<dyn DirectWrite>>,
    begun: Option<Box<Begun>>,
}

impl Queue {
    /// Notes whether `token` stands in line, and tells whether it did.
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
        self.lent = false;
        // The waker stays: a task's is the same each time, and each copy costs.
        if std::mem::take(&mut self.waits)
            && let Some(waker) = &self.waker
        {
            waker.wake_by_ref();
        }
    }
}

/// The tokens of one viewer that have something new, in turn.
#[derive(Default)]
pub struct Ready {
    queue: Mutex<Queue>,
}

impl Ready {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts `token` at the end of the turn, unless it stands there already.
    pub fn raise(&self, token: Token) {
        self.lock().put(token);
    }

    /// Hands over a frame where an outlet is lent that takes it, and raises `token`
    /// where not. Whether the frame is the viewer's now.
    pub(crate) fn hand_over(&self, token: Token, frame: &Frame) -> bool {
        let mut queue = self.lock();
        let queue = &mut *queue;
        if queue.lent
            && let Some(direct_write) = &mut queue.direct_write
        {
            match direct_write.offer(frame) {
                Offered::Sent => return true,
                Offered::Begun(sent) => {
                    let frame = frame.clone();
                    queue.begun = Some(Box::new(Begun { frame, sent }));
                    queue.wake();
                    return true;
                }
                Offered::Declined => {}
            }
        }
        queue.put(token);
        false
    }

    /// The next token in turn.
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

    /// Lets frames go to an outlet until the viewer is woken or takes it back; only
    /// for a viewer that waits. The first outlet is made by `make`, and kept.
    pub fn start_direct_write(&self, make: impl FnOnce() -> Box<dyn DirectWrite>) {
        let mut queue = self.lock();
        if queue.waits {
            queue.direct_write.get_or_insert_with(make);
            queue.lent = true;
        }
    }

    /// Takes the outlet back before anything else is done with what it writes to.
    /// What it has begun is the viewer's to end.
    pub fn stop_direct_write(&self) -> Option<Begun> {
        let mut queue = self.lock();
        queue.lent = false;
        queue.begun.take().map(|begun| *begun)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Hand;
    use crate::frame::{FrameBuffer, Picture};
    use crate::{Slot, Subscription};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
    use std::task::Wake;

    #[test]
    fn each_camera_has_its_turn() {
        let ready = Ready::default();
        for token in [0, 1, 0, 2, 0] {
            ready.raise(token);
        }
        let mut cx = Context::from_waker(Waker::noop());
        let mut order = Vec::new();
        while let Poll::Ready(token) = ready.poll_next(&mut cx) {
            order.push(token);
            if order.len() == 1 {
                ready.raise(0);
            }
        }
        assert_eq!(order, [0, 1, 2, 0]);
    }

    #[test]
    fn any_number_of_cameras_stands_in_line_once_each() {
        let ready = Ready::default();
        let tokens = [63, 64, 200, 0, 65, 63, 64, 0];
        tokens.iter().for_each(|&token| ready.raise(token));
        let mut cx = Context::from_waker(Waker::noop());
        let mut next = || match ready.poll_next(&mut cx) {
            Poll::Ready(token) => Some(token),
            Poll::Pending => None,
        };
        assert_eq!(
            [(); 6].map(|()| next()),
            [Some(63), Some(64), Some(200), Some(0), Some(65), None]
        );
        tokens.iter().for_each(|&token| ready.raise(token));
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
    fn a_viewer_is_woken_once_for_each_time_it_waits() {
        let (ready, woken) = (Ready::default(), Arc::<Woken>::default());
        let waker = Waker::from(woken.clone());
        let mut cx = Context::from_waker(&waker);
        for round in 1..=3 {
            assert!(ready.poll_next(&mut cx).is_pending());
            ready.raise(0);
            ready.raise(1);
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
        ready.raise(0);
        assert_eq!(woken.0.load(SeqCst), 3, "who asks last is woken");
    }

    /// Does with each frame what it is told, taking the time it is told, and keeps a note.
    #[derive(Default)]
    struct Told {
        clock: Arc<Hand>,
        takes: AtomicU64,
        does: Mutex<VecDeque<Offered>>,
        seen: Mutex<Vec<u8>>,
    }

    impl DirectWrite for Arc<Told> {
        fn offer(&mut self, frame: &Frame) -> Offered {
            self.seen.lock().expect("one").push(frame.payload()[0]);
            self.clock.pass(self.takes.load(SeqCst));
            let does = self.does.lock().expect("one").pop_front();
            does.unwrap_or(Offered::Sent)
        }
    }

    /// A viewer of one camera that lends an outlet.
    struct Viewer {
        slot: Arc<Slot>,
        ready: Arc<Ready>,
        subscription: Subscription,
        woken: Arc<Woken>,
        told: Arc<Told>,
    }

    impl Viewer {
        fn new() -> Self {
            let told = Arc::<Told>::default();
            let slot = Arc::new(Slot::new("cam", told.clock.clone()));
            let ready = Arc::<Ready>::default();
            Self {
                subscription: Subscription::new(slot.clone(), None, ready.clone(), 0),
                slot,
                ready,
                woken: Arc::default(),
                told,
            }
        }

        fn publish(&self, byte: u8) {
            let buffer = FrameBuffer::copy_from(&[byte]);
            self.slot.publish(Picture::jpeg(buffer, None));
        }

        /// Takes what there is, and waits then, with the outlet lent.
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
                .start_direct_write(|| Box::new(self.told.clone()));
            taken
        }

        fn seen(&self) -> Vec<u8> {
            std::mem::take(&mut self.told.seen.lock().expect("one"))
        }

        fn does(&self, does: Offered) {
            self.told.does.lock().expect("one").push_back(does);
        }

        fn woken(&self) -> usize {
            self.woken.0.load(SeqCst)
        }
    }

    #[test]
    fn frames_go_to_an_outlet_that_is_lent_and_their_viewer_sleeps() {
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
        assert_eq!(viewer.wait(), [5], "the newest it has not had");
        assert_eq!(
            (viewer.subscription.taken(), viewer.subscription.dropped()),
            (5, 1)
        );
    }

    #[test]
    fn what_an_outlet_declines_or_only_begins_is_the_viewers() {
        let mut viewer = Viewer::new();
        viewer.publish(0);
        viewer.wait();
        viewer.does(Offered::Declined);
        viewer.publish(1);
        viewer.publish(2);
        assert_eq!((viewer.seen(), viewer.woken()), (vec![1], 1));
        assert_eq!(viewer.wait(), [2]);
        viewer.does(Offered::Begun(7));
        viewer.publish(3);
        viewer.publish(4);
        assert_eq!((viewer.seen(), viewer.woken()), (vec![3], 2));
        let begun = viewer.ready.stop_direct_write().expect("what it began");
        assert_eq!((begun.frame.payload()[0], begun.sent), (3, 7));
        assert_eq!(viewer.wait(), [4]);
        assert!(viewer.ready.stop_direct_write().is_none());
    }

    #[test]
    fn who_sets_a_pace_of_its_own_is_asked_and_so_is_who_has_missed_something() {
        let mut viewer = Viewer::new();
        viewer.publish(0);
        viewer.wait();
        viewer.subscription.set_prompt(false);
        viewer.publish(1);
        viewer.publish(2);
        assert_eq!((viewer.seen(), viewer.woken()), (vec![], 1));
        viewer.subscription.set_prompt(true);
        // Woken, it takes its token and no frame, as one that has no credit does.
        assert!(
            viewer
                .ready
                .poll_next(&mut Context::from_waker(Waker::noop()))
                .is_ready()
        );
        viewer.wait();
        viewer.publish(3);
        assert_eq!(viewer.seen(), [], "what it missed is counted by itself");
        assert_eq!(viewer.wait(), [3]);
        assert_eq!(viewer.subscription.dropped(), 2);
        viewer.publish(4);
        assert_eq!(viewer.seen(), [4]);
    }

    #[test]
    fn of_pictures_that_come_faster_than_they_go_out_a_viewer_takes_the_newest() {
        let mut viewer = Viewer::new();
        viewer.publish(0);
        viewer.wait();
        viewer.told.takes.store(5000, SeqCst);
        for byte in 1..5 {
            viewer.publish(byte);
        }
        assert_eq!((viewer.seen(), viewer.woken()), (vec![1], 1));
        assert_eq!(viewer.wait(), [4]);
        assert_eq!(viewer.subscription.dropped(), 2);
        viewer.told.clock.pass(4999);
        viewer.publish(5);
        assert_eq!(viewer.wait(), [5]);
        viewer.told.clock.pass(1);
        viewer.publish(6);
        assert_eq!(viewer.seen(), [6]);
    }
}
