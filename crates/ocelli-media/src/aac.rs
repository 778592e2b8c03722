//! AAC: the AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1) and ADTS headers (1.A.2.2). Audio is
//! not decoded.

use ocelli_core::{SoundCodec, SoundFormat};

/// Sampling rates by their index.
const RATES: [u32; 13] = [
    96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000,
    7_350,
];
/// Numbers of channels by their index; 0 means that the configuration is in the access units.
const CHANNELS: [u8; 8] = [0, 1, 2, 3, 4, 5, 6, 8];
/// The index for a rate that is stated in full.
const EXPLICIT_RATE: u32 = 15;

/// Object types: low complexity, and the two with a spectral extension of another type.
const LOW_COMPLEXITY: u8 = 2;
const EXTENDED: [u8; 2] = [5, 29];
/// Object types whose configuration begins with the length of their frames.
const GENERAL: [u8; 12] = [1, 2, 3, 4, 6, 7, 17, 19, 20, 21, 22, 23];
const LOW_DELAY: u8 = 23;

/// The longest configuration that is accepted. Usual ones have two to five bytes.
const MAX_CONFIG: usize = 64;

/// A stream's configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The object type with which the stream is announced.
    object_type: u8,
    /// Sampling rate of the output.
    pub rate: u32,
    /// Sampling rate of the access units, which is lower than the output's with an extension.
    pub core_rate: u32,
    /// Number of channels.
    pub channels: u8,
    /// Samples in an access unit, at [`Self::core_rate`].
    pub frame_len: u32,
    bytes: Vec<u8>,
}

impl Config {
    /// Parses an AudioSpecificConfig. Returns `None` if it is invalid, or of a kind that browsers
    /// don't play.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        if bytes.len() > MAX_CONFIG {
            return None;
        }
        let mut bits = Bits { bytes, at: 0 };
        let object_type = bits.object_type()?;
        let core_rate = bits.rate()?;
        let channels = *CHANNELS.get(bits.read(4)? as usize)?;
        let (mut rate, mut core_type) = (core_rate, object_type);
        if EXTENDED.contains(&object_type) {
            rate = bits.rate()?;
            core_type = bits.object_type()?;
        }
        if channels == 0 || !GENERAL.contains(&core_type) {
            return None;
        }
        let is_short = bits.read(1)? == 1;
        let frame_len = match (core_type, is_short) {
            (LOW_DELAY, false) => 512,
            (LOW_DELAY, true) => 480,
            (_, false) => 1024,
            (_, true) => 960,
        };
        Some(Self {
            object_type,
            rate,
            core_rate,
            channels,
            frame_len,
            bytes: bytes.to_vec(),
        })
    }

    /// Returns the configuration of low complexity AAC with this rate and number of channels, if
    /// there is one.
    pub fn low_complexity(rate: u32, channels: u8) -> Option<Self> {
        let rate = RATES.iter().position(|&other| other == rate)?;
        let channels = CHANNELS.iter().position(|&other| other == channels)?;
        Self::of_indices(LOW_COMPLEXITY, rate as u8, channels as u8)
    }

    fn of_indices(object_type: u8, rate: u8, channels: u8) -> Option<Self> {
        let word = u16::from(object_type) << 11 | u16::from(rate) << 7 | u16::from(channels) << 3;
        Self::parse(&word.to_be_bytes())
    }

    /// Returns the description for viewers.
    pub fn format(&self) -> SoundFormat {
        SoundFormat {
            codec: SoundCodec::Aac,
            codec_string: format!("mp4a.40.{}", self.object_type),
            rate: self.rate,
            channels: self.channels,
            config: self.bytes.clone(),
        }
    }
}

/// Reads bits from the front.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn read(&mut self, count: usize) -> Option<u32> {
        let mut value = 0;
        for _ in 0..count {
            let byte = self.bytes.get(self.at / 8)?;
            value = value << 1 | u32::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        Some(value)
    }

    fn object_type(&mut self) -> Option<u8> {
        let object_type = match self.read(5)? {
            31 => 32 + self.read(6)?,
            short => short,
        };
        Some(object_type as u8)
    }

    fn rate(&mut self) -> Option<u32> {
        match self.read(4)? {
            EXPLICIT_RATE => self.read(24).filter(|&rate| rate > 0),
            index => RATES.get(index as usize).copied(),
        }
    }
}

/// An access unit in a stream of ADTS frames.
#[derive(Debug, PartialEq, Eq)]
pub struct AdtsFrame<'a> {
    /// The configuration that its header states.
    pub config: Config,
    /// The raw access unit.
    pub unit: &'a [u8],
    /// Length of the frame with its header.
    pub len: usize,
}

