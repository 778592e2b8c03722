//! The runs: what is started, for how long, and what is read off at the end.

use crate::Result;
use crate::cameras::{Cameras, Feed};
use crate::load::{Load, Slow};
use crate::tally::Spread;
use crate::viewer::Sink;
use ocelli_testkit::jpeg::Picture;
use ocelli_testkit::{Hub, HubBuilder};
use std::path::Path;
use std::time::Duration;

/// Long enough for a hundred cameras to be connected.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// So many viewers of so many cameras.
#[derive(Clone, Copy)]
pub struct Scenario {
    pub name: &'static str,
    pub title: &'static str,
    /// How many times the floor's CPU it should take at the most.
    pub aim: f64,
    pub viewers: usize,
    pub feed: Feed,
}

pub const SCENARIOS: [Scenario; 3] = [
    Scenario {
        name: "1x50",
        title: "1 camera × 50 viewers, VGA 27 kB at 10 fps",
        aim: 1.25,
        viewers: 50,
        feed: Feed {
            cameras: 1,
            fps: 10,
            picture: Picture::VGA,
        },
    },
    Scenario {
        name: "20x100",
        title: "20 cameras × 100 viewers, VGA 27 kB at 10 fps",
        aim: 1.6,
        viewers: 100,
        feed: Feed {
            cameras: 20,
            fps: 10,
            picture: Picture::VGA,
        },
    },
    Scenario {
        name: "100x500",
        title: "100 cameras × 500 viewers, QVGA 9 kB at 8 fps",
        aim: 1.25,
        viewers: 500,
        feed: Feed {
            cameras: 100,
            fps: 8,
            picture: Picture::QVGA,
        },
    },
];

/// For how long.
#[derive(Clone, Copy)]
pub struct Times {
    pub warm_up: Duration,
    pub counted: Duration,
}

/// What one run showed.
#[derive(Clone, Copy)]
pub struct Sample {
    /// CPU of the serving process in µs for each frame delivered.
    pub cpu: f64,
    /// Delivered frames, of those that the cameras sent.
    pub delivered: f64,
    /// From the camera's stamp to the viewer.
    pub sent: Spread,
    /// From the hub's receipt to the viewer, where the form tells it.
    pub received: Option<Spread>,
}

fn start_hub(hub: &Path, cameras: &Cameras, count: usize) -> Result<Hub> {
    let builder = HubBuilder::new(hub)
        .args(["serve", "--listen", "127.0.0.1:0"])
        .args(cameras.sources(count))
        // Not where somebody's ocelli.toml may be.
        .directory(std::env::temp_dir());
    start(builder)
}

pub fn start(builder: HubBuilder) -> Result<Hub> {
    builder.try_start().map_err(|(status, stderr)| {
        format!("it did not start ({status:?}):\n{}", stderr.join("\n")).into()
    })
}

/// The bare loop as a process: this program again.
pub fn start_floor(scenario: &Scenario) -> Result<Hub> {
    let arguments = [
        scenario.feed.cameras,
        scenario.viewers,
        scenario.feed.fps as usize,
        usize::from(scenario.feed.picture.width),
        usize::from(scenario.feed.picture.height),
        scenario.feed.picture.bytes,
    ];
    start(
        HubBuilder::new(std::env::current_exe()?)
            .arg("floor")
            .args(arguments.map(|number| number.to_string())),
    )
}

/// CPU, latency and completeness of one form, or of the floor.
pub fn speed(scenario: &Scenario, sink: Sink, hub: &Path, times: Times) -> Result<Sample> {
    let (server, _cameras) = if sink == Sink::Floor {
        (start_floor(scenario)?, None)
    } else {
        let cameras = Cameras::start(scenario.feed)?;
        (
            start_hub(hub, &cameras, scenario.feed.cameras)?,
            Some(cameras),
        )
    };
    let mut load = Load::new()?;
    load.add(server.addr(), sink, scenario.viewers, scenario.feed.cameras)?;
    load.until_started(PATIENCE)?;
    load.read_for(times.warm_up)?;
    load.tally.counting = true;
    let before = server.cpu_time();
    load.read_for(times.counted)?;
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

/// The memory of one viewer.
pub struct Memory {
    /// The hub with [`MEMORY_FEW`] viewers, in bytes.
    pub few: u64,
    /// Bytes for each further one.
    pub each: f64,
}

pub const MEMORY_FEW: usize = 10;
pub const MEMORY_MORE: usize = 400;

/// The hub's memory with few viewers of one camera, and with many.
pub fn memory(sink: Sink, hub: &Path, times: Times) -> Result<Memory> {
    let feed = Feed {
        cameras: 1,
        fps: 8,
        picture: Picture::QVGA,
    };
    let cameras = Cameras::start(feed)?;
    let server = start_hub(hub, &cameras, 1)?;
    let mut load = Load::new()?;
    load.add(server.addr(), sink, MEMORY_FEW, 1)?;
    load.until_started(PATIENCE)?;
    load.read_for(times.warm_up)?;
    let few = server.resident_bytes();
    load.add(server.addr(), sink, MEMORY_MORE, 1)?;
    load.until_started(PATIENCE)?;
    load.read_for(times.counted)?;
    let many = server.resident_bytes();
    Ok(Memory {
        few,
        each: many.saturating_sub(few) as f64 / MEMORY_MORE as f64,
    })
}

/// What viewers on poor links saw, and those beside them.
pub struct SlowSample {
    /// The age of the picture when its last byte is read.
    pub age: Spread,
    /// Frames a second that each of them got.
    pub fps: f64,
    /// From the camera to the fast ones.
    pub fast: Spread,
    /// Frames that the fast ones got, of those sent.
    pub delivered: f64,
}

pub const SLOW_VIEWERS: usize = 10;
pub const FAST_VIEWERS: usize = 5;
pub const SLOW: Slow = Slow {
    bytes_per_second: 50_000.0,
    receive_buffer: 65_536,
};

/// Ten viewers at 50 kB/s beside five fast ones, on a camera of 400 kB/s.
pub fn slow(sink: Sink, hub: &Path, times: Times) -> Result<SlowSample> {
    let feed = Feed {
        cameras: 1,
        fps: 15,
        picture: Picture::VGA,
    };
    let cameras = Cameras::start(feed)?;
    let server = start_hub(hub, &cameras, 1)?;
    let mut load = Load::new()?;
    load.add(server.addr(), sink, FAST_VIEWERS, 1)?;
    load.add_slow(server.addr(), sink, SLOW_VIEWERS, SLOW)?;
    load.until_started(PATIENCE)?;
    load.read_for(times.warm_up)?;
    load.tally.counting = true;
    load.read_for(times.counted)?;
    let tally = &mut load.tally;
    let slow_frames = tally.slow.len() as f64;
    Ok(SlowSample {
        age: Spread::of(&mut tally.slow).ok_or("the slow viewers got no frame")?,
        fps: slow_frames / SLOW_VIEWERS as f64 / times.counted.as_secs_f64(),
        fast: Spread::of(&mut tally.sent).ok_or("the fast viewers got no frame")?,
        delivered: tally.frames as f64 / (tally.frames + tally.skipped).max(1) as f64,
    })
}
