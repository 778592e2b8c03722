//! The codec string of a stream, which names its profile and level (RFC 6381, section 3.3).

use super::bits::Bits;
use ocelli_core::Codec;
use std::fmt::Write;

/// Returns the codec string for a sequence parameter set. The sets are in the stream, so the
/// string for H.265 begins with `hev1`; that for H.264 with `avc1`, because Safari refuses `avc3`.
pub fn codec_string(codec: Codec, unit: &[u8]) -> Option<String> {
    match codec {
        Codec::H264 => match unit {
            [_, profile, constraints, level, ..] => {
                Some(format!("avc1.{profile:02x}{constraints:02x}{level:02x}"))
            }
            _ => None,
        },
        Codec::H265 => h265(Bits::new(unit.get(2..)?)),
        Codec::Jpeg | Codec::Mpeg1 | Codec::Yuv420p => None,
    }
}

/// Formats the general profile, tier and level (ISO/IEC 14496-15, Annex E).
fn h265(mut bits: Bits<'_>) -> Option<String> {
    bits.skip(8)?;
    let space = bits.take(2)?;
    let high_tier = bits.flag()?;
    let profile = bits.take(5)?;
    let compatible = bits.take(32)?.reverse_bits();
    let mut constraints = [0; 6];
    for byte in &mut constraints {
        *byte = bits.take(8)?;
    }
    let level = bits.take(8)?;
    let space = ["", "A", "B", "C"][space as usize & 3];
    let tier = if high_tier { 'H' } else { 'L' };
    let mut text = format!("hev1.{space}{profile}.{compatible:X}.{tier}{level}");
    let significant = constraints.iter().rposition(|byte| *byte != 0);
    for byte in constraints
        .iter()
        .take(significant.map_or(0, |last| last + 1))
    {
        // Writing to a string can't fail.
        let _ = write!(text, ".{byte:X}");
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_those_that_browsers_expect() {
        for (codec, unit, expected) in [
            (
                Codec::H264,
                &[0x67, 0x42, 0xC0, 0x1E, 0xD9][..],
                "avc1.42c01e",
            ),
            (Codec::H264, &[0x67, 0x64, 0, 0x28, 0xAC], "avc1.640028"),
            // Main profile, level 3.1, with emulation prevention bytes.
            (
                Codec::H265,
                &[
                    0x42, 1, 1, 1, 0x60, 0, 0, 3, 0, 0x90, 0, 0, 3, 0, 0, 3, 0, 0x5D, 0xA0,
                ],
                "hev1.1.6.L93.90",
            ),
            // Main 10 in the high tier, level 5.1.
            (
                Codec::H265,
                &[
                    0x42, 1, 1, 0x22, 0x20, 0, 0, 3, 0, 0xB0, 0, 0, 3, 0, 0, 3, 0, 0x99, 0xA0,
                ],
                "hev1.2.4.H153.B0",
            ),
        ] {
            assert_eq!(codec_string(codec, unit).as_deref(), Some(expected));
        }
        assert_eq!(codec_string(Codec::H264, &[0x67, 0x42]), None);
        assert_eq!(codec_string(Codec::H265, &[0x42, 1, 1]), None);
    }
}
