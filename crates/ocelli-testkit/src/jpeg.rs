//! Small valid JPEGs for tests, of any size in bytes.
//!
//! A picture is one shade of grey, so its brightness can be recognized after any decoding.
//! Comment segments pad it to the requested size. The first of them contains the time of its
//! creation, which can be read without decoding.

use bytes::{BufMut, Bytes, BytesMut};
use std::time::{SystemTime, UNIX_EPOCH};

/// The beginning of the first comment segment.
const MAGIC: &[u8; 8] = b"ocl-mark";
/// SOI, then the comment's marker and length.
const STAMP_AT: usize = 2 + 4;
const STAMP_LENGTH: usize = 8 + 8 + 8;
/// The most payload bytes of one segment, without its length field.
const SEGMENT_MAX: usize = 65_533;

/// When a picture was made, and its sequence number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// µs since the Unix epoch.
    pub micros: u64,
    /// The picture's number, counted by the sender.
    pub sequence: u64,
}

/// The current time, in µs since the Unix epoch.
pub fn now_micros() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("the clock is set later than 1970");
    since.as_micros() as u64
}

/// Parameters of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Width in pixels.
    pub width: u16,
    /// Height in pixels.
    pub height: u16,
    /// 0 is black, 255 is white.
    pub shade: u8,
    /// Size of the JPEG in bytes; a minimum applies.
    pub bytes: usize,
}

impl Default for Picture {
    fn default() -> Self {
        Self {
            width: 320,
            height: 240,
            shade: 128,
            bytes: 9_000,
        }
    }
}

impl Picture {
    /// 640 × 480 in 27 kB.
    pub const VGA: Self = Self {
        width: 640,
        height: 480,
        shade: 128,
        bytes: 27_000,
    };
    /// 320 × 240 in 9 kB.
    pub const QVGA: Self = Self {
        width: 320,
        height: 240,
        shade: 128,
        bytes: 9_000,
    };

    /// Encodes the JPEG with this stamp.
    pub fn encode(&self, stamp: Stamp) -> Bytes {
        let picture = self.segments();
        let bare = 2 + 4 + STAMP_LENGTH + picture.len();
        let mut fill = self.bytes.saturating_sub(bare);
        let mut jpeg = BytesMut::with_capacity(bare + fill);
        jpeg.put_u16(0xFFD8);
        let first = fill.min(SEGMENT_MAX - STAMP_LENGTH);
        fill -= first;
        // A further segment takes at least four bytes.
        let borrowed = if (1..4).contains(&fill) { 4 - fill } else { 0 };
        comment_header(&mut jpeg, STAMP_LENGTH + first - borrowed);
        jpeg.put_slice(MAGIC);
        jpeg.put_u64(stamp.micros);
        jpeg.put_u64(stamp.sequence);
        jpeg.put_bytes(b' ', first - borrowed);
        fill += borrowed;
        while fill > 0 {
            let mut length = (fill - 4).min(SEGMENT_MAX);
            let rest = fill - 4 - length;
            if (1..4).contains(&rest) {
                length -= 4 - rest;
            }
            comment_header(&mut jpeg, length);
            jpeg.put_bytes(b' ', length);
            fill -= 4 + length;
        }
        jpeg.put_slice(&picture);
        jpeg.freeze()
    }

    /// Encodes the JPEG, stamped with the current time.
    pub fn encode_now(&self, sequence: u64) -> Bytes {
        self.encode(Stamp {
            micros: now_micros(),
            sequence,
        })
    }

