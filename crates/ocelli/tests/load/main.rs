//! What a hub withstands: hostile peers, crowds, slow viewers, large pictures.
//!
//! These tests load the machine, or measure times, memory and other things that a loaded
//! machine changes. Other tests belong into the other binaries.

mod attack;
mod capacity;
mod endurance;
mod fairness;
mod hostile;
mod hostile_rtsp;
mod limits;
mod memory;
#[path = "../support/mod.rs"]
mod support;
