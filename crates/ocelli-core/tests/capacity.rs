//! Limits on media processing, on a paused clock: the largest picture, and the number of
//! concurrent renditions.

use ocelli_core::{
    Camera, Capacity, Codec, Failure, FailureKind, Follower, FrameBuffer, Hub, MediaLimits,
    Picture, Publisher, Quality, Rendition, Renditions, RunOnce, Source, State, SystemClock,
    Timestamp,
};
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

const REASON: &str =
    "its picture is 16000x16000, and the limit is 8192x8192: picture_size in [limits]";

/// Publishes pictures of these sizes, one per second, and then none.
struct Sizes {
    codec: Codec,
    sizes: Vec<(u16, u16)>,
    attempts: AtomicUsize,
}

impl Source for Sizes {
    fn run_once(self: Arc<Self>, publisher: Publisher) -> RunOnce {
        self.attempts.fetch_add(1, SeqCst);
        Box::pin(async move {
            for size in &self.sizes {
                publisher.publish(Picture {
                    codec: self.codec,
                    key: true,
                    captured: Timestamp::UNKNOWN,
                    size: Some(*size),
                    codec_string: None,
                    buffer: FrameBuffer::copy_from(b"picture"),
                });
                sleep(Duration::from_secs(1)).await;
            }
            pending().await
        })
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(3600)
    }
}

/// Converts each picture to a "JPEG" of this size, or times out without a result.
enum Rendered {
    Size(u16, u16),
    Never,
}

struct Renderer {
    rendered: Rendered,
    runs: Arc<AtomicUsize>,
}

impl Rendition for Renderer {
    fn run_once(self: Arc<Self>, mut input: Follower, publisher: Publisher) -> RunOnce {
        self.runs.fetch_add(1, SeqCst);
        Box::pin(async move {
            loop {
                input.next().await;
                let Rendered::Size(width, height) = self.rendered else {
                    sleep(Duration::from_secs(20)).await;
                    return Err(Failure::new(FailureKind::Silent, "it takes too long"));
                };
                let buffer = FrameBuffer::copy_from(b"derived");
                publisher.publish(Picture::jpeg(buffer, Some((width, height))));
            }
        })
    }
}

fn hub(limits: MediaLimits) -> Hub {
    Hub::with(
        Arc::new(SystemClock),
        Arc::new(Capacity::new(limits, |_, _| None)),
    )
}

struct Added {
    camera: Arc<Camera>,
    source: Arc<Sizes>,
    runs: Arc<AtomicUsize>,
}

fn add(hub: &Hub, room: &str, codec: Codec, sizes: &[(u16, u16)], rendered: Rendered) -> Added {
    let id = hub.resolve("live", room).expect("a name");
    let source = Arc::new(Sizes {
        codec,
        sizes: sizes.to_vec(),
        attempts: AtomicUsize::new(0),
    });
    let runs = Arc::new(AtomicUsize::new(0));
    let rendition: Arc<dyn Rendition> = Arc::new(Renderer {
        rendered,
        runs: runs.clone(),
    });
    let renditions = Renditions {
        jpeg: Some(rendition.clone()),
        mpeg1: Some(rendition),
    };
    let upstream = hub.upstream(&id, source.clone(), renditions);
    let camera = Camera::new(id, room.to_owned(), "sizes", upstream, None, false);
    Added {
        camera: hub.add(camera).expect("a free name"),
        source,
        runs,
    }
}

async fn until(hub: &Hub, camera: &Camera, wanted: impl Fn(&State) -> bool) -> State {
    let mut changes = hub.changes();
    loop {
        let state = camera.status().state;
        if wanted(&state) {
            return state;
        }
        let changed = timeout(Duration::from_secs(600), changes.changed()).await;
        changed
            .expect("the state changes")
            .expect("the hub is alive");
    }
}

fn failed(state: &State) -> bool {
    matches!(state, State::Failed(_))
}

