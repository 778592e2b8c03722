//! What is derived from a camera's native stream while somebody watches.
//!
//! What does not belong here: when to start or retry. That is
//! `ocelli_core::upstream`.

mod feed;
mod jpeg;
mod mpeg1;

pub use jpeg::JpegRendition;
pub use mpeg1::Mpeg1Rendition;
