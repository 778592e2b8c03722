//! One series' samples: the newest as received, older ones packed, the oldest thinned so
//! that their extremes survive.
//!
//! Every sample received has a number, from 0 on. A chunk covers a range of numbers, even
//! if it no longer holds a sample for each, so a reader by number gets the exact count of
//! the samples it missed.

use crate::line::TIMES;
use crate::thinning::Thinning;
use crate::{Sample, codec};
use bytes::Bytes;
use std::collections::VecDeque;

/// Number of samples in a chunk.
pub const CHUNK: usize = 512;
/// Thinning a chunk keeps two of this many samples: the minimum and the maximum.
const BUCKET: usize = 4;

/// A range of a series' samples, packed.
#[derive(Clone, Debug)]
pub struct Chunk {
    /// The number of its first sample.
    pub start: u64,
    /// The number after its last.
    pub end: u64,
    /// Number of times it was thinned.
    pub level: u8,
    /// When its last sample was received, in ms since the Unix epoch.
    pub received: u64,
    /// Number of samples that it holds.
    pub held: usize,
    /// The samples, encoded by [`codec::pack`].
    pub bytes: Bytes,
    /// Whether it is in the store.
    pub saved: bool,
}

impl Chunk {
    fn of(samples: &[Sample], start: u64, end: u64, level: u8, received: u64) -> Self {
        Self {
            start,
            end,
            level,
            received,
            held: samples.len(),
            bytes: codec::pack(samples).into(),
            saved: false,
        }
    }

    /// Appends its samples to `samples`. The bytes are valid: they were packed here, or
    /// checked when they were read.
    fn unpack(&self, samples: &mut Vec<Sample>) {
        let unpacked = codec::unpack(&self.bytes, CHUNK, samples);
        debug_assert_eq!(unpacked, Ok(()));
    }
}

/// One series' samples.
#[derive(Debug, Default)]
pub struct History {
    chunks: VecDeque<Chunk>,
    tail: Vec<Sample>,
    /// The number of the tail's first sample.
    tail_start: u64,
    /// When the newest sample was received.
    received: u64,
    packed: usize,
    /// Samples up to this number are in the store's journal or chunks.
    journaled: u64,
    /// Starts of chunks to delete from the store, if it has them.
    dropped: Vec<u64>,
}

impl History {
    /// Returns the number of the next sample, which is the count of all samples ever
    /// received.
    pub fn end(&self) -> u64 {
        self.tail_start + self.tail.len() as u64
    }

    /// Returns the number of samples that it holds.
    pub fn held(&self) -> usize {
        self.packed + self.tail.len()
    }

    /// Returns the memory that the samples use, in bytes.
    pub fn bytes(&self) -> usize {
        let packed: usize = self.chunks.iter().map(|chunk| chunk.bytes.len()).sum();
        packed + self.tail.capacity() * size_of::<Sample>()
    }

    /// Returns when the newest sample was received.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Returns the newest sample.
    pub fn newest(&self) -> Option<Sample> {
        self.tail.last().copied().or_else(|| {
            let mut samples = Vec::new();
            self.chunks.back()?.unpack(&mut samples);
            samples.pop()
        })
    }

    /// Adds samples that were received at `received`.
    pub fn append(&mut self, mut samples: &[Sample], received: u64) {
        self.received = self.received.max(received);
        while !samples.is_empty() {
            let room = CHUNK - self.tail.len();
            let (now, later) = samples.split_at(room.min(samples.len()));
            self.tail.extend_from_slice(now);
            samples = later;
            if self.tail.len() == CHUNK {
                let (start, end) = (self.tail_start, self.end());
                self.add(Chunk::of(&self.tail, start, end, 0, self.received));
                self.tail_start = end;
                self.tail.clear();
            }
        }
    }

    fn add(&mut self, chunk: Chunk) {
        self.packed += chunk.held;
        self.chunks.push_back(chunk);
    }

    /// Thins the oldest samples until at most `limit` are held. The newer half is kept
    /// whole; older chunks are thinned repeatedly, the least thinned first, so that older
    /// data is coarser.
    pub fn bound(&mut self, limit: usize) {
        while self.held() > limit.max(2 * CHUNK) {
            self.thin(limit);
        }
    }

