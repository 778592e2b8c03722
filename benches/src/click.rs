//! The time from a click on an H.264 camera to its picture: on a warm camera, which already has a
//! viewer, and on a cold one, which the hub must first connect to.

use crate::scenario::{NATIVE_BATCH, NATIVE_CREDIT};
use crate::server::{self, Programs};
use crate::tally::median_by;
use ocelli_testkit::jpeg::now_micros;
use ocelli_testkit::socket::Socket;
use ocelli_testkit::video::{self, Recording, Video};
use ocelli_testkit::video_feed::VideoCameras;
use ocelli_testkit::{Result, jpeg};
use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Clicks on a warm camera, spread evenly over a group, and the number of cold cameras.
pub const TRIES: usize = 5;
const TIMEOUT: Duration = Duration::from_secs(30);

/// The videos: a key frame every two seconds, and every ten.
pub const VIDEOS: [Video; 2] = [
    Video::HD,
    Video {
        group: 150,
        ..Video::HD
    },
];

/// Times from a click.
#[derive(Clone, Copy)]
pub struct Click {
    /// To the first picture, which is a key frame.
    pub first: Duration,
    /// Age of that picture when it arrives.
    pub age: Duration,
    /// To the first picture that is younger than the frame interval.
    pub caught_up: Duration,
    /// The video from the first picture to that one.
    pub behind: Duration,
}

/// The clicks on cameras with one video.
pub struct ClickSample {
    pub video: Video,
    pub warm: Vec<Click>,
    pub cold: Vec<Click>,
}

/// Clicks on all cameras while they are cold, and then on the first while it is warm.
pub fn measure(recording: &Arc<Recording>, programs: &Programs) -> Result<ClickSample> {
    let cameras = VideoCameras::start(TRIES, recording.clone())?;
    let hub = server::hub(programs, |hub| hub.args(cameras.sources(TRIES)))?;
    let (address, video) = (hub.addr(), recording.video());
    // All at once, because their groups begin at different times.
    let threads = (1..=TRIES).map(|camera| {
        thread::spawn(move || click(address, camera, video).map_err(|error| error.to_string()))
    });
    let threads: Vec<_> = threads.collect();
    let mut cold = Vec::new();
    for thread in threads {
        cold.push(thread.join().map_err(|_| "a viewer panicked")??);
    }
    let (ending, key) = (AtomicBool::new(false), AtomicU64::new(0));
    let warm = thread::scope(|scope| {
        let viewer =
            scope.spawn(|| stay(address, &ending, &key).map_err(|error| error.to_string()));
        let clicks = (0..TRIES).map(|number| {
            // The first key frame is awaited, because the camera may have stopped.
            wait_for_phase(&key, video, number)?;
            click(address, 1, video)
        });
        let clicks = clicks.collect::<Result<Vec<_>>>();
        ending.store(true, Ordering::Relaxed);
        viewer.join().map_err(|_| "a viewer panicked")??;
        clicks
    })?;
    Ok(ClickSample { video, warm, cold })
}

