//! What a hub withstands: hostile peers, crowds, slow viewers, large pictures.
//!
//! These tests load the machine, or measure times and memory that a loaded machine changes,
//! so they run one at a time: each holds [`ALONE`]. Tests that may run beside others belong
//! into the other binaries.

mod attack;
mod capacity;
mod devices;
mod endurance;
mod fairness;
mod hostile;
mod hostile_rtsp;
mod limits;
mod memory;
#[path = "../support/mod.rs"]
mod support;

use tokio::sync::Mutex;

/// Held by the test that runs.
static ALONE: Mutex<()> = Mutex::const_new(());
