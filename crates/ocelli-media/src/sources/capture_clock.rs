//! Converts a camera's timestamps to capture times on the hub's clock.
//!
//! A camera's timestamps are evenly spaced and exact, but they start at an arbitrary value
//! and their clock is slightly fast or slow. (RTCP sender reports would map them to the time
//! of day, but few cameras have the right time.) A picture can't arrive before it was taken.
//! So the picture with the least transmission delay defines the offset between the two
//! clocks. Additional delay of later pictures counts as their age: congestion, a slow link,
//! a busy camera.
//!
//! Some cameras' timestamps are wrong. A step between two of them is used only if a
//! transmission delay can explain it, and otherwise replaced by the time between the
//! arrivals:
//!
//! | step | why no delay explains it |
//! |---|---|
//! | forward by more than the delay before it and the time that passed | it would have arrived before it was taken |
//! | back, further or more often in a row than the reordering of B frames | delays rise no faster than time passes |
//! | much smaller than usual, while time passed | the camera did not take the picture so early |
//!
//! A picture that fits again to the one before the odd step returns to it, so an outlier costs
//! nothing.
//!
//! A camera clock that is slow or fast makes the delay grow or shrink linearly. So does a
//! link that is too slow for the stream, but then the pictures also arrive more slowly than
//! before; see [`trend`].

mod reordering;
#[cfg(test)]
mod simulation;
mod trend;

use ocelli_core::Timestamp;
use reordering::Reordering;
use tokio::time::Instant;
use trend::Trend;

/// How fast the least delay may grow, for clock errors that are too small to measure: 500 ppm,
/// ten times that of a bad quartz.
const MAX_DRIFT: f64 = 500e-6;

/// A longer delay, in µs, means that the camera's clock was set.
const MAX_DELAY: f64 = 10e6;
/// A picture may seem to arrive this much before it was taken, in µs: the least delay of the
/// pictures so far is not the least possible.
const EARLY: f64 = 200e3;
/// A larger decrease of the least delay, in µs, must be confirmed by a second picture.
const CONFIRMED_DECREASE: f64 = 20e3;
/// Number of pictures within which it must be confirmed.
const CONFIRMATION: u32 = 16;

/// Number of pictures at the start during which the least delay is learned.
const START: u32 = 16;
/// Number of pictures after an odd step within which the timestamps may return.
const RETURN: u32 = 8;

/// The least interval of a camera, in µs: 500 pictures a second.
const LEAST_STEP: f64 = 2e3;

/// After a step that was replaced, the delay is learned anew within this time, in µs, and
/// corrected by at most [`MAX_CORRECTION`], and more where pictures are reordered.
const RELEARN: f64 = 3e6;
const MAX_CORRECTION: f64 = 300e3;

/// Mapping from a camera's clock to the hub's.
#[derive(Debug, Default)]
pub struct CaptureClock {
    state: Option<State>,
}

/// One picture. All times are in µs.
#[derive(Clone, Copy, Debug)]
struct Point {
    /// The camera's timestamp.
    stamp: i64,
    /// Its time on the camera's clock without odd steps and rate errors.
    taken: f64,
    /// The time of arrival on a clock that is never set.
    arrived: f64,
}

#[derive(Debug)]
struct State {
    started: Instant,
    /// Number of pictures, up to [`START`].
    seen: u32,
    last: Point,
    /// The picture before an odd step, and the number of pictures since.
    before: Option<(Point, u32)>,
    /// `arrived` minus `taken` of the picture with the least delay.
    least: f64,
    /// A picture with an unconfirmed lower value, and the number of pictures since.
    lower: Option<(f64, u32)>,
    /// The smallest usual step.
    usual: Option<f64>,
    reordering: Reordering,
    /// The factor from steps of the timestamps to real time.
    rate: f64,
    /// When to correct the delay after a replaced step, and the least seen since.
    relearn: Option<(f64, f64)>,
    /// The moving fraction of steps that were replaced.
    odd: f64,
    trend: Trend,
}

impl CaptureClock {
    /// Returns the capture time of the picture with timestamp `camera_micros` that is complete
    /// at `received`. It is never later than `received`, and never more than 10 s earlier.
    pub fn captured(&mut self, camera_micros: i64, received: Timestamp) -> Timestamp {
        // The hub's own clock may be set, so ages are measured by another one.
        let age = self.age(camera_micros, Instant::now());
        Timestamp(received.0.saturating_sub(age))
    }

    /// Returns the age in µs of the picture that arrives at `now`.
    fn age(&mut self, stamp: i64, now: Instant) -> u64 {
        let Some(state) = &mut self.state else {
            self.state = Some(State::new(stamp, now));
            return 0;
        };
        let arrived = now.duration_since(state.started).as_micros() as f64;
        state.take(stamp, arrived)
    }
}

impl State {
    fn new(stamp: i64, started: Instant) -> Self {
        Self {
            started,
            seen: 1,
            last: Point {
                stamp,
                taken: 0.0,
                arrived: 0.0,
            },
            before: None,
            least: 0.0,
            lower: None,
            usual: None,
            reordering: Reordering::default(),
            rate: 1.0,
            relearn: None,
            odd: 0.0,
            trend: Trend::default(),
        }
    }

