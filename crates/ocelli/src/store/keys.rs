//! Storage of stream keys: only their keyed hashes, never the keys.

use super::error::StoreError;
use super::walls;
use crate::auth::Hash;
use ocelli_core::CameraId;
use rusqlite::{Connection, Row};

/// A stream key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamKey {
    /// The id for listing and revoking it.
    pub id: String,
    /// Its app.
    pub app: String,
    /// Its room as it was entered, in the short or the full form.
    pub room: String,
    /// The identity of the device that pushes with it.
    pub identity: String,
    /// Creation time in ms since the Unix epoch.
    pub created: i64,
}

fn read(row: &Row<'_>) -> rusqlite::Result<StreamKey> {
    Ok(StreamKey {
        id: row.get("id")?,
        app: row.get("app")?,
        room: row.get("room")?,
        identity: row.get("identity")?,
        created: row.get("created")?,
    })
}

/// All keys, oldest first.
///
/// # Errors
/// The file can't be read.
pub fn all(connection: &Connection) -> Result<Vec<StreamKey>, StoreError> {
    let mut query = connection.prepare_cached("SELECT * FROM stream_key ORDER BY rowid")?;
    let keys = query.query_map([], read)?;
    Ok(keys.collect::<Result<_, _>>()?)
}

/// One page of an app's keys, oldest first, and their total number.
///
/// # Errors
/// The file can't be read.
pub fn page(
    connection: &Connection,
    app: &str,
    limit: usize,
    offset: usize,
) -> Result<(Vec<StreamKey>, usize), StoreError> {
    let count = "SELECT count(*) FROM stream_key WHERE app = ?1";
    let total: usize = connection.query_row(count, [app], |row| row.get(0))?;
    let mut query = connection.prepare_cached(
        "SELECT * FROM stream_key WHERE app = ?1 ORDER BY rowid LIMIT ?2 OFFSET ?3",
    )?;
    let keys = query.query_map((app, limit, offset), read)?;
    Ok((keys.collect::<Result<_, _>>()?, total))
}

/// Adds a key. The first key of a room makes a new camera, which existing wall links do not show.
///
/// # Errors
/// The file can't be written.
pub fn insert(connection: &Connection, key: &StreamKey, hash: &Hash) -> Result<(), StoreError> {
    if !has_key(connection, key)? {
        walls::forget_camera(connection, &key.app, &key.room)?;
    }
    connection.execute(
        "INSERT INTO stream_key (id, app, room, identity, hash, created, incarnation)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, coalesce(
             (SELECT min(incarnation) FROM stream_key WHERE app = ?2 AND room = ?3), random()))",
        (
            &key.id,
            &key.app,
            &key.room,
            &key.identity,
            hash.bytes(),
            key.created,
        ),
    )?;
    Ok(())
}

/// Whether the room has a key, in the same spelling.
fn has_key(connection: &Connection, key: &StreamKey) -> Result<bool, StoreError> {
    let mut query =
        connection.prepare_cached("SELECT 1 FROM stream_key WHERE app = ?1 AND room = ?2")?;
    Ok(query.exists((&key.app, &key.room))?)
}

/// The key with this hash for a camera, if any. Every key of the camera is compared, in full
/// and in constant time.
///
/// # Errors
/// The file can't be read.
pub fn find(
    connection: &Connection,
    camera: &CameraId,
    hash: &Hash,
) -> Result<Option<StreamKey>, StoreError> {
    let mut query = connection
        .prepare_cached("SELECT * FROM stream_key WHERE app = ?1 AND room IN (?2, ?3)")?;
    let mut rows = query.query((camera.app(), camera.room(), camera.full_room()))?;
    let mut found = None;
    while let Some(row) = rows.next()? {
        let kept: Vec<u8> = row.get("hash")?;
        if hash.matches(&kept) {
            found = Some(read(row)?);
        }
    }
    Ok(found)
}

/// Whether a camera has a key.
///
/// # Errors
/// The file can't be read.
pub fn any_for(connection: &Connection, camera: &CameraId) -> Result<bool, StoreError> {
    let mut query = connection
        .prepare_cached("SELECT 1 FROM stream_key WHERE app = ?1 AND room IN (?2, ?3)")?;
    Ok(query.exists((camera.app(), camera.room(), camera.full_room()))?)
}

/// Whether a key still exists.
///
/// # Errors
/// The file can't be read.
pub fn exists(connection: &Connection, id: &str) -> Result<bool, StoreError> {
    let mut query = connection.prepare_cached("SELECT 1 FROM stream_key WHERE id = ?1")?;
    Ok(query.exists([id])?)
}

/// Deletes a key, if it belongs to `app` where one is given, and returns it. Deleting the last
/// key of a room also removes its camera from wall links.
///
/// # Errors
/// The file can't be written.
pub fn delete(
    connection: &Connection,
    id: &str,
    app: Option<&str>,
) -> Result<Option<StreamKey>, StoreError> {
    let mut query = connection.prepare_cached(
        "DELETE FROM stream_key WHERE id = ?1 AND (?2 IS NULL OR app = ?2) RETURNING *",
    )?;
    let deleted = query.query_map((id, app), read)?.next().transpose()?;
    if let Some(deleted) = &deleted
        && !has_key(connection, deleted)?
    {
        walls::forget_camera(connection, &deleted.app, &deleted.room)?;
    }
    Ok(deleted)
}
