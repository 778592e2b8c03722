//! Sequence parameter sets of H.264 (ISO/IEC 14496-10, 7.3.2.1.1) and H.265 (ISO/IEC 23008-2,
//! 7.3.2.2): the size of the pictures, the codec string, what containers repeat of them, and
//! whether pictures are reordered.
//! Fields that are not needed are not validated, because the decoder does that.

mod bits;
mod codec_string;
mod format;
mod reordering;

pub(crate) use bits::Bits;
pub use codec_string::codec_string;
pub use format::{Format, Profile, format};
pub use reordering::without_reordering;

use crate::annexb;
use crate::jpeg;
use crate::mpeg1;
use ocelli_core::Codec;
use ocelli_core::capacity::Size;

/// Cropping by this much or more is ignored, because it removes more than the padding of the
/// last block. The decoder needs memory for the whole coded picture.
const MAX_PADDING: u64 = 64;

/// Returns the size in a picture's headers: the largest one if there are several parameter
/// sets.
pub fn measure(codec: Codec, bytes: &[u8]) -> Option<Size> {
    let small = |(width, height): (u16, u16)| (width.into(), height.into());
    match codec {
        Codec::Jpeg => jpeg::size(bytes).map(small),
        Codec::Mpeg1 => mpeg1::sequence(bytes).map(|sequence| small(sequence.size)),
        Codec::Yuv420p => None,
        Codec::H264 | Codec::H265 => annexb::sequence_parameter_sets(codec, bytes)
            .filter_map(|unit| size(codec, unit))
            .max_by_key(|&(width, height)| u64::from(width) * u64::from(height)),
    }
}

/// Returns the size in one sequence parameter set.
pub fn size(codec: Codec, unit: &[u8]) -> Option<Size> {
    match codec {
        Codec::H264 => h264(&mut Bits::new(unit.get(1..)?)).map(|sequence| sequence.size),
        Codec::H265 => h265(&mut Bits::new(unit.get(2..)?)).map(|sequence| sequence.size),
        Codec::Jpeg | Codec::Mpeg1 | Codec::Yuv420p => None,
    }
}

/// The part of an H.264 sequence parameter set before its video usability information.
struct H264Sequence {
    profile: u32,
    /// The constraint flags, the first one in the highest of eight bits.
    constraints: u32,
    chroma_format: u32,
    /// The bits of a sample beyond 8: brightness, colour.
    extra_depth: (u32, u32),
    order_count_type: u32,
    reference_frames: u32,
    size: Size,
}

/// Parses up to the flag that announces video usability information.
fn h264(bits: &mut Bits<'_>) -> Option<H264Sequence> {
    let profile = bits.take(8)?;
    let constraints = bits.take(8)?;
    bits.skip(8)?;
    bits.number()?;
    let mut chroma = 1;
    let mut chroma_format = 1;
    let mut extra_depth = (0, 0);
    if matches!(
        profile,
        44 | 83 | 86 | 100 | 110 | 118 | 122 | 128 | 134 | 135 | 138 | 139 | 244
    ) {
        chroma_format = bits.number()?;
        chroma = chroma_format;
        if chroma == 3 && bits.flag()? {
            // Separately coded planes use the crop units of monochrome.
            chroma = 0;
        }
        extra_depth = (bits.number()?, bits.number()?);
        bits.skip(1)?;
        if bits.flag()? {
            let lists = if chroma == 3 { 12 } else { 8 };
            for list in 0..lists {
                if bits.flag()? {
                    skip_scaling_list(bits, if list < 6 { 16 } else { 64 })?;
                }
            }
        }
    }
    bits.number()?;
    let order_count_type = bits.number()?;
    match order_count_type {
        0 => {
            bits.number()?;
        }
        1 => {
            bits.skip(1)?;
            bits.number()?;
            bits.number()?;
            for _ in 0..bits.number()?.min(255) {
                bits.number()?;
            }
        }
        _ => {}
    }
    let reference_frames = bits.number()?;
    bits.skip(1)?;
    let across = u64::from(bits.number()?) + 1;
    let down = u64::from(bits.number()?) + 1;
    let fields = if bits.flag()? { 1 } else { 2 };
    if fields == 2 {
        bits.skip(1)?;
    }
    bits.skip(1)?;
    let unit = match chroma {
        1 => (2, 2 * fields),
        2 => (2, fields),
        _ => (1, fields),
    };
    let coded = (across * 16, down * 16 * fields);
    Some(H264Sequence {
        profile,
        constraints,
        chroma_format,
        extra_depth,
        order_count_type,
        reference_frames,
        size: cropped(coded, unit, bits),
    })
}

