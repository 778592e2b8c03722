//! Persistent storage of series: a separate file, written on a separate thread.
//!
//! The file is separate from that of tokens and apps, so that a million samples a second
//! never delay a sign-in, and damage to it affects nothing else. New data is written twice a
//! second; the journal and the chunks of one write are one transaction, so a crash loses less than
//! a second and leaves nothing half-written. If the disk can't be written, the hub warns once: the
//! series continue in memory, and the file is written again as soon as possible.

use super::shared::Shared;
use ocelli_series::Registry;
use ocelli_series::history::Chunk;
use ocelli_series::saving::{Row, Saving};
use rusqlite::{Connection, ErrorCode, OptionalExtension, params};
use rusqlite_migration::{M, Migrations};
use std::fs::{DirBuilder, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

/// The file in the data directory.
pub const FILE: &str = "series.db";
/// How often new data is written.
const INTERVAL: Duration = Duration::from_millis(500);
/// The delay before another try after a failed write.
const RETRY: Duration = Duration::from_secs(10);
/// A journal with more bytes or entries than this is replaced by a new one.
const JOURNAL_BYTES: usize = 8 * 1024 * 1024;
const JOURNAL_ENTRIES: usize = 600;

const MIGRATIONS: &[M<'static>] = &[M::up(
    "CREATE TABLE series (
         id INTEGER PRIMARY KEY AUTOINCREMENT,
         name TEXT NOT NULL,
         unit TEXT,
         tcp INTEGER NOT NULL,
         timed INTEGER
     ) STRICT;
     CREATE TABLE chunk (
         series INTEGER NOT NULL,
         start INTEGER NOT NULL,
         \"end\" INTEGER NOT NULL,
         level INTEGER NOT NULL,
         received INTEGER NOT NULL,
         samples BLOB NOT NULL,
         PRIMARY KEY (series, start)
     ) STRICT, WITHOUT ROWID;
     CREATE TABLE journal (
         id INTEGER PRIMARY KEY,
         news BLOB NOT NULL
     ) STRICT;",
)];

type SaveRequest = (Saving, oneshot::Sender<Result<(), String>>);

/// Handle to the store's thread.
pub struct Store {
    requests: mpsc::Sender<SaveRequest>,
    /// Receives the result of closing the file, which happens when `requests` is dropped.
    closed: oneshot::Receiver<Result<(), String>>,
    path: String,
}

/// Opens the file, loads its series into the registry, and starts the thread. Returns `None`, with
/// a warning in the log, if the file can't be used.
pub fn open(data: &Path, shared: &Shared) -> Option<Store> {
    let path = data.join(FILE);
    let opened = prepare(data, &path).and_then(|connection| {
        read(&connection, &mut shared.registry())?;
        let (requests, mut received) = mpsc::channel::<SaveRequest>(1);
        let (close, closed) = oneshot::channel();
        let mut connection = connection;
        let body = move || {
            while let Some((saving, result_sender)) = received.blocking_recv() {
                let done = write(&mut connection, &saving).map_err(|error| error.to_string());
                let _ = result_sender.send(done);
            }
            let _ = close.send(checkpoint(connection).map_err(|error| error.to_string()));
        };
        let thread = std::thread::Builder::new().name("series".to_owned());
        thread.spawn(body)?;
        Ok((requests, closed))
    });
    match opened {
        Ok((requests, closed)) => Some(Store {
            requests,
            closed,
            path: path.display().to_string(),
        }),
        Err(error) => {
            shared.health().file_fault = Some(format!("{} can't be used: {error}", path.display()));
            let advice = match is_damaged(&*error) {
                true => {
                    "The file is damaged: replace it with a copy, or move it away so that the hub \
                     creates a new one,"
                }
                false => "Fix this",
            };
            tracing::warn!(
                "telemetry: {} can't be used: {error}. Series are kept in memory and are lost when \
                 the hub stops. {advice} and restart the hub",
                path.display()
            );
            None
        }
    }
}

type Fault = Box<dyn std::error::Error>;

