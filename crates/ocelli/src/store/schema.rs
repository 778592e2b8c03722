//! The tables, as steps from each version to the next. A step that was released
//! is never changed; a change is another step.

use rusqlite::Connection;
use rusqlite_migration::{M, Migrations};

const STEPS: &[M<'static>] = &[
    M::up(
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
    ),
    M::up(
        "-- Of an app of the configuration too, so `app` refers to none.
     CREATE TABLE camera (
         position INTEGER PRIMARY KEY AUTOINCREMENT,
         app TEXT NOT NULL,
         room TEXT NOT NULL,
         sealed BLOB NOT NULL,
         UNIQUE (app, room)
     ) STRICT;",
    ),
];

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
