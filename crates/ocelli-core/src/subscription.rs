//! A viewer's hold on slots.

use crate::demand::Lease;
use crate::frame::Frame;
use crate::listener::Role;
use crate::ready::{Ready, Token};
use crate::slot::Slot;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// One viewer's hold on one stream: its place at the slot, which has the cursor, and
/// the lease that keeps the camera awake.
pub struct Subscription {
    slot: Arc<Slot>,
    ready: Arc<Ready>,
    token: Token,
    place: usize,
    _lease: Option<Lease>,
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
            _lease: lease,
        }
    }

    /// Says whether frames may go to an [`DirectWrite`](crate::Outlet) that the viewer
    /// lends: not those of a camera for which it keeps a pace of its own.
    pub fn set_prompt(&mut self, prompt: bool) {
        self.slot.set_prompt(self.place, prompt);
    }

    /// The newest frame this viewer has not had, or the next of the newest group.
    pub fn take(&mut self) -> Option<Frame> {
        let taken = self.slot.take(self.place)?;
        if taken.more {
            self.ready.raise(self.token);
        }
        Some(taken.frame)
    }

    /// Frames that this viewer took.
    pub fn taken(&self) -> u64 {
        self.slot.counts(self.place).0
    }

    /// Frames superseded before this viewer took them.
    pub fn dropped(&self) -> u64 {
        self.slot.counts(self.place).1
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

    /// What it waits on, to lend it an outlet.
    pub fn ready(&self) -> &Ready {
        &self.ready
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
