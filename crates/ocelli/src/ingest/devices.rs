//! The sources of cameras whose devices push, and the connected devices.

use super::Refusal;
use crate::store::keys::StreamKey;
use crate::store::{StoreError, keys};
use crate::visitor::Identity;
use ocelli_core::{Camera, CameraId, HubError, Renditions, Timestamp};
use ocelli_media::options::Mpeg1Options;
use ocelli_media::renditions::Mpeg1Rendition;
use ocelli_media::sources::push::{self, Push};
use ocelli_net::throttle::{AddressPrefix, Throttle};
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{broadcast, oneshot};

/// Capacity of the report channel. A receiver that lags behind loses the oldest reports.
const REPORTS: usize = 4096;

/// Token-bucket limit for failed handshakes per address: a burst of 30, then 30 a minute.
const FAILURES: u32 = 30;
const EACH_FAILURE: Duration = Duration::from_secs(2);

/// The source of a camera whose device pushes, with the connected device.
pub type DeviceSource = Push<Device>;

/// A connected device that pushes.
pub struct Device {
    /// Its position in the order of connections: a later connection has a higher number.
    pub order: u64,
    /// The id of its key.
    pub key: String,
    /// Its camera.
    pub camera: CameraId,
    /// Room and identity, which name its stream.
    pub stream_id: String,
    /// The number of its stream's row in the store.
    pub row: i64,
    /// Start of this connection, in ms since the Unix epoch.
    pub since: i64,
    /// Counts of its messages.
    pub counts: Counts,
    pub(super) stats: Mutex<Option<String>>,
    pub(super) eviction: Mutex<Option<oneshot::Sender<Refusal>>>,
}

/// Counts of a device's messages.
#[derive(Debug, Default)]
pub struct Counts {
    /// JPEGs that were published.
    pub shown: AtomicU64,
    /// JPEGs above the app's rate.
    pub above_rate: AtomicU64,
    /// Binary messages that were not JPEGs.
    pub not_jpeg: AtomicU64,
}

impl Device {
    /// Ends its connection for this reason, unless the device was already evicted.
    pub fn evict(&self, refusal: Refusal) {
        let mut eviction = lock(&self.eviction);
        if let Some(eviction) = eviction.take() {
            let _ = eviction.send(refusal);
        }
    }

    /// The statistics that it sent last, as JSON.
    pub fn stats(&self) -> Option<String> {
        lock(&self.stats).clone()
    }
}

/// Statistics from a device.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The device's camera.
    pub camera: CameraId,
    /// When the hub received them.
    pub received: Timestamp,
    /// The values by name.
    pub fields: BTreeMap<String, f64>,
}

/// All devices that push, and the sources of their cameras.
pub struct Ingest {
    pub(super) identity: Arc<Identity>,
    sources: Mutex<BTreeMap<CameraId, Arc<DeviceSource>>>,
    connected: AtomicU64,
    /// Rate limit for failed handshakes. Successful ones do not count: a valid key always
    /// connects.
    pub(super) failures: Throttle<AddressPrefix>,
    pub(super) reports: broadcast::Sender<Report>,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Ingest {
    /// Creates an ingest without any sources.
    pub fn new(identity: Arc<Identity>) -> Self {
        Self {
            identity,
            sources: Mutex::default(),
            connected: AtomicU64::new(0),
            failures: Throttle::new(FAILURES, EACH_FAILURE),
            reports: broadcast::Sender::new(REPORTS),
        }
    }

    /// Returns a receiver for the statistics that devices send from now on. A device chooses the
    /// names of its values; a report has at most 16.
    pub fn reports(&self) -> broadcast::Receiver<Report> {
        self.reports.subscribe()
    }

    /// The source of `camera`, if its device pushes.
    pub fn source(&self, camera: &CameraId) -> Option<Arc<DeviceSource>> {
        lock(&self.sources).get(camera).cloned()
    }

    /// Returns the source of a camera whose device pushes, and adds the camera if it does not
    /// exist. Needs a tokio runtime.
    ///
    /// # Errors
    /// Returns an error if the room has a camera of another kind.
    pub fn add_source(&self, id: &CameraId) -> Result<Arc<DeviceSource>, HubError> {
        let hub = &self.identity.hub;
        let mut sources = lock(&self.sources);
        if let Some(source) = sources.get(id) {
            return Ok(source.clone());
        }
        let source = Arc::<DeviceSource>::default();
        // Pushed pictures are already JPEG.
        let renditions = Renditions {
            jpeg: None,
            mpeg1: Some(Arc::new(Mpeg1Rendition::new(Mpeg1Options::for_source(
                &*source,
            )))),
        };
        let upstream = hub.upstream(id, source.clone(), renditions);
        let name = id.room().to_owned();
        // The camera keeps its last frame, because its device may connect at any time.
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

    /// Removes a camera whose device pushes from the hub.
    fn remove_source(&self, id: &CameraId) {
        if lock(&self.sources).remove(id).is_some() {
            self.identity.hub.remove(id);
        }
    }

    /// The connected devices of an app.
    pub fn devices(&self, app: &str) -> Vec<Arc<Device>> {
        let sources = lock(&self.sources);
        let of_app = sources.iter().filter(|(id, _)| id.app() == app);
        of_app.filter_map(|(_, source)| source.holder()).collect()
    }

    /// The next number in the order of connections.
    pub(super) fn next_order(&self) -> u64 {
        self.connected.fetch_add(1, Ordering::Relaxed)
    }

    /// Adds the cameras of all keys at startup. Needs a tokio runtime.
    pub fn restore(&self, keys: &[StreamKey]) {
        for key in keys {
            let id = match self.identity.hub.resolve(&key.app, &key.room) {
                Ok(id) => id,
                Err(error) => {
                    tracing::warn!(key = key.id, %error, "a device's key can't be used");
                    continue;
                }
            };
            if let Err(error) = self.add_source(&id) {
                tracing::warn!(
                    key = key.id,
                    camera = id.as_str(),
                    %error,
                    "a device's key can't be used while its room has another kind of source"
                );
            }
        }
    }

    /// Deletes a key from the store, evicts its device, and removes the camera from the hub if
    /// that was the last key of its room. With `app`, only a key of that app.
    ///
    /// # Errors
    /// Returns an error if the store can't be written.
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
