//! A viewer's subscription to slots.

use crate::demand::Lease;
use crate::frame::{Codec, Frame};
use crate::listener::{Listener, Role};
use crate::ready::{Ready, Token};
use crate::slot::Slot;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// One viewer's subscription to one stream: its place in the slot, which stores the cursor,
/// and the lease that keeps the camera running.
pub struct Subscription {
    slot: Arc<Slot>,
    ready: Arc<Ready>,
    token: Token,
    index: usize,
    _lease: Option<Lease>,
}

impl Subscription {
    /// Subscribes. `token` is queued in `ready` at once if there is a picture, and whenever
    /// there is a newer one.
    pub fn new(slot: Arc<Slot>, lease: Option<Lease>, ready: Arc<Ready>, token: Token) -> Self {
        Self::of(slot, lease, ready, token, Role::Viewer)
    }

    pub(crate) fn of(
        slot: Arc<Slot>,
        lease: Option<Lease>,
        ready: Arc<Ready>,
        token: Token,
        role: Role,
    ) -> Self {
        let index = slot.subscribe(ready.clone(), token, role);
        Self {
            slot,
            ready,
            token,
            index,
            _lease: lease,
        }
    }

    /// Sets whether the viewer's [`DirectWrite`](crate::DirectWrite) may be used. A viewer that
    /// sets its own pace for a camera turns this off.
    pub fn allow_direct(&mut self, direct: bool) {
        self.with(|listener| listener.direct = direct);
    }

    /// Sets how many frames may be taken; `None` for any number.
    pub fn set_credit(&mut self, credit: Option<u32>) {
        self.with(|listener| listener.credit = credit);
        self.ready.enqueue(self.token);
    }

    /// Returns how many frames may be taken; `None` for any number.
    pub(crate) fn credit(&self) -> Option<u32> {
        self.with(|listener| listener.credit).flatten()
    }

    /// Sets whether only key frames are taken.
    pub(crate) fn set_only_key_frames(&mut self, only: bool) {
        self.with(|listener| {
            // Without the frames in between it has not caught up.
            if listener.only_key_frames != only {
                listener.least_lag = None;
            }
            listener.only_key_frames = only;
        });
        self.ready.enqueue(self.token);
    }

    /// Whether it has taken nothing, and can't take anything before the next key frame.
    pub(crate) fn awaits_first_key(&self) -> bool {
        let awaits = |listener: &mut Listener| listener.waits_for_key && listener.cursor.is_none();
        self.with(awaits).unwrap_or_default()
    }

    /// Returns whether the viewer fell too far behind since the last call, or still gets nothing
    /// because of it.
    pub(crate) fn has_lagged(&mut self) -> bool {
        let lagged = |listener: &mut Listener| {
            let lagged = listener.lagging;
            listener.lagging &= listener.waits_for_key;
            lagged
        };
        self.with(lagged).unwrap_or_default()
    }

    fn with<T>(&self, act: impl FnOnce(&mut Listener) -> T) -> Option<T> {
        self.slot.with(self.index, act)
    }

    /// Adds credit, up to `limit` in all. Has no effect on a subscription that is not limited
    /// by credit.
    pub fn add_credit(&mut self, more: u32, limit: u32) {
        self.slot.add_credit(self.index, more, limit);
    }

    /// Takes the newest frame that this viewer has not received, or the next one of the
    /// newest group. Returns `None` without credit.
    pub fn take(&mut self) -> Option<Frame> {
        self.take_if(|_| true)
    }

    /// The same, but leaves a frame in a codec that `accepts` refuses.
    pub(crate) fn take_if(&mut self, accepts: impl FnOnce(Codec) -> bool) -> Option<Frame> {
        let taken = self.slot.take(self.index, accepts)?;
        if taken.more {
            self.ready.enqueue(self.token);
        }
        Some(taken.frame)
    }

    /// Returns the number of frames that this viewer took.
    pub fn taken(&self) -> u64 {
        self.with(|listener| listener.taken).unwrap_or_default()
    }

    /// Returns the number of frames superseded before this viewer took them.
    pub fn dropped(&self) -> u64 {
        self.with(|listener| listener.dropped).unwrap_or_default()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.slot.unsubscribe(self.index);
    }
}

/// A single subscription that can be awaited.
pub struct Follower {
    ready: Arc<Ready>,
    subscription: Subscription,
}

impl Follower {
    /// Follows `slot`. `lease` keeps the camera running.
    pub fn new(slot: Arc<Slot>, lease: Option<Lease>) -> Self {
        Self::of(slot, lease, Role::Viewer)
    }

    /// Follows `slot` for a rendition, without a lease: viewers of the derived stream keep
    /// the camera running, and two grace periods must not add up.
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

    /// Polls for the next frame, as defined by [`Subscription::take`].
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

    /// Returns the next frame if there is one now.
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

    /// Returns its ready queue, to start a direct write.
    pub fn ready(&self) -> &Ready {
        &self.ready
    }

    /// Returns the number of frames superseded before this viewer took them.
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
    async fn a_follower_gets_the_newest_frame_and_unsubscribes_when_dropped() {
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
