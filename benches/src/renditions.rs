//! The cost of JPEG renditions of an H.264 or H.265 camera: the hub and its ffmpeg together, with one
//! viewer, from GStreamer's RTSP server.

use crate::server::{self, Programs};
use crate::tally::Spread;
use ocelli_testkit::jpeg::{is_whole, now_micros};
use ocelli_testkit::socket::Socket;
use ocelli_testkit::{Result, RtspServer, RtspServerOptions, cpu_time};
use std::fs;
use std::time::{Duration, Instant};

const TIMEOUT: Duration = Duration::from_secs(15);

/// A camera and its rendition.
#[derive(Clone, Copy)]
pub struct Rendition {
    pub title: &'static str,
    pub mount: &'static str,
    /// The camera's `jpeg` key in the hub's configuration.
    pub jpeg: &'static str,
}

pub const RENDITIONS: [Rendition; 7] = [
    Rendition {
        title: "H.264: 5 fps, 960 px (the default)",
        mount: "h264",
        jpeg: "{ fps = 5, width = 960 }",
    },
    Rendition {
        title: "H.264: 5 fps, 640 px",
        mount: "h264",
        jpeg: "{ fps = 5, width = 640 }",
    },
    Rendition {
        title: "H.264: key frames only, 960 px",
        mount: "h264",
        jpeg: "{ fps = \"key\", width = 960 }",
    },
    Rendition {
        title: "H.264: 15 fps, 960 px",
        mount: "h264",
        jpeg: "{ fps = 15, width = 960 }",
    },
    Rendition {
        title: "H.264: 15 fps, 1920 px",
        mount: "h264",
        jpeg: "{ fps = 15, width = 1920 }",
    },
    Rendition {
        title: "H.265: 5 fps, 960 px",
        mount: "h265",
        jpeg: "{ fps = 5, width = 960 }",
    },
    Rendition {
        title: "H.265: key frames only, 960 px",
        mount: "h265",
        jpeg: "{ fps = \"key\", width = 960 }",
    },
];

/// The cost and output of a rendition.
pub struct RenditionSample {
    /// CPU of the hub, as a share of one core.
    pub hub: f64,
    /// CPU of ffmpeg, as a share of one core.
    pub ffmpeg: f64,
    /// Memory of the hub's child processes, in bytes.
    pub ffmpeg_memory: u64,
    pub fps: f64,
    pub bytes: f64,
    /// Ages of the frames: the time of reading minus the capture time in the frame.
    pub age: Option<Spread>,
}

/// Starts the camera for all renditions: 1080p at 15 fps, a key frame every two seconds, 4 Mbit/s of
/// colour bars with an area of noise.
pub fn camera() -> RtspServer {
    RtspServer::start(RtspServerOptions {
        size: (1920, 1080),
        fps: 15,
        keys: 30,
        bitrate: 4000,
        pattern: "smpte".into(),
        ..RtspServerOptions::default()
    })
}

/// Watches one rendition: first a warm-up, then the measurement.
pub fn measure(
    rendition: &Rendition,
    camera: &RtspServer,
    programs: &Programs,
    counted: Duration,
) -> Result<RenditionSample> {
    let config = std::env::temp_dir().join(format!("ocelli-bench-{}.toml", std::process::id()));
    let text = format!(
        "[[camera]]\nid = \"cam1\"\nsource = \"{}\"\njpeg = {}\n",
        camera.url(rendition.mount),
        rendition.jpeg
    );
    fs::write(&config, text)?;
    let started = server::hub(programs, |hub| hub.arg("--config").arg(&config));
    fs::remove_file(&config)?;
    let hub = started?;
    let mut viewer = Socket::wall(hub.addr(), "\"cam1\"", TIMEOUT)?;
    // The first frame, and then a warm-up until everything runs steadily.
    frame(&mut viewer)?;
    let steady = Instant::now() + Duration::from_secs(3);
    while Instant::now() < steady {
        frame(&mut viewer)?;
    }
    let children_time =
        || -> Duration { hub.children().iter().map(|child| cpu_time(child.pid)).sum() };
    let (start_time, hub_before, children_before) =
        (Instant::now(), hub.cpu_time(), children_time());
    let (mut frames, mut bytes, mut ages) = (0u32, 0usize, Vec::new());
    while start_time.elapsed() < counted {
        let (length, age) = frame(&mut viewer)?;
        frames += 1;
        bytes += length;
        ages.extend(age);
    }
    let seconds = start_time.elapsed().as_secs_f64();
    Ok(RenditionSample {
        hub: hub.cpu_time().saturating_sub(hub_before).as_secs_f64() / seconds,
        ffmpeg: children_time()
            .saturating_sub(children_before)
            .as_secs_f64()
            / seconds,
        ffmpeg_memory: hub
            .children()
            .iter()
            .map(|child| ocelli_testkit::resident_bytes(child.pid))
            .sum(),
        fps: f64::from(frames) / seconds,
        bytes: bytes as f64 / f64::from(frames),
        age: Spread::of(&mut ages),
    })
}

/// Reads the next frame. Returns the length of its JPEG, and its age in µs if it has a capture time.
fn frame(viewer: &mut Socket) -> Result<(usize, Option<u64>)> {
    let frame = viewer.frame()?;
    if !is_whole(&frame.picture) {
        return Err("a frame is not a JPEG".into());
    }
    let age = (frame.captured != 0).then(|| now_micros().saturating_sub(frame.captured));
    Ok((frame.picture.len(), age))
}
