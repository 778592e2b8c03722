//! Errors of changes.

use crate::auth::Denied;
use crate::store::StoreError;
use std::fmt::{self, Display};

/// Why a change failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeError {
    /// A field is invalid; names the field and what is expected.
    Invalid(String),
    /// A permission is missing.
    Denied(Denied),
    /// The change conflicts with the current state, refers to something that does not exist, or the
    /// store can't be used.
    Store(StoreError),
}

impl ChangeError {
    /// An invalid field.
    pub fn invalid(field: &str, fault: impl Display) -> Self {
        Self::Invalid(format!("{field} in the body: {fault}"))
    }

    /// A conflict with the current state.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::Store(StoreError::Conflict(message.into()))
    }

    /// The item does not exist.
    pub fn missing(message: impl Into<String>) -> Self {
        Self::Store(StoreError::Missing(message.into()))
    }
}

impl Display for ChangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(message) | Self::Denied(Denied(message)) => f.write_str(message),
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ChangeError {}

impl From<Denied> for ChangeError {
    fn from(denied: Denied) -> Self {
        Self::Denied(denied)
    }
}

impl From<StoreError> for ChangeError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<rusqlite::Error> for ChangeError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error.into())
    }
}
