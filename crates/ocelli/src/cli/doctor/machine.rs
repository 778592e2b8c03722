//! Checks whether this machine has what the hub needs.

use super::report::Report;
use crate::config::{Config, DEFAULT_LISTEN};
use rustix::process::{Resource, getrlimit};
use std::io;
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;
use tokio::time::timeout;

const FFMPEG_TIMEOUT: Duration = Duration::from_secs(10);
/// A limit below this number of descriptors is a warning.
const FEW_DESCRIPTORS: u64 = 1024;
/// The approximate number of descriptors that the hub itself uses.
const OWN_DESCRIPTORS: u64 = 50;

/// Entries that one of ffmpeg's lists must have.
struct RequiredEntries {
    /// The option that prints the list.
    option: &'static str,
    /// The word for an entry.
    word: &'static str,
    /// The names of the entries, each with what does not work without it.
    wanted: &'static [(&'static str, &'static str)],
}

const REQUIRED_ENTRIES: [RequiredEntries; 4] = [
    RequiredEntries {
        option: "-decoders",
        word: "decoder",
        wanted: &[
            ("h264", "H.264 cameras"),
            ("hevc", "H.265 cameras"),
            ("mjpeg", "JPEG streams read by ffmpeg"),
        ],
    },
    RequiredEntries {
        option: "-encoders",
        word: "encoder",
        wanted: &[
            ("mjpeg", "cameras that do not send JPEG"),
            ("mpeg1video", "JSMpeg players"),
        ],
    },
    RequiredEntries {
        option: "-muxers",
        word: "muxer",
        wanted: &[
            ("smjpeg", "cameras that do not send JPEG"),
            ("avi", "JSMpeg players"),
        ],
    },
    RequiredEntries {
        option: "-demuxers",
        word: "demuxer",
        wanted: &[("ivf", "cameras that do not send JPEG, JSMpeg players")],
    },
];

/// Checks this machine.
pub async fn diagnose(report: &mut Report, config: &Path) {
    check_ffmpeg(report).await;
    let listen = check_listen(report, config);
    check_port(report, &listen);
    check_descriptors(report);
}

async fn run_ffmpeg(option: &str) -> io::Result<String> {
    let child = Command::new("ffmpeg")
        .args(["-hide_banner", option])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = timeout(FFMPEG_TIMEOUT, child).await??;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

async fn check_ffmpeg(report: &mut Report) {
    let version = match run_ffmpeg("-version").await {
        Ok(version) => version,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return report.fail(
                "ffmpeg",
                "ffmpeg is not installed. Cameras that send JPEG work without it; H.264, H.265 \
                 and ffmpeg: cameras do not. On Debian, Ubuntu and the Pi: apt install ffmpeg.",
            );
        }
        Err(error) => {
            return report.fail(
                "ffmpeg",
                format!("ffmpeg can't be run: {error}. Reinstall it."),
            );
        }
    };
    let version = version
        .split_whitespace()
        .nth(2)
        .unwrap_or("of unknown version");
    report.pass("ffmpeg", format!("ffmpeg {version} is installed."));
    let mut missing = Vec::new();
    for part in REQUIRED_ENTRIES {
        let list = run_ffmpeg(part.option).await.unwrap_or_default();
        for (name, purpose) in part.wanted {
            if !has_entry(&list, name) {
                missing.push(format!("the {} {name} ({purpose})", part.word));
            }
        }
    }
    if missing.is_empty() {
        report.pass(
            "codecs",
            "ffmpeg has every encoder, decoder and format that the hub uses.",
        );
    } else {
        report.fail(
            "codecs",
            format!(
                "This ffmpeg lacks {}. Install your distribution's full ffmpeg package.",
                missing.join(", ")
            ),
        );
    }
}

/// Returns true if one of ffmpeg's lists has an entry: flags, the name (or several names,
/// separated by commas), a description.
fn has_entry(list: &str, name: &str) -> bool {
    list.lines().any(|line| {
        let names = line.split_whitespace().nth(1).unwrap_or_default();
        names.split(',').any(|known| known == name)
    })
}

/// Checks the listen address, from the configuration if there is one.
fn check_listen(report: &mut Report, config: &Path) -> String {
    if config.exists() {
        match Config::load(config) {
            Ok(config) => return config.listen.to_string(),
            Err(error) => report.fail("configuration", error.to_string()),
        }
    }
    DEFAULT_LISTEN.to_owned()
}

fn check_port(report: &mut Report, listen: &str) {
    match TcpListener::bind(listen) {
        Ok(_) => report.pass("port", format!("{listen} is free.")),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => report.warn(
            "port",
            format!(
                "Another program already listens on {listen}. If it is not Ocelli itself, start \
                 the hub on another address: ocelli serve --listen 127.0.0.1:8081."
            ),
        ),
        Err(error) => report.warn(
            "port",
            format!("Can't listen on {listen}: {error}. Try --listen 127.0.0.1:8081."),
        ),
    }
}

fn check_descriptors(report: &mut Report) {
    let Some(limit) = getrlimit(Resource::Nofile).current else {
        return report.pass("descriptors", "There is no limit on open descriptors.");
    };
    let viewers = limit.saturating_sub(OWN_DESCRIPTORS);
    let limit_text = format!(
        "This user may have {limit} descriptors open. Each viewer and each camera uses one or a \
         few, so this is enough for at most about {viewers} of them"
    );
    if limit < FEW_DESCRIPTORS {
        report.warn(
            "descriptors",
            format!(
                "{limit_text}. Raise it: ulimit -n 4096, or LimitNOFILE=4096 \
                                            in a systemd unit."
            ),
        );
    } else {
        report.pass("descriptors", format!("{limit_text}."));
    }
}

#[cfg(test)]
mod tests {
    use super::has_entry;

    #[test]
    fn entries_in_ffmpegs_lists_are_found() {
        let list = " V....D h264   H.264\n D  ivf     On2 IVF\n DE mov,mp4  Q\n  E smjpeg Loki\n";
        for name in ["h264", "ivf", "mp4", "smjpeg"] {
            assert!(has_entry(list, name), "{name}");
        }
        assert!(!has_entry(list, "hevc") && !has_entry(list, "Loki"));
    }
}
