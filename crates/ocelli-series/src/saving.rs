//! Pending changes for a store, and restoring from it after a start.
//!
//! A store holds each series' row, its chunks, and a journal of the samples that are not
//! yet in a full chunk. A new journal is started from time to time: every tail is then also
//! saved as a chunk, and the old journal is obsolete.

use crate::codec::{self, Damaged, put_varint, take, take_varint};
use crate::history::{CHUNK, Chunk};
use crate::registry::Registry;
use std::sync::Arc;

/// When a store is rewritten, at most this many bytes of chunks are written at a time.
const MAX_BYTES_PER_SAVE: usize = 16 * 1024 * 1024;

/// A series in a store, without its samples.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its id.
    pub id: u32,
    /// Its name.
    pub name: Arc<str>,
    /// Its unit.
    pub unit: Option<Arc<str>>,
    /// Whether any of its samples came over TCP.
    pub tcp: bool,
    /// Whether its x values are times.
    pub timed: Option<bool>,
}

/// Changes for a store to apply, in this order.
#[derive(Debug, Default)]
pub struct Saving {
    /// Series to delete, with all their chunks.
    pub deleted: Vec<u32>,
    /// Series whose chunks must be deleted, because they are written again.
    pub rewritten: Vec<u32>,
    /// Rows to write.
    pub rows: Vec<Row>,
    /// Chunks to delete, by series and start.
    pub dropped: Vec<(u32, u64)>,
    /// Chunks to write; they replace those of the same series and start.
    pub chunks: Vec<(u32, Chunk)>,
    /// Whether the journal so far is obsolete.
    pub new_journal: bool,
    /// Bytes to append to the journal.
    pub journal: Vec<u8>,
}

impl Saving {
    /// Whether there are no changes.
    pub fn is_empty(&self) -> bool {
        self.deleted.is_empty()
            && self.rewritten.is_empty()
            && self.rows.is_empty()
            && self.dropped.is_empty()
            && self.chunks.is_empty()
            && !self.new_journal
            && self.journal.is_empty()
    }
}

impl Registry {
    /// Returns the pending changes for the store, and marks them as saved.
    pub fn unsaved(&mut self, new_journal: bool) -> Saving {
        let mut saving = Saving {
            deleted: std::mem::take(&mut self.deleted),
            new_journal,
            ..Saving::default()
        };
        let mut written = 0;
        for (&id, series) in &mut self.series {
            // A new journal contains no tails, so each tail becomes a chunk.
            if !series.dirty && !new_journal {
                continue;
            }
            if series.rewrite {
                if written > MAX_BYTES_PER_SAVE {
                    continue;
                }
                series.rewrite = false;
                series.saved = false;
                saving.rewritten.push(id);
            }
            series.dirty = false;
            if !series.saved {
                series.saved = true;
                saving.rows.push(Row {
                    id,
                    name: series.name.clone(),
                    unit: series.unit.clone(),
                    tcp: series.tcp,
                    timed: series.timed,
                });
            }
            let history = &mut series.history;
            saving
                .dropped
                .extend(history.take_dropped().into_iter().map(|start| (id, start)));
            for chunk in history.take_unsaved() {
                written += chunk.bytes.len();
                saving.chunks.push((id, chunk));
            }
            if new_journal {
                saving
                    .chunks
                    .extend(history.tail_chunk().map(|chunk| (id, chunk)));
            } else {
                let received = history.received();
                if let Some((start, samples)) = history.take_unjournaled() {
                    let packed = codec::pack(samples);
                    for number in [u64::from(id), start, received, packed.len() as u64] {
                        put_varint(&mut saving.journal, number);
                    }
                    saving.journal.extend_from_slice(&packed);
                }
            }
        }
        saving
    }

    /// Records that the store failed to apply the last changes: every series is then
    /// written again.
    pub fn not_saved(&mut self, deleted: Vec<u32>) {
        self.deleted.extend(deleted);
        for series in self.series.values_mut() {
            series.rewrite = true;
            series.dirty = true;
            series.history.mark_unsaved();
        }
    }

    /// Marks all ids up to this one as used, including those of deleted series.
    pub fn restore_ids(&mut self, last: u32) {
        self.next_id = self.next_id.max(last.saturating_add(1));
    }

    /// Restores a series from the store.
    pub fn restore(&mut self, row: Row) {
        self.restore_ids(row.id);
        if self.find(&row.name).is_none() {
            let series = self.insert(row.id, &row.name, row.unit, row.tcp, row.timed);
            series.saved = true;
        }
    }

    /// Restores a chunk; a series' chunks must come in order. Returns false for one that is
    /// damaged, which is skipped.
    pub fn restore_chunk(&mut self, series: u32, chunk: Chunk) -> bool {
        let series = self.series.get_mut(&series);
        series.is_none_or(|series| series.history.restore_chunk(chunk))
    }

    /// Restores an entry of the journal; entries must come in order, after the chunks.
    ///
    /// # Errors
    /// Returns an error if the entry is damaged; the part before the damage is restored.
    pub fn restore_journal(&mut self, mut journal: &[u8]) -> Result<(), Damaged> {
        while !journal.is_empty() {
            let id = u32::try_from(take_varint(&mut journal)?).map_err(|_| Damaged)?;
            let (start, received) = (take_varint(&mut journal)?, take_varint(&mut journal)?);
            let length = usize::try_from(take_varint(&mut journal)?).map_err(|_| Damaged)?;
            let mut samples = Vec::new();
            codec::unpack(take(&mut journal, length)?, CHUNK, &mut samples)?;
            if let Some(series) = self.series.get_mut(&id) {
                series.history.restore_journal(start, &samples, received);
            }
        }
        Ok(())
    }
}
