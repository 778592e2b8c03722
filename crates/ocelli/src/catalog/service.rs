//! The service itself: what it changes, and the one way in which it does.

use super::error::ChangeError;
use crate::config::CameraConfig;
use crate::ingest::Ingest;
use crate::store::StoreError;
use crate::visitor::Identity;
use ocelli_core::{CameraId, Hub};
use ocelli_media::sources::SsrfGuard;
use rusqlite::Connection;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::runtime::Handle;

/// What the configuration file defines. It is changed there and nowhere else.
#[derive(Default)]
pub struct Configured {
    /// The names of its apps.
    pub apps: BTreeSet<String>,
    /// Its cameras.
    pub cameras: BTreeMap<CameraId, CameraConfig>,
}

/// What may be added while the hub runs.
#[derive(Clone, Copy)]
pub struct Policy {
    /// Which addresses cameras may have.
    pub ssrf_guard: SsrfGuard,
    /// How many cameras there may be beside those of the configuration.
    pub max_added_cameras: usize,
}

/// The service through which apps, cameras, keys, links, tokens and users change.
pub struct Catalog {
    pub(super) identity: Arc<Identity>,
    pub(super) ingest: Arc<Ingest>,
    pub(super) configured: Configured,
    pub(super) policy: Policy,
}

impl Catalog {
    /// What the configuration defined, which is in the hub already, and room for more.
    pub fn new(
        identity: Arc<Identity>,
        ingest: Arc<Ingest>,
        configured: Configured,
        policy: Policy,
    ) -> Self {
        Self {
            identity,
            ingest,
            configured,
            policy,
        }
    }

    pub(super) fn hub(&self) -> &Hub {
        &self.identity.hub
    }

    /// Makes a change: `change` checks it against what there is, writes the store and then
    /// applies it to the hub, which announces it to viewers. Visitors are looked up again
    /// after it.
    ///
    /// All changes are made on the store's thread, one after the other, so none overtakes
    /// another, and a client that goes away in the middle leaves nothing half done.
    ///
    /// # Errors
    /// What `change` says, or that the store can't be used.
    pub(super) async fn make<T: Send + 'static>(
        self: &Arc<Self>,
        change: impl FnOnce(&Self, &mut Connection) -> Result<T, ChangeError> + Send + 'static,
    ) -> Result<T, ChangeError> {
        let (catalog, runtime) = (self.clone(), Handle::current());
        let job = move |connection: &mut Connection| {
            // A camera that stays connected starts to connect when it comes into the hub.
            let _within = runtime.enter();
            match change(&catalog, connection) {
                Err(ChangeError::Store(error)) => Err(error),
                done => Ok(done),
            }
        };
        let made = self.identity.store.call(job).await??;
        self.identity.visitors.recheck();
        Ok(made)
    }

    /// Reads the store.
    ///
    /// # Errors
    /// What `read` says, or that the store can't be used.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, ChangeError> {
        Ok(self.identity.store.call(read).await?)
    }
}
