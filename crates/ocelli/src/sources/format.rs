//! What a program or a pipe writes, cut into pictures as it comes.
//!
//! What does not belong here: who writes it, and what to do when it ends.

use crate::annexb;
use crate::config::{ConfigError, JpegOptions, Section, parse_size};
use crate::ffmpeg::{self, NO_PARAMETER_SETS, Smjpeg};
use crate::jpeg;
use crate::pipe;
use crate::supervise::Input;
use ocelli_core::{
    Codec, Failure, FailureKind, FrameBuffer, Picture, Publisher, Timestamp, raw_len,
};
use std::io;
use std::os::fd::AsFd;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::unix::pipe::Receiver;
use tokio::process::ChildStdout;
use tokio::time::{Instant, sleep_until};

/// The keys by which a camera says what its bytes are: name and meaning.
pub const OPTIONS: [(&str, &str); 4] = [
    (
        "format",
        "what comes: \"yuv420p\" (raw pictures), \"mjpeg\", \"h264\", \"h265\" or \"mpegts\"; needed",
    ),
    (
        "size",
        "the size of raw pictures, like \"640x480\"; both sides even",
    ),
    (
        "fps",
        "raw pictures a second, 24 by default; what comes more than twice as fast is held back",
    ),
    (
        "stride",
        "bytes from one row of raw pictures to the next, where rows are padded; the width by default",
    ),
];

/// How much is read at once of what is not cut by size.
const CHUNK: usize = 64 << 10;

/// So much without one picture in it is no video.
const RUBBISH: usize = 32 << 20;

/// No camera brings more pictures a second, but a defective program may.
const MOST_FPS: f64 = 240.0;

/// How many pictures may come at once before they are held back.
const BURST: u32 = 8;

/// Key frames without parameter sets that are waited through.
const HOPELESS_KEYS: usize = 3;

/// Where bytes come from.
pub trait Outlet: AsyncRead + AsFd + Unpin {
    /// Gives it to a child process to read from.
    ///
    /// # Errors
    /// The system refuses.
    fn into_stdio(self) -> io::Result<Stdio>;
}

impl Outlet for ChildStdout {
    fn into_stdio(self) -> io::Result<Stdio> {
        self.try_into()
    }
}

impl Outlet for Receiver {
    fn into_stdio(self) -> io::Result<Stdio> {
        Ok(self.into_blocking_fd()?.into())
    }
}

/// What the bytes are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Format {
    /// Frames of planar YUV 4:2:0, of a fixed length.
    Yuv420p {
        /// Pixels across and down.
        size: (u16, u16),
        /// Samples from row to row.
        stride: u16,
        /// Frames a second.
        fps: f64,
    },
    /// JPEGs behind one another.
    Mjpeg,
    /// A bare stream of H.264 or H.265.
    Bare(Codec),
    /// An MPEG transport stream; its pictures become JPEG.
    Mpegts(JpegOptions),
}

impl Format {
    /// What a `[[camera]]` says of it.
    ///
    /// # Errors
    /// It says nothing, or what can't be.
    pub fn of(camera: &mut Section<'_>) -> Result<Self, ConfigError> {
        let span = camera.span("format");
        let word = camera.string("format")?;
        let size = camera.string("size")?;
        let fps = camera.number("fps", 0.1..=MOST_FPS)?;
        let stride = camera.whole("stride", 16..=16384)?;
        let format = match word.as_deref() {
            Some("yuv420p") => return raw(camera, size, fps.unwrap_or(24.0), stride),
            Some("mjpeg") => Format::Mjpeg,
            Some("h264") => Format::Bare(Codec::H264),
            Some("h265") => Format::Bare(Codec::H265),
            Some("mpegts") => Format::Mpegts(JpegOptions::of(camera)?),
            _ => {
                let message = "`format` says what comes: \"yuv420p\", \"mjpeg\", \"h264\", \
                               \"h265\" or \"mpegts\"";
                return Err(ConfigError::new(message).at(span));
            }
        };
        if let Some(stride) = camera.span("stride") {
            let message = "`stride` is for format = \"yuv420p\" alone";
            return Err(ConfigError::new(message).at(Some(stride)));
        }
        Ok(format)
    }

