//! When to try again after a crash, and when to call it failed.

use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;

/// This many crashes within [`CRASH_WINDOW`] make a camera failed.
const CRASH_LIMIT: usize = 3;
const CRASH_WINDOW: Duration = Duration::from_secs(30);
/// The wait before a restart that is not yet a failure.
const RESTART: Duration = Duration::from_millis(250);
/// The waits before a failed one is tried again.
const BACKOFF: [u64; 5] = [2, 4, 8, 15, 30];

/// When to try again, and when to call it failed.
#[derive(Default)]
pub(crate) struct Crashes {
    recent: VecDeque<Instant>,
    step: usize,
}

impl Crashes {
    /// Counts a crash: whether it means failure, and how long to wait.
    pub(crate) fn add(&mut self, now: Instant, lived: bool) -> (bool, Duration) {
        while self
            .recent
            .front()
            .is_some_and(|&crash| now - crash > CRASH_WINDOW)
        {
            self.recent.pop_front();
        }
        self.recent.push_back(now);
        if lived {
            self.step = 0;
        }
        if self.recent.len() < CRASH_LIMIT && self.step == 0 {
            return (false, RESTART);
        }
        (true, self.fail())
    }

    /// Counts a failure that nothing is gained by repeating soon: how long to wait.
    pub(crate) fn fail(&mut self) -> Duration {
        let wait = Duration::from_secs(BACKOFF[self.step.min(BACKOFF.len() - 1)]);
        self.step += 1;
        wait
    }
}
