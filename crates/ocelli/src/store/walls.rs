//! Storage of wall links: only the keyed hash of the link's token, never the token. A link is
//! valid while its row exists, for the cameras that its maker may still share.

use super::error::StoreError;
use super::{tokens, users};
use crate::auth::Hash;
use ocelli_core::name::{DEFAULT_APP, split_id};
use rusqlite::{Connection, OptionalExtension, Row};
use std::collections::BTreeSet;

/// The permission that a link's maker needs for its cameras while the link is valid.
pub const SHARE: &str = "camera:share";

/// A link to a wall of chosen cameras.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wall {
    /// Its id, `wall_…`.
    pub id: String,
    /// The name that a person gave it.
    pub name: String,
    /// The user or token that made it; `None` for the administrator's own token.
    pub maker: Option<String>,
    /// The ids of its cameras, without deleted ones.
    pub cameras: BTreeSet<String>,
    /// The apps of its original cameras, even if all of these were deleted.
    pub apps: BTreeSet<String>,
    /// Creation time in ms since the Unix epoch.
    pub created: i64,
    /// Expiry in ms since the Unix epoch.
    pub expires: i64,
}

fn read(row: &Row<'_>) -> rusqlite::Result<Wall> {
    Ok(Wall {
        id: row.get("id")?,
        name: row.get("name")?,
        maker: row.get("maker")?,
        cameras: BTreeSet::new(),
        apps: BTreeSet::new(),
        created: row.get("created")?,
        expires: row.get("expires")?,
    })
}

fn with_cameras(connection: &Connection, mut wall: Wall) -> Result<Wall, StoreError> {
    let mut query = connection.prepare_cached("SELECT camera FROM wall_camera WHERE wall = ?1")?;
    let cameras = query.query_map([&wall.id], |row| row.get(0))?;
    wall.cameras = cameras.collect::<Result<_, _>>()?;
    let mut query = connection.prepare_cached("SELECT app FROM wall_app WHERE wall = ?1")?;
    let apps = query.query_map([&wall.id], |row| row.get(0))?;
    wall.apps = apps.collect::<Result<_, _>>()?;
    Ok(wall)
}

/// The links that have not expired, oldest first.
///
/// # Errors
/// The file can't be read.
pub fn all(connection: &Connection, now: i64) -> Result<Vec<Wall>, StoreError> {
    let mut query =
        connection.prepare_cached("SELECT * FROM wall WHERE expires > ?1 ORDER BY created, id")?;
    let walls: Vec<_> = query.query_map([now], read)?.collect::<Result<_, _>>()?;
    let walls = walls.into_iter();
    walls.map(|wall| with_cameras(connection, wall)).collect()
}

/// The link of this id, expired or not.
///
/// # Errors
/// The file can't be read.
pub fn by_id(connection: &Connection, id: &str) -> Result<Option<Wall>, StoreError> {
    let mut query = connection.prepare_cached("SELECT * FROM wall WHERE id = ?1")?;
    let wall = query.query_row([id], read).optional()?;
    wall.map(|wall| with_cameras(connection, wall)).transpose()
}

/// The link of this id if the hash matches and it has not expired, with the cameras that its
/// maker may still share, if any.
///
/// # Errors
/// The file can't be read.
pub fn known(
    connection: &Connection,
    id: &str,
    hash: &Hash,
    now: i64,
) -> Result<Option<Wall>, StoreError> {
    let mut query = connection.prepare_cached("SELECT hash FROM wall WHERE id = ?1")?;
    let kept: Option<Vec<u8>> = query.query_row([id], |row| row.get(0)).optional()?;
    if !kept.is_some_and(|kept| hash.matches(&kept)) {
        return Ok(None);
    }
    match by_id(connection, id)? {
        Some(wall) if now < wall.expires => still_shared(connection, wall),
        _ => Ok(None),
    }
}

fn still_shared(connection: &Connection, mut wall: Wall) -> Result<Option<Wall>, StoreError> {
    let Some(maker) = &wall.maker else {
        return Ok(Some(wall));
    };
    let Some(user) = users::by_id(connection, maker)? else {
        // A token's permissions never change.
        let by_token = tokens::by_id(connection, maker)?.is_some();
        return Ok(by_token.then_some(wall));
    };
    let grant = user.grant();
    wall.cameras
        .retain(|camera| grant.allows(SHARE, Some(split_id(camera).0)));
    Ok((!wall.cameras.is_empty()).then_some(wall))
}

/// Adds a link and deletes the expired ones.
///
/// # Errors
/// The file can't be written.
pub fn insert(connection: &mut Connection, wall: &Wall, hash: &Hash) -> Result<(), StoreError> {
    let transaction = connection.transaction()?;
    transaction.execute("DELETE FROM wall WHERE expires <= ?1", [wall.created])?;
    transaction.execute(
        "INSERT INTO wall (id, name, hash, maker, created, expires)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        (
            &wall.id,
            &wall.name,
            hash.bytes(),
            &wall.maker,
            wall.created,
            wall.expires,
        ),
    )?;
    for camera in &wall.cameras {
        transaction.execute(
            "INSERT INTO wall_camera (wall, app, camera) VALUES (?1, ?2, ?3)",
            (&wall.id, split_id(camera).0, camera),
        )?;
    }
    for app in &wall.apps {
        transaction.execute(
            "INSERT INTO wall_app (wall, app) VALUES (?1, ?2)",
            (&wall.id, app),
        )?;
    }
    Ok(transaction.commit()?)
}

/// Removes a camera from all links, so they do not show a later camera in its room. `room` is
/// in the short form.
///
/// # Errors
/// The file can't be written.
pub fn forget_camera(connection: &Connection, app: &str, room: &str) -> Result<(), StoreError> {
    let id = match app {
        DEFAULT_APP => room.to_owned(),
        app => format!("{app}/{room}"),
    };
    connection.execute("DELETE FROM wall_camera WHERE camera = ?1", [id])?;
    Ok(())
}

/// Removes an app from all links and deletes the links that were made only for it.
///
/// # Errors
/// The file can't be written.
pub fn forget_app(connection: &Connection, app: &str) -> Result<(), StoreError> {
    connection.execute("DELETE FROM wall_camera WHERE app = ?1", [app])?;
    connection.execute("DELETE FROM wall_app WHERE app = ?1", [app])?;
    connection.execute(
        "DELETE FROM wall WHERE id NOT IN (SELECT wall FROM wall_app)",
        [],
    )?;
    Ok(())
}

/// Deletes a link. Returns true if it existed.
///
/// # Errors
/// The file can't be written.
pub fn delete(connection: &Connection, id: &str) -> Result<bool, StoreError> {
    let deleted = connection.execute("DELETE FROM wall WHERE id = ?1", [id])?;
    Ok(deleted > 0)
}
