//! The tables, on standard output and between the markers of a file.

use crate::batches::{Batches, PACE, SERIES, VIEWERS as PULLING};
use crate::devices::{DevicesSample, VIEWERS};
use crate::jsmpeg::{self, JsmpegSample};
use crate::plot::{self, Group};
use crate::renditions::{Rendition, RenditionSample};
use crate::runs::{
    FAST_VIEWERS, MEMORY_FEW, MEMORY_MORE, Memory, SLOW_VIEWERS, STOPPED_VIEWERS, Sample,
    SlowSample, StoppedSample,
};
use crate::scenario::{Scenario, Sink};
use crate::start::{IDLE, StartSample};
use crate::tally::{Spread, median_by};
use crate::telemetry;
use ocelli_testkit::Result;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::time::Duration;

const BEGIN: &str = "<!-- bench: begin -->";
const END: &str = "<!-- bench: end -->";
/// How far beyond its aim a ratio may be where the machine is not quiet.
const SHORT_SLACK: f64 = 3.0;

/// The report as it grows.
pub struct Report {
    text: String,
    groups: Vec<Group>,
    /// Of each group, how many times the floor's CPU is aimed at.
    aims: Vec<f64>,
}

impl Report {
    pub fn new(rounds: usize, counted: Duration) -> Self {
        let mut text = format!("Machine: {}. ", machine());
        let _ = writeln!(
            text,
            "Hub, cameras and viewers share it, over loopback. Medians of {rounds} runs of {} s each, \
             after a warm-up; the runs of a table take turns.",
            counted.as_secs_f64()
        );
        Self {
            text,
            groups: Vec::new(),
            aims: Vec::new(),
        }
    }

    /// A line of its own, told at once to who waits.
    fn line(&mut self, line: &str) {
        self.text += line;
        self.text.push('\n');
    }

    pub fn begin_speed(&mut self) {
        self.line("\n### CPU for each delivered frame, and latency\n");
        self.line(
            "The floor is one thread with one `writev` of (header, shared payload) for each frame and viewer, and \
             nothing else: no ingest, no subscriptions. CPU is the time that the threads of the serving process ran \
             (schedstat), ingest included, divided by the frames that arrived whole at the viewers. Latency ends when \
             the viewer has read the frame's last byte; it begins at the hub's receipt where the frame tells it \
             (`ocelli.v2`), else at the camera, with the way into the hub. The viewers of one camera are served one \
             after the other and are read by one thread.\n",
        );
    }

    pub fn speed(&mut self, scenario: &Scenario, rows: &[(Sink, Vec<Sample>)]) {
        let floor = rows.iter().find(|(sink, _)| *sink == Sink::Floor);
        let floor = floor.and_then(|(_, samples)| median_by(samples, |sample| sample.cpu));
        self.line(&format!(
            "**{}** (aim: at most {} × the floor, p99 under 1 ms)\n",
            scenario.title, scenario.aim
        ));
        self.line("| form | CPU, µs per frame | × floor | delivered | latency from | p50, ms | p99, ms | max, ms |");
        self.line("|---|---|---|---|---|---|---|---|");
        let mut bars = Vec::new();
        for (sink, samples) in rows {
            let Some(middle) = median_by(samples, |sample| sample.cpu) else {
                continue;
            };
            bars.push((sink.name(), middle.cpu));
            let ratio = floor.map_or("".into(), |floor| format!("{:.2}", middle.cpu / floor.cpu));
            let from = match (sink, middle.received) {
                (_, Some(_)) => "receipt",
                (Sink::Floor, None) => "the loop",
                (_, None) => "the camera",
            };
            let spread = |sample: &Sample| sample.received.unwrap_or(sample.sent);
            let middle_of = |key: fn(&Spread) -> Duration| {
                let times: Vec<f64> = samples
                    .iter()
                    .map(|sample| key(&spread(sample)).as_secs_f64() * 1e3)
                    .collect();
                median_by(&times, |time| *time).unwrap_or_default()
            };
            let delivered = samples
                .iter()
                .map(|sample| sample.delivered)
                .fold(1.0, f64::min);
            self.line(&format!(
                "| {} | {:.1} | {ratio} | {:.1} % | {from} | {:.2} | {:.2} | {:.2} |",
                sink.name(),
                middle.cpu,
                delivered * 100.0,
                middle_of(|spread| spread.median),
                middle_of(|spread| spread.p99),
                middle_of(|spread| spread.max),
            ));
        }
        self.line("");
        self.aims.push(scenario.aim);
        self.groups.push(Group {
            title: scenario.title.into(),
            bars,
        });
    }

