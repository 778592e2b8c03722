//! All the cameras, by name. The hub knows no transport and no file.

use crate::budget::{Budget, Budgets, PeerKind};
use crate::camera::{Camera, Quality};
use crate::capacity::Capacity;
use crate::clock::{Clock, SystemClock};
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
    /// What its rooms' full names start with.
    pub room_prefix: String,
    /// Whether anybody may watch its cameras.
    pub public_playback: bool,
    /// What cameras that push may do in it.
    pub ingest: IngestLimits,
}

/// What cameras that push may do in an app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IngestLimits {
    /// Whether they may push at all.
    pub enabled: bool,
    /// How many may push at the same time; 0 for any number.
    pub max_cameras: u32,
    /// Frames a second that are taken of each.
    pub max_fps: u32,
    /// The longest frame, in units of 1024 bytes.
    pub max_frame_kb: u32,
    /// A camera that sends no frame for so long is gone.
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
    /// The longest frame in bytes.
    pub fn max_frame_bytes(&self) -> usize {
        self.max_frame_kb as usize * 1024
    }
}

impl App {
    /// The app of whoever names none, [`DEFAULT_APP`], with the defaults.
    pub fn live() -> Self {
        Self {
            name: DEFAULT_APP.to_owned(),
            room_prefix: DEFAULT_APP.to_owned(),
            public_playback: true,
            ingest: IngestLimits::default(),
        }
    }

    /// An app with the defaults: the prefix is its name, and playback is public.
    ///
    /// # Errors
    /// `name` is no app's name.
    pub fn new(name: &str) -> Result<Self, NameError> {
        check_app(name)?;
        Ok(Self {
            name: name.to_owned(),
            room_prefix: name.to_owned(),
            ..Self::live()
        })
    }
}

/// Why the hub refused something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HubError {
    /// Not a name.
    Name(NameError),
    /// No such app.
    UnknownApp(String),
    /// A camera of this id is there already.
    Taken(CameraId),
}

impl fmt::Display for HubError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HubError::Name(error) => error.fmt(f),
            HubError::UnknownApp(app) => write!(f, "there is no app {app:?}"),
            HubError::Taken(id) => write!(f, "there is a camera {:?} already", id.as_str()),
        }
    }
}

impl std::error::Error for HubError {}

impl From<NameError> for HubError {
    fn from(error: NameError) -> Self {
        HubError::Name(error)
    }
}

/// All the cameras, by name.
pub struct Hub {
    common: Common,
    sessions: Sessions,
    apps: RwLock<BTreeMap<String, Arc<App>>>,
    cameras: RwLock<Cameras>,
}

#[derive(Default)]
struct Cameras {
    by_id: BTreeMap<CameraId, Arc<Camera>>,
    /// In the order in which they were added, which is how a person arranged them.
    in_order: Vec<Arc<Camera>>,
}

impl Default for Hub {
    fn default() -> Self {
        Self::new(Arc::new(SystemClock))
    }
}

