//! The growth of a camera's transmission delay: a wrong clock rate, or a slow link?
//!
//! The least delay of each half second is noted. If the latest of them lie on a line, and the
//! pictures arrive as often as before, the camera's clock runs at the wrong rate. On a link
//! that is too slow, they arrive less often.

use std::collections::VecDeque;

/// A pause between two pictures that is longer than this, in µs, and than this many intervals
/// separates what came before from what comes after.
const PAUSE: f64 = 250e3;
const PAUSE_INTERVALS: f64 = 3.0;

/// How long delays are collected for one point, in µs.
const POINT: f64 = 500e3;
/// Numbers of points that are examined. A large rate error is visible in a few, a small one
/// needs many.
const WINDOWS: [usize; 5] = [4, 8, 16, 40, 100];
/// Number of points that are kept. The oldest show how often pictures arrived before.
const KEPT: usize = 128;

/// The least change within a window, in µs. Less is within the jitter of networks.
const MIN_CHANGE: f64 = 25e3;
/// The largest deviation from the line, as a fraction of the change.
const MAX_DEVIATION: f64 = 0.12;
/// The same for few points of single pictures.
const MAX_DEVIATION_OF_FEW: f64 = 0.04;
/// With this many pictures in each point, its least delay has little jitter.
const MANY: f64 = 4.0;
/// Number of points, and of pictures in them, that show how often pictures arrived before.
const REFERENCE: usize = 4;
const REFERENCE_PICTURES: f64 = 8.0;

/// A rate error.
#[derive(Clone, Copy, Debug)]
pub struct RateError {
    /// The growth of the delay, in µs per µs.
    pub slope: f64,
    /// The growth within the window in which it was found, in µs.
    pub rise: f64,
}

#[derive(Clone, Copy, Debug)]
struct Section {
    /// The arrival of its last picture.
    at: f64,
    /// The least delay; NaN for one that belongs to another rate.
    delay: f64,
    begun: f64,
    pictures: f64,
    /// The time between the arrivals of these pictures, in total.
    passed: f64,
}

/// The delays of the last minute.
#[derive(Debug, Default)]
pub struct Trend {
    sections: VecDeque<Section>,
    current: Option<Section>,
    /// The moving average of the time between arrivals.
    interval: Option<f64>,
}

impl Trend {
    /// Adds a picture. Returns the rate error, if one has become visible. The delays so far are
    /// corrected by it.
    pub fn add(&mut self, arrived: f64, delay: f64, passed: f64) -> Option<RateError> {
        let interval = *self.interval.get_or_insert(passed);
        self.interval = Some(interval + (passed - interval) / 16.0);
        if passed > PAUSE.max(interval * PAUSE_INTERVALS) {
            self.current = None;
            for section in &mut self.sections {
                section.delay = f64::NAN;
            }
            return None;
        }
        let section = self.current.get_or_insert(Section {
            at: arrived,
            delay,
            begun: arrived - passed,
            pictures: 0.0,
            passed: 0.0,
        });
        section.pictures += 1.0;
        section.passed += passed;
        section.at = arrived;
        section.delay = section.delay.min(delay);
        if arrived - section.begun < POINT {
            return None;
        }
        self.sections.extend(self.current.take());
        if self.sections.len() > KEPT {
            self.sections.pop_front();
        }
        let (error, from) = WINDOWS.iter().find_map(|&window| {
            let from = self.sections.len().checked_sub(window)?;
            Some((self.error_since(from)?, from))
        })?;
        for (at, section) in self.sections.iter_mut().enumerate() {
            match at < from {
                true => section.delay = f64::NAN,
                false => section.delay += error.slope * (arrived - section.at),
            }
        }
        Some(error)
    }

    /// Returns the rate error since this section.
    fn error_since(&self, from: usize) -> Option<RateError> {
        let window = || self.sections.iter().skip(from);
        let count = (self.sections.len() - from) as f64;
        let mean = |of: fn(&Section) -> f64| window().map(of).sum::<f64>() / count;
        let (at, delay) = (mean(|section| section.at), mean(|section| section.delay));
        let sum = |of: &dyn Fn(f64, f64) -> f64| -> f64 {
            let each = window().map(|section| of(section.at - at, section.delay - delay));
            each.sum()
        };
        let slope = sum(&|x, y| x * y) / sum(&|x, _| x * x);
        let (first, last) = (self.sections.get(from)?, self.sections.back()?);
        let rise = slope * (last.at - first.at);
        let deviation = (sum(&|x, y| (y - slope * x).powi(2)) / count).sqrt();
        let few = count <= REFERENCE as f64 && mean(|section| section.pictures) < MANY;
        let allowed = match few {
            true => MAX_DEVIATION_OF_FEW,
            false => MAX_DEVIATION,
        };
        // Also false for NaN.
        let linear = rise.abs() >= MIN_CHANGE && deviation <= allowed * rise.abs();
        if !linear || self.arrivals_changed(from, slope) {
            return None;
        }
        Some(RateError { slope, rise })
    }

    /// Whether the time between arrivals since this section explains the slope.
    fn arrivals_changed(&self, from: usize, slope: f64) -> bool {
        let interval = |sections: &mut dyn Iterator<Item = &Section>| {
            let (mut passed, mut pictures) = (0.0, 0.0);
            for section in sections {
                passed += section.passed;
                pictures += section.pictures;
            }
            (passed / pictures, pictures)
        };
        let (before, pictures) = interval(&mut self.sections.iter().take(from));
        let (now, _) = interval(&mut self.sections.iter().skip(from));
        let known = from >= REFERENCE && pictures >= REFERENCE_PICTURES;
        known && (now / before - 1.0).abs() >= slope.abs() / 2.0
    }
}
