//! Looking into access units of H.264 and H.265 in Annex B form, as far as the
//! first slice: that tells whether a decoder can start here.

use memchr::memchr;
use ocelli_core::Codec;

/// What stands before each unit that is written here.
pub const START_CODE: [u8; 4] = [0, 0, 0, 1];

/// The NAL units of an access unit, each with all that follows it: a slice is
/// large, and nobody who only wants to know its kind should have to look for its
/// end.
fn beginnings(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        rest = &rest[start_code(rest)? + 3..];
        Some(rest)
    })
}

/// Where the next start code stands, in its short form.
///
/// Encoded bytes have few ones, so their neighbours are looked at instead of every byte.
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

/// The unit at whose beginning `rest` is.
fn unit(rest: &[u8]) -> &[u8] {
    let end = start_code(rest);
    let unit = &rest[..end.unwrap_or(rest.len())];
    // A longer start code's zero belongs to it, not to the unit before.
    let zeros = unit.iter().rev().take_while(|&&byte| byte == 0).count();
    &unit[..unit.len() - zeros]
}

/// What kind of NAL unit this is, by the codec's own numbers.
fn kind(codec: Codec, unit: &[u8]) -> Option<u8> {
    let first = *unit.first()?;
    Some(match codec {
        Codec::H264 => first & 0x1F,
        Codec::H265 => first >> 1 & 0x3F,
        Codec::Jpeg | Codec::Mpeg1 | Codec::Yuv420p => return None,
    })
}

/// The sequence parameter sets of an access unit, which tell the picture's size, as far
/// as its first slice.
pub fn sequence_parameter_sets(codec: Codec, bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    // To find none in a raw picture takes longer than anything else that is done with it.
    let bytes = matches!(codec, Codec::H264 | Codec::H265).then_some(bytes);
    let units = bytes.into_iter().flat_map(beginnings);
    let before_slices = units.take_while(move |rest| match (codec, kind(codec, rest)) {
        (Codec::H264, Some(kind)) => !matches!(kind, 1..=5),
        (_, Some(kind)) => kind > 31,
        (_, None) => false,
    });
    let sets = before_slices.filter(move |rest| {
        matches!(
            (codec, kind(codec, rest)),
            (Codec::H264, Some(7)) | (Codec::H265, Some(33))
        )
    });
    sets.map(unit)
}

/// What an access unit tells before its first slice's contents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// A decoder can start here, given the parameter sets.
    pub key: bool,
    /// The parameter sets are in it.
    pub parameters: bool,
}

/// Looks at an access unit.
///
/// Key frames are more than IDR pictures: H.265 has CRA and BLA (types 16 to 23
/// in all), and H.264 cameras with open groups or gradual refresh only announce
/// a recovery point.
pub fn survey(codec: Codec, bytes: &[u8]) -> Survey {
    let mut survey = Survey::default();
    for rest in beginnings(bytes) {
        match (codec, kind(codec, rest)) {
            (Codec::H264, Some(7)) | (Codec::H265, Some(33)) => survey.parameters = true,
            (Codec::H264, Some(6)) => survey.key |= announces_recovery_point(unit(rest)),
            (Codec::H264, Some(kind @ 1..=5)) => {
                survey.key |= kind == 5;
                break;
            }
            (Codec::H265, Some(kind @ 0..=31)) => {
                survey.key = matches!(kind, 16..=23);
                break;
            }
            _ => {}
        }
    }
    survey
}

