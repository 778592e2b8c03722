//! Source that plays a file in a loop.
//!
//! A single picture is read again each time, so a file that another program replaces works as
//! a camera too.

use super::ffmpeg::Ffmpeg;
use super::pace::WithoutPicture;
use super::{Address, Kind};
use crate::jpeg::{self, Flaw, Splitter};
use crate::options::JpegOptions;
use ocelli_config::{ConfigError, Section};
use ocelli_core::{Failure, FailureKind, PeerKind, Publisher, RunOnce, Source};
use percent_encoding::percent_decode_str;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

/// The kind `file`.
pub const KIND: Kind = Kind {
    name: "file",
    schemes: &["file"],
    about: "A picture (.jpg), concatenated JPEGs (.mjpeg), or any video file that ffmpeg can read, in a loop; H.264 and H.265 are passed on as they are.",
    example: "file:/srv/films/yard.mp4",
    options: &[
        (
            "fps",
            "pictures a second of a .jpg (1 by default) or .mjpeg (10 by default)",
        ),
        ("sound", "false leaves the sound out; true by default"),
    ],
    open,
};

/// A file that is being replaced has no whole picture for a moment. After this many reads in a row
/// and this time, it is a fault.
const MAX_FLAWED_READS: u32 = 3;
const MAX_FLAWED_TIME: Duration = Duration::from_secs(2);

/// Bytes read at a time.
const CHUNK: usize = 256 << 10;

struct Pictures {
    path: PathBuf,
    many: bool,
    every: Duration,
}

fn open(address: Address, options: &mut Section<'_>) -> Result<Arc<dyn Source>, ConfigError> {
    let fps = options.number("fps", 0.01..=60.0)?;
    let sound = options.boolean("sound")?.unwrap_or(true);
    let written = address.rest();
    let path = match written.strip_prefix("//") {
        // A URL as browsers write it, with an empty host and percent-encoding.
        Some(url) => percent_decode_str(url).decode_utf8_lossy().into_owned(),
        None => written.to_owned(),
    };
    let extension = Path::new(&path).extension().unwrap_or_default();
    let extension = extension.to_string_lossy().to_ascii_lowercase();
    let (many, default) = match extension.as_str() {
        "jpg" | "jpeg" => (false, 1.0),
        "mjpg" | "mjpeg" => (true, 10.0),
        _ if path.is_empty() => {
            let message = "the file's path is missing; write it like \"file:/srv/films/yard.mp4\"";
            return Err(ConfigError::new(message));
        }
        _ => {
            return Ok(Arc::new(Ffmpeg::looping(
                &path,
                sound,
                JpegOptions::of(options)?,
            )));
        }
    };
    Ok(Arc::new(Pictures {
        path: path.into(),
        many,
        every: Duration::from_secs_f64(1.0 / fps.unwrap_or(default)),
    }))
}

impl Source for Pictures {
    fn run_once(self: Arc<Self>, publisher: Publisher) -> RunOnce {
        Box::pin(async move {
            let mut ticks = interval(self.every);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            if !self.many {
                return self.play_stills(&mut ticks, &publisher).await;
            }
            loop {
                self.play(&mut ticks, &publisher).await?;
            }
        })
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(10).max(self.every * 3)
    }
}

impl Pictures {
    /// Reads the only picture in the file at each tick.
    async fn play_stills(
        &self,
        ticks: &mut Interval,
        publisher: &Publisher,
    ) -> Result<(), Failure> {
        let mut flawed = 0;
        let mut whole_at = Instant::now();
        loop {
            ticks.tick().await;
            let path = self.path.clone();
            let read = blocking(move || {
                let mut bytes = Vec::new();
                let limit = jpeg::MAX_BYTES as u64 + 1;
                File::open(path)?.take(limit).read_to_end(&mut bytes)?;
                Ok(bytes)
            });
            let bytes = read.await.map_err(|error| self.unreadable(&error))?;
            let picture = match bytes.len() > jpeg::MAX_BYTES {
                true => Err(Flaw::TooLong),
                false => jpeg::picture(&bytes),
            };
            match picture {
                Ok(picture) => {
                    publisher.publish(picture);
                    (flawed, whole_at) = (0, Instant::now());
                }
                Err(flaw) => {
                    flawed += 1;
                    if flawed >= MAX_FLAWED_READS && whole_at.elapsed() >= MAX_FLAWED_TIME {
                        let reason = match bytes.is_empty() {
                            true => format!("{} is empty", self.path.display()),
                            false => format!("{} is {flaw}", self.path.display()),
                        };
                        return Err(Failure::new(FailureKind::Unsupported, reason));
                    }
                }
            }
        }
    }

    /// Plays the file once.
    async fn play(&self, ticks: &mut Interval, publisher: &Publisher) -> Result<(), Failure> {
        let path = self.path.clone();
        let opened = blocking(move || File::open(path)).await;
        let mut file = opened.map_err(|error| self.unreadable(&error))?;
        let mut splitter = Splitter::default();
        let mut without = WithoutPicture::default();
        let mut budget = publisher.budget(PeerKind::Program);
        let mut shown = false;
        loop {
            let read = blocking(move || {
                let mut bytes = vec![0; CHUNK];
                let len = file.read(&mut bytes)?;
                bytes.truncate(len);
                Ok((file, bytes))
            });
            let (same, bytes) = read.await.map_err(|error| self.unreadable(&error))?;
            file = same;
            if bytes.is_empty() || without.add(bytes.len()) {
                break;
            }
            budget.charge_bytes(bytes.len());
            budget.ready().await?;
            let mut rest = &bytes[..];
            while let Some(picture) = splitter.next_picture(&mut rest) {
                budget.charge_messages(1);
                budget.ready().await?;
                ticks.tick().await;
                shown = true;
                without.reset();
                publisher.publish(picture);
            }
        }
        // Other bytes after the last picture are ignored.
        if shown {
            return Ok(());
        }
        let reason = format!("there is no JPEG picture in {}", self.path.display());
        Err(Failure::new(FailureKind::Unsupported, reason))
    }

    fn unreadable(&self, error: &io::Error) -> Failure {
        let path = self.path.display();
        let reason = match error.kind() {
            io::ErrorKind::NotFound => format!("there is no file {path}"),
            io::ErrorKind::PermissionDenied => format!("no permission to read {path}"),
            io::ErrorKind::IsADirectory => format!("{path} is a directory, not a file"),
            _ => format!("{path} can't be read: {error}"),
        };
        Failure::new(FailureKind::Missing, reason)
    }
}

/// Runs file operations on a blocking thread, because they may be slow and the frame path has
/// only one thread.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    spawn_blocking(work).await.map_err(io::Error::other)?
}
