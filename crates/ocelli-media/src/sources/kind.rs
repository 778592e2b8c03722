//! What every kind of source has to say of itself.

use super::address::Address;
use ocelli_config::{ConfigError, Section};
use ocelli_core::Source;
use std::sync::Arc;

/// One kind of source.
pub struct Kind {
    /// Its name in listings.
    pub name: &'static str,
    /// The schemes of the addresses it takes, without the colon.
    pub schemes: &'static [&'static str],
    /// What it is for, in a sentence.
    pub about: &'static str,
    /// An address as an example, or the lines in place of one.
    pub example: &'static str,
    /// The keys it takes in `[[camera]]` beside the common ones: name and meaning.
    pub options: &'static [(&'static str, &'static str)],
    /// Makes a source.
    pub open: Open,
}

/// Makes a source of an address and its options; touches no network.
pub type Open = fn(Address, &mut Section<'_>) -> Result<Arc<dyn Source>, ConfigError>;