    pub fn start(&mut self, sample: &StartSample) {
        let millis = |time: Duration| format!("{:.0} ms", time.as_secs_f64() * 1e3);
        self.line("\n### Start\n");
        self.line(
            "Medians of five. A click is a new wall socket (`ocelli.v2`) that subscribes to one camera, until the \
             first picture has been read; a warm camera is one that somebody already watches.\n",
        );
        self.line("| from | to | |");
        self.line("|---|---|---|");
        for (from, to, time) in [
            (
                "the process's start",
                "listening, with 600 cameras configured",
                sample.listening,
            ),
            ("a click on a pushed camera", "its picture", sample.pushed),
            (
                "a click on a warm RTSP camera (H.264)",
                "its picture",
                sample.rtsp_warm,
            ),
            (
                "a click on a cold RTSP camera (H.264)",
                "its picture",
                sample.rtsp_cold,
            ),
            (
                "a click on a cold camera",
                "the first of its MPEG-1",
                sample.jsmpeg,
            ),
        ] {
            self.line(&format!("| {from} | {to} | {} |", millis(time)));
        }
        self.line(&format!(
            "\nA hub with {IDLE} configured cameras that nobody watches holds {:.1} MB.",
            sample.idle as f64 / 1e6
        ));
    }

    pub fn stopped(&mut self, rows: &[(Sink, StoppedSample)]) {
        self.line(&format!(
            "\nThe same camera, and {STOPPED_VIEWERS} viewers that stop reading altogether beside {FAST_VIEWERS} \
             that read at once:\n"
        ));
        self.line("| form | fast: p50, ms | p99, ms | delivered | hub's memory for each that stopped, KB |");
        self.line("|---|---|---|---|---|");
        for (sink, sample) in rows {
            self.line(&format!(
                "| {} | {:.2} | {:.2} | {:.1} % | {:.1} |",
                sink.name(),
                sample.fast.median.as_secs_f64() * 1e3,
                sample.fast.p99.as_secs_f64() * 1e3,
                sample.delivered * 100.0,
                sample.each / 1024.0
            ));
        }
    }

    pub fn devices(&mut self, rows: &[DevicesSample]) {
        self.line("\n### Devices that push\n");
        self.line(&format!(
            "QVGA of 9 kB at 8 fps of each, over `/ingest/ws`, and {VIEWERS} viewers of one camera each \
             (`ocelli.v2`, credit 2). CPU in per cent of one core; that of the load is the boards and the viewers \
             together, which share the machine with the hub. Latency is from the hub's receipt to the viewer. The \
             storm: all connect anew at once while their old connections are still open, until the hub has a picture \
             of each.\n",
        ));
        self.line("| devices | hub | load | hub, µs per frame | taken | lost | p50, ms | p99, ms | hub's memory for each, kB | storm, s |");
        self.line("|---|---|---|---|---|---|---|---|---|---|");
        for row in rows {
            self.line(&format!(
                "| {} | {:.0} % | {:.0} % | {:.1} | {:.2} % | {} | {:.2} | {:.2} | {:.0} | {:.2} |",
                row.devices,
                row.hub * 100.0,
                row.load * 100.0,
                row.cpu,
                row.taken * 100.0,
                row.lost,
                row.received.median.as_secs_f64() * 1e3,
                row.received.p99.as_secs_f64() * 1e3,
                row.memory / 1000.0,
                row.storm.as_secs_f64(),
            ));
        }
        self.line("");
    }

    pub fn memory(&mut self, rows: &[(Sink, Memory)]) {
        self.line("\n### Memory for each viewer\n");
        self.line(&format!(
            "One QVGA camera at 8 fps. The hub's resident memory (its proportional set size) with {MEMORY_FEW} \
             viewers that watch, then with {MEMORY_MORE} more; the difference divided by {MEMORY_MORE}. What the \
             kernel holds for a socket is not in it.\n",
        ));
        self.line(&format!(
            "| form | hub with {MEMORY_FEW} viewers, MB | each further viewer, KB |"
        ));
        self.line("|---|---|---|");
        for (sink, memory) in rows {
            self.line(&format!(
                "| {} | {:.1} | {:.1} |",
                sink.name(),
                memory.few as f64 / 1e6,
                memory.each / 1024.0
            ));
        }
    }

