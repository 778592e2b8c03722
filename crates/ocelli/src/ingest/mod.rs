//! Cameras that push JPEG over a WebSocket: who may, who does, and what they tell
//! of themselves.
//!
//! | module | holds |
//! |---|---|
//! | [`bucket`] | how many frames are taken |
//! | [`refusal`] | what a device is told when it has to go |
//! | [`devices`] | the places of cameras that push, and who pushes there |
//! | [`admission`] | from a key to a camera's seat, in one step of the store |
//! | [`socket`] | a device connects, and takes its camera's seat |
//! | [`session`] | what it sends from then on |
//!
//! A room that has a key has a camera, whether its device is there or not. Keys are
//! checked, used and revoked on the store's thread, one after the other: a device
//! can't slip in with a key that is being revoked.
//!
//! What does not belong here: the calls that give out keys (`api`), and how viewers
//! see the pictures (`sinks`).

mod admission;
mod bucket;
mod devices;
mod refusal;
mod session;
mod socket;

pub use devices::{Device, Ingest, Report};
pub use refusal::Refusal;
#[cfg(fuzzing)]
pub use session::read_stats;
pub use socket::{is_identity, routes};
