//! Cameras that were added over HTTP, as the store keeps them: their place in the
//! clear, all else sealed.

use super::error::StoreError;
use super::walls;
use ocelli_core::CameraId;
use rusqlite::{Connection, OptionalExtension, Row};

/// A camera's row.
pub struct Kept {
    /// Its app.
    pub app: String,
    /// Its room in the short form.
    pub room: String,
    /// Its settings, sealed for [`about`] it.
    pub sealed: Vec<u8>,
}

/// What a camera's settings are sealed for.
pub fn about(app: &str, room: &str) -> String {
    format!("camera {app}/{room}")
}

fn read(row: &Row<'_>) -> rusqlite::Result<Kept> {
    Ok(Kept {
        app: row.get("app")?,
        room: row.get("room")?,
        sealed: row.get("sealed")?,
    })
}

/// All of them, in the order in which they were added.
///
/// # Errors
/// The file can't be read.
pub fn all(connection: &Connection) -> Result<Vec<Kept>, StoreError> {
    let mut query = connection.prepare_cached("SELECT * FROM camera ORDER BY position")?;
    let cameras = query.query_map([], read)?;
    Ok(cameras.collect::<Result<_, _>>()?)
}

/// How many there are.
///
/// # Errors
/// The file can't be read.
pub fn count(connection: &Connection) -> Result<usize, StoreError> {
    Ok(connection.query_row("SELECT count(*) FROM camera", [], |row| row.get(0))?)
}

/// The one in this room, if there is one.
///
/// # Errors
/// The file can't be read.
pub fn find(connection: &Connection, app: &str, room: &str) -> Result<Option<Kept>, StoreError> {
    let mut query =
        connection.prepare_cached("SELECT * FROM camera WHERE app = ?1 AND room = ?2")?;
    Ok(query.query_row((app, room), read).optional()?)
}

/// Adds one, behind all others. Links to walls do not show it, though they may have shown
/// another camera in its room.
///
/// # Errors
/// There is one in its room.
pub fn insert(connection: &Connection, kept: &Kept) -> Result<(), StoreError> {
    walls::forget_camera(connection, &kept.app, &kept.room)?;
    connection.execute(
        "INSERT INTO camera (app, room, sealed) VALUES (?1, ?2, ?3)",
        (&kept.app, &kept.room, &kept.sealed),
    )?;
    Ok(())
}

/// Replaces the settings of the one in its room, which keeps its place in the order.
///
/// # Errors
/// The file can't be written.
pub fn update(connection: &Connection, kept: &Kept) -> Result<(), StoreError> {
    connection.execute(
        "UPDATE camera SET sealed = ?3 WHERE app = ?1 AND room = ?2",
        (&kept.app, &kept.room, &kept.sealed),
    )?;
    Ok(())
}

/// Takes one out, with its place in wall links: one that is made anew in its room is
/// not shown by them. Whether it was there.
///
/// # Errors
/// The file can't be written.
pub fn delete(connection: &mut Connection, id: &CameraId) -> Result<bool, StoreError> {
    let transaction = connection.transaction()?;
    let gone = transaction.execute(
        "DELETE FROM camera WHERE app = ?1 AND room = ?2",
        (id.app(), id.room()),
    )?;
    if gone > 0 {
        walls::forget_camera(&transaction, id.app(), id.room())?;
    }
    transaction.commit()?;
    Ok(gone > 0)
}
