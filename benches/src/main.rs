//! Ocelli beside a bare loop: CPU for each delivered frame, latency, memory
//! for each viewer, and how far slow viewers fall behind.
//!
//! # Layout
//! - `floor`: the bare loop, this program again as a process of its own.
//! - `scenario`: how many viewers of how many cameras, and by which way.
//! - `viewer`, `load`: viewers that check every frame, all in one thread.
//! - `devices`: boards that push into the hub.
//! - `jsmpeg`: passing on MPEG-1, beside the bare loop.
//! - `telemetry`: samples a second, beside a bare reader of lines. `batches`: how long they
//!   take to those who look.
//! - `server`: the hub, the bare loop and go2rtc as processes.
//! - `runs`, `renditions`, `start`: what is started and read off. `tally`: counting.
//! - `report`, `plot`: tables and a picture.
//! - `attack`: what a hub has to bear beside a wall that has to stay live.
//! - `soak`: everything at once with faults injected; `journal`, samples that may not be lost.
//!
//! The hub is the release binary as a process, so that its CPU and memory are
//! its own. Everything is on loopback and bounded in count and time.

mod attack;
mod batches;
mod devices;
mod floor;
mod journal;
mod jsmpeg;
mod load;
mod plot;
mod renditions;
mod report;
mod runs;
mod scenario;
mod server;
mod soak;
mod start;
mod tally;
mod telemetry;
mod viewer;

