//! The runs: each starts the processes, waits, and takes the measurements.

use crate::cameras::Cameras;
use crate::load::{Load, Slow};
use crate::scenario::{Media, Scenario, Sink};
use crate::server::{self, Programs, Server};
use crate::tally::Spread;
use crate::viewer::Viewer;
use ocelli_testkit::Result;
use ocelli_testkit::feed::Feed;
use ocelli_testkit::jpeg::Picture;
use ocelli_testkit::video::Recording;
use std::sync::Arc;
use std::time::Duration;

/// Timeout that is long enough to connect a hundred cameras.
pub const TIMEOUT: Duration = Duration::from_secs(30);

/// One camera at this rate, for runs that do not measure fan-out.
const fn one_camera(fps: u32, picture: Picture) -> Scenario {
    Scenario {
        name: "one",
        title: "one camera",
        aim: 1.0,
        credit_aim: None,
        viewers: 1,
        media: Media::Jpeg(Feed {
            cameras: 1,
            fps,
            picture,
        }),
    }
}

/// Durations of a run.
#[derive(Clone, Copy)]
pub struct Times {
    pub warm_up: Duration,
    pub counted: Duration,
}

/// The results of one run.
#[derive(Clone, Copy)]
pub struct Sample {
    /// CPU of the serving process in µs per delivered frame.
    pub cpu: f64,
    /// Share of the sent frames that arrived.
    pub delivered: f64,
    /// Latency from the camera's stamp to the viewer.
    pub sent: Spread,
    /// Latency from the hub's receipt to the viewer, if the protocol contains the receipt time.
    pub received: Option<Spread>,
}

/// Measures CPU, latency and completeness of one transport, or of the floor. Cameras of H.264 send
/// this recording.
pub fn speed(
    scenario: &Scenario,
    recording: Option<&Arc<Recording>>,
    sink: Sink,
    programs: &Programs,
    times: Times,
) -> Result<Sample> {
    let media = &scenario.media;
    let cameras = (sink != Sink::Floor).then(|| Cameras::start(media, recording));
    let cameras = cameras.transpose()?;
    let server = match &cameras {
        Some(cameras) => Server::start(programs, sink, &cameras.sources(media.cameras()))?,
        None => Server::Hub(server::floor(scenario, recording.map(|own| own.file()))?),
    };
    let mut load = Load::new()?;
    load.add(server.addr(), sink, scenario.viewers, media.cameras())?;
    load.until_started(TIMEOUT)?;
    load.read_for(times.warm_up)?;
    load.tally.counting = true;
    let before = server.cpu_time();
    load.read_for(media.whole_groups(times.counted))?;
    let used = server.cpu_time().saturating_sub(before);
    let tally = &mut load.tally;
    let frames = tally.frames.max(1) as f64;
    Ok(Sample {
        cpu: used.as_secs_f64() * 1e6 / frames,
        delivered: frames / (frames + tally.skipped as f64),
        sent: Spread::of(&mut tally.sent).ok_or("no frame was delivered")?,
        received: Spread::of(&mut tally.received),
    })
}

/// The memory per viewer.
pub struct Memory {
    /// Memory of the hub with [`MEMORY_FEW`] viewers, in bytes.
    pub few: u64,
    /// Bytes per further viewer.
    pub each: f64,
}

pub const MEMORY_FEW: usize = 10;
pub const MEMORY_MORE: usize = 400;

/// Measures the hub's memory with few viewers of one camera, and with many.
pub fn memory(sink: Sink, programs: &Programs, times: Times) -> Result<Memory> {
    let scenario = one_camera(8, Picture::QVGA);
    let cameras = Cameras::start(&scenario.media, None)?;
    let server = Server::start(programs, sink, &cameras.sources(1))?;
    let mut load = Load::new()?;
    load.add(server.addr(), sink, MEMORY_FEW, 1)?;
    load.until_started(TIMEOUT)?;
    load.read_for(times.warm_up)?;
    let few = server.resident_bytes();
    load.add(server.addr(), sink, MEMORY_MORE, 1)?;
    load.until_started(TIMEOUT)?;
    load.read_for(times.counted)?;
    let many = server.resident_bytes();
    Ok(Memory {
        few,
        each: many.saturating_sub(few) as f64 / MEMORY_MORE as f64,
    })
}

