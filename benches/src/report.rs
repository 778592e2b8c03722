//! Formats the result tables for standard output and for the marked part of a file.

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
/// Factor by which a ratio may exceed its target, because the machine may be busy.
const SHORT_SLACK: f64 = 3.0;

/// The report.
pub struct Report {
    text: String,
    groups: Vec<Group>,
    /// The target of each group, as a multiple of the floor's CPU.
    aims: Vec<f64>,
}

impl Report {
    pub fn new(rounds: usize, counted: Duration) -> Self {
        let mut text = format!("Machine: {}. ", machine());
        let _ = writeln!(
            text,
            "Hub, cameras and viewers share it, over loopback. Medians of {rounds} runs of {} s each, \
             after a warm-up; the runs of a table are interleaved.",
            counted.as_secs_f64()
        );
        Self {
            text,
            groups: Vec::new(),
            aims: Vec::new(),
        }
    }

    /// Appends a line.
    fn line(&mut self, line: &str) {
        self.text += line;
        self.text.push('\n');
    }

    /// Appends a section that is already formatted.
    pub fn section(&mut self, section: &str) {
        self.text += section;
    }

    pub fn begin_speed(&mut self) {
        self.line("\n### CPU per delivered frame, and latency\n");
        self.line(
            "The floor is one thread with one `writev` of (header, shared payload) per frame and viewer, and \
             nothing else: no ingest, no subscriptions. CPU is the run time of the serving process's threads \
             (schedstat), including ingest, divided by the frames that arrived complete at the viewers. Latency ends \
             when the viewer has read the frame's last byte. It begins at the hub's receipt if the frame contains it \
             (`ocelli.v2`), otherwise at the camera, which includes the path into the hub. The viewers of one camera \
             are served one after the other, and one thread reads them.\n",
        );
    }