#[tokio::test(start_paused = true)]
async fn a_camera_with_too_large_pictures_fails_with_the_limit_and_others_continue() {
    let hub = hub(MediaLimits::default());
    let bomb = [(16_000, 16_000); 2];
    let large = add(&hub, "large", Codec::Jpeg, &bomb, Rendered::Never);
    let other = add(
        &hub,
        "other",
        Codec::Jpeg,
        &[(640, 480); 9],
        Rendered::Never,
    );
    let mut sees = other.camera.follow(Quality::Main);
    let mut waits = large.camera.follow(Quality::Main);
    let state = until(&hub, &large.camera, failed).await;
    assert_eq!(state, State::Failed(REASON.to_owned()));
    assert!(waits.try_next().is_none(), "the picture is not sent");
    sees.next().await;
    assert_eq!(other.camera.status().state, State::Live);
    // Each attempt ends with its first such picture.
    let attempts = large.source.attempts.load(SeqCst) as u64;
    assert_eq!(hub.capacity().oversized(), attempts);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_becomes_too_large_is_ended_and_its_last_picture_is_kept() {
    let hub = hub(MediaLimits::default());
    let sizes = [(640, 480), (16_000, 16_000)];
    let Added { camera, source, .. } = add(&hub, "cam", Codec::Jpeg, &sizes, Rendered::Never);
    let mut viewer = camera.follow(Quality::Main);
    viewer.next().await;
    let stalled = |state: &State| matches!(state, State::Stalled(_));
    let state = until(&hub, &camera, stalled).await;
    assert_eq!(state, State::Stalled(REASON.to_owned()));
    assert!(viewer.try_next().is_none());
    assert_eq!(camera.status().size, Some((640, 480)));
    assert_eq!(source.attempts.load(SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn derived_pictures_have_the_same_limit() {
    let hub = hub(MediaLimits::default());
    let rendered = Rendered::Size(16_000, 16_000);
    let Added { camera, .. } = add(&hub, "cam", Codec::H264, &[(640, 480); 9], rendered);
    let mut viewer = camera.follow(Quality::Main);
    let state = until(&hub, &camera, failed).await;
    assert_eq!(state, State::Failed(REASON.to_owned()));
    assert!(viewer.try_next().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_rendition_over_the_limit_is_refused_and_starts_when_another_ends() {
    let hub = hub(MediaLimits {
        jpeg_renditions: 1,
        ..MediaLimits::default()
    });
    let add = |room| {
        let sizes = [(640, 480); 60];
        add(&hub, room, Codec::H264, &sizes, Rendered::Size(320, 240))
    };
    let (first, second) = (add("first"), add("second"));
    let mut early = first.camera.follow(Quality::Main);
    early.next().await;
    let mut late = second.camera.follow(Quality::Main);
    let state = until(&hub, &second.camera, failed).await;
    let reason = "the limit of 1 JPEG renditions is reached (jpeg_renditions in [limits]); \
                  one must end first";
    assert_eq!(state, State::Failed(reason.to_owned()));
    assert_eq!(second.runs.load(SeqCst), 0);
    let permits = hub.capacity().jpeg_renditions();
    assert_eq!((permits.running(), permits.refused()), (1, 1));
    // The other kind has a separate limit.
    second.camera.follow_mpeg1(Quality::Main).next().await;
    early.next().await;
    // The first ends after the grace period without viewers.
    let left = Instant::now();
    drop(early);
    late.next().await;
    let waited = left.elapsed();
    assert!((10..12).contains(&waited.as_secs()), "{waited:?}");
    assert_eq!(until(&hub, &second.camera, |_| true).await, State::Live);
    // A removed camera releases its permit as well.
    let mut third = first.camera.follow(Quality::Main);
    until(&hub, &first.camera, failed).await;
    hub.remove(second.camera.id());
    third.next().await;
    assert_eq!(first.camera.status().state, State::Live);
}

#[tokio::test(start_paused = true)]
async fn a_rendition_without_demand_is_not_started() {
    let hub = hub(MediaLimits {
        jpeg_renditions: 0,
        ..MediaLimits::default()
    });
    let rendered = Rendered::Size(320, 240);
    let Added { camera, runs, .. } = add(&hub, "cam", Codec::H264, &[(640, 480); 60], rendered);
    let kept = camera.follow_mpeg1(Quality::Main);
    let waits = camera.follow(Quality::Main);
    until(&hub, &camera, failed).await;
    drop(waits);
    let state = until(&hub, &camera, |state| !failed(state)).await;
    assert_eq!(state, State::Live);
    assert_eq!(runs.load(SeqCst), 1, "only the MPEG-1 rendition");
    assert_eq!(camera.mpeg1_refusal(Quality::Main), None);
    drop(kept);
}

#[tokio::test(start_paused = true)]
async fn a_rendition_that_times_out_without_a_picture_fails_at_once() {
    let hub = hub(MediaLimits::default());
    let sizes = [(640, 480); 300];
    let Added { camera, runs, .. } = add(&hub, "cam", Codec::H264, &sizes, Rendered::Never);
    let _viewer = camera.follow(Quality::Main);
    let started = Instant::now();
    let state = until(&hub, &camera, failed).await;
    assert_eq!(state, State::Failed("it takes too long".to_owned()));
    assert_eq!(started.elapsed().as_secs(), 20);
    // Retried after 2, 4, 8, 15 and then every 30 s.
    sleep(Duration::from_secs(280)).await;
    assert_eq!(runs.load(SeqCst), 8);
}
