//! The memory that the process no longer uses goes back to the system.
//!
//! glibc keeps what is freed in the middle of its heaps for ever, so that a crowd that has
//! left still shows in the hub's memory. The reasons for this way, and what else was
//! measured, stand in `docs/design/performance.md`. Other C libraries are left as they are.

// Both calls are to C and change nothing that Rust knows of.
#![allow(unsafe_code)]

use std::time::Duration;
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};

/// How often memory is given back. It takes some tenths of a millisecond where there is
/// little to give.
const EACH: Duration = Duration::from_secs(10);
/// A single allocation from here on is a mapping of its own, which is gone when it is freed:
/// the working memories of passwords. Pictures are shorter, and live too briefly for that.
#[cfg(target_env = "gnu")]
const OWN_MAPPING: libc::c_int = 8 * 1024 * 1024;

/// Gives memory back now and then, on a blocking thread. It never ends.
pub async fn give_back() {
    keep_large_apart();
    let mut due = interval(EACH);
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        due.tick().await;
        if spawn_blocking(trim).await.is_err() {
            return;
        }
    }
}

/// Fixes from what size on allocations are mappings of their own. Left alone, glibc raises
/// it to the largest that was ever freed.
fn keep_large_apart() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it sets a number, and may be called at any time.
    let taken = unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, OWN_MAPPING) };
    #[cfg(target_env = "gnu")]
    if taken == 0 {
        tracing::debug!("the allocator takes no threshold");
    }
}

fn trim() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it takes the allocator's own locks and releases free pages alone.
    unsafe {
        libc::malloc_trim(0);
    }
}
