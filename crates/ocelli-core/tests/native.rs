//! Viewers that can decode a camera's own stream.

use ocelli_core::{
    Camera, CameraSubscription, Codec, Decodable, Delivery, Failure, Follower, Frame, FrameBuffer,
    Hub, Picture, Publisher, Quality, Ready, Rendition, Renditions, RunOnce, Source, Timestamp,
    Token,
};
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Waker};
use tokio::sync::{mpsc, watch};

const TOKEN: Token = 0;
/// The number of frames that a group can have.
const MAX_GROUP: usize = 900;

/// A camera whose pictures the test sends.
struct Scripted {
    publisher: mpsc::UnboundedSender<Publisher>,
}

impl Source for Scripted {
    fn run_once(self: Arc<Self>, publisher: Publisher) -> RunOnce {
        let _ = self.publisher.send(publisher);
        Box::pin(pending())
    }
}

/// A rendition that publishes one JPEG for each of its input's frames.
#[derive(Default)]
struct ToJpeg {
    runs: AtomicUsize,
    frames: watch::Sender<usize>,
}

impl Rendition for ToJpeg {
    fn run_once(self: Arc<Self>, mut input: Follower, publisher: Publisher) -> RunOnce {
        self.runs.fetch_add(1, SeqCst);
        Box::pin(async move {
            loop {
                let frame = input.next().await;
                publisher.publish(Picture::jpeg(
                    FrameBuffer::copy_from(&frame.payload()),
                    None,
                ));
                self.frames.send_modify(|frames| *frames += 1);
            }
            #[expect(unreachable_code, reason = "the type of the result")]
            Ok::<(), Failure>(())
        })
    }
}

struct Stage {
    hub: Hub,
    camera: Arc<Camera>,
    jpeg: Arc<ToJpeg>,
    publishers: mpsc::UnboundedReceiver<Publisher>,
    ready: Arc<Ready>,
}

impl Stage {
    fn new() -> Self {
        let jpeg = Arc::<ToJpeg>::default();
        let renditions = Renditions {
            jpeg: Some(jpeg.clone()),
            mpeg1: None,
        };
        Self::with(jpeg, renditions)
    }

    fn without_rendition() -> Self {
        Self::with(Arc::default(), Renditions::default())
    }

    fn with(jpeg: Arc<ToJpeg>, renditions: Renditions) -> Self {
        let hub = Hub::default();
        let (sender, publishers) = mpsc::unbounded_channel();
        let id = hub.resolve("live", "cam").expect("a name");
        let source = Arc::new(Scripted { publisher: sender });
        let upstream = hub.upstream(&id, source, renditions);
        let camera = Camera::new(id, "Cam".into(), "script", upstream, None, false);
        Self {
            camera: hub.add(camera).expect("a free name"),
            hub,
            jpeg,
            publishers,
            ready: Arc::default(),
        }
    }

    fn subscribe(&self, delivery: Delivery) -> CameraSubscription {
        let ready = self.ready.clone();
        self.camera.subscribe(Quality::Main, delivery, ready, TOKEN)
    }

    async fn publisher(&mut self) -> Publisher {
        self.publishers.recv().await.expect("an attempt")
    }

    /// The frames that the viewer gets now.
    fn frames(&self, subscription: &mut CameraSubscription) -> Vec<Frame> {
        let mut frames = Vec::new();
        let mut cx = Context::from_waker(Waker::noop());
        while let Poll::Ready(TOKEN) = self.ready.poll_next(&mut cx) {
            frames.extend(subscription.take());
        }
        frames
    }

    fn bytes(&self, subscription: &mut CameraSubscription) -> Vec<(Codec, u8)> {
        let frames = self.frames(subscription).into_iter();
        frames
            .map(|frame| (frame.codec, frame.payload()[0]))
            .collect()
    }

    /// Waits until the rendition has published this many frames.
    async fn converted(&self, frames: usize) {
        let mut count = self.jpeg.frames.subscribe();
        let reached = count.wait_for(|count| *count >= frames).await;
        reached.expect("the rendition");
    }
}

