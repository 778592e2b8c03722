//! All series, by name and id, and which of them changed since when.
//!
//! Time among viewers is counted in epochs: one ends whenever a viewer reads. A
//! series that changes is noted once in the epoch, so that noting costs a comparison
//! and a viewer finds what changed without looking at what did not.

use crate::history::History;
use crate::source::Sources;
use crate::{Sample, line};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;

/// A series keeps so many samples at least, however many series there are.
const LEAST: usize = 1024;
/// So many deleted series are remembered for viewers that have yet to be told.
const REMEMBERED: usize = 1000;

/// What may be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// How many series.
    pub series: usize,
    /// How many samples of one.
    pub samples: usize,
    /// How many samples of all of them together; each has its equal share.
    pub all_samples: usize,
    /// For how many ms.
    pub age: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            series: 10_000,
            samples: 100_000,
            all_samples: 20_000_000,
            age: 90 * 24 * 3600 * 1000,
        }
    }
}

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// There are as many series as there may be.
    Full(usize),
    /// There is another series of that name.
    Taken(String),
    /// There is no series of that id.
    Unknown(u32),
    /// It is no name; says why.
    Name(String),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::Full(limit) => write!(
                f,
                "there are {limit} series already, which is all this hub takes; delete some, or \
                 write into one of those"
            ),
            Refused::Taken(name) => write!(f, "there is a series {name:?} already"),
            Refused::Unknown(id) => write!(f, "there is no series {id}"),
            Refused::Name(fault) => f.write_str(fault),
        }
    }
}

impl std::error::Error for Refused {}

/// A named sequence of samples.
#[derive(Debug)]
pub struct Series {
    pub(crate) id: u32,
    pub(crate) name: Arc<str>,
    pub(crate) unit: Option<Arc<str>>,
    /// Whether any of it came over the TCP port.
    pub(crate) tcp: bool,
    /// Whether its x are times; none before its first sample.
    pub(crate) timed: Option<bool>,
    pub(crate) history: History,
    /// The epoch in which it changed last.
    pub(crate) changed: u64,
    /// Whether the store knows its name and all the rest of it that is no sample.
    pub(crate) saved: bool,
    /// Whether the store is to begin anew with it.
    pub(crate) rewrite: bool,
    /// Whether it has something that the store has not.
    pub(crate) dirty: bool,
    malformed: u64,
    last_malformed: Option<String>,
}

impl Series {
    /// Its number; it is never another's.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// In what its y are measured, if somebody said so.
    pub fn unit(&self) -> Option<&str> {
        self.unit.as_deref()
    }

    /// Whether any of it came over the TCP port.
    pub fn is_tcp(&self) -> bool {
        self.tcp
    }

    /// Whether its x are times. One without samples passes for it.
    pub fn is_timed(&self) -> bool {
        self.timed.unwrap_or(true)
    }

    /// How far its newest x, if that is a time, is from when it came, in ms; negative
    /// for the past: a source whose clock is off, or that sends late, shows here.
    pub fn clock_offset(&self) -> Option<f64> {
        let newest = self.history.newest().filter(|_| self.is_timed());
        newest.map(|(x, _)| x - self.history.received() as f64)
    }

    /// Its samples.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// How many malformed lines came for it since the hub began, and the last of them.
    pub fn malformed(&self) -> (u64, Option<&str>) {
        (self.malformed, self.last_malformed.as_deref())
    }
}

/// All series.
#[derive(Debug)]
pub struct Registry {
    bounds: Bounds,
    by_name: HashMap<Arc<str>, u32>,
    pub(crate) series: BTreeMap<u32, Series>,
    pub(crate) next_id: u32,
    /// Those who write.
    pub sources: Sources,
    pub(crate) epoch: u64,
    /// Who changed in which epoch, the oldest first.
    pub(crate) log: VecDeque<(u64, u32)>,
    /// The last epoch of which deletions have been forgotten.
    pub(crate) forgotten: u64,
    /// Series that the store shall forget.
    pub(crate) deleted: Vec<u32>,
    /// Where to look for old samples next.
    swept: u32,
}

