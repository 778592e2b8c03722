//! Returns unused memory of the process to the system.
//!
//! glibc keeps memory that is freed in the middle of its heaps forever, so the hub's memory use
//! would stay high after many viewers have left. `docs/design/performance.md` has the reasons for
//! this method and the alternatives that were measured. Other C libraries are left unchanged.

use ocelli_media::system::{set_mmap_threshold, trim_heaps};
use std::time::Duration;
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};

/// How often memory is returned. A call takes some tenths of a millisecond when there is
/// little to return.
const INTERVAL: Duration = Duration::from_secs(10);
/// Allocations of this size and above get their own mapping, which is unmapped when it is
/// freed: the working memory of password hashing. Pictures are smaller, and too short-lived
/// for it.
const OWN_MAPPING: i32 = 8 * 1024 * 1024;

/// Gives unused memory back periodically, on a blocking thread, until the runtime stops.
pub async fn return_memory() {
    set_mmap_threshold(OWN_MAPPING);
    let mut due = interval(INTERVAL);
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        due.tick().await;
        if spawn_blocking(trim_heaps).await.is_err() {
            return;
        }
    }
}
