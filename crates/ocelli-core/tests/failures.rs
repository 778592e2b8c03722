//! The last failure is reported in every state, until the stream works again.

use ocelli_core::{
    Camera, Codec, Failure, FailureKind, Follower, FrameBuffer, Hub, LastFailure, Picture,
    Publisher, Quality, Rendition, Renditions, RunOnce, Source, State, Timestamp,
};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::sleep;

/// Behaviour of a camera or a rendition, set by the test.
#[derive(Clone, Copy, PartialEq)]
enum Does {
    Refuse(&'static str),
    Play(Codec),
    Freeze(Codec),
    /// Reports that its pictures have stopped.
    Stall,
}

struct Puppet(watch::Sender<Does>);

impl Puppet {
    fn new(does: Does) -> Arc<Self> {
        Arc::new(Self(watch::Sender::new(does)))
    }
}

async fn run(does: watch::Receiver<Does>, publisher: Publisher) -> Result<(), Failure> {
    let mut shown = false;
    loop {
        let now = *does.borrow();
        let (codec, still) = match now {
            Does::Refuse(reason) => return Err(Failure::new(FailureKind::Ended, reason)),
            Does::Play(codec) => (codec, false),
            Does::Freeze(codec) => (codec, true),
            Does::Stall => {
                publisher.note_stalled(Duration::from_secs(5));
                sleep(Duration::from_secs(1)).await;
                continue;
            }
        };
        publisher.publish(Picture {
            codec,
            key: true,
            captured: Timestamp(7),
            size: None,
            codec_string: None,
            buffer: FrameBuffer::copy_from(b"unit"),
        });
        if still && std::mem::replace(&mut shown, true) {
            return std::future::pending().await;
        }
        sleep(Duration::from_secs(1)).await;
    }
}

impl Source for Puppet {
    fn run_once(self: Arc<Self>, publisher: Publisher) -> RunOnce {
        Box::pin(run(self.0.subscribe(), publisher))
    }
}

impl Rendition for Puppet {
    fn run_once(self: Arc<Self>, _: Follower, publisher: Publisher) -> RunOnce {
        Box::pin(run(self.0.subscribe(), publisher))
    }
}

struct Stage {
    hub: Hub,
    camera: Arc<Camera>,
    main: Arc<Puppet>,
    sub: Arc<Puppet>,
    jpeg: Arc<Puppet>,
    mpeg1: Arc<Puppet>,
}

impl Stage {
    fn new(does: Does) -> Self {
        let hub = Hub::default();
        let id = hub.resolve("live", "cam").expect("a name");
        let play = || Puppet::new(Does::Play(Codec::Jpeg));
        let (main, sub, jpeg) = (Puppet::new(does), Puppet::new(does), play());
        let mpeg1 = Puppet::new(Does::Play(Codec::Mpeg1));
        let upstream = |source: &Arc<Puppet>| {
            let renditions = Renditions {
                jpeg: Some(jpeg.clone()),
                mpeg1: Some(mpeg1.clone()),
            };
            hub.upstream(&id, source.clone(), renditions)
        };
        let streams = (upstream(&main), upstream(&sub));
        let camera = Camera::new(
            id,
            "Cam".into(),
            "puppet",
            streams.0,
            Some(streams.1),
            false,
        );
        let camera = hub.add(camera).expect("a free name");
        Self {
            hub,
            camera,
            main,
            sub,
            jpeg,
            mpeg1,
        }
    }