    /// Pixels across and down, where they are known beforehand.
    pub fn size(&self) -> Option<(u16, u16)> {
        match self {
            Format::Yuv420p { size, .. } => Some(*size),
            _ => None,
        }
    }

    /// Pictures a second, where that is known beforehand.
    pub fn rate(&self) -> Option<f64> {
        match self {
            Format::Yuv420p { fps, .. } => Some(*fps),
            _ => None,
        }
    }

    /// Publishes what `input` brings until it ends.
    ///
    /// # Errors
    /// What comes can't be read, or is no video.
    pub async fn publish<R>(&self, input: R, publisher: &Publisher) -> Result<(), Failure>
    where
        R: Outlet,
    {
        let ended = match *self {
            Format::Yuv420p { size, stride, fps } => {
                let len = raw_len(stride, size.1);
                pipe::hold_one(&input, len);
                publish_raw(input, size, len, Pace::new(fps * 2.0), publisher).await
            }
            Format::Mjpeg => publish_mjpeg(input, publisher).await?,
            Format::Bare(codec) => publish_bare(input, codec, publisher).await?,
            Format::Mpegts(jpeg) => return publish_mpegts(input, &jpeg, publisher).await,
        };
        ended
            .map_err(|error| Failure::new(FailureKind::Ended, format!("it can't be read: {error}")))
    }
}

fn raw(
    camera: &Section<'_>,
    size: Option<String>,
    fps: f64,
    stride: Option<u32>,
) -> Result<Format, ConfigError> {
    let even = |size: &(u16, u16)| size.0.is_multiple_of(2) && size.1.is_multiple_of(2);
    let Some(size) = size.as_deref().and_then(parse_size).filter(even) else {
        let message = "raw pictures have no other mark than their length: they need a `size`, \
                       like size = \"640x480\", both sides even";
        let span = camera.span("size").or(camera.span("format"));
        return Err(ConfigError::new(message).at(span));
    };
    let stride = stride.map_or(size.0, |stride| stride as u16);
    if stride < size.0 || stride % 2 == 1 {
        let message = format!(
            "`stride` is an even number, and at least the width, {}",
            size.0
        );
        return Err(ConfigError::new(message).at(camera.span("stride")));
    }
    Ok(Format::Yuv420p { size, stride, fps })
}

/// Holds back a program that writes faster than any camera: it waits at its full
/// pipe, and this hub has time for others.
struct Pace {
    interval: Duration,
    /// When the next picture would be due.
    due: Instant,
}

impl Pace {
    fn new(fps: f64) -> Self {
        Self {
            interval: Duration::from_secs_f64(1.0 / fps),
            due: Instant::now(),
        }
    }

    /// A picture came; returns when the next may.
    async fn keep(&mut self) {
        let now = Instant::now();
        self.due = self.due.max(now) + self.interval;
        if self.due > now + self.interval * BURST {
            sleep_until(self.due - self.interval * BURST).await;
        }
    }
}

async fn publish_raw(
    mut input: impl AsyncRead + Unpin,
    size: (u16, u16),
    len: usize,
    mut pace: Pace,
    publisher: &Publisher,
) -> io::Result<()> {
    loop {
        let mut buffer = FrameBuffer::with_capacity(len);
        while buffer.len() < len {
            if input.read_buf(&mut buffer.missing(len)).await? == 0 {
                // What is left is no whole picture.
                return Ok(());
            }
        }
        publisher.publish(Picture {
            codec: Codec::Yuv420p,
            key: true,
            captured: Timestamp::UNKNOWN,
            size: Some(size),
            buffer,
        });
        pace.keep().await;
    }
}

/// Counts what comes between pictures.
#[derive(Default)]
struct Patience(usize);

impl Patience {
    fn spend(&mut self, len: usize, what: &str) -> Result<(), Failure> {
        self.0 += len;
        if self.0 < RUBBISH {
            return Ok(());
        }
        Err(Failure::new(
            FailureKind::Unsupported,
            format!("it writes something that is no {what}"),
        ))
    }
}

