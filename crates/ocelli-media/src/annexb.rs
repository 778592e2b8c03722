//! Parser for H.264 and H.265 access units in Annex B format. It reads up to the first slice,
//! which is enough to find key frames and parameter sets, and does not decode.

use memchr::memchr;
use ocelli_core::Codec;

/// The start code written before each NAL unit.
pub const START_CODE: [u8; 4] = [0, 0, 0, 1];

/// Returns the NAL units of an access unit, each together with everything that follows it.
/// A slice is large, so the search for its end is left to callers that need it.
fn unit_starts(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        rest = &rest[start_code(rest)? + 3..];
        Some(rest)
    })
}

/// Returns all NAL units of an access unit, without start codes.
pub fn units(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    unit_starts(bytes).map(unit)
}

/// Returns the type of an access unit's first slice, as the codec numbers it.
pub fn first_slice_kind(codec: Codec, bytes: &[u8]) -> Option<u8> {
    kind(codec, from_first_slice(codec, bytes))
}

/// Returns the number of start codes in these bytes.
pub fn start_codes(bytes: &[u8]) -> usize {
    unit_starts(bytes).count()
}

/// Returns the position of the next start code in its short form.
///
/// Bytes of value 1 are rare in encoded video, so only their neighbours are compared.
fn start_code(bytes: &[u8]) -> Option<usize> {
    let mut at = 2;
    loop {
        at += memchr(1, bytes.get(at..)?)?;
        if bytes[at - 2..at] == [0, 0] {
            return Some(at - 2);
        }
        at += 1;
    }
}

/// Returns the NAL unit at the beginning of `rest`.
fn unit(rest: &[u8]) -> &[u8] {
    let end = start_code(rest);
    let unit = &rest[..end.unwrap_or(rest.len())];
    // The first zero of a four-byte start code is not part of the unit before it.
    let zeros = unit.iter().rev().take_while(|&&byte| byte == 0).count();
    &unit[..unit.len() - zeros]
}

/// Returns the NAL unit type, as the codec numbers it.
fn kind(codec: Codec, unit: &[u8]) -> Option<u8> {
    let first = *unit.first()?;
    Some(match codec {
        Codec::H264 => first & 0x1F,
        Codec::H265 => first >> 1 & 0x3F,
        Codec::Jpeg | Codec::Mpeg1 | Codec::Yuv420p => return None,
    })
}

/// Returns the sequence parameter sets before an access unit's first slice. They contain the
/// picture's size.
pub fn sequence_parameter_sets(codec: Codec, bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    all_parameter_sets(codec, bytes).filter(move |unit| {
        matches!(
            (codec, kind(codec, unit)),
            (Codec::H264, Some(7)) | (Codec::H265, Some(33))
        )
    })
}

/// Returns all parameter sets before an access unit's first slice, without start codes.
pub fn all_parameter_sets(codec: Codec, bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    head(codec, bytes).filter(move |unit| is_parameter_set(codec, unit))
}

/// Returns whether this NAL unit is a parameter set.
pub fn is_parameter_set(codec: Codec, unit: &[u8]) -> bool {
    matches!(
        (codec, kind(codec, unit)),
        (Codec::H264, Some(7 | 8)) | (Codec::H265, Some(32..=34))
    )
}

/// Returns whether this NAL unit only marks the beginning of an access unit.
pub fn is_delimiter(codec: Codec, unit: &[u8]) -> bool {
    matches!(
        (codec, kind(codec, unit)),
        (Codec::H264, Some(9)) | (Codec::H265, Some(35))
    )
}

fn is_slice(codec: Codec, unit: &[u8]) -> bool {
    match (codec, kind(codec, unit)) {
        (Codec::H264, Some(kind)) => matches!(kind, 1..=5),
        (_, Some(kind)) => kind <= 31,
        (_, None) => false,
    }
}

