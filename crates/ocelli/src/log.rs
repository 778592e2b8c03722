//! The log: lines on standard error, for people or for programs.

use crate::config::{Log, LogFormat};
use serde_json::json;
use std::io::{self, IsTerminal, Write};
use std::sync::OnceLock;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};

/// The variable that goes before the configuration's level; it takes what
/// `tracing_subscriber::EnvFilter` reads.
const VARIABLE: &str = "OCELLI_LOG";

/// Standard error for the log. Where nobody takes it any more (a full disk, a
/// pipe whose reader is gone) a line is lost, and nothing else: an error here
/// would be told on standard error, and panic.
struct Unfailing<W>(W);

impl<W: Write> Write for Unfailing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.0.write_all(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let _ = self.0.flush();
        Ok(())
    }
}

/// How this process writes, once that is known.
static FORMAT: OnceLock<LogFormat> = OnceLock::new();

/// Says something to the person who started the hub, whatever is logged: in a log of
/// objects it is one too.
pub fn say(words: &str) {
    let line = match FORMAT.get() {
        Some(LogFormat::Json) => {
            let mut now = String::new();
            // Writing to a string cannot fail.
            let _ = SystemTime.format_time(&mut Writer::new(&mut now));
            let words = words.trim_end();
            format!(
                "{}\n",
                json!({ "timestamp": now, "level": "INFO", "message": words })
            )
        }
        _ => words.to_owned(),
    };
    // The cameras matter more than words that nobody takes.
    let _ = io::stderr().write_all(line.as_bytes());
}

/// Begins the log; once in a process.
pub fn begin(log: &Log) {
    let _ = FORMAT.set(log.format);
    let filter = EnvFilter::try_from_env(VARIABLE).unwrap_or_else(|_| EnvFilter::new(&log.level));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_writer(|| Unfailing(io::stderr()))
        .log_internal_errors(false)
        .with_ansi(log.format == LogFormat::Text && io::stderr().is_terminal());
    match log.format {
        LogFormat::Text => lines.init(),
        LogFormat::Json => lines.json().flatten_event(true).init(),
    }
}
