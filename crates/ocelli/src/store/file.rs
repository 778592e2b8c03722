//! The open database file. Every job first checks that the file is still at its path.
//!
//! A disk can fill up, the directory can be deleted, or a backup can be restored while the hub
//! runs. SQLite reports some of these faults. It does not notice that its file was moved or
//! replaced, and keeps writing to a file that no longer has a path.

use super::error::StoreError;
use rusqlite::Connection;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

/// The open database file.
pub struct File {
    connection: Connection,
    path: PathBuf,
    /// Its device and inode number.
    place: (u64, u64),
    /// Why the last job failed, until the fault is resolved.
    pub fault: Arc<RwLock<Option<String>>>,
    /// Whether the file was at its path at the last check.
    in_place: bool,
}

impl File {
    /// Wraps the file that `connection` has open.
    ///
    /// # Errors
    /// The file no longer exists.
    pub fn new(connection: Connection, path: PathBuf) -> Result<Self, StoreError> {
        let found = fs::metadata(&path)
            .map_err(|error| StoreError::Unusable(format!("{}: {error}", path.display())))?;
        Ok(Self {
            connection,
            path,
            place: (found.dev(), found.ino()),
            fault: Arc::default(),
            in_place: true,
        })
    }

    /// Runs a job, unless the file is no longer at its path and the changes would be lost. Logs the
    /// first failure of each kind and the recovery.
    pub fn run<T>(
        &mut self,
        job: impl FnOnce(&mut Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let (changes, was_in_place) = (self.connection.total_changes(), self.in_place);
        self.in_place = self.is_in_place();
        let done = match self.in_place {
            true => job(&mut self.connection),
            false => Err(self.moved_error()),
        };
        // A successful read does not mean that a full disk accepts writes again.
        let recovered = !was_in_place || self.connection.total_changes() != changes;
        let mut fault = self.fault.write().unwrap_or_else(PoisonError::into_inner);
        match &done {
            Err(StoreError::Unusable(reason)) if fault.as_ref() != Some(reason) => {
                tracing::error!(%reason, "the store failed");
                *fault = Some(reason.clone());
            }
            Ok(_) if recovered && fault.take().is_some() => {
                tracing::info!("the store works again");
            }
            _ => {}
        }
        done
    }

    fn is_in_place(&self) -> bool {
        let found = fs::metadata(&self.path);
        found.is_ok_and(|found| (found.dev(), found.ino()) == self.place)
    }

    fn moved_error(&self) -> StoreError {
        StoreError::Unusable(format!(
            "{} was deleted, moved or replaced while the hub was running, so nothing can be \
             saved; put the original file back, or restart the hub",
            self.path.display()
        ))
    }
}
