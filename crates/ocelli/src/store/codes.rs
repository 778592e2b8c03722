//! One-time codes, by which a password is set without the old one. Only their hashes
//! are kept.

use super::error::StoreError;
use crate::auth::Hash;
use rusqlite::Connection;

/// How long a code is good that whoever has the machine gets, in ms.
pub const GOOD_FOR: i64 = 10 * 60 * 1000;
/// How long a code is good that an administrator hands to a user, in ms.
pub const GOOD_FOR_USER: i64 = 24 * 3600 * 1000;

/// Whose password a code sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum For {
    /// Whoever's it is told, who thereby is an administrator: it was made by somebody
    /// who may write to the store itself.
    Administrator,
    /// This user's.
    User(String),
}

/// Keeps a code in place of those of its kind that there were.
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

/// What the code of this hash is for, if there is one that has not expired. Each is
/// compared, whole and in constant time.
///
/// # Errors
/// The file can't be read.
pub fn known(connection: &Connection, hash: &Hash, now: i64) -> Result<Option<For>, StoreError> {
    let mut query = connection.prepare_cached("SELECT * FROM code")?;
    let mut rows = query.query([])?;
    let mut found = None;
    while let Some(row) = rows.next()? {
        let kept: Vec<u8> = row.get("hash")?;
        let expires: i64 = row.get("expires")?;
        if hash.is(&kept) && now < expires {
            let user: Option<String> = row.get("user")?;
            found = Some(user.map_or(For::Administrator, For::User));
        }
    }
    Ok(found)
}

/// Uses a code up.
///
/// # Errors
/// The file can't be written.
pub fn spend(connection: &Connection, hash: &Hash) -> Result<(), StoreError> {
    connection.execute("DELETE FROM code WHERE hash = ?1", [hash.bytes()])?;
    Ok(())
}
