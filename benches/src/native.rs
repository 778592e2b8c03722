//! One viewer of a wall of H.264 cameras: native video and JPEG from the hub, and MSE from go2rtc.

use crate::scenario::{GO2RTC, NATIVE_BATCH, NATIVE_CREDIT};
use crate::server::{self, Programs, Server};
use crate::tally::{Spread, median_by};
use ocelli_testkit::jpeg::now_micros;
use ocelli_testkit::socket::Socket;
use ocelli_testkit::video::{self, Recording};
use ocelli_testkit::video_feed::VideoCameras;
use ocelli_testkit::{Result, cpu_time};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

pub const CAMERAS: usize = 16;
const TIMEOUT: Duration = Duration::from_secs(30);
/// Until all ffmpeg have started and play without delay.
const WARM_UP: Duration = Duration::from_secs(5);
const JPEG_CREDIT: u32 = 2;
/// What a browser that decodes H.264 sends to go2rtc.
const MSE_REQUEST: &str = r#"{"type":"mse","value":"avc1.640029,avc1.64002A,avc1.640033"}"#;

/// How the viewer gets the pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// The wall socket, H.264 as the camera sends it.
    Native,
    /// The wall socket, JPEG as configured by default.
    Jpeg,
    /// Fragmented MP4 from go2rtc, with one WebSocket per camera.
    Mse,
}

pub const TRANSPORTS: [Transport; 3] = [Transport::Native, Transport::Jpeg, Transport::Mse];

impl Transport {
    pub fn name(self) -> String {
        match self {
            Self::Native => format!("wall, v2, H.264, credit {NATIVE_CREDIT}"),
            Self::Jpeg => format!("wall, v2, JPEG of 5 fps and 960 px, credit {JPEG_CREDIT}"),
            Self::Mse => format!("go2rtc {GO2RTC}, MSE"),
        }
    }
}

/// The results of one run.
#[derive(Clone, Copy)]
pub struct WallSample {
    /// CPU of the server and its child processes, as a share of one core.
    pub cpu: f64,
    /// The share of the child processes in that.
    pub children: f64,
    /// Pictures per second and camera.
    pub fps: f64,
    /// Received data in Mbit/s.
    pub megabits: f64,
    /// Ages of the pictures; only of key frames for go2rtc, which removes the other stamps.
    pub age: Option<Spread>,
}

/// The phases of a run after the warm-up, which is 0.
const COUNTING: u8 = 1;
const ENDING: u8 = 2;

/// What the threads of a run share.
#[derive(Default)]
struct Progress {
    phase: AtomicU8,
    /// Number of cameras that have sent a picture.
    started: AtomicUsize,
}

/// What one thread received.
#[derive(Default)]
struct Counts {
    frames: u32,
    bytes: usize,
    ages: Vec<u64>,
}

/// Watches all cameras: first a warm-up, then the measurement.
pub fn measure(
    transport: Transport,
    recording: &Arc<Recording>,
    programs: &Programs,
    counted: Duration,
) -> Result<WallSample> {
    let cameras = VideoCameras::start(CAMERAS, recording.clone())?;
    let sources = cameras.sources(CAMERAS);
    let server = match transport {
        Transport::Mse => server::go2rtc(programs, &sources, "api, ws, rtsp, mp4, streams")?,
        _ => Server::Hub(server::hub(programs, |hub| hub.args(sources))?),
    };
    let progress = Arc::<Progress>::default();
    // go2rtc has one socket per camera; on the hub's, all cameras share one.
    let sockets = if transport == Transport::Mse {
        CAMERAS
    } else {
        1
    };
    let threads = (1..=sockets).map(|number| {
        let (address, progress) = (server.addr(), progress.clone());
        thread::spawn(move || {
            watch(transport, address, number, &progress).map_err(|error| error.to_string())
        })
    });
    let threads: Vec<_> = threads.collect();
    let until = Instant::now() + TIMEOUT;
    let is_started = || progress.started.load(Ordering::Relaxed) == CAMERAS;
    while !is_started() && Instant::now() < until && !threads.iter().any(|one| one.is_finished()) {
        thread::sleep(Duration::from_millis(20));
    }
    let all = is_started();
    let mut used = (Duration::ZERO, Duration::ZERO);
    let mut seconds = 0.0;
    if all {
        thread::sleep(WARM_UP);
        let (before, start) = (cpu(&server), Instant::now());
        progress.phase.store(COUNTING, Ordering::Relaxed);
        thread::sleep(counted);
        let after = cpu(&server);
        seconds = start.elapsed().as_secs_f64();
        used = (
            after.0.saturating_sub(before.0),
            after.1.saturating_sub(before.1),
        );
    }
    progress.phase.store(ENDING, Ordering::Relaxed);
    let mut total = Counts::default();
    for thread in threads {
        let counts = thread.join().map_err(|_| "a viewer panicked")??;
        total.frames += counts.frames;
        total.bytes += counts.bytes;
        total.ages.extend(counts.ages);
    }
    if !all {
        return Err(format!("not all cameras play through {}", transport.name()).into());
    }
    let (own, children) = (used.0.as_secs_f64(), used.1.as_secs_f64());
    Ok(WallSample {
        cpu: (own + children) / seconds,
        children: children / seconds,
        fps: f64::from(total.frames) / CAMERAS as f64 / seconds,
        megabits: total.bytes as f64 * 8e-6 / seconds,
        age: Spread::of(&mut total.ages),
    })
}

