//! A stream's newest group, and the subscriptions to it.
//!
//! The writer replaces the group and never waits; a reader takes the frame at its cursor
//! under a short lock. For JPEG a group is one frame, so the newest group is the newest
//! picture; for H.264 and MPEG-1 it is a key frame and the frames that depend on it.

use crate::clock::{Clock, Timestamp};
use crate::frame::{Codec, Frame, Picture, Stamp};
use crate::group::{Group, GroupMemory};
use crate::listener::{Cursor, Listener, Pause, Role};
use crate::ready::{Ready, Token};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A viewer that had caught up, and is this far behind inside a group, gets no more of that group;
/// in microseconds.
const MAX_LAG: u64 = 1_500_000;
/// Number of frames after an interruption from which on the frame rate is known.
const RATE_KNOWN_AFTER: u32 = 10;

/// How much a picture reduces the weight of earlier intervals in the moving average that the
/// frame rate is computed from.
const RATE_WEIGHT: f64 = 0.1;
/// The frame rate is measured over at least this time, in microseconds: pictures can arrive in
/// bursts.
const RATE_SPAN: u64 = 500_000;
/// The same until the first measurement is complete.
const FIRST_RATE_SPAN: u64 = 100_000;

/// What publishing a picture changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Published {
    /// Nothing: the picture was discarded.
    Discarded,
    /// The newest frame.
    Frame,
    /// Also what the slot's listing says: the codec string, the size, or a frame rate that was
    /// unknown.
    Listing,
}

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

