//! JPEG: the only way in for pictures of every source. It does not decode.
//!
//! A JPEG is a sequence of segments with lengths, followed by entropy-coded scans in which
//! a marker can't occur by accident (ITU-T T.81, Annex B). This structure alone decides where
//! a picture ends and whether it is whole. The standard Huffman tables are added where they
//! are missing; otherwise a picture is passed on byte for byte.

mod splitter;
mod tables;
mod walk;

pub use splitter::Splitter;

use ocelli_core::{FrameBuffer, Picture};
use std::fmt;
use walk::{Found, Search};

/// The largest picture that is accepted. No camera makes larger ones.
pub(crate) const MAX_BYTES: usize = 16 << 20;

/// Incomplete pictures in one message after which the rest of it is not searched. Each begins
/// a new walk, which costs much more than its bytes.
const MAX_FLAWS: u32 = 16;

const SOI: u8 = 0xD8;
const EOI: u8 = 0xD9;
const SOS: u8 = 0xDA;
const HUFFMAN_TABLES: u8 = 0xC4;

/// Why bytes are not a whole picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// There is no beginning of a JPEG.
    NotJpeg,
    /// The picture was cut off.
    NoEnd,
    /// The picture consists only of headers.
    NoScan,
    /// The picture is too large.
    TooLong,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Flaw::NotJpeg => "not a JPEG",
            Flaw::NoEnd => "a JPEG without an end",
            Flaw::NoScan => "a JPEG without a picture in it",
            Flaw::TooLong => "a JPEG larger than 16 MiB",
        })
    }
}

/// Returns the picture in a message: the last whole one, without bytes before and after it.
///
/// # Errors
/// The message has no whole picture.
pub fn picture(message: &[u8]) -> Result<Picture, Flaw> {
    let found = last(message)?;
    let buffer = tables::with_tables(&message[found.range], &found.missing);
    Ok(Picture::jpeg(buffer, Some(found.size)))
}

/// Like [`picture`], for a message that is already in a frame's memory. It stays there if it
/// is nothing but a picture.
///
/// # Errors
/// The message has no whole picture.
pub fn picture_in(mut buffer: FrameBuffer) -> Result<Picture, Flaw> {
    let found = last(buffer.payload())?;
    if found.range.start > 0 || !found.missing.is_empty() {
        return picture(buffer.payload());
    }
    buffer.truncate(found.range.end);
    Ok(Picture::jpeg(buffer, Some(found.size)))
}

fn last(message: &[u8]) -> Result<Found, Flaw> {
    let mut search = Search::limited(MAX_FLAWS);
    let mut last = None;
    while let Some(found) = search.next(message, &mut |_| {}) {
        last = Some(found);
    }
    last.ok_or(match search.flaw {
        Some(flaw) => flaw,
        None if search.is_between() => Flaw::NotJpeg,
        None => Flaw::NoEnd,
    })
}

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
        if is_frame_header(marker) {
            return frame_size(marker, segment);
        }
        rest = &rest[length..];
    }
}

/// Returns true for the markers of frame headers. The same range also holds tables (C4, CC)
/// and a reserved marker (C8).
fn is_frame_header(marker: u8) -> bool {
    matches!(marker, 0xC0..=0xCF) && !matches!(marker, 0xC4 | 0xC8 | 0xCC)
}

/// Returns the width and height in pixels in a frame header.
fn frame_size(marker: u8, segment: &[u8]) -> Option<(u16, u16)> {
    let [_, h1, h0, w1, w0, ..] = *segment else {
        return None;
    };
    let size = (u16::from_be_bytes([w1, w0]), u16::from_be_bytes([h1, h0]));
    (is_frame_header(marker) && size.0 > 0 && size.1 > 0).then_some(size)
}

#[cfg(test)]
mod tests;
