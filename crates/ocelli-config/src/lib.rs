//! Reads TOML sections with exact error positions, and creates private files.
//!
//! The crate that uses a section defines its keys.

pub mod number;
pub mod private;
mod section;

pub use section::{ConfigError, Section, nearest, parse_duration, parse_listen, parse_size};
