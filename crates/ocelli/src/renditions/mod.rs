//! What is derived from a camera's native stream while somebody watches.
//!
//! What does not belong here: when to start or retry. That is
//! `ocelli_core::upstream`.

mod jpeg;

pub use jpeg::JpegRendition;
