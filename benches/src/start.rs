//! The time to the first picture, from the start of the hub and from a click on a camera, and the
//! memory of a hub without viewers.

use crate::devices;
use crate::server::{self, Programs};
use crate::tally::median_by;
use ocelli_testkit::feed::{Cameras, Feed};
use ocelli_testkit::jpeg::Picture;
use ocelli_testkit::socket::Socket;
use ocelli_testkit::{Hub, Result, RtspServer, RtspServerOptions};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const TIMEOUT: Duration = Duration::from_secs(20);
const TRIES: usize = 5;
pub const IDLE: usize = 600;

/// The results. Times are medians.
pub struct StartSample {
    /// Time from the start of the process until it listens.
    pub listening: Duration,
    /// Time from the click to the first picture of a pushed camera.
    pub pushed: Duration,
    /// The same for an RTSP camera whose stream the hub already receives.
    pub rtsp_warm: Duration,
    /// The same for an RTSP camera for which the hub must connect and start ffmpeg.
    pub rtsp_cold: Duration,
    /// Time from the click to the first bytes of MPEG-1.
    pub jsmpeg: Duration,
    /// Memory in bytes of a hub with [`IDLE`] configured cameras and no viewers.
    pub idle: u64,
}

/// Runs all measurements.
pub fn measure(programs: &Programs) -> Result<StartSample> {
    let (idle, listening) = idle(programs)?;
    let (rtsp_cold, rtsp_warm) = rtsp(programs)?;
    Ok(StartSample {
        listening,
        pushed: pushed(programs)?,
        rtsp_warm,
        rtsp_cold,
        jsmpeg: jsmpeg(programs)?,
        idle,
    })
}

/// A configuration file. It is removed when dropped.
struct Config(PathBuf);

impl Config {
    fn of(cameras: impl Iterator<Item = String>) -> Result<Self> {
        let name = format!("ocelli-bench-start-{}.toml", std::process::id());
        let path = std::env::temp_dir().join(name);
        let cameras = cameras.enumerate().map(|(at, source)| {
            format!(
                "[[camera]]\nid = \"cam{}\"\nsource = \"{source}\"\n",
                at + 1
            )
        });
        fs::write(&path, cameras.collect::<String>())?;
        Ok(Self(path))
    }
}

impl Drop for Config {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn start(programs: &Programs, config: &Path) -> Result<Hub> {
    server::hub(programs, |hub| hub.arg("--config").arg(config))
}

fn idle(programs: &Programs) -> Result<(u64, Duration)> {
    // No viewer requests these cameras, so the address does not matter. Port 9 is the discard
    // service.
    let config = Config::of((0..IDLE).map(|_| "http://127.0.0.1:9/mjpeg".to_owned()))?;
    let mut times = Vec::new();
    let mut held = 0;
    for _ in 0..TRIES {
        let started = Instant::now();
        let hub = start(programs, &config.0)?;
        times.push(started.elapsed());
        held = hub.resident_bytes();
    }
    Ok((held, middle(&times)))
}

/// Measures the time from the click until the camera's first picture arrives.
fn click(hub: &Hub, camera: &str) -> Result<(Duration, Socket)> {
    let started = Instant::now();
    let mut socket = Socket::wall(hub.addr(), &format!("\"{camera}\""), TIMEOUT)?;
    socket.frame()?;
    Ok((started.elapsed(), socket))
}

fn pushed(programs: &Programs) -> Result<Duration> {
    let (hub, _device) = devices::one(programs)?;
    let tries = (0..TRIES).map(|_| Ok(click(&hub, "cam1")?.0));
    Ok(middle(&tries.collect::<Result<Vec<_>>>()?))
}

fn rtsp(programs: &Programs) -> Result<(Duration, Duration)> {
    let camera = RtspServer::start(RtspServerOptions::default());
    let config = Config::of((0..TRIES).map(|_| camera.url("h264")))?;
    let hub = start(programs, &config.0)?;
    let (mut cold, mut warm) = (Vec::new(), Vec::new());
    for number in 1..=TRIES {
        let id = format!("cam{number}");
        // The socket stays open, so that the camera is warm for the next click.
        let (first, _open) = click(&hub, &id)?;
        cold.push(first);
        warm.push(click(&hub, &id)?.0);
    }
    Ok((middle(&cold), middle(&warm)))
}

fn jsmpeg(programs: &Programs) -> Result<Duration> {
    let cameras = Cameras::start(Feed {
        cameras: TRIES,
        fps: 15,
        picture: Picture::VGA,
    })?;
    let hub = server::hub(programs, |hub| hub.args(cameras.sources(TRIES)))?;
    let mut times = Vec::new();
    for number in 1..=TRIES {
        let started = Instant::now();
        let path = format!("/live/jsmpeg?app=live&room=cam{number}");
        let mut socket = Socket::open(hub.addr(), &path, "", TIMEOUT)?;
        // The message with the size comes first, then the stream.
        while socket.message()?.1.starts_with(b"jsmp") {}
        times.push(started.elapsed());
    }
    Ok(middle(&times))
}

fn middle(times: &[Duration]) -> Duration {
    median_by(times, Duration::as_secs_f64).unwrap_or_default()
}
