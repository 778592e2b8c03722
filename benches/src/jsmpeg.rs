//! What passing on MPEG-1 costs: pictures of a program, one ffmpeg that encodes them,
//! and viewers that take the stream, beside a bare loop that sends as many messages of
//! the same mean length.

use crate::Result;
use crate::cameras::Feed;
use crate::load::Load;
use crate::runs::{PATIENCE, Scenario, Times};
use crate::server::{self, Programs};
use crate::tally::Tally;
use crate::viewer::Sink;
use ocelli_testkit::jpeg::Picture;
use ocelli_testkit::{Hub, cpu_time};
use std::fs;
use std::time::Duration;

/// How many watch.
pub const VIEWERS: usize = 20;
/// Of its CPU for each message, how many times the floor's it should be at the most.
pub const AIM: f64 = 1.25;
const FPS: u32 = 24;

/// What the program writes.
#[derive(Clone, Copy)]
pub struct Source {
    pub title: &'static str,
    /// The camera's `format`.
    format: &'static str,
    /// What ffmpeg, which is the program, is told of its output.
    output: &'static str,
}

/// Raw pictures are what the Pi's camera gives, and so large that taking them varies by
/// more than passing on costs; with the other the difference is read more exactly.
pub const SOURCES: [Source; 2] = [
    Source {
        title: "raw pictures",
        format: "yuv420p",
        output: "-threads 1 -pix_fmt yuv420p -f rawvideo",
    },
    Source {
        title: "H.264",
        format: "h264",
        output: "-threads 1 -c:v libx264 -preset ultrafast -tune zerolatency -g 24 -f h264",
    },
];

/// What a run showed.
#[derive(Clone, Copy)]
pub struct JsmpegSample {
    /// CPU of the bare loop, in µs for each message.
    pub floor: f64,
    /// CPU of the hub for each message to a viewer, in µs: what 20 viewers cost more
    /// than one does, divided by what the 19 got.
    pub passing: f64,
    /// CPU of the hub for each picture that comes in, in µs, with one viewer: taking
    /// it, feeding ffmpeg, taking what that makes, passing it on once.
    pub intake: f64,
    /// CPU of ffmpeg, which encodes, in µs for each picture.
    pub encoding: f64,
    /// Bytes of a message in the mean.
    pub bytes: f64,
    /// Pictures a second that each viewer got.
    pub fps: f64,
}

/// The hub with one viewer; the bare loop with 20, while that hub and its ffmpeg go on,
/// for an encoder beside it takes the caches from whoever sends; and the hub with 20.
pub fn measure(source: &Source, programs: &Programs, times: Times) -> Result<JsmpegSample> {
    let hub = start_hub(source, programs)?;
    let mut load = Load::new()?;
    load.add(hub.addr(), Sink::Jsmpeg, 1, 1)?;
    load.until_started(PATIENCE)?;
    let processes = [hub.pid(), encoder(&hub)?];
    let ([one, encoding], alone) = count(&mut load, processes, times)?;
    let bytes = alone.bytes / alone.frames.max(1) as usize;
    let (bare, sent) = bare_loop(bytes, times)?;
    load.add(hub.addr(), Sink::Jsmpeg, VIEWERS - 1, 1)?;
    load.until_started(PATIENCE)?;
    let ([many, _], together) = count(&mut load, processes, times)?;

    let micros = |time: Duration, frames: u64| time.as_secs_f64() * 1e6 / frames.max(1) as f64;
    Ok(JsmpegSample {
        floor: micros(bare, sent.frames),
        passing: micros(many.saturating_sub(one), together.frames - alone.frames),
        intake: micros(one, alone.frames),
        encoding: micros(encoding, alone.frames),
        bytes: bytes as f64,
        fps: together.frames as f64 / VIEWERS as f64 / times.counted.as_secs_f64(),
    })
}

/// The CPU of a bare loop that sends messages of so many bytes, and what it sent.
fn bare_loop(bytes: usize, times: Times) -> Result<(Duration, Tally)> {
    let scenario = Scenario {
        name: "floor",
        title: "",
        aim: AIM,
        viewers: VIEWERS,
        feed: Feed {
            cameras: 1,
            fps: FPS,
            picture: Picture {
                width: 64,
                height: 48,
                bytes,
                ..Picture::default()
            },
        },
    };
    let floor = server::floor(&scenario)?;
    let mut load = Load::new()?;
    load.add(floor.addr(), Sink::Floor, VIEWERS, 1)?;
    load.until_started(PATIENCE)?;
    let ([bare], sent) = count(&mut load, [floor.pid()], times)?;
    Ok((bare, sent))
}

/// The CPU of processes while the viewers read, and what they read.
fn count<const N: usize>(
    load: &mut Load,
    processes: [u32; N],
    times: Times,
) -> Result<([Duration; N], Tally)> {
    load.read_for(times.warm_up)?;
    load.tally = Tally {
        counting: true,
        ..Tally::default()
    };
    let before = processes.map(cpu_time);
    load.read_for(times.counted)?;
    let mut used = processes.map(cpu_time);
    for (used, before) in used.iter_mut().zip(before) {
        *used = used.saturating_sub(before);
    }
    Ok((used, std::mem::take(&mut load.tally)))
}

/// A hub with a program that draws: VGA, and never twice the same.
fn start_hub(source: &Source, programs: &Programs) -> Result<Hub> {
    let config = std::env::temp_dir().join(format!("ocelli-bench-{}.toml", std::process::id()));
    let line = format!(
        "ffmpeg -v error -re -f lavfi -i testsrc2=size=640x480:rate={FPS} {} pipe:1",
        source.output
    );
    let words: Vec<&str> = line.split_whitespace().collect();
    let format = source.format;
    let mut text = format!("[[camera]]\nid = \"cam1\"\nexec = {words:?}\nformat = \"{format}\"\n");
    if format == "yuv420p" {
        text += &format!("size = \"640x480\"\nfps = {FPS}\n");
    } else {
        text += &format!("mpeg1 = {{ fps = {FPS} }}\n");
    }
    fs::write(&config, text)?;
    let started = server::hub(programs, |hub| hub.arg("--config").arg(&config));
    fs::remove_file(&config)?;
    started
}

/// The process that encodes.
fn encoder(hub: &Hub) -> Result<u32> {
    let children = hub.children();
    let encoder = children
        .iter()
        .find(|child| child.command.contains("mpeg1video"));
    Ok(encoder.ok_or("no ffmpeg encodes MPEG-1")?.pid)
}
