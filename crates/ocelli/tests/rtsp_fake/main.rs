//! RTSP cameras by hand: hostile ones, and those that take liberties.

#![allow(clippy::unwrap_used, reason = "what a test arranged is there")]

mod hostile;
mod peer;
#[path = "../support/mod.rs"]
mod support;
mod talk;
