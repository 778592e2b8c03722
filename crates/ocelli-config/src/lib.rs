//! Reads TOML sections with exact error positions, and creates private files.
//!
//! Each section is defined by the crate that uses it.

pub mod number;
pub mod private;
mod section;

pub use section::{ConfigError, Section, nearest, parse_duration, parse_listen, parse_size};
