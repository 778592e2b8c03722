//! Storage of cameras that were added over HTTP: app and room in plain text, everything else
//! encrypted.

use super::error::StoreError;
use super::walls;
use ocelli_core::CameraId;
use rusqlite::{Connection, OptionalExtension, Row};

/// A camera's row.
pub struct StoredCamera {
    /// Its app.
    pub app: String,
    /// Its room in the short form.
    pub room: String,
    /// Its settings, encrypted for the context [`encryption_context`].
    pub sealed: Vec<u8>,
}

/// The context that a camera's settings are encrypted for.
pub fn encryption_context(app: &str, room: &str) -> String {
    format!("camera {app}/{room}")
}

fn read(row: &Row<'_>) -> rusqlite::Result<StoredCamera> {
    Ok(StoredCamera {
        app: row.get("app")?,
        room: row.get("room")?,
        sealed: row.get("sealed")?,
    })
}

/// All cameras, in the order in which they were added.
///
/// # Errors
/// The file can't be read.
pub fn all(connection: &Connection) -> Result<Vec<StoredCamera>, StoreError> {
    let mut query = connection.prepare_cached("SELECT * FROM camera ORDER BY position")?;
    let cameras = query.query_map([], read)?;
    Ok(cameras.collect::<Result<_, _>>()?)
}

/// The number of cameras.
///
/// # Errors
/// The file can't be read.
pub fn count(connection: &Connection) -> Result<usize, StoreError> {
    Ok(connection.query_row("SELECT count(*) FROM camera", [], |row| row.get(0))?)
}

/// The camera in this room, if any.
///
/// # Errors
/// The file can't be read.
pub fn find(
    connection: &Connection,
    app: &str,
    room: &str,
) -> Result<Option<StoredCamera>, StoreError> {
    let mut query =
        connection.prepare_cached("SELECT * FROM camera WHERE app = ?1 AND room = ?2")?;
    Ok(query.query_row((app, room), read).optional()?)
}

/// Adds a camera at the end. Existing wall links do not show it, even if they showed an earlier
/// camera in its room.
///
/// # Errors
/// The room already has a camera.
pub fn insert(connection: &Connection, stored: &StoredCamera) -> Result<(), StoreError> {
    walls::forget_camera(connection, &stored.app, &stored.room)?;
    connection.execute(
        "INSERT INTO camera (app, room, sealed) VALUES (?1, ?2, ?3)",
        (&stored.app, &stored.room, &stored.sealed),
    )?;
    Ok(())
}

/// Replaces the settings of the camera in the same room, which keeps its position.
///
/// # Errors
/// The file can't be written.
pub fn update(connection: &Connection, stored: &StoredCamera) -> Result<(), StoreError> {
    connection.execute(
        "UPDATE camera SET sealed = ?3 WHERE app = ?1 AND room = ?2",
        (&stored.app, &stored.room, &stored.sealed),
    )?;
    Ok(())
}

/// Deletes a camera and its entries in wall links, so they do not show a later camera in its
/// room. Returns true if the camera existed.
///
/// # Errors
/// The file can't be written.
pub fn delete(connection: &mut Connection, id: &CameraId) -> Result<bool, StoreError> {
    let transaction = connection.transaction()?;
    let deleted = transaction.execute(
        "DELETE FROM camera WHERE app = ?1 AND room = ?2",
        (id.app(), id.room()),
    )?;
    if deleted > 0 {
        walls::forget_camera(&transaction, id.app(), id.room())?;
    }
    transaction.commit()?;
    Ok(deleted > 0)
}
