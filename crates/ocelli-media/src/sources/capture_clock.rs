//! When a picture was taken, by the hub's clock, from the camera's time stamps.
//!
//! A camera stamps pictures by a clock of its own: even and exact, but beginning
//! anywhere, and a little fast or slow. (Sender reports would tie it to the time
//! of day, but few cameras' time of day is right.) What is known is that no
//! picture arrives before it was taken. So the picture that took the least time
//! on its way ties the camera's clock to the hub's, and whatever later pictures
//! take more is delay, seen as age: congestion, a slow link, a busy camera.
//!
//! A camera's clock that runs slow looks like a delay that grows for ever. No
//! such clock is off by more than [`DRIFT`], so the tie is let out by that much,
//! never beyond the receipt: real delay stays visible, drift does not add up.

use ocelli_core::Timestamp;

/// By how much a camera's clock may be slow: 500 ppm, ten times a bad quartz.
const DRIFT: f64 = 500e-6;

/// More delay or earliness than this is no delay: the camera set its clock.
const LIMIT_MICROS: i64 = 10_000_000;

/// Ties a camera's clock to the hub's.
#[derive(Debug, Default)]
pub struct CaptureClock {
    tie: Option<Tie>,
}

#[derive(Clone, Copy, Debug)]
struct Tie {
    /// The hub's clock less the camera's, in µs, for the quickest picture.
    offset: f64,
    received: Timestamp,
}

impl CaptureClock {
    /// When the picture stamped `camera_micros` was taken, given that it is whole
    /// at `received`. Never later than that, never more than 10 s before.
    pub fn captured(&mut self, camera_micros: i64, received: Timestamp) -> Timestamp {
        let measured = received.0 as f64 - camera_micros as f64;
        let offset = match self.tie {
            Some(tie) if (measured - tie.offset).abs() < LIMIT_MICROS as f64 => {
                let passed = received.micros_since(tie.received) as f64;
                measured.min(tie.offset + DRIFT * passed)
            }
            _ => measured,
        };
        self.tie = Some(Tie { offset, received });
        let captured = camera_micros as f64 + offset;
        Timestamp(captured.clamp(0.0, received.0 as f64) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: u64 = 1_700_000_000_000_000;
    const FRAME: i64 = 66_667;

    /// Feeds pictures whose way took `delays` µs; the ages they are given.
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
    fn delay_beyond_the_least_is_age() {
        let ages = ages(&[40_000, 10_000, 10_000, 500_000, 12_000], 1.0);
        assert_eq!(ages[..3], [0, 0, 0]);
        assert!((489_000..=490_000).contains(&ages[3]), "{ages:?}");
        assert!(ages[4] <= 2_000, "{ages:?}");
    }

    #[test]
    fn an_hour_of_drift_does_not_add_up() {
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
    fn a_camera_that_sets_its_clock_begins_anew() {
        let mut clock = CaptureClock::default();
        let now = Timestamp(START);
        assert_eq!(clock.captured(0, now), now);
        assert_eq!(clock.captured(-3_600_000_000, now), now);
        assert_eq!(clock.captured(3_600_000_000, now), now);
    }
}
