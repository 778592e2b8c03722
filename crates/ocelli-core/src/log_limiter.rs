//! Log rate limiting: a camera that fails every few seconds writes a log line only now and
//! then.

use std::fmt;
use std::time::Duration;
use tokio::time::Instant;

/// Minutes between two lines of the same kind; the interval grows with each line.
const PAUSES: [u64; 5] = [1, 5, 10, 30, 60];
/// An event that has not occurred for this long is logged at once again.
const RESET_AFTER: Duration = Duration::from_secs(3600);

/// Rate limiter for one kind of log line.
#[derive(Debug, Default)]
pub(crate) struct LogLimiter {
    last_line: Option<Instant>,
    last: Option<Instant>,
    step: usize,
    unlogged: u32,
}

/// Rate limiters of an upstream, one for each kind of log line.
#[derive(Default)]
pub(crate) struct LogLimiters {
    pub(crate) live: LogLimiter,
    pub(crate) stalled: LogLimiter,
    pub(crate) restarting: LogLimiter,
    pub(crate) failed: LogLimiter,
    pub(crate) rendition_restarting: LogLimiter,
    pub(crate) rendition_failed: LogLimiter,
}

/// Permission to write a line, with the number of events since the previous one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Times {
    times: u32,
    within: Duration,
}

impl LogLimiter {
    /// Counts an event. Returns a value if a line must be written now.
    pub(crate) fn count(&mut self, now: Instant) -> Option<Times> {
        let before = self.last.replace(now);
        if before.is_none_or(|before| now - before > RESET_AFTER) {
            *self = Self {
                last: self.last,
                ..Self::default()
            };
        }
        let Some(last_line) = self.last_line else {
            self.last_line = Some(now);
            return Some(Times {
                times: 1,
                within: Duration::ZERO,
            });
        };
        self.unlogged += 1;
        let pause = PAUSES[self.step.min(PAUSES.len() - 1)];
        if now - last_line < Duration::from_secs(60 * pause) {
            return None;
        }
        self.step += 1;
        self.last_line = Some(now);
        Some(Times {
            times: std::mem::take(&mut self.unlogged),
            within: now - last_line,
        })
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let minutes = self.within.as_secs().div_ceil(60);
        match self.times {
            1 => Ok(()),
            times => write!(f, " {times} times in the last {minutes} min"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn repeated_events_are_logged_less_and_less_often_with_a_count() {
        let mut log_limiter = LogLimiter::default();
        let started = Instant::now();
        let (mut counted, mut logged, mut when) = (0, 0, Vec::new());
        while started.elapsed() < Duration::from_secs(4 * 3600) {
            counted += 1;
            if let Some(line) = log_limiter.count(Instant::now()) {
                logged += line.times;
                when.push(started.elapsed().as_secs() / 60);
            }
            tokio::time::advance(Duration::from_secs(5)).await;
        }
        assert_eq!(when, [0, 1, 6, 16, 46, 106, 166, 226]);
        assert_eq!(logged + log_limiter.unlogged, counted);
    }

    #[tokio::test(start_paused = true)]
    async fn a_line_contains_the_count() {
        let mut log_limiter = LogLimiter::default();
        let mut say = || {
            log_limiter
                .count(Instant::now())
                .map(|times| times.to_string())
        };
        assert_eq!(say().as_deref(), Some(""));
        for _ in 0..11 {
            assert_eq!(say(), None);
        }
        tokio::time::advance(Duration::from_secs(90)).await;
        assert_eq!(say().as_deref(), Some(" 12 times in the last 2 min"));
    }

    #[tokio::test(start_paused = true)]
    async fn an_event_after_a_quiet_hour_is_logged_at_once() {
        let mut log_limiter = LogLimiter::default();
        for _ in 0..100 {
            log_limiter.count(Instant::now());
            tokio::time::advance(Duration::from_secs(60)).await;
        }
        tokio::time::advance(RESET_AFTER).await;
        let line = log_limiter.count(Instant::now());
        assert_eq!(line.map(|line| line.to_string()).as_deref(), Some(""));
        assert_eq!(log_limiter.step, 0);
    }
}
