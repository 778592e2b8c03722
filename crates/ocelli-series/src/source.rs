//! Sources that write samples: counts of their samples and malformed lines.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Maximum length of a malformed line that is displayed, in bytes.
const MAX_SHOWN: usize = 120;
/// Number of ended sources that are remembered.
const MAX_REMEMBERED: usize = 200;

/// A source that writes into a series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Its unique number.
    pub id: u64,
    /// The series that it writes into.
    pub series: u32,
    /// The name of the series, as the source sent it.
    pub name: Arc<str>,
    /// Its address, like `10.0.0.7:51234`.
    pub from: String,
    /// When it started, in ms since the Unix epoch.
    pub since: u64,
    /// Number of samples received.
    pub samples: u64,
    /// Number of malformed lines.
    pub malformed: u64,
    /// The beginning of the last malformed line.
    pub last_malformed: Option<String>,
    /// When and why it ended, if it has.
    pub ended: Option<(u64, String)>,
}

/// The active sources, and the most recent ended ones.
#[derive(Debug, Default)]
pub struct Sources {
    next: u64,
    present: BTreeMap<u64, Source>,
    past: VecDeque<Source>,
}

impl Sources {
    /// Adds a source. Returns its number.
    pub fn begin(&mut self, series: u32, name: Arc<str>, from: String, now: u64) -> u64 {
        let id = self.next;
        self.next += 1;
        let source = Source {
            id,
            series,
            name,
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

    /// Returns an active source.
    pub fn get(&mut self, id: u64) -> Option<&mut Source> {
        self.present.get_mut(&id)
    }

    /// Ends a source.
    pub fn end(&mut self, id: u64, now: u64, reason: &str) {
        let Some(mut source) = self.present.remove(&id) else {
            return;
        };
        source.ended = Some((now, reason.to_owned()));
        if self.past.len() == MAX_REMEMBERED {
            self.past.pop_front();
        }
        self.past.push_back(source);
    }

    /// Returns the active sources, then the ended ones, the latest first.
    pub fn all(&self) -> impl Iterator<Item = &Source> {
        self.present.values().chain(self.past.iter().rev())
    }

    /// Returns the number of active sources of a series.
    pub fn of(&self, series: u32) -> usize {
        let present = self.present.values();
        present.filter(|source| source.series == series).count()
    }
}

/// Returns a malformed line for display: its beginning, as text, without control
/// characters.
pub fn shown(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(&line[..line.len().min(MAX_SHOWN)]);
    let mut shown: String = text
        .trim_end_matches('\r')
        .chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect();
    if line.len() > MAX_SHOWN {
        shown.push('…');
    }
    shown
}
