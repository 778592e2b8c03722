//! A camera that allows one session never has two, however its configuration changes.

use ocelli_core::session::CLOSE_TIMEOUT;
use ocelli_core::{
    Camera, Closed, Endpoint, Failure, FailureKind, FrameBuffer, Hub, Picture, Publisher, Quality,
    Renditions, RunOnce, Source,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

/// How long the camera takes to end a session.
const TEARDOWN: Duration = Duration::from_millis(500);

/// A camera on the network that counts its sessions.
#[derive(Default)]
struct Device {
    sessions: AtomicUsize,
    most: AtomicUsize,
    opened: AtomicUsize,
}

/// A source that connects to it.
struct Link {
    device: Arc<Device>,
    own: watch::Sender<usize>,
    teardown: Duration,
    /// Whether each session fails after one picture.
    breaks: bool,
}

struct Session(Arc<Link>);

impl Session {
    fn open(link: Arc<Link>) -> Self {
        let device = &link.device;
        let now = device.sessions.fetch_add(1, SeqCst) + 1;
        device.most.fetch_max(now, SeqCst);
        device.opened.fetch_add(1, SeqCst);
        link.own.send_modify(|own| *own += 1);
        Self(link)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let link = self.0.clone();
        tokio::spawn(async move {
            sleep(link.teardown).await;
            link.device.sessions.fetch_sub(1, SeqCst);
            link.own.send_modify(|own| *own -= 1);
        });
    }
}

impl Source for Link {
    fn run_once(self: Arc<Self>, publisher: Publisher) -> RunOnce {
        Box::pin(async move {
            let _session = Session::open(self.clone());
            loop {
                publisher.publish(Picture::jpeg(FrameBuffer::copy_from(b"jpeg"), None));
                sleep(Duration::from_millis(100)).await;
                if self.breaks {
                    return Err(Failure::new(FailureKind::Ended, "connection lost"));
                }
            }
        })
    }

    fn closed(self: Arc<Self>) -> Closed {
        Box::pin(async move {
            let mut own = self.own.subscribe();
            let _ = own.wait_for(|own| *own == 0).await;
        })
    }
}

struct Stage {
    hub: Hub,
    device: Arc<Device>,
    teardown: Duration,
    breaks: bool,
}

impl Stage {
    fn new(teardown: Duration) -> Self {
        Self {
            hub: Hub::default(),
            device: Arc::default(),
            teardown,
            breaks: false,
        }
    }

    /// Returns a camera in this room, at the shared device.
    fn camera(&self, hub: &Hub, room: &str, keep: bool) -> Camera {
        let id = hub.resolve("live", room).expect("a name");
        let link = Arc::new(Link {
            device: self.device.clone(),
            own: watch::Sender::new(0),
            teardown: self.teardown,
            breaks: self.breaks,
        });
        let endpoint = Endpoint::new("10.0.0.7:554", "/stream1");
        let main = hub.upstream_at(&id, endpoint, link, Renditions::default());
        Camera::new(id, room.to_owned(), "link", main, None, keep)
    }

    fn most(&self) -> usize {
        self.device.most.load(SeqCst)
    }

    /// Waits until the device has been connected to this many times.
    async fn opened(&self, times: usize) {
        while self.device.opened.load(SeqCst) < times {
            sleep(Duration::from_millis(1)).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_camera_that_is_changed_repeatedly_has_one_session() {
    for keep in [true, false] {
        let stage = Stage::new(TEARDOWN);
        let camera = stage.camera(&stage.hub, "door", keep);
        let mut camera = stage.hub.add(camera).expect("a free room");
        for change in 0..20u64 {
            let mut viewer = camera.follow(Quality::Main);
            // Change immediately, during the wait, and while it plays.
            if change % 3 == 2 {
                viewer.next().await;
            }
            sleep(Duration::from_millis(change * 37 % 700)).await;
            let changed = stage.camera(&stage.hub, "door", keep);
            camera = stage.hub.replace(changed).expect("the room exists");
        }
        camera.follow(Quality::Main).next().await;
        assert_eq!(stage.most(), 1, "keep = {keep}");
        assert!(stage.device.opened.load(SeqCst) > 6);
    }
}

#[tokio::test(start_paused = true)]
async fn a_camera_that_is_deleted_and_added_again_has_one_session() {
    let stage = Stage::new(TEARDOWN);
    for room in ["door", "gate", "door", "yard"] {
        let camera = stage.camera(&stage.hub, room, true);
        let camera = stage.hub.add(camera).expect("a free room");
        camera.follow(Quality::Main).next().await;
        stage.hub.remove(camera.id());
    }
    assert_eq!((stage.most(), stage.device.opened.load(SeqCst)), (1, 4));
}

#[tokio::test(start_paused = true)]
async fn a_camera_that_goes_idle_and_restarts_at_once_has_one_session() {
    let stage = Stage::new(TEARDOWN);
    let camera = stage.camera(&stage.hub, "door", false);
    let camera = stage.hub.add(camera).expect("a free room");
    let mut changes = stage.hub.changes();
    for _ in 0..5 {
        camera.follow(Quality::Main).next().await;
        while camera.status().state.name() != "idle" {
            changes.changed().await.expect("the hub is alive");
        }
    }
    assert_eq!((stage.most(), stage.device.opened.load(SeqCst)), (1, 5));
}

#[tokio::test(start_paused = true)]
async fn a_broken_session_is_closed_before_the_restart() {
    let mut stage = Stage::new(TEARDOWN);
    stage.breaks = true;
    let camera = stage.camera(&stage.hub, "door", true);
    let camera = stage.hub.add(camera).expect("a free room");
    // A restart comes after 250 ms, before the session has ended; a user's retry is no
    // faster.
    while stage.device.opened.load(SeqCst) < 6 {
        camera.retry();
        sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(stage.most(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_wait_for_a_session_that_does_not_end_is_limited() {
    let stage = Stage::new(Duration::from_secs(3600));
    let camera = stage.camera(&stage.hub, "door", true);
    stage.hub.add(camera).expect("a free room");
    stage.opened(1).await;
    let changed = stage.camera(&stage.hub, "door", true);
    let started = Instant::now();
    let changed = stage.hub.replace(changed).expect("the room exists");
    assert!(
        started.elapsed().is_zero(),
        "the change itself does not wait"
    );
    assert_eq!(changed.status().state.name(), "starting");
    stage.opened(2).await;
    let waited = started.elapsed();
    let limit = CLOSE_TIMEOUT + Duration::from_millis(50);
    assert!((CLOSE_TIMEOUT..limit).contains(&waited), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_test_waits_for_sessions_and_reuses_a_watched_stream() {
    let stage = Stage::new(TEARDOWN);
    let camera = stage.camera(&stage.hub, "door", false);
    let camera = stage.hub.add(camera).expect("a free room");
    let endpoint = Endpoint::new("10.0.0.7:554", "/stream1");
    for watched in [true, false] {
        let _viewer = watched.then(|| camera.follow(Quality::Main));
        let (same, quality) = stage.hub.camera_at(&endpoint).expect("the camera");
        let frame = same.current_frame(quality).await.expect("a picture");
        assert_eq!(&frame.payload()[..], b"jpeg");
    }
    assert_eq!(stage.device.opened.load(SeqCst), 1, "the existing session");
    stage.hub.remove(camera.id());
    assert!(stage.hub.camera_at(&endpoint).is_none());
    // Cameras of a test hub are not in the main hub, but share its sessions.
    for _ in 0..3 {
        let aside = stage.hub.for_test();
        let tried = stage.camera(&aside, "test", false);
        tried.try_once().await.expect("a picture");
    }
    assert_eq!((stage.most(), stage.device.opened.load(SeqCst)), (1, 4));
}