/// Whether the file is not a database, or only a part of one.
fn is_damaged(fault: &(dyn std::error::Error + 'static)) -> bool {
    let fault = match fault.downcast_ref() {
        Some(rusqlite_migration::Error::RusqliteError { err, .. }) => Some(err),
        _ => fault.downcast_ref::<rusqlite::Error>(),
    };
    let code = fault.and_then(rusqlite::Error::sqlite_error_code);
    matches!(
        code,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
    )
}

fn prepare(data: &Path, path: &Path) -> Result<Connection, Fault> {
    DirBuilder::new().recursive(true).mode(0o700).create(data)?;
    let mut private = OpenOptions::new();
    private.append(true).create(true).mode(0o600).open(path)?;
    let mut connection = Connection::open(path)?;
    // No other process uses this file. Exclusive locking avoids SQLite's shared memory, which a
    // full disk could make inaccessible while the hub runs.
    connection.pragma_update_and_check(None, "locking_mode", "exclusive", |_| Ok(()))?;
    connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "normal")?;
    Migrations::from_slice(MIGRATIONS).to_latest(&mut connection)?;
    Ok(connection)
}

/// SQLite's integers are signed; the values here are never negative.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

fn read(connection: &Connection, registry: &mut Registry) -> Result<(), Fault> {
    let mut query =
        connection.prepare("SELECT id, name, unit, tcp, timed FROM series ORDER BY id")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        registry.restore(Row {
            id: row.get(0)?,
            name: row.get::<_, String>(1)?.into(),
            unit: row.get::<_, Option<String>>(2)?.map(Into::into),
            tcp: row.get(3)?,
            timed: row.get(4)?,
        });
    }
    let last = "SELECT seq FROM sqlite_sequence WHERE name = 'series'";
    let last: Option<u32> = connection
        .query_row(last, [], |row| row.get(0))
        .optional()?;
    registry.restore_ids(last.unwrap_or_default());
    let mut damaged = 0;
    let mut query = connection.prepare(
        "SELECT series, start, \"end\", level, received, samples FROM chunk ORDER BY series, start",
    )?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let chunk = Chunk {
            start: unsigned(row.get(1)?),
            end: unsigned(row.get(2)?),
            level: row.get(3)?,
            received: unsigned(row.get(4)?),
            held: 0,
            bytes: row.get::<_, Vec<u8>>(5)?.into(),
            saved: true,
        };
        damaged += u32::from(!registry.restore_chunk(row.get(0)?, chunk));
    }
    let mut query = connection.prepare("SELECT news FROM journal ORDER BY id")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let news: Vec<u8> = row.get(0)?;
        damaged += u32::from(registry.restore_journal(&news).is_err());
    }
    if damaged > 0 {
        tracing::warn!("telemetry: {damaged} damaged parts of the series' file were skipped");
    }
    Ok(())
}

fn write(connection: &mut Connection, saving: &Saving) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    {
        let mut delete_row = transaction.prepare_cached("DELETE FROM series WHERE id = ?1")?;
        let mut delete_all = transaction.prepare_cached("DELETE FROM chunk WHERE series = ?1")?;
        for id in &saving.deleted {
            delete_row.execute([id])?;
            delete_all.execute([id])?;
        }
        for id in &saving.rewritten {
            delete_all.execute([id])?;
        }
        let mut put_row = transaction.prepare_cached(
            "INSERT INTO series (id, name, unit, tcp, timed) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (id) DO UPDATE SET name = ?2, unit = ?3, tcp = ?4, timed = ?5",
        )?;
        for row in &saving.rows {
            put_row.execute(params![
                row.id,
                &*row.name,
                row.unit.as_deref(),
                row.tcp,
                row.timed
            ])?;
        }
        let mut delete =
            transaction.prepare_cached("DELETE FROM chunk WHERE series = ?1 AND start = ?2")?;
        for (series, start) in &saving.dropped {
            delete.execute(params![series, signed(*start)])?;
        }
        let mut put = transaction.prepare_cached(
            "INSERT OR REPLACE INTO chunk (series, start, \"end\", level, received, samples)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?;
        for (series, chunk) in &saving.chunks {
            put.execute(params![
                series,
                signed(chunk.start),
                signed(chunk.end),
                chunk.level,
                signed(chunk.received),
                &*chunk.bytes
            ])?;
        }
        if saving.new_journal {
            transaction.execute("DELETE FROM journal", [])?;
        }
        if !saving.journal.is_empty() {
            let mut add = transaction.prepare_cached("INSERT INTO journal (news) VALUES (?1)")?;
            add.execute([&saving.journal])?;
        }
    }
    transaction.commit()
}

