//! Source that reads a named pipe to which another program writes.
//!
//! The writer may end at any time. When it is started again, the next attempt continues to
//! read.

use super::format::{self, Format};
use super::{Address, Kind};
use ocelli_config::{ConfigError, Section};
use ocelli_core::{Failure, FailureKind, Publisher, RunOnce, Source};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::net::unix::pipe;

/// The kind `pipe`.
pub const KIND: Kind = Kind {
    name: "pipe",
    schemes: &["pipe"],
    about: "A named pipe (mkfifo) on this machine that another program writes video to.",
    example: "source = \"pipe:/run/camera.fifo\"\nformat = \"mjpeg\"",
    options: &format::OPTIONS,
    open,
};

struct Pipe {
    path: PathBuf,
    format: Format,
}

fn open(address: Address, options: &mut Section<'_>) -> Result<Arc<dyn Source>, ConfigError> {
    let path = address.rest();
    if !path.starts_with('/') {
        let message =
            format!("{path:?} is not a pipe's path; write it like \"pipe:/run/camera.fifo\"");
        return Err(ConfigError::new(message));
    }
    Ok(Arc::new(Pipe {
        path: path.into(),
        format: Format::of(options)?,
    }))
}

impl Source for Pipe {
    fn run_once(self: Arc<Self>, publisher: Publisher) -> RunOnce {
        Box::pin(async move { self.run(&publisher).await })
    }

    fn size(&self) -> Option<(u16, u16)> {
        self.format.size()
    }

    fn rate(&self) -> Option<f64> {
        self.format.rate()
    }
}

impl Pipe {
    async fn run(&self, publisher: &Publisher) -> Result<(), Failure> {
        let path = self.path.display();
        // Opening a pipe that has no writer yet does not block.
        let input = pipe::OpenOptions::new().open_receiver(&self.path);
        let input = input.map_err(|error| {
            let reason = match error.kind() {
                io::ErrorKind::NotFound => {
                    format!("there is no pipe {path}; create it with mkfifo")
                }
                io::ErrorKind::PermissionDenied => format!("no permission to read {path}"),
                io::ErrorKind::InvalidInput => format!("{path} is not a named pipe"),
                _ => format!("{path} can't be opened: {error}"),
            };
            Failure::new(FailureKind::Missing, reason)
        })?;
        self.format.publish(input, publisher).await?;
        let reason = format!("the program that wrote to {path} ended");
        Err(Failure::new(FailureKind::Ended, reason))
    }
}
