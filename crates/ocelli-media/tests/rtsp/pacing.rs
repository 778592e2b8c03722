//! Cameras whose packets come at the times that a test sets: long waits for a key frame, and
//! timestamps that do not follow the time. The clock is paused, and only the tests advance it.

use crate::support::{H264, KEY, PPS, Rtp, SECOND, SPS, Script, ScriptedCamera, THIRD, client};
use ocelli_config::Section;
use ocelli_core::{
    Camera, CameraStatus, Clock, Follower, Hub, Quality, Renditions, State, Timestamp,
};
use ocelli_media::options::{JpegOptions, JpegRate};
use ocelli_media::renditions::JpegRendition;
use ocelli_media::sources::{self, Address};
use ocelli_testkit::hold_clock;
use ocelli_testkit::rtsp_script::interleaved;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, advance, sleep, timeout};

/// How long a test waits for the camera, in real time.
const PATIENCE: Duration = Duration::from_secs(20);

/// The hub's clock, which follows the runtime's.
struct RuntimeClock(Instant);

impl Clock for RuntimeClock {
    fn now(&self) -> Timestamp {
        let passed = self.0.elapsed().as_micros() as u64;
        Timestamp(1_700_000_000_000_000 + passed)
    }
}

/// A camera that plays and sends what the test passes to it, and a hub that watches it.
struct Paced {
    hub: Hub,
    camera: Arc<Camera>,
    native: Follower,
    jpeg: Follower,
    packets: Sender<Vec<u8>>,
    sent: Receiver<()>,
    _scripted: ScriptedCamera,
}

impl Paced {
    async fn play() -> Self {
        let (packets, queue) = channel::<Vec<u8>>();
        let (sender, sent) = channel();
        let channels = Mutex::new((queue, sender));
        let script = Script::new().describe(H264).play().run(move |dialog| {
            let channels = channels.lock().unwrap_or_else(PoisonError::into_inner);
            for bytes in &channels.0 {
                dialog.send(&bytes)?;
                channels.1.send(())?;
            }
            Ok(())
        });
        let scripted = script.start();
        let address = Address::new(&scripted.url());
        let (kind, source) = sources::open(address, &mut Section::empty("a test")).unwrap();
        let jpeg = JpegRendition::new(JpegOptions {
            rate: JpegRate::Fps(10.0),
            ..JpegOptions::default()
        });
        let renditions = Renditions {
            jpeg: Some(Arc::new(jpeg)),
            mpeg1: None,
        };
        let hub = Hub::new(Arc::new(RuntimeClock(Instant::now())));
        let id = hub.resolve("live", "cam").expect("a name");
        let upstream = hub.upstream(&id, source, renditions);
        let camera = Camera::new(id, String::new(), kind, upstream, None, false);
        let camera = hub.add(camera).expect("a free room");
        let (native, jpeg) = (
            camera.follow_native(Quality::Main),
            camera.follow(Quality::Main),
        );
        Self {
            _scripted: requested(scripted, "PLAY ").await,
            hub,
            camera,
            native,
            jpeg,
            packets,
            sent,
        }
    }

    /// Sends packets, and waits until they are on the way.
    fn send(&self, packets: &[Vec<u8>]) {
        let bytes = packets.iter().flat_map(|packet| interleaved(0, packet));
        self.packets.send(bytes.collect()).expect("a camera");
        let sent = self.sent.recv_timeout(PATIENCE);
        sent.expect("the hub is still connected");
    }

    fn status(&self) -> CameraStatus {
        self.camera.status()
    }

    fn last_failure(&self) -> Option<String> {
        self.status().last_failure.map(|last| last.reason)
    }

    async fn until_live(&self) {
        let mut changes = self.hub.changes();
        while self.status().state != State::Live {
            let changed = timeout(Duration::from_secs(1), changes.changed()).await;
            assert!(matches!(changed, Ok(Ok(()))), "{:?}", self.status());
        }
    }
}

/// Waits until the hub has sent a request that begins like this. The clock is held meanwhile.
async fn requested(camera: ScriptedCamera, begins: &'static str) -> ScriptedCamera {
    let waiting = tokio::task::spawn_blocking(move || {
        camera.wait(|requests| requests.iter().any(|request| request.starts_with(begins)));
        camera
    });
    waiting.await.expect(begins)
}

