//! What becomes of a camera's pictures: when they were taken, where a decoder can
//! start, and what it needs to know first.

use super::super::capture_clock::CaptureClock;
use crate::annexb::{self, START_CODE};
use crate::ffmpeg::NO_PARAMETER_SETS;
use crate::jpeg;
use ocelli_core::{Codec, Failure, FailureKind, FrameBuffer, Picture, Publisher};
use retina::codec::{VideoFrame, VideoParameters, VideoParametersCodec};

/// Key frames without parameter sets that are waited through: the sets may come
/// a little later.
const HOPELESS_KEYS: usize = 3;

/// What is to be done with the camera's pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// They are JPEGs.
    AsItIs,
    /// They need a decoder.
    Decoded(Codec),
}

/// Pictures coming in.
pub struct Reception<'a> {
    shown: Shown,
    publisher: &'a Publisher,
    clock: CaptureClock,
    /// A decoder has had a key frame to start from.
    begun: bool,
    hopeless_keys: usize,
}

impl<'a> Reception<'a> {
    /// Into `publisher`.
    pub fn new(shown: Shown, publisher: &'a Publisher) -> Self {
        Self {
            shown,
            publisher,
            clock: CaptureClock::default(),
            begun: false,
            hopeless_keys: 0,
        }
    }

    /// Publishes a picture.
    ///
    /// # Errors
    /// Nobody could decode it.
    pub fn take(
        &mut self,
        frame: &VideoFrame,
        parameters: Option<&VideoParameters>,
    ) -> Result<(), Failure> {
        let bytes = frame.data();
        let captured = self.captured(frame);
        let mut picture = match self.shown {
            Shown::AsItIs => {
                let Some(size) = jpeg::size(bytes) else {
                    return Ok(());
                };
                Picture::jpeg(FrameBuffer::copy_from(bytes), Some(size))
            }
            Shown::Decoded(codec) => {
                let survey = annexb::survey(codec, bytes);
                if survey.key {
                    let known = survey.parameters || parameters.is_some();
                    if !known {
                        return self.hopeless();
                    }
                    self.hopeless_keys = 0;
                    self.begun = true;
                } else if !self.begun {
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

    fn hopeless(&mut self) -> Result<(), Failure> {
        self.hopeless_keys += 1;
        if self.hopeless_keys < HOPELESS_KEYS {
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

/// The parameter sets in the order in which a decoder wants them.
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
