//! Streams derived from a camera's native stream while it has viewers. When to start or retry
//! is decided in `ocelli_core::upstream`.

mod feed;
mod jpeg;
mod mpeg1;

pub use jpeg::JpegRendition;
pub use mpeg1::Mpeg1Rendition;