/// Moves everything from the write-ahead log into the file, so that a copy of the file alone
/// is complete, and closes it.
fn checkpoint(connection: Connection) -> rusqlite::Result<()> {
    let busy: bool =
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    if busy {
        // Impossible while the lock is exclusive, but the result must not pass as complete.
        return Err(rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY),
            None,
        ));
    }
    connection.close().map_err(|(_, error)| error)
}

/// The result of a write.
enum SaveResult {
    Saved { bytes: usize },
    Nothing,
    Failed(String),
}

impl Store {
    async fn save(&self, shared: &Shared, new_journal: bool) -> SaveResult {
        let saving = shared.registry().unsaved(new_journal);
        if saving.is_empty() {
            return SaveResult::Nothing;
        }
        let (bytes, deleted) = (saving.journal.len(), saving.deleted.clone());
        let (result_sender, result) = oneshot::channel();
        let sent = self.requests.send((saving, result_sender)).await;
        let done = match sent {
            Ok(()) => result
                .await
                .unwrap_or_else(|_| Err("its thread has ended".to_owned())),
            Err(_) => Err("its thread has ended".to_owned()),
        };
        match done {
            Ok(()) => SaveResult::Saved { bytes },
            Err(error) => {
                shared.registry().not_saved(deleted);
                SaveResult::Failed(error)
            }
        }
    }

    /// Writes new data until the hub stops, and then once more.
    pub async fn run(self, shared: Arc<Shared>, stopped: CancellationToken) {
        let mut due = interval(INTERVAL);
        due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut entries, mut bytes, mut failing) = (0, 0, false);
        // The last run's journal has been read, so the new one starts empty.
        let mut new_journal = true;
        loop {
            let last = tokio::select! {
                _ = due.tick() => false,
                () = stopped.cancelled() => true,
            };
            match self.save(&shared, new_journal).await {
                SaveResult::Nothing => {}
                SaveResult::Saved { bytes: more } => {
                    if std::mem::take(&mut failing) {
                        shared.health().file_fault = None;
                        tracing::info!("telemetry: {} can be written again", self.path);
                    }
                    if new_journal {
                        (entries, bytes) = (0, 0);
                    }
                    entries += 1;
                    bytes += more;
                    new_journal = entries > JOURNAL_ENTRIES || bytes > JOURNAL_BYTES;
                }
                SaveResult::Failed(error) => {
                    let fault = format!("{} can't be written: {error}", self.path);
                    shared.health().file_fault = Some(fault);
                    if !std::mem::replace(&mut failing, true) {
                        tracing::warn!(
                            "telemetry: {} can't be written: {error}. Series continue in memory; unsaved \
                             samples are lost if the hub stops before this is fixed",
                            self.path
                        );
                    }
                    if !last {
                        tokio::select! {
                            () = sleep(RETRY) => {}
                            () = stopped.cancelled() => {}
                        }
                    }
                }
            }
            if last {
                return self.close().await;
            }
        }
    }

    /// Closes the file. Waits until it is complete.
    async fn close(self) {
        drop(self.requests);
        let closed = self.closed.await;
        if let Err(error) = closed.unwrap_or_else(|_| Err("its thread has ended".to_owned())) {
            tracing::warn!("{}", incomplete(&self.path, &error));
        }
    }
}

/// Returns the warning for a file that could not be completed when the hub stopped.
fn incomplete(path: &str, error: &str) -> String {
    format!(
        "telemetry: {path} is incomplete: {error}. Part of the series is in {path}-wal; keep both \
         files together. The next start of the hub reads both"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_migrations_are_valid() {
        assert_eq!(Migrations::from_slice(MIGRATIONS).validate(), Ok(()));
    }
}