impl Registry {
    /// No series yet.
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            by_name: HashMap::new(),
            series: BTreeMap::new(),
            next_id: 1,
            sources: Sources::default(),
            epoch: 1,
            log: VecDeque::new(),
            forgotten: 0,
            deleted: Vec::new(),
            swept: 0,
        }
    }

    /// What may be held.
    pub fn bounds(&self) -> &Bounds {
        &self.bounds
    }

    /// All series, by id.
    pub fn all(&self) -> impl ExactSizeIterator<Item = &Series> {
        self.series.values()
    }

    /// The series of this id.
    ///
    /// # Errors
    /// There is none.
    pub fn get(&self, id: u32) -> Result<&Series, Refused> {
        self.series.get(&id).ok_or(Refused::Unknown(id))
    }

    /// The id of the series of this name.
    pub fn find(&self, name: &str) -> Option<u32> {
        self.by_name.get(name).copied()
    }

    /// The series of this name, made if there is none. `tcp` is whether who asks
    /// writes over the TCP port.
    ///
    /// # Errors
    /// There may be no more.
    pub fn open(&mut self, name: &str, tcp: bool) -> Result<u32, Refused> {
        let id = match self.find(name) {
            Some(id) => id,
            None => {
                if self.series.len() >= self.bounds.series {
                    return Err(Refused::Full(self.bounds.series));
                }
                let id = self.next_id;
                self.next_id += 1;
                self.insert(id, name, None, false, None);
                self.note(id);
                id
            }
        };
        if tcp && self.series.get(&id).is_some_and(|series| !series.tcp) {
            if let Some(series) = self.series.get_mut(&id) {
                series.tcp = true;
                series.saved = false;
            }
            // Viewers of what comes over TCP see it from here on.
            self.note(id);
        }
        Ok(id)
    }

    pub(crate) fn insert(
        &mut self,
        id: u32,
        name: &str,
        unit: Option<Arc<str>>,
        tcp: bool,
        timed: Option<bool>,
    ) -> &mut Series {
        let name: Arc<str> = name.into();
        self.by_name.insert(name.clone(), id);
        let series = Series {
            id,
            name,
            unit,
            tcp,
            timed,
            history: History::default(),
            changed: 0,
            saved: false,
            rewrite: false,
            dirty: false,
            malformed: 0,
            last_malformed: None,
        };
        self.series.entry(id).or_insert(series)
    }

    /// Notes that a series changed.
    fn note(&mut self, id: u32) {
        let epoch = self.epoch;
        if let Some(series) = self.series.get_mut(&id) {
            series.dirty = true;
            if series.changed == epoch {
                return;
            }
            series.changed = epoch;
        }
        self.log.push_back((epoch, id));
        if self.log.len() > 2 * (self.series.len() + REMEMBERED) {
            self.shorten_log();
        }
    }

    /// Leaves of each series only the last note, and of deleted ones only the latest.
    fn shorten_log(&mut self) {
        let gone = |id: &u32| !self.series.contains_key(id);
        let mut too_many = self.log.iter().filter(|(_, id)| gone(id)).count();
        too_many = too_many.saturating_sub(REMEMBERED / 2);
        let mut forgotten = self.forgotten;
        let series = &self.series;
        self.log.retain(|(epoch, id)| match series.get(id) {
            Some(series) => series.changed == *epoch,
            None if too_many > 0 => {
                too_many -= 1;
                forgotten = *epoch;
                false
            }
            None => true,
        });
        self.forgotten = forgotten;
    }

    /// Adds samples that came at `now`. The first of all decides whether the series'
    /// x are times.
    ///
    /// # Errors
    /// There is no such series (any more).
    pub fn append(&mut self, id: u32, samples: &[Sample], now: u64) -> Result<(), Refused> {
        let share = self.bounds.all_samples / self.series.len().max(1);
        let limit = self.bounds.samples.min(share).max(LEAST);
        let series = self.series.get_mut(&id).ok_or(Refused::Unknown(id))?;
        let Some(first) = samples.first() else {
            return Ok(());
        };
        if series.timed.is_none() {
            series.timed = Some(line::is_time(first.0));
            series.saved = false;
        }
        series.history.append(samples, now);
        series.history.bound(limit);
        self.note(id);
        Ok(())
    }

    /// Counts a malformed line.
    pub fn malformed(&mut self, id: u32, count: u64, last: String) {
        if let Some(series) = self.series.get_mut(&id) {
            series.malformed += count;
            series.last_malformed = Some(last);
        }
    }

    /// Gives a series another name.
    ///
    /// # Errors
    /// There is no such series, or there is one of that name, or it is no name.
    pub fn rename(&mut self, id: u32, name: &str) -> Result<(), Refused> {
        line::name(name.as_bytes()).map_err(|fault| Refused::Name(fault.to_owned()))?;
        if name.contains(['\n', '\r']) {
            let message = "a series' name is one line";
            return Err(Refused::Name(message.to_owned()));
        }
        let series = self.series.get_mut(&id).ok_or(Refused::Unknown(id))?;
        match self.by_name.get(name) {
            Some(other) if *other != id => return Err(Refused::Taken(name.to_owned())),
            _ => {}
        }
        let name: Arc<str> = name.into();
        self.by_name.remove(&series.name);
        self.by_name.insert(name.clone(), id);
        series.name = name;
        series.saved = false;
        self.note(id);
        Ok(())
    }

    /// Says in what a series' y are measured; nothing for no unit.
    ///
    /// # Errors
    /// There is no such series.
    pub fn set_unit(&mut self, id: u32, unit: Option<&str>) -> Result<(), Refused> {
        let series = self.series.get_mut(&id).ok_or(Refused::Unknown(id))?;
        let unit = unit.filter(|unit| !unit.is_empty());
        if series.unit() != unit {
            series.unit = unit.map(Arc::from);
            series.saved = false;
            self.note(id);
        }
        Ok(())
    }

    /// Deletes a series with all its samples. Who still writes into it begins a new
    /// one with the next line.
    ///
    /// # Errors
    /// There is no such series.
    pub fn delete(&mut self, id: u32) -> Result<(), Refused> {
        let series = self.series.remove(&id).ok_or(Refused::Unknown(id))?;
        self.by_name.remove(&series.name);
        self.deleted.push(id);
        self.note(id);
        Ok(())
    }

    /// Forgets what is too old, in a part of the series at each call; series of which
    /// nothing is left and into which nobody writes are deleted.
    pub fn sweep(&mut self, now: u64) {
        const PART: usize = 100;
        let before = now.saturating_sub(self.bounds.age);
        let share = self.bounds.all_samples / self.series.len().max(1);
        let limit = self.bounds.samples.min(share).max(LEAST);
        let part = self
            .series
            .range_mut(self.swept.saturating_add(1)..)
            .take(PART);
        let mut empty = Vec::new();
        let mut last = 0;
        for (&id, series) in part {
            last = id;
            let held = series.history.kept();
            if series.history.received() < before {
                series.history.clear();
                empty.push(id);
            }
            series.history.forget_before(before);
            series.history.bound(limit);
            if series.history.kept() != held {
                series.dirty = true;
            }
        }
        self.swept = last;
        for id in empty {
            if self.sources.of(id) == 0 {
                // It was there a moment ago.
                let _ = self.delete(id);
            }
        }
    }
}
