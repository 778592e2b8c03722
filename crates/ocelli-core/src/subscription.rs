//! A viewer's hold on slots.
//!
//! [`Ready`] is what a viewer waits on: the slots that have something newer, each
//! at most once, in the order they became ready. Serving them in that order is
//! what makes a viewer fair to its cameras. It holds tokens, never frames, so a
//! viewer that does not come costs a few bytes a camera.

use crate::frame::Frame;
use crate::slot::{Cursor, Slot};
use crate::upstream::Lease;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// A viewer's own number for one of its subscriptions; small, so it can index.
pub type Token = usize;

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
        let mut queue = self.lock();
        if queue.mark(token, true) {
            return;
        }
        match queue.first {
            None => queue.first = Some(token),
            Some(_) => queue.others.push_back(token),
        }
        // The waker stays: a task's is the same each time, and each copy costs.
        if std::mem::take(&mut queue.waits)
            && let Some(waker) = &queue.waker
        {
            waker.wake_by_ref();
        }
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
}

/// One viewer's hold on one stream: a cursor, and the lease that keeps the
/// camera awake.
pub struct Subscription {
    slot: Arc<Slot>,
    ready: Arc<Ready>,
    token: Token,
    place: usize,
    cursor: Option<Cursor>,
    dropped: u64,
    role: Role,
    _lease: Option<Lease>,
}

/// Who takes frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Somebody who watches: counted, and so is what they miss.
    Viewer,
    /// What derives another stream: no viewer, and no viewer misses what it does.
    Rendition,
}

impl Subscription {
    /// Subscribes; `ready` is raised with `token` now if there is a picture, and
    /// whenever there is a newer one.
    pub fn new(slot: Arc<Slot>, lease: Option<Lease>, ready: Arc<Ready>, token: Token) -> Self {
        Self::of(slot, lease, ready, token, Role::Viewer)
    }

    fn of(
        slot: Arc<Slot>,
        lease: Option<Lease>,
        ready: Arc<Ready>,
        token: Token,
        role: Role,
    ) -> Self {
        let place = slot.listen(ready.clone(), token, role);
        Self {
            slot,
            ready,
            token,
            place,
            cursor: None,
            dropped: 0,
            role,
            _lease: lease,
        }
    }

    /// The newest frame this viewer has not had, or the next of the newest group.
    pub fn take(&mut self) -> Option<Frame> {
        let taken = self.slot.take(self.cursor, self.role)?;
        self.cursor = Some(taken.cursor);
        self.dropped += u64::from(taken.dropped);
        if taken.more {
            self.ready.raise(self.token);
        }
        Some(taken.frame)
    }

    /// Frames superseded before this viewer took them.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.slot.leave(self.place);
    }
}

/// A subscription that is waited on alone.
pub struct Follower {
    ready: Arc<Ready>,
    subscription: Subscription,
}

impl Follower {
    /// Follows `slot`, keeping its camera awake by `lease`.
    pub fn new(slot: Arc<Slot>, lease: Option<Lease>) -> Self {
        Self::of(slot, lease, Role::Viewer)
    }

    /// Follows `slot` for a rendition. Without a lease: those who watch what is
    /// derived keep the camera awake, and one grace must not follow upon another.
    pub(crate) fn for_rendition(slot: Arc<Slot>) -> Self {
        Self::of(slot, None, Role::Rendition)
    }

    fn of(slot: Arc<Slot>, lease: Option<Lease>, role: Role) -> Self {
        let ready = Arc::new(Ready::default());
        let subscription = Subscription::of(slot, lease, ready.clone(), 0, role);
        Self {
            ready,
            subscription,
        }
    }

    /// The next frame for this viewer, as [`Subscription::take`] has it.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Frame> {
        loop {
            let Poll::Ready(_) = self.ready.poll_next(cx) else {
                return Poll::Pending;
            };
            if let Some(frame) = self.subscription.take() {
                return Poll::Ready(frame);
            }
        }
    }

    /// The next frame if there is one now.
    pub fn try_next(&mut self) -> Option<Frame> {
        match self.poll_next(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(frame) => Some(frame),
            Poll::Pending => None,
        }
    }

    /// Waits for the next frame.
    pub async fn next(&mut self) -> Frame {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }

    /// Frames superseded before this viewer took them.
    pub fn dropped(&self) -> u64 {
        self.subscription.dropped()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::frame::{FrameBuffer, Picture};
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
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

    #[tokio::test]
    async fn a_follower_sees_the_newest_and_leaves() {
        let slot = Arc::new(Slot::new("cam", Arc::new(SystemClock)));
        let mut follower = Follower::new(slot.clone(), None);
        for byte in 0..5u8 {
            slot.publish(Picture::jpeg(FrameBuffer::copy_from(&[byte]), None));
        }
        assert_eq!(follower.next().await.payload()[0], 4);
        assert_eq!(slot.status().viewers, 1);
        drop(follower);
        assert_eq!(slot.status().viewers, 0);
    }
}