    pub fn slow(&mut self, rows: &[(Sink, SlowSample)], counted: Duration) {
        self.line("\n### Slow viewers\n");
        self.line(&format!(
            "One VGA camera of 27 kB × 15 fps; {SLOW_VIEWERS} viewers read 50 kB/s each (receive buffer 64 KiB), so \
             that one frame takes them 540 ms, beside {FAST_VIEWERS} that read at once, for {:.0} s. The age is now minus the \
             camera's stamp when a frame's last byte is read.\n",
            counted.as_secs_f64()
        ));
        self.line(
            "| form | slow: age p50, s | age max, s | fps | hub's memory for each, KB | fast: p50, ms | p99, ms | delivered |",
        );
        self.line("|---|---|---|---|---|---|---|---|");
        for (sink, sample) in rows {
            self.line(&format!(
                "| {} | {:.2} | {:.2} | {:.1} | {:.1} | {:.2} | {:.2} | {:.1} % |",
                sink.name(),
                sample.age.median.as_secs_f64(),
                sample.age.max.as_secs_f64(),
                sample.fps,
                sample.each / 1e3,
                sample.fast.median.as_secs_f64() * 1e3,
                sample.fast.p99.as_secs_f64() * 1e3,
                sample.delivered * 100.0,
            ));
        }
    }

    pub fn jsmpeg(&mut self, rows: &[(jsmpeg::Source, Vec<JsmpegSample>)]) {
        self.line(&format!(
            "\n### Passing on MPEG-1 (aim: at most {} × the floor)\n",
            jsmpeg::AIM
        ));
        self.line(&format!(
            "VGA pictures of a program at 24 fps, encoded at 800 kbit/s by one ffmpeg. A message is one picture for \
             one of {} viewers; the floor sends as many of the same mean length, at the same time, for ffmpeg takes \
             the caches from whoever sends. What a message costs the hub is what it needs more for all viewers than for \
             one, seen in turn. What a picture costs once, however many watch, is taking it \
             from the program, handing it to ffmpeg, and taking and passing on what that makes; ffmpeg's own CPU is \
             beside it.\n",
            jsmpeg::VIEWERS,
        ));
        self.line("| source | kB a message | fps | floor, µs per message | hub, µs per message | × floor | hub, µs per picture | ffmpeg, µs per picture |");
        self.line("|---|---|---|---|---|---|---|---|");
        for (source, samples) in rows {
            let median = |key: fn(&JsmpegSample) -> f64| {
                median_by(samples, key).as_ref().map_or(f64::NAN, key)
            };
            let (floor, passing) = (
                median(|sample| sample.floor),
                median(|sample| sample.passing),
            );
            self.line(&format!(
                "| {} | {:.1} | {:.1} | {floor:.1} | {passing:.1} | {:.2} | {:.0} | {:.0} |",
                source.title,
                median(|sample| sample.bytes) / 1e3,
                median(|sample| sample.fps),
                passing / floor,
                median(|sample| sample.intake),
                median(|sample| sample.encoding),
            ));
        }
    }

    pub fn renditions(&mut self, rows: &[(Rendition, RenditionSample)]) {
        self.line("\n### The JPEG of a camera that sends H.264 or H.265\n");
        self.line(
            "One RTSP camera of 1080p at 15 fps and 4 Mbit/s, a key frame every two seconds; one viewer \
             (more cost no more ffmpeg). CPU in % of one core. The age is now minus the capture time that the frame \
             carries, when the viewer has read it.\n",
        );
        self.line("| rendition | hub, % | ffmpeg, % | ffmpeg, MB | fps | kB a frame | age p50, ms | p99, ms |");
        self.line("|---|---|---|---|---|---|---|---|");
        for (rendition, sample) in rows {
            let age = |key: fn(&Spread) -> Duration| match &sample.age {
                Some(spread) => format!("{:.0}", key(spread).as_secs_f64() * 1e3),
                None => "unknown".into(),
            };
            self.line(&format!(
                "| {} | {:.1} | {:.1} | {:.0} | {:.1} | {:.0} | {} | {} |",
                rendition.title,
                sample.hub * 100.0,
                sample.ffmpeg * 100.0,
                sample.ffmpeg_memory as f64 / 1e6,
                sample.fps,
                sample.bytes / 1e3,
                age(|spread| spread.median),
                age(|spread| spread.p99),
            ));
        }
    }

