//! JPEG: the only way in for pictures of every source. It does not decode.
//!
//! A JPEG is a sequence of segments with lengths, followed by entropy-coded scans in which
//! a marker can't occur by accident (ITU-T T.81, Annex B). This structure alone decides where
//! a picture ends and whether it is whole. The standard Huffman tables are added where they
//! are missing; otherwise a picture is passed on byte for byte.

mod format;
mod splitter;
mod tables;
mod walk;

pub use format::Flaw;
pub(crate) use format::MAX_BYTES;
pub use splitter::Splitter;

use format::{EOI, SOI, SOS, frame_size, is_frame_header};
use ocelli_core::{FrameBuffer, Picture};
use walk::{Found, Search};

/// Incomplete pictures in one message after which the rest of it is not searched. Each begins
/// a new walk, which costs much more than its bytes.
const MAX_FLAWS: u32 = 16;

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

#[cfg(test)]
mod tests;
