//! Cameras and films in H.264 and H.265: what is published is what was encoded, for a decoder that
//! starts at any key frame. ffmpeg encodes, decodes and compares. And pipes, of which only whole
//! pictures are published.

#![allow(clippy::unwrap_used, reason = "a failed test setup must panic")]

mod cameras;
mod declaration;
mod films;
mod pipes;
mod sound;
mod support;