    /// Takes the next picture. Returns its age in µs.
    fn take(&mut self, stamp: i64, arrived: f64) -> u64 {
        let last = self.last;
        let passed = arrived - last.arrived;
        let found = self.follows(&last, 1, stamp, arrived).or_else(|| {
            let (before, since) = self.before?;
            let found = self.follows(&before, since + 1, stamp, arrived)?;
            // The steps in between were outliers.
            self.before = None;
            self.relearn = None;
            Some(found)
        });
        let step = stamp.saturating_sub(last.stamp) as f64 * self.rate;
        self.reordering.note(step);
        let taken = match found {
            Some(taken) => taken,
            None => {
                self.before.get_or_insert((last, 0));
                self.relearn = Some((arrived + RELEARN, f64::INFINITY));
                last.taken + passed
            }
        };
        self.odd += (f64::from(u8::from(found.is_none())) - self.odd) / f64::from(CONFIRMATION);
        let point = Point {
            stamp,
            taken,
            arrived,
        };
        self.last = point;
        self.seen = (self.seen + 1).min(START);
        self.before = self.before.and_then(|(before, since)| {
            let recent = since < RETURN;
            recent.then_some((before, since + 1))
        });
        let delay = arrived - taken;
        self.note_delay(delay, passed);
        if found.is_some() {
            let step = taken - last.taken;
            if step > LEAST_STEP && self.odd < 0.25 {
                // Near the smallest of the recent ones.
                let near = |usual: f64| step.clamp(usual * 0.95, usual * 1.02);
                self.usual = Some(self.usual.map_or(step, near));
            }
            self.follow_trend(arrived, delay, passed);
        }
        if self.odd > 0.5 {
            // The timestamps are useless, so the delay is unknown.
            self.least = delay;
            self.trend = Trend::default();
        }
        (delay - self.least).clamp(0.0, MAX_DELAY) as u64
    }

    /// Returns the repaired time of the picture that comes `places` after `from`, if a delay can
    /// explain its timestamp.
    fn follows(&self, from: &Point, places: u32, stamp: i64, arrived: f64) -> Option<f64> {
        let step = stamp.saturating_sub(from.stamp) as f64 * self.rate;
        let passed = arrived - from.arrived;
        let usual = self.usual.map(|usual| usual * f64::from(places));
        let small = step * 2.0 < passed && usual.is_none_or(|usual| step * 2.0 < usual);
        // Reordering is by whole intervals, and with one B frame the smallest step forward is
        // three of them.
        let back = -step * 4.0 > usual.unwrap_or(0.0).max(1.0);
        let taken = from.taken + step;
        let delay = arrived - taken - self.least;
        let explained = (-EARLY..=MAX_DELAY).contains(&delay);
        let possible = match back {
            true => self.reordering.explains(-step),
            false => !small,
        };
        (possible && explained).then_some(taken)
    }

    /// Notes the delay of a picture, by which the least delay is known.
    fn note_delay(&mut self, delay: f64, passed: f64) {
        let lower = self
            .lower
            .take()
            .filter(|&(_, since)| since < CONFIRMATION)
            .map(|(lower, since)| (lower, since + 1));
        if delay >= self.least {
            self.least = delay.min(self.least + MAX_DRIFT * passed.max(0.0));
            self.lower = lower;
        } else if self.least - delay <= CONFIRMED_DECREASE || self.seen < START {
            self.least = delay;
        } else if let Some((before, _)) = lower {
            self.least = delay.max(before);
        } else {
            self.lower = Some((delay, 0));
        }
        if let Some((end, found)) = &mut self.relearn {
            *found = found.min(delay);
            if self.last.arrived >= *end {
                let most = MAX_CORRECTION + 4.0 * self.reordering.usual();
                if *found - self.least <= most {
                    self.least = self.least.max(*found);
                }
                self.relearn = None;
            }
        }
    }

    /// Corrects the rate of the camera's clock.
    fn follow_trend(&mut self, arrived: f64, delay: f64, passed: f64) {
        let Some(found) = self.trend.add(arrived, delay, passed) else {
            return;
        };
        self.rate = (self.rate / (1.0 - found.slope)).clamp(0.2, 5.0);
        if found.rise > 0.0 {
            self.least = delay.min(self.least + found.rise);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const FRAME: u64 = 66_667;

    /// Feeds pictures with a transmission delay of `delays` µs, and returns their ages.
    fn ages(delays: &[u64], pace: f64) -> Vec<u64> {
        let mut clock = CaptureClock::default();
        let started = Instant::now();
        let age = |(at, &delay): (usize, &u64)| {
            let taken = at as u64 * FRAME;
            let stamped = 5_000 + (taken as f64 * pace) as i64;
            clock.age(stamped, started + Duration::from_micros(taken + delay))
        };
        delays.iter().enumerate().map(age).collect()
    }

    #[test]
    fn delay_beyond_the_minimum_counts_as_age() {
        let ages = ages(&[40_000, 10_000, 10_000, 500_000, 12_000], 1.0);
        assert_eq!(ages[..3], [0, 0, 0]);
        assert!((489_000..=490_000).contains(&ages[3]), "{ages:?}");
        assert!(ages[4] <= 2_000, "{ages:?}");
    }

    #[test]
    fn an_hour_of_drift_does_not_accumulate() {
        for pace in [1.0 - 200e-6, 1.0 + 200e-6] {
            let last = *ages(&vec![5_000; 54_000], pace).last().expect("pictures");
            assert!(last < 1_000, "{last}");
        }
    }

    #[test]
    fn a_backlog_stays_visible_for_a_minute() {
        let mut delays = vec![5_000; 10];
        delays.extend(vec![2_000_000; 900]);
        let last = *ages(&delays, 1.0).last().expect("pictures");
        assert!(last > 1_900_000, "{last}");
    }

    #[test]
    fn a_capture_time_is_never_after_the_receipt_and_extreme_stamps_are_harmless() {
        let mut clock = CaptureClock::default();
        let received = Timestamp(1_700_000_000_000_000);
        for stamp in [0, i64::MAX, i64::MIN, -3_600_000_000, 3_600_000_000, 0, 1] {
            let captured = clock.captured(stamp, received);
            assert!(captured <= received && received.micros_since(captured) <= 10_000_000);
        }
    }
}
