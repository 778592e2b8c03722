//! Parser for MPEG-1 video headers (ISO/IEC 11172-2). It does not decode.

/// The start code of a sequence header. ffmpeg's encoder writes one before each group.
const SEQUENCE_HEADER: [u8; 4] = [0, 0, 1, 0xB3];

/// MPEG-1's frame rates as fractions, in the order of their codes, which start at 1
/// (2.4.3.2).
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

/// The largest width and height that the encoder supports.
pub const LARGEST: u16 = 4094;

/// Returns the size of the encoded pictures for pictures of this size: at most `most` wide, even,
/// and of the same shape.
pub fn encoded_size((width, height): (u16, u16), most: Option<u16>) -> (u16, u16) {
    let even = |length: u32| (length & !1).max(2);
    // To the nearest even number.
    let scaled = |length: u16, by: u32, of: u16| {
        let of = u32::from(of).max(1);
        even((u32::from(length) * by + of) / of)
    };
    let largest = u32::from(LARGEST);
    let mut wide = even(u32::from(width.min(most.unwrap_or(LARGEST)).min(LARGEST)));
    let mut high = scaled(height, wide, width);
    if high > largest {
        high = largest;
        wide = scaled(width, high, height);
    }
    (wide as u16, high as u16)
}

/// The contents of a sequence header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sequence {
    /// Width and height in pixels.
    pub size: (u16, u16),
    /// Frames a second, as a fraction.
    pub rate: (u32, u32),
}

/// Parses the sequence header at the beginning of a picture. Returns `None` if a decoder
/// can't start at this picture.
pub fn sequence(picture: &[u8]) -> Option<Sequence> {
    let header = picture.strip_prefix(&SEQUENCE_HEADER)?.first_chunk::<4>()?;
    let [a, b, c, d] = header.map(u16::from);
    Some(Sequence {
        size: (a << 4 | b >> 4, (b & 0x0F) << 8 | c),
        rate: *RATES.get(usize::from(d & 0x0F).checked_sub(1)?)?,
    })
}

/// Returns the MPEG-1 frame rate for a stream of `fps` pictures a second: the same rate if
/// MPEG-1 has it, else 24 if that is a multiple of `fps`, else 25.
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
    fn size_and_rate_are_read_from_a_sequence_header() {
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
    fn encoded_pictures_keep_their_shape_within_the_largest_size() {
        for (size, most, encoded) in [
            ((640, 480), None, (640, 480)),
            ((640, 360), Some(320), (320, 180)),
            ((1921, 1081), None, (1920, 1080)),
            ((854, 480), Some(400), (400, 224)),
            ((8192, 4096), None, (4094, 2048)),
            ((1000, 8000), None, (512, 4094)),
            ((1, 1), None, (2, 2)),
            ((65_535, 1), Some(1), (2, 2)),
        ] {
            assert_eq!(encoded_size(size, most), encoded, "{size:?}");
        }
    }

    #[test]
    fn rates_outside_mpeg1_become_24_or_25() {
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