fn skip_scaling_list(bits: &mut Bits<'_>, len: usize) -> Option<()> {
    let (mut last, mut next) = (8, 8);
    for _ in 0..len {
        if next != 0 {
            next = (last + bits.signed()?).rem_euclid(256);
        }
        if next != 0 {
            last = next;
        }
    }
    Some(())
}

/// The part of an H.265 sequence parameter set up to its cropping.
struct H265Sequence {
    /// The number of temporal layers, minus 1.
    more_layers: u32,
    chroma_format: u32,
    size: Size,
}

fn h265(bits: &mut Bits<'_>) -> Option<H265Sequence> {
    bits.skip(4)?;
    let layers = bits.take(3)?;
    bits.skip(1)?;
    // The general profile, tier and level.
    bits.skip(96)?;
    let mut present = Vec::new();
    for _ in 0..layers {
        present.push((bits.flag()?, bits.flag()?));
    }
    if layers > 0 {
        bits.skip(2 * (8 - layers))?;
    }
    for (profile, level) in present {
        bits.skip(88 * u32::from(profile) + 8 * u32::from(level))?;
    }
    bits.number()?;
    let chroma = bits.number()?;
    if chroma == 3 {
        bits.skip(1)?;
    }
    let coded = (u64::from(bits.number()?), u64::from(bits.number()?));
    let unit = match chroma {
        1 => (2, 2),
        2 => (2, 1),
        _ => (1, 1),
    };
    Some(H265Sequence {
        more_layers: layers,
        chroma_format: chroma,
        size: cropped(coded, unit, bits),
    })
}

