//! Benchmarks that compare Ocelli with a bare loop: CPU per delivered frame, latency, memory per
//! viewer, and the delay of slow viewers.
//!
//! # Layout
//! - `floor`: the bare loop, which is this program in a separate process.
//! - `scenario`: the number of viewers and cameras, and the transport. `cameras`: the cameras.
//! - `viewer`, `load`: viewers that check every frame, all in one thread.
//! - `native`: a wall of H.264 cameras, compared with JPEG and go2rtc. `click`: the time to its
//!   picture.
//! - `devices`: devices that push to the hub.
//! - `jsmpeg`: forwarding MPEG-1, compared with the bare loop.
//! - `telemetry`: samples per second, compared with a bare line reader. `batches`: their latency to
//!   viewers.
//! - `server`: the hub, the bare loop and go2rtc as processes.
//! - `runs`, `renditions`, `start`: single runs and their measurements. `tally`: counting.
//! - `report`, `plot`: tables and an SVG plot.
//! - `attack`: attacks on a hub while a wall must stay live.
//! - `soak`: all features at once with injected faults. `journal`: samples that must not be lost.
//!
//! The hub is the release binary in a separate process, so that its CPU and memory can be measured.
//! Everything runs over loopback and is bounded in count and time.

mod attack;
mod batches;
mod cameras;
mod click;
mod devices;
mod floor;
mod journal;
mod jsmpeg;
mod load;
mod native;
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
use cameras::Recordings;
use clap::{Args, Parser, Subcommand};
use devices::DEVICES;
use native::Transport;
use ocelli_testkit::Result;
use ocelli_testkit::feed::Feed;
use ocelli_testkit::jpeg::Picture;
use ocelli_testkit::video::{Recording, Video};
use renditions::RENDITIONS;
use report::Report;
use runs::{Sample, Times};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use scenario::{Media, NATIVE_CREDIT, SCENARIOS, Scenario, Sink};
use server::Programs;
use soak::Soak;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// The runs that are not scenarios.
const OTHERS: [&str; 9] = [
    "memory",
    "slow",
    "start",
    "jsmpeg",
    "renditions",
    "native",
    "click",
    "devices",
    "telemetry",
];
const NO_HUB: &str = "no hub to run: pass its binary with --hub";
/// The scenarios of the short form.
const SHORT: [&str; 2] = ["1x50", "20x100"];

