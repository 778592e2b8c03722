//! Storage of apps.

use super::error::StoreError;
use super::walls;
use ocelli_core::{App, IngestLimits};
use rusqlite::{Connection, Row};
use std::time::Duration;

fn read(row: &Row<'_>) -> rusqlite::Result<App> {
    Ok(App {
        name: row.get("name")?,
        room_prefix: row.get("room_prefix")?,
        public_playback: row.get("public_playback")?,
        ingest: IngestLimits {
            enabled: row.get("ingest_enabled")?,
            max_cameras: row.get("ingest_max_cameras")?,
            max_fps: row.get("ingest_max_fps")?,
            max_frame_kb: row.get("ingest_max_frame_kb")?,
            idle_timeout: Duration::from_millis(row.get("ingest_idle_ms")?),
        },
    })
}

/// All apps, ordered by name.
///
/// # Errors
/// The file can't be read.
pub fn all(connection: &Connection) -> Result<Vec<App>, StoreError> {
    let mut query = connection.prepare_cached("SELECT * FROM app ORDER BY name")?;
    let apps = query.query_map([], read)?;
    Ok(apps.collect::<Result<_, _>>()?)
}

fn values(app: &App) -> impl rusqlite::Params {
    let limits = app.ingest;
    (
        app.name.clone(),
        app.room_prefix.clone(),
        app.public_playback,
        limits.enabled,
        limits.max_cameras,
        limits.max_fps,
        limits.max_frame_kb,
        i64::try_from(limits.idle_timeout.as_millis()).unwrap_or(i64::MAX),
    )
}

/// Adds an app. Leftovers of an earlier app with this name, which may have been defined in the
/// configuration, are deleted, so they grant no rights in the new app.
///
/// # Errors
/// The name or the prefix is taken.
pub fn insert(connection: &mut Connection, app: &App) -> Result<(), StoreError> {
    let transaction = connection.transaction()?;
    transaction.execute(
        "INSERT INTO app (name, room_prefix, public_playback, ingest_enabled,
             ingest_max_cameras, ingest_max_fps, ingest_max_frame_kb, ingest_idle_ms,
             incarnation)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, random())",
        values(app),
    )?;
    delete_related(&transaction, &app.name)?;
    Ok(transaction.commit()?)
}

/// Deletes everything that belongs to an app: its tokens and the links made with them, its roles,
/// its entries in other links, its keys and its history.
fn delete_related(connection: &Connection, name: &str) -> Result<(), StoreError> {
    connection.execute(
        "DELETE FROM wall WHERE maker IN (SELECT id FROM token WHERE app = ?1)",
        [name],
    )?;
    for table in ["token", "role", "stream_key", "stream"] {
        connection.execute(&format!("DELETE FROM {table} WHERE app = ?1"), [name])?;
    }
    walls::forget_app(connection, name)
}

/// Replaces the app of the same name.
///
/// # Errors
/// The app is not in the store, or another app has its prefix.
pub fn update(connection: &Connection, app: &App) -> Result<(), StoreError> {
    let changed = connection.execute(
        "UPDATE app SET room_prefix = ?2, public_playback = ?3, ingest_enabled = ?4,
             ingest_max_cameras = ?5, ingest_max_fps = ?6, ingest_max_frame_kb = ?7,
             ingest_idle_ms = ?8
         WHERE name = ?1",
        values(app),
    )?;
    if changed == 0 {
        let message = format!("there is no app {:?} in the store", app.name);
        return Err(StoreError::Missing(message));
    }
    Ok(())
}

/// Deletes an app with its tokens, roles, entries in wall links, keys, history and the cameras
/// that could not be shown. A later app of the same name inherits none of them.
///
/// # Errors
/// The file can't be written.
pub fn delete(connection: &mut Connection, name: &str) -> Result<(), StoreError> {
    let transaction = connection.transaction()?;
    delete_related(&transaction, name)?;
    transaction.execute("DELETE FROM camera WHERE app = ?1", [name])?;
    transaction.execute("DELETE FROM app WHERE name = ?1", [name])?;
    Ok(transaction.commit()?)
}
