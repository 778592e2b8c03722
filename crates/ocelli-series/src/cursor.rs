//! One viewer's place among the samples, and the messages made from it.
//!
//! A message is
//! `{"series":[{"id","name","unit"?,"xy"?,"clockOffsetMs"?,"gap"?,"gone"?,"points":[[x,y],…]}]}`.

use crate::registry::{Registry, Series};
use crate::{Sample, history};
use std::collections::{HashMap, HashSet, VecDeque};

/// The most samples of one series in the history that a viewer is given first.
pub const HISTORY_LIMIT: usize = 10_000;
/// The most samples in all of it: many series have fewer each.
const WHOLE_HISTORY_LIMIT: usize = 400_000;
/// Each series has so many there however many there are.
const HISTORY_LEAST: usize = 20;
/// A batch that is longer goes on at the next ask.
pub const BATCH_LIMIT: usize = 4 * 1024 * 1024;
/// A clock that is off by less, in ms, is not told of: sources that write whole
/// seconds look so.
const CLOCK_IS_RIGHT: f64 = 2000.0;

/// Which series a viewer wants, and since when.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Those of these names; all if there are none.
    pub names: Option<HashSet<String>>,
    /// The history from this x on, of series whose x are times.
    pub since: Option<f64>,
    /// Only what came over the TCP port.
    pub tcp_only: bool,
}

impl Wanted {
    fn takes(&self, series: &Series) -> bool {
        let named = self.names.as_ref();
        named.is_none_or(|names| names.contains(series.name())) && (series.tcp || !self.tcp_only)
    }
}

/// One viewer's place among the samples: for each series the number of the next
/// sample that it has not been given.
#[derive(Debug)]
pub struct Cursor {
    wanted: Wanted,
    /// All changes up to this epoch have been given, or stand in `due`.
    epoch: u64,
    next: HashMap<u32, u64>,
    /// Series that have something to give, in turn; each once.
    due: VecDeque<u32>,
    is_due: HashSet<u32>,
}

impl Cursor {
    /// A viewer that has been given nothing yet.
    pub fn new(wanted: Wanted) -> Self {
        Self {
            wanted,
            epoch: 0,
            next: HashMap::new(),
            due: VecDeque::new(),
            is_due: HashSet::new(),
        }
    }

    /// The history, in one message, and the place behind it.
    pub fn history(&mut self, registry: &mut Registry) -> String {
        self.epoch = registry.epoch;
        registry.epoch += 1;
        let wanted: Vec<&Series> = registry
            .all()
            .filter(|series| self.wanted.takes(series))
            .collect();
        let share = WHOLE_HISTORY_LIMIT / wanted.len().max(1);
        let most = share.clamp(HISTORY_LEAST, HISTORY_LIMIT);
        let mut message = Message::new();
        for series in wanted {
            let since = self.wanted.since.filter(|_| series.is_timed());
            let samples = series
                .history()
                .summary(most, |sample| since.is_none_or(|since| sample.0 >= since));
            message.begin(series);
            for sample in samples {
                message.sample(sample);
            }
            message.end(0);
            self.next.insert(series.id, series.history().end());
        }
        message.finish()
    }

    /// Every sample since the last message, up to [`BATCH_LIMIT`]; none if there is
    /// nothing new.
    pub fn batch(&mut self, registry: &mut Registry) -> Option<String> {
        self.look(registry);
        let mut message = Message::new();
        while let Some(&id) = self.due.front() {
            if message.text.len() >= BATCH_LIMIT {
                break;
            }
            if self.give(registry, id, &mut message) {
                self.due.pop_front();
                self.is_due.remove(&id);
            }
        }
        (!message.is_empty()).then(|| message.finish())
    }