/// Benchmarks of the hub and the bare loop in one run.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// The hub's binary; without it only the floor is measured
    #[arg(long)]
    hub: Option<PathBuf>,
    /// Measured seconds of each run
    #[arg(long, default_value_t = 4.0)]
    seconds: f64,
    /// Repetitions of each run
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Only these runs, separated by commas: 1x50, 20x100, 100x500, 600x600, 1x2000, native-1x50, native-16x64, memory, slow, start, jsmpeg, renditions, native, click, devices, telemetry
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// go2rtc's binary, for comparison
    #[arg(long)]
    go2rtc: Option<PathBuf>,
    /// A minute and a half of 1x50 and 20x100: prints only ratios, and fails if one is far too high
    #[arg(long, conflicts_with_all = ["only", "write"])]
    short: bool,
    /// Also write the tables between the markers of this file, and the plot next to it
    #[arg(long)]
    write: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Command {
    /// The bare loop (started by the benchmark itself)
    #[command(hide = true)]
    Floor(FloorArguments),
    /// The bare loop with a recording (started by the benchmark itself)
    #[command(hide = true)]
    VideoFloor(VideoFloorArguments),
    /// Attacks a hub while a wall must stay live (started by `make attack`)
    #[command(hide = true)]
    Attack(Attack),
    /// All features at once, with a fault every few seconds (started by `make soak`)
    #[command(hide = true)]
    Soak(Soak),
    /// The bare line reader (started by the benchmark itself)
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

#[derive(Args)]
struct VideoFloorArguments {
    cameras: usize,
    viewers: usize,
    fps: u32,
    file: PathBuf,
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
        Some(Command::VideoFloor(floor)) => {
            floor::run_video(floor.cameras, floor.viewers, floor.fps, &floor.file)
        }
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

/// Returns the binaries that the arguments name, or `None` without a hub.
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
        return Err(format!("unknown run {unknown:?}; the runs are {names}, {others}").into());
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
    let mut recordings = Recordings::default();
    for scenario in SCENARIOS.iter().filter(|scenario| wanted(scenario.name)) {
        // This process holds the sockets of the cameras and of the viewers.
        let needed = (scenario.viewers + scenario.media.cameras() + 200) as u64;
        if descriptors.is_some_and(|allowed| allowed < needed) {
            eprintln!(
                "{}: skipped, because it needs {needed} open files and `ulimit -Hn` allows fewer",
                scenario.name
            );
            continue;
        }
        let recording = recordings.of(&scenario.media)?;
        let recording = recording.as_ref();
        let rows = speed(scenario, recording, programs.as_ref(), arguments, times)?;
        report.speed(scenario, &rows);
    }
    if let Some(programs) = &programs {
        others(
            programs,
            &wanted,
            arguments.rounds,
            times,
            &mut recordings,
            &mut report,
        )?;
    }
    if arguments.short {
        let (text, good) = report.ratios();
        print!("{text}");
        return match good {
            true => Ok(()),
            false => Err(
                "a transport costs far more than its target allows, compared with the bare loop"
                    .into(),
            ),
        };
    }
    println!("{}", report.text());
    if let Some(path) = &arguments.write {
        report.write(path)?;
    }
    Ok(())
}

/// All transports of one scenario, interleaved.
fn speed(
    scenario: &Scenario,
    recording: Option<&Arc<Recording>>,
    programs: Option<&Programs>,
    arguments: &Arguments,
    times: Times,
) -> Result<Vec<(Sink, Vec<Sample>)>> {
    let mut sinks = vec![Sink::Floor];
    if let (Some(_), Media::H264 { .. }) = (programs, scenario.media) {
        let credit = NATIVE_CREDIT;
        sinks.push(Sink::Native { credit });
    } else if let Some(programs) = programs {
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
            samples.push(runs::speed(scenario, recording, *sink, programs, times)?);
        }
    }
    Ok(rows)
}

/// The runs that do not measure fan-out.
fn others(
    programs: &Programs,
    wanted: &impl Fn(&str) -> bool,
    rounds: usize,
    times: Times,
    recordings: &mut Recordings,
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
        // Backlogs take time to appear: a minute in a full run.
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
        // A longer run, because twenty viewers add only a few ms of CPU per second.
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
            // Key frames are two seconds apart.
            let sample = renditions::measure(&rendition, &camera, programs, counted * 2)?;
            rows.push((rendition, sample));
        }
        report.renditions(&rows);
    }
    if wanted("native") {
        let recording = recordings.get(Video::HD)?;
        let available = native::TRANSPORTS
            .into_iter()
            .filter(|transport| *transport != Transport::Mse || programs.go2rtc.is_some());
        let mut rows: Vec<_> = available.map(|transport| (transport, Vec::new())).collect();
        for round in 1..=rounds {
            for (transport, samples) in &mut rows {
                eprintln!("native: {}, {round} of {rounds}", transport.name());
                // Whole groups.
                let counted = counted * 2;
                samples.push(native::measure(*transport, &recording, programs, counted)?);
            }
        }
        report.section(&native::section(&rows));
    }
    if wanted("click") {
        let mut samples = Vec::new();
        for video in click::VIDEOS {
            let recording = recordings.get(video)?;
            eprintln!("click: {} pictures per group", video.group);
            samples.push(click::measure(&recording, programs)?);
        }
        report.section(&click::section(&samples));
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

/// Raises the limit of open files, because a thousand sockets exceed the usual limit of a shell.
/// Returns the new limit, `None` if it is unlimited.
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
