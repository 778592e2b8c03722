//! Which app and which camera of a name are meant: a name can be deleted and given again,
//! and what was good for the one is not good for the other.

use super::error::StoreError;
use crate::auth::Incarnation;
use ocelli_core::CameraId;
use rusqlite::{Connection, OptionalExtension, Params};

/// That of the camera that has this name now. One of the configuration has the same at
/// every start.
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
        // A position is given once.
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
