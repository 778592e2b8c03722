//! JPEG parser: picture size and picture boundaries. It does not decode.
//!
//! A JPEG is a sequence of segments with lengths, followed by entropy-coded scans in which
//! a marker can't occur by accident. This is enough to read a picture's size and to find
//! where one picture ends and the next begins.

use memchr::memchr;
use ocelli_core::FrameBuffer;

/// The largest picture that is accepted. No camera makes larger ones.
pub(crate) const MAX_BYTES: usize = 16 << 20;

const SOI: u8 = 0xD8;
const EOI: u8 = 0xD9;
const SOS: u8 = 0xDA;

/// Returns the width and height in pixels if `bytes` begins like a JPEG. Bytes after the
/// picture's end are ignored.
pub fn size(bytes: &[u8]) -> Option<(u16, u16)> {
    let mut rest = bytes.strip_prefix(&[0xFF, SOI])?;
    loop {
        let marker = match rest {
            [0xFF, 0xFF, ..] => {
                // Any number of fill bytes may precede a marker.
                rest = &rest[1..];
                continue;
            }
            [0xFF, marker, ..] => *marker,
            _ => return None,
        };
        rest = &rest[2..];
        match marker {
            0x01 | 0xD0..=0xD7 => continue,
            SOI | EOI | SOS | 0 => return None,
            _ => {}
        }
        let length = usize::from(u16::from_be_bytes([*rest.first()?, *rest.get(1)?]));
        let segment = rest.get(2..length)?;
        // Frame headers. The same range also holds tables (C4, CC) and a reserved
        // marker (C8).
        if matches!(marker, 0xC0..=0xCF) && !matches!(marker, 0xC4 | 0xC8 | 0xCC) {
            let [_, h1, h0, w1, w0, ..] = segment else {
                return None;
            };
            let size = (
                u16::from_be_bytes([*w1, *w0]),
                u16::from_be_bytes([*h1, *h0]),
            );
            return (size.0 > 0 && size.1 > 0).then_some(size);
        }
        rest = &rest[length..];
    }
}

/// Returns the width and height in pixels if `bytes` holds a complete JPEG. Bytes after its
/// end are tolerated, because some boards send their whole buffer.
pub fn complete_size(bytes: &[u8]) -> Option<(u16, u16)> {
    let size = size(bytes)?;
    // The end marker is at the end of the bytes, or close to it.
    let ended = bytes.windows(2).rev().any(|two| two == [0xFF, EOI]);
    ended.then_some(size)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before a picture.
    Between,
    /// At a marker.
    Marker,
    /// In entropy-coded bytes.
    Scan,
}

/// Returns the position where a picture begins. A search for two bytes at once would be slower
/// where many pictures begin close together, and no faster elsewhere.
fn find_start(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += memchr(0xFF, &bytes[at..])?;
        if bytes.get(at + 1) == Some(&SOI) {
            return Some(at);
        }
        at += 1;
    }
}

/// Maximum buffer capacity that a splitter keeps after it has dropped its bytes.
const MAX_KEPT_CAPACITY: usize = 1 << 20;

/// Splits a stream of JPEGs into pictures, with any bytes between them. Each byte is scanned
/// once, regardless of how many pictures follow it.
#[derive(Debug)]
pub struct Splitter {
    bytes: Vec<u8>,
    /// Start of the bytes that were neither returned nor dropped.
    start: usize,
    /// Next position to scan.
    at: usize,
    state: State,
}

impl Default for Splitter {
    fn default() -> Self {
        Self {
            bytes: Vec::new(),
            start: 0,
            at: 0,
            state: State::Between,
        }
    }
}

