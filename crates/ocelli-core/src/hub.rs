//! Registry of all apps and cameras. It does no network or file I/O.

use crate::budget::{Budget, Budgets, PeerKind};
use crate::camera::{Camera, Quality};
use crate::capacity::Capacity;
use crate::clock::{Clock, SystemClock};
use crate::group::GroupMemory;
use crate::name::{CameraId, DEFAULT_APP, NameError, check_app, split_id};
use crate::session::{Endpoint, Sessions};
use crate::source::{Renditions, Source};
use crate::streams::{Common, Streams};
use crate::upstream::Upstream;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::watch;

/// A namespace of cameras.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct App {
    /// Its name.
    pub name: String,
    /// Prefix of the full names of its rooms.
    pub room_prefix: String,
    /// Whether its cameras may be watched without authentication.
    pub public_playback: bool,
    /// Limits for its ingest cameras.
    pub ingest: IngestLimits,
}

/// Limits for the ingest cameras of an app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IngestLimits {
    /// Whether pushing is allowed.
    pub enabled: bool,
    /// Maximum number of cameras that push at the same time; 0 means unlimited.
    pub max_cameras: u32,
    /// Maximum frames per second accepted from each camera.
    pub max_fps: u32,
    /// Maximum frame size, in units of 1024 bytes.
    pub max_frame_kb: u32,
    /// A camera that sends no frame for this long is disconnected.
    pub idle_timeout: Duration,
}

impl Default for IngestLimits {
    fn default() -> Self {
        Self {
            enabled: true,
            max_cameras: 0,
            max_fps: 15,
            max_frame_kb: 256,
            idle_timeout: Duration::from_secs(30),
        }
    }
}

impl IngestLimits {
    /// Returns the maximum frame size in bytes.
    pub fn max_frame_bytes(&self) -> usize {
        self.max_frame_kb as usize * 1024
    }
}

impl App {
    /// Returns the default app, [`DEFAULT_APP`], with default settings. It is used where no
    /// app is named.
    pub fn live() -> Self {
        Self {
            name: DEFAULT_APP.to_owned(),
            room_prefix: DEFAULT_APP.to_owned(),
            public_playback: true,
            ingest: IngestLimits::default(),
        }
    }

    /// Creates an app with default settings: the prefix is its name, and playback is
    /// public.
    ///
    /// # Errors
    /// Returns an error if `name` is not a valid app name.
    pub fn new(name: &str) -> Result<Self, NameError> {
        check_app(name)?;
        Ok(Self {
            name: name.to_owned(),
            room_prefix: name.to_owned(),
            ..Self::live()
        })
    }
}

/// An error of a hub operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HubError {
    /// Invalid name.
    Name(NameError),
    /// No such app.
    UnknownApp(String),
    /// A camera with this id already exists.
    Taken(CameraId),
}

impl fmt::Display for HubError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HubError::Name(error) => error.fmt(f),
            HubError::UnknownApp(app) => write!(f, "there is no app {app:?}"),
            HubError::Taken(id) => write!(f, "camera {:?} already exists", id.as_str()),
        }
    }
}

impl std::error::Error for HubError {}

impl From<NameError> for HubError {
    fn from(error: NameError) -> Self {
        HubError::Name(error)
    }
}

/// Registry of all apps and cameras.
pub struct Hub {
    common: Common,
    sessions: Sessions,
    apps: RwLock<BTreeMap<String, Arc<App>>>,
    cameras: RwLock<Cameras>,
}

#[derive(Default)]
struct Cameras {
    by_id: BTreeMap<CameraId, Arc<Camera>>,
    /// In the order in which they were added, which is the user's order.
    in_order: Vec<Arc<Camera>>,
}

impl Default for Hub {
    fn default() -> Self {
        Self::new(Arc::new(SystemClock))
    }
}

