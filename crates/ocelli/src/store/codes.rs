//! One-time codes for setting a password without the old one. Only their hashes are stored.

use super::error::StoreError;
use crate::auth::Hash;
use rusqlite::Connection;

/// Validity in ms of a code that the hub or `ocelli admin link` prints.
pub const VALID_MS: i64 = 10 * 60 * 1000;
/// Validity in ms of a code that an administrator gives to a user.
pub const USER_VALID_MS: i64 = 24 * 3600 * 1000;

/// The user whose password a code sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CodePurpose {
    /// The password of an administrator with a name of the client's choice: the code was made by
    /// someone with write access to the store.
    Administrator,
    /// The password of this user.
    User(String),
}

/// Stores a code; replaces earlier codes for the same user.
///
/// # Errors
/// The file can't be written.
pub fn put(
    connection: &mut Connection,
    hash: &Hash,
    user: Option<&str>,
    expires: i64,
) -> Result<(), StoreError> {
    let transaction = connection.transaction()?;
    transaction.execute("DELETE FROM code WHERE user IS ?1", [user])?;
    transaction.execute(
        "INSERT INTO code (hash, user, expires) VALUES (?1, ?2, ?3)",
        (hash.bytes(), user, expires),
    )?;
    Ok(transaction.commit()?)
}

/// Returns the purpose of the code with this hash, if it exists and has not expired. Every hash is
/// compared in full and in constant time.
///
/// # Errors
/// The file can't be read.
pub fn find_valid(
    connection: &Connection,
    hash: &Hash,
    now: i64,
) -> Result<Option<CodePurpose>, StoreError> {
    let mut query = connection.prepare_cached("SELECT * FROM code")?;
    let mut rows = query.query([])?;
    let mut found = None;
    while let Some(row) = rows.next()? {
        let kept: Vec<u8> = row.get("hash")?;
        let expires: i64 = row.get("expires")?;
        if hash.matches(&kept) && now < expires {
            let user: Option<String> = row.get("user")?;
            found = Some(user.map_or(CodePurpose::Administrator, CodePurpose::User));
        }
    }
    Ok(found)
}

/// Deletes a used code.
///
/// # Errors
/// The file can't be written.
pub fn delete(connection: &Connection, hash: &Hash) -> Result<(), StoreError> {
    connection.execute("DELETE FROM code WHERE hash = ?1", [hash.bytes()])?;
    Ok(())
}
