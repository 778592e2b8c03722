//! Content codings: bodies that a server compresses although no request asks for it.

use http::header::{CONTENT_ENCODING, HeaderMap};
use miniz_oxide::inflate::stream::{InflateState, inflate};
use miniz_oxide::{DataFormat, MZError, MZFlush, MZStatus};
use std::ops::Range;

/// Decoded bytes at a time.
const STEP: usize = 32 << 10;
/// First bytes of a gzip member, and the length of its header without optional fields.
const GZIP: [u8; 3] = [0x1F, 0x8B, 8];
const GZIP_HEADER: usize = 10;
/// Length of its checksum and size at the end, which are skipped: pictures show by themselves
/// whether they are whole.
const GZIP_TRAILER: usize = 8;
/// Flags of optional fields in the header.
const HEADER_CRC: u8 = 2;
const EXTRA: u8 = 4;
const NAME: u8 = 8;
const COMMENT: u8 = 16;

/// The coding of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    /// None.
    Identity,
    /// `gzip`.
    Gzip,
    /// `deflate`, with or without the wrapper that its definition requires.
    Deflate,
    /// One that is not supported, with its name.
    Other(String),
}

impl Coding {
    /// Returns the coding in the headers of a response.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let words = headers.get_all(CONTENT_ENCODING).into_iter();
        let words = words.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
        let mut words = words.map(|word| String::from_utf8_lossy(word).trim().to_lowercase());
        let mut coding = Self::Identity;
        let is_none = |word: &str| matches!(word, "" | "identity" | "none");
        while let Some(word) = words.find(|word| !is_none(word)) {
            coding = match (coding, &*word) {
                (Self::Identity, "gzip" | "x-gzip") => Self::Gzip,
                (Self::Identity, "deflate") => Self::Deflate,
                _ => return Self::Other(word),
            };
        }
        coding
    }
}

/// The bytes that are not what the coding says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Invalid;

/// Position in a coded body.
enum Position {
    /// Before its first byte.
    Start,
    /// In the header of a gzip member.
    Header(Header),
    /// In compressed data.
    Data,
    /// In the trailer of a gzip member, with this many bytes left.
    Trailer(usize),
    /// After the data of `deflate`: the rest is ignored.
    End,
    /// The body is not coded, in spite of its headers.
    Plain,
}

/// A gzip header as read so far.
#[derive(Default)]
struct Header {
    at: usize,
    flags: u8,
    /// Bytes of the extra field and of its length that are left.
    extra: usize,
}

/// Decodes a body in steps of bounded size.
pub(super) struct Decoder {
    is_gzip: bool,
    position: Position,
    state: Box<InflateState>,
    buffer: Box<[u8]>,
    /// The part of the buffer that has not been consumed yet.
    ready: Range<usize>,
    /// Whether there may be more decoded bytes than fitted into the buffer.
    has_more: bool,
}

impl Decoder {
    /// Creates a decoder, if the coding needs one.
    pub(super) fn new(coding: &Coding) -> Option<Self> {
        let is_gzip = match coding {
            Coding::Gzip => true,
            Coding::Deflate => false,
            Coding::Identity | Coding::Other(_) => return None,
        };
        Some(Self {
            is_gzip,
            position: Position::Start,
            state: InflateState::new_boxed(DataFormat::Raw),
            buffer: vec![0; STEP].into(),
            ready: 0..0,
            has_more: false,
        })
    }

    /// Returns the decoded bytes that have not been consumed.
    pub(super) fn ready(&self) -> &[u8] {
        &self.buffer[self.ready.clone()]
    }

    /// Consumes `len` of them.
    pub(super) fn consume(&mut self, len: usize) {
        self.ready.start = (self.ready.start + len).min(self.ready.end);
    }

    /// Returns true if [`Self::take`] may decode more without further bytes.
    pub(super) fn has_more(&self) -> bool {
        self.has_more
    }

