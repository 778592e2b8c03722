//! Limits on abnormal input from a camera or a program: too many pictures, or data without
//! pictures.

use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// The most pictures a second that are accepted. Only a defective camera sends more.
pub const MAX_FPS: f64 = 240.0;

/// Number of pictures that may arrive at once before they are throttled.
const BURST: u32 = 8;

/// Number of bytes without a picture after which a stream is not considered video.
const MAX_WITHOUT_PICTURE: usize = 32 << 20;

/// Rate limiter for pictures. A sender that is too fast blocks when its pipe or socket is full, and
/// viewers do not get more pictures than they can show.
pub struct Pace {
    interval: Duration,
    /// Time at which the next picture is due.
    due: Instant,
}

impl Pace {
    /// Creates a limiter that accepts `fps` pictures a second.
    pub fn new(fps: f64) -> Self {
        Self {
            interval: Duration::from_secs_f64(1.0 / fps),
            due: Instant::now(),
        }
    }

    /// Counts a picture, and waits until the next one is accepted.
    pub async fn wait(&mut self) {
        let now = Instant::now();
        self.due = self.due.max(now) + self.interval;
        if self.due > now + self.interval * BURST {
            sleep_until(self.due - self.interval * BURST).await;
        }
    }
}

/// Counter of the bytes since the last picture.
#[derive(Default)]
pub struct WithoutPicture(usize);

impl WithoutPicture {
    /// Counts more bytes. Returns true if there are too many without a picture.
    pub fn add(&mut self, len: usize) -> bool {
        self.0 = self.0.saturating_add(len);
        self.0 >= MAX_WITHOUT_PICTURE
    }

    /// Restarts the count after a picture.
    pub fn reset(&mut self) {
        self.0 = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn pictures_above_the_rate_are_throttled() {
        let started = Instant::now();
        let mut pace = Pace::new(48.0);
        for _ in 0..108 {
            pace.wait().await;
        }
        let took = started.elapsed().as_secs_f64();
        assert!((2.0..2.2).contains(&took), "{took}");
        // Pictures within the rate are not delayed.
        for _ in 0..24 {
            sleep_until(Instant::now() + Duration::from_millis(41)).await;
            let before = Instant::now();
            pace.wait().await;
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