/// Returns the units before an access unit's first slice, without start codes.
pub fn head(codec: Codec, bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    // Searching a raw picture would take longer than everything else that is done with it.
    let bytes = matches!(codec, Codec::H264 | Codec::H265).then_some(bytes);
    let units = bytes.into_iter().flat_map(unit_starts);
    units
        .take_while(move |rest| !is_slice(codec, rest))
        .map(unit)
}

/// Returns an access unit's first slice and everything after it, without the first start code.
pub fn from_first_slice(codec: Codec, bytes: &[u8]) -> &[u8] {
    let mut units = unit_starts(bytes);
    units.find(|rest| is_slice(codec, rest)).unwrap_or_default()
}

/// Returns true if there is a slice in these bytes, which begin with a start code.
pub fn has_slice(codec: Codec, bytes: &[u8]) -> bool {
    unit_starts(bytes).any(|rest| is_slice(codec, rest))
}

/// Returns whether a slice is the first of its picture, given its bytes after the header. Both
/// codecs mark it in the first bit: H.264 codes the number 0 of the first macroblock as a 1.
pub fn is_first_slice(after_header: &[u8]) -> bool {
    after_header.first().is_some_and(|byte| byte & 0x80 != 0)
}

/// Returns true if the first slice in these bytes is not the first of its picture.
pub fn begins_inside(codec: Codec, bytes: &[u8]) -> bool {
    match (codec, from_first_slice(codec, bytes)) {
        (Codec::H264, [_, rest @ ..]) | (Codec::H265, [_, _, rest @ ..]) if !rest.is_empty() => {
            !is_first_slice(rest)
        }
        _ => false,
    }
}

/// Returns whether a decoder that has the parameter sets can start at this access unit.
///
/// That is not only so for IDR pictures:
///
/// - H.265 also has CRA and BLA (types 16 to 23 in all). After a CRA there may be pictures that
///   refer to pictures before it (RASL). A decoder that starts at the CRA leaves those out, as
///   the standard demands (8.1.3), and one that was decoding before needs them, so they stay in
///   the stream.
/// - H.264 cameras with open groups or gradual refresh only send a recovery point. For them there
///   is no better place: without it, such a stream would have one key frame at its very
///   beginning. Decoders leave out or conceal what they can't decode until they have recovered.
pub fn is_key(codec: Codec, bytes: &[u8]) -> bool {
    let mut recovers = false;
    for rest in unit_starts(bytes) {
        match (codec, kind(codec, rest)) {
            (Codec::H264, Some(6)) => recovers |= announces_recovery_point(unit(rest)),
            (Codec::H264, Some(kind @ 1..=5)) => return kind == 5 || recovers,
            (Codec::H265, Some(kind @ 0..=31)) => return matches!(kind, 16..=23),
            _ => {}
        }
    }
    false
}

/// Returns true if an H.264 SEI unit holds a recovery point.
fn announces_recovery_point(unit: &[u8]) -> bool {
    const RECOVERY_POINT: usize = 6;
    let mut rest = unit.get(1..).unwrap_or_default();
    // A number is coded as bytes of 255 and a last byte below 255; their sum is its value.
    let number = |rest: &mut &[u8]| {
        let mut sum = 0;
        loop {
            let (&byte, after) = rest.split_first()?;
            *rest = after;
            sum += usize::from(byte);
            if byte != 255 {
                return Some(sum);
            }
        }
    };
    while rest.len() > 2 {
        let Some(kind) = number(&mut rest) else { break };
        if kind == RECOVERY_POINT {
            return true;
        }
        let Some(len) = number(&mut rest) else { break };
        rest = rest.get(len..).unwrap_or_default();
    }
    false
}

/// The longest access unit that is accepted.
const MAX_ACCESS_UNIT: usize = 8 << 20;

/// Maximum buffer capacity that a splitter keeps after it has returned its bytes.
const MAX_KEPT_CAPACITY: usize = 1 << 20;

/// Splits an elementary stream into access units. A unit ends where the next one begins,
/// because nothing else marks its end. Each byte is scanned once, regardless of how many units
/// follow it.
#[derive(Debug)]
pub struct Splitter {
    codec: Codec,
    bytes: Vec<u8>,
    /// Start of the bytes that were neither returned nor dropped.
    start: usize,
    /// Next position to scan.
    at: usize,
    /// Whether a slice was found, so that the next NAL unit may begin a new access unit.
    sliced: bool,
}

