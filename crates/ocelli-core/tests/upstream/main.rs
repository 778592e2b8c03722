//! The lifecycle of an upstream with demand, crashes and silence, on a paused clock.

mod renditions;
mod stage;

use ocelli_core::{
    Camera, Endpoint, FailureKind, FrameBuffer, Hub, Picture, Publisher, Quality, Renditions,
    RunOnce, Source, State,
};
use stage::{Behaviour, Puppet, Refusing, Stage, hub_camera, kept_stage, settle, stage};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, advance, sleep};

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
async fn a_wrong_password_is_tried_once_a_second_over_all_streams_of_a_host() {
    let hub = Hub::default();
    let endpoint =
        |stream: &str| Endpoint::new("10.0.0.7:554", stream).with_account("10.0.0.7", "viewer");
    let began = Instant::now();
    let (times, mut refused) = mpsc::unbounded_channel();
    let refuse = |room: &'static str, endpoint| {
        let source = Arc::new(Refusing(room, times.clone()));
        hub_camera(&hub, room, endpoint, source)
    };
    let main = refuse("main", endpoint("/main"));
    let sub = refuse("sub", endpoint("/sub"));
    let other = refuse(
        "other",
        Endpoint::new("10.0.0.7:554", "/main").with_account("10.0.0.7", "admin"),
    );
    let _viewers = [&main, &sub, &other].map(|camera| camera.follow(Quality::Main));
    let mut all = Vec::new();
    while all.len() < 12 {
        let (room, at) = refused.recv().await.expect("an attempt");
        if room != "other" {
            all.push(at - began);
        } else {
            assert!(all.len() > 1 || at == began, "another user does not wait");
        }
    }
    for pair in all.windows(2) {
        assert!(pair[1] - pair[0] >= Duration::from_secs(1), "{all:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_that_has_accepted_the_password_is_not_slowed_down() {
    let hub = Hub::default();
    let began = Instant::now();
    let mut viewers = Vec::new();
    for room in ["one", "two", "three"] {
        let (attempts, _) = watch::channel(0);
        let source = Arc::new(Puppet {
            attempts,
            running: Arc::default(),
            behaviour: Behaviour::Plays,
        });
        let endpoint = Endpoint::new("10.0.0.7:554", room).with_account("10.0.0.7", "viewer");
        viewers.push(hub_camera(&hub, room, endpoint, source).follow(Quality::Main));
    }
    for viewer in &mut viewers {
        viewer.next().await;
    }
    assert!(
        began.elapsed() < Duration::from_millis(100),
        "{:?}",
        began.elapsed()
    );
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