impl Hub {
    /// Creates a hub with the app `live`, no cameras and default limits.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self::with(clock, Arc::default())
    }

    /// Creates a hub with the app `live`, no cameras and the given capacity.
    pub fn with(clock: Arc<dyn Clock>, capacity: Arc<Capacity>) -> Self {
        let common = Common {
            clock,
            groups: GroupMemory::new(capacity.limits().group_memory),
            capacity,
            budgets: Budgets::default(),
            changes: Arc::new(watch::Sender::new(0)),
        };
        Self::of(common, Sessions::default())
    }

    /// Creates an empty hub for testing a camera that is not in this hub. Both hubs share
    /// capacity, budgets and sessions, so neither opens a session while one of the other's
    /// is ending.
    pub fn for_test(&self) -> Self {
        let common = Common {
            changes: Arc::new(watch::Sender::new(0)),
            ..self.common.clone()
        };
        Self::of(common, self.sessions.for_test())
    }

    fn of(common: Common, sessions: Sessions) -> Self {
        let live = App::live();
        Self {
            common,
            sessions,
            apps: RwLock::new(BTreeMap::from([(live.name.clone(), Arc::new(live))])),
            cameras: RwLock::default(),
        }
    }

    /// Returns the clock that stamps frames.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.common.clock
    }

    /// Returns the memory of the cached groups of all cameras.
    pub fn groups(&self) -> &GroupMemory {
        &self.common.groups
    }

    /// Returns the budgets of all peers, with their counters.
    pub fn budgets(&self) -> &Budgets {
        &self.common.budgets
    }

    /// Returns a budget for a new peer.
    pub fn budget(&self, kind: PeerKind) -> Budget {
        self.common.budgets.budget(kind)
    }

    /// Returns the sessions at its cameras.
    pub fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// Returns the camera and the quality of the stream at exactly this endpoint, if there
    /// is one.
    pub fn camera_at(&self, endpoint: &Endpoint) -> Option<(Arc<Camera>, Quality)> {
        let cameras = self.cameras();
        cameras.into_iter().find_map(|camera| {
            let quality = camera.quality_at(endpoint)?;
            Some((camera, quality))
        })
    }

    /// Returns the capacity for media processing, with its current use.
    pub fn capacity(&self) -> &Arc<Capacity> {
        &self.common.capacity
    }

    /// Returns a receiver that changes whenever a camera is added, removed or changes its
    /// state, and whenever an app changes, because that can change which cameras are
    /// visible.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.common.changes.subscribe()
    }

    /// Notifies the receivers of [`Hub::changes`] after a change outside the hub that
    /// affects what they may see.
    pub fn recheck(&self) {
        let changes = &self.common.changes;
        changes.send_modify(|generation| *generation += 1);
    }

    /// Adds an app, or replaces the one with the same name.
    pub fn put_app(&self, app: App) {
        let mut apps = self.apps.write().unwrap_or_else(PoisonError::into_inner);
        apps.insert(app.name.clone(), Arc::new(app));
        drop(apps);
        self.recheck();
    }

    /// Removes an app. Returns whether it existed. Its cameras, if there are any, can then
    /// no longer be found.
    pub fn remove_app(&self, name: &str) -> bool {
        let mut apps = self.apps.write().unwrap_or_else(PoisonError::into_inner);
        let known = apps.remove(name).is_some();
        drop(apps);
        self.recheck();
        known
    }

    /// Returns all apps, ordered by name.
    pub fn apps(&self) -> Vec<Arc<App>> {
        let apps = self.apps.read().unwrap_or_else(PoisonError::into_inner);
        apps.values().cloned().collect()
    }

    /// Returns the app with this name.
    pub fn app(&self, name: &str) -> Option<Arc<App>> {
        let apps = self.apps.read().unwrap_or_else(PoisonError::into_inner);
        apps.get(name).cloned()
    }

    /// Resolves an app and a short or full room to a camera id.
    ///
    /// # Errors
    /// Returns an error if a name is invalid or the app does not exist.
    pub fn resolve(&self, app: &str, room: &str) -> Result<CameraId, HubError> {
        let known = self
            .app(app)
            .ok_or_else(|| HubError::UnknownApp(app.to_owned()))?;
        Ok(CameraId::new(app, &known.room_prefix, room)?)
    }

    /// Creates an idle upstream whose frames carry `id`.
    pub fn upstream(
        &self,
        id: &CameraId,
        source: Arc<dyn Source>,
        renditions: Renditions,
    ) -> Arc<Upstream> {
        self.upstream_at(id, Endpoint::unique(), source, renditions)
    }

    /// Like [`Hub::upstream`], for a source that connects to `endpoint`.
    pub fn upstream_at(
        &self,
        id: &CameraId,
        endpoint: Endpoint,
        source: Arc<dyn Source>,
        renditions: Renditions,
    ) -> Arc<Upstream> {
        let streams = Streams::new(id.as_str().to_owned(), self.common.clone());
        let sessions = self.sessions.clone();
        Upstream::new(streams, sessions, endpoint, source, renditions)
    }

    /// Adds a camera. A camera that stays connected starts to connect, which needs a
    /// running tokio runtime.
    ///
    /// # Errors
    /// Returns an error if a camera with its id already exists.
    pub fn add(&self, camera: Camera) -> Result<Arc<Camera>, HubError> {
        let mut cameras = self.cameras.write().unwrap_or_else(PoisonError::into_inner);
        if cameras.by_id.contains_key(camera.id()) {
            return Err(HubError::Taken(camera.id().clone()));
        }
        let camera = Arc::new(camera);
        cameras.by_id.insert(camera.id().clone(), camera.clone());
        cameras.in_order.push(camera.clone());
        drop(cameras);
        camera.begin();
        self.recheck();
        Ok(camera)
    }

    /// Replaces the camera with the same id and stops the sources of the old one. Its
    /// viewers continue with the new one. Returns `None` if no camera has this id. Needs a
    /// running tokio runtime, as [`Hub::add`] does.
    pub fn replace(&self, camera: Camera) -> Option<Arc<Camera>> {
        let mut cameras = self.cameras.write().unwrap_or_else(PoisonError::into_inner);
        let Cameras { by_id, in_order } = &mut *cameras;
        let known = by_id.get_mut(camera.id())?;
        let camera = Arc::new(camera);
        let old = std::mem::replace(known, camera.clone());
        if let Some(place) = in_order.iter_mut().find(|other| Arc::ptr_eq(other, &old)) {
            *place = camera.clone();
        }
        drop(cameras);
        // The old camera is stopped first, so that the new one waits until it has
        // disconnected.
        old.stop();
        camera.begin();
        self.recheck();
        Some(camera)
    }

    /// Renames a camera; its streams continue.
    pub fn rename(&self, camera: &Camera, name: String) {
        camera.rename(name);
        self.recheck();
    }

    /// Removes a camera and stops its sources.
    pub fn remove(&self, id: &CameraId) -> Option<Arc<Camera>> {
        let mut cameras = self.cameras.write().unwrap_or_else(PoisonError::into_inner);
        let camera = cameras.by_id.remove(id)?;
        cameras
            .in_order
            .retain(|other| !Arc::ptr_eq(other, &camera));
        drop(cameras);
        camera.stop();
        self.recheck();
        Some(camera)
    }

    /// Returns the camera in a room of an app, given by its short or full name.
    pub fn find(&self, app: &str, room: &str) -> Option<Arc<Camera>> {
        let id = self.resolve(app, room).ok()?;
        let cameras = self.cameras.read().unwrap_or_else(PoisonError::into_inner);
        cameras.by_id.get(&id).cloned()
    }

    /// Returns the camera with an id from the wall socket, in its short or full form.
    pub fn find_by_id(&self, id: &str) -> Option<Arc<Camera>> {
        let (app, room) = split_id(id);
        self.find(app, room)
    }

    /// Returns all cameras, in the order in which they were added.
    pub fn cameras(&self) -> Vec<Arc<Camera>> {
        let cameras = self.cameras.read().unwrap_or_else(PoisonError::into_inner);
        cameras.in_order.clone()
    }

    /// Stops every source and notifies the receivers of [`Hub::changes`].
    pub fn stop(&self) {
        self.cameras().iter().for_each(|camera| camera.stop());
        self.recheck();
    }
}
