//! Storage of API tokens: only their keyed hashes, never the tokens.

use super::error::StoreError;
use crate::auth::{Allowance, Hash, Permission};
use rusqlite::{Connection, OptionalExtension, Row};

/// An API token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// The id for listing and revoking it.
    pub id: String,
    /// The name that a person gave it.
    pub name: String,
    /// Its permissions and the app they apply to.
    pub allowance: Allowance,
    /// Creation time in ms since the Unix epoch.
    pub created: i64,
}

fn read(row: &Row<'_>) -> rusqlite::Result<Token> {
    let permissions: String = row.get("permissions")?;
    // Permissions of later versions are ignored.
    let permissions = permissions.split(' ').filter_map(Permission::parse);
    Ok(Token {
        id: row.get("id")?,
        name: row.get("name")?,
        allowance: Allowance {
            app: row.get("app")?,
            permissions: permissions.collect(),
        },
        created: row.get("created")?,
    })
}

/// All tokens, oldest first.
///
/// # Errors
/// The file can't be read.
pub fn all(connection: &Connection) -> Result<Vec<Token>, StoreError> {
    let mut query = connection.prepare_cached("SELECT * FROM token ORDER BY created, id")?;
    let tokens = query.query_map([], read)?;
    Ok(tokens.collect::<Result<_, _>>()?)
}

/// Adds a token.
///
/// # Errors
/// The file can't be written.
pub fn insert(connection: &Connection, token: &Token, hash: &Hash) -> Result<(), StoreError> {
    let permissions: Vec<_> = token
        .allowance
        .permissions
        .iter()
        .map(Permission::text)
        .collect();
    connection.execute(
        "INSERT INTO token (id, name, app, permissions, hash, created)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        (
            &token.id,
            &token.name,
            &token.allowance.app,
            permissions.join(" "),
            hash.bytes(),
            token.created,
        ),
    )?;
    Ok(())
}

/// The token with this hash, if any. Every token is compared, in full and in constant time, so
/// that the response time reveals nothing.
///
/// # Errors
/// The file can't be read.
pub fn find(connection: &Connection, hash: &Hash) -> Result<Option<Token>, StoreError> {
    let mut query = connection.prepare_cached("SELECT * FROM token")?;
    let mut rows = query.query([])?;
    let mut found = None;
    while let Some(row) = rows.next()? {
        let kept: Vec<u8> = row.get("hash")?;
        if hash.matches(&kept) {
            found = Some(read(row)?);
        }
    }
    Ok(found)
}

/// The token of this id, if any.
///
/// # Errors
/// The file can't be read.
pub fn by_id(connection: &Connection, id: &str) -> Result<Option<Token>, StoreError> {
    let mut query = connection.prepare_cached("SELECT * FROM token WHERE id = ?1")?;
    Ok(query.query_row([id], read).optional()?)
}

/// Deletes a token and the wall links that were made with it. Returns true if it existed.
///
/// # Errors
/// The file can't be written.
pub fn delete(connection: &Connection, id: &str) -> Result<bool, StoreError> {
    connection.execute("DELETE FROM wall WHERE maker = ?1", [id])?;
    let deleted = connection.execute("DELETE FROM token WHERE id = ?1", [id])?;
    Ok(deleted > 0)
}