    fn thin(&mut self, limit: usize) {
        let whole = self.chunks.iter().filter(|chunk| chunk.level == 0).count();
        let level = if whole >= 2 && whole * CHUNK > limit / 2 {
            0
        } else {
            // Levels decrease from the oldest chunk on, so chunks of one level are
            // adjacent.
            let mut counts = [0_usize; 256];
            for chunk in &self.chunks {
                counts[usize::from(chunk.level)] += 1;
            }
            let most = (1..256).max_by_key(|&level| counts[level]);
            match most {
                Some(level) if counts[level] >= 2 => level,
                _ => return self.drop_oldest(),
            }
        };
        let level = level as u8;
        let Some(at) = self.chunks.iter().position(|chunk| chunk.level == level) else {
            return self.drop_oldest();
        };
        let Some(newer) = self.chunks.remove(at + 1) else {
            return self.drop_oldest();
        };
        let older = &mut self.chunks[at];
        let mut samples = Vec::with_capacity(2 * CHUNK);
        older.unpack(&mut samples);
        newer.unpack(&mut samples);
        self.packed -= older.held + newer.held;
        let samples = thinned(&samples, samples.len().div_ceil(BUCKET) * 2);
        let level = level.saturating_add(1);
        *older = Chunk::of(&samples, older.start, newer.end, level, newer.received);
        self.packed += older.held;
        self.dropped.push(newer.start);
    }

    fn drop_oldest(&mut self) {
        match self.chunks.pop_front() {
            Some(chunk) => {
                self.packed -= chunk.held;
                self.dropped.push(chunk.start);
            }
            None => self.clear(),
        }
    }

    /// Discards all samples. Numbering continues.
    pub fn clear(&mut self) {
        self.dropped
            .extend(self.chunks.drain(..).map(|chunk| chunk.start));
        self.dropped.push(self.tail_start);
        self.packed = 0;
        self.tail_start = self.end();
        self.tail = Vec::new();
    }

    /// Sets the receipt time of everything that was received while the hub's clock was not
    /// set (a year before 2000) to `now`. Returns whether there was any.
    pub(crate) fn date_undated(&mut self, now: u64) -> bool {
        let undated = |received: u64| (received as f64) < *TIMES.start();
        let chunks = self.chunks.iter_mut();
        let mut any = false;
        // Receipt times never decrease.
        for chunk in chunks.take_while(|chunk| undated(chunk.received)) {
            (chunk.received, chunk.saved, any) = (now, false, true);
        }
        if self.end() > 0 && undated(self.received) {
            (self.received, any) = (now, true);
        }
        any
    }

    /// Discards chunks whose last sample was received before `time`.
    pub(crate) fn discard_before(&mut self, time: u64) {
        while self
            .chunks
            .front()
            .is_some_and(|chunk| chunk.received < time)
        {
            self.drop_oldest();
        }
    }

    /// Passes every sample with a number in `from..to` to `each`, with the number up to
    /// which everything has then been read, until `each` returns false. A thinned chunk is
    /// passed completely, including samples beyond `to`. Returns how many samples of these
    /// numbers are no longer held.
    pub fn read(&self, from: u64, to: u64, mut each: impl FnMut(Sample, u64) -> bool) -> u64 {
        let (mut gap, mut next) = (0, from);
        let mut samples = Vec::new();
        let behind = self.chunks.partition_point(|chunk| chunk.end <= from);
        for chunk in self.chunks.range(behind..) {
            if chunk.start >= to {
                return gap + to.saturating_sub(next);
            }
            gap += chunk.start.saturating_sub(next);
            next = next.max(chunk.start);
            let skip = (next - chunk.start) as usize;
            if skip > 0 && chunk.level > 0 {
                // It is no longer known which of its samples were already read.
                let until = chunk.end.min(to);
                gap += until - next;
                next = until;
                continue;
            }
            samples.clear();
            chunk.unpack(&mut samples);
            gap += chunk.end - chunk.start - samples.len() as u64;
            let last = samples.len();
            for (at, &sample) in samples.iter().enumerate().skip(skip) {
                // A thinned chunk is read completely or not at all: its samples have no
                // numbers.
                let seen = match chunk.level {
                    0 if chunk.start + at as u64 >= to => return gap,
                    0 => chunk.start + at as u64 + 1,
                    _ if at + 1 == last => chunk.end,
                    _ => chunk.start,
                };
                if !each(sample, seen) && seen > chunk.start {
                    return gap;
                }
            }
            next = chunk.end;
        }
        gap += self.tail_start.min(to).saturating_sub(next);
        let skip = next.saturating_sub(self.tail_start) as usize;
        for (at, &sample) in self.tail.iter().enumerate().skip(skip) {
            let number = self.tail_start + at as u64;
            if number >= to || !each(sample, number + 1) {
                break;
            }
        }
        gap
    }
}

