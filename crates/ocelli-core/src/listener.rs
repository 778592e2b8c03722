//! One subscription as its slot sees it.

use crate::clock::Timestamp;
use crate::frame::Frame;
use crate::ready::{Ready, Token};
use std::sync::Arc;

/// Who takes frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Somebody who watches: counted, and so is what they miss.
    Viewer,
    /// What derives another stream: no viewer, and no viewer misses what it does.
    Rendition,
}

/// Where a subscription stands in a slot.
#[derive(Clone, Copy, Debug)]
pub struct Cursor {
    pub group: u32,
    /// Index of the next frame, counted from the group's key frame.
    pub next: usize,
    pub sequence: u32,
}

/// One subscription. All that a frame needs of it stands side by side with those of
/// the others.
pub struct Listener {
    pub ready: Arc<Ready>,
    pub token: Token,
    pub cursor: Option<Cursor>,
    pub role: Role,
    /// Whether frames may go to an outlet that its viewer lends.
    pub prompt: bool,
    pub taken: u64,
    pub dropped: u64,
}

impl Listener {
    /// Lets it know of `frame`, which is the newest now and followed by nothing, or
    /// hands it over if it may be `prompt`. Whether it has it now.
    pub fn tell(&mut self, frame: &Frame, cursor: Cursor, prompt: bool) -> bool {
        let follows = |last: Cursor| frame.sequence == last.sequence.wrapping_add(1);
        if !prompt || !self.prompt || !self.cursor.is_some_and(follows) {
            self.ready.raise(self.token);
            return false;
        }
        let handed = self.ready.hand_over(self.token, frame);
        if handed {
            self.cursor = Some(cursor);
            self.taken += 1;
        }
        handed
    }
}

/// How long nothing is handed over at most, in microseconds.
const LONGEST_PAUSE: u64 = 1_000_000;

/// After frames were handed over nothing is for as long as that took: of pictures that
/// come faster, as those do that have piled up before a source, viewers take the newest
/// when they are ready, and a publisher is not kept longer than that from the rest.
#[derive(Clone, Copy, Default)]
pub struct Pause {
    begins: Timestamp,
    micros: u64,
}

impl Pause {
    pub fn after(began: Timestamp, ended: Timestamp) -> Self {
        Self {
            begins: ended,
            // More than that is a clock that was set meanwhile.
            micros: ended.micros_since(began).min(LONGEST_PAUSE),
        }
    }

    pub fn is_over(self, now: Timestamp) -> bool {
        // A clock that was set back says nothing.
        now.0 < self.begins.0 || now.micros_since(self.begins) >= self.micros
    }
}
