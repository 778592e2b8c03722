//! Structural walk over JPEGs: segments by their length, scans up to the next marker.
//!
//! A walk looks at each byte a bounded number of times, however its bytes arrive. It also
//! finds its way back to the next picture after one that was cut off.

use super::format::{EOI, Flaw, HUFFMAN_TABLES, SOI, SOS, frame_size};
use super::tables::TableSet;
use memchr::{memchr, memchr_iter};
use std::ops::Range;

/// A picture with its end.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) range: Range<usize>,
    pub(super) size: (u16, u16),
    /// The standard Huffman tables that it lacks, and where to add them, as positions in
    /// the picture.
    pub(super) missing: Vec<(usize, TableSet)>,
    /// Whether the pictures that directly follow this one are attachments, such as previews
    /// and gain maps (CIPA DC-007, Multi-Picture Format).
    has_attachments: bool,
}

/// Search for pictures in bytes of which more may arrive.
#[derive(Debug, Default)]
pub(super) struct Search {
    /// Start of the picture, or of the bytes that may contain the start of one. The bytes
    /// before it are no longer needed.
    pub(super) start: usize,
    walk: Option<Walk>,
    /// Pictures that end before this position are thumbnails in the metadata of a picture
    /// that was cut off.
    embedded_until: usize,
    /// Whether a picture that begins here would be an attachment of the last one.
    in_group: bool,
    /// What the last picture that was given up lacks.
    pub(super) flaw: Option<Flaw>,
    /// Pictures that were given up and not yet counted.
    flaws: u32,
    /// The number of them after which the search ends; 0 for no limit.
    max_flaws: u32,
}

impl Search {
    /// Creates a search that ends after so many pictures that are not whole.
    pub(super) fn limited(max_flaws: u32) -> Self {
        Self {
            max_flaws,
            ..Self::default()
        }
    }

    /// Returns true if no picture has begun.
    pub(super) fn is_between(&self) -> bool {
        self.walk.is_none()
    }

    /// Returns the next whole picture, or `None` if more bytes are needed. `skipped` gets the
    /// bytes outside of pictures.
    pub(super) fn next(&mut self, bytes: &[u8], skipped: &mut impl FnMut(&[u8])) -> Option<Found> {
        loop {
            let Some(walk) = &mut self.walk else {
                let rest = bytes.get(self.start..).unwrap_or_default();
                let (len, found) = match beginning(rest) {
                    Some(at) => (at, true),
                    None => (rest.len() - partial_beginning(rest), false),
                };
                self.skip(&rest[..len], skipped);
                self.start += len;
                if !found {
                    return None;
                }
                self.walk = Some(Walk::new(self.start));
                continue;
            };
            match walk.advance(bytes) {
                Step::More => return None,
                Step::Start(start, embedded_until) => {
                    self.note(Flaw::NoEnd);
                    self.embedded_until = self.embedded_until.max(embedded_until);
                    self.start = start;
                    self.walk = Some(Walk::new(start));
                    if self.flaws == self.max_flaws {
                        return None;
                    }
                }
                Step::End(end) => {
                    let start = std::mem::replace(&mut self.start, end);
                    let walk = self.walk.take();
                    if end <= self.embedded_until {
                        continue;
                    }
                    match walk.map(|walk| walk.finish(start..end)) {
                        Some(Ok(found)) if self.in_group && !found.has_attachments => {}
                        Some(Ok(found)) => {
                            self.in_group = found.has_attachments;
                            return Some(found);
                        }
                        Some(Err(flaw)) => {
                            self.note(flaw);
                            if self.flaws == self.max_flaws {
                                return None;
                            }
                        }
                        None => {}
                    }
                }
            }
        }
    }

    /// Passes over bytes outside of pictures.
    pub(super) fn skip(&mut self, bytes: &[u8], skipped: &mut impl FnMut(&[u8])) {
        if !bytes.is_empty() {
            self.in_group = false;
            skipped(bytes);
        }
    }

    /// Gives up the current picture, and all bytes.
    pub(super) fn give_up(&mut self, flaw: Flaw) {
        (self.start, self.embedded_until, self.walk) = (0, 0, None);
        self.in_group = false;
        self.note(flaw);
    }

    fn note(&mut self, flaw: Flaw) {
        self.flaw = Some(flaw);
        self.flaws = self.flaws.saturating_add(1);
    }

    /// Returns the number of pictures that were given up since the last call.
    pub(super) fn take_flaws(&mut self) -> u32 {
        std::mem::take(&mut self.flaws)
    }

