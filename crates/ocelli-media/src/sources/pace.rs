//! Limits on what comes from a camera or a program in place of ordinary video: too many
//! pictures, or none.

use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// No camera brings more pictures a second, but a defective one may.
pub const MAX_FPS: f64 = 240.0;

/// How many pictures may come at once before they are held back.
const BURST: u32 = 8;

/// A stream that has brought so many bytes without a picture among them is no video.
const MAX_WITHOUT_PICTURE: usize = 32 << 20;

/// Holds back what sends faster than any camera. It waits at its full pipe or socket, and
/// viewers are not sent more than they can show.
pub struct Pace {
    interval: Duration,
    /// When the next picture would be due.
    due: Instant,
}

impl Pace {
    /// Lets so many pictures pass in a second.
    pub fn new(fps: f64) -> Self {
        Self {
            interval: Duration::from_secs_f64(1.0 / fps),
            due: Instant::now(),
        }
    }

    /// A picture came; returns when the next may.
    pub async fn keep(&mut self) {
        let now = Instant::now();
        self.due = self.due.max(now) + self.interval;
        if self.due > now + self.interval * BURST {
            sleep_until(self.due - self.interval * BURST).await;
        }
    }
}

/// Counts the bytes since the last picture.
#[derive(Default)]
pub struct WithoutPicture(usize);

impl WithoutPicture {
    /// More bytes came; whether it is too many without a picture.
    pub fn add(&mut self, len: usize) -> bool {
        self.0 = self.0.saturating_add(len);
        self.0 >= MAX_WITHOUT_PICTURE
    }

    /// A picture came.
    pub fn reset(&mut self) {
        self.0 = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn more_than_the_rate_is_held_back() {
        let begun = Instant::now();
        let mut pace = Pace::new(48.0);
        for _ in 0..108 {
            pace.keep().await;
        }
        let took = begun.elapsed().as_secs_f64();
        assert!((2.0..2.2).contains(&took), "{took}");
        // What keeps the rate is not held back at all.
        for _ in 0..24 {
            sleep_until(Instant::now() + Duration::from_millis(41)).await;
            let before = Instant::now();
            pace.keep().await;
            assert_eq!(before, Instant::now());
        }
    }

    #[test]
    fn bytes_are_counted_from_the_last_picture() {
        let mut without = WithoutPicture::default();
        assert!(!without.add(MAX_WITHOUT_PICTURE - 1));
        without.reset();
        assert!(!without.add(MAX_WITHOUT_PICTURE - 1));
        assert!(without.add(1));
    }
}
