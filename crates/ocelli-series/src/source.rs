//! What is known of those who write: how much came, and what of it was no sample.

use std::collections::{BTreeMap, VecDeque};

/// Of a malformed line so much is shown.
const SHOWN: usize = 120;
/// So many sources that have ended are remembered.
const REMEMBERED: usize = 200;

/// One who writes into a series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Its number; none has another's.
    pub id: u64,
    /// The series it writes into.
    pub series: u32,
    /// Where it comes from, like `10.0.0.7:51234`.
    pub from: String,
    /// When it began, in ms since the Unix epoch.
    pub since: u64,
    /// How many samples it brought.
    pub samples: u64,
    /// How many of its lines were malformed.
    pub malformed: u64,
    /// The beginning of the last of those.
    pub last_malformed: Option<String>,
    /// When and why it ended, if it has.
    pub ended: Option<(u64, String)>,
}

/// The sources that are there, and the last of those that were.
#[derive(Debug, Default)]
pub struct Sources {
    next: u64,
    present: BTreeMap<u64, Source>,
    past: VecDeque<Source>,
}

impl Sources {
    /// A source begins.
    pub fn begin(&mut self, series: u32, from: String, now: u64) -> u64 {
        let id = self.next;
        self.next += 1;
        let source = Source {
            id,
            series,
            from,
            since: now,
            samples: 0,
            malformed: 0,
            last_malformed: None,
            ended: None,
        };
        self.present.insert(id, source);
        id
    }

    /// A source that is there.
    pub fn get(&mut self, id: u64) -> Option<&mut Source> {
        self.present.get_mut(&id)
    }

    /// A source ends.
    pub fn end(&mut self, id: u64, now: u64, reason: &str) {
        let Some(mut source) = self.present.remove(&id) else {
            return;
        };
        source.ended = Some((now, reason.to_owned()));
        if self.past.len() == REMEMBERED {
            self.past.pop_front();
        }
        self.past.push_back(source);
    }

    /// Those that are there, and then the last of those that were, the latest first.
    pub fn all(&self) -> impl Iterator<Item = &Source> {
        self.present.values().chain(self.past.iter().rev())
    }

    /// How many write into a series now.
    pub fn of(&self, series: u32) -> usize {
        let present = self.present.values();
        present.filter(|source| source.series == series).count()
    }
}

/// A malformed line as it can be shown: its beginning, as text, nothing in it that a
/// terminal would obey.
pub fn shown(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(&line[..line.len().min(SHOWN)]);
    let mut shown: String = text
        .trim_end_matches('\r')
        .chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect();
    if line.len() > SHOWN {
        shown.push('…');
    }
    shown
}
