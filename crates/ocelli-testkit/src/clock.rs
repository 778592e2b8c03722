//! Control over a runtime's paused clock.

use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

/// The longest time for which the clock is held, so that a test that waits in vain still reaches
/// its timeouts.
const LONGEST: Duration = Duration::from_secs(20);

/// Stops a paused clock until the result is dropped. Otherwise the clock advances to the next
/// timer while a test waits for another process or thread.
pub fn hold_clock() -> Sender<()> {
    let (holder, held) = channel();
    // The clock does not advance while a blocking task runs.
    tokio::task::spawn_blocking(move || held.recv_timeout(LONGEST));
    holder
}
