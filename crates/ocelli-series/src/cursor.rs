//! One viewer's position in the samples, and its messages.
//!
//! A message is
//! `{"series":[{"id","name","unit"?,"xy"?,"clockOffsetMs"?,"gap"?,"gone"?,"points":[[x,y],…]}]}`.

use crate::registry::{Registry, Series};
use crate::thinning::Thinning;
use crate::{Sample, history};
use std::collections::{HashMap, HashSet, VecDeque};

/// Maximum number of samples per series in the initial history of a viewer.
pub(crate) const HISTORY_LIMIT: usize = 10_000;
/// Maximum number of samples in the whole history: with many series, each has fewer.
const WHOLE_HISTORY_LIMIT: usize = 400_000;
/// Minimum number of samples per series in the history, however many series exist.
const HISTORY_MIN: usize = 20;
/// Maximum length of a batch; the rest is sent with the next request.
pub const BATCH_LIMIT: usize = 4 * 1024 * 1024;
/// Messages are made in pieces of this length.
pub const PIECE: usize = 64 * 1024;
/// A smaller clock offset, in ms, is not reported: sources that write whole seconds have
/// one.
const MIN_CLOCK_OFFSET: f64 = 2000.0;

/// The series that a viewer requests, and the start of their history.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// The series with these names; all if `None`.
    pub names: Option<HashSet<String>>,
    /// The start of the history, for series whose x values are times.
    pub since: Option<f64>,
    /// Only series that were sent over the TCP port.
    pub tcp_only: bool,
}

impl Selection {
    fn includes(&self, series: &Series) -> bool {
        let named = self.names.as_ref();
        named.is_none_or(|names| names.contains(series.name())) && (series.tcp || !self.tcp_only)
    }
}

/// One viewer's position in the samples: for each series the number of the next sample to
/// send.
///
/// A message is made in pieces, each after the previous one was sent, so a stalled viewer
/// costs only its position and one piece, however long its message is.
#[derive(Debug)]
pub struct Cursor {
    selection: Selection,
    /// All changes up to this epoch have been sent, or are in `due`.
    epoch: u64,
    next: HashMap<u32, u64>,
    /// Series with samples to send, in turn; each once.
    due: VecDeque<u32>,
    is_due: HashSet<u32>,
    /// The current message, if it has more pieces.
    message: Option<Message>,
}

/// A piece of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Its text, which never splits a sample.
    pub text: String,
    /// Whether it is the last piece of the message.
    pub last: bool,
}

/// Progress of a message.
#[derive(Debug, Default)]
struct Message {
    /// Maximum number of samples per series in a history; a batch has all.
    limit: Option<usize>,
    /// Length of the earlier pieces.
    written: usize,
    /// Whether it already contains a series.
    not_empty: bool,
    open: Option<Open>,
}

/// The series that is being written.
#[derive(Debug)]
struct Open {
    id: u32,
    not_empty: bool,
    /// Samples from this number on belong to the next message.
    end: u64,
    gap: u64,
    thinning: Option<Thinning>,
}

impl Cursor {
    /// Creates the cursor of a new viewer.
    pub fn new(selection: Selection) -> Self {
        Self {
            selection,
            epoch: 0,
            next: HashMap::new(),
            due: VecDeque::new(),
            is_due: HashSet::new(),
            message: None,
        }
    }

    /// Starts the history, which is one message.
    pub fn begin_history(&mut self, registry: &mut Registry) {
        self.epoch = registry.epoch;
        registry.epoch += 1;
        let selection = registry
            .all()
            .filter(|series| self.selection.includes(series));
        self.due = selection.map(|series| series.id).collect();
        self.is_due = self.due.iter().copied().collect();
        let share = WHOLE_HISTORY_LIMIT / self.due.len().max(1);
        self.message = Some(Message {
            limit: Some(share.clamp(HISTORY_MIN, HISTORY_LIMIT)),
            ..Message::default()
        });
    }

    /// Starts a batch with every sample since the last message, up to [`BATCH_LIMIT`].
    /// Returns false if there is nothing new.
    pub fn begin_batch(&mut self, registry: &mut Registry) -> bool {
        self.mark_due(registry);
        let (next, is_due) = (&self.next, &mut self.is_due);
        self.due.retain(|id| {
            // A series that was created and deleted in between was never announced.
            let announced = next.contains_key(id) || registry.get(*id).is_ok();
            announced || !is_due.remove(id)
        });
        let new = !self.due.is_empty();
        self.message = new.then(Message::default);
        new
    }

    /// Returns the next piece of the current message; `None` after the last.
    pub fn piece(&mut self, registry: &Registry) -> Option<Piece> {
        let mut message = self.message.take()?;
        let mut text = Text::default();
        if message.written == 0 {
            text.0.push_str(OPENING);
        }
        loop {
            let long = message.limit.is_none() && message.written + text.len() >= BATCH_LIMIT;
            if let Some(mut open) = message.open.take() {
                let whole = self.write_samples(registry, &mut open, &mut text);
                if whole || long {
                    text.end(open.gap);
                    if !whole && self.is_due.insert(open.id) {
                        self.due.push_front(open.id);
                    }
                } else {
                    message.open = Some(open);
                }
            } else if !long && let Some(id) = self.due.pop_front() {
                self.is_due.remove(&id);
                self.open(registry, id, &mut message, &mut text);
            } else {
                text.0.push_str("]}");
                return Some(Piece {
                    text: text.0,
                    last: true,
                });
            }
            if text.len() >= PIECE {
                message.written += text.len();
                self.message = Some(message);
                return Some(Piece {
                    text: text.0,
                    last: false,
                });
            }
        }
    }

