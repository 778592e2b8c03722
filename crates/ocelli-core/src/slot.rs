//! A stream's newest group, and the subscriptions to it.
//!
//! The writer replaces the group and never waits; a reader takes the frame at its cursor
//! under a short lock. For JPEG a group is one frame, so the newest group is the newest
//! picture; for H.264 and MPEG-1 it is a key frame and the frames that depend on it.

use crate::clock::{Clock, Timestamp};
use crate::frame::{Codec, Frame, Picture, Stamp};
use crate::listener::{Cursor, Listener, Pause, Role};
use crate::ready::{Ready, Token};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Limits for a group that a camera never ends. Beyond either limit the oldest frames are
/// dropped, and new viewers wait for the next key frame.
const MAX_GROUP_FRAMES: usize = 900;
const MAX_GROUP_BYTES: usize = 16 << 20;

/// Weight of a new interval in the moving average that the frame rate is computed from.
const RATE_WEIGHT: f64 = 0.1;

/// A frame taken with [`Slot::take`].
pub(crate) struct TakenFrame {
    pub frame: Frame,
    /// Whether the group has more frames after this one.
    pub more: bool,
}

/// Status of a slot.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SlotStatus {
    /// Frames written since the hub started.
    pub frames: u64,
    /// Payload bytes written since the hub started.
    pub bytes: u64,
    /// Frames superseded before a viewer took them, summed over all viewers.
    pub dropped: u64,
    /// Current number of viewers.
    pub viewers: usize,
    /// Frames per second, from the recent intervals; 0 when frames have stopped.
    pub fps: f64,
    /// Capture time of the newest picture, or its receipt time; unknown if there is no
    /// picture.
    pub taken: Timestamp,
    /// The newest picture's size in pixels.
    pub size: Option<(u16, u16)>,
    /// The newest picture's codec.
    pub codec: Option<Codec>,
}

#[derive(Default)]
struct Inner {
    group: VecDeque<Frame>,
    group_bytes: usize,
    /// Number of frames dropped from the front of the group.
    dropped_from_front: usize,
    next_group: u32,
    next_sequence: u32,
    /// Whether the group can grow: false until a key frame starts one.
    has_key_frame: bool,
    interrupted: bool,
    /// Sequence number of the first frame after the last interruption.
    resumed_at: Option<u32>,
    listeners: Vec<Option<Listener>>,
    pause: Pause,
    viewers: usize,
    frames: u64,
    bytes: u64,
    dropped: u64,
    interval: Option<f64>,
    last_received: Timestamp,
    size: Option<(u16, u16)>,
}

/// The newest group of one stream of one camera.
pub struct Slot {
    id: String,
    clock: Arc<dyn Clock>,
    inner: Mutex<Inner>,
}

