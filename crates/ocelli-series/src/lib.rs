//! Series of samples: lines of text in, a bounded history of each, and batches out
//! to viewers that pull.
//!
//! # Layout
//!
//! | module | holds |
//! |---|---|
//! | [`line`] | names and samples as sources write them |
//! | [`codec`] | samples packed into few bytes |
//! | [`history`] | one series' samples: the newest as they came, older ones packed, the oldest thinned |
//! | [`registry`] | all series, by name and id, and what changed since when |
//! | [`source`] | what is known of those who write |
//! | [`cursor`] | one viewer's place, and the messages made from it |
//! | [`saving`] | what a store has yet to be told, and the way back |
//!
//! Nothing here waits, and nothing here knows a socket, a file or a clock: whoever
//! calls says what time it is. A viewer is a [`Cursor`], never a queue: what it has
//! not asked for is held once, in the history, whoever else reads it.

mod codec;
pub mod cursor;
pub mod history;
pub mod line;
mod registry;
pub mod saving;
pub mod source;
mod thinning;

pub use cursor::{Cursor, Wanted};
pub use registry::{Bounds, Refused, Registry, Series};

/// One (x, y).
pub type Sample = (f64, f64);
