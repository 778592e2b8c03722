//! The whole server in this process, on a real port, with cameras whose pictures the test
//! supplies.

#![allow(clippy::unwrap_used, reason = "a failed test setup must panic")]

use super::tempdir::Dir;
use super::{eventually, http};
use ocelli::api;
use ocelli::auth::AdminToken;
use ocelli::catalog::{Catalog, Configured, Policy};
use ocelli::config::Metrics;
use ocelli::ingest::Ingest;
use ocelli::server::{self, Services};
use ocelli::store::Store;
use ocelli::telemetry::Telemetry;
use ocelli::visitor::Identity;
use ocelli_core::{
    App, Camera, Failure, FailureKind, FrameBuffer, Hub, Picture, Publisher, Renditions, RunOnce,
    Source, Timestamp,
};
use ocelli_media::sources::SsrfGuard;
use ocelli_net::origin_policy::OriginPolicy;
use ocelli_net::server_state::ServerState;
use ocelli_net::tls::authority::Names;
use ocelli_net::tls::renewal::CertificateRenewer;
use ocelli_series::Bounds;
use ocelli_testkit::jpeg;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;
use tokio::net::TcpListener;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

/// A running server; dropping it stops it.
pub struct Site {
    pub hub: Arc<Hub>,
    pub address: SocketAddr,
    /// The directory of its certificate authority, if it has one.
    pub authority: Option<Dir>,
    pub identity: Arc<Identity>,
    pub ingest: Arc<Ingest>,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<()>,
}

impl Site {
    /// Starts a server without cameras.
    pub async fn start() -> Self {
        Self::start_with(None, |_| {}).await
    }

    /// The same with TLS, using its own authority.
    pub async fn start_secure() -> Self {
        Self::start_with(Some(Dir::new("authority")), |_| {}).await
    }

    /// Starts a server without cameras, with its data in this directory and this
    /// administrator's token.
    pub async fn keeping(data: &Path, admin: &str) -> Self {
        Self::start_with(None, |identity| {
            identity.store = Store::open(data).unwrap();
            identity.admin = Some(AdminToken::new(admin).unwrap());
        })
        .await
    }

