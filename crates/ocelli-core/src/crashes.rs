//! Restart backoff after crashes, and when a camera counts as failed.

use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;

/// This many crashes within [`CRASH_WINDOW`] mark a camera as failed.
const CRASH_LIMIT: usize = 3;
const CRASH_WINDOW: Duration = Duration::from_secs(30);
/// Delay before a restart that does not yet count as a failure.
const RESTART: Duration = Duration::from_millis(250);
/// The same after a wrong password. Cameras lock the account, or the address, after a few
/// attempts in quick succession.
const PASSWORD_RESTART: Duration = Duration::from_secs(1);
/// Delays in seconds before a failed camera is tried again.
const BACKOFF: [u64; 5] = [2, 4, 8, 15, 30];
/// The longest delay while the camera is watched.
const WATCHED_BACKOFF: Duration = Duration::from_secs(5);

/// What is known of an attempt that has ended.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ended {
    /// Whether it delivered pictures; if so, the backoff starts again.
    pub had_pictures: bool,
    /// Whether the camera rejected the password.
    pub unauthorized: bool,
    /// How long it lasted.
    pub lasted: Duration,
}

/// How long to wait before the next attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Backoff {
    /// Whether the camera counts as failed.
    pub failed: bool,
    /// The wait without viewers.
    pub wait: Duration,
    /// The wait while the camera is watched, from the same moment on.
    pub watched: Duration,
}

/// Crash counter with backoff.
#[derive(Default)]
pub(crate) struct Crashes {
    recent: VecDeque<Instant>,
    step: usize,
}

impl Crashes {
    /// Counts a crash.
    pub(crate) fn add(&mut self, now: Instant, ended: Ended) -> Backoff {
        while self
            .recent
            .front()
            .is_some_and(|&crash| now - crash > CRASH_WINDOW)
        {
            self.recent.pop_front();
        }
        self.recent.push_back(now);
        if ended.had_pictures {
            self.step = 0;
        }
        // No three attempts of this length fit into the window.
        let fruitless = !ended.had_pictures && ended.lasted >= CRASH_WINDOW;
        if self.recent.len() < CRASH_LIMIT && self.step == 0 && !fruitless {
            let wait = match ended.unauthorized {
                true => PASSWORD_RESTART,
                false => RESTART,
            };
            return Backoff {
                failed: false,
                wait,
                watched: wait,
            };
        }
        let wait = self.fail();
        Backoff {
            failed: true,
            wait,
            watched: match ended.unauthorized {
                true => wait,
                false => wait.min(WATCHED_BACKOFF),
            },
        }
    }

    /// Counts a failure that a quick retry can't fix. Returns how long to wait.
    pub(crate) fn fail(&mut self) -> Duration {
        let wait = Duration::from_secs(BACKOFF[self.step.min(BACKOFF.len() - 1)]);
        self.step += 1;
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn pictures_restart_the_backoff() {
        let (mut crashes, now) = (Crashes::default(), Instant::now());
        let waits = [0, 1, 2, 3, 4].map(|_| crashes.add(now, Ended::default()).wait);
        assert_eq!(waits[2..], [2 * SECOND, 4 * SECOND, 8 * SECOND]);
        let played = Ended {
            had_pictures: true,
            ..Ended::default()
        };
        let next = crashes.add(now + 60 * SECOND, played);
        assert_eq!((next.failed, next.wait), (false, RESTART));
    }

    #[test]
    fn only_crashes_within_the_window_mark_a_camera_as_failed() {
        for (every, failed) in [(14, true), (16, false)] {
            let (mut crashes, began) = (Crashes::default(), Instant::now());
            let last = [0, 1, 2]
                .map(|number| crashes.add(began + every * number * SECOND, Ended::default()))[2];
            assert_eq!(last.failed, failed, "every {every} s");
        }
    }

    #[test]
    fn a_long_attempt_without_pictures_is_a_failure() {
        for (lasted, had_pictures, failed) in [
            (CRASH_WINDOW - SECOND, false, false),
            (CRASH_WINDOW, false, true),
            (CRASH_WINDOW * 9, true, false),
        ] {
            let ended = Ended {
                had_pictures,
                lasted,
                ..Ended::default()
            };
            let next = Crashes::default().add(Instant::now(), ended);
            assert_eq!(next.failed, failed, "{ended:?}");
        }
    }
}
