//! Description of a source kind.

use super::address::Address;
use ocelli_config::{ConfigError, Section};
use ocelli_core::Source;
use std::sync::Arc;

/// One source kind.
pub struct Kind {
    /// Name in listings.
    pub name: &'static str,
    /// Schemes of the addresses it accepts, without the colon.
    pub schemes: &'static [&'static str],
    /// Purpose, in a sentence.
    pub about: &'static str,
    /// Example address. For a kind without addresses, example configuration lines.
    pub example: &'static str,
    /// Additional keys it accepts in `[[camera]]`: name and meaning.
    pub options: &'static [(&'static str, &'static str)],
    /// Creates a source.
    pub open: Open,
}

/// Creates a source from an address and its options. Makes no network connection.
pub type Open = fn(Address, &mut Section<'_>) -> Result<Arc<dyn Source>, ConfigError>;