/// Returns the CPU time of the server and of its child processes.
fn cpu(server: &Server) -> (Duration, Duration) {
    let children = match server {
        Server::Hub(hub) => hub.children(),
        Server::Go2rtc { .. } => Vec::new(),
    };
    let children = children.iter().map(|child| cpu_time(child.pid));
    (server.cpu_time(), children.sum())
}

/// Reads until the run ends. `number` is the camera of a socket for one camera.
fn watch(
    transport: Transport,
    address: SocketAddr,
    number: usize,
    progress: &Progress,
) -> Result<Counts> {
    let mut socket = match transport {
        Transport::Native => wall(address, NATIVE_CREDIT, r#","codecs":["h264"]"#)?,
        Transport::Jpeg => wall(address, JPEG_CREDIT, "")?,
        Transport::Mse => {
            let path = format!("/api/ws?src=cam{number}");
            let mut socket = Socket::open(address, &path, "", TIMEOUT)?;
            socket.text(MSE_REQUEST)?;
            socket
        }
    };
    let mut counts = Counts::default();
    // The frames of each camera whose credit is not yet returned.
    let mut owed = BTreeMap::<Vec<u8>, u32>::new();
    loop {
        let (binary, message) = socket.message()?;
        let phase = progress.phase.load(Ordering::Relaxed);
        if phase == ENDING {
            return Ok(counts);
        }
        // MP4 begins with its header, which is not a picture.
        if !binary || transport == Transport::Mse && message.get(4..8) != Some(b"moof") {
            continue;
        }
        let camera = match transport {
            Transport::Mse => number.to_string().into_bytes(),
            _ => wall_camera(&message, transport)?,
        };
        let batch = match transport {
            Transport::Native => NATIVE_BATCH,
            _ => JPEG_CREDIT.div_ceil(2),
        };
        let owes = owed.entry(camera.clone()).or_insert_with(|| {
            progress.started.fetch_add(1, Ordering::Relaxed);
            0
        });
        *owes += 1;
        if transport != Transport::Mse && *owes >= batch {
            let id = String::from_utf8_lossy(&camera);
            socket.text(&format!(r#"{{"cmd":"credit","add":{{"{id}":{owes}}}}}"#))?;
            *owes = 0;
        }
        if phase == COUNTING {
            counts.frames += 1;
            counts.bytes += message.len();
            let captured = match transport {
                Transport::Jpeg => Some(u64::from_be_bytes(message[12..20].try_into()?)),
                _ => video::stamp(&message).map(|stamp| stamp.micros),
            };
            let captured = captured.filter(|captured| *captured != 0);
            let age = captured.map(|captured| now_micros().saturating_sub(captured));
            counts.ages.extend(age);
        }
    }
}

/// Opens the wall socket for all cameras.
fn wall(address: SocketAddr, credit: u32, more: &str) -> Result<Socket> {
    let protocol = "Sec-WebSocket-Protocol: ocelli.v2\r\n";
    let mut socket = Socket::open(address, "/ws/cameras", protocol, TIMEOUT)?;
    let ids: Vec<_> = (1..=CAMERAS).map(|id| format!("\"cam{id}\"")).collect();
    let ids = ids.join(",");
    socket.text(&format!(
        r#"{{"cmd":"subscribe","cameras":[{ids}],"credit":{credit}{more}}}"#
    ))?;
    Ok(socket)
}

/// Returns the camera of a message of the wall socket, after a check of its codec.
fn wall_camera(message: &[u8], transport: Transport) -> Result<Vec<u8>> {
    let codec = if transport == Transport::Native { 2 } else { 1 };
    if message.get(..3) != Some(&[2, 1, codec]) {
        return Err(format!("not a frame of {}", transport.name()).into());
    }
    let length = usize::from(*message.get(28).ok_or("a message without an id")?);
    let id = message
        .get(29..29 + length)
        .ok_or("a message without an id")?;
    Ok(id.to_vec())
}

/// Formats the section of the report.
pub fn section(rows: &[(Transport, Vec<WallSample>)]) -> String {
    let mut text = format!(
        "\n### {CAMERAS} H.264 cameras watched by one viewer (target: native at most half of go2rtc's CPU, age p50 \
         under 100 ms)\n\n720p at 15 fps and 2 Mbit/s each, with a key frame every two seconds. CPU in % of one core, \
         child processes included. The hub sends all cameras over one wall socket, go2rtc each over its own \
         WebSocket. The age is now minus the time at which the camera sent the picture, when the viewer has read it; \
         only of key frames for go2rtc.\n\n\
         | transport | CPU, % | of that ffmpeg, % | fps per camera | Mbit/s | age p50, ms | p99, ms |\n\
         |---|---|---|---|---|---|---|\n"
    );
    for (transport, samples) in rows {
        let Some(sample) = median_by(samples, |sample| sample.cpu) else {
            continue;
        };
        let age = |key: fn(&Spread) -> Duration| match &sample.age {
            Some(spread) => format!("{:.1}", key(spread).as_secs_f64() * 1e3),
            None => "unknown".into(),
        };
        let _ = writeln!(
            text,
            "| {} | {:.2} | {:.2} | {:.1} | {:.1} | {} | {} |",
            transport.name(),
            sample.cpu * 100.0,
            sample.children * 100.0,
            sample.fps,
            sample.megabits,
            age(|spread| spread.median),
            age(|spread| spread.p99),
        );
    }
    text
}
