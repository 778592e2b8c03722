//! Splits the output of a program or a pipe into pictures. It does not start programs or open
//! pipes, and does not handle their end.

use super::first_bytes::{Content, FirstBytes};
use super::pace::{MAX_FPS, Pace, WithoutPicture};
use super::parameter_sets::{CompleteUnit, ParameterSets, UndecodableKeys};
use super::raw::{Layout, RawPictures};
use super::transport::{self, Head, Outcome, Writer};
use crate::annexb;
use crate::ffmpeg;
use crate::jpeg;
use crate::options::JpegOptions;
use crate::pipe;
use crate::supervise::Input;
use ocelli_config::{ConfigError, Section, parse_size};
use ocelli_core::Metered;
use ocelli_core::{
    BudgetExceeded, Codec, Failure, FailureKind, PeerKind, Picture, Publisher, Timestamp,
};
use std::io;
use std::os::fd::AsFd;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::Instant;

/// The configuration keys that describe the input: name and meaning.
pub const OPTIONS: [(&str, &str); 4] = [
    (
        "format",
        "the input's format: \"yuv420p\" (raw pictures), \"mjpeg\", \"h264\", \"h265\" or \"mpegts\" (H.264 and H.265 as they are, anything else as JPEG); required",
    ),
    (
        "size",
        "the size of raw pictures, like \"640x480\"; both sides must be even",
    ),
    (
        "fps",
        "raw pictures a second, 24 by default; input at more than twice this rate is throttled",
    ),
    (
        "stride",
        "bytes from one row of raw pictures to the next, where rows are padded; the width by default",
    ),
];

/// Bytes read at a time, except for raw pictures, which are split by length.
const CHUNK: usize = 64 << 10;

/// Format of the input.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Format {
    /// Planar YUV 4:2:0 frames of a fixed length.
    Yuv420p {
        /// Width and height in pixels.
        size: (u16, u16),
        /// Samples from one row to the next.
        stride: u16,
        /// Frames a second.
        fps: f64,
    },
    /// Concatenated JPEGs.
    Mjpeg,
    /// An H.264 or H.265 elementary stream.
    Bare(Codec),
    /// An MPEG transport stream. H.264 and H.265 are passed on as they are, anything else is
    /// transcoded to JPEG.
    Mpegts(JpegOptions),
}

impl Format {
    /// Parses the format of a `[[camera]]`.
    ///
    /// # Errors
    /// The format is missing, or a value is not valid.
    pub fn of(camera: &mut Section<'_>) -> Result<Self, ConfigError> {
        let span = camera.span("format");
        let word = camera.string("format")?;
        let size = camera.string("size")?;
        let fps = camera.number("fps", 0.1..=MAX_FPS)?;
        let stride = camera.whole("stride", 16..=16384)?;
        let format = match word.as_deref() {
            Some("yuv420p") => return raw(camera, size, fps.unwrap_or(24.0), stride),
            Some("mjpeg") => Format::Mjpeg,
            Some("h264") => Format::Bare(Codec::H264),
            Some("h265") => Format::Bare(Codec::H265),
            Some("mpegts") => Format::Mpegts(JpegOptions::of(camera)?),
            _ => {
                let message = "`format` must be \"yuv420p\", \"mjpeg\", \"h264\", \
                               \"h265\" or \"mpegts\"";
                return Err(ConfigError::new(message).at(span));
            }
        };
        if let Some(stride) = camera.span("stride") {
            let message = "`stride` is only for format = \"yuv420p\"";
            return Err(ConfigError::new(message).at(Some(stride)));
        }
        Ok(format)
    }

    /// Returns the width and height in pixels if they are configured.
    pub fn size(&self) -> Option<(u16, u16)> {
        match self {
            Format::Yuv420p { size, .. } => Some(*size),
            _ => None,
        }
    }

    /// Returns the pictures a second if they are configured.
    pub fn rate(&self) -> Option<f64> {
        match self {
            Format::Yuv420p { fps, .. } => Some(*fps),
            _ => None,
        }
    }

    /// Returns what such an input holds.
    fn content(&self) -> Content {
        match self {
            Format::Yuv420p { .. } => Content::Other("raw pictures"),
            Format::Mjpeg => Content::Jpeg,
            Format::Bare(Codec::H265) => Content::H265,
            Format::Bare(_) => Content::H264,
            Format::Mpegts(_) => Content::MpegTs,
        }
    }

