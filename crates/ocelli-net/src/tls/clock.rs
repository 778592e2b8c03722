//! What to do while this machine's clock has not been set. Small machines without a clock chip
//! start in 1970, and get the time from the network later, or never.

use std::path::Path;
use std::time::{Duration, SystemTime};

/// A clock before this time, 2025-01-01, has not been set.
const EARLIEST: u64 = 1_735_689_600;
/// A clock after this time, 2049-06-01, is wrong, and the authority's certificate ends that year.
const LATEST: u64 = 2_506_204_800;
/// Distance to any clock.
const AGES: u64 = 500 * 365 * 24 * 3600;

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

/// Returns the times of a clock that has not been set, if it shows `now`; otherwise `None`.
pub fn unset(now: SystemTime) -> Option<std::ops::Range<SystemTime>> {
    if now < at(EARLIEST) {
        let start = SystemTime::UNIX_EPOCH - Duration::from_secs(AGES);
        return Some(start..at(EARLIEST));
    }
    (now > at(LATEST)).then(|| at(LATEST)..at(AGES))
}

/// Returns a time that has certainly passed: when a file in the data directory was last changed
/// while the clock was set.
pub fn known_past(data: &Path) -> SystemTime {
    let files = std::fs::read_dir(data).into_iter().flatten();
    let changed = files.filter_map(|file| file.ok()?.metadata().ok()?.modified().ok());
    let credible = changed.filter(|time| unset(*time).is_none());
    credible.max().unwrap_or(at(EARLIEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_in_the_past_century_or_far_future_is_not_set() {
        let minute = Duration::from_secs(60);
        for (seconds, is_set) in [(0, false), (EARLIEST - 1, false), (EARLIEST, true)] {
            assert_eq!(unset(at(seconds)).is_none(), is_set, "{seconds}");
        }
        assert!(unset(SystemTime::UNIX_EPOCH - minute).is_some());
        assert!(unset(at(LATEST)).is_none());
        assert!(unset(at(LATEST) + minute).is_some());
    }
}
