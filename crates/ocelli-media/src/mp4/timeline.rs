//! The times of a stream's pictures, from their capture times; all in µs.
//!
//! A capture time is the time of presentation, and steps back where pictures are reordered. The
//! decode times are the same times in ascending order, as many pictures late as pictures are
//! reordered: each picture is then decoded before it is shown, and offsets are never negative. (A
//! negative one makes ffmpeg move all later pictures.)
//!
//! The timeline has no gap. A player has stopped at a gap while nothing came, and would wait for
//! its length a second time before it goes on, so each gap would add to its delay. After skipped
//! pictures, an interruption or a change of the clock, the next picture follows one interval after
//! the last one.

/// The interval until the first one is measured: 25 pictures a second.
const FIRST_INTERVAL: i64 = 40_000;
/// Weight of a new interval in the moving average, as a divisor.
const INTERVAL_WEIGHT: i64 = 4;

/// The most pictures that either codec reorders.
const MAX_REORDERED: u8 = 16;
/// A step back by more is not reordering.
const MAX_STEP_BACK: i64 = 1_000_000;

/// A longer step is a gap, if it is also unusual for the camera.
const GAP: i64 = 1_000_000;
/// An unusual step, in intervals.
const GAP_IN_INTERVALS: i64 = 3;
/// As many long steps in a row are not gaps: the camera is that slow.
const SLOW_AFTER: u32 = 3;
/// No camera is slower: a longer step is always a gap.
const LONGEST_STEP: i64 = 3_600_000_000;

/// The place of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    /// When it is decoded.
    pub decode: u64,
    /// How long after that it is shown.
    pub offset: u32,
    /// The estimated time until the next one is decoded.
    pub duration: u32,
}

/// The timeline of one viewer.
#[derive(Debug)]
pub struct Timeline {
    /// How many pictures late decode times are.
    reordered: u8,
    /// Whether the stream declares that its pictures stay in order.
    keeps_order: bool,
    /// The times that have not been used as decode times yet, in ascending order.
    unused: Vec<i64>,
    /// From capture times to this timeline.
    shift: i64,
    /// The moving average between decode times.
    interval: i64,
    /// The number of long steps in a row.
    long_steps: u32,
    last: Option<Last>,
}

#[derive(Clone, Copy, Debug)]
struct Last {
    decode: i64,
    /// The latest time of presentation so far.
    latest: i64,
}

impl Timeline {
    /// Creates an empty timeline. `reordered` is how far the stream declares its pictures to be
    /// reordered, if it does.
    pub fn new(reordered: Option<u8>) -> Self {
        Self {
            reordered: reordered.unwrap_or(0).min(MAX_REORDERED),
            keeps_order: reordered == Some(0),
            unused: Vec::new(),
            shift: 0,
            interval: FIRST_INTERVAL,
            long_steps: 0,
            last: None,
        }
    }

    /// Takes a new declaration, from a key frame.
    pub fn declare(&mut self, reordered: u8) {
        self.keeps_order = reordered == 0;
        self.reordered = self.reordered.max(reordered.min(MAX_REORDERED));
    }

    /// Places the next picture in decoding order. `taken` is its capture time; `follows` is
    /// whether it continues from the last one.
    pub fn place(&mut self, taken: u64, follows: bool) -> Placed {
        let taken = i64::try_from(taken).unwrap_or(i64::MAX);
        let (mut shown, continues) = match self.last {
            Some(last) => self.show(taken, last, follows),
            None => (i64::from(self.reordered) * self.interval, false),
        };
        if let Some(last) = self.last
            && shown <= last.decode
        {
            // More is reordered than was declared, or the camera's clock is not exact.
            if self.keeps_order || self.reordered == MAX_REORDERED {
                shown = last.decode + 1;
            } else {
                self.reordered += 1;
                shown = last.decode + self.interval;
                self.shift = shown - taken;
            }
        }
        if !continues {
            self.shift = shown - taken;
        }
        let decode = self.decode_time(shown);
        if let Some(last) = self.last
            && continues
        {
            self.interval += (decode - last.decode - self.interval) / INTERVAL_WEIGHT;
            self.interval = self.interval.max(1);
        }
        self.last = Some(Last {
            decode,
            latest: self.last.map_or(shown, |last| last.latest.max(shown)),
        });
        Placed {
            decode: decode as u64,
            offset: clamped(shown - decode),
            duration: clamped(self.interval),
        }
    }

    /// Returns the time on this timeline of sound that was recorded at `captured`; `None` if it
    /// belongs to no picture that was placed, as after a jump.
    pub fn time_of(&self, captured: u64) -> Option<i64> {
        let last = self.last?;
        let captured = i64::try_from(captured).unwrap_or(i64::MAX);
        let time = captured.saturating_add(self.shift);
        let apart = time.saturating_sub(last.latest).abs();
        (apart <= GAP.max(GAP_IN_INTERVALS * self.interval)).then_some(time)
    }

    /// Returns the time at which a picture is shown, and whether that is its capture time on this
    /// timeline.
    fn show(&mut self, taken: i64, last: Last, follows: bool) -> (i64, bool) {
        let next = last.latest + self.interval;
        let shown = taken.saturating_add(self.shift);
        let step = shown.saturating_sub(last.latest);
        if !follows || step < -MAX_STEP_BACK {
            return (next, false);
        }
        if step <= GAP.max(GAP_IN_INTERVALS * self.interval) {
            self.long_steps = 0;
            return (shown, true);
        }
        self.long_steps += 1;
        if self.long_steps < SLOW_AFTER || step > LONGEST_STEP {
            return (next, false);
        }
        self.interval = step;
        (shown, true)
    }

    /// Returns the decode time of the next picture, given when it is shown.
    fn decode_time(&mut self, shown: i64) -> i64 {
        let at = self.unused.partition_point(|&time| time <= shown);
        self.unused.insert(at, shown);
        let missing = (usize::from(self.reordered) + 1).saturating_sub(self.unused.len());
        match (missing, self.last) {
            (0, last) => {
                let first = self.unused.remove(0);
                last.map_or(first, |last| first.max(last.decode + 1))
            }
            (_, None) => 0,
            // As many more pictures are decoded before the first of the unused times.
            (_, Some(last)) => {
                let room = self.unused[0] - last.decode;
                last.decode + self.interval.min(room / (missing as i64 + 1)).max(1)
            }
        }
    }
}

fn clamped(micros: i64) -> u32 {
    micros.clamp(0, i64::from(i32::MAX)) as u32
}
