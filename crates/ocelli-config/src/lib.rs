//! Reading a TOML configuration: sections, their keys and their faults. Private files.
//!
//! Which sections there are is decided by the crates that use them.

pub mod number;
pub mod private;
mod section;

pub use section::{ConfigError, Section, nearest, parse_duration, parse_listen, parse_size};
