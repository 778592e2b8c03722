//! Series of samples: parsing of text lines, a bounded history per series, and batches for
//! viewers that pull.
//!
//! # Layout
//!
//! | module | holds |
//! |---|---|
//! | [`line`] | parser for names and samples |
//! | [`codec`] | compact encoding of samples |
//! | [`history`] | one series' samples: the newest as received, older ones packed, the oldest thinned |
//! | [`registry`] | all series, by name and id, and their changes |
//! | [`source`] | status of the sources that write samples |
//! | [`cursor`] | one viewer's position, and its messages |
//! | [`saving`] | pending changes for a store, and restoring from it |
//!
//! The crate never waits and uses no sockets, files or clocks: the caller passes the time.
//! A viewer is a [`Cursor`], not a queue: samples that it has not requested are stored
//! once, in the history that all viewers share.

mod codec;
pub mod cursor;
pub mod history;
pub mod line;
mod registry;
pub mod saving;
pub mod source;
mod thinning;

pub use cursor::{Cursor, Selection};
pub use registry::{Bounds, Registry, RegistryError, Series};

/// One sample: x and y.
pub type Sample = (f64, f64);