impl Splitter {
    /// Appends more of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        // Once for each push, not for each picture in it.
        self.bytes.drain(..self.start);
        self.at -= self.start;
        self.start = 0;
        if self.bytes.len() + bytes.len() <= MAX_KEPT_CAPACITY {
            self.bytes.shrink_to(MAX_KEPT_CAPACITY);
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Returns the next complete picture. Bytes outside of pictures are dropped, and so is a
    /// picture that does not end within [`MAX_BYTES`].
    pub fn next_picture(&mut self) -> Option<FrameBuffer> {
        loop {
            let rest = self.bytes.get(self.at..).unwrap_or_default();
            match self.state {
                State::Between => match find_start(rest) {
                    Some(start) => self.begin_at(self.at + start),
                    None => {
                        let capacity = usize::from(rest.last() == Some(&0xFF));
                        self.at = self.bytes.len() - capacity;
                        self.start = self.at;
                        return None;
                    }
                },
                State::Marker => match *rest {
                    [0xFF, 0xFF, ..] => self.at += 1,
                    [0xFF, EOI, ..] => {
                        let end = self.at + 2;
                        let picture = FrameBuffer::copy_from(&self.bytes[self.start..end]);
                        self.discard(end);
                        return Some(picture);
                    }
                    // The picture before was cut off.
                    [0xFF, SOI, ..] => self.begin_at(self.at),
                    [0xFF, 0x01 | 0xD0..=0xD7, ..] => self.at += 2,
                    [0xFF, marker, high, low, ..] => {
                        let length = usize::from(u16::from_be_bytes([high, low]));
                        if length < 2 {
                            self.discard(self.at);
                        } else {
                            self.at += 2 + length;
                            if marker == SOS {
                                self.state = State::Scan;
                            }
                        }
                    }
                    [0xFF, ..] | [] => return self.wait(),
                    _ => self.discard(self.at),
                },
                State::Scan => match memchr(0xFF, rest) {
                    Some(found) => match rest.get(found + 1) {
                        Some(0 | 0xD0..=0xD7) => self.at += found + 2,
                        Some(0xFF) => self.at += found + 1,
                        Some(_) => {
                            self.at += found;
                            self.state = State::Marker;
                        }
                        None => {
                            self.at += found;
                            return self.wait();
                        }
                    },
                    None => {
                        self.at = self.at.max(self.bytes.len());
                        return self.wait();
                    }
                },
            }
        }
    }

    fn begin_at(&mut self, start: usize) {
        self.start = start;
        self.at = start + 2;
        self.state = State::Marker;
    }

    fn discard(&mut self, end: usize) {
        self.start = end.min(self.bytes.len());
        self.at = self.start;
        self.state = State::Between;
    }

    /// Waits for more bytes, or drops the picture if it is already too long.
    fn wait(&mut self) -> Option<FrameBuffer> {
        if self.bytes.len() - self.start > MAX_BYTES {
            self.discard(usize::MAX);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jpeg_encoder::{ColorType, Encoder};

    fn picture(width: u16, height: u16) -> Vec<u8> {
        let pixels: Vec<u8> = (0..usize::from(width) * usize::from(height))
            .map(|at| (at * 37 % 251) as u8)
            .collect();
        let mut jpeg = Vec::new();
        Encoder::new(&mut jpeg, 80)
            .encode(&pixels, width, height, ColorType::Luma)
            .expect("encoded");
        jpeg
    }

    /// Pseudorandom numbers with a fixed seed.
    struct Numbers(u64);

    impl Numbers {
        fn below(&mut self, bound: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 % bound as u64) as usize
        }
    }

    #[test]
    fn the_size_is_read_from_the_header() {
        let mut jpeg = picture(48, 20);
        assert_eq!(size(&jpeg), Some((48, 20)));
        jpeg.extend(b"trailing bytes");
        assert_eq!(size(&jpeg), Some((48, 20)));
        for bad in [
            &b""[..],
            b"\xff\xd8",
            b"\xff\xd8\xff",
            b"GIF89a",
            b"\xff\xd8\xff\xd9",
        ] {
            assert_eq!(size(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_picture_without_its_end_is_not_whole() {
        let mut jpeg = picture(48, 20);
        assert_eq!(complete_size(&jpeg), Some((48, 20)));
        assert_eq!(complete_size(&jpeg[..jpeg.len() - 1]), None);
        jpeg.extend([0; 1000]);
        assert_eq!(complete_size(&jpeg), Some((48, 20)));
    }

    #[test]
    fn pictures_are_found_regardless_of_how_the_stream_is_split() {
        let pictures = [picture(16, 16), picture(64, 8), picture(8, 40)];
        let mut stream = b"--frame\r\n\r\n".to_vec();
        for jpeg in &pictures {
            stream.extend(jpeg);
            stream.extend(b"\r\n--frame\xff\r\n");
        }
        for cut in [1, 2, 3, 7, 100, stream.len()] {
            let mut splitter = Splitter::default();
            let mut found = Vec::new();
            for piece in stream.chunks(cut) {
                splitter.push(piece);
                while let Some(jpeg) = splitter.next_picture() {
                    found.push(jpeg.payload().to_vec());
                }
            }
            assert_eq!(found, pictures, "split into pieces of {cut}");
        }
    }

    #[test]
    fn a_broken_picture_does_not_swallow_the_next() {
        let complete_size = picture(16, 16);
        let mut stream = complete_size[..complete_size.len() - 10].to_vec();
        stream.extend(&complete_size);
        let mut splitter = Splitter::default();
        splitter.push(&stream);
        let found = splitter.next_picture().expect("the whole one");
        assert_eq!(found.payload(), complete_size);
    }

    #[test]
    fn an_endless_picture_is_dropped() {
        let mut splitter = Splitter::default();
        splitter.push(&picture(16, 16)[..100]);
        let mut most = 0;
        for _ in 0..40 {
            splitter.push(&vec![0; 1 << 20]);
            assert!(splitter.next_picture().is_none());
            most = most.max(splitter.bytes.len());
        }
        assert!(most <= MAX_BYTES + (1 << 20), "{most}");
    }

    #[test]
    fn damaged_pictures_cause_no_panic() {
        let jpeg = picture(24, 24);
        let mut numbers = Numbers(0x9E37_79B9_7F4A_7C15);
        for _ in 0..20_000 {
            let mut bytes = jpeg.clone();
            for _ in 0..numbers.below(8) {
                let at = numbers.below(bytes.len());
                bytes[at] =
                    [0, 1, 0xFF, 0xD8, 0xD9, 0xDA, numbers.below(256) as u8][numbers.below(7)];
            }
            bytes.truncate(numbers.below(bytes.len() + 1));
            let _ = size(&bytes);
            let mut splitter = Splitter::default();
            for piece in bytes.chunks(1 + numbers.below(64)) {
                splitter.push(piece);
                let _ = splitter.next_picture();
            }
        }
    }
}