    /// Publishes the pictures in `input` until it ends, within a program's budget.
    ///
    /// # Errors
    /// The input can't be read, is not video, or exceeds the budget.
    pub async fn publish<R>(&self, input: R, publisher: &Publisher) -> Result<(), Failure>
    where
        R: AsyncRead + AsFd + Unpin,
    {
        let metered = |input| Metered::new(input, publisher.budget(PeerKind::Program));
        let first = FirstBytes::expecting(self.content());
        match *self {
            Format::Yuv420p { size, stride, fps } => {
                let layout = Layout { size, stride, fps };
                pipe::fit_raw_picture(&input, layout.len());
                let pace = Pace::new(fps * 2.0);
                publish_raw(metered(input), first, layout, pace, publisher).await
            }
            Format::Mjpeg => publish_mjpeg(metered(input), first, publisher).await,
            Format::Bare(codec) => publish_bare(metered(input), first, codec, publisher).await,
            Format::Mpegts(jpeg) => publish_mpegts(input, first, &jpeg, publisher).await,
        }
    }
}

/// Returns the failure of a read from a program.
fn unreadable(error: &io::Error) -> Failure {
    match BudgetExceeded::cause_of(error) {
        Some(exceeded) => exceeded.into(),
        None => Failure::new(
            FailureKind::Ended,
            format!("its output can't be read: {error}"),
        ),
    }
}

/// Returns the failure of a program whose output is not video.
fn no_video(what: &str) -> Failure {
    let reason = format!("its output is not {what}");
    Failure::new(FailureKind::Unsupported, reason)
}

fn raw(
    camera: &Section<'_>,
    size: Option<String>,
    fps: f64,
    stride: Option<u32>,
) -> Result<Format, ConfigError> {
    let even = |size: &(u16, u16)| size.0.is_multiple_of(2) && size.1.is_multiple_of(2);
    let Some(size) = size.as_deref().and_then(parse_size).filter(even) else {
        let message = "raw pictures are separated only by their length, so they need a `size`, \
                       like size = \"640x480\", with both sides even";
        let span = camera.span("size").or(camera.span("format"));
        return Err(ConfigError::new(message).at(span));
    };
    let stride = stride.map_or(size.0, |stride| stride as u16);
    if stride < size.0 || stride % 2 == 1 {
        let message = format!("`stride` must be even and at least the width, {}", size.0);
        return Err(ConfigError::new(message).at(camera.span("stride")));
    }
    Ok(Format::Yuv420p { size, stride, fps })
}

async fn publish_raw<R: AsyncRead + Unpin>(
    mut input: Metered<R>,
    mut first: FirstBytes,
    layout: Layout,
    mut pace: Pace,
    publisher: &Publisher,
) -> Result<(), Failure> {
    let mut pictures = RawPictures::new(layout);
    let len = layout.len();
    loop {
        let Some(buffer) = pictures.next_picture()? else {
            let at = pictures.buffer().len();
            let asked = Instant::now();
            let read = input.read_buf(&mut pictures.buffer().missing(len)).await;
            if read.map_err(|error| unreadable(&error))? == 0 {
                // The rest is not a complete picture.
                return Ok(());
            }
            let bytes = pictures.buffer().payload();
            first.note(bytes.get(at..).unwrap_or_default())?;
            pictures.note_wait(at, asked.elapsed());
            continue;
        };
        publisher.publish(Picture {
            codec: Codec::Yuv420p,
            key: true,
            captured: Timestamp::UNKNOWN,
            size: Some(layout.size),
            codec_string: None,
            buffer,
        });
        pace.wait().await;
    }
}

async fn publish_mjpeg<R: AsyncRead + Unpin>(
    mut input: Metered<R>,
    mut first: FirstBytes,
    publisher: &Publisher,
) -> Result<(), Failure> {
    let mut splitter = jpeg::Splitter::default();
    let mut pace = Pace::new(MAX_FPS);
    let mut without = WithoutPicture::default();
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = input.read(&mut chunk).await;
        let len = read.map_err(|error| unreadable(&error))?;
        if len == 0 {
            return Ok(());
        }
        first.note(&chunk[..len])?;
        if without.add(len) {
            return Err(no_video("JPEG"));
        }
        let mut rest = &chunk[..len];
        while let Some(picture) = splitter.next_picture(&mut rest) {
            without.reset();
            publisher.publish(picture);
            pace.wait().await;
            input.budget().charge_messages(1);
            input.budget().ready().await?;
        }
    }
}

