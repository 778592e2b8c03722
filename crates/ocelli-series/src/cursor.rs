//! One viewer's place among the samples, and the messages made from it.
//!
//! A message is
//! `{"series":[{"id","name","unit"?,"xy"?,"clockOffsetMs"?,"gap"?,"gone"?,"points":[[x,y],…]}]}`.

use crate::registry::{Registry, Series};
use crate::thinning::Thinning;
use crate::{Sample, history};
use std::collections::{HashMap, HashSet, VecDeque};

/// The most samples of one series in the history that a viewer is given first.
pub(crate) const HISTORY_LIMIT: usize = 10_000;
/// The most samples in all of it: many series have fewer each.
const WHOLE_HISTORY_LIMIT: usize = 400_000;
/// Each series has so many there however many there are.
const HISTORY_LEAST: usize = 20;
/// A batch that is longer goes on at the next ask.
pub const BATCH_LIMIT: usize = 4 * 1024 * 1024;
/// A message that is longer is made in pieces of this length.
pub const PIECE: usize = 64 * 1024;
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
///
/// A message is made in pieces, each when the last has been taken, so that a viewer that
/// takes nothing costs its place and one piece, however long its message would be.
#[derive(Debug)]
pub struct Cursor {
    wanted: Wanted,
    /// All changes up to this epoch have been given, or stand in `due`.
    epoch: u64,
    next: HashMap<u32, u64>,
    /// Series that have something to give, in turn; each once.
    due: VecDeque<u32>,
    is_due: HashSet<u32>,
    /// The message of which there are pieces to come.
    begun: Option<Begun>,
}

/// A piece of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Its text, which ends between two samples.
    pub text: String,
    /// Whether the message ends with it.
    pub last: bool,
}

/// How far a message has come.
#[derive(Debug, Default)]
struct Begun {
    /// The most samples of one series where this is the history; a batch has all.
    most: Option<usize>,
    /// The bytes of its earlier pieces.
    written: usize,
    /// Whether a series stands in it already.
    any: bool,
    open: Option<Open>,
}

/// The series whose samples are being written.
#[derive(Debug)]
struct Open {
    id: u32,
    any: bool,
    /// Samples from this number on are for the next message.
    end: u64,
    gap: u64,
    thinning: Option<Thinning>,
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
            begun: None,
        }
    }

    /// Begins the history, which is one message.
    pub fn begin_history(&mut self, registry: &mut Registry) {
        self.epoch = registry.epoch;
        registry.epoch += 1;
        let wanted = registry.all().filter(|series| self.wanted.takes(series));
        self.due = wanted.map(|series| series.id).collect();
        self.is_due = self.due.iter().copied().collect();
        let share = WHOLE_HISTORY_LIMIT / self.due.len().max(1);
        self.begun = Some(Begun {
            most: Some(share.clamp(HISTORY_LEAST, HISTORY_LIMIT)),
            ..Begun::default()
        });
    }

    /// Begins a batch with every sample since the last message, up to [`BATCH_LIMIT`];
    /// false if there is nothing new.
    pub fn begin_batch(&mut self, registry: &mut Registry) -> bool {
        self.look(registry);
        let (next, is_due) = (&self.next, &mut self.is_due);
        self.due.retain(|id| {
            // One that came and went while it waited in turn was never told of.
            let told = next.contains_key(id) || registry.get(*id).is_ok();
            told || !is_due.remove(id)
        });
        let new = !self.due.is_empty();
        self.begun = new.then(Begun::default);
        new
    }

    /// The next piece of the message that was begun; none when it has had its last.
    pub fn piece(&mut self, registry: &Registry) -> Option<Piece> {
        let mut begun = self.begun.take()?;
        let mut text = Text::default();
        if begun.written == 0 {
            text.0.push_str(OPENING);
        }
        loop {
            let long = begun.most.is_none() && begun.written + text.len() >= BATCH_LIMIT;
            if let Some(mut open) = begun.open.take() {
                let whole = self.give(registry, &mut open, &mut text);
                if whole || long {
                    text.end(open.gap);
                    if !whole && self.is_due.insert(open.id) {
                        self.due.push_front(open.id);
                    }
                } else {
                    begun.open = Some(open);
                }
            } else if !long && let Some(id) = self.due.pop_front() {
                self.is_due.remove(&id);
                self.open(registry, id, &mut begun, &mut text);
            } else {
                text.0.push_str("]}");
                return Some(Piece {
                    text: text.0,
                    last: true,
                });
            }
            if text.len() >= PIECE {
                begun.written += text.len();
                self.begun = Some(begun);
                return Some(Piece {
                    text: text.0,
                    last: false,
                });
            }
        }
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

    /// Begins with one series, or says that it is gone.
    fn open(&mut self, registry: &Registry, id: u32, begun: &mut Begun, text: &mut Text) {
        let Ok(series) = registry.get(id) else {
            if self.next.remove(&id).is_some() {
                text.gone(id, &mut begun.any);
            }
            return;
        };
        text.begin(series, &mut begun.any);
        let thinning = begun.most.map(|most| {
            let mut count = series.history().kept();
            if let Some(since) = self.since(series) {
                count = 0;
                series.history().read(0, u64::MAX, |sample, _| {
                    count += usize::from(sample.0 >= since);
                    true
                });
            }
            Thinning::new(count, most)
        });
        // A viewer that came before the series has missed nothing of it; one that came
        // before it was sent over TCP has.
        self.next.entry(id).or_insert(0);
        begun.open = Some(Open {
            id,
            any: false,
            end: series.history().end(),
            gap: 0,
            thinning,
        });
    }

    /// From which x on the history of a series is wanted.
    fn since(&self, series: &Series) -> Option<f64> {
        self.wanted.since.filter(|_| series.is_timed())
    }

    /// Writes what one series has to give, until the piece is full; whether that was all.
    fn give(&mut self, registry: &Registry, open: &mut Open, text: &mut Text) -> bool {
        // One that was deleted meanwhile is told of in the next message.
        let (Ok(series), Some(&from)) = (registry.get(open.id), self.next.get(&open.id)) else {
            return true;
        };
        let since = self.since(series);
        let (mut next, mut full) = (from, false);
        let gap = series.history().read(from, open.end, |sample, seen| {
            next = seen;
            match &mut open.thinning {
                Some(thinning) if since.is_none_or(|since| sample.0 >= since) => {
                    thinning.add(sample, |sample| text.sample(sample, &mut open.any));
                }
                Some(_) => {}
                None => text.sample(sample, &mut open.any),
            }
            full = text.len() >= PIECE;
            !full
        });
        if open.thinning.is_none() {
            open.gap += gap;
        }
        if !full || next >= open.end {
            next = next.max(open.end);
            if let Some(thinning) = &mut open.thinning {
                thinning.finish(|sample| text.sample(sample, &mut open.any));
            }
        }
        self.next.insert(open.id, next);
        next >= open.end
    }

    /// How many series it has a place in.
    pub fn series(&self) -> usize {
        self.next.len()
    }
}