fn native(credit: Option<u32>) -> Delivery {
    Delivery {
        decodable: Decodable {
            h264: true,
            h265: false,
            jpeg: true,
        },
        credit,
        direct_jpeg: true,
        ..Delivery::default()
    }
}

fn unit(codec: Codec, key: bool, byte: u8) -> Picture {
    Picture {
        codec,
        key,
        captured: Timestamp::UNKNOWN,
        size: Some((640, 480)),
        codec_string: Some("avc1.42e01e".into()),
        buffer: FrameBuffer::copy_from(&[byte]),
    }
}

#[tokio::test(start_paused = true)]
async fn a_listed_codec_is_sent_as_it_is_and_no_rendition_starts() {
    let mut stage = Stage::new();
    let mut viewer = stage.subscribe(native(None));
    let publisher = stage.publisher().await;
    publisher.publish(unit(Codec::H264, true, 0));
    publisher.publish(unit(Codec::H264, false, 1));
    viewer.follow_camera();
    let expected = [(Codec::H264, 0), (Codec::H264, 1)];
    assert_eq!(stage.bytes(&mut viewer), expected);
    assert!(viewer.is_native());
    let listed = stage.camera.streams();
    assert_eq!((listed.len(), listed[0].codec), (1, Codec::H264));
    assert_eq!(listed[0].codec_string.as_deref(), Some("avc1.42e01e"));
    assert_eq!(listed[0].size, Some((640, 480)));
    tokio::time::sleep(std::time::Duration::from_secs(60)).await;
    assert_eq!(stage.jpeg.runs.load(SeqCst), 0);
    assert_eq!(stage.camera.status().viewers, 1);
}

#[tokio::test(start_paused = true)]
async fn a_codec_that_is_not_listed_is_sent_as_jpeg_once_it_is_known() {
    let mut stage = Stage::new();
    let changes = stage.hub.changes();
    let mut viewer = stage.subscribe(native(Some(2)));
    let publisher = stage.publisher().await;
    assert!(changes.has_changed().expect("the hub"));
    publisher.publish(unit(Codec::H265, true, 0));
    viewer.follow_camera();
    assert!(!viewer.is_native());
    stage.converted(1).await;
    assert_eq!(stage.bytes(&mut viewer), [(Codec::Jpeg, 0)]);
    assert_eq!(stage.camera.status().viewers, 1);
}

#[tokio::test(start_paused = true)]
async fn a_viewer_follows_a_camera_that_changes_its_codec() {
    let mut stage = Stage::new();
    let mut viewer = stage.subscribe(native(Some(8)));
    let publisher = stage.publisher().await;
    let mut changes = stage.hub.changes();
    for (codec, byte) in [(Codec::Jpeg, 7), (Codec::H264, 8), (Codec::Jpeg, 9)] {
        changes.mark_unchanged();
        publisher.publish(unit(codec, true, byte));
        assert!(changes.has_changed().expect("the hub"), "viewers are told");
        viewer.follow_camera();
        assert_eq!(stage.bytes(&mut viewer), [(codec, byte)]);
    }
    assert_eq!((viewer.taken(), viewer.dropped()), (3, 0));
}

#[tokio::test(start_paused = true)]
async fn a_newcomer_to_an_incomplete_group_gets_jpeg_until_the_next_key_frame() {
    let mut stage = Stage::new();
    let _other = stage.camera.follow(Quality::Main);
    let publisher = stage.publisher().await;
    publisher.publish(unit(Codec::H264, true, 0));
    stage.converted(1).await;
    for _ in 0..MAX_GROUP {
        publisher.publish(unit(Codec::H264, false, 1));
        tokio::task::yield_now().await;
    }
    stage.converted(MAX_GROUP).await;
    let mut newcomer = stage.subscribe(native(Some(3)));
    assert_eq!(stage.bytes(&mut newcomer), [(Codec::Jpeg, 1)]);
    publisher.publish(unit(Codec::H264, true, 2));
    for byte in 3..6 {
        publisher.publish(unit(Codec::H264, false, byte));
    }
    let rest = [(Codec::H264, 2), (Codec::H264, 3)];
    assert_eq!(stage.bytes(&mut newcomer), rest, "the credit was 3");
    assert_eq!((newcomer.taken(), newcomer.dropped()), (3, 0));
    newcomer.add_credit(1);
    assert_eq!(stage.bytes(&mut newcomer), [(Codec::H264, 4)]);
    assert_eq!(stage.camera.status().viewers, 2);
}

