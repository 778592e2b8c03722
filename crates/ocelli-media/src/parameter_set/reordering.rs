//! Declares in an H.264 sequence parameter set that pictures are not reordered.
//!
//! Without that declaration a decoder may hold back as many pictures as fit into its buffer,
//! which are up to 16. It is added only where reordering is impossible: where pictures are shown
//! in decoding order by the coding of their order, or where the profile has no B slices. H.265
//! always declares it.

use super::bits::{BitWriter, Bits};
use super::{H264, h264};

/// The largest length of motion vectors, as for streams without the declaration.
const VECTOR_LENGTH: u32 = 16;

/// Returns the H.264 parameter set with the declaration; `None` if it has one, if pictures may be
/// reordered, or if it can't be read.
pub fn without_reordering(unit: &[u8]) -> Option<Vec<u8>> {
    let (header, payload) = unit.split_first()?;
    let mut bits = Bits::new(payload);
    let set = h264(&mut bits)?;
    if !set.keeps_order() {
        return None;
    }
    let start = bits.position();
    let mut writer;
    if bits.flag()? {
        skip_to_restrictions(&mut bits)?;
        let restrictions = bits.position();
        if bits.flag()? {
            bits.skip(1)?;
            for _ in 0..4 {
                bits.number()?;
            }
            let reordered = bits.position();
            if bits.number()? == 0 {
                return None;
            }
            let buffered = bits.number()?;
            writer = BitWriter::copy(payload, reordered)?;
            writer.number(0);
            writer.number(buffered);
            return Some([&[*header], &writer.finish()[..]].concat());
        }
        writer = BitWriter::copy(payload, restrictions)?;
    } else {
        writer = BitWriter::copy(payload, start)?;
        writer.flag(true);
        // Aspect ratio, overscan, signal type, chroma location, timing, two of buffering, and
        // structure: none is present.
        (0..8).for_each(|_| writer.flag(false));
    }
    writer.flag(true);
    // Motion vectors may point outside the picture; no limits of bytes and bits.
    writer.flag(true);
    writer.number(0);
    writer.number(0);
    writer.number(VECTOR_LENGTH);
    writer.number(VECTOR_LENGTH);
    writer.number(0);
    writer.number(set.reference_frames.max(1));
    Some([&[*header], &writer.finish()[..]].concat())
}

impl H264 {
    /// Whether pictures are always shown in decoding order.
    fn keeps_order(&self) -> bool {
        let constraint = |number: u32| self.constraints >> (7 - number) & 1 == 1;
        let has_no_b_slices = match self.profile {
            66 => true,
            77 | 88 => constraint(5),
            100 => constraint(5) || constraint(3),
            44 | 86 | 110 | 122 | 244 => constraint(3),
            _ => false,
        };
        self.order_type == 2 || has_no_b_slices
    }
}

/// Reads the usability information (Annex E.1.1) up to the restrictions.
fn skip_to_restrictions(bits: &mut Bits<'_>) -> Option<()> {
    const EXTENDED_RATIO: u32 = 255;
    if bits.flag()? && bits.take(8)? == EXTENDED_RATIO {
        bits.skip(32)?;
    }
    if bits.flag()? {
        bits.skip(1)?;
    }
    if bits.flag()? {
        bits.skip(4)?;
        if bits.flag()? {
            bits.skip(24)?;
        }
    }
    if bits.flag()? {
        bits.number()?;
        bits.number()?;
    }
    if bits.flag()? {
        bits.skip(65)?;
    }
    let mut buffering = false;
    for _ in 0..2 {
        if bits.flag()? {
            skip_buffering(bits)?;
            buffering = true;
        }
    }
    if buffering {
        bits.skip(1)?;
    }
    bits.skip(1)
}

/// Reads the parameters of a hypothetical reference decoder (Annex E.1.2).
fn skip_buffering(bits: &mut Bits<'_>) -> Option<()> {
    const MAX_SCHEDULES: u32 = 31;
    let schedules = bits.number()?;
    if schedules > MAX_SCHEDULES {
        return None;
    }
    bits.skip(8)?;
    for _ in 0..=schedules {
        bits.number()?;
        bits.number()?;
        bits.skip(1)?;
    }
    bits.skip(20)
}

