//! What a store has yet to be told, and the way back after a start.
//!
//! A store keeps each series' row, its chunks, and a journal of what is in no whole
//! chunk yet. Beginning a new journal is asked for now and then: every tail is then
//! a chunk too, and the old journal is of no more use.

use crate::codec::{self, Damaged, put_varint, take, take_varint};
use crate::history::{CHUNK, Chunk};
use crate::registry::Registry;
use std::sync::Arc;

/// Of a store that has to begin anew so many bytes of chunks are written in a turn.
const TURN: usize = 16 * 1024 * 1024;

/// A series as a store keeps it, without its samples.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its id.
    pub id: u32,
    /// Its name.
    pub name: Arc<str>,
    /// Its unit.
    pub unit: Option<Arc<str>>,
    /// Whether any of it came over TCP.
    pub tcp: bool,
    /// Whether its x are times.
    pub timed: Option<bool>,
}

/// What a store is to do, in this order.
#[derive(Debug, Default)]
pub struct Saving {
    /// Series to forget, with all their chunks.
    pub deleted: Vec<u32>,
    /// Series whose chunks to forget, to be written anew.
    pub rewritten: Vec<u32>,
    /// Rows to write.
    pub rows: Vec<Row>,
    /// Chunks to forget, by series and start.
    pub dropped: Vec<(u32, u64)>,
    /// Chunks to write in place of those of the same series and start.
    pub chunks: Vec<(u32, Chunk)>,
    /// Whether the journal so far is of no more use.
    pub new_journal: bool,
    /// What to add to the journal.
    pub news: Vec<u8>,
}

impl Saving {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.deleted.is_empty()
            && self.rewritten.is_empty()
            && self.rows.is_empty()
            && self.dropped.is_empty()
            && self.chunks.is_empty()
            && !self.new_journal
            && self.news.is_empty()
    }
}

impl Registry {
    /// What the store has yet to be told; from here on it counts as told.
    pub fn unsaved(&mut self, new_journal: bool) -> Saving {
        let mut saving = Saving {
            deleted: std::mem::take(&mut self.deleted),
            new_journal,
            ..Saving::default()
        };
        let mut written = 0;
        for (&id, series) in &mut self.series {
            // A new journal has no more of any tail, so each becomes a chunk.
            if !series.dirty && !new_journal {
                continue;
            }
            if series.rewrite {
                if written > TURN {
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
                if let Some((start, samples)) = history.take_news() {
                    let packed = codec::pack(samples);
                    for number in [u64::from(id), start, received, packed.len() as u64] {
                        put_varint(&mut saving.news, number);
                    }
                    saving.news.extend_from_slice(&packed);
                }
            }
        }
        saving
    }

    /// The store did not take what it was told last: it is to begin anew with every
    /// series, when it can.
    pub fn not_saved(&mut self, deleted: Vec<u32>) {
        self.deleted.extend(deleted);
        for series in self.series.values_mut() {
            series.rewrite = true;
            series.dirty = true;
            series.history.forget_saved();
        }
    }

    /// Ids up to this one have been given out, some of them to series that are gone.
    pub fn restore_ids(&mut self, last: u32) {
        self.next_id = self.next_id.max(last.saturating_add(1));
    }

    /// Puts back a series that the store has.
    pub fn restore(&mut self, row: Row) {
        self.restore_ids(row.id);
        if self.find(&row.name).is_none() {
            let series = self.insert(row.id, &row.name, row.unit, row.tcp, row.timed);
            series.saved = true;
        }
    }

    /// Puts back a chunk; a series' chunks come in their order. False for one that
    /// is damaged, which is left out.
    pub fn restore_chunk(&mut self, series: u32, chunk: Chunk) -> bool {
        let series = self.series.get_mut(&series);
        series.is_none_or(|series| series.history.restore_chunk(chunk))
    }

    /// Puts back an entry of the journal; they come in their order, after the chunks.
    ///
    /// # Errors
    /// The entry is damaged from some place on; what stands before is put back.
    pub fn restore_news(&mut self, mut news: &[u8]) -> Result<(), Damaged> {
        while !news.is_empty() {
            let id = u32::try_from(take_varint(&mut news)?).map_err(|_| Damaged)?;
            let (start, received) = (take_varint(&mut news)?, take_varint(&mut news)?);
            let length = usize::try_from(take_varint(&mut news)?).map_err(|_| Damaged)?;
            let mut samples = Vec::new();
            codec::unpack(take(&mut news, length)?, CHUNK, &mut samples)?;
            if let Some(series) = self.series.get_mut(&id) {
                series.history.restore_news(start, &samples, received);
            }
        }
        Ok(())
    }
}
