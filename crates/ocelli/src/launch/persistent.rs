//! Opens the data directory, and decides which apps are public if its store can't be read.

use crate::catalog::{Configured, Saved};
use crate::store::{self, Store, StoreError};
use ocelli_core::name::DEFAULT_APP;
use ocelli_core::{App, Hub};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The data directory: `named`, or the user's default one.
///
/// # Errors
/// Returns an error if no directory is named and the user has no home directory.
pub fn data_directory(named: Option<&Path>) -> Result<PathBuf, StoreError> {
    let found = named.map(Path::to_owned);
    found
        .or_else(|| store::default_directory(|name| std::env::var_os(name)))
        .ok_or_else(|| {
            let message =
                "there is no home directory for the hub's data; name a directory with --data DIR";
            StoreError::Unusable(message.to_owned())
        })
}

/// How long to wait for a hub that is shutting down to release the data directory.
const LOCK_TIMEOUT: Duration = Duration::from_secs(3);

/// The state that lasts across restarts.
pub struct Persistent {
    /// The store; closed if it can't be used.
    pub store: Store,
    /// What could be read of the apps, cameras and keys of the last run.
    pub saved: Saved,
    /// The lock of the data directory, released when it is dropped.
    pub lock: Option<File>,
    /// Why the store is closed.
    pub fault: Option<Fault>,
}

/// Why the store can't be used.
pub struct Fault {
    error: StoreError,
    /// Whether it is certain that the directory never contained a store.
    never_stored: bool,
}

impl Persistent {
    /// Locks the data directory, opens its store and reads the state that the last run saved.
    pub async fn open(data: Option<&Path>, now: i64) -> Self {
        let (mut lock, mut saved, mut never_stored) = (None, Saved::default(), false);
        let opened = async {
            let data = data_directory(data)?;
            let locked = lock_directory(&data).await;
            // Opening creates files, so this must be determined before.
            never_stored = store::is_absent(&data);
            lock = Some(locked?);
            let store = Store::open(&data)?;
            let fault =
                |error| StoreError::Unusable(format!("{} can't be used: {error}", data.display()));
            saved.read(&store, now).await.map_err(fault)?;
            Ok(store)
        };
        let (store, fault) = match opened.await {
            Ok(store) => (store, None),
            Err(error) => {
                // No changes are accepted while the existing data can't be read.
                let store = Store::closed(&StoreError::to_string(&error));
                let fault = Fault {
                    error,
                    never_stored,
                };
                (store, Some(fault))
            }
        };
        Self {
            store,
            saved,
            lock,
            fault,
        }
    }
}

impl Fault {
    /// Logs the fault. Makes [`DEFAULT_APP`] private if the store may contain that it is: its
    /// cameras must not become public because a disk is full. What the configuration states of an
    /// app takes precedence over the store, and applies without it too.
    pub fn apply(&self, hub: &Hub, configured: &Configured) {
        let visibility = if configured.apps.contains(DEFAULT_APP) {
            "the configuration determines whether app \"live\" is public"
        } else if self.never_stored {
            "app \"live\" is public, because nothing was ever stored there"
        } else {
            hub.put_app(App {
                public_playback: false,
                ..App::live()
            });
            "app \"live\" is not public, because it may have been made private; \
             public_playback = true in [app.live] of the configuration makes it public"
        };
        tracing::error!(
            "{}. The configured cameras still run: {visibility}. Users, tokens and changes are \
             not available until this is fixed and the hub is restarted",
            self.error
        );
    }
}

/// Locks the data directory. Two hubs on one directory would overwrite each other's data:
/// only the last hub's links and addresses would be right.
async fn lock_directory(data: &Path) -> Result<File, StoreError> {
    let until = Instant::now() + LOCK_TIMEOUT;
    loop {
        if let Some(lock) = store::lock_directory(data)? {
            return Ok(lock);
        }
        if Instant::now() >= until {
            return Err(StoreError::Unusable(format!(
                "another hub is using {}; give each hub its own directory with --data DIR",
                data.display()
            )));
        }
        sleep(LOCK_TIMEOUT / 30).await;
    }
}