impl Splitter {
    /// Creates an empty splitter.
    pub fn new(codec: Codec) -> Self {
        Self {
            codec,
            bytes: Vec::new(),
            start: 0,
            at: 0,
            sliced: false,
        }
    }

    /// Appends more of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        // The remaining bytes are moved once per push, not once per unit.
        self.bytes.drain(..self.start);
        self.at -= self.start;
        self.start = 0;
        if self.bytes.len() + bytes.len() <= MAX_KEPT_CAPACITY {
            self.bytes.shrink_to(MAX_KEPT_CAPACITY);
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Returns the next complete access unit.
    pub fn next_unit(&mut self) -> Option<&[u8]> {
        loop {
            let rest = self.bytes.get(self.at..).unwrap_or_default();
            let Some(code) = start_code(rest).map(|code| self.at + code) else {
                // The last two bytes may be the beginning of a start code.
                let capacity = self.bytes.len().saturating_sub(2);
                self.wait(self.at.max(capacity));
                return None;
            };
            // The NAL unit's header and the first byte of its payload.
            if self.bytes.len() < code + 6 {
                self.wait(code);
                return None;
            }
            let (is_slice, begins) = self.classify(&self.bytes[code + 3..code + 6]);
            self.at = code + 3;
            if begins && self.sliced {
                let zero = usize::from(code > self.start && self.bytes[code - 1] == 0);
                let unit = self.start..code - zero;
                (self.start, self.sliced) = (unit.end, is_slice);
                return Some(&self.bytes[unit]);
            }
            self.sliced |= is_slice;
        }
    }

    /// Waits for more bytes, or drops the access unit if it is already too long.
    fn wait(&mut self, at: usize) {
        self.at = at;
        if self.bytes.len() - self.start > MAX_ACCESS_UNIT {
            // No valid stream has an access unit this long: start again with the next bytes.
            self.at = self.bytes.len();
            (self.start, self.sliced) = (self.at, false);
        }
    }

    /// Returns whether this NAL unit is a slice, and whether it can be the first of an access
    /// unit (H.264: 7.4.1.2.3; H.265: 7.4.2.4.4).
    fn classify(&self, unit: &[u8]) -> (bool, bool) {
        match (self.codec, kind(self.codec, unit)) {
            (Codec::H264, Some(1..=5)) => (true, is_first_slice(&unit[1..])),
            (Codec::H264, Some(6..=9 | 14..=18)) => (false, true),
            (Codec::H265, Some(0..=31)) => (true, is_first_slice(&unit[2..])),
            (Codec::H265, Some(32..=35 | 39 | 41..=44 | 48..=55)) => (false, true),
            _ => (false, false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_codes_are_counted() {
        assert_eq!(start_codes(&[]), 0);
        assert_eq!(start_codes(&[0, 0, 1]), 1);
        assert_eq!(start_codes(&[9, 0, 0, 0, 1, 7, 0, 0, 1, 1]), 2);
        assert_eq!(start_codes(&[0, 1, 0, 0, 2, 0, 0]), 0);
    }

    fn access_unit(units: &[&[u8]]) -> Vec<u8> {
        units
            .iter()
            .flat_map(|unit| [&START_CODE, *unit].concat())
            .collect()
    }

    #[test]
    fn a_stream_is_split_where_the_next_picture_begins() {
        let stream = access_unit(&[
            &[0x67, 1, 2],
            &[0x68, 3, 4],
            &[0x65, 0x88, 5],
            &[0x65, 0x08, 6],
            &[0x41, 0x9A, 7],
            &[0x06, 5, 8],
            &[0x41, 0x9A, 9],
            &[0x41, 0x9A, 10],
        ]);
        for step in [1, 2, 7, stream.len()] {
            let mut splitter = Splitter::new(Codec::H264);
            let mut units = Vec::new();
            for part in stream.chunks(step) {
                splitter.push(part);
                while let Some(unit) = splitter.next_unit() {
                    units.push(unit.to_vec());
                }
            }
            let lasts: Vec<_> = units.iter().map(|unit| unit[unit.len() - 1]).collect();
            assert_eq!(lasts, [6, 7, 9], "in steps of {step}");
            assert_eq!(units.concat(), stream[..units.concat().len()]);
            let sets: Vec<_> = all_parameter_sets(Codec::H264, &units[0]).collect();
            assert_eq!(sets, [[0x67, 1, 2], [0x68, 3, 4]]);
        }
    }

    #[test]
    fn an_endless_access_unit_is_dropped_regardless_of_its_content() {
        // Zeros, empty units, units that are not slices, and slices that do not begin a picture.
        let fillings: [&[u8]; 4] = [
            &[0],
            &[0, 0, 1],
            &[0, 0, 1, 0x0C, 0xFF],
            &[0, 0, 1, 0x41, 0, 0],
        ];
        for filling in fillings {
            let mut splitter = Splitter::new(Codec::H264);
            let piece = filling.repeat((1 << 20) / filling.len());
            let mut most = 0;
            for _ in 0..20 {
                splitter.push(&piece);
                assert!(splitter.next_unit().is_none(), "{filling:?}");
                most = most.max(splitter.bytes.len());
            }
            assert!(most <= MAX_ACCESS_UNIT + (1 << 20), "{filling:?}: {most}");
        }
    }

    #[test]
    fn units_are_found_after_start_codes_of_both_lengths() {
        let bytes = [
            &[0, 0, 0, 1, 7, 9, 0][..],
            &[0, 0, 1, 8],
            &[0, 0, 0, 1, 5, 0, 0, 3, 1],
        ]
        .concat();
        let found: Vec<_> = unit_starts(&bytes).map(unit).collect();
        assert_eq!(found, [&[7, 9][..], &[8], &[5, 0, 0, 3, 1]]);
        assert_eq!(unit_starts(b"").count() + unit_starts(&[0, 0]).count(), 0);
    }

    #[test]
    fn key_frames_are_found_in_both_codecs() {
        let key = |codec, units: &[&[u8]]| is_key(codec, &access_unit(units));
        assert!(key(Codec::H264, &[&[0x67], &[0x68], &[0x65, 1]]));
        assert!(!key(Codec::H264, &[&[0x67], &[0x68], &[0x41, 1]]));
        assert!(key(
            Codec::H264,
            &[&[6, 5, 1, 0, 6, 1, 0xC4, 0x80], &[0x41, 1]]
        ));
        assert!(!key(Codec::H264, &[&[6, 5, 2, 6, 6, 0x80], &[0x41, 1]]));
        for (kind, is_key) in [
            (1u8, false),
            (16, true),
            (19, true),
            (21, true),
            (24, false),
        ] {
            assert_eq!(
                key(Codec::H265, &[&[32 << 1, 1], &[kind << 1, 1]]),
                is_key,
                "{kind}"
            );
        }
    }

    #[test]
    fn an_access_unit_is_split_before_its_first_slice() {
        let bytes = access_unit(&[&[9, 0xF0], &[0x67, 1], &[6, 2], &[0x65, 3], &[0x67, 4]]);
        let before: Vec<_> = head(Codec::H264, &bytes).collect();
        assert_eq!(before, [[9, 0xF0], [0x67, 1], [6, 2]]);
        assert_eq!(
            from_first_slice(Codec::H264, &bytes),
            [0x65, 3, 0, 0, 0, 1, 0x67, 4]
        );
        assert_eq!(head(Codec::Yuv420p, &bytes).count(), 0);
        assert!(is_delimiter(Codec::H264, before[0]) && is_delimiter(Codec::H265, &[35 << 1]));
        let sets: Vec<_> = all_parameter_sets(Codec::H264, &bytes).collect();
        assert_eq!(sets, [[0x67, 1]]);
    }
}
