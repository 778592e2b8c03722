//! Real and fake cameras for Ocelli's tests, and a hand on the hub's process.
//!
//! # Layout
//! - [`RtspServer`]: GStreamer's RTSP server as the real camera (H.264, H.265,
//!   MJPEG, and the odd ones), in a process that can be killed, frozen and
//!   brought back on the same port.
//! - [`HttpCamera`]: a camera that speaks HTTP, in this process, well and badly.
//! - [`FAKE_PI`]: a program that writes raw pictures with a clock in them.
//! - [`wire`]: WebSocket frames as bytes. [`websocket`]: a WebSocket by hand, that can say what no library would.
//! - [`Hub`]: the `ocelli` program as a process, and what it holds: children,
//!   threads, descriptors.
//! - [`schedule`]: every order in which the steps of several actors can happen.
//! - [`feed`]: many cameras at a steady rate from one thread, and [`watcher`], a wall
//!   that is watched while something happens to the hub.
//! - [`link`], [`socket`]: blocking connections and WebSockets, plain or encrypted.
//! - [`hostile`]: peers that attack a hub, and the judgement of how it bears them.
//! - [`jpeg`]: small valid pictures of any number of bytes, stamped with the
//!   time of their making.
//!
//! What does not belong here: anything of the hub's own code. The tests must
//! not agree with the hub merely because they share its mistakes.
//!
//! What starts a process ends it, by its id, when dropped. A failure to set up
//! a test is a panic that says what was wanted: there is nothing a test could
//! do about it.

mod background;
mod digest;
mod fake_pi;
pub mod feed;
pub mod hostile;
mod http_camera;
mod hub;
pub mod jpeg;
mod lines;
pub mod link;
mod proc;
mod rtsp;
pub mod schedule;
pub mod socket;
pub mod watcher;
pub mod websocket;
pub mod wire;

pub use fake_pi::{FAKE_PI, clock_of};
pub use http_camera::{HttpCamera, HttpCameraOptions};
pub use hub::{Hub, HubBuilder};
pub use proc::{Child, children_of, cpu_time, descriptors_of, resident_bytes, threads_of};
pub use rtsp::{RtspAuth, RtspServer, RtspServerOptions};

/// What can go wrong in the blocking peers, told in words.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;
