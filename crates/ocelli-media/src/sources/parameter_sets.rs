//! A camera's H.264 or H.265 parameter sets, from the SDP and from the stream, and the access
//! units made complete with them.
//!
//! A decoder can start at each published key frame with nothing else: all parameter sets are in
//! front of it. Sequence parameter sets are published with the declaration that pictures are not
//! reordered, where that is certain (see [`parameter_set::without_reordering`]), and always with
//! the same one, so that decoders are not configured again for an unchanged stream.

use crate::annexb::{self, START_CODE};
use crate::ffmpeg::NO_PARAMETER_SETS;
use crate::parameter_set::{self, Bits};
use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use ocelli_core::{Codec, Failure, FailureKind, FrameBuffer, Picture, Publisher, Timestamp};
use std::borrow::Cow;
use std::sync::Arc;

/// The highest number of a set: that of picture parameter sets in H.264.
const MAX_NUMBER: u32 = 255;

/// The most bytes of all sets. A few hundred are usual.
const MAX_BYTES: usize = 64 << 10;

/// Some cameras leave out the padding.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// An access unit as it is published.
#[derive(Debug)]
pub struct CompleteUnit {
    /// Whether a decoder that has the parameter sets can start here.
    pub key: bool,
    /// Whether the camera sent all parameter sets in it.
    pub has_sets: bool,
    /// Whether it does not continue the stream before it, because the parameter sets have changed.
    /// Further access units that are not key frames depend on the new ones.
    pub is_new_stream: bool,
    /// The codec with its profile and level, if it is a key frame.
    pub codec_string: Option<Arc<str>>,
    /// The units in Annex B format, with all parameter sets if it is a key frame.
    pub buffer: FrameBuffer,
}

impl CompleteUnit {
    /// Publishes it. If it begins another stream, viewers are told so, and what depends on it is
    /// not published before a key frame.
    pub fn publish(
        self,
        codec: Codec,
        captured: Timestamp,
        size: Option<(u16, u16)>,
        publisher: &Publisher,
    ) {
        if self.is_new_stream {
            publisher.interrupt();
        }
        publisher.publish(Picture {
            codec,
            key: self.key,
            captured,
            size,
            codec_string: self.codec_string,
            buffer: self.buffer,
        });
    }
}

/// Number of key frames without parameter sets after which a stream is given up. The sets may
/// arrive a little later than the first key frame.
const MAX_UNDECODABLE_KEYS: usize = 3;

/// Counts the key frames of a stream that no decoder can start at.
#[derive(Debug, Default)]
pub struct UndecodableKeys(usize);

impl UndecodableKeys {
    /// Counts a key frame for which parameter sets are missing.
    ///
    /// # Errors
    /// There were too many: no decoder can decode the stream.
    pub fn add(&mut self) -> Result<(), Failure> {
        self.0 += 1;
        match self.0 < MAX_UNDECODABLE_KEYS {
            true => Ok(()),
            false => Err(Failure::new(FailureKind::Unsupported, NO_PARAMETER_SETS)),
        }
    }
}

/// The newest parameter sets of a stream.
#[derive(Debug)]
pub struct ParameterSets {
    codec: Codec,
    /// In the order in which a decoder needs them: by kind and number.
    sets: Vec<Set>,
    size: Option<(u16, u16)>,
    /// Number of access units with parameter sets.
    round: u64,
    /// Whether `sets` has changed since `published` was made.
    has_news: bool,
    /// All sets as they are in front of the last key frame.
    published: Vec<u8>,
    codec_string: Option<Arc<str>>,
}

#[derive(Debug, PartialEq, Eq)]
struct Set {
    /// Unit type, and the number by which other units refer to it.
    key: (u8, u32),
    /// The unit as the camera sends it.
    bytes: Vec<u8>,
    /// The last round in which the camera sent it.
    round: u64,
}

impl ParameterSets {
    /// Creates an empty collection.
    pub fn new(codec: Codec) -> Self {
        Self {
            codec,
            sets: Vec::new(),
            size: None,
            round: 0,
            has_news: false,
            published: Vec::new(),
            codec_string: None,
        }
    }

