//! From a camera to pictures: the kinds of source, the renditions, and the formats between.
//!
//! # Layout
//!
//! | module | holds |
//! |---|---|
//! | [`sources`] | the kinds of source, one file or folder each, one line each in `sources::KINDS` |
//! | [`renditions`] | streams that are made of a camera's own |
//! | [`options`] | what a camera's configuration says of its renditions |
//! | [`ffmpeg`] | how the ffmpeg program is started and read |
//! | [`supervise`] | child processes |
//! | [`annexb`], [`parameter_set`], [`jpeg`], [`mpeg1`] | formats, read without decoding |
//! | [`system`] | the calls that need `unsafe` |
//!
//! No HTTP server, no WebSocket, no viewer.

pub mod annexb;
#[cfg(fuzzing)]
pub mod ffmpeg;
#[cfg(not(fuzzing))]
mod ffmpeg;
pub mod jpeg;
pub mod mpeg1;
pub mod options;
pub mod parameter_set;
mod pipe;
pub mod renditions;
pub mod sources;
mod supervise;
pub mod system;

pub use supervise::all_ended as all_children_ended;
