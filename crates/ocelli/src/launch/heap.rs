//! The memory that the process no longer uses goes back to the system.
//!
//! glibc keeps what is freed in the middle of its heaps for ever, so that a crowd that has
//! left still shows in the hub's memory. The reasons for this way, and what else was
//! measured, stand in `docs/design/performance.md`. Other C libraries are left as they are.

use ocelli_media::system::{keep_apart, trim_heaps};
use std::time::Duration;
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};

/// How often memory is given back. It takes some tenths of a millisecond where there is
/// little to give.
const EACH: Duration = Duration::from_secs(10);
/// A single allocation from here on is a mapping of its own, which is gone when it is freed:
/// the working memories of passwords. Pictures are shorter, and live too briefly for that.
const OWN_MAPPING: i32 = 8 * 1024 * 1024;

/// Gives memory back now and then, on a blocking thread. It never ends.
pub async fn give_back() {
    keep_apart(OWN_MAPPING);
    let mut due = interval(EACH);
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        due.tick().await;
        if spawn_blocking(trim_heaps).await.is_err() {
            return;
        }
    }
}
