//! The tables, as migrations from version to version. A released migration never changes; add
//! another one instead.

use rusqlite::Connection;
use rusqlite_migration::{M, Migrations};

const MIGRATIONS: &[M<'static>] = &[
    APPS_AND_TOKENS,
    USERS,
    CAMERAS,
    INGEST,
    ADDRESS,
    END_REASON,
    INCARNATIONS,
];

const APPS_AND_TOKENS: M<'static> = M::up(
    "CREATE TABLE app (
         name TEXT PRIMARY KEY,
         room_prefix TEXT NOT NULL UNIQUE,
         public_playback INTEGER NOT NULL
     ) STRICT;
     INSERT INTO app VALUES ('live', 'live', 1);
     -- Apps of the configuration file have tokens but no row in this table,
     -- so `app` is not a foreign key.
     CREATE TABLE token (
         id TEXT PRIMARY KEY,
         name TEXT NOT NULL,
         app TEXT,
         permissions TEXT NOT NULL,
         hash BLOB NOT NULL UNIQUE,
         created INTEGER NOT NULL
     ) STRICT;",
);

const USERS: M<'static> = M::up(
    "CREATE TABLE user (
         id TEXT PRIMARY KEY,
         name TEXT NOT NULL UNIQUE COLLATE NOCASE,
         -- An argon2 hash; null until the user has set a password.
         password TEXT,
         created INTEGER NOT NULL
     ) STRICT;
     CREATE TABLE role (
         user TEXT NOT NULL REFERENCES user ON DELETE CASCADE,
         -- Null: all apps.
         app TEXT,
         role TEXT NOT NULL
     ) STRICT;
     CREATE TABLE session (
         id TEXT PRIMARY KEY,
         user TEXT NOT NULL REFERENCES user ON DELETE CASCADE,
         hash BLOB NOT NULL,
         address TEXT NOT NULL,
         agent TEXT NOT NULL,
         created INTEGER NOT NULL,
         seen INTEGER NOT NULL
     ) STRICT;
     CREATE INDEX session_user ON session (user);
     -- One-time codes: for a user, or without a user for the machine's owner.
     CREATE TABLE code (
         hash BLOB PRIMARY KEY,
         user TEXT REFERENCES user ON DELETE CASCADE,
         expires INTEGER NOT NULL
     ) STRICT;
     CREATE TABLE wall (
         id TEXT PRIMARY KEY,
         name TEXT NOT NULL,
         hash BLOB NOT NULL,
         -- The user or the token that made it. It is deleted with its maker.
         maker TEXT,
         created INTEGER NOT NULL,
         expires INTEGER NOT NULL
     ) STRICT;
     CREATE TABLE wall_camera (
         wall TEXT NOT NULL REFERENCES wall ON DELETE CASCADE,
         app TEXT NOT NULL,
         camera TEXT NOT NULL,
         PRIMARY KEY (wall, camera)
     ) STRICT;",
);

const CAMERAS: M<'static> = M::up(
    "-- The app may be a configured one, so `app` is not a foreign key.
     CREATE TABLE camera (
         position INTEGER PRIMARY KEY AUTOINCREMENT,
         app TEXT NOT NULL,
         room TEXT NOT NULL,
         sealed BLOB NOT NULL,
         UNIQUE (app, room)
     ) STRICT;",
);

/// Ingest limits of each app, stream keys, and stream history.
const INGEST: M<'static> = M::up(
    "ALTER TABLE app ADD COLUMN ingest_enabled INTEGER NOT NULL DEFAULT 1;
     ALTER TABLE app ADD COLUMN ingest_max_cameras INTEGER NOT NULL DEFAULT 0;
     ALTER TABLE app ADD COLUMN ingest_max_fps INTEGER NOT NULL DEFAULT 15;
     ALTER TABLE app ADD COLUMN ingest_max_frame_kb INTEGER NOT NULL DEFAULT 256;
     ALTER TABLE app ADD COLUMN ingest_idle_ms INTEGER NOT NULL DEFAULT 30000;
     -- `room` is as it was entered, in the short or the full form.
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
     CREATE INDEX stream_open ON stream (number) WHERE ended IS NULL;",
);

/// The hub's base URL.
const ADDRESS: M<'static> = M::up(
    "CREATE TABLE hub (
         id INTEGER PRIMARY KEY CHECK (id = 1),
         address TEXT NOT NULL
     ) STRICT;",
);

/// Why a stream ended.
const END_REASON: M<'static> = M::up("ALTER TABLE stream ADD COLUMN end_reason TEXT;");

/// Incarnations, which tell apps and cameras apart from earlier ones of the same name, and the
/// apps that a wall link was made for.
const INCARNATIONS: M<'static> = M::up(
    "ALTER TABLE app ADD COLUMN incarnation INTEGER NOT NULL DEFAULT 0;
     -- All keys of a room share the number of its first key.
     ALTER TABLE stream_key ADD COLUMN incarnation INTEGER NOT NULL DEFAULT 0;
     CREATE TABLE wall_app (
         wall TEXT NOT NULL REFERENCES wall ON DELETE CASCADE,
         app TEXT NOT NULL,
         PRIMARY KEY (wall, app)
     ) STRICT;
     INSERT INTO wall_app SELECT DISTINCT wall, app FROM wall_camera;
     -- Links without cameras open nothing, and their apps are unknown.
     DELETE FROM wall WHERE id NOT IN (SELECT wall FROM wall_app);",
);

/// Applies the migrations that the file lacks.
pub fn migrate(connection: &mut Connection) -> rusqlite_migration::Result<()> {
    Migrations::from_slice(MIGRATIONS).to_latest(connection)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_migrations_are_valid() {
        assert_eq!(Migrations::from_slice(MIGRATIONS).validate(), Ok(()));
    }
}