impl Hub {
    /// A hub with the app `live`, no camera and the usual limits.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self::with(clock, Arc::default())
    }

    /// A hub with the app `live` and no camera, whose cameras may cost so much.
    pub fn with(clock: Arc<dyn Clock>, capacity: Arc<Capacity>) -> Self {
        let common = Common {
            clock,
            capacity,
            budgets: Budgets::default(),
            changes: Arc::new(watch::Sender::new(0)),
        };
        Self::of(common, Sessions::default())
    }

    /// A hub without cameras, to test one that is not in this hub. They share what
    /// they may do to cameras and what that may cost, and neither opens a session while one
    /// of the other's ends.
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

    /// The clock that stamps frames.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.common.clock
    }

    /// The budgets of all peers, with their counts.
    pub fn budgets(&self) -> &Budgets {
        &self.common.budgets
    }

    /// A budget for a new peer.
    pub fn budget(&self, kind: PeerKind) -> Budget {
        self.common.budgets.budget(kind)
    }

    /// Where its cameras' sessions are.
    pub fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// The camera and the quality of this very stream, if it has one.
    pub fn camera_at(&self, endpoint: &Endpoint) -> Option<(Arc<Camera>, Quality)> {
        let cameras = self.cameras();
        cameras.into_iter().find_map(|camera| {
            let quality = camera.quality_at(endpoint)?;
            Some((camera, quality))
        })
    }

    /// What its cameras may cost, and what of that is in use.
    pub fn capacity(&self) -> &Arc<Capacity> {
        &self.common.capacity
    }

    /// Changes whenever a camera is added, removed, or changes its state, and
    /// whenever an app does, for then other cameras may be seen.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.common.changes.subscribe()
    }

    /// Has whoever follows [`Hub::changes`] look again, for what decides beside the
    /// hub what they see has changed.
    pub fn recheck(&self) {
        let changes = &self.common.changes;
        changes.send_modify(|generation| *generation += 1);
    }

    /// Adds an app, or replaces the one of its name.
    pub fn put_app(&self, app: App) {
        let mut apps = self.apps.write().unwrap_or_else(PoisonError::into_inner);
        apps.insert(app.name.clone(), Arc::new(app));
        drop(apps);
        self.recheck();
    }

    /// Takes an app out; whether it was there. Its cameras, if it has any, are
    /// then found by nobody.
    pub fn remove_app(&self, name: &str) -> bool {
        let mut apps = self.apps.write().unwrap_or_else(PoisonError::into_inner);
        let known = apps.remove(name).is_some();
        drop(apps);
        self.recheck();
        known
    }

    /// All apps, by name.
    pub fn apps(&self) -> Vec<Arc<App>> {
        let apps = self.apps.read().unwrap_or_else(PoisonError::into_inner);
        apps.values().cloned().collect()
    }

    /// The app of this name.
    pub fn app(&self, name: &str) -> Option<Arc<App>> {
        let apps = self.apps.read().unwrap_or_else(PoisonError::into_inner);
        apps.get(name).cloned()
    }

    /// Resolves an app and a short or full room to a camera id.
    ///
    /// # Errors
    /// Not names, or no such app.
    pub fn resolve(&self, app: &str, room: &str) -> Result<CameraId, HubError> {
        let known = self
            .app(app)
            .ok_or_else(|| HubError::UnknownApp(app.to_owned()))?;
        Ok(CameraId::new(app, &known.room_prefix, room)?)
    }

    /// An idle upstream whose frames carry `id`.
    pub fn upstream(
        &self,
        id: &CameraId,
        source: Arc<dyn Source>,
        renditions: Renditions,
    ) -> Arc<Upstream> {
        self.upstream_at(id, Endpoint::unique(), source, renditions)
    }

    /// The same for a source that connects to `endpoint`.
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

    /// Adds a camera. One that stays connected begins to connect, which needs a running
    /// tokio runtime.
    ///
    /// # Errors
    /// One of its id is there already.
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

    /// Puts a camera in the place of the one that has its id, whose sources end.
    /// Who watches that one watches this one from then on. None if there is none
    /// of its id. Needs a running tokio runtime, as [`Hub::add`] does.
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
        // In this order, so that the new one waits until the old one has left.
        old.stop();
        camera.begin();
        self.recheck();
        Some(camera)
    }

    /// Gives a camera another name; its streams go on.
    pub fn rename(&self, camera: &Camera, name: String) {
        camera.rename(name);
        self.recheck();
    }

    /// Takes a camera out and ends its sources.
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

    /// The camera in a short or full room of an app.
    pub fn find(&self, app: &str, room: &str) -> Option<Arc<Camera>> {
        let id = self.resolve(app, room).ok()?;
        let cameras = self.cameras.read().unwrap_or_else(PoisonError::into_inner);
        cameras.by_id.get(&id).cloned()
    }

    /// The camera of a wall socket's id, whichever form was written.
    pub fn find_by_id(&self, id: &str) -> Option<Arc<Camera>> {
        let (app, room) = split_id(id);
        self.find(app, room)
    }

    /// All cameras, in the order in which they were added.
    pub fn cameras(&self) -> Vec<Arc<Camera>> {
        let cameras = self.cameras.read().unwrap_or_else(PoisonError::into_inner);
        cameras.in_order.clone()
    }

    /// Ends every source; whoever follows [`Hub::changes`] learns that something
    /// has happened.
    pub fn stop(&self) {
        self.cameras().iter().for_each(|camera| camera.stop());
        self.recheck();
    }
}