/// Results of viewers on slow links, and of fast viewers next to them.
pub struct SlowSample {
    /// Age of the frame when its last byte is read.
    pub age: Spread,
    /// Frames per second of each slow viewer.
    pub fps: f64,
    /// Latency from the camera to the fast viewers.
    pub fast: Spread,
    /// Share of the sent frames that the fast viewers got.
    pub delivered: f64,
    /// Memory of the hub per slow viewer, in bytes.
    pub each: f64,
}

pub const SLOW_VIEWERS: usize = 10;
pub const FAST_VIEWERS: usize = 5;
pub const SLOW: Slow = Slow {
    bytes_per_second: 50_000.0,
    receive_buffer: 65_536,
};

/// Measures ten viewers at 50 kB/s next to five fast ones, on a camera of 400 kB/s.
pub fn slow(sink: Sink, programs: &Programs, times: Times) -> Result<SlowSample> {
    let scenario = one_camera(15, Picture::VGA);
    let cameras = Cameras::start(&scenario.media, None)?;
    let server = Server::start(programs, sink, &cameras.sources(1))?;
    let mut load = Load::new()?;
    load.add(server.addr(), sink, FAST_VIEWERS, 1)?;
    load.until_started(TIMEOUT)?;
    let before = server.resident_bytes();
    load.add_slow(server.addr(), sink, SLOW_VIEWERS, SLOW)?;
    load.until_started(TIMEOUT)?;
    load.read_for(times.warm_up)?;
    load.tally.counting = true;
    load.read_for(times.counted)?;
    let grown = server.resident_bytes().saturating_sub(before);
    let tally = &mut load.tally;
    let slow_frames = tally.slow.len() as f64;
    Ok(SlowSample {
        age: Spread::of(&mut tally.slow).ok_or("the slow viewers got no frame")?,
        fps: slow_frames / SLOW_VIEWERS as f64 / times.counted.as_secs_f64(),
        fast: Spread::of(&mut tally.sent).ok_or("the fast viewers got no frame")?,
        delivered: tally.frames as f64 / (tally.frames + tally.skipped).max(1) as f64,
        each: grown as f64 / SLOW_VIEWERS as f64,
    })
}

/// Results of fast viewers next to viewers that stopped reading.
pub struct StoppedSample {
    /// Latency from the camera to the five viewers that read.
    pub fast: Spread,
    /// Share of the sent frames that they got.
    pub delivered: f64,
    /// Memory of the hub per stopped viewer, in bytes.
    pub each: f64,
}

pub const STOPPED_VIEWERS: usize = 100;

/// Measures a hundred viewers that stop reading completely, next to five fast ones.
pub fn stopped(sink: Sink, programs: &Programs, times: Times) -> Result<StoppedSample> {
    let scenario = one_camera(15, Picture::VGA);
    let cameras = Cameras::start(&scenario.media, None)?;
    let server = Server::start(programs, sink, &cameras.sources(1))?;
    let mut load = Load::new()?;
    load.add(server.addr(), sink, FAST_VIEWERS, 1)?;
    load.until_started(TIMEOUT)?;
    load.read_for(times.warm_up)?;
    let before = server.resident_bytes();
    let mut stopped = Vec::new();
    for _ in 0..STOPPED_VIEWERS {
        let mut viewer = Viewer::ask(server.addr(), sink, 1, Some(SLOW.receive_buffer))?;
        viewer.open()?;
        stopped.push(viewer);
    }
    load.read_for(times.warm_up)?;
    load.tally.counting = true;
    load.read_for(times.counted)?;
    let grown = server.resident_bytes().saturating_sub(before);
    let tally = &mut load.tally;
    Ok(StoppedSample {
        fast: Spread::of(&mut tally.sent).ok_or("the fast viewers got no frame")?,
        delivered: tally.frames as f64 / (tally.frames + tally.skipped).max(1) as f64,
        each: grown as f64 / STOPPED_VIEWERS as f64,
    })
}
