//! The codec with its profile and level, as browsers name it (RFC 6381, 3.3).

use super::bits::Bits;
use ocelli_core::Codec;
use std::fmt::Write as _;

/// Returns the codec string of the stream that this sequence parameter set describes, for example
/// `avc1.64001f` or `hev1.1.6.L93.B0` (ISO/IEC 14496-15, E.3).
///
/// The names are those of streams with parameter sets in the pictures, except that H.264 is
/// called `avc1` instead of `avc3`, because not all browsers know that name.
pub fn codec_string(codec: Codec, unit: &[u8]) -> Option<String> {
    match codec {
        Codec::H264 => {
            let mut bits = Bits::new(unit.get(1..)?);
            let (profile, constraints, level) = (bits.take(8)?, bits.take(8)?, bits.take(8)?);
            Some(format!("avc1.{profile:02x}{constraints:02x}{level:02x}"))
        }
        Codec::H265 => h265(&mut Bits::new(unit.get(2..)?)),
        Codec::Jpeg | Codec::Mpeg1 | Codec::Yuv420p => None,
    }
}

fn h265(bits: &mut Bits<'_>) -> Option<String> {
    bits.skip(8)?;
    let space = ["", "A", "B", "C"][bits.take(2)? as usize];
    let tier = if bits.flag()? { 'H' } else { 'L' };
    let profile = bits.take(5)?;
    // The flag of profile 0 is the lowest bit of the number.
    let compatible = bits.take(32)?.reverse_bits();
    let mut constraints = [0; 6];
    for byte in &mut constraints {
        *byte = bits.take(8)?;
    }
    let level = bits.take(8)?;
    let mut text = format!("hev1.{space}{profile}.{compatible:X}.{tier}{level}");
    let end = constraints.iter().rposition(|&byte| byte != 0);
    for byte in &constraints[..end.map_or(0, |last| last + 1)] {
        let _ = write!(text, ".{byte:X}");
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(codec: Codec, hex: &str) -> Option<String> {
        let digit = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex");
        let unit: Vec<_> = (0..hex.len()).step_by(2).map(digit).collect();
        codec_string(codec, &unit)
    }

    #[test]
    fn profile_and_level_are_named() {
        for (codec, hex, expected) in [
            (Codec::H264, "6742c016d9", "avc1.42c016"),
            (Codec::H264, "6764001facd9", "avc1.64001f"),
            // Main profile, written by x265.
            (
                Codec::H265,
                "42010101600000030090000003000003005aa0050201e1659592",
                "hev1.1.6.L90.90",
            ),
            // The example in ISO/IEC 14496-15.
            (
                Codec::H265,
                "420101016000000300b0000003000003005da0",
                "hev1.1.6.L93.B0",
            ),
            // 4:2:2 with ten bits, profile 4.
            (
                Codec::H265,
                "4201010408000003009d08000003000078b002b0",
                "hev1.4.10.L120.9D.8",
            ),
            // The high tier of a profile space, with zeros between the constraints.
            (
                Codec::H265,
                "420101624000000300000301020003007800",
                "hev1.A2.2.H120.0.1.2.0.3",
            ),
        ] {
            assert_eq!(name(codec, hex).as_deref(), Some(expected), "{hex}");
        }
        assert_eq!(name(Codec::H264, "674200"), None);
        assert_eq!(name(Codec::H265, "42010101600000030090000003000003"), None);
        assert_eq!(codec_string(Codec::Jpeg, b"\xff\xd8"), None);
    }
}
