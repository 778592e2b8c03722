//! Looking into access units of H.264 and H.265 in Annex B form, as far as the
//! first slice: that tells whether a decoder can start here.

use ocelli_core::Codec;

/// What stands before each unit that is written here.
pub const START_CODE: [u8; 4] = [0, 0, 0, 1];

/// The NAL units of an access unit, each with all that follows it: a slice is
/// large, and nobody who only wants to know its kind should have to look for its
/// end.
fn beginnings(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let code = rest.windows(3).position(|three| three == [0, 0, 1])?;
        rest = &rest[code + 3..];
        Some(rest)
    })
}

/// The unit at whose beginning `rest` is.
fn unit(rest: &[u8]) -> &[u8] {
    let end = rest.windows(3).position(|three| three == [0, 0, 1]);
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
        Codec::Jpeg => return None,
    })
}

/// The sequence parameter set of an access unit, which tells the picture's size.
pub fn sequence_parameter_set(codec: Codec, bytes: &[u8]) -> Option<&[u8]> {
    for rest in beginnings(bytes) {
        match (codec, kind(codec, rest)?) {
            (Codec::H264, 7) | (Codec::H265, 33) => return Some(unit(rest)),
            (Codec::H264, 1..=5) | (Codec::H265, 0..=31) => return None,
            _ => {}
        }
    }
    None
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
