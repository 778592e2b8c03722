//! The cost of forwarding MPEG-1: a program produces pictures, one ffmpeg encodes them, and viewers
//! receive the stream. It is compared with a bare loop that sends the same number of messages of
//! the same mean length.

use crate::load::Load;
use crate::runs::{TIMEOUT, Times};
use crate::scenario::{Media, Scenario, Sink};
use crate::server::{self, Programs};
use crate::tally::Tally;
use ocelli_testkit::feed::Feed;
use ocelli_testkit::jpeg::Picture;
use ocelli_testkit::{Hub, Result, cpu_time};
use std::fs;
use std::thread;
use std::time::Duration;

/// Number of viewers.
pub const VIEWERS: usize = 20;
/// Target for the CPU per message, as a multiple of the floor's.
pub const TARGET_RATIO: f64 = 1.25;
const FPS: u32 = 24;

/// The output of the program.
#[derive(Clone, Copy)]
pub struct Source {
    pub title: &'static str,
    /// The camera's `format` key.
    format: &'static str,
    /// The program is ffmpeg, with these output options.
    output: &'static str,
}

/// Raw pictures are the output of the Raspberry Pi's camera. They are so large that the cost of
/// reading them varies by more than forwarding costs; H.264 gives a more exact difference.
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

/// The results of a run.
#[derive(Clone, Copy)]
pub struct JsmpegSample {
    /// CPU of the bare loop in µs per message.
    pub floor: f64,
    /// CPU of the hub in µs per message to a viewer: the difference between 20 viewers and one,
    /// divided by the messages to the other 19.
    pub passing: f64,
    /// CPU of the hub in µs per incoming picture, with one viewer: reading it, feeding ffmpeg,
    /// reading ffmpeg's output, forwarding it once.
    pub intake: f64,
    /// CPU of ffmpeg, which encodes, in µs per picture.
    pub encoding: f64,
    /// Mean bytes of a message.
    pub bytes: f64,
    /// Pictures per second of each viewer.
    pub fps: f64,
}

/// Number of alternating measurements with one viewer and with all of them, so that conditions on
/// the machine affect both equally.
const TURNS: u32 = 6;

/// Measures the hub with one viewer and with 20 in turn, and at the same time the bare loop with its
/// own 20, because the encoder evicts the caches of every sender.
pub fn measure(source: &Source, programs: &Programs, times: Times) -> Result<JsmpegSample> {
    let hub = start_hub(source, programs)?;
    let mut first = Load::new()?;
    first.add(hub.addr(), Sink::Jsmpeg, 1, 1)?;
    first.until_started(TIMEOUT)?;
    let times = Times {
        counted: times.counted / TURNS,
        ..times
    };
    let seen = count(&mut [&mut first], [hub.pid()], times)?;
    let bytes = seen.bytes(0) / seen.frames(0).max(1) as usize;
    let floor = server::floor(&bare_loop(bytes), None)?;
    let mut bare = Load::new()?;
    bare.add(floor.addr(), Sink::Floor, VIEWERS, 1)?;
    bare.until_started(TIMEOUT)?;

    let processes = [hub.pid(), encoder(&hub)?, floor.pid()];
    let (mut alone, mut together) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        alone.push(count(&mut [&mut bare, &mut first], processes, times)?);
        let mut others = Load::new()?;
        others.add(hub.addr(), Sink::Jsmpeg, VIEWERS - 1, 1)?;
        others.until_started(TIMEOUT)?;
        let mut loads = [&mut bare, &mut first, &mut others];
        together.push(count(&mut loads, processes, times)?);
    }

    let used = |turns: &[Seen<3>], process: usize| -> Duration {
        turns.iter().map(|turn| turn.used[process]).sum()
    };
    let frames = |turns: &[Seen<3>], load: usize| -> u64 {
        turns.iter().map(|turn| turn.frames(load)).sum()
    };
    let micros = |time: Duration, frames: u64| time.as_secs_f64() * 1e6 / frames.max(1) as f64;
    let pictures = frames(&alone, 1);
    // Scaled to the number of pictures in the measurements with all viewers.
    let one = used(&alone, 0).mul_f64(frames(&together, 1) as f64 / pictures.max(1) as f64);
    let more = used(&together, 0).saturating_sub(one);
    let sent = frames(&alone, 0) + frames(&together, 0);
    let counted = times.counted.as_secs_f64() * f64::from(TURNS);
    Ok(JsmpegSample {
        floor: micros(used(&alone, 2) + used(&together, 2), sent),
        passing: micros(more, frames(&together, 2)),
        intake: micros(used(&alone, 0), pictures),
        encoding: micros(used(&alone, 1), pictures),
        bytes: bytes as f64,
        fps: pictures as f64 / counted,
    })
}

/// The bare loop's scenario: messages of this many bytes.
fn bare_loop(bytes: usize) -> Scenario {
    Scenario {
        name: "floor",
        title: "",
        aim: TARGET_RATIO,
        credit_aim: None,
        viewers: VIEWERS,
        media: Media::Jpeg(Feed {
            cameras: 1,
            fps: FPS,
            picture: Picture {
                width: 64,
                height: 48,
                bytes,
                ..Picture::default()
            },
        }),
    }
}

/// The results of one measurement.
struct Seen<const N: usize> {
    /// CPU of each process.
    used: [Duration; N],
    /// The tally of each load.
    tallies: Vec<Tally>,
}

impl<const N: usize> Seen<N> {
    fn frames(&self, load: usize) -> u64 {
        self.tallies[load].frames
    }

    fn bytes(&self, load: usize) -> usize {
        self.tallies[load].bytes
    }
}

/// Measures the CPU of processes while these viewers read, and what they read.
fn count<const N: usize>(
    loads: &mut [&mut Load],
    processes: [u32; N],
    times: Times,
) -> Result<Seen<N>> {
    read_all(loads, times.warm_up)?;
    for load in loads.iter_mut() {
        load.tally = Tally {
            counting: true,
            ..Tally::default()
        };
    }
    let before = processes.map(cpu_time);
    read_all(loads, times.counted)?;
    let mut used = processes.map(cpu_time);
    for (used, before) in used.iter_mut().zip(before) {
        *used = used.saturating_sub(before);
    }
    let tallies = loads.iter_mut().map(|load| std::mem::take(&mut load.tally));
    Ok(Seen {
        used,
        tallies: tallies.collect(),
    })
}

/// Reads with all loads at the same time.
fn read_all(loads: &mut [&mut Load], time: Duration) -> Result<()> {
    thread::scope(|scope| {
        let threads = loads.iter_mut().map(|load| {
            // The error type of the benchmark is not `Send`.
            scope.spawn(move || load.read_for(time).map_err(|error| error.to_string()))
        });
        for thread in threads.collect::<Vec<_>>() {
            thread.join().map_err(|_| "a reader panicked")??;
        }
        Ok(())
    })
}

/// Starts a hub with a program that generates VGA pictures, each different.
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

/// Returns the pid of the encoder.
fn encoder(hub: &Hub) -> Result<u32> {
    let children = hub.children();
    let encoder = children
        .iter()
        .find(|child| child.command.contains("mpeg1video"));
    Ok(encoder.ok_or("no ffmpeg process encodes MPEG-1")?.pid)
}