impl Drop for Paced {
    fn drop(&mut self) {
        self.hub.stop();
    }
}

/// Returns the packets of a picture with the track's current timestamp.
fn packets(rtp: &mut Rtp, units: &[&[u8]]) -> Vec<Vec<u8>> {
    let last = units.len() - 1;
    let units = units.iter().enumerate();
    units
        .map(|(at, unit)| rtp.packet(at == last, unit))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_camera_is_waited_for_while_it_sends_pictures_without_a_key_frame() {
    let paced = Paced::play().await;
    let mut rtp = Rtp::new(96);
    for _ in 0..120 {
        paced.send(&rtp.picture(&[SECOND]));
        sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(paced.status().state, State::Starting);
    let told = "it sends video; waiting for a key frame";
    assert_eq!(paced.last_failure().as_deref(), Some(told));
    paced.send(&rtp.picture(&[SPS, PPS, KEY]));
    paced.until_live().await;
    assert_eq!(paced.status().restarts, 0);
    assert_eq!(paced.last_failure(), None);
}

#[tokio::test(start_paused = true)]
async fn a_camera_is_waited_for_while_it_sends_the_packets_of_one_picture() {
    let paced = Paced::play().await;
    let mut rtp = Rtp::new(96);
    paced.send(&[rtp.packet(false, SPS), rtp.packet(false, PPS)]);
    let key = [KEY, &[0x55; 1200]].concat();
    let fragments = rtp.fragments(&key, 10);
    assert!(fragments.len() > 120);
    for fragment in fragments {
        assert_eq!(paced.status().state, State::Starting);
        paced.send(&[fragment]);
        sleep(Duration::from_millis(100)).await;
    }
    paced.until_live().await;
    assert_eq!(paced.status().restarts, 0);
}

#[tokio::test(start_paused = true)]
async fn useless_timestamps_do_not_reduce_the_rate_of_the_jpeg_stream() {
    const SECONDS: u64 = 4;
    let every = Duration::from_millis(50);
    // At 90 kHz, a step should be 4500.
    for (what, step) in [
        ("they stand still", 0),
        ("they tick at 1 kHz", 50),
        ("they run backwards", -4500),
    ] {
        let mut paced = Paced::play().await;
        let mut rtp = Rtp::new(96);
        let pictures: [&[&[u8]]; 3] = [&[SPS, PPS, KEY], &[SECOND], &[THIRD]];
        for at in 0..SECONDS as usize * 20 {
            rtp.stamp = rtp.stamp.wrapping_add_signed(step);
            paced.send(&packets(&mut rtp, pictures[at % 3]));
            sleep(every).await;
        }
        let sent_at = paced.hub.clock().now();
        // ffmpeg needs real time.
        let _held = hold_clock();
        let enough = SECONDS * 9;
        let made = async {
            while paced.status().frames < enough {
                paced.jpeg.next().await;
            }
        };
        let made = timeout(Duration::from_secs(1), made).await;
        let status = paced.status();
        assert!(made.is_ok(), "{what}: {status:?}");
        assert_eq!(status.restarts, 0, "{what}");
        let last = paced.native.try_next().expect("pictures");
        let age = sent_at.micros_since(last.captured);
        assert!(age < 300_000, "{what}: {age} µs old");
    }
}

#[tokio::test(start_paused = true)]
async fn a_camera_that_answers_nothing_is_named_before_the_attempt_is_given_up() {
    let _held = hold_clock();
    let silent = Script::new().run(|dialog| {
        loop {
            dialog.read()?;
        }
    });
    let camera = silent.start();
    let address = camera.url();
    let began = Instant::now();
    let opening = tokio::spawn(async move {
        let mut client = client(&address);
        let fault = client.open(|| None).await.err();
        fault.map(|fault| client.explain(&fault).reason)
    });
    let camera = requested(camera, "OPTIONS ").await;
    advance(Duration::from_millis(1501)).await;
    let _camera = requested(camera, "DESCRIBE ").await;
    advance(Duration::from_millis(7001)).await;
    let reason = opening.await.unwrap().expect("a failure");
    assert!(
        reason.ends_with("accepts the connection but does not answer as an RTSP camera"),
        "{reason}"
    );
    // The hub gives an attempt 10 s.
    assert!(began.elapsed() < Duration::from_secs(9));
}
