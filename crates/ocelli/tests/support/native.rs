//! A viewer of a camera's own H.264 or H.265, in this process.

use super::{TIMEOUT, Watched};
use ocelli_core::{Camera, CameraSubscription, Codec, Decodable, Delivery, Frame, Quality, Ready};
use std::future::poll_fn;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;
use tokio::time::timeout;

const ALL: Decodable = Decodable {
    h264: true,
    h265: true,
    jpeg: true,
};

/// A viewer that decodes everything.
pub struct Viewer {
    ready: Arc<Ready>,
    subscription: CameraSubscription,
}

impl Viewer {
    /// Starts watching.
    pub fn new(watched: &Watched) -> Self {
        Self::of(&watched.camera)
    }

    /// Starts watching a camera.
    pub fn of(camera: &Camera) -> Self {
        let ready = Arc::<Ready>::default();
        let delivery = Delivery {
            decodable: ALL,
            ..Delivery::default()
        };
        Self {
            subscription: camera.subscribe(Quality::Main, delivery, ready.clone(), 0),
            ready,
        }
    }

    /// Returns the next frame.
    pub async fn next(&mut self) -> Frame {
        let next = async {
            loop {
                poll_fn(|cx| self.ready.poll_next(cx)).await;
                if let Some(frame) = self.subscription.take() {
                    return frame;
                }
            }
        };
        timeout(TIMEOUT, next).await.expect("a unit in time")
    }

    /// Returns this many frames that follow each other. On a busy machine a viewer may be
    /// overtaken, and continues at a key frame; then the frames from there on.
    pub async fn frames(&mut self, count: usize) -> Vec<Frame> {
        self.frames_after(Vec::new(), count).await
    }

    /// The same for frames of which these are the first.
    async fn frames_after(&mut self, mut frames: Vec<Frame>, count: usize) -> Vec<Frame> {
        let collecting = async {
            while frames.len() < count {
                let next = self.next().await;
                if is_overtaken(&frames, &next) {
                    frames.clear();
                }
                frames.push(next);
            }
        };
        timeout(TIMEOUT, collecting).await.expect("units in time");
        frames
    }

    /// Returns the first frames after an interruption of the stream, of which the first must be a
    /// key frame.
    pub async fn frames_after_interruption(&mut self, count: usize) -> Vec<Frame> {
        let first = loop {
            let frame = self.next().await;
            if frame.discontinuity {
                break frame;
            }
        };
        assert!(first.key);
        self.frames_after(vec![first], count).await
    }
}

/// Whether the viewer with these frames was overtaken by a newer group, at whose key frame it
/// continues.
pub fn is_overtaken(frames: &[Frame], next: &Frame) -> bool {
    let follows = |last: &Frame| next.sequence == last.sequence + 1;
    next.key && !frames.last().is_none_or(follows)
}

/// The types of the NAL units in an access unit.
pub fn units(frame: &Frame) -> Vec<u8> {
    let payload = frame.payload();
    let starts = payload.windows(4).filter(|bytes| bytes[..3] == [0, 0, 1]);
    let kinds = starts.map(|bytes| match frame.codec {
        Codec::H265 => bytes[3] >> 1 & 0x3F,
        _ => bytes[3] & 0x1F,
    });
    kinds.collect()
}

/// Decodes units with ffmpeg. Returns the size and the checksum of each picture.
pub fn decoded(frames: &[Frame]) -> Vec<String> {
    let format = match frames[0].codec {
        Codec::H265 => "hevc",
        _ => "h264",
    };
    let mut ffmpeg = Command::new("ffmpeg")
        .args(["-v", "error", "-xerror", "-f", format, "-i", "pipe:0"])
        .args(["-fps_mode", "passthrough", "-f", "framemd5", "pipe:1"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("ffmpeg");
    let mut input = ffmpeg.stdin.take().expect("a pipe");
    let bytes: Vec<u8> = frames.iter().flat_map(Frame::payload).collect();
    let writer = std::thread::spawn(move || input.write_all(&bytes));
    let output = ffmpeg.wait_with_output().expect("its output");
    writer
        .join()
        .expect("a thread")
        .expect("it reads everything");
    assert!(output.status.success(), "ffmpeg decodes it");
    let text = String::from_utf8_lossy(&output.stdout);
    let pictures = text.lines().filter(|line| !line.starts_with('#'));
    pictures.map(str::to_owned).collect()
}
