//! The catalog service and its single code path for changes.

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

/// The apps and cameras that the configuration file defines. They can be changed only there.
#[derive(Default)]
pub struct Configured {
    /// The names of its apps.
    pub apps: BTreeSet<String>,
    /// Its cameras.
    pub cameras: BTreeMap<CameraId, CameraConfig>,
}

/// Limits on what may be added while the hub runs.
#[derive(Clone, Copy)]
pub struct Policy {
    /// Which addresses cameras may have.
    pub ssrf_guard: SsrfGuard,
    /// Maximum number of cameras in addition to the configured ones.
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
    /// Creates the service. The configured apps and cameras must already be in the hub.
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

    /// Makes a change: `change` checks it against the current state, writes the store and then
    /// applies it to the hub, which announces it to viewers. Afterwards visitors are re-authorized.
    ///
    /// All changes run one after the other on the store's thread, so they cannot interleave, and a
    /// client that disconnects leaves nothing half done.
    ///
    /// # Errors
    /// The error of `change`, or the store can't be used.
    pub(super) async fn apply<T: Send + 'static>(
        self: &Arc<Self>,
        change: impl FnOnce(&Self, &mut Connection) -> Result<T, ChangeError> + Send + 'static,
    ) -> Result<T, ChangeError> {
        let (catalog, runtime) = (self.clone(), Handle::current());
        let job = move |connection: &mut Connection| {
            // Adding a camera with `keep` starts tasks, which needs the runtime.
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
    /// The error of `read`, or the store can't be used.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, ChangeError> {
        Ok(self.identity.store.call(read).await?)
    }
}
