//! The timeouts of a camera follow its own interval between pictures, on a paused clock.

use ocelli_core::{
    Camera, Failure, Follower, FrameBuffer, Hub, Picture, Publisher, Quality, Renditions, RunOnce,
    Source, State,
};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

/// Pauses in milliseconds before each picture after the first. Then the camera is silent.
type Script = Vec<u64>;

/// Plays its scripts, one for each attempt, and the last one again and again.
struct Scripted {
    rate: Option<f64>,
    scripts: Mutex<Vec<Script>>,
    begun: mpsc::UnboundedSender<Instant>,
}

async fn play(script: Script, publisher: Publisher) -> Result<(), Failure> {
    let show = || publisher.publish(Picture::jpeg(FrameBuffer::copy_from(b"jpeg"), None));
    show();
    for pause in script {
        sleep(Duration::from_millis(pause)).await;
        show();
    }
    std::future::pending().await
}

impl Source for Scripted {
    fn run_once(self: Arc<Self>, publisher: Publisher) -> RunOnce {
        let _ = self.begun.send(Instant::now());
        let mut scripts = self.scripts.lock().expect("not poisoned");
        let script = match scripts.len() {
            1 => scripts[0].clone(),
            _ => scripts.remove(0),
        };
        Box::pin(play(script, publisher))
    }

    fn rate(&self) -> Option<f64> {
        self.rate
    }
}

struct Stage {
    hub: Hub,
    camera: Arc<Camera>,
    attempts: mpsc::UnboundedReceiver<Instant>,
    began: Instant,
    _viewer: Follower,
}

fn stage(scripts: Vec<Script>) -> Stage {
    stage_with(scripts, None)
}

/// `rate`: the configured frame rate.
fn stage_with(scripts: Vec<Script>, rate: Option<f64>) -> Stage {
    let hub = Hub::default();
    let (begun, attempts) = mpsc::unbounded_channel();
    let source = Arc::new(Scripted {
        rate,
        scripts: Mutex::new(scripts),
        begun,
    });
    let id = hub.resolve("live", "cam").expect("a name");
    let upstream = hub.upstream(&id, source, Renditions::default());
    let camera = Camera::new(id, "Cam".into(), "scripted", upstream, None, false);
    let camera = hub.add(camera).expect("a free name");
    Stage {
        began: Instant::now(),
        _viewer: camera.follow(Quality::Main),
        hub,
        camera,
        attempts,
    }
}

impl Stage {
    /// Returns the times in seconds at which the camera became stalled, and the start of the
    /// second attempt.
    async fn stalls_until_the_second_attempt(&mut self) -> (Vec<f64>, f64) {
        let mut stalls = Vec::new();
        let mut changes = self.hub.changes();
        self.attempts.recv().await.expect("the first attempt");
        loop {
            tokio::select! {
                biased;
                _ = changes.changed() => {
                    if matches!(self.camera.status().state, State::Stalled(_)) {
                        stalls.push(self.began.elapsed().as_secs_f64());
                    }
                }
                begun = self.attempts.recv() => {
                    let begun = begun.expect("the second attempt") - self.began;
                    return (stalls, begun.as_secs_f64());
                }
            }
        }
    }
}

/// A camera that plays `script` and then freezes is stalled once, `stall` seconds after its
/// last picture, and restarted `patience` seconds after it.
async fn freezes(name: &str, script: Script, stall: f64, patience: f64) {
    let last = script.iter().sum::<u64>() as f64 / 1e3;
    let (stalls, again) = stage(vec![script]).stalls_until_the_second_attempt().await;
    // The end of the attempt repeats the state with the longer time.
    let &[first, end] = &stalls[..] else {
        panic!("{name}: {stalls:?} after the last picture at {last}");
    };
    let near = |found: f64, expected: f64| (found - last - expected).abs() < 0.3;
    assert!(
        near(first, stall) && near(end, patience) && near(again, patience),
        "{name}: {stalls:?} {again} after {last}, expected {stall} and {patience}"
    );
}

