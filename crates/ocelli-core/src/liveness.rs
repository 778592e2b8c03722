//! Signs of life of one camera: when pictures and media data arrived, and how long the hub
//! waits for more. It changes no state; [`crate::upstream`] acts on its verdicts.

use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;

/// A live camera without a picture for this long is reported as stalled, if it sends at least
/// 1.5 pictures a second.
const STALL: Duration = Duration::from_secs(3);
/// The same for slower cameras, as a multiple of their interval between pictures.
pub(crate) const STALL_FACTOR: u32 = 2;
const MAX_STALL: Duration = Duration::from_secs(60);
/// The same after the first picture of all, when the interval is unknown. Cameras send as
/// seldom as every 10 s.
const FIRST_STALL: Duration = Duration::from_secs(12);

/// The longest time without a picture before the attempt ends, as a multiple of the interval.
pub(crate) const PATIENCE_FACTOR: u32 = 3;
const MAX_PATIENCE: Duration = Duration::from_secs(90);
/// The same after the first picture of all.
const FIRST_PATIENCE: Duration = Duration::from_secs(30);

/// Number of intervals between pictures that are remembered.
const INTERVALS: usize = 8;
/// With this many, the longest does not count: a single pause is not the camera's rate.
const SIGNIFICANT: usize = 4;

/// The watchdog looks at least this often, because the timeouts change with each picture.
const CHECK_EVERY: Duration = STALL;

/// The wait for a key frame while media data arrives and the camera's interval between key
/// frames is unknown. Cameras offer up to 400 frames between key frames, and codecs that
/// lengthen the interval while nothing moves reach about a minute. 90 s covers those, and a
/// camera that never sends a key frame is still reported soon.
const FIRST_KEY_WAIT: Duration = Duration::from_secs(90);
/// The wait for a key frame, as a multiple of the longest recent interval between two.
const KEY_WAIT_FACTOR: f64 = 1.5;
/// The longest wait for a key frame, whatever intervals were seen.
const MAX_KEY_WAIT: Duration = Duration::from_secs(300);

/// A camera that sends media data without a picture for this long after the connection is
/// reported as waiting for a key frame. Usual intervals are shorter.
const REPORTED_KEY_WAIT: Duration = Duration::from_secs(5);

/// What the source sets.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Bounds {
    /// The least time without a picture after which the camera is stalled.
    pub stall: Duration,
    /// The least time without a picture after which the attempt ends.
    pub patience: Duration,
    /// Whether these follow from a configured rate, so that the first interval needs no others.
    pub rate_known: bool,
}

/// What to do about a camera.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// Nothing, until then.
    Wait(Instant),
    /// Report that its first key frame has not come yet, and look again then.
    WaitsForKey(Instant),
    /// Report it as stalled for this long, and look again then.
    Stalled(Duration, Instant),
    /// End the attempt, for this reason.
    GiveUp(String),
}

/// Times of the pictures and of the media data of a camera.
#[derive(Debug)]
pub(crate) struct Liveness {
    /// When the attempt began or last delivered a picture.
    last_picture_at: Instant,
    /// When media data last arrived in this attempt; `None` if it delivered none.
    data: Option<Instant>,
    /// When media data without a picture first arrived after `last_picture_at`.
    data_since: Option<Instant>,
    /// Whether the attempt delivered pictures.
    lived: bool,
    /// The picture that the next interval begins with.
    interval_begun: Option<Instant>,
    /// The latest intervals between pictures. They outlive the attempt.
    intervals: VecDeque<Duration>,
    /// The last key frame of this attempt.
    key: Option<Instant>,
    /// The longest recent interval between two key frames. It outlives the attempt.
    key_interval: Option<Duration>,
}

impl Liveness {
    pub fn new(now: Instant) -> Self {
        Self {
            last_picture_at: now,
            data: None,
            data_since: None,
            lived: false,
            interval_begun: None,
            intervals: VecDeque::new(),
            key: None,
            key_interval: None,
        }
    }

    /// Records the start of an attempt.
    pub fn begin(&mut self, now: Instant) {
        *self = Self {
            key_interval: self.key_interval,
            intervals: std::mem::take(&mut self.intervals),
            ..Self::new(now)
        };
    }