async fn publish_mjpeg(
    mut input: impl AsyncRead + Unpin,
    publisher: &Publisher,
) -> Result<io::Result<()>, Failure> {
    let mut splitter = jpeg::Splitter::default();
    let mut pace = Pace::new(MOST_FPS);
    let mut patience = Patience::default();
    let mut chunk = vec![0; CHUNK];
    loop {
        let len = match input.read(&mut chunk).await {
            Ok(0) => return Ok(Ok(())),
            Ok(len) => len,
            Err(error) => return Ok(Err(error)),
        };
        patience.spend(len, "JPEG")?;
        splitter.push(&chunk[..len]);
        while let Some(buffer) = splitter.next_picture() {
            let Some(size) = jpeg::size(buffer.payload()) else {
                continue;
            };
            patience = Patience::default();
            publisher.publish(Picture::jpeg(buffer, Some(size)));
            pace.keep().await;
        }
    }
}

async fn publish_bare(
    mut input: impl AsyncRead + Unpin,
    codec: Codec,
    publisher: &Publisher,
) -> Result<io::Result<()>, Failure> {
    let mut splitter = annexb::Splitter::new(codec);
    let mut pace = Pace::new(MOST_FPS);
    let mut patience = Patience::default();
    let mut sets = Vec::new();
    let mut hopeless = 0;
    let mut chunk = vec![0; CHUNK];
    loop {
        let len = match input.read(&mut chunk).await {
            Ok(0) => return Ok(Ok(())),
            Ok(len) => len,
            Err(error) => return Ok(Err(error)),
        };
        patience.spend(
            len,
            if codec == Codec::H264 {
                "H.264"
            } else {
                "H.265"
            },
        )?;
        splitter.push(&chunk[..len]);
        while let Some(unit) = splitter.next_unit() {
            let survey = annexb::survey(codec, &unit);
            if survey.parameters {
                sets = annexb::parameter_sets(codec, &unit);
            }
            if survey.key && sets.is_empty() {
                hopeless += 1;
                if hopeless == HOPELESS_KEYS {
                    return Err(Failure::new(FailureKind::Unsupported, NO_PARAMETER_SETS));
                }
                continue;
            }
            let missing: &[u8] = match survey.key && !survey.parameters {
                true => &sets,
                false => &[],
            };
            let mut buffer = FrameBuffer::with_capacity(missing.len() + unit.len());
            buffer.extend_from_slice(missing);
            buffer.extend_from_slice(&unit);
            patience = Patience::default();
            publisher.publish(Picture {
                codec,
                key: survey.key,
                captured: Timestamp::UNKNOWN,
                size: None,
                buffer,
            });
            pace.keep().await;
        }
    }
}

/// ffmpeg reads from the very pipe that the program writes to.
async fn publish_mpegts(
    input: impl Outlet,
    jpeg: &JpegOptions,
    publisher: &Publisher,
) -> Result<(), Failure> {
    let input = input.into_stdio().map_err(|error| {
        let reason = format!("its output can't be handed to ffmpeg: {error}");
        Failure::new(FailureKind::Ended, reason)
    })?;
    let mut arguments = ffmpeg::from_mpegts();
    arguments.extend(ffmpeg::to_smjpeg(jpeg, None, None));
    let limits = &publisher.capacity().limits().picture;
    let mut child = ffmpeg::start(arguments, Input::From(input), limits)?;
    let Some(stdout) = child.stdout.take() else {
        unreachable!("standard output is always a pipe");
    };
    ffmpeg::publish(Smjpeg::new(stdout), publisher).await;
    let status = child.finish().await;
    match ffmpeg::explain(&child.said(), limits) {
        Some(failure) => Err(failure),
        None if status.is_some_and(|status| status.success()) => Ok(()),
        None => Err(ffmpeg::obituary(&mut child, limits).await),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn more_than_twice_the_rate_is_held_back() {
        let begun = Instant::now();
        let mut pace = Pace::new(48.0);
        for _ in 0..108 {
            pace.keep().await;
        }
        let took = begun.elapsed().as_secs_f64();
        assert!((2.0..2.2).contains(&took), "{took}");
        // Who keeps the rate is not held back at all.
        for _ in 0..24 {
            sleep_until(Instant::now() + Duration::from_millis(41)).await;
            let before = Instant::now();
            pace.keep().await;
            assert_eq!(before, Instant::now());
        }
    }
}
