//! Converts a camera's timestamps to capture times on the hub's clock.
//!
//! A camera's timestamps are evenly spaced and exact, but they start at an arbitrary value
//! and their clock is slightly fast or slow. (RTCP sender reports would map them to the time
//! of day, but few cameras have the right time.) A picture can't arrive before it was taken.
//! So the picture with the least transmission delay defines the offset between the two
//! clocks. Additional delay of later pictures counts as their age: congestion, a slow link,
//! a busy camera.
//!
//! A slow camera clock looks like a delay that grows without limit. No camera's clock is off by
//! more than [`MAX_DRIFT`], so the offset may grow at that rate, but never past the time of receipt:
//! real delay stays visible and drift does not accumulate.

use ocelli_core::Timestamp;

/// The largest error of a slow camera clock: 500 ppm, ten times that of a bad quartz.
const MAX_DRIFT: f64 = 500e-6;

/// A larger change of the offset means that the camera's clock was set.
const LIMIT_MICROS: i64 = 10_000_000;

/// Mapping from a camera's clock to the hub's.
#[derive(Debug, Default)]
pub struct CaptureClock {
    tie: Option<Offset>,
}

#[derive(Clone, Copy, Debug)]
struct Offset {
    /// The hub's clock minus the camera's, in µs, for the picture with the least delay.
    offset: f64,
    received: Timestamp,
}

impl CaptureClock {
    /// Returns the capture time of the picture with timestamp `camera_micros` that is complete
    /// at `received`. It is never later than `received`, and never more than 10 s earlier.
    pub fn captured(&mut self, camera_micros: i64, received: Timestamp) -> Timestamp {
        let measured = received.0 as f64 - camera_micros as f64;
        let offset = match self.tie {
            Some(tie) if (measured - tie.offset).abs() < LIMIT_MICROS as f64 => {
                let passed = received.micros_since(tie.received) as f64;
                measured.min(tie.offset + MAX_DRIFT * passed)
            }
            _ => measured,
        };
        self.tie = Some(Offset { offset, received });
        let captured = camera_micros as f64 + offset;
        Timestamp(captured.clamp(0.0, received.0 as f64) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: u64 = 1_700_000_000_000_000;
    const FRAME: i64 = 66_667;

    /// Feeds pictures with a transmission delay of `delays` µs, and returns their ages.
    fn ages(delays: &[u64], pace: f64) -> Vec<u64> {
        let mut clock = CaptureClock::default();
        let age = |(at, &delay): (usize, &u64)| {
            let taken = at as i64 * FRAME;
            let received = Timestamp(START + taken as u64 + delay);
            let stamped = 5_000 + (taken as f64 * pace) as i64;
            received.micros_since(clock.captured(stamped, received))
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
    fn a_camera_that_sets_its_clock_gets_a_new_offset() {
        let mut clock = CaptureClock::default();
        let now = Timestamp(START);
        assert_eq!(clock.captured(0, now), now);
        assert_eq!(clock.captured(-3_600_000_000, now), now);
        assert_eq!(clock.captured(3_600_000_000, now), now);
    }
}
