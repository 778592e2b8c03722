//! A subscription, as stored in its slot.

use crate::clock::Timestamp;
use crate::frame::Frame;
use crate::ready::{Ready, Token};
use std::sync::Arc;

/// Kind of a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// A viewer. The viewer and the frames it misses are counted.
    Viewer,
    /// A viewer that is counted in another slot of the camera.
    CountedElsewhere,
    /// A rendition that reads the slot. Neither the rendition nor the frames it misses are counted.
    Rendition,
}

/// Position of a subscription in a slot.
#[derive(Clone, Copy, Debug)]
pub struct Cursor {
    pub group: u32,
    /// Index of the next frame, counted from the group's key frame.
    pub next: usize,
    pub sequence: u32,
}

/// A subscription. All fields that publishing a frame needs are stored inline, next to
/// those of the other subscriptions.
pub struct Listener {
    pub ready: Arc<Ready>,
    pub token: Token,
    pub cursor: Option<Cursor>,
    pub role: Role,
    /// Whether the viewer's direct write may be used for frames.
    pub direct: bool,
    /// Number of frames that the viewer may still be sent; `None` if only its socket sets the
    /// pace.
    pub credit: Option<u32>,
    /// Whether it wants key frames only.
    pub only_key_frames: bool,
    /// The least that it has been behind the newest frame of its group so far, in
    /// microseconds; `None` before its first frame of the group.
    pub least_lag: Option<u64>,
    /// Whether it gets nothing before the next key frame, so that it need not be woken.
    pub waits_for_key: bool,
    /// Whether it fell too far behind, since this was last read.
    pub lagging: bool,
    pub taken: u64,
    pub dropped: u64,
}

impl Listener {
    /// Creates a subscription that has taken nothing.
    pub fn new(ready: Arc<Ready>, token: Token, role: Role) -> Self {
        Self {
            ready,
            token,
            cursor: None,
            role,
            direct: role != Role::Rendition,
            credit: None,
            only_key_frames: false,
            least_lag: None,
            waits_for_key: false,
            lagging: false,
            taken: 0,
            dropped: 0,
        }
    }

    /// Notifies the subscription of `frame`, which is the newest and the last of its group.
    /// Offers it to the viewer's direct write if `direct` allows that. Returns true if the direct
    /// write accepted it, at least in part.
    pub fn notify(&mut self, frame: &Frame, cursor: Cursor, direct: bool) -> bool {
        // The viewer need not be woken before it grants credit, or for a frame that it can't use.
        if self.credit == Some(0) || !frame.key && (self.waits_for_key || self.only_key_frames) {
            return false;
        }
        let follows = |last: Cursor| frame.sequence == last.sequence.wrapping_add(1);
        // After an interruption the viewer itself decides, because the codec may be another one.
        let direct = direct && self.direct && !frame.discontinuity;
        if !direct || !self.cursor.is_some_and(follows) {
            self.ready.enqueue(self.token);
            return false;
        }
        let accepted = self.ready.offer_frame(self.token, frame);
        if accepted {
            self.count(cursor);
            self.least_lag = Some(0);
        }
        accepted
    }

    /// Records that it fell too far behind in its group.
    pub fn lag(&mut self) {
        self.lagging = true;
        self.waits_for_key = true;
    }

    /// Counts a frame that the viewer gets, and moves the cursor behind it.
    pub fn count(&mut self, cursor: Cursor) {
        self.cursor = Some(cursor);
        self.taken += 1;
        if let Some(credit) = &mut self.credit {
            *credit = credit.saturating_sub(1);
        }
    }
}

/// Longest pause between direct writes, in microseconds.
const LONGEST_PAUSE: u64 = 1_000_000;

/// Pause after direct writes, as long as they took. If pictures arrive faster than that,
/// for example after they have queued up before a source, viewers take the newest when they
/// are ready, and the publisher is not delayed further.
#[derive(Clone, Copy, Default)]
pub struct Pause {
    begins: Timestamp,
    micros: u64,
}

impl Pause {
    pub fn after(began: Timestamp, ended: Timestamp) -> Self {
        Self {
            begins: ended,
            // A longer time means that the clock was set in between.
            micros: ended.micros_since(began).min(LONGEST_PAUSE),
        }
    }

    pub fn is_over(self, now: Timestamp) -> bool {
        // A clock that was set back can't be used.
        now.0 < self.begins.0 || now.micros_since(self.begins) >= self.micros
    }
}
