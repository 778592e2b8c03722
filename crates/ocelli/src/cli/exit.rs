//! The program's exit status.

use std::fmt::Display;

/// The exit code and message of a failed command.
pub struct Exit {
    /// The exit code.
    pub code: u8,
    /// The message.
    pub message: String,
}

impl Exit {
    /// Wrong usage.
    pub fn usage(message: impl Display) -> Self {
        Self {
            code: 2,
            message: message.to_string(),
        }
    }

    /// A failure.
    pub fn failure(message: impl Display) -> Self {
        Self {
            code: 1,
            message: message.to_string(),
        }
    }
}
