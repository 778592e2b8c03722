//! Renditions run only while they are watched, and are not restarted in a loop.

use crate::stage::{Behaviour, Puppet, settle, stage};
use ocelli_core::{
    Camera, Failure, FailureKind, Hub, Publisher, Quality, Rendition, Renditions, RunOnce, State,
    Timestamp,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::sleep;

#[tokio::test(start_paused = true)]
async fn a_native_stream_is_rendered_only_while_jpeg_is_watched() {
    let stage = stage(Behaviour::PlaysNative);
    let mut one = stage.camera.follow(Quality::Main);
    let mut two = stage.camera.follow(Quality::Main);
    let frame = one.next().await;
    two.next().await;
    assert_eq!(&frame.payload()[..], b"derived");
    assert_eq!(
        frame.captured,
        Timestamp(7),
        "the time of the picture, not of the encoding"
    );
    assert_eq!(
        stage.renditions.load(Ordering::SeqCst),
        1,
        "one rendition for all viewers"
    );
    drop((one, two));
    stage.until(|state| *state == State::Idle).await;
    settle().await;
    assert_eq!(stage.renditions.load(Ordering::SeqCst), 0);
}

/// A rendition that ends at once.
struct Broken(Arc<AtomicUsize>);

impl Rendition for Broken {
    fn run_once(self: Arc<Self>, _: ocelli_core::Follower, _: Publisher) -> RunOnce {
        self.0.fetch_add(1, Ordering::SeqCst);
        let failure = Failure::new(FailureKind::Missing, "ffmpeg is not installed");
        Box::pin(async move { Err(failure) })
    }
}

#[tokio::test(start_paused = true)]
async fn repeated_retries_do_not_restart_a_rendition_in_a_loop() {
    let hub = Hub::default();
    let runs = Arc::new(AtomicUsize::new(0));
    let source = Arc::new(Puppet {
        attempts: watch::Sender::new(0),
        running: Arc::default(),
        behaviour: Behaviour::PlaysNative,
    });
    let id = hub.resolve("live", "cam").expect("a name");
    let upstream = hub.upstream(
        &id,
        source,
        Renditions {
            jpeg: Some(Arc::new(Broken(runs.clone()))),
            mpeg1: None,
        },
    );
    let camera = hub
        .add(Camera::new(
            id,
            "Cam".into(),
            "puppet",
            upstream,
            None,
            false,
        ))
        .expect("a free name");
    let _viewer = camera.follow(Quality::Main);
    for _ in 0..1000 {
        camera.retry();
        sleep(Duration::from_millis(1)).await;
    }
    let runs = runs.load(Ordering::SeqCst);
    assert!((2..=5).contains(&runs), "{runs} in a second");
}

#[tokio::test(start_paused = true)]
async fn mpeg_1_is_encoded_from_any_stream_and_only_while_it_is_watched() {
    for (behaviour, bytes) in [
        (Behaviour::Plays, b"derived"),
        (Behaviour::PlaysNative, b"derived"),
    ] {
        let stage = stage(behaviour);
        let mut viewer = stage.camera.follow_mpeg1(Quality::Main);
        assert_eq!(&viewer.next().await.payload()[..], bytes);
        let running = |count: &AtomicUsize| count.load(Ordering::SeqCst);
        assert_eq!((running(&stage.mpeg1), running(&stage.renditions)), (1, 0));
        // The encoder follows the camera's native stream but does not count as a viewer.
        sleep(Duration::from_secs(5)).await;
        let status = stage.camera.status();
        assert_eq!((status.viewers, status.dropped), (1, 0));
        // Missed frames are counted as for JPEG.
        viewer.next().await;
        sleep(Duration::from_secs(3)).await;
        viewer.next().await;
        assert!(stage.camera.status().dropped >= 2);

        // JPEG continues without it.
        let _jpeg = stage.camera.follow(Quality::Main);
        drop(viewer);
        sleep(Duration::from_secs(9)).await;
        assert_eq!(running(&stage.mpeg1), 1, "it survives a page reload");
        sleep(Duration::from_secs(2)).await;
        assert_eq!(running(&stage.mpeg1), 0);
        assert_eq!(stage.running(), 1);
    }
}
