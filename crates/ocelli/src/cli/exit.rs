//! Why the program ends.

use std::fmt::Display;

/// Why the program ends: its exit code and what it says.
pub struct Exit {
    /// The exit code.
    pub code: u8,
    /// What it says.
    pub message: String,
}

impl Exit {
    /// It was called wrongly.
    pub fn usage(message: impl Display) -> Self {
        Self {
            code: 2,
            message: message.to_string(),
        }
    }

    /// It could not do what it was asked for.
    pub fn failure(message: impl Display) -> Self {
        Self {
            code: 1,
            message: message.to_string(),
        }
    }
}