    /// Adjusts all positions after the bytes before `start` were removed.
    pub(super) fn rebase(&mut self) {
        let removed = std::mem::take(&mut self.start);
        self.embedded_until = self.embedded_until.saturating_sub(removed);
        if let Some(walk) = &mut self.walk {
            walk.start -= removed;
            walk.at -= removed;
            walk.scan_at = walk.scan_at.saturating_sub(removed);
            if let Some(segment) = &mut walk.segment {
                segment.range.start -= removed;
                segment.range.end -= removed;
            }
        }
    }
}

/// Returns the position where a picture begins. A search for several bytes at once would be
/// slower where many pictures begin close together, and no faster elsewhere.
pub(super) fn beginning(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += memchr(0xFF, &bytes[at..])?;
        match bytes[at..] {
            [_, SOI, 0xFF, ..] => return Some(at),
            [_, 0xFF, ..] => at = last_of_run(bytes, at),
            _ => at += 1,
        }
    }
}

/// Returns the position of the last 0xFF in a run of them that begins at `at`.
fn last_of_run(bytes: &[u8], at: usize) -> usize {
    let end = bytes[at..].iter().position(|byte| *byte != 0xFF);
    end.map_or(bytes.len(), |len| at + len) - 1
}

/// Returns the number of bytes at the end that may be the beginning of a picture.
pub(super) fn partial_beginning(bytes: &[u8]) -> usize {
    match bytes {
        [.., 0xFF, SOI] => 2,
        [.., 0xFF] => 1,
        _ => 0,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// At a marker.
    Marker,
    /// In entropy-coded bytes.
    Scan,
}

enum Step {
    /// More bytes are needed.
    More,
    /// The picture ends before this position.
    End(usize),
    /// The picture was cut off, and another begins at the first position. Pictures that end
    /// before the second position are not cameras' pictures.
    Start(usize, usize),
}

#[derive(Debug)]
struct Segment {
    range: Range<usize>,
    marker: u8,
}

/// Walk over one picture.
#[derive(Debug)]
struct Walk {
    start: usize,
    /// Next position to look at.
    at: usize,
    state: State,
    /// The last segment. If the picture was cut off, it may contain the next picture's
    /// beginning.
    segment: Option<Segment>,
    /// Start of the current scan.
    scan_at: usize,
    /// Whether the last scan has data.
    has_scan: bool,
    size: Option<(u16, u16)>,
    /// Whether the standard Huffman tables can be used: the picture is sequential,
    /// Huffman-coded and has 8 bits per sample.
    takes_standard_tables: bool,
    defined: TableSet,
    missing: Vec<(usize, TableSet)>,
    has_attachments: bool,
}

impl Walk {
    fn new(start: usize) -> Self {
        Self {
            start,
            at: start + 2,
            state: State::Marker,
            segment: None,
            scan_at: 0,
            has_scan: false,
            size: None,
            takes_standard_tables: false,
            defined: TableSet::default(),
            missing: Vec::new(),
            has_attachments: false,
        }
    }

    fn advance(&mut self, bytes: &[u8]) -> Step {
        loop {
            let step = match self.state {
                State::Marker => self.marker(bytes),
                State::Scan => self.scan(bytes),
            };
            if let Some(step) = step {
                return step;
            }
        }
    }

    fn marker(&mut self, bytes: &[u8]) -> Option<Step> {
        match *bytes.get(self.at..).unwrap_or_default() {
            // Any number of fill bytes may precede a marker.
            [0xFF, 0xFF, ..] => self.at = last_of_run(bytes, self.at),
            [0xFF, EOI, ..] => return Some(Step::End(self.at + 2)),
            [0xFF, SOI, 0xFF, ..] => return Some(Step::Start(self.at, 0)),
            // No picture begins here.
            [0xFF, SOI, _, ..] => return self.junk(bytes),
            [0xFF, 0x01 | 0xD0..=0xD7, ..] => self.at += 2,
            [0xFF, 0, ..] => return self.junk(bytes),
            [0xFF, marker, high, low, ..] => {
                let len = usize::from(u16::from_be_bytes([high, low]));
                let is_next = matches!(bytes[self.at..], [_, _, 0xFF, SOI, 0xFF, ..]);
                if !(2..=longest(marker)).contains(&len) || is_next {
                    return self.junk(bytes);
                }
                let range = self.at..self.at + 2 + len;
                // At least the end marker follows in every picture, after a byte of the scan.
                let next = if marker == SOS { 3 } else { 2 };
                let Some(and_next) = bytes.get(range.start + 4..range.end + next) else {
                    return Some(Step::More);
                };
                let content = &and_next[..len - 2];
                if let Some(at) = next_in(marker, and_next) {
                    return Some(Step::Start(range.start + 4 + at, 0));
                }
                self.read_segment(marker, content);
                self.at = range.end;
                self.segment = Some(Segment { range, marker });
            }
            [] | [0xFF, ..] => return Some(Step::More),
            _ => return self.junk(bytes),
        }
        None
    }

    fn read_segment(&mut self, marker: u8, content: &[u8]) {
        match marker {
            HUFFMAN_TABLES => self.defined.add_all(TableSet::defined(content)),
            SOS => {
                let missing = TableSet::used(content).without(self.defined);
                if self.takes_standard_tables && !missing.is_empty() {
                    self.missing.push((self.at - self.start, missing));
                    self.defined.add_all(missing);
                }
                self.state = State::Scan;
                self.scan_at = self.at + 4 + content.len();
            }
            0xE2 if content.starts_with(b"MPF\0") => self.has_attachments = true,
            _ => {
                if let Some(size) = frame_size(marker, content) {
                    self.size = self.size.or(Some(size));
                    self.takes_standard_tables =
                        matches!(marker, 0xC0 | 0xC1) && content.first() == Some(&8);
                }
            }
        }
    }

    /// Moves on from bytes that are not a marker. Decoders skip them, too. But if the picture
    /// was cut off in a segment, the segment's length has led into the next picture.
    fn junk(&mut self, bytes: &[u8]) -> Option<Step> {
        if let Some(Segment { range, marker }) = self.segment.take() {
            // The length itself may be a part of the next picture.
            let from = range.start + 2;
            let within = &bytes[from..bytes.len().min(range.end + 2)];
            if let Some(at) = beginning(within) {
                // A segment with metadata may also contain a thumbnail.
                let embedded_until = if is_metadata(marker) { range.end } else { 0 };
                return Some(Step::Start(from + at, embedded_until));
            }
        }
        let next = memchr(0xFF, &bytes[self.at + 1..]);
        self.at = next.map_or(bytes.len(), |next| self.at + 1 + next);
        None
    }

    fn scan(&mut self, bytes: &[u8]) -> Option<Step> {
        let from = self.at;
        for found in memchr_iter(0xFF, bytes.get(from..).unwrap_or_default()) {
            let at = from + found;
            match bytes.get(at + 1) {
                None => {
                    self.at = at;
                    return Some(Step::More);
                }
                Some(0xFF) => {
                    self.at = last_of_run(bytes, at);
                    return None;
                }
                Some(&marker) if ends_scan(marker) => {
                    self.at = at;
                    self.has_scan = at > self.scan_at;
                    self.state = State::Marker;
                    return None;
                }
                // A stuffed byte, a restart marker, or damage.
                Some(_) => {}
            }
        }
        self.at = bytes.len();
        Some(Step::More)
    }

    fn finish(self, range: Range<usize>) -> Result<Found, Flaw> {
        match self.size {
            Some(size) if self.has_scan => Ok(Found {
                range,
                size,
                missing: self.missing,
                has_attachments: self.has_attachments,
            }),
            _ => Err(Flaw::NoScan),
        }
    }
}

/// Returns the position of the next picture in a segment and the bytes after it, if the
/// picture was cut off in the segment.
fn next_in(marker: u8, and_next: &[u8]) -> Option<usize> {
    if is_metadata(marker) {
        // Metadata may contain thumbnails, but does not end in the beginning of one.
        return match and_next {
            [before @ .., 0xFF, SOI, 0xFF, _] => Some(before.len()),
            _ => None,
        };
    }
    let at = beginning(and_next)?;
    begins_picture(*and_next.get(at + 3)?).then_some(at)
}

/// Returns true for segments of applications and comments, which may contain anything.
fn is_metadata(marker: u8) -> bool {
    matches!(marker, 0xE0..=0xEF | 0xFE)
}

/// Returns true for the markers with which pictures begin, and for the one in front of which
/// tables are added, so that they change nothing.
fn begins_picture(marker: u8) -> bool {
    is_metadata(marker) || matches!(marker, HUFFMAN_TABLES | 0xC0..=0xC2 | SOS | 0xDB | 0xDD)
}

/// Returns the longest segment with this marker, counted like its length. A longer one is not
/// a segment: the picture was cut off.
fn longest(marker: u8) -> usize {
    match marker {
        // Reserved.
        0x02..=0xBF => 0,
        // Eight tables with 256 values each.
        HUFFMAN_TABLES => 2 + 8 * (17 + 256),
        // Quantization: four tables with 16 bits.
        0xDB => 2 + 4 * 129,
        0xCC => 2 + 2 * 32,
        0xC0..=0xCF => 8 + 3 * 255,
        SOS => 6 + 2 * 4,
        // The number of lines, and the restart interval.
        0xDC | 0xDD => 4,
        _ => usize::MAX,
    }
}

/// Returns true for the markers that may follow a scan. All others are treated as damaged
/// data, because their segments' lengths would be arbitrary.
fn ends_scan(marker: u8) -> bool {
    matches!(marker, 0xC4 | 0xCC | SOI..=0xDF | 0xE0..=0xEF | 0xFE)
}
