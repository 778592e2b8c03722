//! Markers, frame headers and limits of a JPEG, and how one can be wrong.

use std::fmt;

/// The largest picture that is accepted. No camera makes larger ones.
pub const MAX_BYTES: usize = 16 << 20;

/// Marker: the start of a picture.
pub const SOI: u8 = 0xD8;
/// Marker: the end of a picture.
pub const EOI: u8 = 0xD9;
/// Marker: the header of a scan.
pub const SOS: u8 = 0xDA;
/// Marker: Huffman tables (DHT).
pub const HUFFMAN_TABLES: u8 = 0xC4;

/// Why bytes are not a whole picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// There is no beginning of a JPEG.
    NotJpeg,
    /// The picture was cut off.
    NoEnd,
    /// The picture consists only of headers, or its last scan is empty.
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

/// Returns true for the markers of frame headers. The same range also holds tables (C4, CC)
/// and a reserved marker (C8).
pub fn is_frame_header(marker: u8) -> bool {
    matches!(marker, 0xC0..=0xCF) && !matches!(marker, 0xC4 | 0xC8 | 0xCC)
}

/// Returns the width and height in pixels in a frame header.
pub fn frame_size(marker: u8, segment: &[u8]) -> Option<(u16, u16)> {
    let [_, h1, h0, w1, w0, ..] = *segment else {
        return None;
    };
    let size = (u16::from_be_bytes([w1, w0]), u16::from_be_bytes([h1, h0]));
    (is_frame_header(marker) && size.0 > 0 && size.1 > 0).then_some(size)
}
