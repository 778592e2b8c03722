//! Apps, as the store keeps them.

use super::StoreError;
use ocelli_core::App;
use rusqlite::{Connection, Row};

fn read(row: &Row<'_>) -> rusqlite::Result<App> {
    Ok(App {
        name: row.get("name")?,
        room_prefix: row.get("room_prefix")?,
        public_playback: row.get("public_playback")?,
    })
}

/// All of them, by name.
///
/// # Errors
/// The file can't be read.
pub fn all(connection: &Connection) -> Result<Vec<App>, StoreError> {
    let mut query = connection.prepare_cached("SELECT * FROM app ORDER BY name")?;
    let apps = query.query_map([], read)?;
    Ok(apps.collect::<Result<_, _>>()?)
}

/// Adds one.
///
/// # Errors
/// There is one of its name or prefix.
pub fn insert(connection: &Connection, app: &App) -> Result<(), StoreError> {
    connection.execute(
        "INSERT INTO app (name, room_prefix, public_playback) VALUES (?1, ?2, ?3)",
        (&app.name, &app.room_prefix, app.public_playback),
    )?;
    Ok(())
}

/// Replaces the one of its name.
///
/// # Errors
/// There is none, or another has its prefix.
pub fn update(connection: &Connection, app: &App) -> Result<(), StoreError> {
    let changed = connection.execute(
        "UPDATE app SET room_prefix = ?2, public_playback = ?3 WHERE name = ?1",
        (&app.name, &app.room_prefix, app.public_playback),
    )?;
    if changed == 0 {
        let message = format!("there is no app {:?} in the store", app.name);
        return Err(StoreError::Missing(message));
    }
    Ok(())
}

/// Takes one out, with its tokens, its roles, its place in wall links and its cameras
/// that could not be shown: an app that is made anew knows none of them.
///
/// # Errors
/// The file can't be written.
pub fn delete(connection: &mut Connection, name: &str) -> Result<(), StoreError> {
    let transaction = connection.transaction()?;
    for table in ["camera", "token", "role", "wall_camera"] {
        transaction.execute(&format!("DELETE FROM {table} WHERE app = ?1"), [name])?;
    }
    transaction.execute("DELETE FROM app WHERE name = ?1", [name])?;
    Ok(transaction.commit()?)
}