const OPENING: &str = "{\"series\":[";

/// A piece as it is written.
#[derive(Default)]
struct Text(String);

impl Text {
    fn len(&self) -> usize {
        self.0.len()
    }

    /// A comma, before all but the first.
    fn comma(&mut self, any: &mut bool) {
        if std::mem::replace(any, true) {
            self.0.push(',');
        }
    }

    fn begin(&mut self, series: &Series, any: &mut bool) {
        self.comma(any);
        self.0.push_str("{\"id\":");
        self.0.push_str(itoa::Buffer::new().format(series.id));
        self.0.push_str(",\"name\":");
        self.quoted(series.name());
        if let Some(unit) = series.unit() {
            self.0.push_str(",\"unit\":");
            self.quoted(unit);
        }
        if !series.is_timed() {
            self.0.push_str(",\"xy\":true");
        }
        let offset = series.clock_offset();
        if let Some(offset) = offset.filter(|offset| offset.abs() >= CLOCK_IS_RIGHT) {
            self.0.push_str(",\"clockOffsetMs\":");
            self.number(offset.round());
        }
        self.0.push_str(",\"points\":[");
    }

    fn quoted(&mut self, text: &str) {
        self.0.push_str(&serde_json::Value::from(text).to_string());
    }

    fn sample(&mut self, (x, y): Sample, any: &mut bool) {
        self.comma(any);
        self.0.push('[');
        self.number(x);
        self.0.push(',');
        self.number(y);
        self.0.push(']');
    }

    fn number(&mut self, number: f64) {
        // Whole numbers without ".0": most times are, and it is a sixth of the message.
        let whole = number as i64;
        if whole as f64 == number && whole.unsigned_abs() < 1 << 53 {
            self.0.push_str(itoa::Buffer::new().format(whole));
        } else {
            self.0.push_str(ryu::Buffer::new().format_finite(number));
        }
    }

    fn end(&mut self, gap: u64) {
        self.0.push(']');
        if gap > 0 {
            self.0.push_str(",\"gap\":");
            self.0.push_str(itoa::Buffer::new().format(gap));
        }
        self.0.push('}');
    }

    fn gone(&mut self, id: u32, any: &mut bool) {
        self.comma(any);
        self.0.push_str("{\"id\":");
        self.0.push_str(itoa::Buffer::new().format(id));
        self.0
            .push_str(",\"name\":\"\",\"gone\":true,\"points\":[]}");
    }
}

// A chunk is given whole, so a piece may be longer than its limit by one.
const _: () = assert!(history::CHUNK * 64 <= PIECE);