    /// Marks the series that changed since the last call as due.
    fn mark_due(&mut self, registry: &mut Registry) {
        let from = registry
            .log
            .partition_point(|(epoch, _)| *epoch <= self.epoch);
        let mut changed: Vec<u32> = registry.log.range(from..).map(|(_, id)| *id).collect();
        if self.epoch < registry.oldest_in_log {
            let deleted = self.next.keys().filter(|id| registry.get(**id).is_err());
            changed.extend(deleted);
        }
        self.epoch = registry.epoch;
        registry.epoch += 1;
        for id in changed {
            let is_wanted = self.next.contains_key(&id)
                || registry
                    .get(id)
                    .is_ok_and(|series| self.selection.includes(series));
            if is_wanted && self.is_due.insert(id) {
                self.due.push_back(id);
            }
        }
    }

    /// Starts writing a series, or reports that it was deleted.
    fn open(&mut self, registry: &Registry, id: u32, message: &mut Message, text: &mut Text) {
        let Ok(series) = registry.get(id) else {
            if self.next.remove(&id).is_some() {
                text.deleted(id, &mut message.not_empty);
            }
            return;
        };
        text.begin(series, &mut message.not_empty);
        let thinning = message.limit.map(|limit| {
            let mut count = series.history().held();
            if let Some(since) = self.since(series) {
                count = 0;
                series.history().read(0, u64::MAX, |sample, _| {
                    count += usize::from(sample.0 >= since);
                    true
                });
            }
            Thinning::new(count, limit)
        });
        // A viewer that connected before the series was created has not missed anything. One that
        // connected before the series was sent over TCP has.
        self.next.entry(id).or_insert(0);
        message.open = Some(Open {
            id,
            not_empty: false,
            end: series.history().end(),
            gap: 0,
            thinning,
        });
    }

    /// Returns the first x of the requested history of a series.
    fn since(&self, series: &Series) -> Option<f64> {
        self.selection.since.filter(|_| series.is_timed())
    }

    /// Writes the pending samples of a series until the piece is full. Returns whether all
    /// were written.
    fn write_samples(&mut self, registry: &Registry, open: &mut Open, text: &mut Text) -> bool {
        // A series that was deleted in between is reported in the next message.
        let (Ok(series), Some(&from)) = (registry.get(open.id), self.next.get(&open.id)) else {
            return true;
        };
        let since = self.since(series);
        let (mut next, mut full) = (from, false);
        let gap = series.history().read(from, open.end, |sample, number| {
            next = number;
            match &mut open.thinning {
                Some(thinning) if since.is_none_or(|since| sample.0 >= since) => {
                    thinning.add(sample, |sample| text.sample(sample, &mut open.not_empty));
                }
                Some(_) => {}
                None => text.sample(sample, &mut open.not_empty),
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
                thinning.finish(|sample| text.sample(sample, &mut open.not_empty));
            }
        }
        self.next.insert(open.id, next);
        next >= open.end
    }

    /// Returns the number of series in which it has a position.
    pub fn series(&self) -> usize {
        self.next.len()
    }
}

const OPENING: &str = "{\"series\":[";

/// A piece being written.
#[derive(Default)]
struct Text(String);

impl Text {
    fn len(&self) -> usize {
        self.0.len()
    }

    /// Writes a comma, except before the first element.
    fn comma(&mut self, not_empty: &mut bool) {
        if std::mem::replace(not_empty, true) {
            self.0.push(',');
        }
    }

    fn begin(&mut self, series: &Series, not_empty: &mut bool) {
        self.comma(not_empty);
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
        if let Some(offset) = offset.filter(|offset| offset.abs() >= MIN_CLOCK_OFFSET) {
            self.0.push_str(",\"clockOffsetMs\":");
            self.number(offset.round());
        }
        self.0.push_str(",\"points\":[");
    }

    fn quoted(&mut self, text: &str) {
        self.0.push_str(&serde_json::Value::from(text).to_string());
    }

    fn sample(&mut self, (x, y): Sample, not_empty: &mut bool) {
        self.comma(not_empty);
        self.0.push('[');
        self.number(x);
        self.0.push(',');
        self.number(y);
        self.0.push(']');
    }

    fn number(&mut self, number: f64) {
        // Integers are written without ".0": most times are integers, and this saves a
        // sixth of the message.
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

    fn deleted(&mut self, id: u32, not_empty: &mut bool) {
        self.comma(not_empty);
        self.0.push_str("{\"id\":");
        self.0.push_str(itoa::Buffer::new().format(id));
        self.0
            .push_str(",\"name\":\"\",\"gone\":true,\"points\":[]}");
    }
}

// A chunk is written completely, so a piece may exceed its limit by one chunk.
const _: () = assert!(history::CHUNK * 64 <= PIECE);
