//! Reads TOML sections with exact error positions, and creates private files.
//!
//! The crates that use a section define it.

pub mod number;
pub mod private;
mod section;

pub use section::{ConfigError, Section, nearest, parse_duration, parse_listen, parse_size};
