//! The open file: what is done in it, and whether that still works.
//!
//! A disk gets full, a directory is deleted, a backup is put in place under a hub that
//! runs. SQLite notices some of that; that its file is no more where it was it does not,
//! and goes on writing into what nobody will ever find again.

use super::error::StoreError;
use rusqlite::Connection;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

/// The store's file, open.
pub struct File {
    connection: Connection,
    path: PathBuf,
    /// Its device and its number there.
    place: (u64, u64),
    /// Why a job could not be done, until it is mended.
    pub fault: Arc<RwLock<Option<String>>>,
    /// Whether it was found where it belongs.
    in_place: bool,
}

impl File {
    /// The file that `connection` has open.
    ///
    /// # Errors
    /// It is gone already.
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

    /// Does a job, unless nobody would find again what it does. The log has the first
    /// failure of a kind, and the end of it.
    pub fn run<T>(
        &mut self,
        job: impl FnOnce(&mut Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let (changes, was_in_place) = (self.connection.total_changes(), self.in_place);
        self.in_place = self.is_in_place();
        let done = match self.in_place {
            true => job(&mut self.connection),
            false => Err(self.misplaced()),
        };
        // That a full disk can be read from mends nothing.
        let mended = !was_in_place || self.connection.total_changes() != changes;
        let mut fault = self.fault.write().unwrap_or_else(PoisonError::into_inner);
        match &done {
            Err(StoreError::Unusable(reason)) if fault.as_ref() != Some(reason) => {
                tracing::error!(%reason, "the store failed");
                *fault = Some(reason.clone());
            }
            Ok(_) if mended && fault.take().is_some() => {
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

    fn misplaced(&self) -> StoreError {
        StoreError::Unusable(format!(
            "{} was deleted, moved or replaced while the hub runs, so nothing can be kept; put \
             back the one that was there, or start the hub anew",
            self.path.display()
        ))
    }
}