use attack::Attack;
use clap::{Args, Parser, Subcommand};
use devices::DEVICES;
use ocelli_testkit::Result;
use ocelli_testkit::feed::Feed;
use ocelli_testkit::jpeg::Picture;
use renditions::RENDITIONS;
use report::Report;
use runs::{Sample, Times};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use scenario::{SCENARIOS, Scenario, Sink};
use server::Programs;
use soak::Soak;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// The runs beside the scenarios.
const OTHERS: [&str; 7] = [
    "memory",
    "slow",
    "start",
    "jsmpeg",
    "renditions",
    "devices",
    "telemetry",
];
const NO_HUB: &str = "--hub names the binary to try";
/// What the short form runs.
const SHORT: [&str; 2] = ["1x50", "20x100"];

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
    /// Only these, with commas between: 1x50, 20x100, 100x500, 600x600, 1x2000, memory, slow, start, jsmpeg, renditions, devices, telemetry
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// go2rtc's binary, to compare to
    #[arg(long)]
    go2rtc: Option<PathBuf>,
    /// A minute and a half of 1x50 and 20x100: tells ratios alone, and fails where one is far too much
    #[arg(long, conflicts_with_all = ["only", "write"])]
    short: bool,
    /// Also write the tables into this file, between its markers, and the plot beside it
    #[arg(long)]
    write: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Command {
    /// The bare loop (started by the benchmark itself)
    #[command(hide = true)]
    Floor(FloorArguments),
    /// Attacks a hub beside a wall that has to stay live (started by `make attack`)
    #[command(hide = true)]
    Attack(Attack),
    /// Everything at once, with faults every few seconds (started by `make soak`)
    #[command(hide = true)]
    Soak(Soak),
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
        Some(Command::Attack(attack)) => {
            programs(&arguments).and_then(|programs| attack::run(attack, &programs.ok_or(NO_HUB)?))
        }
        Some(Command::Soak(soak)) => {
            programs(&arguments).and_then(|programs| soak.run(&programs.ok_or(NO_HUB)?))
        }
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

/// The binaries that the arguments name.
fn programs(arguments: &Arguments) -> Result<Option<Programs>> {
    raise_descriptor_limit()?;
    let found = |path: Option<&Path>| path.map(Path::canonicalize).transpose();
    let go2rtc = found(arguments.go2rtc.as_deref())?;
    let hub = found(arguments.hub.as_deref())?;
    Ok(hub.map(|hub| Programs { hub, go2rtc }))
}

fn measure(arguments: &Arguments) -> Result<()> {
    let names = SCENARIOS.map(|scenario| scenario.name);
    let known = |name: &str| names.contains(&name) || OTHERS.contains(&name);
    if let Some(unknown) = arguments.only.iter().find(|name| !known(name)) {
        let (names, others) = (names.join(", "), OTHERS.join(", "));
        return Err(format!("no run {unknown:?}; there are {names}, {others}").into());
    }
    let wanted = |name: &str| match arguments.short {
        true => SHORT.contains(&name),
        false => arguments.only.is_empty() || arguments.only.iter().any(|only| only == name),
    };
    let programs = programs(arguments)?;
    let descriptors = raise_descriptor_limit()?;
    let seconds = if arguments.short {
        arguments.seconds.min(1.5)
    } else {
        arguments.seconds
    };
    let times = Times {
        warm_up: Duration::from_millis(1500),
        counted: Duration::try_from_secs_f64(seconds)?,
    };
    let mut report = Report::new(arguments.rounds, times.counted);
    report.begin_speed();
    for scenario in SCENARIOS.iter().filter(|scenario| wanted(scenario.name)) {
        // The cameras' and the viewers' ends are both ours.
        let needed = (scenario.viewers + scenario.feed.cameras + 200) as u64;
        if descriptors.is_some_and(|allowed| allowed < needed) {
            eprintln!(
                "{}: left out, for it needs {needed} open files and `ulimit -Hn` allows fewer",
                scenario.name
            );
            continue;
        }
        let rows = speed(scenario, programs.as_ref(), arguments, times)?;
        report.speed(scenario, &rows);
    }
    if let Some(programs) = &programs {
        others(programs, &wanted, arguments.rounds, times, &mut report)?;
    }
    if arguments.short {
        let (text, good) = report.ratios();
        print!("{text}");
        return match good {
            true => Ok(()),
            false => Err("a form costs far more than it should beside the bare loop".into()),
        };
    }
    println!("{}", report.text());
    if let Some(path) = &arguments.write {
        report.write(path)?;
    }
    Ok(())
}

/// All forms of one scenario, taking turns.
fn speed(
    scenario: &Scenario,
    programs: Option<&Programs>,
    arguments: &Arguments,
    times: Times,
) -> Result<Vec<(Sink, Vec<Sample>)>> {
    let mut sinks = vec![Sink::Floor];
    if let Some(programs) = programs {
        sinks.extend([Sink::Plain, Sink::V2 { credit: 2 }, Sink::Mjpeg]);
        if programs.go2rtc.is_some() && !arguments.short {
            sinks.push(Sink::Go2rtc);
        }
    }
    let nothing = Programs {
        hub: PathBuf::new(),
        go2rtc: None,
    };
    let mut rows: Vec<_> = sinks.into_iter().map(|sink| (sink, Vec::new())).collect();
    for round in 1..=arguments.rounds {
        for (sink, samples) in &mut rows {
            let (name, rounds) = (scenario.name, arguments.rounds);
            eprintln!("{name}: {}, {round} of {rounds}", sink.name());
            let programs = programs.unwrap_or(&nothing);
            samples.push(runs::speed(scenario, *sink, programs, times)?);
        }
    }
    Ok(rows)
}

/// What is not fan-out.
fn others(
    programs: &Programs,
    wanted: &impl Fn(&str) -> bool,
    rounds: usize,
    times: Times,
    report: &mut Report,
) -> Result<()> {
    let counted = times.counted;
    if wanted("memory") {
        let mut rows = Vec::new();
        for sink in [Sink::Plain, Sink::V2 { credit: 2 }, Sink::Mjpeg] {
            eprintln!("memory: {}", sink.name());
            rows.push((sink, runs::memory(sink, programs, times)?));
        }
        report.memory(&rows);
    }
    if wanted("slow") {
        // Backlogs take their time to show: a minute in a whole run.
        let long = Times {
            warm_up: Duration::from_secs(10),
            counted: counted * 15,
        };
        let short = Times {
            warm_up: Duration::from_secs(5),
            counted: counted * 2,
        };
        let sinks = [
            Sink::Plain,
            Sink::Mjpeg,
            Sink::V2 { credit: 2 },
            Sink::V2 { credit: 1 },
        ];
        let (mut rows, mut stopped) = (Vec::new(), Vec::new());
        for sink in sinks {
            eprintln!("slow: {}", sink.name());
            rows.push((sink, runs::slow(sink, programs, long)?));
            stopped.push((sink, runs::stopped(sink, programs, short)?));
        }
        report.slow(&rows, long.counted);
        report.stopped(&stopped);
    }
    if wanted("start") {
        eprintln!("start");
        report.start(&start::measure(programs)?);
    }
    if wanted("jsmpeg") {
        // Twenty viewers add a few milliseconds to a second.
        let times = Times {
            counted: counted * 4,
            ..times
        };
        let mut rows: Vec<_> = jsmpeg::SOURCES.map(|source| (source, Vec::new())).into();
        for round in 1..=rounds {
            for (source, samples) in &mut rows {
                eprintln!("jsmpeg: {}, {round} of {rounds}", source.title);
                samples.push(jsmpeg::measure(source, programs, times)?);
            }
        }
        report.jsmpeg(&rows);
    }
    if wanted("telemetry") {
        let mut rows = Vec::new();
        for sources in telemetry::SOURCES {
            eprintln!("telemetry: {sources} sources");
            let hub = telemetry::measure_hub(&programs.hub, sources)?;
            rows.push(("bare reader", sources, telemetry::measure_bare(sources)?));
            rows.push(("hub", sources, hub));
        }
        report.telemetry(&rows);
        eprintln!("telemetry: batches");
        report.batches(&batches::measure(&programs.hub, counted)?);
    }
    if wanted("renditions") {
        let camera = renditions::camera();
        let mut rows = Vec::new();
        for rendition in RENDITIONS {
            eprintln!("renditions: {}", rendition.title);
            // A key frame comes every other second.
            let sample = renditions::measure(&rendition, &camera, programs, counted * 2)?;
            rows.push((rendition, sample));
        }
        report.renditions(&rows);
    }
    if wanted("devices") {
        let mut rows = Vec::new();
        for count in DEVICES {
            eprintln!("devices: {count}");
            rows.push(devices::measure(count, programs, times)?);
        }
        report.devices(&rows);
    }
    Ok(())
}

/// A thousand sockets are more than a shell usually allows its programs. How many there
/// may be now; none for any number.
fn raise_descriptor_limit() -> Result<Option<u64>> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            ..limit
        },
    )?;
    Ok(limit.maximum)
}
