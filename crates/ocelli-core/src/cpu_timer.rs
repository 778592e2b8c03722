//! CPU time spent on the current thread.
//!
//! Elapsed time would be wrong: on a busy machine the thread waits for a CPU, and a peer
//! would be charged for that wait.

use rustix::time::{ClockId, Timespec, clock_gettime};
use std::time::Duration;

/// A CPU time measurement of the current thread. It must end on the thread that began it.
#[derive(Clone, Copy, Debug)]
pub struct CpuTimer(Duration);

impl CpuTimer {
    /// Starts the measurement.
    pub fn start() -> Self {
        Self(thread_time())
    }

    /// Returns the CPU time that this thread has spent since the start.
    pub fn elapsed(self) -> Duration {
        thread_time().saturating_sub(self.0)
    }
}

fn thread_time() -> Duration {
    let Timespec { tv_sec, tv_nsec } = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(tv_sec).unwrap_or_default();
    Duration::from_secs(seconds) + Duration::from_nanos(u64::try_from(tv_nsec).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;
    use std::time::Instant;

    #[test]
    fn cpu_time_is_measured_and_waiting_is_not() {
        let timer = CpuTimer::start();
        while timer.elapsed() < Duration::from_millis(5) {
            std::hint::spin_loop();
        }
        let (timer, started) = (CpuTimer::start(), Instant::now());
        thread::park_timeout(Duration::from_millis(50));
        assert!(
            timer.elapsed() < started.elapsed() / 2,
            "{:?}",
            timer.elapsed()
        );
    }
}
