//! Real and fake cameras for Ocelli's tests, and control over the hub's process.
//!
//! # Layout
//! - [`RtspServer`]: GStreamer's RTSP server as a real camera (H.264, H.265, MJPEG, and
//!   unusual ones), in a process that can be killed, frozen and restarted on the same port.
//! - [`rtsp_script`]: RTSP cameras that follow a script, with exact bytes; [`rtsp_media`] makes
//!   their packets, and [`rtsp_makers`] has the answers of common makers.
//! - [`OpenSsl`]: OpenSSL's server, with old versions of TLS and with client certificates.
//! - [`HttpCamera`]: an HTTP camera in this process, with correct and faulty behaviour.
//! - [`FAKE_PI`]: a program that writes raw pictures with a clock in them.
//! - [`wire`]: WebSocket frames as bytes. [`websocket`]: a raw WebSocket client that can break
//!   the protocol in ways that no library allows.
//! - [`Hub`]: the `ocelli` program as a process, with its children, threads and descriptors.
//! - [`hold_clock`]: stops a runtime's paused clock while a test waits for another process.
//! - [`schedule`]: every order in which the steps of several actors can happen.
//! - [`feed`]: many cameras at a steady rate from one thread, with JPEG over HTTP. [`video_feed`]:
//!   the same with H.264 over RTSP. [`video`] encodes and stamps it.
//! - [`watcher`]: a wall that is watched while something happens to the hub.
//! - [`link`], [`socket`]: blocking connections and WebSockets, plain or encrypted.
//! - [`hostile`]: peers that attack a hub, and the criteria for how well it withstands them.
//! - [`jpeg`]: small valid pictures of any size in bytes, stamped with the time of their
//!   creation.
//!
//! This crate contains no code of the hub, so that the tests do not agree with the hub merely
//! because they share its mistakes.
//!
//! A value that starts a process ends it, by its id, when dropped. A failure to set up a test
//! panics with a message that names what is missing, because a test cannot handle it.

mod background;
mod clock;
mod digest;
mod fake_pi;
pub mod feed;
pub mod hostile;
mod http_camera;
mod hub;
pub mod jpeg;
mod lines;
pub mod link;
mod openssl;
mod proc;
mod rtsp;
pub mod rtsp_makers;
pub mod rtsp_media;
pub mod rtsp_script;
pub mod schedule;
pub mod socket;
pub mod video;
pub mod video_feed;
pub mod watcher;
pub mod websocket;
pub mod wire;

pub use clock::hold_clock;
pub use digest::DigestCheck;
pub use fake_pi::{FAKE_PI, clock_of};
pub use http_camera::{HttpCamera, HttpCameraOptions};
pub use hub::{Hub, HubBuilder};
pub use openssl::OpenSsl;
pub use proc::{Child, children_of, cpu_time, descriptors_of, resident_bytes, threads_of};
pub use rtsp::{RtspAuth, RtspServer, RtspServerOptions};

/// The result of an operation of a blocking peer. The error is a message.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;