#[tokio::test(start_paused = true)]
async fn the_timeouts_follow_the_interval() {
    for (fps, stall, patience) in [
        (0.1, 20.0, 30.0),
        (0.2, 10.0, 15.0),
        (0.3, 6.7, 10.0),
        (1.0, 3.0, 10.0),
        (5.0, 3.0, 10.0),
        (30.0, 3.0, 10.0),
    ] {
        let interval = (1e3 / fps) as u64;
        for count in [1, 2, 3, 4, 20, 100] {
            let name = format!("{fps} fps, {count} intervals");
            freezes(&name, vec![interval; count], stall, patience).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_camera_with_one_picture_may_be_a_slow_one() {
    freezes("one picture", vec![], 12.0, 30.0).await;
    // Unless its rate is configured.
    let mut stage = stage_with(vec![vec![]], Some(24.0));
    let (stalls, again) = stage.stalls_until_the_second_attempt().await;
    assert!((stalls[0] - 3.0).abs() < 0.1, "{stalls:?}");
    assert!((again - 10.0).abs() < 0.5, "{again}");
    let mut stage = stage_with(vec![vec![]], Some(0.1));
    let (stalls, again) = stage.stalls_until_the_second_attempt().await;
    assert!((stalls[0] - 20.0).abs() < 0.1, "{stalls:?}");
    assert!((again - 30.0).abs() < 0.5, "{again}");
}

#[tokio::test(start_paused = true)]
async fn irregular_intervals_do_not_stall() {
    // Pseudo-random pauses from 3 to 10 s, each run with another seed.
    for seed in 1..40u64 {
        let mut state = seed;
        let mut pause = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            3000 + (state >> 33) % 7001
        };
        // The first pause is a long one, so that the range is known from the beginning.
        let mut script = vec![9000];
        script.extend((0..60).map(|_| pause()));
        let mut stage = stage(vec![script]);
        let (stalls, _) = stage.stalls_until_the_second_attempt().await;
        assert_eq!(stalls.len(), 2, "seed {seed}: {stalls:?}");
    }
    // Pictures in pairs.
    let pairs = (0..40).map(|at| if at % 2 == 0 { 5000 } else { 100 });
    freezes("pairs", pairs.collect(), 10.0, 15.0).await;
}

#[tokio::test(start_paused = true)]
async fn a_stall_after_a_slow_start_is_noticed_in_time() {
    for slow in [2000, 4000, 8000] {
        let mut script = vec![slow];
        script.extend([33; 30]);
        freezes("a slow start", script, 3.0, 10.0).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_camera_that_becomes_faster_gets_the_short_timeouts_back() {
    let mut script = vec![10_000; 6];
    script.extend([40; 8]);
    freezes("faster", script, 3.0, 10.0).await;
    let mut script = vec![10_000; 6];
    script.extend([1000; 8]);
    freezes("1 fps", script, 3.0, 10.0).await;
}

#[tokio::test(start_paused = true)]
async fn a_stall_after_a_stall_is_noticed_in_time() {
    // 25 pictures a second, 5 s of silence, a few pictures, silence.
    let mut script = vec![40; 50];
    script.push(5000);
    script.extend([40; 5]);
    let last = script.iter().sum::<u64>() as f64 / 1e3;
    let (stalls, again) = stage(vec![script]).stalls_until_the_second_attempt().await;
    let expected = [5.0, last + 3.0, last + 10.0];
    assert_eq!(stalls.len(), 3, "{stalls:?}");
    for (found, expected) in stalls.iter().zip(expected) {
        assert!((found - expected).abs() < 0.3, "{stalls:?}, last {last}");
    }
    assert!((again - last - 10.0).abs() < 0.3, "{again}");
}

#[tokio::test(start_paused = true)]
async fn a_camera_that_becomes_slower_is_followed() {
    // Within one attempt: 25 a second, then one every 5 s.
    let mut script = vec![40; 50];
    script.extend([5000; 20]);
    let (stalls, _) = stage(vec![script]).stalls_until_the_second_attempt().await;
    assert_eq!(stalls.len(), 4, "two at the change: {stalls:?}");
    // One every 10 s is beyond the patience, so the next attempt learns it.
    let mut script = vec![40; 50];
    script.extend([10_100; 20]);
    let mut stage = stage(vec![script, vec![10_100; 30]]);
    let (stalls, again) = stage.stalls_until_the_second_attempt().await;
    assert_eq!(stalls.len(), 2, "{stalls:?}");
    assert!((again - 12.0).abs() < 0.5, "{again}");
    stage.began = Instant::now();
    let mut changes = stage.hub.changes();
    let calm = async {
        loop {
            changes.changed().await.expect("the hub is alive");
            if !matches!(stage.camera.status().state, State::Live) {
                return;
            }
        }
    };
    let calm = tokio::time::timeout(Duration::from_secs(300), calm).await;
    assert!(calm.is_err(), "{:?}", stage.camera.status());
}

#[tokio::test(start_paused = true)]
async fn a_known_camera_keeps_its_timeouts_in_the_next_attempt() {
    // The interval is forgotten only after a silence, not after the end of a stream.
    struct Ends(mpsc::UnboundedSender<Instant>);
    impl Source for Ends {
        fn run_once(self: Arc<Self>, publisher: Publisher) -> RunOnce {
            let _ = self.0.send(Instant::now());
            Box::pin(async move {
                for _ in 0..4 {
                    publisher.publish(Picture::jpeg(FrameBuffer::copy_from(b"jpeg"), None));
                    sleep(Duration::from_secs(10)).await;
                }
                Ok(())
            })
        }
    }
    let hub = Hub::default();
    let id = hub.resolve("live", "cam").expect("a name");
    let (begun, mut attempts) = mpsc::unbounded_channel();
    let upstream = hub.upstream(&id, Arc::new(Ends(begun)), Renditions::default());
    let camera = Camera::new(id, "Cam".into(), "ends", upstream, None, false);
    let camera = hub.add(camera).expect("a free name");
    let _viewer = camera.follow(Quality::Main);
    for _ in 0..3 {
        attempts.recv().await.expect("an attempt");
        sleep(Duration::from_millis(39_900)).await;
        assert_eq!(camera.status().state, State::Live);
    }
}