    pub fn telemetry(&mut self, rows: &[(&str, usize, telemetry::Sample)]) {
        self.line("\n### Samples a second\n");
        self.line(
            "Six million lines of a time and a number with two decimal places, sent as fast as they are taken. The \
             bare reader looks for the ends of lines, with a thread for each source; the hub reads the numbers and \
             keeps all of them, in memory and in its file. Memory is the growth of the hub's proportional set size; \
             each series' newest 512 samples are not packed.\n",
        );
        self.line("| reader | sources | million/s | million/s of a core | MB a million samples |");
        self.line("|---|---|---|---|---|");
        for (reader, sources, sample) in rows {
            let bytes = sample
                .bytes
                .map_or(String::new(), |bytes| format!("{bytes:.1}"));
            self.line(&format!(
                "| {reader} | {sources} | {:.2} | {:.2} | {bytes} |",
                sample.wall / 1e6,
                sample.core / 1e6
            ));
        }
    }

    pub fn batches(&mut self, batches: &Batches) {
        let each = 1000.0 / PACE.as_millis() as f64;
        self.line(&format!(
            "\n{PULLING} viewers of {SERIES} series with {each} samples a second each, asking again as soon as \
             a batch is read; all got every sample once. From a source's write to a viewer that has read the batch: \
             median {:.2} ms, p99 {:.2} ms, longest {:.1} ms; {:.1} samples a batch; {:.0} % of a core.",
            batches.latency.median.as_secs_f64() * 1e3,
            batches.latency.p99.as_secs_f64() * 1e3,
            batches.latency.max.as_secs_f64() * 1e3,
            batches.samples,
            batches.cpu * 100.0
        ));
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// Each form's CPU as a multiple of the floor's, and the multiple that is too much:
    /// [`SHORT_SLACK`] times the aim, for machines that do other things beside. Nothing absolute.
    pub fn ratios(&self) -> (String, bool) {
        let (mut text, mut good) = (String::new(), true);
        for (group, aim) in self.groups.iter().zip(&self.aims) {
            let floor = group.bars.first().map_or(f64::NAN, |(_, cpu)| *cpu);
            for (name, cpu) in group.bars.iter().skip(1) {
                let (ratio, limit) = (cpu / floor, aim * SHORT_SLACK);
                let word = if ratio <= limit { "good" } else { "too much" };
                good &= ratio <= limit;
                let _ = writeln!(
                    text,
                    "{}: {name}: {ratio:.2} × the floor ({word}: at most {limit:.2})",
                    group.title
                );
            }
        }
        (text, good)
    }

    /// Puts the report between the file's markers; a file without them gets
    /// them at its end. The plot goes beside it.
    pub fn write(&mut self, path: &Path) -> Result<()> {
        if let Some(drawn) = plot::svg(&self.groups) {
            let plot = path.with_extension("svg");
            fs::write(&plot, drawn)?;
            let name = plot.file_name().unwrap_or_default().to_string_lossy();
            self.text = format!("![CPU for each delivered frame]({name})\n\n{}", self.text);
        }
        let old = fs::read_to_string(path)
            .unwrap_or_else(|_| "# Benchmarks\n\n`make bench` makes them.\n".into());
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory)?;
        }
        fs::write(path, between(&old, &self.text))?;
        Ok(())
    }
}

fn between(old: &str, text: &str) -> String {
    let (before, after) = match (old.split_once(BEGIN), old.split_once(END)) {
        (Some((before, _)), Some((_, after))) => (before.to_owned(), after),
        _ => (format!("{}\n\n", old.trim_end()), "\n"),
    };
    format!("{before}{BEGIN}\n{}\n{END}{after}", text.trim_end())
}

/// The processor, how many cores, the kernel; no name, no date.
fn machine() -> String {
    let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = processors
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let model = model.map_or("an unnamed processor", |(_, model)| model.trim());
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let kernel: Vec<&str> = release.trim().split(['.', '-']).take(2).collect();
    format!("{model}, {cores} cores, Linux {}", kernel.join("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_takes_the_old_ones_place() {
        let first = between("# Title\n", "one\n");
        assert_eq!(first, format!("# Title\n\n{BEGIN}\none\n{END}\n"));
        let second = between(&format!("{first}\nmore\n"), "two\n");
        assert_eq!(second, format!("# Title\n\n{BEGIN}\ntwo\n{END}\n\nmore\n"));
    }
}
