//! The persistent store: apps, tokens, users, cameras that were added over HTTP, stream keys and
//! stream history, in one SQLite file in the data directory.
//!
//! One thread owns the file and runs its jobs in turn, so the frame path never waits for a disk.
//! If the store can't be opened, it stays closed: calls fail with the reason, and the cameras
//! keep running.
//!
//! Permissions and HTTP responses are not handled here.

pub mod address;
pub mod apps;
pub mod cameras;
mod cipher;
pub mod codes;
mod directory;
mod error;
mod file;
pub mod incarnation;
pub mod keys;
mod schema;
pub mod sessions;
pub mod streams;
pub mod tokens;
pub mod users;
pub mod walls;

pub use cipher::Cipher;
pub use directory::{default_directory, is_absent, lock_directory};
pub use error::StoreError;

use crate::auth::Key;
use directory::FILE;
use file::File;
use ocelli_config::private;
use rusqlite::Connection;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// How long to wait while another process holds the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Maximum queued jobs; further callers wait.
const MAX_QUEUED_JOBS: usize = 64;

/// Opens the store's file; creates or migrates it if necessary.
///
/// # Errors
/// The message names the file and the reason.
pub fn open(data: &Path) -> Result<(Connection, Key), StoreError> {
    let path = data.join(FILE);
    let fault = |error: &dyn fmt::Display| {
        StoreError::Unusable(format!("{} can't be used: {error}", path.display()))
    };
    private::create_directory(data)?;
    // Another process that starts on the same directory waits here until this one is done.
    let _held = private::lock_directory(data)?;
    let key = directory::key(data)?;
    private::make_private(&path)?;
    let mut connection = Connection::open(&path).map_err(|error| fault(&error))?;
    let opened = (|| -> rusqlite::Result<()> {
        connection.busy_timeout(BUSY_TIMEOUT)?;
        // SQLite answers with the effective mode: some file systems do not support WAL.
        connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
        connection.pragma_update(None, "synchronous", "normal")?;
        connection.pragma_update(None, "foreign_keys", true)
    })();
    opened.map_err(|error| fault(&error))?;
    match connection.is_readonly("main") {
        Ok(false) => {}
        Ok(true) => return Err(fault(&"it is read-only")),
        Err(error) => return Err(fault(&error)),
    }
    schema::migrate(&mut connection).map_err(|error| fault(&error))?;
    Ok((connection, key))
}

type Job = Box<dyn FnOnce(&mut File) + Send>;

/// A handle to the store's thread, or the reason why the store is closed.
#[derive(Clone)]
pub struct Store(Result<Open, Arc<str>>);

#[derive(Clone)]
struct Open {
    jobs: mpsc::Sender<Job>,
    key: Key,
    /// Why the last job failed, until a later one has written successfully.
    fault: Arc<RwLock<Option<String>>>,
}

impl Store {
    /// Opens the store in a data directory and starts its thread.
    ///
    /// # Errors
    /// The message states what is wrong with the directory or the file.
    pub fn open(data: &Path) -> Result<Self, StoreError> {
        let (connection, key) = open(data)?;
        let mut file = File::new(connection, data.join(FILE))?;
        let fault = file.fault.clone();
        let (jobs, mut waiting) = mpsc::channel::<Job>(MAX_QUEUED_JOBS);
        let thread = std::thread::Builder::new().name("store".to_owned());
        let spawned = thread.spawn(move || {
            while let Some(job) = waiting.blocking_recv() {
                job(&mut file);
            }
        });
        spawned
            .map_err(|error| StoreError::Unusable(format!("can't start its thread: {error}")))?;
        Ok(Self(Ok(Open { jobs, key, fault })))
    }

    /// A store that is closed for this reason.
    pub fn closed(reason: &str) -> Self {
        Self(Err(reason.into()))
    }

    /// The key for token hashes.
    ///
    /// # Errors
    /// The store is closed.
    pub fn key(&self) -> Result<&Key, StoreError> {
        Ok(&self.usable()?.key)
    }

    /// The cipher for secrets in the store.
    ///
    /// # Errors
    /// The store is closed.
    pub fn cipher(&self) -> Result<Cipher, StoreError> {
        Cipher::new(self.key()?)
    }

    fn usable(&self) -> Result<&Open, StoreError> {
        let usable = self.0.as_ref();
        usable.map_err(|reason| StoreError::Unusable(reason.to_string()))
    }

    /// Why the store is currently unusable: it was never opened, or has failed since.
    pub fn fault(&self) -> Option<String> {
        match &self.0 {
            Err(reason) => Some(reason.to_string()),
            Ok(open) => {
                let fault = open.fault.read();
                fault.unwrap_or_else(PoisonError::into_inner).clone()
            }
        }
    }

    /// Runs `job` on the store's thread. It runs to completion even if the caller is dropped, so
    /// put everything that must follow from it into the job.
    ///
    /// # Errors
    /// The job's error, or the store is closed.
    pub async fn call<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let gone = || StoreError::Unusable("the store's thread has ended".to_owned());
        let (result_sender, result) = oneshot::channel();
        let job: Job = Box::new(move |file| {
            let _ = result_sender.send(file.run(job));
        });
        let jobs = &self.usable()?.jobs;
        jobs.send(job).await.map_err(|_| gone())?;
        result.await.map_err(|_| gone())?
    }
}
