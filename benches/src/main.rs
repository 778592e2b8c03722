//! Ocelli beside a bare loop: CPU for each delivered frame, latency, memory
//! for each viewer, and how far slow viewers fall behind.
//!
//! # Layout
//! - `cameras`: HTTP cameras that feed the hub, in a thread of this process.
//! - `floor`: the bare loop, this program again as a process of its own.
//! - `viewer`, `load`: viewers that check every frame, all in one thread.
//! - `devices`: boards that push into the hub.
//! - `jsmpeg`: passing on MPEG-1, beside the bare loop.
//! - `telemetry`: samples a second, beside a bare reader of lines. `batches`: how long they
//!   take to those who look.
//! - `runs`, `renditions`: what is started and read off. `tally`: counting. `report`: tables.
//!
//! The hub is the release binary as a process, so that its CPU and memory are
//! its own. Everything is on loopback and bounded in count and time.

mod batches;
mod cameras;
mod devices;
mod floor;
mod jsmpeg;
mod load;
mod renditions;
mod report;
mod runs;
mod tally;
mod telemetry;
mod viewer;

use cameras::Feed;
use clap::{Args, Parser, Subcommand};
use devices::DEVICES;
use ocelli_testkit::jpeg::Picture;
use renditions::RENDITIONS;
use report::Report;
use runs::{SCENARIOS, Times};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use viewer::Sink;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// The runs beside the scenarios.
const OTHERS: [&str; 6] = [
    "memory",
    "slow",
    "jsmpeg",
    "renditions",
    "devices",
    "telemetry",
];

/// The benchmarks: the hub and the bare loop, side by side in one run.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// The hub's binary; without it only the floor is measured
    #[arg(long)]
    hub: Option<PathBuf>,
    /// How long each run counts
    #[arg(long, default_value_t = 4.0)]
    seconds: f64,
    /// How often each run is repeated
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Only these, with commas between: 1x50, 20x100, 100x500, memory, slow, jsmpeg, renditions, devices, telemetry
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Also write the tables into this file, between its markers
    #[arg(long)]
    write: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Command {
    /// The bare loop (started by the benchmark itself)
    #[command(hide = true)]
    Floor(FloorArguments),
    /// The bare reader of lines (started by the benchmark itself)
    #[command(hide = true)]
    Lines,
}

#[derive(Args)]
struct FloorArguments {
    cameras: usize,
    viewers: usize,
    fps: u32,
    width: u16,
    height: u16,
    bytes: usize,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match &arguments.command {
        Some(Command::Floor(floor)) => floor::run(
            Feed {
                cameras: floor.cameras,
                fps: floor.fps,
                picture: Picture {
                    width: floor.width,
                    height: floor.height,
                    bytes: floor.bytes,
                    ..Picture::default()
                },
            },
            floor.viewers,
        ),
        Some(Command::Lines) => telemetry::bare(),
        None => measure(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(arguments: &Arguments) -> Result<()> {
    let names = SCENARIOS.map(|scenario| scenario.name);
    if let Some(unknown) = arguments
        .only
        .iter()
        .find(|name| !names.contains(&name.as_str()) && !OTHERS.contains(&name.as_str()))
    {
        return Err(format!(
            "no run {unknown:?}; there are {}, {}",
            names.join(", "),
            OTHERS.join(", ")
        )
        .into());
    }
    let wanted =
        |name: &str| arguments.only.is_empty() || arguments.only.iter().any(|only| only == name);
    let hub = arguments
        .hub
        .as_deref()
        .map(Path::canonicalize)
        .transpose()?;
    raise_descriptor_limit()?;
    let counted = Duration::try_from_secs_f64(arguments.seconds)?;
    let times = Times {
        warm_up: Duration::from_millis(1500),
        counted,
    };
    let mut report = Report::new(arguments.rounds, counted);
    report.begin_speed();
    for scenario in SCENARIOS.iter().filter(|scenario| wanted(scenario.name)) {
        let sinks = [
            Sink::Floor,
            Sink::Plain,
            Sink::V2 { credit: 2 },
            Sink::Mjpeg,
        ];
        let mut rows: Vec<_> = sinks.into_iter().map(|sink| (sink, Vec::new())).collect();
        for round in 1..=arguments.rounds {
            for (sink, samples) in &mut rows {
                if hub.is_none() && *sink != Sink::Floor {
                    continue;
                }
                eprintln!(
                    "{}: {}, {round} of {}",
                    scenario.name,
                    sink.name(),
                    arguments.rounds
                );
                let path = hub.as_deref().unwrap_or(Path::new(""));
                samples.push(runs::speed(scenario, *sink, path, times)?);
            }
        }
        report.speed(scenario, &rows);
    }
    if let Some(hub) = &hub {
        if wanted("memory") {
            let mut rows = Vec::new();
            for sink in [Sink::Plain, Sink::V2 { credit: 2 }, Sink::Mjpeg] {
                eprintln!("memory: {}", sink.name());
                rows.push((sink, runs::memory(sink, hub, times)?));
            }
            report.memory(&rows);
        }
        if wanted("slow") {
            // Backlogs take their time to show.
            let times = Times {
                warm_up: (counted * 2).max(Duration::from_secs(5)),
                counted: counted * 2,
            };
            let mut rows = Vec::new();
            for sink in [
                Sink::Plain,
                Sink::Mjpeg,
                Sink::V2 { credit: 2 },
                Sink::V2 { credit: 1 },
            ] {
                eprintln!("slow: {}", sink.name());
                rows.push((sink, runs::slow(sink, hub, times)?));
            }
            report.slow(&rows);
        }
        if wanted("jsmpeg") {
            let mut rows: Vec<_> = jsmpeg::SOURCES.map(|source| (source, Vec::new())).into();
            for round in 1..=arguments.rounds {
                for (source, samples) in &mut rows {
                    let rounds = arguments.rounds;
                    eprintln!("jsmpeg: {}, {round} of {rounds}", source.title);
                    samples.push(jsmpeg::measure(source, hub, times)?);
                }
            }
            report.jsmpeg(&rows);
        }
        if wanted("telemetry") {
            let mut rows = Vec::new();
            for sources in telemetry::SOURCES {
                eprintln!("telemetry: {sources} sources");
                rows.push(("bare reader", sources, telemetry::measure_bare(sources)?));
                rows.push(("hub", sources, telemetry::measure_hub(hub, sources)?));
            }
            report.telemetry(&rows);
            eprintln!("telemetry: batches");
            report.batches(&batches::measure(hub, counted)?);
        }
        if wanted("renditions") {
            let camera = renditions::camera();
            let mut rows = Vec::new();
            for rendition in RENDITIONS {
                eprintln!("renditions: {}", rendition.title);
                // A key frame comes every other second.
                let sample = renditions::measure(&rendition, &camera, hub, counted * 2)?;
                rows.push((rendition, sample));
            }
            report.renditions(&rows);
        }
        if wanted("devices") {
            let mut rows = Vec::new();
            for count in DEVICES {
                eprintln!("devices: {count}");
                rows.push(devices::measure(count, hub, times)?);
            }
            report.devices(&rows);
        }
    }
    println!("{}", report.text());
    if let Some(path) = &arguments.write {
        report.write(path)?;
    }
    Ok(())
}

/// A thousand sockets are more than a shell usually allows its programs.
fn raise_descriptor_limit() -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            ..limit
        },
    )?;
    Ok(())
}
