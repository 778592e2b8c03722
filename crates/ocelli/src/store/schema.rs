//! The tables, as steps from each version to the next. A step that was released
//! is never changed; a change is another step.

use rusqlite::Connection;
use rusqlite_migration::{M, Migrations};

const STEPS: &[M<'static>] = &[M::up(
    "CREATE TABLE app (
         name TEXT PRIMARY KEY,
         room_prefix TEXT NOT NULL UNIQUE,
         public_playback INTEGER NOT NULL
     ) STRICT;
     INSERT INTO app VALUES ('live', 'live', 1);
     -- An app of the configuration file has tokens too but no row of its own,
     -- so `app` refers to none.
     CREATE TABLE token (
         id TEXT PRIMARY KEY,
         name TEXT NOT NULL,
         app TEXT,
         permissions TEXT NOT NULL,
         hash BLOB NOT NULL UNIQUE,
         created INTEGER NOT NULL
     ) STRICT;",
), M::up(INGEST)];

/// Cameras that push: what they may in each app, their keys, and what they sent.
const INGEST: &str = "
    ALTER TABLE app ADD COLUMN ingest_enabled INTEGER NOT NULL DEFAULT 1;
    ALTER TABLE app ADD COLUMN ingest_max_cameras INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE app ADD COLUMN ingest_max_fps INTEGER NOT NULL DEFAULT 15;
    ALTER TABLE app ADD COLUMN ingest_max_frame_kb INTEGER NOT NULL DEFAULT 256;
    ALTER TABLE app ADD COLUMN ingest_idle_ms INTEGER NOT NULL DEFAULT 30000;
    -- `room` is as it was written: in the short form or the full one.
    CREATE TABLE stream_key (
        id TEXT PRIMARY KEY,
        app TEXT NOT NULL,
        room TEXT NOT NULL,
        identity TEXT NOT NULL,
        hash BLOB NOT NULL UNIQUE,
        created INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX stream_key_place ON stream_key (app, room);
    CREATE TABLE stream (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        app TEXT NOT NULL,
        stream_id TEXT NOT NULL,
        type TEXT NOT NULL,
        room TEXT NOT NULL,
        participant TEXT NOT NULL,
        started INTEGER NOT NULL,
        ended INTEGER,
        last_stats TEXT
    ) STRICT;
    CREATE INDEX stream_app ON stream (app, number);
    CREATE INDEX stream_open ON stream (number) WHERE ended IS NULL;
";

/// Takes the file through the steps that it has not seen.
pub fn bring_up_to_date(connection: &mut Connection) -> rusqlite_migration::Result<()> {
    Migrations::from_slice(STEPS).to_latest(connection)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_steps_are_sound() {
        assert_eq!(Migrations::from_slice(STEPS).validate(), Ok(()));
    }
}