    /// Returns true if the body may end here.
    pub(super) fn may_end(&self) -> bool {
        match self.position {
            Position::Start | Position::End | Position::Plain => true,
            // Some servers leave the trailer out.
            Position::Trailer(_) => true,
            Position::Header(ref header) => header.at == 0,
            Position::Data => false,
        }
    }

    /// Decodes some of `coded`, which must be repeated with what is left until all is consumed.
    /// All decoded bytes must have been consumed before. Returns the number of bytes consumed.
    ///
    /// # Errors
    /// The bytes are not valid.
    pub(super) fn take(&mut self, coded: &[u8]) -> Result<usize, Invalid> {
        let mut rest = coded;
        self.ready = 0..0;
        while !rest.is_empty() || self.has_more {
            match (&mut self.position, rest.first()) {
                (Position::Start, Some(first)) => self.position = self.start(*first),
                (Position::Header(header), Some(first)) => {
                    let is_over = header.take(*first)?;
                    rest = &rest[1..];
                    if is_over {
                        self.position = Position::Data;
                    }
                }
                (Position::Data, _) => {
                    let result = inflate(&mut self.state, rest, &mut self.buffer, MZFlush::None);
                    let was_empty = rest.is_empty();
                    rest = &rest[result.bytes_consumed..];
                    self.ready = 0..result.bytes_written;
                    self.has_more = result.bytes_written == STEP;
                    match result.status {
                        Ok(MZStatus::StreamEnd) => self.position = self.end_of_data(),
                        Ok(_) if result.bytes_consumed + result.bytes_written > 0 => {}
                        Err(MZError::Buf) if was_empty => {}
                        _ => return Err(Invalid),
                    }
                    if !self.ready.is_empty() {
                        break;
                    }
                }
                (Position::Trailer(left), _) => {
                    let len = rest.len().min(*left);
                    rest = &rest[len..];
                    *left -= len;
                    if *left == 0 {
                        // Another member may follow.
                        self.position = Position::Header(Header::default());
                    }
                }
                (Position::Plain, Some(_)) => {
                    let len = rest.len().min(STEP);
                    self.buffer[..len].copy_from_slice(&rest[..len]);
                    rest = &rest[len..];
                    self.ready = 0..len;
                    break;
                }
                (Position::End, _) | (_, None) => {
                    self.has_more = false;
                    rest = &[];
                }
            }
        }
        Ok(coded.len() - rest.len())
    }

    /// Returns the position at the first byte, which also shows what the body really is.
    fn start(&mut self, first: u8) -> Position {
        match self.is_gzip {
            true if first == GZIP[0] => Position::Header(Header::default()),
            true => Position::Plain,
            // The first byte of a JPEG is not one of compressed data.
            false if first == 0xFF => Position::Plain,
            false => {
                if first & 0x8F == 0x08 {
                    *self.state = InflateState::new(DataFormat::Zlib);
                }
                Position::Data
            }
        }
    }

    fn end_of_data(&mut self) -> Position {
        if !self.is_gzip {
            return Position::End;
        }
        self.state.reset(DataFormat::Raw);
        Position::Trailer(GZIP_TRAILER)
    }
}

impl Header {
    /// Takes a byte. Returns true if it is the last one.
    fn take(&mut self, byte: u8) -> Result<bool, Invalid> {
        let at = self.at;
        self.at += 1;
        match at {
            0..3 if byte != GZIP[at] => return Err(Invalid),
            3 => self.flags = byte,
            _ if at < GZIP_HEADER => {}
            _ => self.take_optional(byte),
        }
        Ok(self.at >= GZIP_HEADER && self.flags & (HEADER_CRC | EXTRA | NAME | COMMENT) == 0)
    }

