//! The places of cameras that push, and who pushes there.

use super::Refusal;
use crate::store::keys::StreamKey;
use crate::store::{StoreError, keys};
use crate::visitor::Identity;
use ocelli_core::{Camera, CameraId, HubError, Renditions, Timestamp};
use ocelli_media::options::Mpeg1Options;
use ocelli_media::renditions::Mpeg1Rendition;
use ocelli_media::sources::push::{self, Push};
use ocelli_net::throttle::{Block, Throttle};
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{broadcast, oneshot};

/// Reports that wait for whoever is slow to take them; it then loses the oldest.
const REPORTS: usize = 4096;

/// So many handshakes of an address may fail at once, and then one each while: 30 a
/// minute.
const FAILURES: u32 = 30;
const EACH_FAILURE: Duration = Duration::from_secs(2);

/// The camera's place and whoever pushes there.
pub type DeviceSource = Push<Device>;

/// A device that is connected and pushes.
pub struct Device {
    /// Its place among all that connected: a later one has a higher number.
    pub order: u64,
    /// The id of its key.
    pub key: String,
    /// Its camera.
    pub camera: CameraId,
    /// Room and identity, which name its stream.
    pub stream_id: String,
    /// The number of its stream's row in the store.
    pub row: i64,
    /// When this connection began, in ms since the Unix epoch.
    pub since: i64,
    /// What it sent.
    pub counts: Counts,
    pub(super) stats: Mutex<Option<String>>,
    pub(super) eviction: Mutex<Option<oneshot::Sender<Refusal>>>,
}

/// What became of a device's messages.
#[derive(Debug, Default)]
pub struct Counts {
    /// JPEGs that were shown.
    pub shown: AtomicU64,
    /// JPEGs above the app's rate.
    pub above_rate: AtomicU64,
    /// Binary messages that were no JPEG.
    pub not_jpeg: AtomicU64,
}

impl Device {
    /// Ends its connection for this reason, unless that was done before.
    pub fn evict(&self, refusal: Refusal) {
        let mut eviction = lock(&self.eviction);
        if let Some(eviction) = eviction.take() {
            let _ = eviction.send(refusal);
        }
    }

    /// What it told last of itself, in JSON.
    pub fn stats(&self) -> Option<String> {
        lock(&self.stats).clone()
    }
}

/// What a device told of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The device's camera.
    pub camera: CameraId,
    /// When the hub had it.
    pub received: Timestamp,
    /// Its numbers by name.
    pub fields: BTreeMap<String, f64>,
}

/// The cameras that push.
pub struct Ingest {
    pub(super) identity: Arc<Identity>,
    sources: Mutex<BTreeMap<CameraId, Arc<DeviceSource>>>,
    connected: AtomicU64,
    /// Handshakes that failed. Those alone count: a good key always connects.
    pub(super) failures: Throttle<Block>,
    pub(super) reports: broadcast::Sender<Report>,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Ingest {
    /// Without any camera yet.
    pub fn new(identity: Arc<Identity>) -> Self {
        Self {
            identity,
            sources: Mutex::default(),
            connected: AtomicU64::new(0),
            failures: Throttle::new(FAILURES, EACH_FAILURE),
            reports: broadcast::Sender::new(REPORTS),
        }
    }

    /// What devices tell of themselves from now on. Each has numbers of its own
    /// choice, at most 16 at a time.
    pub fn reports(&self) -> broadcast::Receiver<Report> {
        self.reports.subscribe()
    }

    /// The place of a camera that pushes, if it is one.
    pub fn source(&self, camera: &CameraId) -> Option<Arc<DeviceSource>> {
        lock(&self.sources).get(camera).cloned()
    }

    /// The place of a camera that pushes; the camera is made if it is not there.
    /// Needs a tokio runtime.
    ///
    /// # Errors
    /// The room has a camera of another kind.
    pub fn add_source(&self, id: &CameraId) -> Result<Arc<DeviceSource>, HubError> {
        let hub = &self.identity.hub;
        let mut sources = lock(&self.sources);
        if let Some(source) = sources.get(id) {
            return Ok(source.clone());
        }
        let source = Arc::<DeviceSource>::default();
        // What is pushed is JPEG already.
        let renditions = Renditions {
            jpeg: None,
            mpeg1: Some(Arc::new(Mpeg1Rendition::new(Mpeg1Options::for_source(
                &*source,
            )))),
        };
        let upstream = hub.upstream(id, source.clone(), renditions);
        let name = id.room().to_owned();
        // It keeps its last frame, and its device may come at any time.
        hub.add(Camera::new(
            id.clone(),
            name,
            push::KIND,
            upstream,
            None,
            true,
        ))?;
        sources.insert(id.clone(), source.clone());
        Ok(source)
    }

    /// Takes a camera that pushes out of the hub.
    fn remove_source(&self, id: &CameraId) {
        if lock(&self.sources).remove(id).is_some() {
            self.identity.hub.remove(id);
        }
    }

    /// Who pushes in an app.
    pub fn devices(&self, app: &str) -> Vec<Arc<Device>> {
        let sources = lock(&self.sources);
        let of_app = sources.iter().filter(|(id, _)| id.app() == app);
        of_app.filter_map(|(_, source)| source.holder()).collect()
    }

    /// The number of a newcomer among all that connected.
    pub(super) fn next_order(&self) -> u64 {
        self.connected.fetch_add(1, Ordering::Relaxed)
    }

    /// Makes the cameras of all keys, at the start. Needs a tokio runtime.
    pub fn restore(&self, keys: &[StreamKey]) {
        for key in keys {
            let id = match self.identity.hub.resolve(&key.app, &key.room) {
                Ok(id) => id,
                Err(error) => {
                    tracing::warn!(key = key.id, %error, "a key of a camera that pushes is of no use");
                    continue;
                }
            };
            if let Err(error) = self.add_source(&id) {
                tracing::warn!(
                    key = key.id,
                    camera = id.as_str(),
                    %error,
                    "a key is of no use while its room has a source of its own"
                );
            }
        }
    }

    /// Takes a key out of the store, sends its device away, and takes the camera out
    /// of the hub if that was the last key of its room. Of `app` alone, if one is given.
    ///
    /// # Errors
    /// The store can't be written.
    pub fn revoke(
        &self,
        connection: &Connection,
        id: &str,
        app: Option<&str>,
    ) -> Result<Option<StreamKey>, StoreError> {
        let Some(key) = keys::delete(connection, id, app)? else {
            return Ok(None);
        };
        if let Ok(camera) = self.identity.hub.resolve(&key.app, &key.room) {
            let device = self.source(&camera).and_then(|source| source.holder());
            if let Some(device) = device.filter(|device| device.key == key.id) {
                device.evict(Refusal::invalid_key("the key was revoked"));
            }
            if !keys::any_for(connection, &camera)? {
                self.remove_source(&camera);
            }
        }
        Ok(Some(key))
    }
}