#[cfg(test)]
mod tests {
    use super::super::size;
    use super::*;
    use ocelli_core::Codec;

    fn bytes(hex: &str) -> Vec<u8> {
        let digit = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex");
        (0..hex.len()).step_by(2).map(digit).collect()
    }

    /// The declared reordering and buffering.
    fn declared(unit: &[u8]) -> Option<(u32, u32)> {
        let mut bits = Bits::new(&unit[1..]);
        h264(&mut bits)?;
        bits.flag()?.then_some(())?;
        skip_to_restrictions(&mut bits)?;
        bits.flag()?.then_some(())?;
        bits.skip(1)?;
        for _ in 0..4 {
            bits.number()?;
        }
        Some((bits.number()?, bits.number()?))
    }

    /// x264 declares its reordering, in sets of the baseline profile and of the high profile with
    /// B-frames.
    const BASELINE: &str = "6742c016d900a03db0110000030001000003000a0f162e48";
    const HIGH: &str = "67640020acd9405105df930110000003001000000300a0f1831960";

    /// The same without restrictions, or without usability information.
    fn cut(hex: &str, keeps_information: bool) -> Vec<u8> {
        let unit = bytes(hex);
        let mut bits = Bits::new(&unit[1..]);
        h264(&mut bits).expect("a set");
        let mut writer;
        if keeps_information {
            bits.flag().expect("a flag");
            skip_to_restrictions(&mut bits).expect("information");
            writer = BitWriter::copy(&unit[1..], bits.position()).expect("bits");
        } else {
            writer = BitWriter::copy(&unit[1..], bits.position()).expect("bits");
        }
        writer.flag(false);
        [&unit[..1], &writer.finish()].concat()
    }

    #[test]
    fn the_declaration_is_added_where_reordering_is_impossible() {
        for keeps_information in [true, false] {
            let undeclared = cut(BASELINE, keeps_information);
            assert_eq!(declared(&undeclared), None);
            let rewritten = without_reordering(&undeclared).expect("it is rewritten");
            assert_eq!(declared(&rewritten), Some((0, 3)));
            assert_eq!(size(Codec::H264, &rewritten), Some((640, 480)));
            assert_eq!(without_reordering(&rewritten), None, "once is enough");
        }
        // What is in front stays bit by bit, with emulation prevention bytes.
        let rewritten = without_reordering(&cut(BASELINE, true)).expect("it is rewritten");
        assert_eq!(rewritten[..20], bytes(BASELINE)[..20]);
    }

    #[test]
    fn a_stream_that_may_be_reordered_stays_as_it_is() {
        assert_eq!(declared(&bytes(HIGH)).map(|declared| declared.0), Some(2));
        for unit in [
            bytes(HIGH),
            cut(HIGH, true),
            cut(HIGH, false),
            bytes(BASELINE),
        ] {
            assert_eq!(without_reordering(&unit), None);
        }
    }

    #[test]
    fn a_profile_without_b_slices_is_recognized_by_its_constraints() {
        // Constrained High has constraint flags 4 and 5.
        let mut unit = cut(HIGH, true);
        unit[2] = 0x0C;
        let rewritten = without_reordering(&unit).expect("it is rewritten");
        assert_eq!(declared(&rewritten).map(|declared| declared.0), Some(0));
        // A wrong declaration is corrected, and its buffer stays.
        let mut declares = bytes(HIGH);
        let buffered = declared(&declares).map(|declared| declared.1);
        declares[2] = 0x0C;
        let rewritten = without_reordering(&declares).expect("it is rewritten");
        assert_eq!(declared(&rewritten), buffered.map(|buffered| (0, buffered)));
    }

    #[test]
    fn damaged_sets_cause_no_panic() {
        for hex in [BASELINE, HIGH] {
            let unit = bytes(hex);
            for at in 0..unit.len() {
                for bit in 0..8 {
                    let mut damaged = unit.clone();
                    damaged[at] ^= 1 << bit;
                    if let Some(rewritten) = without_reordering(&damaged) {
                        assert_eq!(size(Codec::H264, &rewritten), size(Codec::H264, &damaged));
                    }
                    let _ = without_reordering(&damaged[..at]);
                }
            }
        }
    }
}
