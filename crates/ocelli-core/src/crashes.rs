//! Restart backoff after crashes, and when a camera counts as failed.

use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;

/// This many crashes within [`CRASH_WINDOW`] mark a camera as failed.
const CRASH_LIMIT: usize = 3;
const CRASH_WINDOW: Duration = Duration::from_secs(30);
/// Delay before a restart that does not yet count as a failure.
const RESTART: Duration = Duration::from_millis(250);
/// Delays in seconds before a failed camera is tried again.
const BACKOFF: [u64; 5] = [2, 4, 8, 15, 30];

/// Crash counter with backoff.
#[derive(Default)]
pub(crate) struct Crashes {
    recent: VecDeque<Instant>,
    step: usize,
}

impl Crashes {
    /// Counts a crash. Returns whether it counts as a failure, and how long to wait.
    /// `had_pictures` is whether the attempt delivered pictures; if so, the backoff starts again.
    /// An attempt that `lasted` for the whole window without a picture is a failure on its own,
    /// because no three of these fit into the window.
    pub(crate) fn add(
        &mut self,
        now: Instant,
        had_pictures: bool,
        lasted: Duration,
    ) -> (bool, Duration) {
        while self
            .recent
            .front()
            .is_some_and(|&crash| now - crash > CRASH_WINDOW)
        {
            self.recent.pop_front();
        }
        self.recent.push_back(now);
        if had_pictures {
            self.step = 0;
        }
        let fruitless = !had_pictures && lasted >= CRASH_WINDOW;
        if self.recent.len() < CRASH_LIMIT && self.step == 0 && !fruitless {
            return (false, RESTART);
        }
        (true, self.fail())
    }

    /// Counts a failure that a quick retry can't fix. Returns how long to wait.
    pub(crate) fn fail(&mut self) -> Duration {
        let wait = Duration::from_secs(BACKOFF[self.step.min(BACKOFF.len() - 1)]);
        self.step += 1;
        wait
    }
}
