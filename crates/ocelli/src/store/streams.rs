//! Stream history: one row for each stream of a device, from its start to its end.

use super::error::StoreError;
use rusqlite::{Connection, Row};

/// How many streams are kept.
const MAX_STREAMS: i64 = 20_000;

/// One stream of a camera.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    /// Its number, which is never reused.
    pub number: i64,
    /// Its app.
    pub app: String,
    /// Room and participant, as in `live-cam1/wscam-abc1`.
    pub stream_id: String,
    /// The kind of its source.
    pub kind: String,
    /// The full room.
    pub room: String,
    /// The identity of the sender.
    pub participant: String,
    /// In ms since the Unix epoch.
    pub started: i64,
    /// In ms since the Unix epoch; `None` while the stream is active.
    pub ended: Option<i64>,
    /// Why it ended; `None` while it is active, and for streams of earlier versions.
    pub end_reason: Option<String>,
    /// The device's last statistics, in JSON.
    pub last_stats: Option<String>,
}

fn read(row: &Row<'_>) -> rusqlite::Result<Stream> {
    Ok(Stream {
        number: row.get("number")?,
        app: row.get("app")?,
        stream_id: row.get("stream_id")?,
        kind: row.get("type")?,
        room: row.get("room")?,
        participant: row.get("participant")?,
        started: row.get("started")?,
        ended: row.get("ended")?,
        end_reason: row.get("end_reason")?,
        last_stats: row.get("last_stats")?,
    })
}

/// Records the start of a stream and returns its new number; `stream.number` is ignored. Deletes
/// the oldest ended streams beyond the limit.
///
/// # Errors
/// The file can't be written.
pub fn begin(connection: &Connection, stream: &Stream) -> Result<i64, StoreError> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO stream (app, stream_id, type, room, participant, started)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    let number = insert.insert((
        &stream.app,
        &stream.stream_id,
        &stream.kind,
        &stream.room,
        &stream.participant,
        stream.started,
    ))?;
    let mut forget =
        connection.prepare_cached("DELETE FROM stream WHERE number <= ?1 AND ended IS NOT NULL")?;
    forget.execute([number - MAX_STREAMS])?;
    Ok(number)
}

/// Stores the device's last statistics.
///
/// # Errors
/// The file can't be written.
pub fn set_stats(connection: &Connection, number: i64, stats: &str) -> Result<(), StoreError> {
    let mut update =
        connection.prepare_cached("UPDATE stream SET last_stats = ?2 WHERE number = ?1")?;
    update.execute((number, stats))?;
    Ok(())
}

/// Records the end of a stream, its reason and the device's last statistics.
///
/// # Errors
/// The file can't be written.
pub fn end(
    connection: &Connection,
    number: i64,
    now: i64,
    stats: Option<&str>,
    reason: &str,
) -> Result<(), StoreError> {
    let mut update = connection.prepare_cached(
        "UPDATE stream SET ended = ?2, last_stats = coalesce(?3, last_stats), end_reason = ?4
         WHERE number = ?1 AND ended IS NULL",
    )?;
    update.execute((number, now, stats, reason))?;
    Ok(())
}

/// Ends the streams that an interrupted run left open.
///
/// # Errors
/// The file can't be written.
pub fn end_all(connection: &Connection, now: i64) -> Result<usize, StoreError> {
    let ended = connection.execute(
        "UPDATE stream SET ended = ?1, end_reason = ?2 WHERE ended IS NULL",
        (now, "the hub stopped while it was active"),
    )?;
    Ok(ended)
}

/// One page of an app's streams, newest first, and their total number.
///
/// # Errors
/// The file can't be read.
pub fn page(
    connection: &Connection,
    app: &str,
    limit: usize,
    offset: usize,
) -> Result<(Vec<Stream>, usize), StoreError> {
    let count = "SELECT count(*) FROM stream WHERE app = ?1";
    let total: usize = connection.query_row(count, [app], |row| row.get(0))?;
    let mut query = connection.prepare_cached(
        "SELECT * FROM stream WHERE app = ?1 ORDER BY number DESC LIMIT ?2 OFFSET ?3",
    )?;
    let streams = query.query_map((app, limit, offset), read)?;
    Ok((streams.collect::<Result<_, _>>()?, total))
}