struct Inner {
    group: Group,
    next_group: u32,
    next_sequence: u32,
    /// Whether the group can grow: false until a key frame starts one.
    has_key_frame: bool,
    interrupted: bool,
    /// Sequence number of the first frame after the last interruption.
    resumed_at: Option<u32>,
    /// Number of frames since the last interruption.
    run: u32,
    listeners: Vec<Option<Listener>>,
    pause: Pause,
    viewers: usize,
    frames: u64,
    bytes: u64,
    dropped: u64,
    /// The mean interval between pictures in microseconds, once measured.
    interval: Option<f64>,
    /// When the present measurement of the interval began, and the number of pictures since.
    span: Option<(Timestamp, u32)>,
    last_received: Timestamp,
    size: Option<(u16, u16)>,
    codec_string: Option<Arc<str>>,
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
        Self::with_memory(id, clock, GroupMemory::new(usize::MAX))
    }

    /// Creates an empty slot whose group counts towards `memory`.
    pub(crate) fn with_memory(
        id: impl Into<String>,
        clock: Arc<dyn Clock>,
        memory: Arc<GroupMemory>,
    ) -> Self {
        Self {
            id: id.into(),
            clock,
            inner: Mutex::new(Inner {
                group: Group::new(memory),
                next_group: 0,
                next_sequence: 0,
                has_key_frame: false,
                interrupted: false,
                resumed_at: None,
                run: 0,
                listeners: Vec::new(),
                pause: Pause::default(),
                viewers: 0,
                frames: 0,
                bytes: 0,
                dropped: 0,
                interval: None,
                span: None,
                last_received: Timestamp::UNKNOWN,
                size: None,
                codec_string: None,
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // No code panics under this lock in the middle of a change.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes `picture` the newest and notifies all subscriptions.
    ///
    /// A picture that depends on a key frame that was not published is discarded, because no
    /// decoder could use it.
    pub fn publish(&self, picture: Picture) -> Published {
        let received = self.clock.now();
        let mut inner = self.lock();
        if !picture.key && !inner.has_key_frame {
            return Published::Discarded;
        }
        let inner = &mut *inner;
        let mut published = Published::Frame;
        if picture.key {
            let codec = inner.group.newest().map(|frame| frame.codec);
            inner.interrupted |= codec.is_some_and(|codec| codec != picture.codec);
            inner.group.clear();
            inner.has_key_frame = true;
            inner.next_group = inner.next_group.wrapping_add(1);
            if inner.codec_string != picture.codec_string {
                inner.interrupted |= inner.codec_string.is_some();
                inner.codec_string.clone_from(&picture.codec_string);
                published = Published::Listing;
            }
        }
        if picture.size.is_some() && inner.size != picture.size {
            inner.interrupted |= inner.size.is_some() && picture.codec.is_native();
            inner.size = picture.size;
            // The size of JPEG can change with each picture.
            if picture.codec.is_native() {
                published = Published::Listing;
            }
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
        inner.run = inner.run.saturating_add(1);
        if inner.run == RATE_KNOWN_AFTER {
            published = Published::Listing;
        }
        inner.frames += 1;
        inner.bytes += frame.payload_len() as u64;
        inner.group.push(frame);
        if let Some(frame) = inner.group.newest() {
            let cursor = Cursor {
                group: frame.group,
                next: inner.group.end(),
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
        published
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
        inner.has_key_frame = false;
        inner.forget_rate();
    }

    /// Returns the status of the slot.
    pub fn status(&self) -> SlotStatus {
        let now = self.clock.now();
        let inner = self.lock();
        let newest = inner.group.newest();
        let quiet = now.micros_since(inner.last_received) as f64;
        let fps = match inner.mean_interval() {
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

    /// Returns the codec string of the newest group, if known.
    pub(crate) fn codec_string(&self) -> Option<Arc<str>> {
        self.lock().codec_string.clone()
    }

    /// Returns the newest frame, if the slot holds one.
    pub fn newest(&self) -> Option<Frame> {
        self.lock().group.newest().cloned()
    }

    pub(crate) fn subscribe(&self, ready: Arc<Ready>, token: Token, role: Role) -> usize {
        let mut inner = self.lock();
        if inner.group.newest().is_some() {
            ready.enqueue(token);
        }
        inner.viewers += usize::from(role == Role::Viewer);
        let listener = Some(Listener::new(ready, token, role));
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

    /// Reads or changes the subscription at `index`.
    pub(crate) fn with<T>(&self, index: usize, act: impl FnOnce(&mut Listener) -> T) -> Option<T> {
        let mut inner = self.lock();
        inner.listeners.get_mut(index)?.as_mut().map(act)
    }

    /// Adds credit to the subscription at `index`, up to `limit`. Has no effect if it is not
    /// limited by credit.
    pub(crate) fn add_credit(&self, index: usize, more: u32, limit: u32) {
        let mut inner = self.lock();
        let newest = inner.group.newest().map(|frame| frame.sequence);
        if let Some(Some(listener)) = inner.listeners.get_mut(index)
            && let Some(credit) = &mut listener.credit
        {
            *credit = credit.saturating_add(more).min(limit);
            if listener.cursor.map(|cursor| cursor.sequence) != newest {
                listener.ready.enqueue(listener.token);
            }
        }
    }

    /// Returns the next frame for the subscription at `index`: the next of its group while
    /// that is the newest, otherwise the first of the newest group. Returns `None` without
    /// credit, until the next key frame where a frame before it would be missing, and for a codec
    /// that `accepts` refuses.
    pub(crate) fn take(
        &self,
        index: usize,
        accepts: impl FnOnce(Codec) -> bool,
    ) -> Option<TakenFrame> {
        let mut inner = self.lock();
        let inner = &mut *inner;
        let listener = inner.listeners.get_mut(index)?.as_mut()?;
        if listener.credit == Some(0) {
            return None;
        }
        let (group, end) = (&inner.group, inner.group.end());
        let number = group.number()?;
        let next = match listener.cursor {
            Some(cursor) if cursor.group == number => cursor.next,
            _ => 0,
        };
        if next == 0 {
            listener.least_lag = None;
        }
        if listener.only_key_frames && next > 0 {
            return None;
        }
        if group.has_dropped(next) || listener.waits_for_key && next > 0 {
            match next {
                0 => listener.waits_for_key = true,
                _ => listener.lag(),
            }
            return None;
        }
        let frame = group.get(next)?;
        if !accepts(frame.codec) {
            return None;
        }
        let newest = group.newest()?;
        if listener.role != Role::Rendition {
            // A newcomer starts behind and catches up. One that falls further behind is lagging.
            let lag = newest.received.micros_since(frame.received);
            let least = listener.least_lag.map_or(lag, |least| least.min(lag));
            listener.least_lag = Some(least);
            if lag - least > MAX_LAG {
                listener.lag();
                return None;
            }
        }
        let mut frame = frame.clone();
        if let Some(cursor) = listener.cursor {
            let since = |sequence: u32| sequence.wrapping_sub(cursor.sequence);
            // A viewer that missed the first frame after an interruption gets the flag with
            // this one.
            frame.discontinuity |= inner
                .resumed_at
                .is_some_and(|resumed_at| (1..since(frame.sequence)).contains(&since(resumed_at)));
            let dropped = u64::from(since(frame.sequence).wrapping_sub(1));
            listener.dropped += dropped;
            if listener.role != Role::Rendition {
                inner.dropped += dropped;
            }
        }
        let more = next + 1 < end;
        listener.count(Cursor {
            group: number,
            next: next + 1,
            sequence: frame.sequence,
        });
        listener.waits_for_key = false;
        Some(TakenFrame {
            more: more && listener.credit != Some(0) && !listener.only_key_frames,
            frame,
        })
    }
}

impl Inner {
    /// Excludes a pause from the frame intervals: the average would take minutes to
    /// recover.
    fn forget_rate(&mut self) {
        self.run = 0;
        self.interval = None;
        self.span = None;
        self.last_received = Timestamp::UNKNOWN;
    }

    /// The mean interval between pictures in microseconds, if known.
    fn mean_interval(&self) -> Option<f64> {
        let of_span = |(began, count): (Timestamp, u32)| {
            let time = self.last_received.micros_since(began);
            (time >= FIRST_RATE_SPAN).then(|| time as f64 / f64::from(count))
        };
        self.interval.or_else(|| self.span.and_then(of_span))
    }

    fn note_rate(&mut self, received: Timestamp) {
        self.last_received = received;
        let Some((began, count)) = &mut self.span else {
            self.span = Some((received, 0));
            return;
        };
        *count = count.saturating_add(1);
        let time = received.micros_since(*began);
        if time < RATE_SPAN {
            return;
        }
        let interval = time as f64 / f64::from(*count);
        self.interval = Some(match self.interval {
            Some(mean) => {
                let kept = (1.0 - RATE_WEIGHT).powf(f64::from(*count));
                mean * kept + interval * (1.0 - kept)
            }
            None => interval,
        });
        self.span = Some((received, 0));
    }
}

#[cfg(test)]
mod tests;
