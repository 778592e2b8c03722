//! From a key to a camera's seat. All of it is one job on the store's thread, which
//! also revokes keys: what was checked still holds when the device sits.

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

/// What a device asks for.
pub struct AdmissionRequest {
    /// The app and the room that it names.
    pub camera: CameraId,
    /// The hash of its key.
    pub key: Hash,
    /// What it calls itself, if it does.
    pub identity: Option<String>,
    /// Where its camera is to run, should there be none yet.
    pub runtime: Handle,
}

/// A seat, and how its holder learns that it has to go.
pub struct Admission {
    /// The camera's place.
    pub source: Arc<DeviceSource>,
    /// Who sits there now.
    pub device: Arc<Device>,
    /// Ready when it has to go.
    pub evicted: oneshot::Receiver<Refusal>,
}

/// Checks a device's key and seats it.
///
/// # Errors
/// Why not.
pub fn admit(
    ingest: &Ingest,
    connection: &Connection,
    request: AdmissionRequest,
) -> Result<Admission, Refusal> {
    let broken = |error: StoreError| Refusal::broken(error.to_string());
    let AdmissionRequest {
        camera, identity, ..
    } = request;
    let key = keys::find(connection, &camera, &request.key).map_err(broken)?;
    let Some(key) = key else {
        let message = format!(
            "the key opens nothing in room {:?} of app {:?}: it is wrong, revoked, or for another room",
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
        let message = format!("cameras may not push in app {:?}", app.name);
        return Err(Refusal::not_enabled(message));
    }
    let source = {
        let _runtime = request.runtime.enter();
        let source = ingest.add_source(&camera);
        source.map_err(|_| {
            let room = camera.full_room();
            let message = format!("room {room:?} has a source of its own; nobody pushes there");
            Refusal::not_enabled(message)
        })?
    };
    let before = source.holder();
    if before.as_ref().is_some_and(|before| before.key != key.id) {
        let message = format!(
            "another device, with a key of its own, pushes to room {:?}",
            camera.full_room()
        );
        return Err(Refusal::quota_exceeded(message));
    }
    let most = app.ingest.max_cameras as usize;
    if most > 0 && before.is_none() && ingest.devices(&app.name).len() >= most {
        let message = format!(
            "{most} cameras push in app {:?}, which is its max",
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
    /// Keeps what it told last of itself.
    pub(super) fn tell(&self, stats: String) {
        *lock(&self.stats) = Some(stats);
    }
}
