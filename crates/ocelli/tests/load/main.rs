//! Load and hostile conditions: attacks, many clients, slow viewers, large pictures.
//!
//! These tests load the machine, or measure times and memory that a loaded machine changes, so
//! they run one at a time: each holds [`ALONE`]. Tests that may run in parallel belong in the
//! other binaries.

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

/// Held by the running test.
static ALONE: Mutex<()> = Mutex::const_new(());