    /// Adds to those that are due what changed since it last looked.
    fn look(&mut self, registry: &mut Registry) {
        let from = registry
            .log
            .partition_point(|(epoch, _)| *epoch <= self.epoch);
        let mut changed: Vec<u32> = registry.log.range(from..).map(|(_, id)| *id).collect();
        if self.epoch < registry.forgotten {
            let gone = self.next.keys().filter(|id| registry.get(**id).is_err());
            changed.extend(gone);
        }
        self.epoch = registry.epoch;
        registry.epoch += 1;
        for id in changed {
            let mine = self.next.contains_key(&id)
                || registry
                    .get(id)
                    .is_ok_and(|series| self.wanted.takes(series));
            if mine && self.is_due.insert(id) {
                self.due.push_back(id);
            }
        }
    }

    /// Writes what one series has to give; whether that was all.
    fn give(&mut self, registry: &Registry, id: u32, message: &mut Message) -> bool {
        let Ok(series) = registry.get(id) else {
            if self.next.remove(&id).is_some() {
                message.gone(id);
            }
            return true;
        };
        // A viewer that came before the series has missed nothing of it; one that came
        // before it was sent over TCP has.
        let next = self.next.entry(id).or_insert(0);
        message.begin(series);
        let mut whole = true;
        let gap = series.history().read(*next, |sample, seen| {
            message.sample(sample);
            *next = seen;
            whole = message.text.len() < BATCH_LIMIT;
            whole
        });
        if whole {
            *next = series.history().end();
        }
        message.end(gap);
        *next == series.history().end()
    }

    /// How many series it has a place in.
    pub fn series(&self) -> usize {
        self.next.len()
    }
}

/// A message as it is written.
struct Message {
    text: String,
    first_sample: bool,
}

const OPENING: &str = "{\"series\":[";

impl Message {
    fn new() -> Self {
        Self {
            text: OPENING.to_owned(),
            first_sample: true,
        }
    }

    fn is_empty(&self) -> bool {
        self.text.len() == OPENING.len()
    }

    fn comma(&mut self) {
        if !self.is_empty() {
            self.text.push(',');
        }
    }

    fn begin(&mut self, series: &Series) {
        self.comma();
        self.text.push_str("{\"id\":");
        self.text.push_str(itoa::Buffer::new().format(series.id));
        self.text.push_str(",\"name\":");
        self.quoted(series.name());
        if let Some(unit) = series.unit() {
            self.text.push_str(",\"unit\":");
            self.quoted(unit);
        }
        if !series.is_timed() {
            self.text.push_str(",\"xy\":true");
        }
        let offset = series.clock_offset();
        if let Some(offset) = offset.filter(|offset| offset.abs() >= CLOCK_IS_RIGHT) {
            self.text.push_str(",\"clockOffsetMs\":");
            self.number(offset.round());
        }
        self.text.push_str(",\"points\":[");
        self.first_sample = true;
    }

    fn quoted(&mut self, text: &str) {
        self.text
            .push_str(&serde_json::Value::from(text).to_string());
    }

    fn sample(&mut self, (x, y): Sample) {
        if !std::mem::replace(&mut self.first_sample, false) {
            self.text.push(',');
        }
        self.text.push('[');
        self.number(x);
        self.text.push(',');
        self.number(y);
        self.text.push(']');
    }

    fn number(&mut self, number: f64) {
        // Whole numbers without ".0": most times are, and it is a sixth of the message.
        let whole = number as i64;
        if whole as f64 == number && whole.unsigned_abs() < 1 << 53 {
            self.text.push_str(itoa::Buffer::new().format(whole));
        } else {
            self.text.push_str(ryu::Buffer::new().format_finite(number));
        }
    }

    fn end(&mut self, gap: u64) {
        self.text.push(']');
        if gap > 0 {
            self.text.push_str(",\"gap\":");
            self.text.push_str(itoa::Buffer::new().format(gap));
        }
        self.text.push('}');
    }

    fn gone(&mut self, id: u32) {
        self.comma();
        self.text.push_str("{\"id\":");
        self.text.push_str(itoa::Buffer::new().format(id));
        self.text
            .push_str(",\"name\":\"\",\"gone\":true,\"points\":[]}");
    }

    fn finish(mut self) -> String {
        self.text.push_str("]}");
        self.text
    }
}

// A chunk is given whole, so a batch may be longer than its limit by one.
const _: () = assert!(history::CHUNK * 64 < BATCH_LIMIT);
