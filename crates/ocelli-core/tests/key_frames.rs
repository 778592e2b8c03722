//! Cameras with long intervals between key frames, on a paused clock: media data counts as
//! life, and the wait for a key frame follows the intervals seen.

use ocelli_core::{
    Camera, Codec, Failure, FailureKind, Follower, FrameBuffer, Hub, Picture, Publisher, Quality,
    Rendition, Renditions, RunOnce, SoundCodec, SoundFormat, Source, State, Timestamp,
};
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};

const FRAME: Duration = Duration::from_millis(40);

/// What the camera does in an attempt.
#[derive(Clone, Copy)]
enum Attempt {
    /// Joins its stream in the middle of a group: a key frame after `first` and then every
    /// `every`, with other frames in between. Ends after `lasts`.
    Plays {
        first: Duration,
        every: Duration,
        lasts: Duration,
    },
    /// Sends data for this long, and never a key frame.
    NeverKey(Duration),
    /// Sends only sound.
    Sound,
}

struct Script {
    attempts: Vec<Attempt>,
    begun: mpsc::UnboundedSender<Instant>,
    count: watch::Sender<usize>,
}

impl Source for Script {
    fn run_once(self: Arc<Self>, publisher: Publisher) -> RunOnce {
        let at = *self.count.borrow();
        self.count.send_modify(|count| *count += 1);
        let _ = self.begun.send(Instant::now());
        let attempt = self.attempts[at.min(self.attempts.len() - 1)];
        Box::pin(play(attempt, publisher))
    }
}

/// A rendition that makes nothing.
struct Idle;

impl Rendition for Idle {
    fn run_once(self: Arc<Self>, _: Follower, _: Publisher) -> RunOnce {
        Box::pin(pending())
    }
}

fn renditions() -> Renditions {
    Renditions {
        jpeg: Some(Arc::new(Idle)),
        mpeg1: None,
    }
}

fn unit(key: bool) -> Picture {
    Picture {
        codec: Codec::H264,
        key,
        captured: Timestamp::UNKNOWN,
        size: None,
        codec_string: None,
        buffer: FrameBuffer::copy_from(b"unit"),
    }
}

async fn play(attempt: Attempt, publisher: Publisher) -> Result<(), Failure> {
    let began = Instant::now();
    let mut keys = 0;
    let mut next = began;
    loop {
        let passed = next - began;
        match attempt {
            Attempt::Plays { lasts, .. } if passed >= lasts => {
                return Err(Failure::new(FailureKind::Ended, "unplugged"));
            }
            Attempt::Plays { first, every, .. } if passed >= first + every * keys => {
                keys += 1;
                publisher.publish(unit(true));
            }
            Attempt::Plays { .. } if keys > 0 => publisher.publish(unit(false)),
            Attempt::NeverKey(talks) if passed >= talks => return pending().await,
            Attempt::Sound => {
                publisher.set_sound(Some(SoundFormat {
                    codec: SoundCodec::PcmA,
                    codec_string: "alaw".to_owned(),
                    rate: 8000,
                    channels: 1,
                    config: Vec::new(),
                }));
                publisher.publish_sound(Timestamp::UNKNOWN, b"sound");
            }
            _ => publisher.note_received(),
        }
        next += FRAME;
        sleep_until(next).await;
    }
}

struct Stage {
    hub: Hub,
    camera: Arc<Camera>,
    begun: mpsc::UnboundedReceiver<Instant>,
    began: Instant,
    _viewer: Follower,
}

impl Stage {
    fn new(attempts: &[Attempt]) -> Self {
        let hub = Hub::default();
        let (sender, begun) = mpsc::unbounded_channel();
        let source = Arc::new(Script {
            attempts: attempts.to_vec(),
            begun: sender,
            count: watch::Sender::new(0),
        });
        let id = hub.resolve("live", "cam").expect("a name");
        let upstream = hub.upstream(&id, source, renditions());
        let camera = Camera::new(id, "Cam".into(), "script", upstream, None, false);
        let camera = hub.add(camera).expect("a free name");
        Self {
            began: Instant::now(),
            _viewer: camera.follow(Quality::Main),
            hub,
            camera,
            begun,
        }
    }

    fn state(&self) -> State {
        self.camera.status().state
    }

    /// Waits for a state. Returns the time since the beginning in seconds.
    async fn until(&self, name: &str) -> u64 {
        let mut changes = self.hub.changes();
        let reached = async {
            while self.state().name() != name {
                changes.changed().await.expect("the hub is alive");
            }
        };
        let reached = timeout(seconds(1000), reached).await;
        reached.unwrap_or_else(|_| panic!("it never became {name}"));
        self.began.elapsed().as_secs()
    }

