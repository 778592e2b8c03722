//! Looking into MPEG-1 video (ISO/IEC 11172-2) without decoding it.

/// The start code of a sequence header, which stands in front of each group that
/// ffmpeg's encoder makes.
const SEQUENCE_HEADER: [u8; 4] = [0, 0, 1, 0xB3];

/// The rates that MPEG-1 knows, in frames a second as a fraction, by their codes
/// from 1 on (2.4.3.2).
pub const RATES: [(u32, u32); 8] = [
    (24_000, 1001),
    (24, 1),
    (25, 1),
    (30_000, 1001),
    (30, 1),
    (50, 1),
    (60_000, 1001),
    (60, 1),
];

/// The widest and highest picture that the encoder makes.
pub const LARGEST: u16 = 4094;

/// What a sequence header tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sequence {
    /// Pixels across and down.
    pub size: (u16, u16),
    /// Frames a second, as a fraction.
    pub rate: (u32, u32),
}

/// The sequence header at the beginning of a picture; none if a decoder can't
/// start at this one.
pub fn sequence(picture: &[u8]) -> Option<Sequence> {
    let header = picture.strip_prefix(&SEQUENCE_HEADER)?.first_chunk::<4>()?;
    let [a, b, c, d] = header.map(u16::from);
    Some(Sequence {
        size: (a << 4 | b >> 4, (b & 0x0F) << 8 | c),
        rate: *RATES.get(usize::from(d & 0x0F).checked_sub(1)?)?,
    })
}

/// The rate for pictures that come `fps` times a second: that one if MPEG-1 knows
/// it, else 24 or 25, whichever repeats them evenly.
pub fn rate_for(fps: f64) -> (u32, u32) {
    let is_near =
        |&&(over, under): &&(u32, u32)| (fps - f64::from(over) / f64::from(under)).abs() < 0.005;
    match RATES.iter().find(is_near) {
        Some(rate) => *rate,
        None if (24.0 / fps).fract() == 0.0 => (24, 1),
        None => (25, 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_header_tells_size_and_rate() {
        let header = [0, 0, 1, 0xB3, 0x28, 0x01, 0xE0, 0x12];
        let expected = Sequence {
            size: (640, 480),
            rate: (24, 1),
        };
        assert_eq!(sequence(&header), Some(expected));
        for bad in [
            &header[..7],
            &[0, 0, 1, 0, 0x28, 0x01, 0xE0, 0x12],
            &[0, 0, 1, 0xB3, 0x28, 0x01, 0xE0, 0x10],
            &[0, 0, 1, 0xB3, 0x28, 0x01, 0xE0, 0x19],
        ] {
            assert_eq!(sequence(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn unknown_rates_become_24_or_25() {
        for (fps, rate) in [
            (24.0, (24, 1)),
            (29.97, (30_000, 1001)),
            (60.0, (60, 1)),
            (12.0, (24, 1)),
            (8.0, (24, 1)),
            (5.0, (25, 1)),
            (10.0, (25, 1)),
            (15.0, (25, 1)),
            (40.0, (25, 1)),
        ] {
            assert_eq!(rate_for(fps), rate, "{fps}");
        }
    }
}
