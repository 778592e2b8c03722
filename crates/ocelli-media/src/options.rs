//! Rendition options of a `[[camera]]`.

use crate::mpeg1;
use ocelli_config::{ConfigError, Section};
use ocelli_core::Source;
use std::ops::RangeInclusive;

/// Picture rate of a JPEG rendition.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum JpegRate {
    /// At most this many pictures a second.
    Fps(f64),
    /// One picture for each key frame.
    KeyFrames,
}

/// Options of the JPEG rendition of a native stream.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct JpegOptions {
    /// Picture rate.
    pub rate: JpegRate,
    /// Maximum width in pixels. Narrower pictures are not enlarged.
    pub width: u16,
    /// JPEG quality, 1 to 100.
    pub quality: u8,
}

impl Default for JpegOptions {
    fn default() -> Self {
        Self {
            rate: JpegRate::Fps(5.0),
            width: 960,
            quality: 90,
        }
    }
}

impl JpegRate {
    /// The accepted values, for error messages.
    pub const EXPECTED: &str = "a number from 0.1 to 60, or \"key\" for key frames only";

    /// Parses a number of pictures a second, or the word "key".
    pub fn read(number: Option<f64>, word: Option<&str>) -> Option<Self> {
        match (number, word) {
            (Some(fps), _) if (0.1..=60.0).contains(&fps) => Some(JpegRate::Fps(fps)),
            (None, Some("key")) => Some(JpegRate::KeyFrames),
            _ => None,
        }
    }
}

impl JpegOptions {
    /// Accepted widths, in pixels.
    pub const WIDTHS: RangeInclusive<u32> = 64..=8192;
    /// Accepted qualities.
    pub const QUALITIES: RangeInclusive<u32> = 1..=100;

    /// Converts the quality to the scale of ffmpeg's encoder: from 2, the best, to 31.
    pub(crate) fn quantizer(&self) -> u32 {
        let quality =
            u32::from(self.quality).clamp(*Self::QUALITIES.start(), *Self::QUALITIES.end());
        31 - (quality - 1) * 29 / 99
    }

    /// Parses the JPEG options of a `[[camera]]`.
    ///
    /// # Errors
    /// A value is not valid.
    pub fn of(camera: &mut Section<'_>) -> Result<Self, ConfigError> {
        match camera.section("jpeg", "`jpeg`")? {
            Some(options) => read_jpeg(options),
            None => Ok(Self::default()),
        }
    }
}

fn read_jpeg(mut section: Section<'_>) -> Result<JpegOptions, ConfigError> {
    let mut options = JpegOptions::default();
    let rate = section.number_or_word("fps", JpegRate::EXPECTED, JpegRate::read)?;
    options.rate = rate.unwrap_or(options.rate);
    if let Some(width) = section.whole("width", JpegOptions::WIDTHS)? {
        options.width = width as u16;
    }
    if let Some(quality) = section.whole("quality", JpegOptions::QUALITIES)? {
        options.quality = quality as u8;
    }
    section.finish()?;
    Ok(options)
}

/// Options of the MPEG-1 rendition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mpeg1Options {
    /// Bits a second.
    pub bitrate: u32,
    /// Frame rate as a fraction, one of MPEG-1's rates.
    pub rate: (u32, u32),
    /// Maximum width in pixels. Narrower pictures are not enlarged. With `None` the width is
    /// not limited.
    pub width: Option<u16>,
}

/// Default bit rate, in bits a second.
const BITRATE: u32 = 800_000;
/// Default frame rate for a camera whose own rate is not known.
const FPS: f64 = 25.0;
/// Default maximum width for streams that the camera encodes, because they may be too large
/// to decode in JavaScript. Raw pictures have no such limit: the user has chosen their size.
const WIDTH: u16 = 960;

impl Mpeg1Options {
    /// Parses the MPEG-1 options of a `[[camera]]`, with defaults for the pictures of `source`.
    ///
    /// # Errors
    /// A value is not valid.
    pub fn of(camera: &mut Section<'_>, source: &dyn Source) -> Result<Self, ConfigError> {
        let mut options = Self::for_source(source);
        let Some(mut section) = camera.section("mpeg1", "`mpeg1`")? else {
            return Ok(options);
        };
        let span = section.span("bitrate");
        if let Some(written) = section.string("bitrate")? {
            options.bitrate = parse_bitrate(&written).ok_or_else(|| {
                let message = "`bitrate` is written like \"800k\" or \"1.5M\", from 50k to 20M";
                ConfigError::new(message).at(span)
            })?;
        }
        if let Some(fps) = section.number("fps", 1.0..=60.0)? {
            options.rate = mpeg1::rate_for(fps);
        }
        if let Some(width) = section.whole("width", 64..=u32::from(mpeg1::LARGEST))? {
            options.width = Some(width as u16);
        }
        section.finish()?;
        Ok(options)
    }

    /// Returns the default options for `source`.
    pub fn for_source(source: &dyn Source) -> Self {
        Self {
            bitrate: BITRATE,
            rate: mpeg1::rate_for(source.rate().unwrap_or(FPS)),
            width: source.size().is_none().then_some(WIDTH),
        }
    }
}

fn parse_bitrate(text: &str) -> Option<u32> {
    let (number, unit) = match text.trim().strip_suffix(['k', 'K']) {
        Some(number) => (number, 1e3),
        None => match text.trim().strip_suffix('M') {
            Some(number) => (number, 1e6),
            None => (text.trim(), 1.0),
        },
    };
    let bits = number.parse::<f64>().ok()? * unit;
    (50e3..=20e6).contains(&bits).then_some(bits as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bitrates_are_parsed() {
        assert_eq!(parse_bitrate("800k"), Some(800_000));
        assert_eq!(parse_bitrate("1.5M"), Some(1_500_000));
        assert_eq!(parse_bitrate("100000"), Some(100_000));
        for bad in ["", "k", "800", "99M", "-800k", "800 kbit", "NaNk"] {
            assert_eq!(parse_bitrate(bad), None, "{bad}");
        }
    }
}