    /// Returns the sets that an SDP announces in its codec parameters. Unreadable ones are
    /// skipped, because cameras usually repeat them in the stream.
    pub fn announced(codec: Codec, parameters: Option<&str>) -> Self {
        let mut known = Self::new(codec);
        for parameter in parameters.unwrap_or_default().split(';') {
            let Some((name, value)) = parameter.split_once('=') else {
                continue;
            };
            let name = name.trim().to_ascii_lowercase();
            let names = [
                "sprop-parameter-sets",
                "sprop-vps",
                "sprop-sps",
                "sprop-pps",
            ];
            if !names.contains(&name.as_str()) {
                continue;
            }
            for set in value.trim().trim_matches('"').split(',') {
                if let Ok(bytes) = LENIENT.decode(set.trim()) {
                    // Some cameras put start codes before and after the sets.
                    known.take(&[&START_CODE[..], &bytes].concat());
                }
            }
        }
        known
    }

    /// Stores the parameter sets of an access unit with at least one slice, and returns it as it
    /// is published.
    pub fn complete(&mut self, access_unit: &[u8]) -> CompleteUnit {
        let key = annexb::is_key(self.codec, access_unit);
        let (kinds, changes_sequence) = self.take(access_unit);
        let has_sets = kinds.is_complete(self.codec);
        if !key {
            return CompleteUnit {
                key,
                has_sets,
                is_new_stream: changes_sequence && !self.published.is_empty(),
                codec_string: None,
                buffer: self.with_published_sequence(access_unit),
            };
        }
        if has_sets {
            // The others belong to an earlier stream.
            let (count, round) = (self.sets.len(), self.round);
            self.sets.retain(|set| set.round == round);
            self.has_news |= self.sets.len() != count;
        }
        let is_new_stream = std::mem::take(&mut self.has_news) && self.publish();
        CompleteUnit {
            key,
            has_sets,
            is_new_stream,
            codec_string: self.codec_string.clone(),
            buffer: self.with_all_sets(access_unit),
        }
    }

    /// Prepares the sets for publication. Returns whether others were published before.
    fn publish(&mut self) -> bool {
        let mut published = Vec::new();
        let mut codec_string = None;
        for set in &self.sets {
            published.extend_from_slice(&START_CODE);
            published.extend_from_slice(&self.as_published(&set.bytes));
            if is_sequence(self.codec, set.key.0) && codec_string.is_none() {
                codec_string = parameter_set::codec_string(self.codec, &set.bytes);
            }
        }
        self.codec_string = codec_string.map(Arc::from);
        let before = std::mem::replace(&mut self.published, published);
        !before.is_empty() && before != self.published
    }