/// Saving to a store, and restoring from it.
impl History {
    /// Returns the chunks that are not in the store, and marks them as saved.
    pub(crate) fn take_unsaved(&mut self) -> Vec<Chunk> {
        let unsaved = self.chunks.iter_mut().filter(|chunk| !chunk.saved);
        let taken = unsaved.map(|chunk| {
            chunk.saved = true;
            chunk.clone()
        });
        let taken = taken.collect();
        self.journaled = self.journaled.max(self.tail_start);
        taken
    }

    /// Returns the starts of chunks to delete from the store.
    pub(crate) fn take_dropped(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.dropped)
    }

    /// Returns the samples that are neither in a chunk nor in the journal, and the number
    /// of the first, and marks them as journaled.
    pub(crate) fn take_unjournaled(&mut self) -> Option<(u64, &[Sample])> {
        let from = self.journaled.max(self.tail_start);
        self.journaled = self.end();
        let journal = &self.tail[(from - self.tail_start) as usize..];
        (!journal.is_empty()).then_some((from, journal))
    }

    /// Returns the tail as a chunk, for a store that starts a new journal.
    pub(crate) fn tail_chunk(&mut self) -> Option<Chunk> {
        self.journaled = self.end();
        let chunk = || Chunk::of(&self.tail, self.tail_start, self.end(), 0, self.received);
        (!self.tail.is_empty()).then(chunk)
    }

    /// Marks everything as not saved.
    pub(crate) fn mark_unsaved(&mut self) {
        self.dropped.clear();
        self.journaled = 0;
        for chunk in &mut self.chunks {
            chunk.saved = false;
        }
    }

    /// Restores a chunk from the store; chunks must come in order. Returns false for one
    /// that is damaged or out of order, which is skipped.
    pub fn restore_chunk(&mut self, mut chunk: Chunk) -> bool {
        let mut samples = Vec::new();
        let sound = codec::unpack(&chunk.bytes, CHUNK, &mut samples).is_ok();
        let whole = chunk.end.checked_sub(chunk.start).is_some_and(|range| {
            let held = samples.len() as u64;
            held == range || (chunk.level > 0 && held < range)
        });
        if !sound || !whole || chunk.start < self.end() || samples.is_empty() {
            return false;
        }
        self.close_tail();
        self.received = self.received.max(chunk.received);
        self.tail_start = chunk.end;
        if chunk.level == 0 && samples.len() < CHUNK {
            self.tail_start = chunk.start;
            self.tail = samples;
            self.journaled = chunk.end;
            return true;
        }
        chunk.held = samples.len();
        chunk.saved = true;
        self.add(chunk);
        self.journaled = self.tail_start;
        true
    }

    /// Turns the tail into a chunk, however short, because other samples follow.
    fn close_tail(&mut self) {
        if let Some(chunk) = self.tail_chunk() {
            self.tail_start = chunk.end;
            self.tail.clear();
            self.add(chunk);
        }
    }

    /// Restores samples of the journal, the first of which has the number `start`; samples
    /// that exist already are skipped.
    pub fn restore_journal(&mut self, start: u64, samples: &[Sample], received: u64) {
        let end = start.saturating_add(samples.len() as u64);
        if end <= self.end() {
            return;
        }
        if start > self.end() {
            self.close_tail();
            self.tail_start = start;
        }
        let known = (self.end() - start) as usize;
        self.append(&samples[known..], received);
        self.journaled = self.end();
    }
}

/// Returns at most `most` samples, chosen by [`Thinning`].
fn thinned(samples: &[Sample], most: usize) -> Vec<Sample> {
    let mut thinning = Thinning::new(samples.len(), most);
    let mut thin = Vec::with_capacity(samples.len().min(most.max(4)));
    for &sample in samples {
        thinning.add(sample, |sample| thin.push(sample));
    }
    thinning.finish(|sample| thin.push(sample));
    thin
}

#[cfg(test)]
mod tests;
