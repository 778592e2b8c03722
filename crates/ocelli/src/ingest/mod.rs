//! Devices that push JPEG over a WebSocket: admission, sessions and their statistics.
//!
//! | module | contents |
//! |---|---|
//! | [`bucket`] | the rate limit for frames |
//! | [`refusal`] | the reasons for refusing or closing a connection |
//! | [`devices`] | the sources of the cameras, and the connected devices |
//! | [`admission`] | the key check and the takeover of the camera, in one job of the store |
//! | [`socket`] | the WebSocket endpoint |
//! | [`session`] | a device's session after admission |
//!
//! A room that has a key has a camera, whether its device is connected or not. Keys are
//! checked, used and revoked on the store's thread, one after the other, so a device can't
//! connect with a key that is being revoked.
//!
//! The API calls that create keys are in `api`; delivery to viewers is in `sinks`.

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
