//! Declares in a sequence parameter set that the pictures are not reordered.
//!
//! Without the declaration a decoder must assume that pictures are reordered, and holds back as
//! many as the level's picture buffer has before it shows the first one. Nothing in the stream
//! but the declaration tells it otherwise.
//!
//! It is added only where the stream can have no reordering:
//!
//! | case | why |
//! |---|---|
//! | picture order count of type 2 | output in decoding order is part of its definition |
//! | baseline profile, or main profile with the constraints of baseline | no B slices |
//! | main or high profile with constraint 5 | no B slices |
//! | high profiles and CAVLC 4:4:4 with constraint 3 | no inter prediction, and decoders may assume it anyway (E.2.1) |
//!
//! A main or high profile stream with another type of picture order count may have B slices at
//! any time, even if it had none so far, and stays as it is. So does H.265: its parameter sets
//! always state how many pictures are reordered.

use super::bits::{BitWriter, Bits};
use super::{H264Sequence, h264};
use ocelli_core::Codec;

/// The most reference frames of any level.
const MAX_REFERENCE_FRAMES: u32 = 16;
/// The most schedules of a hypothetical reference decoder, minus 1.
const MAX_SCHEDULES: u32 = 31;
/// Flags in the video usability information before the restrictions of the stream.
const FLAGS_BEFORE: usize = 8;
/// The range of motion vectors, as inferred without the declaration.
const LOG2_MAX_VECTOR: u32 = 15;

/// Returns the sequence parameter set with the declaration that the pictures are not reordered;
/// `None` if it has the declaration, if the pictures may be reordered, or if it can't be parsed.
/// All other fields stay as they are.
pub fn without_reordering(codec: Codec, unit: &[u8]) -> Option<Vec<u8>> {
    let (header, payload) = unit.split_first_chunk::<1>()?;
    if codec != Codec::H264 || header[0] & 0x1F != 7 {
        return None;
    }
    let mut bits = Bits::new(payload);
    let sequence = h264(&mut bits)?;
    if !keeps_order(&sequence) || sequence.reference_frames > MAX_REFERENCE_FRAMES {
        return None;
    }
    let before_flag = bits.position();
    let mut writer = BitWriter::default();
    if !bits.flag()? {
        copy(payload, before_flag, &mut writer)?;
        // There is information, and it has none of the parts before the restrictions.
        writer.flag(true);
        for _ in 0..FLAGS_BEFORE {
            writer.flag(false);
        }
        declare(&sequence, &mut writer);
        return Some(writer.finish(header));
    }
    skip_information(&mut bits)?;
    let before_flag = bits.position();
    if !bits.flag()? {
        copy(payload, before_flag, &mut writer)?;
        declare(&sequence, &mut writer);
        return Some(writer.finish(header));
    }
    bits.skip(1)?;
    for _ in 0..4 {
        bits.number()?;
    }
    let before_number = bits.position();
    let reordered = bits.number()?;
    let buffered = bits.number()?;
    if reordered == 0 {
        return None;
    }
    copy(payload, before_number, &mut writer)?;
    writer.number(0);
    writer.number(buffered);
    Some(writer.finish(header))
}

/// Returns the most pictures that precede another one in decoding order and follow it in output
/// order; `None` if the parameter set of H.264 does not declare it.
pub(super) fn reordered(unit: &[u8]) -> Option<u32> {
    let mut bits = Bits::new(unit.get(1..)?);
    let sequence = h264(&mut bits)?;
    if keeps_order(&sequence) {
        return Some(0);
    }
    if !bits.flag()? {
        return None;
    }
    skip_information(&mut bits)?;
    if !bits.flag()? {
        return None;
    }
    bits.skip(1)?;
    for _ in 0..4 {
        bits.number()?;
    }
    bits.number()
}

/// Whether the pictures of such a stream are shown in the order in which they are decoded.
fn keeps_order(sequence: &H264Sequence) -> bool {
    let constraint = |number: u32| sequence.constraints & 0x80 >> number != 0;
    let has_no_b_slices = match sequence.profile {
        66 => true,
        77 => constraint(0) || constraint(5),
        88 => constraint(0),
        100 => constraint(5),
        _ => false,
    };
    let has_only_intra_slices =
        matches!(sequence.profile, 44 | 86 | 100 | 110 | 122 | 244) && constraint(3);
    sequence.order_count_type == 2 || has_no_b_slices || has_only_intra_slices
}

/// Skips the video usability information up to the restrictions of the stream.
fn skip_information(bits: &mut Bits<'_>) -> Option<()> {
    // The shape of the pixels, where 255 is followed by two numbers.
    if bits.flag()? && bits.take(8)? == 255 {
        bits.skip(32)?;
    }
    // Overscan.
    if bits.flag()? {
        bits.skip(1)?;
    }
    // The kind of signal, with a description of its colours.
    if bits.flag()? {
        bits.skip(4)?;
        if bits.flag()? {
            bits.skip(24)?;
        }
    }
    // The position of colour samples.
    if bits.flag()? {
        bits.number()?;
        bits.number()?;
    }
    // The frame rate.
    if bits.flag()? {
        bits.skip(65)?;
    }
    // Two hypothetical reference decoders.
    let mut has_decoder = false;
    for _ in 0..2 {
        if bits.flag()? {
            has_decoder = true;
            skip_reference_decoder(bits)?;
        }
    }
    if has_decoder {
        bits.skip(1)?;
    }
    // Whether pictures are fields.
    bits.skip(1)
}

fn skip_reference_decoder(bits: &mut Bits<'_>) -> Option<()> {
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

/// Writes the restrictions of the stream. All but the last two state what a decoder infers
/// without them, or no limit.
fn declare(sequence: &H264Sequence, writer: &mut BitWriter) {
    writer.flag(true);
    writer.flag(true);
    for number in [0, 0, LOG2_MAX_VECTOR, LOG2_MAX_VECTOR] {
        writer.number(number);
    }
    // No picture is reordered, and as many are kept as pictures refer to.
    writer.number(0);
    writer.number(sequence.reference_frames.max(1));
}

/// Copies the first `count` bits of a unit's payload.
fn copy(payload: &[u8], count: usize, writer: &mut BitWriter) -> Option<()> {
    let mut bits = Bits::new(payload);
    for _ in 0..count {
        writer.flag(bits.flag()?);
    }
    Some(())
}