impl Slot {
    /// Creates an empty slot; `id` is the camera id that its frames carry.
    pub fn new(id: impl Into<String>, clock: Arc<dyn Clock>) -> Self {
        Self {
            id: id.into(),
            clock,
            inner: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // No code panics under this lock in the middle of a change.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes `picture` the newest and notifies all subscriptions.
    ///
    /// Returns false for a picture that depends on a key frame that was not published: no
    /// decoder could use it, so it is discarded.
    pub fn publish(&self, picture: Picture) -> bool {
        let received = self.clock.now();
        let mut inner = self.lock();
        if !picture.key && !inner.has_key_frame {
            return false;
        }
        let inner = &mut *inner;
        if picture.key {
            inner.group.clear();
            inner.group_bytes = 0;
            inner.dropped_from_front = 0;
            inner.has_key_frame = true;
            inner.next_group = inner.next_group.wrapping_add(1);
        }
        if picture.size.is_some() {
            inner.size = picture.size;
        }
        let stamp = Stamp {
            group: inner.next_group.wrapping_sub(1),
            sequence: inner.next_sequence,
            discontinuity: std::mem::take(&mut inner.interrupted),
            received,
        };
        if stamp.discontinuity {
            inner.resumed_at = Some(stamp.sequence);
        }
        inner.next_sequence = inner.next_sequence.wrapping_add(1);
        let frame = Frame::new(&self.id, picture, stamp);
        inner.note_rate(received);
        inner.frames += 1;
        inner.bytes += frame.payload_len() as u64;
        inner.group_bytes += frame.payload_len();
        inner.group.push_back(frame);
        while inner.group.len() > 1
            && (inner.group.len() > MAX_GROUP_FRAMES || inner.group_bytes > MAX_GROUP_BYTES)
        {
            if let Some(old) = inner.group.pop_front() {
                inner.group_bytes -= old.payload_len();
                inner.dropped_from_front += 1;
            }
        }
        if let Some(frame) = inner.group.back() {
            let cursor = Cursor {
                group: frame.group,
                next: inner.dropped_from_front + inner.group.len(),
                sequence: frame.sequence,
            };
            let direct = inner.pause.is_over(received);
            let mut accepted = false;
            for listener in inner.listeners.iter_mut().flatten() {
                accepted |= listener.notify(frame, cursor, direct);
            }
            if accepted {
                inner.pause = Pause::after(received, self.clock.now());
            }
        }
        true
    }

    /// Marks that the next frame does not continue from the last one; the last picture is
    /// kept.
    pub fn interrupt(&self) {
        let mut inner = self.lock();
        inner.interrupted = true;
        inner.has_key_frame = false;
        inner.forget_rate();
    }

    /// Discards the picture: an idle camera has none.
    pub fn clear(&self) {
        let mut inner = self.lock();
        inner.group.clear();
        inner.group_bytes = 0;
        inner.has_key_frame = false;
        inner.forget_rate();
    }

    /// Returns the status of the slot.
    pub fn status(&self) -> SlotStatus {
        let now = self.clock.now();
        let inner = self.lock();
        let newest = inner.group.back();
        let quiet = now.micros_since(inner.last_received) as f64;
        let fps = match inner.interval {
            Some(interval) if quiet < (5.0 * interval).max(3e6) => 1e6 / interval.max(1.0),
            _ => 0.0,
        };
        SlotStatus {
            frames: inner.frames,
            bytes: inner.bytes,
            dropped: inner.dropped,
            viewers: inner.viewers,
            fps,
            taken: newest.map_or(Timestamp::UNKNOWN, Frame::taken),
            size: inner.size,
            codec: newest.map(|frame| frame.codec),
        }
    }

    /// Returns the newest frame, if the slot holds one.
    pub fn newest(&self) -> Option<Frame> {
        self.lock().group.back().cloned()
    }

    pub(crate) fn subscribe(&self, ready: Arc<Ready>, token: Token, role: Role) -> usize {
        let mut inner = self.lock();
        if !inner.group.is_empty() {
            ready.enqueue(token);
        }
        inner.viewers += usize::from(role == Role::Viewer);
        let listener = Some(Listener {
            ready,
            token,
            cursor: None,
            role,
            direct: role == Role::Viewer,
            credit: None,
            taken: 0,
            dropped: 0,
        });
        match inner.listeners.iter().position(Option::is_none) {
            Some(free) => {
                inner.listeners[free] = listener;
                free
            }
            None => {
                inner.listeners.push(listener);
                inner.listeners.len() - 1
            }
        }
    }

    pub(crate) fn unsubscribe(&self, index: usize) {
        let mut inner = self.lock();
        if let Some(listener) = inner.listeners.get_mut(index)
            && let Some(listener) = listener.take()
        {
            inner.viewers -= usize::from(listener.role == Role::Viewer);
        }
        while matches!(inner.listeners.last(), Some(None)) {
            inner.listeners.pop();
        }
    }

    pub(crate) fn allow_direct(&self, index: usize, direct: bool) {
        if let Some(Some(listener)) = self.lock().listeners.get_mut(index) {
            listener.direct = direct;
        }
    }

    /// Sets how many frames the subscription at `index` may take; `None` for any number.
    pub(crate) fn set_credit(&self, index: usize, credit: Option<u32>) {
        if let Some(Some(listener)) = self.lock().listeners.get_mut(index) {
            listener.credit = credit;
            listener.ready.enqueue(listener.token);
        }
    }

    /// Adds credit to the subscription at `index`, up to `limit`. Has no effect if it is not
    /// limited by credit.
    pub(crate) fn add_credit(&self, index: usize, more: u32, limit: u32) {
        let mut inner = self.lock();
        let newest = inner.group.back().map(|frame| frame.sequence);
        if let Some(Some(listener)) = inner.listeners.get_mut(index)
            && let Some(credit) = &mut listener.credit
        {
            *credit = credit.saturating_add(more).min(limit);
            if listener.cursor.map(|cursor| cursor.sequence) != newest {
                listener.ready.enqueue(listener.token);
            }
        }
    }

    /// Returns how many frames the subscription at `index` took, and how many were
    /// superseded before it took them.
    pub(crate) fn counts(&self, index: usize) -> (u64, u64) {
        match self.lock().listeners.get(index) {
            Some(Some(listener)) => (listener.taken, listener.dropped),
            _ => (0, 0),
        }
    }

    /// Returns the next frame for the subscription at `index`: the next of its group while
    /// that is the newest, otherwise the first of the newest group. Returns `None` without
    /// credit.
    pub(crate) fn take(&self, index: usize) -> Option<TakenFrame> {
        let mut inner = self.lock();
        let inner = &mut *inner;
        let listener = inner.listeners.get_mut(index)?.as_mut()?;
        if listener.credit == Some(0) {
            return None;
        }
        let group = inner.group.front()?.group;
        let next = match listener.cursor {
            Some(cursor) if cursor.group == group => cursor.next,
            _ => 0,
        };
        // Dropped frames are not available: wait for the next key frame.
        let index = next.checked_sub(inner.dropped_from_front)?;
        let mut frame = inner.group.get(index)?.clone();
        if let Some(cursor) = listener.cursor {
            let since = |sequence: u32| sequence.wrapping_sub(cursor.sequence);
            // A viewer that missed the first frame after an interruption gets the flag with
            // this one.
            frame.discontinuity |= inner
                .resumed_at
                .is_some_and(|resumed_at| (1..since(frame.sequence)).contains(&since(resumed_at)));
            let dropped = u64::from(since(frame.sequence).wrapping_sub(1));
            listener.dropped += dropped;
            if listener.role == Role::Viewer {
                inner.dropped += dropped;
            }
        }
        listener.count(Cursor {
            group,
            next: next + 1,
            sequence: frame.sequence,
        });
        Some(TakenFrame {
            more: index + 1 < inner.group.len() && listener.credit != Some(0),
            frame,
        })
    }
}

impl Inner {
    /// Excludes a pause from the frame intervals: the average would take minutes to
    /// recover.
    fn forget_rate(&mut self) {
        self.interval = None;
        self.last_received = Timestamp::UNKNOWN;
    }

    fn note_rate(&mut self, received: Timestamp) {
        if self.last_received.is_known() {
            let interval = received.micros_since(self.last_received) as f64;
            self.interval = Some(match self.interval {
                Some(mean) => mean + RATE_WEIGHT * (interval - mean),
                None => interval,
            });
        }
        self.last_received = received;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{ManualClock, SystemClock};
    use crate::frame::{Form, FrameBuffer};

    fn slot() -> Slot {
        Slot::new("cam", Arc::new(SystemClock))
    }

    fn unit(key: bool, byte: u8) -> Picture {
        Picture {
            codec: Codec::H264,
            key,
            captured: Timestamp::UNKNOWN,
            size: None,
            codec_string: None,
            buffer: FrameBuffer::copy_from(&[byte]),
        }
    }

    fn subscribe(slot: &Slot) -> usize {
        slot.subscribe(Arc::default(), 0, Role::Viewer)
    }

    fn bytes_at(slot: &Slot, index: usize) -> Vec<u8> {
        let frames = std::iter::from_fn(|| slot.take(index));
        frames.map(|taken| taken.frame.payload()[0]).collect()
    }

    #[test]
    fn a_jpeg_viewer_gets_the_newest_frame_and_a_drop_count() {
        let slot = slot();
        let index = subscribe(&slot);
        for byte in 0..3 {
            slot.publish(Picture::jpeg(FrameBuffer::copy_from(&[byte]), None));
        }
        assert_eq!(bytes_at(&slot, index), [2]);
        assert_eq!(slot.counts(index), (1, 0));
        for byte in 3..7 {
            slot.publish(Picture::jpeg(FrameBuffer::copy_from(&[byte]), None));
        }
        assert_eq!(bytes_at(&slot, index), [6]);
        assert_eq!(slot.counts(index), (2, 3));
        assert_eq!(slot.status().dropped, 3);
    }

    #[test]
    fn frames_are_taken_only_against_credit() {
        let slot = slot();
        let ready = Arc::<Ready>::default();
        let index = slot.subscribe(ready.clone(), 0, Role::Viewer);
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        let mut is_queued = || ready.poll_next(&mut cx).is_ready();
        slot.set_credit(index, Some(2));
        assert!(is_queued());
        slot.publish(unit(true, 0));
        slot.publish(unit(false, 1));
        slot.publish(unit(false, 2));
        assert!(is_queued());
        assert_eq!(bytes_at(&slot, index), [0, 1]);
        slot.publish(unit(false, 3));
        assert!(!is_queued(), "without credit it is not woken");
        slot.add_credit(index, 1, 2);
        assert!(is_queued());
        assert_eq!(bytes_at(&slot, index), [2], "the next of the group");
        slot.add_credit(index, u32::MAX, 2);
        assert_eq!(bytes_at(&slot, index), [3]);
        assert!(is_queued());
        slot.add_credit(index, 0, 2);
        assert!(!is_queued(), "there is nothing newer");
        slot.publish(unit(true, 4));
        slot.publish(unit(true, 5));
        assert_eq!(bytes_at(&slot, index), [5], "the newest group");
        slot.publish(unit(true, 6));
        assert_eq!(bytes_at(&slot, index), [], "the credit was limited to 2");
        slot.set_credit(index, None);
        slot.publish(unit(false, 7));
        assert_eq!(bytes_at(&slot, index), [6, 7]);
        slot.add_credit(index, 1, 2);
        slot.publish(unit(true, 8));
        slot.publish(unit(false, 9));
        assert_eq!(bytes_at(&slot, index), [8, 9], "credit is not used");
    }

    #[test]
    fn a_viewer_that_misses_the_first_frame_after_an_interruption_gets_the_flag_with_the_next() {
        let slot = slot();
        let publish = |byte| slot.publish(Picture::jpeg(FrameBuffer::copy_from(&[byte]), None));
        let (early, on_time) = (subscribe(&slot), subscribe(&slot));
        publish(0);
        assert_eq!(bytes_at(&slot, early), bytes_at(&slot, on_time));
        slot.interrupt();
        publish(1);
        assert!(slot.take(on_time).expect("one").frame.discontinuity);
        publish(2);
        for (index, flagged) in [(early, true), (on_time, false)] {
            let late = slot.take(index).expect("another").frame;
            assert_eq!((late.payload()[0], late.discontinuity), (2, flagged));
            let late = late.into_message(Form::V2);
            assert_eq!(late[3], 1 | u8::from(flagged) << 1);
            let newest = slot.newest().expect("one").into_message(Form::V2);
            assert_eq!(late[4..], newest[4..]);
        }
        let newcomer = slot.take(subscribe(&slot)).expect("one").frame;
        assert!(!newcomer.discontinuity);
    }

    #[test]
    fn a_group_is_read_in_order_and_a_slow_viewer_skips_to_the_newest() {
        let slot = slot();
        let index = subscribe(&slot);
        assert!(!slot.publish(unit(false, 9)), "no key frame yet");
        slot.publish(unit(true, 0));
        slot.publish(unit(false, 1));
        assert_eq!(bytes_at(&slot, index), [0, 1]);
        slot.publish(unit(false, 2));
        slot.publish(unit(true, 10));
        slot.publish(unit(false, 11));
        assert_eq!(bytes_at(&slot, index), [10, 11]);
        assert_eq!(slot.counts(index), (4, 1));
    }

    #[test]
    fn an_endless_group_is_bounded_and_new_viewers_wait_for_a_key_frame() {
        let slot = slot();
        let (follower, newcomer) = (subscribe(&slot), subscribe(&slot));
        slot.publish(unit(true, 0));
        bytes_at(&slot, follower);
        for _ in 0..MAX_GROUP_FRAMES {
            slot.publish(unit(false, 1));
        }
        assert!(slot.take(newcomer).is_none());
        assert_eq!(bytes_at(&slot, follower).len(), MAX_GROUP_FRAMES);
        slot.publish(unit(true, 2));
        assert_eq!(bytes_at(&slot, newcomer), [2]);
    }

    #[test]
    fn a_cleared_slot_is_empty_until_the_next_publish() {
        let slot = slot();
        let index = subscribe(&slot);
        slot.publish(unit(true, 0));
        slot.clear();
        assert!(slot.take(index).is_none() && slot.newest().is_none());
        slot.interrupt();
        slot.publish(unit(true, 1));
        let taken = slot.take(index).expect("a new picture");
        assert!(taken.frame.discontinuity);
    }

    #[test]
    fn a_pause_does_not_lower_the_frame_rate() {
        let clock = Arc::new(ManualClock::default());
        let slot = Slot::new("cam", clock.clone());
        let pass = |micros| clock.advance(micros);
        let show = || {
            for _ in 0..5 {
                pass(200_000);
                slot.publish(unit(true, 0));
            }
            slot.status().fps
        };
        assert!((show() - 5.0).abs() < 0.1);
        slot.interrupt();
        pass(20_000_000);
        let fps = show();
        assert!((fps - 5.0).abs() < 0.1, "{fps}");
        slot.clear();
        pass(20_000_000);
        let fps = show();
        assert!((fps - 5.0).abs() < 0.1, "{fps}");
    }
}