    /// Takes a byte of the optional fields, the flags of which are cleared one by one.
    fn take_optional(&mut self, byte: u8) {
        if self.flags & EXTRA != 0 {
            // The low byte of the length, the high one, and as many bytes.
            match self.at - GZIP_HEADER {
                1 => self.extra = byte.into(),
                2 => self.extra += usize::from(byte) << 8,
                _ => self.extra -= 1,
            }
            if self.at >= GZIP_HEADER + 2 && self.extra == 0 {
                self.flags &= !EXTRA;
            }
        } else if self.flags & (NAME | COMMENT) != 0 {
            if byte == 0 {
                self.flags &= match self.flags & NAME {
                    0 => !COMMENT,
                    _ => !NAME,
                };
            }
        } else {
            // Two bytes of a checksum.
            self.extra += 1;
            if self.extra == 2 {
                self.flags &= !HEADER_CRC;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use miniz_oxide::deflate::{compress_to_vec, compress_to_vec_zlib};

    fn decoded(coding: Coding, coded: &[u8], step: usize) -> Result<Vec<u8>, Invalid> {
        let mut decoder = Decoder::new(&coding).expect("a decoder");
        let mut decoded = Vec::new();
        for mut piece in coded.chunks(step) {
            while !piece.is_empty() || decoder.has_more() {
                piece = &piece[decoder.take(piece)?..];
                assert!(decoder.ready().len() <= STEP);
                decoded.extend_from_slice(decoder.ready());
                decoder.consume(usize::MAX / 2);
            }
        }
        assert!(decoder.may_end());
        Ok(decoded)
    }

    fn gzip(flags: u8, optional: &[u8], body: &[u8]) -> Vec<u8> {
        let header = [&GZIP[..], &[flags, 0, 0, 0, 0, 0, 3], optional].concat();
        [&header, &compress_to_vec(body, 6)[..], &[0; GZIP_TRAILER]].concat()
    }

    #[test]
    fn every_form_is_decoded() {
        let body: Vec<u8> = (0..200_000u32)
            .map(|at| (at.wrapping_mul(at) >> 7) as u8)
            .collect();
        let members = [gzip(0, &[], &body[..7]), gzip(0, &[], &body[7..])].concat();
        let extra = [&[3, 0, 1, 2, 3][..], b"name\0comment\0", &[9, 9]].concat();
        for (what, coding, coded) in [
            ("gzip", Coding::Gzip, gzip(0, &[], &body)),
            ("all fields", Coding::Gzip, gzip(30, &extra, &body)),
            ("an empty field", Coding::Gzip, gzip(4, &[0, 0], &body)),
            ("two members", Coding::Gzip, members),
            ("zlib", Coding::Deflate, compress_to_vec_zlib(&body, 6)),
            ("deflate", Coding::Deflate, compress_to_vec(&body, 6)),
            (
                "not gzip",
                Coding::Gzip,
                [&[0xFF, 0xD8], &body[..]].concat(),
            ),
        ] {
            let expected = match what {
                "not gzip" => coded.clone(),
                _ => body.clone(),
            };
            for step in [1, 1000, usize::MAX] {
                let decoded = decoded(coding.clone(), &coded, step);
                assert!(decoded.as_ref() == Ok(&expected), "{what} by {step}");
            }
        }
    }

    #[test]
    fn invalid_bytes_are_refused() {
        for (coding, coded) in [
            (Coding::Gzip, &[0x1F, 0x8B, 9][..]),
            (Coding::Deflate, &[0x78, 0x9C, 0xFF, 0xFF, 0xFF]),
            (Coding::Deflate, &[0x07, 0xFF, 0xFF]),
        ] {
            assert_eq!(decoded(coding, coded, 1), Err(Invalid), "{coded:?}");
        }
    }

    #[test]
    fn the_coding_is_parsed() {
        for (value, expected) in [
            ("", Coding::Identity),
            ("identity", Coding::Identity),
            ("gzip", Coding::Gzip),
            (" X-GZip ", Coding::Gzip),
            ("identity, deflate", Coding::Deflate),
            ("br", Coding::Other("br".into())),
            ("gzip, gzip", Coding::Other("gzip".into())),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static(value));
            assert_eq!(Coding::of(&headers), expected, "{value}");
        }
    }
}
