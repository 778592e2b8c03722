//! Why the store did not do what was asked.

use ocelli_config::private::Unusable;
use std::fmt;

/// Why the store did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// It can't be used; says why.
    Unusable(String),
    /// It stands against what is there already.
    Conflict(String),
    /// There is no such thing; says which.
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
            return StoreError::Conflict("there is one of that name already".to_owned());
        }
        StoreError::Unusable(format!("the store's file: {error}"))
    }
}
