//! Publishing of a camera's pictures: capture time, key frames, and parameter sets for the
//! decoder.

use super::super::capture_clock::CaptureClock;
use crate::annexb::{self, START_CODE};
use crate::ffmpeg::NO_PARAMETER_SETS;
use crate::jpeg;
use ocelli_core::{Codec, Failure, FailureKind, FrameBuffer, Picture, Publisher};
use retina::codec::{VideoFrame, VideoParameters, VideoParametersCodec};

/// Number of key frames without parameter sets after which the stream is given up. The sets
/// may arrive a little later than the first key frame.
const MAX_UNDECODABLE_KEYS: usize = 3;

/// How the camera's pictures are published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrackFormat {
    /// As JPEGs.
    Unchanged,
    /// As pictures that need a decoder.
    Decoded(Codec),
}

/// Publishes the pictures of one session.
pub struct Reception<'a> {
    format: TrackFormat,
    publisher: &'a Publisher,
    clock: CaptureClock,
    /// Whether a key frame that a decoder can start from was published.
    started: bool,
    undecodable_keys: usize,
}

impl<'a> Reception<'a> {
    /// Creates a reception that publishes to `publisher`.
    pub fn new(format: TrackFormat, publisher: &'a Publisher) -> Self {
        Self {
            format,
            publisher,
            clock: CaptureClock::default(),
            started: false,
            undecodable_keys: 0,
        }
    }

    /// Publishes a picture.
    ///
    /// # Errors
    /// No decoder can decode the stream.
    pub fn publish_picture(
        &mut self,
        frame: &VideoFrame,
        parameters: Option<&VideoParameters>,
    ) -> Result<(), Failure> {
        let bytes = frame.data();
        let captured = self.captured(frame);
        let mut picture = match self.format {
            TrackFormat::Unchanged => {
                let Ok(picture) = jpeg::picture(bytes) else {
                    return Ok(());
                };
                picture
            }
            TrackFormat::Decoded(codec) => {
                let survey = annexb::survey(codec, bytes);
                if survey.key {
                    let known = survey.parameters || parameters.is_some();
                    if !known {
                        return self.undecodable();
                    }
                    self.undecodable_keys = 0;
                    self.started = true;
                } else if !self.started {
                    return Ok(());
                }
                let sets = if survey.key && !survey.parameters {
                    parameters.map(parameter_sets).unwrap_or_default()
                } else {
                    Vec::new()
                };
                let len = sets
                    .iter()
                    .map(|set| START_CODE.len() + set.len())
                    .sum::<usize>();
                let mut buffer = FrameBuffer::with_capacity(len + bytes.len());
                for set in sets {
                    buffer.extend_from_slice(&START_CODE);
                    buffer.extend_from_slice(set);
                }
                buffer.extend_from_slice(bytes);
                Picture {
                    codec,
                    key: survey.key,
                    captured,
                    size: parameters.and_then(size),
                    buffer,
                }
            }
        };
        picture.captured = captured;
        self.publisher.publish(picture);
        Ok(())
    }

    fn undecodable(&mut self) -> Result<(), Failure> {
        self.undecodable_keys += 1;
        if self.undecodable_keys < MAX_UNDECODABLE_KEYS {
            return Ok(());
        }
        Err(Failure::new(FailureKind::Unsupported, NO_PARAMETER_SETS))
    }

    fn captured(&mut self, frame: &VideoFrame) -> ocelli_core::Timestamp {
        let timestamp = frame.timestamp();
        let micros =
            i128::from(timestamp.elapsed()) * 1_000_000 / i128::from(timestamp.clock_rate().get());
        self.clock.captured(micros as i64, self.publisher.now())
    }
}

/// Returns the parameter sets in the order in which a decoder needs them.
fn parameter_sets(parameters: &VideoParameters) -> Vec<&[u8]> {
    match parameters.codec_params() {
        VideoParametersCodec::H264 { sps, pps } => vec![sps, pps],
        VideoParametersCodec::H265 { vps, sps, pps } => vec![vps, sps, pps],
        _ => Vec::new(),
    }
}

fn size(parameters: &VideoParameters) -> Option<(u16, u16)> {
    let (width, height) = parameters.pixel_dimensions();
    Some((width.try_into().ok()?, height.try_into().ok()?))
}