    /// Waits for a state and a last failure.
    async fn wait_for(&self, state: &str, reason: Option<&str>) -> Option<LastFailure> {
        let mut changes = self.hub.changes();
        let limit = tokio::time::Instant::now() + Duration::from_secs(120);
        loop {
            let status = self.camera.status();
            let last = status.last_failure;
            let reported = last.as_ref().map(|last| last.reason.as_str());
            if status.state.name() == state && reported == reason {
                return last;
            }
            let changed = tokio::time::timeout_at(limit, changes.changed()).await;
            assert!(
                changed.is_ok(),
                "{:?}, {last:?} instead of {state}, {reason:?}",
                status.state
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_camera_without_viewers_still_reports_its_failure() {
    let stage = Stage::new(Does::Refuse("401: wrong user or password"));
    assert_eq!(stage.camera.status().last_failure, None);
    let viewer = stage.camera.follow(Quality::Main);
    let wrong = Some("401: wrong user or password");
    // From the first attempt on, even before the camera counts as failed.
    stage.wait_for("starting", wrong).await;
    let last = stage.wait_for("failed", wrong).await.expect("a failure");
    assert!(last.at.is_known());
    drop(viewer);
    stage.wait_for("idle", wrong).await;
    let viewer = stage.camera.follow(Quality::Main);
    stage.wait_for("starting", wrong).await;
    stage.main.0.send_replace(Does::Play(Codec::Jpeg));
    stage.wait_for("live", None).await;
    drop(viewer);
    stage.wait_for("idle", None).await;
}

#[tokio::test(start_paused = true)]
async fn a_stall_has_a_reason_and_ends_with_the_next_picture() {
    let stage = Stage::new(Does::Freeze(Codec::Jpeg));
    let _viewer = stage.camera.follow(Quality::Main);
    stage.wait_for("live", None).await;
    stage.wait_for("stalled", Some("no picture for 3 s")).await;
    let state = stage.camera.status().state;
    assert_eq!(state.reason(), Some("no picture for 3 s"));
    stage.wait_for("stalled", Some("no picture for 10 s")).await;
    stage.wait_for("live", None).await;
}

#[tokio::test(start_paused = true)]
async fn a_repeated_failure_is_not_a_change_but_updates_its_time() {
    let stage = Stage::new(Does::Refuse("busy"));
    let _viewer = stage.camera.follow(Quality::Main);
    let first = stage
        .wait_for("failed", Some("busy"))
        .await
        .expect("a failure");
    let revision = stage.camera.revision();
    let restarts = stage.camera.status().restarts;
    while stage.camera.status().restarts < restarts + 2 {
        sleep(Duration::from_secs(1)).await;
    }
    let again = stage.camera.status().last_failure.expect("a failure");
    assert!(again.at > first.at, "{again:?}");
    assert_eq!(stage.camera.revision(), revision);
    stage.main.0.send_replace(Does::Refuse("404"));
    stage.wait_for("failed", Some("404")).await;
    assert!(stage.camera.revision() > revision);
}

#[tokio::test(start_paused = true)]
async fn a_rendition_failure_ends_when_its_last_viewer_leaves_and_is_kept_as_last_failure() {
    let stage = Stage::new(Does::Play(Codec::H264));
    stage.jpeg.0.send_replace(Does::Refuse("no ffmpeg"));
    let viewer = stage.camera.follow(Quality::Main);
    stage.wait_for("failed", Some("no ffmpeg")).await;
    // An MPEG-1 viewer sees it play once there is no demand for JPEG.
    let mut other = stage.camera.follow_mpeg1(Quality::Main);
    other.next().await;
    drop(viewer);
    stage.wait_for("live", Some("no ffmpeg")).await;
    // A failure of the camera itself takes precedence.
    let viewer = stage.camera.follow(Quality::Main);
    stage.wait_for("failed", Some("no ffmpeg")).await;
    stage.main.0.send_replace(Does::Refuse("it left"));
    stage.wait_for("failed", Some("it left")).await;
    assert_eq!(stage.camera.status().state, State::Failed("it left".into()));
    stage.main.0.send_replace(Does::Play(Codec::H264));
    stage.jpeg.0.send_replace(Does::Play(Codec::Jpeg));
    stage.wait_for("live", None).await;
    drop((viewer, other));
}

#[tokio::test(start_paused = true)]
async fn a_camera_that_sends_jpeg_again_needs_no_rendition() {
    let stage = Stage::new(Does::Play(Codec::H264));
    stage.jpeg.0.send_replace(Does::Refuse("no ffmpeg"));
    let _viewer = stage.camera.follow(Quality::Main);
    stage.wait_for("failed", Some("no ffmpeg")).await;
    stage.main.0.send_replace(Does::Play(Codec::Jpeg));
    stage.wait_for("live", None).await;
}

#[tokio::test(start_paused = true)]
async fn failures_of_mpeg_1_and_the_substream_are_labelled() {
    let stage = Stage::new(Does::Play(Codec::Jpeg));
    stage.mpeg1.0.send_replace(Does::Refuse("no ffmpeg"));
    let _main = stage.camera.follow(Quality::Main);
    let viewer = stage.camera.follow_mpeg1(Quality::Main);
    stage.wait_for("live", Some("MPEG-1: no ffmpeg")).await;
    drop(viewer);
    stage.wait_for("live", None).await;
    // The main stream plays, so the camera is live; the substream's failure is reported
    // too.
    stage.sub.0.send_replace(Does::Refuse("404"));
    let _tile = stage.camera.follow(Quality::Sub);
    stage.wait_for("live", Some("substream: 404")).await;
    stage.sub.0.send_replace(Does::Play(Codec::Jpeg));
    stage.wait_for("live", None).await;
}

#[tokio::test(start_paused = true)]
async fn a_camera_is_stalled_while_its_jpeg_rendition_is() {
    let stage = Stage::new(Does::Play(Codec::H264));
    stage.jpeg.0.send_replace(Does::Stall);
    let viewer = stage.camera.follow(Quality::Main);
    let reason = "its JPEG rendition delivers nothing for 5 s";
    stage.wait_for("stalled", Some(reason)).await;
    let status = stage.camera.status();
    assert_eq!(status.state.reason(), Some(reason));
    assert_eq!(status.fps, 0.0);
    stage.jpeg.0.send_replace(Does::Play(Codec::Jpeg));
    stage.wait_for("live", None).await;
    // It counts only while JPEG is watched, and not after the rendition has failed.
    stage.jpeg.0.send_replace(Does::Stall);
    stage.wait_for("stalled", Some(reason)).await;
    let mut other = stage.camera.follow_mpeg1(Quality::Main);
    other.next().await;
    drop(viewer);
    stage.wait_for("live", Some(reason)).await;
}