    /// Waits for the next attempt. Returns the time since the beginning in seconds.
    async fn attempt(&mut self) -> u64 {
        let begun = self.begun.recv().await.expect("an attempt");
        (begun - self.began).as_secs()
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn plays(first: u64, every: u64, lasts: u64) -> Attempt {
    Attempt::Plays {
        first: seconds(first),
        every: seconds(every),
        lasts: seconds(lasts),
    }
}

#[tokio::test(start_paused = true)]
async fn a_camera_with_long_key_intervals_plays_in_one_attempt_and_again_after_a_break() {
    for every in [20, 60] {
        let first = every - 1;
        let mut stage = Stage::new(&[plays(first, every, 4 * every), plays(first, every, 1000)]);
        assert_eq!(stage.attempt().await, 0);
        sleep(seconds(first) - FRAME).await;
        assert_eq!(stage.state(), State::Starting, "no picture yet");
        assert_eq!(stage.until("live").await, first);
        // The break.
        assert_eq!(stage.until("stalled").await, 4 * every);
        assert_eq!(stage.attempt().await, 4 * every);
        assert_eq!(stage.until("live").await, 4 * every + first);
        sleep(seconds(300)).await;
        assert!(stage.begun.try_recv().is_err(), "another attempt");
    }
}

#[tokio::test(start_paused = true)]
async fn a_camera_that_never_sends_a_key_frame_is_ended_with_the_reason() {
    let mut stage = Stage::new(&[Attempt::NeverKey(seconds(10_000))]);
    stage.attempt().await;
    let failed = stage.until("failed").await;
    assert_eq!(failed, 90);
    let reason = "sends video, but no key frame for 90 s";
    assert_eq!(stage.state().reason(), Some(reason));
    // The next attempt receives data, so the camera is starting; the failure stays the last one.
    let again = stage.until("starting").await;
    assert!((91..=100).contains(&again), "{again}");
    let last = stage.camera.status().last_failure.expect("the reason");
    assert_eq!(last.reason, reason);
}

#[tokio::test(start_paused = true)]
async fn a_camera_that_stops_sending_before_its_first_key_frame_is_ended_soon() {
    let mut stage = Stage::new(&[Attempt::NeverKey(seconds(5))]);
    stage.attempt().await;
    assert_eq!(stage.attempt().await, 15);
    let last = stage.camera.status().last_failure.expect("the reason");
    assert_eq!(last.reason, "connected, but no picture for 10 s");
}

#[tokio::test(start_paused = true)]
async fn sound_is_no_sign_of_life() {
    let mut stage = Stage::new(&[Attempt::Sound]);
    stage.attempt().await;
    assert_eq!(stage.attempt().await, 10);
    let last = stage.camera.status().last_failure.expect("the reason");
    assert_eq!(last.reason, "connected, but no picture for 10 s");
}

#[tokio::test(start_paused = true)]
async fn the_wait_for_a_key_frame_follows_the_interval_seen() {
    // Key frames every 2 s, then attempts without any: the first is ended soon, and the wait
    // after it is long again, because the camera's interval may have changed.
    let never = Attempt::NeverKey(seconds(10_000));
    let mut stage = Stage::new(&[plays(0, 2, 20), never, never, plays(80, 80, 1000)]);
    let mut times = Vec::new();
    for _ in 0..4 {
        times.push(stage.attempt().await);
    }
    assert_eq!(times[..3], [0, 20, 30]);
    assert!((120..=130).contains(&times[3]), "{times:?}");
    assert_eq!(stage.until("live").await, times[3] + 80);
}

#[tokio::test(start_paused = true)]
async fn frames_before_the_first_key_frame_do_not_make_a_camera_live() {
    struct NoKey;
    impl Source for NoKey {
        fn run_once(self: Arc<Self>, publisher: Publisher) -> RunOnce {
            Box::pin(async move {
                loop {
                    publisher.publish(unit(false));
                    sleep(FRAME).await;
                }
            })
        }
    }
    let hub = Hub::default();
    let id = hub.resolve("live", "cam").expect("a name");
    let upstream = hub.upstream(&id, Arc::new(NoKey), renditions());
    let camera = Camera::new(id, "Cam".into(), "no-key", upstream, None, false);
    let camera = hub.add(camera).expect("a free name");
    let _viewer = camera.follow(Quality::Main);
    sleep(seconds(80)).await;
    assert_eq!(camera.status().state, State::Starting);
}

#[tokio::test(start_paused = true)]
async fn a_wait_for_the_first_key_frame_is_told_before_it_ends() {
    let every = seconds(60);
    let stage = Stage::new(&[Attempt::Plays {
        first: seconds(20),
        every,
        lasts: seconds(1000),
    }]);
    let mut changes = stage.hub.changes();
    let told = loop {
        let status = stage.camera.status();
        assert_eq!(status.state, State::Starting);
        if let Some(last) = status.last_failure {
            break last.reason;
        }
        changes.changed().await.expect("the hub is alive");
    };
    assert_eq!(told, "it sends video; waiting for a key frame");
    assert_eq!(stage.began.elapsed().as_secs(), 5);
    assert_eq!(stage.until("live").await, 20);
    assert_eq!(stage.camera.status().last_failure, None);
}
