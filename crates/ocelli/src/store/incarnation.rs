//! Incarnations tell apps and cameras apart from earlier ones of the same name, so that a token
//! for a deleted camera does not open its successor.

use super::error::StoreError;
use crate::auth::Incarnation;
use ocelli_core::CameraId;
use rusqlite::{Connection, OptionalExtension, Params};

/// The incarnation of the camera that currently has this name. A configured camera has the same
/// one at every start.
///
/// # Errors
/// The file can't be read.
pub fn of(connection: &Connection, camera: &CameraId) -> Result<Incarnation, StoreError> {
    let (app, room, full) = (camera.app(), camera.room(), camera.full_room());
    let numbers = [
        number(
            connection,
            "SELECT incarnation FROM app WHERE name = ?1",
            [app],
        )?,
        // Positions are never reused.
        number(
            connection,
            "SELECT position FROM camera WHERE app = ?1 AND room = ?2",
            (app, room),
        )?,
        number(
            connection,
            "SELECT min(incarnation) FROM stream_key WHERE app = ?1 AND room IN (?2, ?3)",
            (app, room, full),
        )?,
    ];
    let mut hash = blake3::Hasher::new();
    for number in numbers {
        hash.update(&number.to_be_bytes());
    }
    let mut incarnation = Incarnation::default();
    hash.finalize_xof().fill(&mut incarnation);
    Ok(incarnation)
}

fn number(connection: &Connection, query: &str, of: impl Params) -> Result<i64, StoreError> {
    let mut query = connection.prepare_cached(query)?;
    let found = query.query_row(of, |row| row.get::<_, Option<i64>>(0));
    Ok(found.optional()?.flatten().unwrap_or_default())
}