async fn publish_bare<R: AsyncRead + Unpin>(
    mut input: Metered<R>,
    mut first: FirstBytes,
    codec: Codec,
    publisher: &Publisher,
) -> Result<(), Failure> {
    let mut units = Units::new(codec);
    let mut pace = Pace::new(MAX_FPS);
    let mut without = WithoutPicture::default();
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = input.read(&mut chunk).await;
        let len = read.map_err(|error| unreadable(&error))?;
        if len == 0 {
            return Ok(());
        }
        first.note(&chunk[..len])?;
        if without.add(len) {
            let is_h264 = codec == Codec::H264;
            return Err(no_video(if is_h264 { "H.264" } else { "H.265" }));
        }
        units.splitter.push(&chunk[..len]);
        while let Some(unit) = units.next_picture()? {
            without.reset();
            unit.publish(codec, Timestamp::UNKNOWN, units.sets.size(), publisher);
            pace.wait().await;
            input.budget().charge_messages(1);
            input.budget().ready().await?;
        }
    }
}

/// The pictures of an elementary stream. Each key frame gets parameter sets.
struct Units {
    splitter: annexb::Splitter,
    sets: ParameterSets,
    undecodable: UndecodableKeys,
}

impl Units {
    fn new(codec: Codec) -> Self {
        Self {
            splitter: annexb::Splitter::new(codec),
            sets: ParameterSets::new(codec),
            undecodable: UndecodableKeys::default(),
        }
    }

    /// Returns the next picture in the pushed bytes.
    fn next_picture(&mut self) -> Result<Option<CompleteUnit>, Failure> {
        while let Some(unit) = self.splitter.next_unit() {
            let unit = self.sets.complete(unit);
            if unit.key && !self.sets.is_complete() {
                self.undecodable.add()?;
                continue;
            }
            return Ok(Some(unit));
        }
        Ok(None)
    }
}

/// Returns the sizes of the pictures in an elementary stream that arrives in these pieces, or
/// `None` if it can't be shown.
#[cfg(fuzzing)]
pub fn bare_pictures(codec: Codec, pieces: &[&[u8]]) -> Option<Vec<usize>> {
    let mut units = Units::new(codec);
    let mut sizes = Vec::new();
    for piece in pieces {
        units.splitter.push(piece);
        while let Some(picture) = units.next_picture().ok()? {
            sizes.push(picture.buffer.len());
        }
    }
    Some(sizes)
}

/// Publishes an MPEG transport stream.
async fn publish_mpegts(
    mut input: impl AsyncRead + Unpin,
    mut first: FirstBytes,
    jpeg: &JpegOptions,
    publisher: &Publisher,
) -> Result<(), Failure> {
    let head = Head::read(&mut input, publisher).await?;
    if head.bytes.is_empty() {
        return Ok(());
    }
    first.note(&head.bytes)?;
    let stream = head.bytes.as_slice().chain(&mut input);
    if !head.is_native {
        return transcode_mpegts(stream, jpeg, publisher).await;
    }
    // Not every program pads only the last packet of an access unit.
    match transport::publish(stream, Writer::Program, publisher, &mut || {}).await? {
        Outcome::Ended { .. } => Ok(()),
        Outcome::NotNative | Outcome::OtherSound => transcode_mpegts(input, jpeg, publisher).await,
    }
}

/// Publishes an MPEG transport stream as JPEG, until it or the ffmpeg that decodes it ends.
async fn transcode_mpegts(
    input: impl AsyncRead + Unpin,
    jpeg: &JpegOptions,
    publisher: &Publisher,
) -> Result<(), Failure> {
    let mut arguments = ffmpeg::from_mpegts();
    arguments.extend(ffmpeg::to_smjpeg(jpeg, None, None));
    let limits = &publisher.capacity().limits().picture;
    let mut child = ffmpeg::start(arguments, Input::Piped, limits)?;
    let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        unreachable!("standard input and output are always pipes");
    };
    let mut input = Metered::new(input, publisher.budget(PeerKind::Program));
    let relay = async move {
        let relayed = tokio::io::copy(&mut input, &mut stdin).await;
        drop(stdin);
        relayed
    };
    let pictures = ffmpeg::publish(stdout, publisher);
    tokio::pin!(pictures);
    tokio::select! {
        ended = &mut pictures => ended?,
        relayed = relay => {
            if let Err(error) = &relayed
                && let Some(exceeded) = BudgetExceeded::cause_of(error)
            {
                return Err(exceeded.into());
            }
            // ffmpeg still outputs pictures from the bytes that it has received.
            pictures.await?
        }
    };
    let status = child.wait_or_kill().await;
    match ffmpeg::explain_stderr(&child.stderr_tail(), limits) {
        Some(failure) => Err(failure),
        None if status.is_some_and(|status| status.success()) => Ok(()),
        None => Err(ffmpeg::exit_failure(&mut child, limits).await),
    }
}