    fn as_published<'a>(&self, unit: &'a [u8]) -> Cow<'a, [u8]> {
        match parameter_set::without_reordering(self.codec, unit) {
            Some(declared) => Cow::Owned(declared),
            None => Cow::Borrowed(unit),
        }
    }

    /// Returns a key frame with all parameter sets in front. Only a delimiter may come first.
    fn with_all_sets(&self, access_unit: &[u8]) -> FrameBuffer {
        let mut buffer = FrameBuffer::with_capacity(self.published.len() + access_unit.len());
        let head = || annexb::head(self.codec, access_unit);
        for unit in head().filter(|unit| annexb::is_delimiter(self.codec, unit)) {
            buffer.extend_from_slice(&START_CODE);
            buffer.extend_from_slice(unit);
        }
        buffer.extend_from_slice(&self.published);
        for unit in head() {
            if !annexb::is_delimiter(self.codec, unit)
                && !annexb::is_parameter_set(self.codec, unit)
            {
                buffer.extend_from_slice(&START_CODE);
                buffer.extend_from_slice(unit);
            }
        }
        buffer.extend_from_slice(&START_CODE);
        buffer.extend_from_slice(annexb::from_first_slice(self.codec, access_unit));
        buffer
    }

    /// Returns an access unit that is not a key frame. A sequence parameter set in it is the same
    /// as in front of key frames.
    fn with_published_sequence(&self, access_unit: &[u8]) -> FrameBuffer {
        let mut sequence = annexb::sequence_parameter_sets(self.codec, access_unit);
        if sequence.next().is_none() {
            return FrameBuffer::copy_from(access_unit);
        }
        let mut buffer = FrameBuffer::with_capacity(access_unit.len());
        for unit in annexb::head(self.codec, access_unit) {
            buffer.extend_from_slice(&START_CODE);
            buffer.extend_from_slice(&self.as_published(unit));
        }
        buffer.extend_from_slice(&START_CODE);
        buffer.extend_from_slice(annexb::from_first_slice(self.codec, access_unit));
        buffer
    }

    /// Stores the sets of an access unit. Returns which kinds it contains, and whether one that
    /// can only change at a key frame has changed.
    fn take(&mut self, access_unit: &[u8]) -> (Kinds, bool) {
        let mut kinds = Kinds::default();
        let mut changes_sequence = false;
        self.round += 1;
        for unit in annexb::all_parameter_sets(self.codec, access_unit) {
            let Some(key) = key(self.codec, unit) else {
                continue;
            };
            kinds.0 |= 1 << key.0.min(63);
            let is_picture = matches!((self.codec, key.0), (Codec::H264, 8) | (Codec::H265, 34));
            changes_sequence |= self.store(key, unit) && !is_picture;
        }
        (kinds, changes_sequence)
    }

    /// Stores a set. Returns whether it is new or has changed.
    fn store(&mut self, key: (u8, u32), unit: &[u8]) -> bool {
        let round = self.round;
        let at = match self.sets.binary_search_by_key(&key, |set| set.key) {
            Ok(at) if self.sets[at].bytes == unit => {
                self.sets[at].round = round;
                return false;
            }
            Ok(at) => {
                self.sets.remove(at);
                at
            }
            Err(at) => at,
        };
        self.has_news = true;
        let stored: usize = self.sets.iter().map(|set| set.bytes.len()).sum();
        if stored + unit.len() > MAX_BYTES {
            return true;
        }
        if let Some((width, height)) =
            parameter_set::size(self.codec, unit).filter(|_| is_sequence(self.codec, key.0))
        {
            self.size = width.try_into().ok().zip(height.try_into().ok());
        }
        let bytes = unit.to_vec();
        self.sets.insert(at, Set { key, bytes, round });
        true
    }

    /// Returns true if a decoder has all that it needs.
    pub fn is_complete(&self) -> bool {
        let kinds = self
            .sets
            .iter()
            .fold(0, |kinds, set| kinds | 1 << set.key.0.min(63));
        Kinds(kinds).is_complete(self.codec)
    }

    /// Returns the size of the pictures, if known.
    pub fn size(&self) -> Option<(u16, u16)> {
        self.size
    }
}

/// Kinds of parameter sets in an access unit, as a bit for each unit type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Kinds(u64);

impl Kinds {
    /// Returns true if a decoder needs no other kind.
    fn is_complete(self, codec: Codec) -> bool {
        let needed: &[u8] = match codec {
            Codec::H265 => &[32, 33, 34],
            _ => &[7, 8],
        };
        needed.iter().all(|kind| self.0 & 1 << kind != 0)
    }
}

fn is_sequence(codec: Codec, kind: u8) -> bool {
    kind == if codec == Codec::H265 { 33 } else { 7 }
}

/// Returns the type of a parameter set and its number.
fn key(codec: Codec, unit: &[u8]) -> Option<(u8, u32)> {
    match codec {
        Codec::H264 => match unit {
            [first, profile @ ..] if first & 0x1F == 7 => Some((7, number(profile.get(3..)?)?)),
            [first, rest @ ..] if first & 0x1F == 8 => Some((8, number(rest)?)),
            _ => None,
        },
        Codec::H265 => match unit {
            [first, _, rest @ ..] if first >> 1 & 0x3F == 32 => {
                Some((32, u32::from(rest.first()? >> 4)))
            }
            // Its number comes after a long structure. Cameras have one such set.
            [first, _, _, ..] if first >> 1 & 0x3F == 33 => Some((33, 0)),
            [first, _, rest @ ..] if first >> 1 & 0x3F == 34 => Some((34, number(rest)?)),
            _ => None,
        },
        Codec::Jpeg | Codec::Mpeg1 | Codec::Yuv420p => None,
    }
}

/// Returns the number of a set at the beginning of these bytes.
fn number(bytes: &[u8]) -> Option<u32> {
    let number = Bits::new(bytes).number();
    number.filter(|&number| number <= MAX_NUMBER)
}

#[cfg(test)]
mod tests;
