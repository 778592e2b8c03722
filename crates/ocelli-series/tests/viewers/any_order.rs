//! Viewers and a store in any order of events.

use crate::{Given, Whole, bounds};
use ocelli_series::Registry;
use ocelli_series::cursor::{Cursor, Selection};
use ocelli_series::saving::Saving;
use proptest::prelude::*;
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
enum Step {
    /// Samples arrive for a series.
    Come(u8, u16),
    /// A viewer requests a batch.
    Ask(u8),
    /// Another viewer joins at any time.
    Join,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0_u8..4, 1_u16..900).prop_map(|(series, count)| Step::Come(series, count)),
        4 => (0_u8..8).prop_map(Step::Ask),
        1 => Just(Step::Join),
    ]
}

proptest! {
    #[test]
    fn every_viewer_ends_with_every_sample_once(
        steps in prop::collection::vec(step(), 1..120),
        bound in prop_oneof![Just(100_000_usize), Just(2000_usize)],
    ) {
        let mut registry = Registry::new(bounds(bound));
        let mut written: BTreeMap<u64, u64> = BTreeMap::new();
        // Viewers that were present from the beginning must get everything.
        let mut viewers: Vec<(Cursor, Given, BTreeMap<u64, u64>)> = Vec::new();
        let join = |registry: &mut Registry, written: &BTreeMap<u64, u64>| {
            let mut cursor = Cursor::new(Selection::default());
            // Earlier samples are in the history, which may be thinned.
            let _ = cursor.history(registry);
            (cursor, Given::default(), written.clone())
        };
        viewers.push(join(&mut registry, &written));
        for step in steps {
            match step {
                Step::Come(series, count) => {
                    let id = registry.open(&format!("series {series}"), true).unwrap();
                    let seen = written.entry(u64::from(id)).or_default();
                    let samples: Vec<_> = (0..u64::from(count))
                        .map(|i| (1.7e12 + (*seen + i) as f64, (*seen + i) as f64))
                        .collect();
                    *seen += u64::from(count);
                    registry.append(id, &samples, 1).unwrap();
                }
                Step::Ask(viewer) => {
                    let count = viewers.len();
                    let (cursor, given, _) = &mut viewers[usize::from(viewer) % count];
                    if let Some(batch) = cursor.batch(&mut registry) {
                        given.take(&batch);
                    }
                }
                Step::Join if viewers.len() < 8 => {
                    let viewer = join(&mut registry, &written);
                    viewers.push(viewer);
                }
                Step::Join => {}
            }
        }
        for (cursor, given, from) in &mut viewers {
            while let Some(batch) = cursor.batch(&mut registry) {
                given.take(&batch);
            }
            for (id, count) in &written {
                let owed = count - from.get(id).copied().unwrap_or(0);
                let (ys, gap) = given.0.remove(id).unwrap_or_default();
                prop_assert_eq!(ys.len() as u64 + gap, owed);
                prop_assert!(ys.windows(2).all(|pair| pair[0] < pair[1]), "twice, or out of order");
                prop_assert!(bound < 100_000 || gap == 0);
            }
        }
    }

    #[test]
    fn a_store_that_is_read_again_has_everything_that_was_saved(
        counts in prop::collection::vec((0_u8..3, 1_u16..700, any::<bool>(), any::<bool>()), 1..60),
    ) {
        let mut registry = Registry::new(bounds(3000));
        let mut store = Kept::default();
        let mut y = 0.0;
        for (series, count, save, new_journal) in counts {
            let id = registry.open(&format!("{series}"), false).unwrap();
            for _ in 0..count {
                y += 0.25;
                registry.append(id, &[(1.7e12 + y, y)], 1).unwrap();
            }
            if save {
                // Sometimes a store fails, and everything is saved again.
                if new_journal && count % 3 == 0 {
                    let lost = registry.unsaved(false);
                    registry.not_saved(lost.deleted);
                }
                store.save(registry.unsaved(new_journal));
            }
        }
        store.save(registry.unsaved(false));
        let mut again = Registry::new(bounds(3000));
        store.put_back(&mut again);
        prop_assert_eq!(again.all().len(), registry.all().len());
        for (one, other) in registry.all().zip(again.all()) {
            prop_assert_eq!((one.id(), one.name()), (other.id(), other.name()));
            prop_assert_eq!(one.history().end(), other.history().end());
            let whole = |series: &ocelli_series::Series| {
                let mut samples = Vec::new();
                series.history().read(0, u64::MAX, |sample, _| {
                    samples.push(sample);
                    true
                });
                samples
            };
            prop_assert_eq!(whole(one), whole(other));
        }
        prop_assert!(again.unsaved(false).is_empty());
    }
}

/// The simplest possible store in memory.
#[derive(Default)]
struct Kept {
    rows: BTreeMap<u32, ocelli_series::saving::Row>,
    chunks: BTreeMap<(u32, u64), ocelli_series::history::Chunk>,
    journal: Vec<Vec<u8>>,
}

impl Kept {
    fn save(&mut self, saving: Saving) {
        for id in saving.deleted.iter().chain(&saving.rewritten) {
            self.chunks.retain(|(series, _), _| series != id);
        }
        self.rows
            .extend(saving.rows.into_iter().map(|row| (row.id, row)));
        for place in saving.dropped {
            self.chunks.remove(&place);
        }
        for (series, chunk) in saving.chunks {
            self.chunks.insert((series, chunk.start), chunk);
        }
        if saving.new_journal {
            self.journal.clear();
        }
        self.journal.push(saving.journal);
    }

    fn put_back(self, registry: &mut Registry) {
        for row in self.rows.into_values() {
            registry.restore(row);
        }
        for ((series, _), chunk) in self.chunks {
            assert!(registry.restore_chunk(series, chunk));
        }
        for news in self.journal {
            registry.restore_journal(&news).unwrap();
        }
    }
}
