//! Media layer: camera sources, renditions and the video formats they use. It contains no HTTP
//! server, no WebSocket code and no viewer code.
//!
//! # Layout
//!
//! | module | holds |
//! |---|---|
//! | [`sources`] | the source kinds, one file or folder each, listed in `sources::KINDS` |
//! | [`renditions`] | streams derived from a camera's native stream |
//! | [`options`] | rendition options in a camera's configuration |
//! | [`ffmpeg`] | command lines for the ffmpeg program, and parsing of its output |
//! | [`supervise`] | child processes |
//! | [`mp4`] | muxer for fragmented MP4 |
//! | [`aac`], [`annexb`], [`parameter_set`], [`jpeg`], [`mpeg1`], [`mpegts`], [`opus`] | format parsers that do not decode |
//! | [`system`] | the calls that need `unsafe` |

mod aac;
pub mod annexb;
#[cfg(fuzzing)]
pub mod ffmpeg;
#[cfg(not(fuzzing))]
mod ffmpeg;
pub mod jpeg;
pub mod mp4;
pub mod mpeg1;
pub mod mpegts;
pub mod options;
mod opus;
pub mod parameter_set;
mod pipe;
pub mod renditions;
pub mod sources;
mod supervise;
pub mod system;

pub use supervise::all_ended as all_children_ended;
