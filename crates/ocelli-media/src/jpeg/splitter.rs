//! Splitter for streams of JPEGs.

use super::format::{Flaw, MAX_BYTES};
use super::tables;
use super::walk::{Found, Search, beginning, partial_beginning};
use ocelli_core::{FrameBuffer, Picture};

/// Bytes that are added to a picture before they are searched for its end. The bytes after
/// the end are copied in vain.
const PIECE: usize = 16 << 10;

/// Initial capacity for a picture if there was none before it.
const FIRST_CAPACITY: usize = 32 << 10;

/// Splits a stream of JPEGs into pictures, with any bytes between them. A picture is collected
/// in the memory in which it is published.
#[derive(Debug, Default)]
pub struct Splitter {
    /// The current picture, or what may be the beginning of one.
    buffer: Option<FrameBuffer>,
    search: Search,
    /// Length of the last picture.
    last_len: usize,
    /// Pictures that were dropped since the last whole one.
    flawed: u32,
}

impl Splitter {
    /// Returns the next whole picture and takes its bytes from `rest`. If there is none, all
    /// of `rest` is taken. Bytes outside of pictures are dropped, and so are pictures that do
    /// not end within [`MAX_BYTES`].
    pub fn next_picture(&mut self, rest: &mut &[u8]) -> Option<Picture> {
        self.next_with(rest, &mut |_| {})
    }

    /// Like [`Self::next_picture`]. `skipped` gets the bytes outside of pictures.
    pub(crate) fn next_with(
        &mut self,
        rest: &mut &[u8],
        skipped: &mut impl FnMut(&[u8]),
    ) -> Option<Picture> {
        let mut before = *rest;
        let mut taken = 0;
        loop {
            if let Some(buffer) = &self.buffer {
                let found = self.search.next(buffer.payload(), skipped);
                self.flawed += self.search.take_flaws();
                let len = buffer.len();
                if let Some(found) = found {
                    // What follows the picture is not part of it.
                    let back = (len - found.range.end).min(taken);
                    *rest = &before[taken - back..];
                    return self.take(found, len - back);
                }
                if self.search.start == len {
                    self.clear();
                }
            }
            if self.buffer.is_none() {
                let start = beginning(rest);
                let start = start.unwrap_or(rest.len() - partial_beginning(rest));
                self.search.skip(&rest[..start], skipped);
                *rest = &rest[start..];
            }
            if rest.is_empty() {
                return None;
            }
            before = *rest;
            taken = self.append(before);
            *rest = &before[taken..];
        }
    }

    /// Returns the number of incomplete pictures since the last whole one, and what the last
    /// of them lacks.
    pub(crate) fn flaws(&self) -> (u32, Option<Flaw>) {
        (self.flawed, self.search.flaw)
    }

    /// Returns true if a picture has begun but not ended.
    pub(crate) fn is_within_picture(&self) -> bool {
        !self.search.is_between()
    }

    /// Takes a found picture out of the first `len` bytes of the buffer.
    fn take(&mut self, found: Found, len: usize) -> Option<Picture> {
        let mut buffer = self.buffer.take()?;
        buffer.truncate(len);
        self.last_len = found.range.len();
        self.flawed = 0;
        let size = Some(found.size);
        if found.range == (0..len) && found.missing.is_empty() {
            self.search.rebase();
            return Some(Picture::jpeg(buffer, size));
        }
        let copy = tables::with_tables(&buffer.payload()[found.range.clone()], &found.missing);
        if found.range.end < len {
            self.buffer = Some(buffer);
        } else {
            self.search.rebase();
        }
        Some(Picture::jpeg(copy, size))
    }

    /// Appends the beginning of `rest` to the current picture. Returns its length.
    fn append(&mut self, rest: &[u8]) -> usize {
        if let Some(buffer) = &self.buffer
            && buffer.len() - self.search.start >= MAX_BYTES
        {
            self.search.give_up(Flaw::TooLong);
            self.flawed += self.search.take_flaws();
            self.clear();
        }
        let capacity = match self.last_len {
            0 => FIRST_CAPACITY,
            len => len + len / 8 + PIECE,
        };
        let mut buffer = match self.buffer.take() {
            Some(buffer) if self.search.start == 0 => buffer,
            Some(buffer) => {
                let kept = &buffer.payload()[self.search.start..];
                let mut moved = FrameBuffer::with_capacity(capacity.max(kept.len() + PIECE));
                moved.extend_from_slice(kept);
                self.search.rebase();
                moved
            }
            None => FrameBuffer::with_capacity(capacity),
        };
        let len = rest.len().min(PIECE).min(MAX_BYTES - buffer.len());
        buffer.extend_from_slice(&rest[..len]);
        self.buffer = Some(buffer);
        len
    }

    fn clear(&mut self) {
        self.buffer = None;
        self.search.rebase();
    }
}
