//! Source that reads video from a program's standard output.
//!
//! The program is started without a shell and with a minimal environment, leads its own
//! process group, and ends with its source. It has all permissions of the user that runs the
//! hub, so only the configuration file can name programs.

use super::format::{self, Format};
use super::{Address, Kind, redact};
use crate::supervise::{Child, Input, Reaper, exit_message, spawn};
use ocelli_config::{ConfigError, Section};
use ocelli_core::{Closed, Failure, FailureKind, Publisher, RunOnce, Source};
use std::path::Path;
use std::sync::Arc;

/// The kind `exec`.
pub const KIND: Kind = Kind {
    name: "exec",
    schemes: &["exec"],
    about: "A program on this machine that writes video to its standard output. Only the \
            configuration file can name one.",
    example: "exec = [\"rpicam-vid\", \"-t\", \"0\", \"--codec\", \"yuv420\", \"-o\", \"-\"]\n\
              format = \"yuv420p\"\nsize = \"640x480\"",
    options: &[
        (
            "exec",
            "the program and its arguments, in place of `source`; no shell is involved",
        ),
        format::OPTIONS[0],
        format::OPTIONS[1],
        format::OPTIONS[2],
        format::OPTIONS[3],
    ],
    open,
};

/// The Raspberry Pi's camera programs pad the rows of raw pictures to a multiple of this.
const PI_ALIGNMENT: u16 = 64;

/// The older programs pad rows to a multiple of this, and heights too.
const OLD_PI_ROWS: u16 = 32;
const OLD_PI_HEIGHTS: u16 = 16;

/// Number of a program's last standard-error lines in the failure reason.
const MAX_LINES_IN_REASON: usize = 3;

struct Exec {
    program: String,
    arguments: Vec<String>,
    format: Format,
    reaper: Reaper,
}

fn open(address: Address, options: &mut Section<'_>) -> Result<Arc<dyn Source>, ConfigError> {
    let span = options.span("exec");
    let words = options.strings("exec")?.unwrap_or_default();
    let Some((program, arguments)) = words.split_first().filter(|_| address.rest().is_empty())
    else {
        let message = "a program is named in the configuration file, with its arguments, like \
                       exec = [\"rpicam-vid\", \"-t\", \"0\", \"--codec\", \"yuv420\", \"-o\", \"-\"]";
        return Err(ConfigError::new(message).at(span));
    };
    if program.is_empty() || words.iter().any(|word| word.contains('\0')) {
        let message = "`exec` must begin with the name of a program";
        return Err(ConfigError::new(message).at(span));
    }
    let format = Format::of(options)?;
    if let Format::Yuv420p { size, .. } = format
        && options.span("stride").is_none()
        && size.0 % PI_ALIGNMENT != 0
        && is_pi_camera_program(program)
    {
        let stride = size.0.next_multiple_of(PI_ALIGNMENT);
        let message = format!(
            "{program} pads the rows of raw pictures to a multiple of {PI_ALIGNMENT} bytes, and \
             {} is not: add stride = {stride}, or choose another width",
            size.0
        );
        return Err(ConfigError::new(message).at(options.span("size")));
    }
    if let Format::Yuv420p { size, stride, .. } = format
        && file_name(program).starts_with("raspi")
        && (stride % OLD_PI_ROWS != 0 || size.1 % OLD_PI_HEIGHTS != 0)
    {
        let width = size.0.next_multiple_of(OLD_PI_ROWS);
        let height = size.1.next_multiple_of(OLD_PI_HEIGHTS);
        let message = format!(
            "{program} pads rows to a multiple of {OLD_PI_ROWS} bytes and heights to a multiple of \
             {OLD_PI_HEIGHTS}, so its pictures are not {}x{}: let it write a size that needs no \
             padding, like {width}x{height}, and set `size` to the same",
            size.0, size.1
        );
        return Err(ConfigError::new(message).at(options.span("size")));
    }
    Ok(Arc::new(Exec {
        program: program.clone(),
        arguments: arguments.to_vec(),
        format,
        reaper: Reaper::default(),
    }))
}

fn file_name(program: &str) -> &str {
    let name = Path::new(program)
        .file_name()
        .and_then(|name| name.to_str());
    name.unwrap_or(program)
}

fn is_pi_camera_program(program: &str) -> bool {
    let name = file_name(program);
    name.starts_with("rpicam-") || name.starts_with("libcamera-")
}

impl Source for Exec {
    fn run_once(self: Arc<Self>, publisher: Publisher) -> RunOnce {
        Box::pin(async move { self.run(&publisher).await })
    }

    fn closed(self: Arc<Self>) -> Closed {
        Box::pin(async move { self.reaper.idle().await })
    }

    fn size(&self) -> Option<(u16, u16)> {
        self.format.size()
    }

    fn rate(&self) -> Option<f64> {
        self.format.rate()
    }
}

impl Exec {
    async fn run(&self, publisher: &Publisher) -> Result<(), Failure> {
        let mut child = spawn(&self.program, &self.arguments, Input::None)?;
        child.reaper = self.reaper.clone();
        let Some(stdout) = child.stdout.take() else {
            unreachable!("standard output is always a pipe");
        };
        self.format.publish(stdout, publisher).await?;
        Err(self.exit_failure(&mut child).await)
    }

    /// Returns the failure of an ended program, with its last standard-error lines.
    async fn exit_failure(&self, child: &mut Child) -> Failure {
        let status = child.wait_or_kill().await;
        let mut reason = exit_message(file_name(&self.program), status);
        let stderr_tail = child.stderr_tail();
        let last = &stderr_tail[stderr_tail.len().saturating_sub(MAX_LINES_IN_REASON)..];
        if !last.is_empty() {
            reason.push_str(": ");
            reason.push_str(&redact(&last.join(" / ")));
        }
        Failure::new(FailureKind::Ended, reason)
    }
}
