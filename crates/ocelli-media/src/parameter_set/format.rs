//! What containers repeat of a sequence parameter set, and how far pictures are reordered.

use super::bits::Bits;
use super::{h264, h265, reordering};
use ocelli_core::Codec;

/// The format of a stream, as its sequence parameter set states it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    /// The chroma format, as both codecs number it: 1 for 4:2:0.
    pub chroma: u8,
    /// The bits of a sample beyond 8, of brightness and of colour.
    pub extra_depth: (u8, u8),
    /// The most pictures that precede another one in decoding order and follow it in output order;
    /// `None` if that is not declared.
    pub reordered: Option<u8>,
    /// The profile of H.265.
    pub profile: Option<Profile>,
}

/// The general profile, tier and level of H.265, and its temporal layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Profile {
    /// The fields from the profile space to the level, as they are coded.
    pub bytes: [u8; 12],
    /// The number of temporal layers.
    pub temporal_layers: u8,
    /// Whether switching to a higher temporal layer is possible at any picture.
    pub nested: bool,
}

/// Returns the format in one sequence parameter set.
pub fn format(codec: Codec, unit: &[u8]) -> Option<Format> {
    match codec {
        Codec::H264 => {
            let sequence = h264(&mut Bits::new(unit.get(1..)?))?;
            let (luma, chroma) = sequence.extra_depth;
            Some(Format {
                chroma: small(sequence.chroma_format)?,
                extra_depth: (small(luma)?, small(chroma)?),
                reordered: reordering::reordered(unit).and_then(small),
                profile: None,
            })
        }
        Codec::H265 => h265_format(unit.get(2..)?),
        Codec::Jpeg | Codec::Mpeg1 | Codec::Yuv420p => None,
    }
}

fn h265_format(unit: &[u8]) -> Option<Format> {
    let mut bits = Bits::new(unit);
    bits.skip(7)?;
    let nested = bits.flag()?;
    let mut bytes = [0; 12];
    for byte in &mut bytes {
        *byte = u8::try_from(bits.take(8)?).ok()?;
    }
    let mut bits = Bits::new(unit);
    let sequence = h265(&mut bits)?;
    let extra_depth = (small(bits.number()?)?, small(bits.number()?)?);
    bits.number()?;
    // The values of all layers, or only those of the highest one, which is also the last.
    let sets = match bits.flag()? {
        true => sequence.more_layers + 1,
        false => 1,
    };
    let mut reordered = None;
    for _ in 0..sets {
        bits.number()?;
        reordered = Some(small(bits.number()?)?);
        bits.number()?;
    }
    Some(Format {
        chroma: small(sequence.chroma_format)?,
        extra_depth,
        reordered,
        profile: Some(Profile {
            bytes,
            temporal_layers: small(sequence.more_layers + 1)?,
            nested,
        }),
    })
}

fn small(number: u32) -> Option<u8> {
    u8::try_from(number).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format_of(codec: Codec, hex: &str) -> Option<Format> {
        let digit = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex");
        let unit: Vec<_> = (0..hex.len()).step_by(2).map(digit).collect();
        format(codec, &unit)
    }

    #[test]
    fn formats_written_by_x264_and_x265_are_read() {
        for (codec, hex, chroma, depth, reordered) in [
            // Constrained baseline.
            (
                Codec::H264,
                "6742c016d900a03db0110000030001000003000a0f162e48",
                1,
                (0, 0),
                Some(0),
            ),
            // High, with two B-frames and a pyramid.
            (
                Codec::H264,
                "67640028acd940780227e5c044000003000400000300283c60c658",
                1,
                (0, 0),
                Some(2),
            ),
            // 4:4:4 with ten bits.
            (
                Codec::H264,
                "67f4002090d9b280ac0c3c5f80880000030008000003005078c18cb0",
                3,
                (2, 2),
                Some(2),
            ),
            // Cut off after the size.
            (Codec::H264, "67640016acd940a03db011", 1, (0, 0), None),
            (
                Codec::H265,
                "420101016000000300900000030000030078a003c0801107cb965654a4c2f016808000000300800000030284",
                1,
                (0, 0),
                Some(2),
            ),
            // Temporal layers, and 4:2:2 with ten bits.
            (
                Codec::H265,
                "4201010408000003009d08000003000078b002b080301cdb6595952930bc05a020000003002000000300a1",
                2,
                (2, 2),
                Some(2),
            ),
        ] {
            let format = format_of(codec, hex).expect("a format");
            assert_eq!(
                (format.chroma, format.extra_depth, format.reordered),
                (chroma, depth, reordered),
                "{hex}"
            );
            assert_eq!(format.profile.is_some(), codec == Codec::H265);
        }
    }

    #[test]
    fn the_profile_is_read_without_emulation_prevention() {
        let hex =
            "42010101600000030090000003000003005aa0050201e16595952930bc05a020000003002000000300a1";
        let profile = format_of(Codec::H265, hex).and_then(|format| format.profile);
        assert_eq!(
            profile,
            Some(Profile {
                bytes: [0x01, 0x60, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 0x5a],
                temporal_layers: 1,
                nested: true,
            })
        );
    }
}
