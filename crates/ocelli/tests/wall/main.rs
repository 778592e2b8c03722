//! Live viewers: the wall socket, playback and MPEG-1.

mod events;
mod frames;
mod handshake;
mod jsmpeg;
mod liveness;
mod plain;
mod playback;
mod playback_socket;
#[path = "../support/mod.rs"]
mod support;
mod v2;
