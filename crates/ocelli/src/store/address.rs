//! Where the hub is reached, kept for the commands that print links to it.

use super::error::StoreError;
use rusqlite::{Connection, OptionalExtension};

/// Keeps what the hub's addresses begin with, as it runs now.
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

/// What the hub's addresses begin with, or did when it last ran; none if it never has.
///
/// # Errors
/// The file can't be read.
pub fn get(connection: &Connection) -> Result<Option<String>, StoreError> {
    let address = connection.query_row("SELECT address FROM hub", [], |row| row.get(0));
    Ok(address.optional()?)
}