/// Returns the size after cropping, or the coded size if the cropping can't be read.
fn cropped(coded: (u64, u64), unit: (u64, u64), bits: &mut Bits<'_>) -> Size {
    let side = |pixels: u64| u32::try_from(pixels).unwrap_or(u32::MAX);
    let whole = (side(coded.0), side(coded.1));
    let mut sides = [0; 4];
    if bits.flag() != Some(true) {
        return whole;
    }
    for side in &mut sides {
        let Some(number) = bits.number() else {
            return whole;
        };
        *side = u64::from(number);
    }
    let [left, right, top, bottom] = sides;
    let gone = ((left + right) * unit.0, (top + bottom) * unit.1);
    let is_padding = gone.0 < MAX_PADDING.min(coded.0) && gone.1 < MAX_PADDING.min(coded.1);
    match is_padding {
        true => (side(coded.0 - gone.0), side(coded.1 - gone.1)),
        false => whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        let digit = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex");
        (0..hex.len()).step_by(2).map(digit).collect()
    }

    /// Parameter sets written by x264 and x265.
    const SAMPLES: [(Codec, &str, Size); 12] = [
        (
            Codec::H264,
            "6742c016d900a03db0110000030001000003000a0f162e48",
            (640, 480),
        ),
        (
            Codec::H264,
            "67640020acd9405105df930110000003001000000300a0f1831960",
            (1296, 730),
        ),
        (
            Codec::H264,
            "67640028acd940780227e5c044000003000400000300283c60c658",
            (1920, 1080),
        ),
        (
            Codec::H264,
            "67640033acd9403c0043ec044000000300400000030283c60c6580",
            (3840, 2160),
        ),
        // Interlaced.
        (
            Codec::H264,
            "67640016acd940b424d8088000000300800000050f8a14cb",
            (720, 576),
        ),
        // 4:4:4 with ten bits.
        (
            Codec::H264,
            "67f4002090d9b280ac0c3c5f80880000030008000003005078c18cb0",
            (1366, 768),
        ),
        // Cut off after the size.
        (Codec::H264, "67640016acd940a03db011", (640, 480)),
        (
            Codec::H265,
            "42010101600000030090000003000003005aa0050201e16595952930bc05a020000003002000000300a1",
            (640, 480),
        ),
        (
            Codec::H265,
            "42010101600000030090000003000003005da00288802e1f26595952930bc05a020000030002000003000a10",
            (1296, 730),
        ),
        (
            Codec::H265,
            "420101016000000300900000030000030078a003c0801107cb965654a4c2f016808000000300800000030284",
            (1920, 1080),
        ),
        (
            Codec::H265,
            "420101016000000300900000030000030096a001e020021c5965654a4c2f0168080000030008000003002840",
            (3840, 2160),
        ),
        // Temporal layers, and 4:2:2 with ten bits.
        (
            Codec::H265,
            "4201010408000003009d08000003000078b002b080301cdb6595952930bc05a020000003002000000300a1",
            (1366, 768),
        ),
    ];

    #[test]
    fn sizes_written_by_x264_and_x265_are_read() {
        for (codec, hex, expected) in SAMPLES {
            assert_eq!(size(codec, &bytes(hex)), Some(expected), "{hex}");
        }
    }

    /// An H.264 parameter set of the baseline profile with this many blocks.
    fn baseline(across: u32, down: u32, crop: Option<[u32; 4]>) -> Vec<u8> {
        let number = |value: u32| {
            let coded = format!("{:b}", u64::from(value) + 1);
            "0".repeat(coded.len() - 1) + &coded
        };
        // Its id, the bits of the frame number, the picture order type and its bits, the
        // number of reference frames, and no gaps.
        let mut bits = [0, 0, 0, 0, 1].map(number).concat() + "0";
        bits += &(number(across - 1) + &number(down - 1));
        bits += if crop.is_some() { "111" } else { "110" };
        bits.extend(crop.into_iter().flatten().map(number));
        bits += "1";
        bits += &"0".repeat(bits.len().next_multiple_of(8) - bits.len());
        let byte = |at: usize| u8::from_str_radix(&bits[at..at + 8], 2).expect("bits");
        let mut unit = vec![0x67, 66, 0, 40];
        unit.extend((0..bits.len()).step_by(8).map(byte));
        unit
    }

    #[test]
    fn cropping_by_more_than_a_block_is_ignored() {
        let size = |crop| size(Codec::H264, &baseline(1024, 1024, crop));
        assert_eq!(size(None), Some((16_384, 16_384)));
        assert_eq!(size(Some([0, 0, 0, 4])), Some((16_384, 16_376)));
        // 16 × 16 pixels are shown, but 16,384 × 16,384 are decoded.
        assert_eq!(size(Some([0, 8184, 0, 8184])), Some((16_384, 16_384)));
        let huge = [u32::MAX - 1; 4];
        assert_eq!(size(Some(huge)), Some((16_384, 16_384)));
    }

    #[test]
    fn the_largest_of_several_parameter_sets_is_used() {
        let mut unit = Vec::new();
        for part in [
            baseline(40, 30, None),
            baseline(1024, 1024, None),
            vec![0x68, 1],
            vec![0x65, 0x88],
            baseline(2048, 1024, None),
        ] {
            unit.extend([0, 0, 0, 1]);
            unit.extend(part);
        }
        assert_eq!(measure(Codec::H264, &unit), Some((16_384, 16_384)));
        assert_eq!(measure(Codec::H265, &unit), None);
        assert_eq!(measure(Codec::H264, &unit[..4]), None);
        assert_eq!(measure(Codec::Yuv420p, &unit), None);
    }

    #[test]
    fn damaged_parameter_sets_cause_no_panic() {
        for (codec, hex, _) in SAMPLES {
            let whole = bytes(hex);
            for at in 0..whole.len() {
                let _ = size(codec, &whole[..at]);
                for value in [0, 1, 3, 0x7F, 0x80, 0xFF] {
                    let mut bad = whole.clone();
                    bad[at] = value;
                    let _ = size(codec, &bad);
                }
            }
            let _ = size(codec, &[&whole[..4], &[0; 64][..]].concat());
            let _ = size(codec, &[&whole[..4], &[0xFF; 64][..]].concat());
        }
    }
}
