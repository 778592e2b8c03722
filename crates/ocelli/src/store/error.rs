//! Errors of the store.

use ocelli_config::private::Unusable;
use std::fmt;

/// Why a store operation failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// The store can't be used; contains the reason.
    Unusable(String),
    /// The change conflicts with existing data.
    Conflict(String),
    /// The item does not exist.
    Missing(String),
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreError::Unusable(message)
            | StoreError::Conflict(message)
            | StoreError::Missing(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for StoreError {}

impl From<Unusable> for StoreError {
    fn from(fault: Unusable) -> Self {
        StoreError::Unusable(fault.to_string())
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        if error.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation) {
            return StoreError::Conflict(
                "that name is already taken; choose another one".to_owned(),
            );
        }
        StoreError::Unusable(format!("the store's file: {error}"))
    }
}