    /// Records a picture.
    pub fn picture(&mut self, now: Instant, key: bool) {
        self.last_picture_at = now;
        self.data_since = None;
        self.lived = true;
        if let Some(before) = self.interval_begun.replace(now) {
            self.intervals.truncate(INTERVALS - 1);
            self.intervals.push_front(now - before);
        }
        if !key {
            return;
        }
        if let Some(before) = self.key.replace(now) {
            let interval = now - before;
            // A longer interval counts at once. A shorter one counts gradually, because some
            // cameras send additional key frames when something moves.
            self.key_interval = Some(match self.key_interval {
                Some(longest) => interval.max((longest * 3 + interval) / 4),
                None => interval,
            });
        }
    }

    /// Records that the next picture does not continue from the last one.
    pub fn interrupt(&mut self) {
        self.interval_begun = None;
        self.key = None;
    }

    /// Records media data that is not a picture yet. Returns whether it is the first in this
    /// attempt.
    pub fn data(&mut self, now: Instant) -> bool {
        self.data_since.get_or_insert(now);
        self.data.replace(now).is_none()
    }

    /// Records the end of the attempt. Returns whether it delivered pictures.
    pub fn end(&mut self) -> bool {
        std::mem::take(&mut self.lived)
    }

    /// Returns the interval that the camera keeps to: the longest of the latest, but not an
    /// exceptional one. `None` before the second picture.
    fn interval(&self) -> Option<Duration> {
        let longest = self.intervals.iter().max()?;
        if self.intervals.len() < SIGNIFICANT {
            return Some(*longest);
        }
        let at = self.intervals.iter().position(|each| each == longest);
        let others = self.intervals.iter().enumerate();
        let others = others.filter(|(place, _)| Some(*place) != at);
        others.map(|(_, each)| *each).max()
    }

    /// Returns the time without a picture after which the camera is stalled.
    pub fn stall_timeout(&self, bounds: Bounds) -> Duration {
        let own = match self.interval() {
            Some(interval) => (interval * STALL_FACTOR).clamp(STALL, MAX_STALL),
            None if bounds.rate_known => STALL,
            None => FIRST_STALL,
        };
        own.max(bounds.stall)
    }

    /// Returns the time without a picture after which the attempt ends.
    fn patience(&self, bounds: Bounds) -> Duration {
        let own = match self.interval() {
            _ if !self.lived => Duration::ZERO,
            Some(interval) => (interval * PATIENCE_FACTOR).min(MAX_PATIENCE),
            None if bounds.rate_known => Duration::ZERO,
            None => FIRST_PATIENCE,
        };
        own.max(bounds.patience)
    }

    /// Returns how long the hub waits for a key frame while media data arrives.
    fn key_wait(&self, patience: Duration) -> Duration {
        let wait = match self.key_interval {
            Some(interval) => interval.mul_f64(KEY_WAIT_FACTOR).min(MAX_KEY_WAIT),
            None => FIRST_KEY_WAIT,
        };
        wait.max(patience)
    }

    /// Judges the silence until `now`.
    pub fn check(&mut self, now: Instant, bounds: Bounds) -> Verdict {
        let patience = self.patience(bounds);
        let end = match (self.data_since, self.data) {
            (Some(since), Some(last)) => (last + patience).min(since + self.key_wait(patience)),
            _ => self.last_picture_at + patience,
        };
        if now >= end {
            return Verdict::GiveUp(self.give_up(now, patience));
        }
        let next = end.min(now + CHECK_EVERY);
        if !self.lived {
            return match self.data_since.map(|since| since + REPORTED_KEY_WAIT) {
                Some(reported) if now >= reported => Verdict::WaitsForKey(next),
                Some(reported) => Verdict::Wait(next.min(reported)),
                None => Verdict::Wait(next),
            };
        }
        let stall = self.stall_timeout(bounds);
        let stalls = self.last_picture_at + stall;
        match now >= stalls {
            true => Verdict::Stalled(stall, next),
            false => Verdict::Wait(next.min(stalls)),
        }
    }

    fn give_up(&mut self, now: Instant, patience: Duration) -> String {
        let talks = self.data.is_some_and(|last| now < last + patience);
        let wait = self.key_wait(patience);
        // The camera may have been set to longer intervals: the next attempt learns them anew.
        if talks {
            self.key_interval = None;
        }
        if self.lived {
            self.intervals.clear();
        }
        match (self.lived, talks) {
            (true, _) => no_picture(now - self.last_picture_at),
            (false, false) => format!("connected, but {}", no_picture(patience)),
            (false, true) => format!("sends video, but no key frame for {} s", wait.as_secs()),
        }
    }
}

/// Returns the reason of a camera that has delivered no picture for `time`.
pub(crate) fn no_picture(time: Duration) -> String {
    format!("no picture for {} s", time.as_secs())
}