#[tokio::test(start_paused = true)]
async fn no_rendition_starts_for_an_incomplete_group() {
    let mut stage = Stage::new();
    let first = stage.subscribe(native(None));
    let publisher = stage.publisher().await;
    publisher.publish(unit(Codec::H264, true, 0));
    for _ in 0..MAX_GROUP {
        publisher.publish(unit(Codec::H264, false, 1));
    }
    drop(first);
    stage.ready = Arc::default();
    let mut newcomer = stage.subscribe(native(None));
    assert_eq!(stage.bytes(&mut newcomer), []);
    tokio::task::yield_now().await;
    publisher.publish(unit(Codec::H264, true, 2));
    assert_eq!(stage.bytes(&mut newcomer), [(Codec::H264, 2)]);
    assert_eq!(stage.jpeg.runs.load(SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn credit_is_limited_by_the_codec() {
    let mut stage = Stage::new();
    let mut viewer = stage.subscribe(native(Some(0)));
    let publisher = stage.publisher().await;
    publisher.publish(unit(Codec::H264, true, 0));
    for byte in 1..100 {
        publisher.publish(unit(Codec::H264, false, byte));
    }
    viewer.follow_camera();
    assert_eq!(stage.bytes(&mut viewer), []);
    viewer.add_credit(1000);
    assert_eq!(stage.bytes(&mut viewer).len(), 64);
    viewer.add_credit(10);
    let next = stage.bytes(&mut viewer);
    assert_eq!((next.len(), next[0]), (10, (Codec::H264, 64)));
}

#[tokio::test(start_paused = true)]
async fn a_failing_rendition_is_not_the_failure_of_a_camera_that_is_watched_natively() {
    let mut stage = Stage::without_rendition();
    let viewer = stage.subscribe(native(None));
    let publisher = stage.publisher().await;
    publisher.publish(unit(Codec::H264, true, 0));
    let _recorder = stage.camera.follow(Quality::Main);
    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    let status = stage.camera.status();
    assert_eq!(status.state.name(), "live");
    let failure = status.last_failure.expect("it is reported").reason;
    assert!(failure.contains("no JPEG rendition"), "{failure}");
    drop(viewer);
    assert_eq!(stage.camera.status().state.name(), "failed");
}

#[tokio::test(start_paused = true)]
async fn frames_of_another_slot_are_a_discontinuity() {
    let mut stage = Stage::new();
    let mut viewer = stage.subscribe(native(None));
    let publisher = stage.publisher().await;
    let mut flagged = async |codec, byte| {
        publisher.publish(unit(codec, true, byte));
        viewer.follow_camera();
        let frames = stage.frames(&mut viewer);
        assert_eq!((frames.len(), frames[0].codec), (1, codec));
        frames[0].discontinuity
    };
    flagged(Codec::H264, 0).await;
    assert!(!flagged(Codec::H264, 1).await);
    assert!(flagged(Codec::Jpeg, 2).await);
    assert!(!flagged(Codec::Jpeg, 3).await);
    assert!(flagged(Codec::H264, 4).await);
}

#[tokio::test(start_paused = true)]
async fn a_shorter_list_with_the_cameras_codec_changes_nothing() {
    let mut stage = Stage::new();
    let mut viewer = stage.subscribe(native(None));
    let publisher = stage.publisher().await;
    publisher.publish(unit(Codec::H264, true, 0));
    viewer.follow_camera();
    assert_eq!(stage.bytes(&mut viewer), [(Codec::H264, 0)]);
    let all = Decodable {
        h264: true,
        h265: true,
        jpeg: true,
    };
    assert!(viewer.suits(all) && !viewer.suits(Decodable::default()));
    viewer.change(Delivery {
        decodable: all,
        ..native(None)
    });
    publisher.publish(unit(Codec::H264, false, 1));
    assert_eq!(stage.bytes(&mut viewer), [(Codec::H264, 1)], "it goes on");
}