/// Waits until this part of a group has passed, measured from its key frame.
fn wait_for_phase(key: &AtomicU64, video: Video, number: usize) -> Result<()> {
    let group = u64::from(video.group) * 1_000_000 / u64::from(video.fps);
    let part = group * (2 * number as u64 + 1) / (2 * TRIES as u64);
    let until = Instant::now() + TIMEOUT;
    loop {
        let start = key.load(Ordering::Relaxed);
        let passed = now_micros().saturating_sub(start);
        // Within a frame interval of that part.
        if start != 0 && (part..part + 1_000_000 / u64::from(video.fps)).contains(&passed) {
            return Ok(());
        }
        if Instant::now() > until {
            return Err("the camera that is watched sends no key frames".into());
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// Keeps the first camera warm, and stores the capture time of its newest key frame.
fn stay(address: SocketAddr, ending: &AtomicBool, key: &AtomicU64) -> Result<()> {
    let mut socket = subscribe(address, 1)?;
    let mut credit = Credit::new(1);
    while !ending.load(Ordering::Relaxed) {
        let unit = next(&mut socket, &mut credit)?;
        if unit.is_key {
            key.store(unit.stamp.micros, Ordering::Relaxed);
        }
    }
    Ok(())
}

/// Opens a wall socket, and reads until the newest picture has arrived.
fn click(address: SocketAddr, camera: usize, video: Video) -> Result<Click> {
    let start = Instant::now();
    let interval = Duration::from_secs(1) / video.fps;
    let mut socket = subscribe(address, camera)?;
    let mut credit = Credit::new(camera);
    let mut unit = next(&mut socket, &mut credit)?;
    if !unit.is_key {
        return Err("the first picture is not a key frame".into());
    }
    let (first, age, from) = (start.elapsed(), unit.age(), unit.stamp.sequence);
    while unit.age() > interval {
        if start.elapsed() > TIMEOUT {
            return Err("a viewer did not catch up".into());
        }
        unit = next(&mut socket, &mut credit)?;
    }
    let pictures = unit.stamp.sequence.saturating_sub(from);
    Ok(Click {
        first,
        age,
        caught_up: start.elapsed(),
        behind: interval * u32::try_from(pictures)?,
    })
}

fn subscribe(address: SocketAddr, camera: usize) -> Result<Socket> {
    let protocol = "Sec-WebSocket-Protocol: ocelli.v2\r\n";
    let mut socket = Socket::open(address, "/ws/cameras", protocol, TIMEOUT)?;
    socket.text(&format!(
        r#"{{"cmd":"subscribe","cameras":["cam{camera}"],"credit":{NATIVE_CREDIT},"codecs":["h264"]}}"#
    ))?;
    Ok(socket)
}

/// Credit that is returned in batches, as browsers do.
struct Credit {
    camera: usize,
    owed: u32,
}

impl Credit {
    fn new(camera: usize) -> Self {
        Self { camera, owed: 0 }
    }

    fn give(&mut self, socket: &mut Socket) -> Result<()> {
        self.owed += 1;
        if self.owed < NATIVE_BATCH {
            return Ok(());
        }
        let (camera, owed) = (self.camera, std::mem::take(&mut self.owed));
        socket.text(&format!(
            r#"{{"cmd":"credit","add":{{"cam{camera}":{owed}}}}}"#
        ))
    }
}

/// An access unit that has just arrived.
struct Unit {
    is_key: bool,
    stamp: jpeg::Stamp,
}

impl Unit {
    fn age(&self) -> Duration {
        Duration::from_micros(now_micros().saturating_sub(self.stamp.micros))
    }
}

/// Reads the next access unit.
fn next(socket: &mut Socket, credit: &mut Credit) -> Result<Unit> {
    loop {
        let (binary, message) = socket.message()?;
        if !binary {
            continue;
        }
        if message.get(..3) != Some(&[2, 1, 2]) {
            return Err("not H.264".into());
        }
        credit.give(socket)?;
        return Ok(Unit {
            is_key: message.get(3).is_some_and(|flags| flags & 1 != 0),
            stamp: video::stamp(&message).ok_or("a unit differs from the one that was sent")?,
        });
    }
}

/// Formats the section of the report.
pub fn section(samples: &[ClickSample]) -> String {
    let mut text = format!(
        "\n### A click on an H.264 camera (target: warm with a key frame every 2 s 150 ms, catching up at 5 × real \
         time; cold 100 ms after the camera's key frame)\n\n720p at 15 fps and 2 Mbit/s. A click is a new wall socket \
         that subscribes to one camera; nothing is decoded. Medians of {TRIES}, on a warm camera spread evenly over a \
         group. The viewer has caught up when a picture is younger than the frame interval. The speed is the video \
         from the first picture until then, divided by the time since the click.\n\n\
         | key frame every | warm: first picture, ms | caught up, ms | longest, ms | speed, × | cold: first picture, \
         ms | after the camera's key frame, ms |\n|---|---|---|---|---|---|---|\n"
    );
    for sample in samples {
        let ms = |clicks: &[Click], key: fn(&Click) -> Duration| {
            let times: Vec<f64> = clicks
                .iter()
                .map(|click| key(click).as_secs_f64() * 1e3)
                .collect();
            median_by(&times, |time| *time).unwrap_or_default()
        };
        let longest = sample.warm.iter().map(|click| click.caught_up).max();
        let speeds: Vec<f64> = sample
            .warm
            .iter()
            .map(|click| click.behind.as_secs_f64() / click.caught_up.as_secs_f64())
            .collect();
        let _ = writeln!(
            text,
            "| {} s | {:.0} | {:.0} | {:.0} | {:.0} | {:.0} | {:.0} |",
            sample.video.group / sample.video.fps,
            ms(&sample.warm, |click| click.first),
            ms(&sample.warm, |click| click.caught_up),
            longest.unwrap_or_default().as_secs_f64() * 1e3,
            median_by(&speeds, |speed| *speed).unwrap_or_default(),
            ms(&sample.cold, |click| click.first),
            ms(&sample.cold, |click| click.age),
        );
    }
    text
}
