//! Storage of sessions: only the keyed hash of the cookie's secret, never the secret.

use super::error::StoreError;
use crate::auth::Hash;
use rusqlite::{Connection, OptionalExtension, Row};

/// How long an unused session lasts, in ms.
pub const IDLE_TIMEOUT: i64 = 7 * DAY;
/// Maximum age of a session, in ms.
pub const MAX_AGE: i64 = 30 * DAY;
/// Maximum number of sessions per user; the least recently used one is deleted to make room for a
/// new one.
const PER_USER: u32 = 32;
/// A session's last use is written at most once in this many ms.
const LAST_USE_INTERVAL: i64 = 60_000;
const DAY: i64 = 24 * 3600 * 1000;

/// A session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its id, `ses_…`.
    pub id: String,
    /// The id of its user.
    pub user: String,
    /// The client's address at sign-in.
    pub address: String,
    /// The browser's `User-Agent`.
    pub agent: String,
    /// Start in ms since the Unix epoch.
    pub created: i64,
    /// Time of last use, accurate to a minute.
    pub seen: i64,
}

impl Session {
    /// When it expires if it is not used, in ms since the Unix epoch.
    pub fn expires(&self) -> i64 {
        (self.seen + IDLE_TIMEOUT).min(self.created + MAX_AGE)
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<Session> {
    Ok(Session {
        id: row.get("id")?,
        user: row.get("user")?,
        address: row.get("address")?,
        agent: row.get("agent")?,
        created: row.get("created")?,
        seen: row.get("seen")?,
    })
}

/// Adds a session and deletes the expired ones.
///
/// # Errors
/// The file can't be written.
pub fn begin(connection: &Connection, session: &Session, hash: &Hash) -> Result<(), StoreError> {
    let now = session.created;
    connection.execute(
        "DELETE FROM session WHERE seen <= ?1 OR created <= ?2",
        (now - IDLE_TIMEOUT, now - MAX_AGE),
    )?;
    connection.execute(
        "DELETE FROM session WHERE id IN
         (SELECT id FROM session WHERE user = ?1 ORDER BY seen DESC LIMIT -1 OFFSET ?2)",
        (&session.user, PER_USER - 1),
    )?;
    connection.execute(
        "INSERT INTO session (id, user, hash, address, agent, created, seen)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6)",
        (
            &session.id,
            &session.user,
            hash.bytes(),
            &session.address,
            &session.agent,
            now,
        ),
    )?;
    Ok(())
}

/// Returns the session with this id if the hash matches and it has not expired. Updates its time of
/// last use.
///
/// # Errors
/// The file can't be read.
pub fn find(
    connection: &Connection,
    id: &str,
    hash: &Hash,
    now: i64,
) -> Result<Option<Session>, StoreError> {
    let mut query = connection.prepare_cached("SELECT * FROM session WHERE id = ?1")?;
    let found = query
        .query_row([id], |row| Ok((read(row)?, row.get::<_, Vec<u8>>("hash")?)))
        .optional()?;
    let good = found.filter(|(session, kept)| hash.matches(kept) && now < session.expires());
    let Some((mut session, _)) = good else {
        return Ok(None);
    };
    if now - session.seen >= LAST_USE_INTERVAL {
        connection.execute("UPDATE session SET seen = ?2 WHERE id = ?1", (id, now))?;
        session.seen = now;
    }
    Ok(Some(session))
}

/// The sessions that have not expired, most recently used first, optionally of one user only.
///
/// # Errors
/// The file can't be read.
pub fn all(
    connection: &Connection,
    user: Option<&str>,
    now: i64,
) -> Result<Vec<Session>, StoreError> {
    let mut query = connection.prepare_cached(
        "SELECT * FROM session WHERE (?1 IS NULL OR user = ?1) AND seen > ?2 AND created > ?3
         ORDER BY seen DESC, id",
    )?;
    let sessions = query.query_map((user, now - IDLE_TIMEOUT, now - MAX_AGE), read)?;
    Ok(sessions.collect::<Result<_, _>>()?)
}

/// Deletes a session. If `user` is given, deletes it only if it belongs to that user. Returns true
/// if it existed.
///
/// # Errors
/// The file can't be written.
pub fn end(connection: &Connection, id: &str, user: Option<&str>) -> Result<bool, StoreError> {
    let deleted = connection.execute(
        "DELETE FROM session WHERE id = ?1 AND (?2 IS NULL OR user = ?2)",
        (id, user),
    )?;
    Ok(deleted > 0)
}
