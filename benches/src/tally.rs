//! Counts what the viewers receive.

use std::time::Duration;

/// Frames and their ages.
#[derive(Default)]
pub struct Tally {
    /// Counts only while this is set, so that the warm-up is not counted.
    pub counting: bool,
    /// Frames that fast viewers got.
    pub frames: u64,
    /// Bytes of frames without a stamp.
    pub bytes: usize,
    /// Frames that fast viewers missed.
    pub skipped: u64,
    /// Latencies in µs from the camera to a fast viewer.
    pub sent: Vec<u64>,
    /// Latencies in µs from the hub's receipt to a fast viewer, if the protocol contains the
    /// receipt time.
    pub received: Vec<u64>,
    /// Ages in µs of the frames when a slow viewer reads their last byte.
    pub slow: Vec<u64>,
}

impl Tally {
    pub fn frame(&mut self, slow: bool, sent: u64, received: Option<u64>, skipped: u64) {
        if !self.counting {
            return;
        }
        if slow {
            self.slow.push(sent);
            return;
        }
        self.frames += 1;
        self.skipped += skipped;
        self.sent.push(sent);
        self.received.extend(received);
    }

    /// Counts a frame without a stamp.
    pub fn picture(&mut self, len: usize) {
        if self.counting {
            self.frames += 1;
            self.bytes += len;
        }
    }
}

/// Median, 99th percentile and maximum of some values.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spread {
    pub median: Duration,
    pub p99: Duration,
    pub max: Duration,
}

impl Spread {
    /// Computes the spread of values in µs, and sorts them. Returns `None` for an empty slice.
    pub fn of(values: &mut [u64]) -> Option<Self> {
        values.sort_unstable();
        let at = |share: f64| {
            let place = (share * values.len() as f64).ceil() as usize;
            values
                .get(place.saturating_sub(1))
                .copied()
                .map(Duration::from_micros)
        };
        Some(Self {
            median: at(0.5)?,
            p99: at(0.99)?,
            max: at(1.0)?,
        })
    }
}

/// Returns the median value by this key.
pub fn median_by<T: Copy>(values: &[T], key: impl Fn(&T) -> f64) -> Option<T> {
    let mut sorted = values.to_vec();
    sorted.sort_by(|a, b| key(a).total_cmp(&key(b)));
    sorted.get(sorted.len().saturating_sub(1) / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spreads_and_medians() {
        let mut values: Vec<u64> = (1..=200).rev().collect();
        let spread = Spread::of(&mut values).expect("there are values");
        assert_eq!(spread.median.as_micros(), 100);
        assert_eq!(spread.p99.as_micros(), 198);
        assert_eq!(spread.max.as_micros(), 200);
        assert!(Spread::of(&mut []).is_none());
        assert_eq!(median_by(&[3.0, 1.0, 2.0], |value| *value), Some(2.0));
    }
}
