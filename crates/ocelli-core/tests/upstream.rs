//! The lifecycle of an upstream with demand, crashes and silence, on a paused clock.

use ocelli_core::{
    Camera, Codec, Failure, FailureKind, FrameBuffer, Hub, Picture, Publisher, Quality, Rendition,
    Renditions, RunOnce, Source, State, Timestamp,
};
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, advance, sleep};

/// A scripted camera.
struct Puppet {
    attempts: watch::Sender<usize>,
    running: Arc<AtomicUsize>,
    behaviour: Behaviour,
}

#[derive(Clone, Copy)]
enum Behaviour {
    /// One picture at once and then one each second.
    Plays,
    /// Two pictures, then silence.
    Freezes,
    /// Fails at once.
    Refuses,
    /// Fails at the first attempts, then plays.
    RefusesUntil(usize),
    /// Continuous H.264.
    PlaysNative,
    /// Fails at once, for another reason.
    Dead,
    /// Panics, as a defect in the source would.
    Panics,
}

struct Running(Arc<AtomicUsize>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Source for Puppet {
    fn run_once(self: Arc<Self>, publisher: Publisher) -> RunOnce {
        self.attempts.send_modify(|attempts| *attempts += 1);
        self.running.fetch_add(1, Ordering::SeqCst);
        let running = Running(self.running.clone());
        let attempt = *self.attempts.borrow();
        Box::pin(async move {
            let _running = running;
            let refusal = || Failure::new(FailureKind::Unauthorized, "401: wrong user or password");
            let jpeg = || Picture::jpeg(FrameBuffer::copy_from(b"jpeg"), Some((320, 240)));
            match self.behaviour {
                Behaviour::Refuses => return Err(refusal()),
                Behaviour::RefusesUntil(good) if attempt < good => return Err(refusal()),
                Behaviour::Dead => {
                    let failure = Failure::new(FailureKind::Unreachable, "no route to host");
                    return Err(failure);
                }
                Behaviour::Panics => panic!("a defect of the source"),
                Behaviour::Freezes => {
                    publisher.publish(jpeg());
                    sleep(Duration::from_millis(10)).await;
                    publisher.publish(jpeg());
                    return pending().await;
                }
                Behaviour::Plays | Behaviour::RefusesUntil(_) | Behaviour::PlaysNative => {}
            }
            loop {
                publisher.publish(match self.behaviour {
                    Behaviour::PlaysNative => Picture {
                        codec: Codec::H264,
                        key: true,
                        captured: Timestamp(7),
                        size: Some((640, 480)),
                        codec_string: None,
                        buffer: FrameBuffer::copy_from(b"unit"),
                    },
                    _ => jpeg(),
                });
                sleep(Duration::from_secs(1)).await;
            }
        })
    }
}

/// A rendition that converts each access unit to a "JPEG".
struct Echo(Arc<AtomicUsize>);

impl Rendition for Echo {
    fn run_once(
        self: Arc<Self>,
        mut input: ocelli_core::Follower,
        publisher: Publisher,
    ) -> RunOnce {
        self.0.fetch_add(1, Ordering::SeqCst);
        let running = Running(self.0.clone());
        Box::pin(async move {
            let _running = running;
            loop {
                let unit = input.next().await;
                let mut picture = Picture::jpeg(FrameBuffer::copy_from(b"derived"), None);
                picture.captured = unit.captured;
                publisher.publish(picture);
            }
        })
    }
}

struct Stage {
    hub: Hub,
    camera: Arc<Camera>,
    attempts: watch::Receiver<usize>,
    running: Arc<AtomicUsize>,
    renditions: Arc<AtomicUsize>,
    mpeg1: Arc<AtomicUsize>,
}

fn stage(behaviour: Behaviour) -> Stage {
    kept_stage(behaviour, false)
}

/// `keep`: it stays connected without viewers.
fn kept_stage(behaviour: Behaviour, keep: bool) -> Stage {
    let hub = Hub::default();
    let running = Arc::new(AtomicUsize::new(0));
    let renditions = Arc::new(AtomicUsize::new(0));
    let mpeg1 = Arc::new(AtomicUsize::new(0));
    let attempts = watch::Sender::new(0);
    let receiver = attempts.subscribe();
    let source = Arc::new(Puppet {
        attempts,
        running: running.clone(),
        behaviour,
    });
    let id = hub.resolve("live", "cam").expect("a name");
    let upstream = hub.upstream(
        &id,
        source,
        Renditions {
            jpeg: Some(Arc::new(Echo(renditions.clone()))),
            mpeg1: Some(Arc::new(Echo(mpeg1.clone()))),
        },
    );
    let camera = Camera::new(id, "Cam".into(), "puppet", upstream, None, keep);
    let camera = hub.add(camera).expect("a free name");
    Stage {
        hub,
        camera,
        attempts: receiver,
        running,
        renditions,
        mpeg1,
    }
}

impl Stage {
    fn state(&self) -> State {
        self.camera.status().state
    }

    async fn until(&self, wanted: impl Fn(&State) -> bool) {
        let mut changes = self.hub.changes();
        while !wanted(&self.state()) {
            changes.changed().await.expect("the hub is alive");
        }
    }

    fn running(&self) -> usize {
        self.running.load(Ordering::SeqCst)
    }
}

/// Runs all ready tasks without advancing the clock.
async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_viewer_starts_the_upstream_and_the_grace_period_keeps_it_running() {
    let stage = stage(Behaviour::Plays);
    assert_eq!((stage.state(), stage.running()), (State::Idle, 0));
    let mut one = stage.camera.follow(Quality::Main);
    let mut two = stage.camera.follow(Quality::Main);
    one.next().await;
    two.next().await;
    assert_eq!((stage.state(), *stage.attempts.borrow()), (State::Live, 1));

    drop((one, two));
    sleep(Duration::from_secs(9)).await;
    assert_eq!(stage.running(), 1, "it survives a page reload");
    let mut back = stage.camera.follow(Quality::Main);
    back.next().await;
    sleep(Duration::from_secs(30)).await;
    assert_eq!((stage.running(), *stage.attempts.borrow()), (1, 1));

    drop(back);
    stage.until(|state| *state == State::Idle).await;
    settle().await;
    assert_eq!(stage.running(), 0, "nothing runs while idle");
    assert!(
        !stage.camera.status().taken.is_known(),
        "an idle camera has no picture"
    );
}

#[tokio::test(start_paused = true)]
async fn an_upstream_stops_ten_seconds_after_the_last_viewer() {
    let stage = stage(Behaviour::Plays);
    let mut viewer = stage.camera.follow(Quality::Main);
    viewer.next().await;
    let left = Instant::now();
    drop(viewer);
    stage.until(|state| *state == State::Idle).await;
    let lingered = left.elapsed();
    assert!(
        (Duration::from_secs(10)..Duration::from_secs(11)).contains(&lingered),
        "{lingered:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn three_crashes_in_thirty_seconds_count_as_failed_with_the_reason() {
    let mut stage = stage(Behaviour::Refuses);
    let _viewer = stage.camera.follow(Quality::Main);
    stage
        .attempts
        .wait_for(|attempts| *attempts == 2)
        .await
        .expect("attempts");
    assert_eq!(
        stage.state(),
        State::Starting,
        "two crashes are not yet a failure"
    );
    let reason = "401: wrong user or password";
    stage
        .until(|state| *state == State::Failed(reason.into()))
        .await;
    assert_eq!(*stage.attempts.borrow(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_failed_camera_is_retried_with_backoff_while_watched_and_recovers() {
    let mut stage = stage(Behaviour::RefusesUntil(6));
    let viewer = stage.camera.follow(Quality::Main);
    let mut times = Vec::new();
    for attempt in 3..=6 {
        stage
            .attempts
            .wait_for(|attempts| *attempts >= attempt)
            .await
            .expect("attempts");
        times.push(Instant::now());
    }
    let waits: Vec<_> = times
        .windows(2)
        .map(|pair| (pair[1] - pair[0]).as_secs())
        .collect();
    assert_eq!(waits, [2, 4, 8]);
    stage.until(|state| *state == State::Live).await;
    drop(viewer);
}

/// Returns the seconds between the first `count` attempts.
async fn waits(stage: &mut Stage, count: usize) -> Vec<f64> {
    let mut times = Vec::new();
    for attempt in 1..=count {
        let reached = stage.attempts.wait_for(|attempts| *attempts >= attempt);
        reached.await.expect("attempts");
        times.push(Instant::now());
    }
    let waits = times.windows(2).map(|pair| pair[1] - pair[0]);
    waits.map(tenths).collect()
}

fn tenths(wait: Duration) -> f64 {
    (wait.as_secs_f64() * 10.0).round() / 10.0
}

#[tokio::test(start_paused = true)]
async fn a_wrong_password_is_tried_at_most_once_a_second_and_soon_less_often() {
    let mut stage = stage(Behaviour::Refuses);
    let _viewer = stage.camera.follow(Quality::Main);
    let waits = waits(&mut stage, 9).await;
    assert_eq!(waits, [1.0, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 30.0]);
}

#[tokio::test(start_paused = true)]
async fn a_watched_camera_is_retried_at_least_every_five_seconds() {
    let mut stage = stage(Behaviour::Dead);
    let _viewer = stage.camera.follow(Quality::Main);
    let waits = waits(&mut stage, 9).await;
    assert_eq!(waits, [0.3, 0.3, 2.0, 4.0, 5.0, 5.0, 5.0, 5.0]);
}

#[tokio::test(start_paused = true)]
async fn a_camera_kept_without_viewers_is_retried_less_often_until_it_is_watched() {
    let mut stage = kept_stage(Behaviour::Dead, true);
    let slow = waits(&mut stage, 9).await;
    assert_eq!(slow, [0.3, 0.3, 2.0, 4.0, 8.0, 15.0, 30.0, 30.0]);
    sleep(Duration::from_secs(10)).await;
    let came = Instant::now();
    let _viewer = stage.camera.follow(Quality::Main);
    let reached = stage.attempts.wait_for(|attempts| *attempts >= 10);
    reached.await.expect("attempts");
    assert!(came.elapsed() < Duration::from_secs(1), "at once");
    let reached = stage.attempts.wait_for(|attempts| *attempts >= 11);
    reached.await.expect("attempts");
    assert_eq!(came.elapsed().as_secs(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_failed_camera_without_viewers_goes_idle() {
    let stage = stage(Behaviour::Refuses);
    let viewer = stage.camera.follow(Quality::Main);
    stage.until(|state| matches!(state, State::Failed(_))).await;
    drop(viewer);
    stage.until(|state| *state == State::Idle).await;
    let attempts = *stage.attempts.borrow();
    advance(Duration::from_secs(300)).await;
    settle().await;
    assert_eq!(*stage.attempts.borrow(), attempts);
}

#[tokio::test(start_paused = true)]
async fn a_retry_shortens_the_backoff_to_two_seconds() {
    let mut stage = stage(Behaviour::Refuses);
    let _viewer = stage.camera.follow(Quality::Main);
    stage
        .attempts
        .wait_for(|attempts| *attempts == 5)
        .await
        .expect("attempts");
    settle().await;
    let pressed = Instant::now();
    stage.camera.retry();
    stage
        .attempts
        .wait_for(|attempts| *attempts == 6)
        .await
        .expect("attempts");
    // The backoff after the fifth crash is 8 s; a retry waits at least 2 s.
    assert_eq!(pressed.elapsed().as_secs(), 2);
    for _ in 0..100 {
        stage.camera.retry();
        sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(*stage.attempts.borrow(), 6);
}

#[tokio::test(start_paused = true)]
async fn silence_counts_as_a_stall_and_later_as_a_crash() {
    let mut stage = stage(Behaviour::Freezes);
    let mut viewer = stage.camera.follow(Quality::Main);
    viewer.next().await;
    let began = Instant::now();
    let reason = "no picture for 3 s".to_owned();
    stage
        .until(|state| *state == State::Stalled(reason.clone()))
        .await;
    assert!(began.elapsed() < Duration::from_secs(4));
    stage
        .attempts
        .wait_for(|attempts| *attempts == 2)
        .await
        .expect("attempts");
    let silent = began.elapsed();
    assert!(
        (Duration::from_secs(10)..Duration::from_secs(11)).contains(&silent),
        "{silent:?}"
    );
    let again = viewer.next().await;
    assert!(again.discontinuity, "viewers see the gap");
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_source_crashes_only_that_camera() {
    let stage = stage(Behaviour::Panics);
    let _viewer = stage.camera.follow(Quality::Main);
    stage.until(|state| matches!(state, State::Failed(_))).await;
}

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

#[tokio::test(start_paused = true)]
async fn viewers_that_come_and_go_at_any_time_leave_at_most_one_source() {
    let stage = stage(Behaviour::Plays);
    let (sender, mut receiver) = mpsc::channel(1);
    for step in 0..200u64 {
        let viewer = stage.camera.follow(Quality::Main);
        let sender = sender.clone();
        tokio::spawn(async move {
            sleep(Duration::from_millis(step * 331 % 12_000)).await;
            drop(viewer);
            drop(sender);
        });
        sleep(Duration::from_millis(step * 7919 % 11_000)).await;
        assert!(stage.running() <= 1);
    }
    drop(sender);
    let _: Option<()> = receiver.recv().await;
    stage.until(|state| *state == State::Idle).await;
    settle().await;
    assert_eq!(stage.running(), 0);
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

/// A source that is configured to deliver a picture every ten seconds.
struct Seldom;

impl Source for Seldom {
    fn run_once(self: Arc<Self>, publisher: Publisher) -> RunOnce {
        Box::pin(async move {
            loop {
                publisher.publish(Picture::jpeg(FrameBuffer::copy_from(b"jpeg"), None));
                sleep(Duration::from_secs(10)).await;
            }
        })
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(30)
    }
}

#[tokio::test(start_paused = true)]
async fn a_camera_with_a_long_interval_does_not_stall_between_pictures() {
    let hub = Hub::default();
    let id = hub.resolve("live", "cam").expect("a name");
    let upstream = hub.upstream(&id, Arc::new(Seldom), Renditions::default());
    let camera = hub
        .add(Camera::new(
            id,
            "Cam".into(),
            "seldom",
            upstream,
            None,
            false,
        ))
        .expect("a free name");
    let mut viewer = camera.follow(Quality::Main);
    viewer.next().await;
    for _ in 0..60 {
        sleep(Duration::from_secs(1)).await;
        assert_eq!(camera.status().state, State::Live);
    }
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

#[tokio::test(start_paused = true)]
async fn try_once_makes_one_attempt_and_leaves_nothing_running() {
    let refusing = stage(Behaviour::Refuses);
    let failure = refusing.camera.try_once().await.expect_err("no picture");
    assert_eq!(failure.kind, FailureKind::Unauthorized);
    sleep(Duration::from_secs(60)).await;
    assert_eq!(*refusing.attempts.borrow(), 1);

    let native = stage(Behaviour::PlaysNative);
    let frame = native.camera.try_once().await.expect("a picture");
    assert_eq!(frame.payload()[..], b"derived"[..]);
    settle().await;
    assert_eq!(native.running.load(Ordering::SeqCst), 0);
    assert_eq!(native.renditions.load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn a_replaced_camera_is_stopped_permanently() {
    let stage = stage(Behaviour::Plays);
    let (old, mut stopped) = (stage.camera.clone(), stage.camera.stopped());
    let mut viewer = old.follow(Quality::Main);
    viewer.next().await;
    let renamed = old.revision();
    stage.hub.rename(&old, "Another name".to_owned());
    assert_eq!(old.name(), "Another name");
    assert!(old.revision() > renamed && !*stopped.borrow_and_update());
    assert_eq!(*stage.attempts.borrow(), 1);

    let id = old.id().clone();
    let source: Arc<dyn Source> = Arc::new(Puppet {
        attempts: watch::Sender::new(0),
        running: Arc::default(),
        behaviour: Behaviour::Plays,
    });
    let upstream = stage.hub.upstream(&id, source, Renditions::default());
    let camera = Camera::new(
        id.clone(),
        "New".to_owned(),
        "puppet",
        upstream,
        None,
        false,
    );
    let new = stage.hub.replace(camera).expect("the camera exists");
    assert!(*stopped.borrow_and_update());
    assert!(Arc::ptr_eq(&stage.hub.cameras()[0], &new));
    settle().await;
    assert_eq!(stage.running.load(Ordering::SeqCst), 0);
    // A viewer of the old camera does not start it.
    let _late = old.follow(Quality::Main);
    sleep(Duration::from_secs(5)).await;
    assert_eq!(stage.running.load(Ordering::SeqCst), 0);
    new.follow(Quality::Main).next().await;
    stage.hub.remove(&id).expect("the new camera");
    assert!(*new.stopped().borrow());
}