    pub fn speed(&mut self, scenario: &Scenario, rows: &[(Sink, Vec<Sample>)]) {
        let floor = rows.iter().find(|(sink, _)| *sink == Sink::Floor);
        let floor = floor.and_then(|(_, samples)| median_by(samples, |sample| sample.cpu));
        let credit = scenario
            .credit_aim
            .map_or(String::new(), |aim| format!(", with credit {aim} ×"));
        self.line(&format!(
            "**{}** (target: at most {} × the floor{credit}, p99 under 1 ms)\n",
            scenario.title, scenario.aim
        ));
        self.line("| transport | CPU, µs per frame | × floor | delivered | latency from | p50, ms | p99, ms | max, ms |");
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
            "Medians of five. A click is a new wall socket (`ocelli.v2`) that subscribes to one camera; it ends when \
             the first picture has been read. A warm camera already has a viewer.\n",
        );
        self.line("| from | to | |");
        self.line("|---|---|---|");
        for (from, to, time) in [
            (
                "start of the process",
                "listening, with 600 cameras configured",
                sample.listening,
            ),
            ("a click on a pushed camera", "first picture", sample.pushed),
            (
                "a click on a warm RTSP camera (H.264)",
                "first picture",
                sample.rtsp_warm,
            ),
            (
                "a click on a cold RTSP camera (H.264)",
                "first picture",
                sample.rtsp_cold,
            ),
            (
                "a click on a cold camera",
                "first MPEG-1 bytes",
                sample.jsmpeg,
            ),
        ] {
            self.line(&format!("| {from} | {to} | {} |", millis(time)));
        }
        self.line(&format!(
            "\nA hub with {IDLE} configured cameras and no viewers uses {:.1} MB.",
            sample.idle as f64 / 1e6
        ));
    }

    pub fn stopped(&mut self, rows: &[(Sink, StoppedSample)]) {
        self.line(&format!(
            "\nThe same camera, with {STOPPED_VIEWERS} viewers that stop reading completely next to {FAST_VIEWERS} \
             fast viewers:\n"
        ));
        self.line("| transport | fast: p50, ms | p99, ms | delivered | hub's memory per stopped viewer, KB |");
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
            "Each device pushes QVGA of 9 kB at 8 fps over `/ingest/ws`, with {VIEWERS} viewers of one camera each \
             (`ocelli.v2`, credit 2). CPU in per cent of one core; the load is the devices and the viewers together, \
             which share the machine with the hub. Latency is from the hub's receipt to the viewer. The storm: all \
             devices reconnect at once while their old connections are still open, until the hub has a picture of \
             each.\n",
        ));
        self.line("| devices | hub | load | hub, µs per frame | received | lost | p50, ms | p99, ms | hub's memory per device, kB | storm, s |");
        self.line("|---|---|---|---|---|---|---|---|---|---|");
        for row in rows {
            self.line(&format!(
                "| {} | {:.0} % | {:.0} % | {:.1} | {:.2} % | {} | {:.2} | {:.2} | {:.0} | {:.2} |",
                row.devices,
                row.hub * 100.0,
                row.load * 100.0,
                row.cpu,
                row.received_frames * 100.0,
                row.lost,
                row.received.median.as_secs_f64() * 1e3,
                row.received.p99.as_secs_f64() * 1e3,
                row.memory / 1000.0,
                row.reconnect_time.as_secs_f64(),
            ));
        }
        self.line("");
    }

    pub fn memory(&mut self, rows: &[(Sink, Memory)]) {
        self.line("\n### Memory per viewer\n");
        self.line(&format!(
            "One QVGA camera at 8 fps. The hub's resident memory (proportional set size) with {MEMORY_FEW} viewers, \
             then with {MEMORY_MORE} more; the difference divided by {MEMORY_MORE}. The kernel's memory for sockets is \
             not included.\n",
        ));
        self.line(&format!(
            "| transport | hub with {MEMORY_FEW} viewers, MB | per further viewer, KB |"
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
            "One VGA camera of 27 kB × 15 fps. {SLOW_VIEWERS} viewers read 50 kB/s each (receive buffer 64 KiB), so \
             one frame takes them 540 ms, next to {FAST_VIEWERS} fast viewers, for {:.0} s. The age is now minus the \
             camera's timestamp when a frame's last byte is read.\n",
            counted.as_secs_f64()
        ));
        self.line(
            "| transport | slow: age p50, s | age max, s | fps | hub's memory per slow viewer, KB | fast: p50, ms | p99, ms | delivered |",
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
            "\n### Forwarding MPEG-1 (target: at most {} × the floor)\n",
            jsmpeg::TARGET_RATIO
        ));
        self.line(&format!(
            "VGA pictures of a program at 24 fps, encoded at 800 kbit/s by one ffmpeg. A message is one picture for \
             one of {} viewers. The floor sends the same number of messages of the same mean length at the same time, \
             because ffmpeg evicts the caches of every sender. The hub's cost per message is the difference between \
             all viewers and one, measured in turn. Its cost per picture, for any number of viewers, is reading it \
             from the program, passing it to ffmpeg, and reading and forwarding the result; ffmpeg's own CPU is in \
             the last column.\n",
            jsmpeg::VIEWERS,
        ));
        self.line("| source | kB per message | fps | floor, µs per message | hub, µs per message | × floor | hub, µs per picture | ffmpeg, µs per picture |");
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
        self.line("\n### JPEG renditions of an H.264 or H.265 camera\n");
        self.line(
            "One RTSP camera of 1080p at 15 fps and 4 Mbit/s, with a key frame every two seconds, and one viewer \
             (further viewers need no further ffmpeg). CPU in % of one core. The age is now minus the frame's capture \
             time when the viewer has read it.\n",
        );
        self.line("| rendition | hub, % | ffmpeg, % | ffmpeg, MB | fps | kB per frame | age p50, ms | p99, ms |");
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
        self.line("\n### Samples per second\n");
        self.line(
            "Six million lines of a time and a number with two decimal places, sent as fast as the reader accepts them. The \
             bare reader searches for line ends, with one thread per source. The hub parses the numbers and stores all \
             of them, in memory and in its file. Memory is the growth of the hub's proportional set size; each series' \
             newest 512 samples are not packed.\n",
        );
        self.line("| reader | sources | million/s | million/s per core | MB per million samples |");
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
            "\n{PULLING} viewers of {SERIES} series with {each} samples per second each, requesting the next batch as \
             soon as one is read; each got every sample exactly once. From a source's write until a viewer has read the batch: \
             median {:.2} ms, p99 {:.2} ms, max {:.1} ms; {:.1} samples per batch; {:.0} % of one core.",
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

    /// Returns each transport's CPU as a multiple of the floor's with its limit, and whether all are
    /// within their limits. The limit is [`SHORT_SLACK`] times the target, because the machine may
    /// be busy. The text contains no absolute figures.
    pub fn ratios(&self) -> (String, bool) {
        let (mut text, mut good) = (String::new(), true);
        for (group, aim) in self.groups.iter().zip(&self.aims) {
            let floor = group.bars.first().map_or(f64::NAN, |(_, cpu)| *cpu);
            for (name, cpu) in group.bars.iter().skip(1) {
                let (ratio, limit) = (cpu / floor, aim * SHORT_SLACK);
                let word = if ratio <= limit { "ok" } else { "too high" };
                good &= ratio <= limit;
                let _ = writeln!(
                    text,
                    "{}: {name}: {ratio:.2} × the floor ({word}, limit {limit:.2})",
                    group.title
                );
            }
        }
        (text, good)
    }

    /// Writes the report between the file's markers, which are appended if they are missing. The plot
    /// is written next to the file.
    pub fn write(&mut self, path: &Path) -> Result<()> {
        if let Some(drawn) = plot::svg(&self.groups) {
            let plot = path.with_extension("svg");
            fs::write(&plot, drawn)?;
            let name = plot.file_name().unwrap_or_default().to_string_lossy();
            self.text = format!("![CPU per delivered frame]({name})\n\n{}", self.text);
        }
        let old = fs::read_to_string(path)
            .unwrap_or_else(|_| "# Benchmarks\n\n`make bench` measures them.\n".into());
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

/// Describes the machine: processor, number of cores, kernel, but neither the host name nor the
/// date.
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
    fn a_new_report_replaces_the_old_one() {
        let first = between("# Title\n", "one\n");
        assert_eq!(first, format!("# Title\n\n{BEGIN}\none\n{END}\n"));
        let second = between(&format!("{first}\nmore\n"), "two\n");
        assert_eq!(second, format!("# Title\n\n{BEGIN}\ntwo\n{END}\n\nmore\n"));
    }
}