    /// Returns everything from the quantization table to the end of the image.
    fn segments(&self) -> Vec<u8> {
        let mut out = Vec::new();
        // One quantization table, all 8, so that a coefficient equals the shade.
        out.extend([0xFF, 0xDB, 0, 67, 0]);
        out.extend([8; 64]);
        // Baseline, 8 bits, one component.
        out.extend([0xFF, 0xC0, 0, 11, 8]);
        out.extend(self.height.to_be_bytes());
        out.extend(self.width.to_be_bytes());
        out.extend([1, 1, 0x11, 0]);
        // The DC table: code "0" for a difference of 0, codes from "10000" on for differences of 1
        // to 8 bits.
        out.extend([0xFF, 0xC4, 0, 28, 0x00]);
        out.extend([1, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        out.extend([0, 1, 2, 3, 4, 5, 6, 7, 8]);
        // The AC table: code "0" ends the block.
        out.extend([0xFF, 0xC4, 0, 20, 0x10]);
        out.extend([1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        out.push(0);
        out.extend([0xFF, 0xDA, 0, 8, 1, 1, 0x00, 0, 63, 0]);
        self.scan(&mut out);
        out.extend([0xFF, 0xD9]);
        out
    }

    /// Writes the blocks: the first has the shade, all others equal it.
    fn scan(&self, out: &mut Vec<u8>) {
        let blocks = usize::from(self.width.div_ceil(8)) * usize::from(self.height.div_ceil(8));
        let mut bits = Bits {
            out,
            byte: 0,
            count: 0,
        };
        let level = i32::from(self.shade) - 128;
        let length = 32 - level.unsigned_abs().leading_zeros();
        if length == 0 {
            bits.put(0, 1);
        } else {
            bits.put(0b10000 + (length - 1), 5);
            // A negative level is encoded as its value minus one.
            let value = if level < 0 { level - 1 } else { level };
            bits.put(value as u32 & ((1 << length) - 1), length);
        }
        bits.put(0, 1);
        for _ in 1..blocks {
            bits.put(0, 2);
        }
        bits.finish();
    }
}

fn comment_header(jpeg: &mut BytesMut, length: usize) {
    jpeg.put_u16(0xFFFE);
    jpeg.put_u16((length + 2) as u16);
}

/// Entropy-coded bits, with a zero stuffed after each 0xFF.
struct Bits<'a> {
    out: &'a mut Vec<u8>,
    byte: u8,
    count: u32,
}

impl Bits<'_> {
    fn put(&mut self, value: u32, length: u32) {
        for bit in (0..length).rev() {
            self.byte = self.byte << 1 | (value >> bit & 1) as u8;
            self.count += 1;
            if self.count == 8 {
                self.out.push(self.byte);
                if self.byte == 0xFF {
                    self.out.push(0);
                }
                self.count = 0;
                self.byte = 0;
            }
        }
    }

    fn finish(&mut self) {
        while self.count != 0 {
            self.put(1, 1);
        }
    }
}

/// Returns the stamp of a complete JPEG made by this module, otherwise `None`.
pub fn stamp(jpeg: &[u8]) -> Option<Stamp> {
    if !is_whole(jpeg) || jpeg.len() < STAMP_AT + STAMP_LENGTH {
        return None;
    }
    let (magic, rest) = jpeg[STAMP_AT..].split_at(8);
    if magic != MAGIC {
        return None;
    }
    let number = |at: usize| Some(u64::from_be_bytes(rest.get(at..at + 8)?.try_into().ok()?));
    Some(Stamp {
        micros: number(0)?,
        sequence: number(8)?,
    })
}

/// Whether these bytes begin and end like a JPEG.
pub fn is_whole(jpeg: &[u8]) -> bool {
    jpeg.starts_with(&[0xFF, 0xD8]) && jpeg.ends_with(&[0xFF, 0xD9])
}

/// Returns a JPEG without its Huffman tables, as many webcams send it.
pub fn without_tables(jpeg: &[u8]) -> Vec<u8> {
    let mut bare = jpeg.to_vec();
    while let Some(at) = bare.windows(2).position(|two| two == [0xFF, 0xC4]) {
        let len = usize::from(u16::from_be_bytes([bare[at + 2], bare[at + 3]]));
        bare.drain(at..at + 2 + len);
    }
    bare
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: Stamp = Stamp {
        micros: 1_700_000_000_000_001,
        sequence: 42,
    };

    #[test]
    fn a_picture_has_the_requested_size_and_stamp() {
        for bytes in (2_000..2_010)
            .chain(66_000..68_000)
            .chain([131_000, 262_144, 262_145])
        {
            let jpeg = Picture {
                bytes,
                ..Picture::QVGA
            }
            .encode(STAMP);
            assert_eq!(jpeg.len(), bytes);
            assert_eq!(stamp(&jpeg), Some(STAMP));
        }
    }

    #[test]
    fn stamps_are_read_only_from_complete_pictures() {
        let jpeg = Picture::VGA.encode(STAMP);
        assert_eq!(stamp(&jpeg[..jpeg.len() - 1]), None);
        assert_eq!(stamp(&jpeg[1..]), None);
        assert_eq!(stamp(&[0xFF, 0xD8, 0xFF, 0xD9]), None);
    }
}