/// Whether a supplemental enhancement unit of H.264 holds a recovery point.
fn announces_recovery_point(unit: &[u8]) -> bool {
    const RECOVERY_POINT: usize = 6;
    let mut rest = unit.get(1..).unwrap_or_default();
    // A number is written as bytes of 255 and a last one that is less.
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

/// Parameter sets are kept for as long as their camera plays. A few hundred bytes are usual.
const MAX_PARAMETER_SETS: usize = 64 << 10;

/// The parameter sets of an access unit, each behind a start code; none beyond 64 KiB.
pub fn parameter_sets(codec: Codec, bytes: &[u8]) -> Vec<u8> {
    let mut sets = Vec::new();
    for rest in beginnings(bytes) {
        match (codec, kind(codec, rest)) {
            (Codec::H264, Some(7 | 8)) | (Codec::H265, Some(32..=34)) => {
                let unit = unit(rest);
                if sets.len() + unit.len() > MAX_PARAMETER_SETS {
                    break;
                }
                sets.extend(START_CODE);
                sets.extend(unit);
            }
            (Codec::H264, Some(1..=5)) | (Codec::H265, Some(0..=31)) => break,
            _ => {}
        }
    }
    sets
}

/// The longest access unit that is waited for.
const LONGEST: usize = 8 << 20;

/// A splitter that has given out what it held keeps at most so much memory for what comes.
const KEPT_CAPACITY: usize = 1 << 20;

/// Cuts a bare stream into access units. A unit's end is seen when the next one
/// begins, for nothing else marks it. Each byte is looked at once, however many units stand
/// behind it.
#[derive(Debug)]
pub struct Splitter {
    codec: Codec,
    bytes: Vec<u8>,
    /// Where the bytes begin that were not given out or dropped.
    start: usize,
    /// Where to look next.
    at: usize,
    /// Whether a slice was found, so that what comes may begin the next unit.
    sliced: bool,
}

impl Splitter {
    /// Nothing came yet.
    pub fn new(codec: Codec) -> Self {
        Self {
            codec,
            bytes: Vec::new(),
            start: 0,
            at: 0,
            sliced: false,
        }
    }

    /// Takes more of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        // Once for each push, and not for each unit in it.
        self.bytes.drain(..self.start);
        self.at -= self.start;
        self.start = 0;
        if self.bytes.len() + bytes.len() <= KEPT_CAPACITY {
            self.bytes.shrink_to(KEPT_CAPACITY);
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole access unit.
    pub fn next_unit(&mut self) -> Option<&[u8]> {
        loop {
            let rest = self.bytes.get(self.at..).unwrap_or_default();
            let Some(code) = start_code(rest).map(|code| self.at + code) else {
                // The first two bytes of a start code may be there.
                let kept = self.bytes.len().saturating_sub(2);
                self.wait(self.at.max(kept));
                return None;
            };
            // Its header and the first byte of what it holds.
            if self.bytes.len() < code + 6 {
                self.wait(code);
                return None;
            }
            let (is_slice, begins) = self.look(&self.bytes[code + 3..code + 6]);
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

    /// More is needed, unless there is too much already.
    fn wait(&mut self, at: usize) {
        self.at = at;
        if self.bytes.len() - self.start > LONGEST {
            // No stream has such a unit; what is left begins anew.
            self.at = self.bytes.len();
            (self.start, self.sliced) = (self.at, false);
        }
    }

    /// Whether this is a slice, and whether it can stand first in an access unit
    /// (H.264: 7.4.1.2.3; H.265: 7.4.2.4.4).
    fn look(&self, unit: &[u8]) -> (bool, bool) {
        match (self.codec, kind(self.codec, unit)) {
            // The first macroblock's number is 0, which is written as one bit.
            (Codec::H264, Some(1..=5)) => (true, unit[1] & 0x80 != 0),
            (Codec::H264, Some(6..=9 | 14..=18)) => (false, true),
            (Codec::H265, Some(0..=31)) => (true, unit[2] & 0x80 != 0),
            (Codec::H265, Some(32..=35 | 39 | 41..=44 | 48..=55)) => (false, true),
            _ => (false, false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access_unit(units: &[&[u8]]) -> Vec<u8> {
        units
            .iter()
            .flat_map(|unit| [&START_CODE, *unit].concat())
            .collect()
    }

    #[test]
    fn a_bare_stream_is_cut_where_the_next_picture_begins() {
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
            assert_eq!(
                parameter_sets(Codec::H264, &units[0]),
                access_unit(&[&[0x67, 1, 2], &[0x68, 3, 4]])
            );
        }
    }

    #[test]
    fn a_unit_without_end_is_given_up_whatever_it_holds() {
        // Zeroes, start codes of nothing, units that are no slices, and slices that begin none.
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
            assert!(most <= LONGEST + (1 << 20), "{filling:?}: {most}");
        }
    }

    #[test]
    fn parameter_sets_are_bounded() {
        let set = [&[0x67][..], &[1; 1000]].concat();
        let sets = vec![&set[..]; 1000];
        let kept = parameter_sets(Codec::H264, &access_unit(&sets));
        assert!((60_000..=MAX_PARAMETER_SETS + 1000).contains(&kept.len()));
    }

    #[test]
    fn units_are_found_behind_either_start_code() {
        let bytes = [
            &[0, 0, 0, 1, 7, 9, 0][..],
            &[0, 0, 1, 8],
            &[0, 0, 0, 1, 5, 0, 0, 3, 1],
        ]
        .concat();
        let found: Vec<_> = beginnings(&bytes).map(unit).collect();
        assert_eq!(found, [&[7, 9][..], &[8], &[5, 0, 0, 3, 1]]);
        assert_eq!(beginnings(b"").count() + beginnings(&[0, 0]).count(), 0);
    }

    #[test]
    fn key_frames_of_both_codecs() {
        let key = |codec, units: &[&[u8]]| survey(codec, &access_unit(units)).key;
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
    fn parameter_sets_are_noticed() {
        let found = survey(Codec::H264, &access_unit(&[&[0x67], &[0x68], &[0x65]]));
        assert_eq!(
            found,
            Survey {
                key: true,
                parameters: true
            }
        );
        let found = survey(Codec::H265, &access_unit(&[&[19 << 1, 1]]));
        assert_eq!(
            found,
            Survey {
                key: true,
                parameters: false
            }
        );
    }
}
