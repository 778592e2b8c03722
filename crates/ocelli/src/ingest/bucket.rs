//! Token-bucket limit for a device's frames, with a small burst because Wi-Fi delivers
//! frames in bunches.

use tokio::time::Instant;

/// The burst size.
const BURST: f64 = 5.0;

/// A token bucket for frames.
pub struct Bucket {
    rate: f64,
    level: f64,
    filled: Instant,
}

impl Bucket {
    /// A full bucket that refills at `rate` per second.
    pub fn new(rate: u32, now: Instant) -> Self {
        Self {
            rate: f64::from(rate),
            level: BURST,
            filled: now,
        }
    }

    /// Changes the refill rate.
    pub fn set_rate(&mut self, rate: u32, now: Instant) {
        self.fill(now);
        self.rate = f64::from(rate);
    }

    fn fill(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.filled).as_secs_f64();
        self.level = (self.level + elapsed * self.rate).min(BURST);
        self.filled = now;
    }

    /// Takes a token. Returns false if there is none.
    pub fn take(&mut self, now: Instant) -> bool {
        self.fill(now);
        let there = self.level >= 1.0;
        if there {
            self.level -= 1.0;
        }
        there
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_burst_passes_and_then_the_rate_applies() {
        let start = Instant::now();
        let mut bucket = Bucket::new(10, start);
        let taken = |bucket: &mut Bucket, from: u64, count: u64| {
            let frames = (0..count).map(|at| start + Duration::from_millis(from + at * 10));
            frames.filter(|&now| bucket.take(now)).count()
        };
        // 100 frames in a second: a burst of five, plus ten per second.
        let first = taken(&mut bucket, 0, 100);
        assert!((14..=15).contains(&first), "{first}");
        bucket.set_rate(20, start + Duration::from_secs(1));
        let second = taken(&mut bucket, 1000, 100);
        assert!((19..=21).contains(&second), "{second}");
        // After a pause there are no more tokens than one burst.
        let mut at_once = 0;
        while bucket.take(start + Duration::from_secs(3600)) {
            at_once += 1;
        }
        assert_eq!(at_once, 5);
    }

    #[test]
    fn a_device_within_the_rate_loses_no_frames() {
        let start = Instant::now();
        let mut bucket = Bucket::new(15, start);
        for frame in 0..1000u64 {
            // On time, apart from a radio delay of up to 150 ms.
            let late = (frame * 37) % 150;
            let now = start + Duration::from_micros(frame * 66_667 + late * 1000);
            assert!(bucket.take(now), "frame {frame}");
        }
    }
}