impl<'a> AdtsFrame<'a> {
    /// Parses the frame at the beginning of `bytes`. Returns `None` if it is invalid or not
    /// complete. A frame with several access units is not supported; encoders don't write any.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let &[0xFF, sync, kind, mixed, middle, low, blocks, ..] = bytes else {
            return None;
        };
        if sync & 0xF6 != 0xF0 || blocks & 3 != 0 {
            return None;
        }
        let has_checksum = sync & 1 == 0;
        let header = if has_checksum { 9 } else { 7 };
        let len = usize::from(mixed & 3) << 11 | usize::from(middle) << 3 | usize::from(low >> 5);
        let unit = bytes.get(header..len)?;
        let channels = (kind & 1) << 2 | mixed >> 6;
        let config = Config::of_indices((kind >> 6) + 1, kind >> 2 & 0xF, channels)?;
        Some(Self { config, unit, len })
    }

    /// Returns how many bytes to skip to what may be a frame; 0 if that is at the beginning and
    /// only its end is missing.
    pub fn find(bytes: &[u8]) -> usize {
        let may_begin = |at: usize| match bytes[at..] {
            [0xFF, sync, kind, mixed, middle, low, ..] => {
                let len = u16::from(mixed & 3) << 11 | u16::from(middle) << 3 | u16::from(low >> 5);
                let is_cut = usize::from(len) > bytes.len() - at;
                // In the middle, a header is enough; at the beginning, it was not a frame.
                sync & 0xF6 == 0xF0 && kind != 0xFF && (at > 0 || is_cut)
            }
            [0xFF, sync, ..] => sync & 0xF6 == 0xF0,
            [byte] => byte == 0xFF,
            _ => false,
        };
        (0..bytes.len())
            .find(|&at| may_begin(at))
            .unwrap_or(bytes.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configurations_are_parsed() {
        for (bytes, expected) in [
            (
                &[0x11, 0x90][..],
                Some(("mp4a.40.2", 48_000, 48_000, 2, 1024)),
            ),
            (&[0x14, 0x08], Some(("mp4a.40.2", 16_000, 16_000, 1, 1024))),
            (&[0x14, 0x0C], Some(("mp4a.40.2", 16_000, 16_000, 1, 960))),
            // With spectral band replication, stated explicitly.
            (
                &[0x2B, 0x92, 0x08, 0x00],
                Some(("mp4a.40.5", 44_100, 22_050, 2, 1024)),
            ),
            // A rate in full: 12,345 Hz.
            (
                &[0x17, 0x80, 0x18, 0x1C, 0x88],
                Some(("mp4a.40.2", 12_345, 12_345, 1, 1024)),
            ),
            // The extension behind the configuration is for decoders only.
            (
                &[0x14, 0x08, 0x56, 0xE5, 0x00],
                Some(("mp4a.40.2", 16_000, 16_000, 1, 1024)),
            ),
            // A reserved rate, channels in the access units, CELP, cut off, nothing.
            (&[0x16, 0x88], None),
            (&[0x11, 0x80], None),
            (&[0x41, 0x90], None),
            (&[0x11], None),
            (&[], None),
        ] {
            let config = Config::parse(bytes);
            let found = config.as_ref().map(|config| {
                let format = config.format();
                assert_eq!(format.config, bytes);
                let core = (config.core_rate, config.channels, config.frame_len);
                (format.codec_string, format.rate, core)
            });
            let expected = expected.map(|(name, rate, core, channels, len)| {
                (name.to_owned(), rate, (core, channels, len))
            });
            assert_eq!(found, expected, "{bytes:x?}");
        }
        assert_eq!(Config::parse(&[0x11; MAX_CONFIG + 1]), None);
        let made = Config::low_complexity(48_000, 2);
        assert_eq!(made, Config::parse(&[0x11, 0x90]));
        assert_eq!(Config::low_complexity(48_001, 2), None);
        assert_eq!(Config::low_complexity(48_000, 9), None);
    }

    #[test]
    fn adts_frames_are_parsed() {
        let header = [0xFF, 0xF1, 0x4C, 0x80, 0x01, 0x7F, 0xFC];
        let stream = [&header[..], b"unit", b"next"].concat();
        let frame = AdtsFrame::parse(&stream).expect("a frame");
        assert_eq!((frame.unit, frame.len), (&b"unit"[..], 11));
        assert_eq!(frame.config.format().config, [0x11, 0x90]);
        let mut with_checksum = stream.clone();
        with_checksum[1] = 0xF0;
        let frame = AdtsFrame::parse(&with_checksum).expect("a frame");
        assert_eq!(frame.unit, b"it");
        assert_eq!(AdtsFrame::parse(&stream[..10]), None, "cut off");
        assert_eq!(AdtsFrame::parse(&stream[1..]), None, "no header");
        let mut several = stream.clone();
        several[6] |= 1;
        assert_eq!(AdtsFrame::parse(&several), None);
        // What is skipped to find the next one.
        for (bytes, skipped) in [
            (&stream[..9], 0),
            (&stream[..4], 0),
            (&stream[..1], 0),
            (&[&b"xyz"[..], &stream].concat()[..], 3),
            (&[&several[..], &stream].concat(), 15),
            (b"nothing", 7),
            (&[0xFF, 0xF1, 0xFF, 0, 0, 0, 0, 0], 8),
        ] {
            assert_eq!(AdtsFrame::find(bytes), skipped, "{bytes:x?}");
        }
    }
}
