//! How far timestamps step back where pictures are sent in decoding order (B frames).
//!
//! Reordering recurs within a few pictures. A single step back is something else: an outlier,
//! or a clock that was set. So are many in a row: the clock runs backwards.

/// Reordering by more than this, in µs, is not expected.
const MAX: f64 = 1e6;
/// In the first pictures, every step back is taken for reordering.
const START: usize = 8;
/// Number of pictures within which reordering recurs.
const WINDOW: usize = 16;
/// Number of steps back in a row. B frames in a hierarchy of five levels, of which one group is 32
/// pictures, have this many.
const MAX_IN_A_ROW: u32 = 5;
/// Jitter of the timestamps, in µs.
const JITTER: f64 = 20e3;

/// The largest steps back of the latest windows, the present one first.
#[derive(Debug, Default)]
pub struct Reordering {
    windows: [f64; 3],
    seen: usize,
    /// Number of steps back since the last one forward.
    in_a_row: u32,
}

impl Reordering {
    /// Notes the step to the next picture.
    pub fn note(&mut self, step: f64) {
        self.seen += 1;
        self.in_a_row = match step < 0.0 {
            true => self.in_a_row.saturating_add(1),
            false => 0,
        };
        if self.seen.is_multiple_of(WINDOW) {
            self.windows.rotate_right(1);
            self.windows[0] = 0.0;
        }
        if (-MAX..0.0).contains(&step) {
            self.windows[0] = self.windows[0].max(-step);
        }
    }

    /// Whether a step back by this much is reordering.
    pub fn explains(&self, back: f64) -> bool {
        let most = match self.seen {
            ..START => MAX,
            _ => self.usual() * 1.25 + JITTER,
        };
        back <= most.min(MAX) && self.in_a_row < MAX_IN_A_ROW
    }

    /// Returns the largest usual step back.
    pub fn usual(&self) -> f64 {
        let [now, before, earlier] = self.windows;
        match self.seen < 2 * WINDOW {
            // Too early for a repetition.
            true => now.max(before),
            false => now.min(before).max(before.min(earlier)),
        }
    }
}