    async fn start_with(authority: Option<Dir>, configure: impl FnOnce(&mut Identity)) -> Self {
        let hub = Arc::new(Hub::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut server_state = ServerState::new(OriginPolicy::new(&[], &[]), hub.budgets().clone());
        if let Some(dir) = &authority {
            let mut names = Names::default();
            names.add("localhost");
            let now = SystemTime::now();
            let (renewer, _) = CertificateRenewer::of_authority(&dir.0, names, &[], now).unwrap();
            server_state.tls = Some(renewer.server().clone());
        }
        let mut identity = Identity::new(hub.clone(), Arc::new(server_state));
        configure(&mut identity);
        let identity = Arc::new(identity);
        let services = services(identity.clone());
        let ingest = services.ingest.clone();
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(server::run(listener, services, async {
            let _ = stopped.await;
        }));
        Self {
            hub,
            address,
            authority,
            identity,
            ingest,
            stop: Some(stop),
            serving,
        }
    }

    /// Starts a server with these cameras.
    pub async fn with<const N: usize>(rooms: [&str; N]) -> (Self, [Arc<TestSource>; N]) {
        let site = Self::start().await;
        let hands = rooms.map(|room| site.camera(room));
        (site, hands)
    }

    /// Adds a camera to app `live`.
    pub fn camera(&self, room: &str) -> Arc<TestSource> {
        self.add("live", room, false).0
    }

    /// Adds a camera with a substream.
    pub fn camera_with_substream(&self, room: &str) -> (Arc<TestSource>, Arc<TestSource>) {
        let (main, sub) = self.add("live", room, true);
        (main, sub.unwrap())
    }

    /// Adds an app whose cameras are public or private.
    pub fn app(&self, name: &str, prefix: &str, public_playback: bool) {
        let mut app = App::new(name).unwrap();
        app.room_prefix = prefix.to_owned();
        app.public_playback = public_playback;
        self.hub.put_app(app);
    }

    /// Adds a camera to any app.
    pub fn add(
        &self,
        app: &str,
        room: &str,
        sub: bool,
    ) -> (Arc<TestSource>, Option<Arc<TestSource>>) {
        let id = self.hub.resolve(app, room).unwrap();
        let (main, sub) = (
            Arc::<TestSource>::default(),
            sub.then(Arc::<TestSource>::default),
        );
        let upstream = |source: &Arc<TestSource>| {
            self.hub
                .upstream(&id, source.clone(), Renditions::default())
        };
        let streams = (upstream(&main), sub.as_ref().map(upstream));
        let name = format!("Camera {room}");
        let camera = Camera::new(id.clone(), name, "hand", streams.0, streams.1, false);
        self.hub.add(camera).unwrap();
        (main, sub)
    }

    /// Removes a camera of app `live`.
    pub fn remove(&self, room: &str) {
        let id = self.hub.resolve("live", room).unwrap();
        self.hub.remove(&id).expect("a camera to remove");
    }

    /// Waits until a camera has this many viewers.
    pub async fn viewers(&self, id: &str, wanted: usize) {
        let camera = self.hub.find_by_id(id).expect("a camera");
        let what = format!("{wanted} viewers of {id}");
        eventually(&what, || camera.status().viewers == wanted).await;
    }

    /// The number of viewers' messages that were ignored.
    pub async fn ignored(&self) -> u64 {
        let health = http::get(self.address, "/health").await;
        health.json()["ignoredMessages"].as_u64().unwrap()
    }
}

/// Creates all services of a hub without a configuration.
pub fn services(identity: Arc<Identity>) -> Services {
    let ingest = Arc::new(Ingest::new(identity.clone()));
    let policy = Policy {
        ssrf_guard: SsrfGuard::new(0),
        max_added_cameras: 0,
    };
    let configured = Configured::default();
    let catalog = Catalog::new(identity.clone(), ingest.clone(), configured, policy);
    let telemetry = Telemetry::start(Bounds::default(), None);
    let api = api::State::new(
        identity.clone(),
        Arc::new(catalog),
        ingest.clone(),
        telemetry.clone(),
        Metrics::default(),
    );
    Services {
        identity,
        ingest,
        telemetry,
        api: api.into(),
        authority: None,
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        self.serving.abort();
    }
}

/// A camera source that the test controls.
#[derive(Default)]
pub struct TestSource {
    publisher: Mutex<Option<Publisher>>,
    crash: Mutex<Option<String>>,
    crashed: Notify,
    starts: AtomicUsize,
    shown: AtomicUsize,
}

impl Source for TestSource {
    fn run_once(self: Arc<Self>, publisher: Publisher) -> RunOnce {
        Box::pin(async move {
            *self.publisher.lock().unwrap() = Some(publisher);
            self.starts.fetch_add(1, Ordering::SeqCst);
            loop {
                self.crashed.notified().await;
                if let Some(reason) = self.crash.lock().unwrap().take() {
                    *self.publisher.lock().unwrap() = None;
                    return Err(Failure::new(FailureKind::Ended, reason));
                }
            }
        })
    }
}

impl TestSource {
    /// How many times the hub has connected to it.
    pub fn starts(&self) -> usize {
        self.starts.load(Ordering::SeqCst)
    }

    /// Waits until the hub has connected this many times.
    pub async fn started(&self, times: usize) {
        eventually("the hub connects", || self.starts() >= times).await;
    }

    /// Waits until the hub is connected, then shows a picture. Returns its number, counted from
    /// 0.
    pub async fn show(&self) -> u64 {
        let sequence = self.shown.fetch_add(1, Ordering::SeqCst) as u64;
        let small = jpeg::Picture {
            bytes: 2_000,
            ..jpeg::Picture::QVGA
        };
        self.show_picture(&small.encode_now(sequence), Timestamp::UNKNOWN)
            .await;
        sequence
    }

    /// Shows these bytes.
    pub async fn show_picture(&self, bytes: &[u8], captured: Timestamp) {
        let mut picture = Picture::jpeg(FrameBuffer::copy_from(bytes), Some((320, 240)));
        picture.captured = captured;
        self.publish(picture).await;
    }

    /// Waits until the hub is connected, then publishes this picture.
    pub async fn publish(&self, picture: Picture) {
        eventually("the hub connects", || {
            self.publisher.lock().unwrap().is_some()
        })
        .await;
        let publisher = self.publisher.lock().unwrap();
        publisher.as_ref().unwrap().publish(picture);
    }

    /// Does anything with the publisher of the current connection.
    pub fn with_publisher(&self, act: impl FnOnce(&Publisher)) {
        let publisher = self.publisher.lock().unwrap();
        act(publisher.as_ref().expect("the hub is connected"));
    }

    /// Ends the connection with this reason.
    pub fn crash(&self, reason: &str) {
        *self.crash.lock().unwrap() = Some(reason.to_owned());
        self.crashed.notify_one();
    }
}
