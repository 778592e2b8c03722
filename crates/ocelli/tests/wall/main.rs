//! Live viewers: the wall socket, playback and MPEG-1.

mod events;
mod frames;
mod handshake;
mod jsmpeg;
mod jsmpeg_changes;
mod liveness;
mod mp4;
mod native;
mod plain;
mod playback;
mod playback_socket;
mod snapshot;
mod sound;
#[path = "../support/mod.rs"]
mod support;
mod v2;
