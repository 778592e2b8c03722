//! The log: lines on standard error, for people or for programs.

use crate::config::{Log, LogFormat};
use std::io::{self, IsTerminal, Write};
use tracing_subscriber::EnvFilter;

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

/// Begins the log; once in a process.
pub fn begin(log: &Log) {
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
