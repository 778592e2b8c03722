//! Admission of a device: checks its key and makes it the publisher of its camera. This is
//! one job on the store's thread, which also revokes keys, so the result of the check still
//! holds when the device takes over the camera.

use super::Refusal;
use super::devices::{Device, DeviceSource, Ingest, lock};
use crate::auth::Hash;
use crate::store::streams::{self, Stream};
use crate::store::{StoreError, keys};
use ocelli_core::CameraId;
use rusqlite::Connection;
use std::sync::{Arc, Mutex};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// The type of the streams that devices push.
const KIND: &str = "ws-mjpeg";

/// What a device requests.
pub struct AdmissionRequest {
    /// The app and the room in its request.
    pub camera: CameraId,
    /// The hash of its key.
    pub key: Hash,
    /// The identity that it gives itself, if any.
    pub identity: Option<String>,
    /// The runtime for its camera, if the camera must be created.
    pub runtime: Handle,
}

/// An admitted device.
pub struct Admission {
    /// The camera's source.
    pub source: Arc<DeviceSource>,
    /// The device, which is now the camera's publisher.
    pub device: Arc<Device>,
    /// Ready when the device is evicted.
    pub evicted: oneshot::Receiver<Refusal>,
}

/// Checks a device's key and makes the device the publisher of its camera.
///
/// # Errors
/// Returns the reason if the device is refused.
pub fn admit(
    ingest: &Ingest,
    connection: &Connection,
    request: AdmissionRequest,
) -> Result<Admission, Refusal> {
    let broken = |error: StoreError| Refusal::internal_error(error.to_string());
    let AdmissionRequest {
        camera, identity, ..
    } = request;
    let key = keys::find(connection, &camera, &request.key).map_err(broken)?;
    let Some(key) = key else {
        let message = format!(
            "the key is not valid for room {:?} of app {:?}: it is wrong, revoked, or for another room",
            camera.full_room(),
            camera.app()
        );
        return Err(Refusal::invalid_key(message));
    };
    let Some(app) = ingest.identity.hub.app(camera.app()) else {
        let message = format!("there is no app {:?}", camera.app());
        return Err(Refusal::invalid_key(message));
    };
    if !app.ingest.enabled {
        let message = format!("pushing is not enabled in app {:?}", app.name);
        return Err(Refusal::not_enabled(message));
    }
    let source = {
        let _runtime = request.runtime.enter();
        let source = ingest.add_source(&camera);
        source.map_err(|_| {
            let room = camera.full_room();
            let message = format!(
                "room {room:?} already has another kind of source, so devices can't push to it"
            );
            Refusal::not_enabled(message)
        })?
    };
    let before = source.holder();
    if before.as_ref().is_some_and(|before| before.key != key.id) {
        let message = format!(
            "another device with a different key already pushes to room {:?}",
            camera.full_room()
        );
        return Err(Refusal::quota_exceeded(message));
    }
    let most = app.ingest.max_cameras as usize;
    if most > 0 && before.is_none() && ingest.devices(&app.name).len() >= most {
        let message = format!(
            "app {:?} has reached its maximum of {most} devices",
            app.name
        );
        return Err(Refusal::quota_exceeded(message));
    }
    let now = ingest.identity.now();
    let participant = identity.unwrap_or(key.identity);
    let stream_id = format!("{}/{participant}", camera.full_room());
    let goes_on = before
        .as_ref()
        .filter(|before| before.stream_id == stream_id);
    let (row, stats) = match goes_on {
        Some(before) => (before.row, before.stats()),
        None => {
            if let Some(before) = &before {
                let stats = before.stats();
                let reason = Refusal::replaced().to_string();
                let stats = stats.as_deref();
                streams::end(connection, before.row, now, stats, &reason).map_err(broken)?;
            }
            let stream = Stream {
                number: 0,
                app: app.name.clone(),
                stream_id: stream_id.clone(),
                kind: KIND.to_owned(),
                room: camera.full_room().to_owned(),
                participant,
                started: now,
                ended: None,
                end_reason: None,
                last_stats: None,
            };
            let row = streams::begin(connection, &stream).map_err(broken)?;
            (row, None)
        }
    };
    let (eviction, evicted) = oneshot::channel();
    let device = Arc::new(Device {
        order: ingest.next_order(),
        key: key.id,
        camera,
        stream_id,
        row,
        since: now,
        counts: Default::default(),
        stats: Mutex::new(stats),
        eviction: Mutex::new(Some(eviction)),
    });
    if let Some(before) = source.connect(device.clone()) {
        before.evict(Refusal::replaced());
    }
    Ok(Admission {
        source,
        device,
        evicted,
    })
}

impl Device {
    /// Stores the statistics that the device sent last.
    pub(super) fn set_stats(&self, stats: String) {
        *lock(&self.stats) = Some(stats);
    }
}
