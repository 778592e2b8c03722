//! A camera's H.264 or H.265 parameter sets, from the SDP and from the stream.

use crate::annexb::{self, START_CODE};
use crate::parameter_set;
use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use ocelli_core::Codec;

/// The most bytes of all sets. A few hundred are usual.
const MAX_BYTES: usize = 64 << 10;

/// Some cameras leave out the padding.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// The newest parameter sets of a stream.
#[derive(Debug)]
pub struct ParameterSets {
    codec: Codec,
    /// In the order in which a decoder needs them: by kind and number.
    sets: Vec<Set>,
    size: Option<(u16, u16)>,
}

#[derive(Debug, PartialEq, Eq)]
struct Set {
    /// Unit type, and the number by which other units refer to it.
    key: (u8, u32),
    bytes: Vec<u8>,
}

impl ParameterSets {
    /// Returns the sets that an SDP announces in its codec parameters. Unreadable ones are
    /// skipped, because cameras usually repeat them in the stream.
    pub fn announced(codec: Codec, parameters: Option<&str>) -> Self {
        let mut known = Self {
            codec,
            sets: Vec::new(),
            size: None,
        };
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

    /// Stores the sets of an access unit. Returns which kinds it contains.
    pub fn take(&mut self, access_unit: &[u8]) -> Kinds {
        let mut kinds = Kinds::default();
        for unit in annexb::all_parameter_sets(self.codec, access_unit) {
            let Some(key) = key(self.codec, unit) else {
                continue;
            };
            kinds.0 |= 1 << key.0.min(63);
            self.store(key, unit);
        }
        kinds
    }

    fn store(&mut self, key: (u8, u32), unit: &[u8]) {
        let at = match self.sets.binary_search_by_key(&key, |set| set.key) {
            Ok(at) if self.sets[at].bytes == unit => return,
            Ok(at) => {
                self.sets.remove(at);
                at
            }
            Err(at) => at,
        };
        let stored: usize = self.sets.iter().map(|set| set.bytes.len()).sum();
        if stored + unit.len() > MAX_BYTES {
            return;
        }
        if let Some((width, height)) =
            parameter_set::size(self.codec, unit).filter(|_| is_sequence(self.codec, key.0))
        {
            self.size = width.try_into().ok().zip(height.try_into().ok());
        }
        let bytes = unit.to_vec();
        self.sets.insert(at, Set { key, bytes });
    }

    /// Returns true if a decoder has all that it needs.
    pub fn is_complete(&self) -> bool {
        let kinds = self
            .sets
            .iter()
            .fold(0, |kinds, set| kinds | 1 << set.key.0.min(63));
        Kinds(kinds).is_complete(self.codec)
    }

    /// Returns all sets, in the order in which a decoder needs them.
    pub fn all(&self) -> impl Iterator<Item = &[u8]> {
        self.sets.iter().map(|set| set.bytes.as_slice())
    }

    /// Returns the size of the pictures, if known.
    pub fn size(&self) -> Option<(u16, u16)> {
        self.size
    }
}

/// Kinds of parameter sets in an access unit, as a bit for each unit type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kinds(u64);

impl Kinds {
    /// Returns true if a decoder needs no other kind.
    pub fn is_complete(self, codec: Codec) -> bool {
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

/// Returns the Exp-Golomb number at the beginning, which is small.
fn number(bytes: &[u8]) -> Option<u32> {
    let bits = u32::from_be_bytes([
        *bytes.first()?,
        bytes.get(1).copied().unwrap_or(0),
        bytes.get(2).copied().unwrap_or(0),
        0,
    ]);
    let zeros = bits.leading_zeros();
    (zeros < 12).then(|| (bits >> (31 - 2 * zeros)) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unusual_announcements_are_parsed() {
        let sps = "Z0LAHtkDxWhAAAADAEAAAAwDxYuS";
        for parameters in [
            format!("packetization-mode=1;sprop-parameter-sets={sps},aMuMsg=="),
            format!(" sprop-parameter-sets = \"{sps}, aMuMsg\" ;x"),
            format!("sprop-parameter-sets=!!,{sps},aMuMsg==,"),
            // With a start code before and after the sets, and both in one text.
            "sprop-parameter-sets=AAAAAWdCwB7ZA8VoQAAAAwBAAAAMA8WLkgAAAAFoy4yyAAAAAQ==".into(),
        ] {
            let sets = ParameterSets::announced(Codec::H264, Some(&parameters));
            assert!(sets.is_complete(), "{parameters}: {sets:?}");
            assert_eq!(sets.all().count(), 2, "{parameters}");
            assert!(sets.size().is_some(), "{parameters}");
        }
        let none = ParameterSets::announced(Codec::H264, Some("sprop-parameter-sets=,;=;"));
        assert!(!none.is_complete() && none.all().next().is_none());
    }

    #[test]
    fn sets_are_replaced_by_kind_and_number() {
        let mut sets = ParameterSets::announced(Codec::H264, None);
        let unit = |bytes: &[u8]| [&START_CODE[..], bytes].concat();
        let first = [unit(&[0x68, 0x80, 1]), unit(&[0x68, 0x40, 2])].concat();
        assert!(!sets.take(&first).is_complete(Codec::H264));
        assert_eq!(sets.all().count(), 2);
        sets.take(&unit(&[0x68, 0x80, 3]));
        assert_eq!(
            sets.all().collect::<Vec<_>>(),
            [[0x68, 0x80, 3], [0x68, 0x40, 2]]
        );
        // The stored sets stay within their limit.
        for at in 0..64 {
            let mut large = unit(&[0x68, at, 0x80]);
            large.resize(4 << 10, 1);
            sets.take(&large);
        }
        assert!(sets.all().map(<[u8]>::len).sum::<usize>() <= MAX_BYTES);
    }

    #[test]
    fn small_numbers_are_parsed() {
        for (bits, expected) in [(0x80, 0), (0x40, 1), (0x60, 2), (0x20, 3), (0x38, 6)] {
            assert_eq!(number(&[bits]), Some(expected));
        }
        assert_eq!(number(&[]), None);
        assert_eq!(number(&[0, 0, 1]), None);
    }
}
