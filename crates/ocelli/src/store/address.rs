//! The hub's base URL, stored for commands that print links to the hub.

use super::error::StoreError;
use rusqlite::{Connection, OptionalExtension};

/// Stores the base URL of the running hub.
///
/// # Errors
/// The file can't be written.
pub fn put(connection: &mut Connection, address: &str) -> Result<(), StoreError> {
    connection.execute(
        "INSERT INTO hub (id, address) VALUES (1, ?1)
         ON CONFLICT (id) DO UPDATE SET address = excluded.address",
        [address],
    )?;
    Ok(())
}

/// The base URL of the hub's current or last run; `None` before the first run.
///
/// # Errors
/// The file can't be read.
pub fn get(connection: &Connection) -> Result<Option<String>, StoreError> {
    let address = connection.query_row("SELECT address FROM hub", [], |row| row.get(0));
    Ok(address.optional()?)
}
