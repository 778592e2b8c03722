//! All series, by name and id, and a log of their changes.
//!
//! Changes are counted in epochs: an epoch ends whenever a viewer reads. A changed series
//! is logged once per epoch, so that logging costs one comparison and a viewer finds
//! changes without scanning unchanged series.

use crate::history::History;
use crate::source::Sources;
use crate::{Sample, line};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;

/// Minimum number of samples that each series keeps, however many series exist.
const MIN_SAMPLES: usize = 1024;
/// Number of deleted series that are remembered for viewers that must still be notified.
const MAX_REMEMBERED: usize = 1000;

/// Limits of a registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Number of series.
    pub series: usize,
    /// Samples per series.
    pub samples: usize,
    /// Samples of all series together; each series has an equal share.
    pub all_samples: usize,
    /// Maximum age in ms.
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

/// Why an operation was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegistryError {
    /// The limit of series is reached.
    Full(usize),
    /// Another series has that name.
    Taken(String),
    /// No series has that id.
    Unknown(u32),
    /// The name is invalid, with the reason.
    Name(String),
}

impl fmt::Display for RegistryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RegistryError::Full(limit) => write!(
                f,
                "the limit of {limit} series is reached; delete some, or \
                 write into an existing one"
            ),
            RegistryError::Taken(name) => write!(
                f,
                "a series named {name:?} already exists; choose another name"
            ),
            RegistryError::Unknown(id) => write!(f, "there is no series {id}"),
            RegistryError::Name(fault) => f.write_str(fault),
        }
    }
}

impl std::error::Error for RegistryError {}

/// A named sequence of samples.
#[derive(Debug)]
pub struct Series {
    pub(crate) id: u32,
    pub(crate) name: Arc<str>,
    pub(crate) unit: Option<Arc<str>>,
    /// Whether any of its samples came over the TCP port.
    pub(crate) tcp: bool,
    /// Whether its x values are times; `None` before its first sample.
    pub(crate) timed: Option<bool>,
    pub(crate) history: History,
    /// The epoch of its last change.
    pub(crate) changed: u64,
    /// Whether its name and other properties are in the store.
    pub(crate) saved: bool,
    /// Whether the store must write it completely again.
    pub(crate) rewrite: bool,
    /// Whether it has changes that are not in the store.
    pub(crate) dirty: bool,
    malformed: u64,
    last_malformed: Option<String>,
}

impl Series {
    /// Returns its id, which is never reused.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Returns its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the unit of its y values, if set.
    pub fn unit(&self) -> Option<&str> {
        self.unit.as_deref()
    }

    /// Whether any of its samples came over the TCP port.
    pub fn is_tcp(&self) -> bool {
        self.tcp
    }

    /// Whether its x values are times. True for a series without samples.
    pub fn is_timed(&self) -> bool {
        self.timed.unwrap_or(true)
    }

    /// Returns the difference in ms between its newest x, if that is a time, and its
    /// receipt time; negative means in the past. It reveals a source whose clock is off or
    /// that sends late. `None` if the hub's clock was not set when it was received.
    pub fn clock_offset(&self) -> Option<f64> {
        let newest = self.history.newest().filter(|_| self.is_timed());
        let received = self.history.received() as f64;
        let newest = newest.filter(|_| line::is_time(received));
        newest.map(|(x, _)| x - received)
    }

    /// Returns its samples.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// Returns the number of malformed lines since the hub started, and the last of them.
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
    /// The sources that write samples.
    pub sources: Sources,
    pub(crate) epoch: u64,
    /// The changed series by epoch, the oldest first.
    pub(crate) log: VecDeque<(u64, u32)>,
    /// The last epoch whose deletions are no longer remembered.
    pub(crate) oldest_in_log: u64,
    /// Series to delete from the store.
    pub(crate) deleted: Vec<u32>,
    /// Where the search for old samples continues.
    swept: u32,
}

impl Registry {
    /// Creates an empty registry.
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            by_name: HashMap::new(),
            series: BTreeMap::new(),
            next_id: 1,
            sources: Sources::default(),
            epoch: 1,
            log: VecDeque::new(),
            oldest_in_log: 0,
            deleted: Vec::new(),
            swept: 0,
        }
    }

    /// Returns the limits.
    pub fn bounds(&self) -> &Bounds {
        &self.bounds
    }

    /// Returns all series, ordered by id.
    pub fn all(&self) -> impl ExactSizeIterator<Item = &Series> {
        self.series.values()
    }

    /// Returns the series with this id.
    ///
    /// # Errors
    /// Returns an error if the series does not exist.
    pub fn get(&self, id: u32) -> Result<&Series, RegistryError> {
        self.series.get(&id).ok_or(RegistryError::Unknown(id))
    }

    /// Returns the id of the series with this name.
    pub fn find(&self, name: &str) -> Option<u32> {
        self.by_name.get(name).copied()
    }

    /// Returns the id of the series with this name, which is created if it does not exist.
    /// `tcp` is whether the source writes over the TCP port.
    ///
    /// # Errors
    /// Returns an error if the limit of series is reached.
    pub fn open(&mut self, name: &str, tcp: bool) -> Result<u32, RegistryError> {
        let id = match self.find(name) {
            Some(id) => id,
            None => {
                if self.series.len() >= self.bounds.series {
                    return Err(RegistryError::Full(self.bounds.series));
                }
                let id = self.next_id;
                self.next_id += 1;
                self.insert(id, name, None, false, None);
                self.log_change(id);
                id
            }
        };
        if tcp && self.series.get(&id).is_some_and(|series| !series.tcp) {
            if let Some(series) = self.series.get_mut(&id) {
                series.tcp = true;
                series.saved = false;
            }
            // Viewers of TCP series see it from here on.
            self.log_change(id);
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

    /// Logs a change of a series.
    fn log_change(&mut self, id: u32) {
        let epoch = self.epoch;
        if let Some(series) = self.series.get_mut(&id) {
            series.dirty = true;
            if series.changed == epoch {
                return;
            }
            series.changed = epoch;
        }
        self.log.push_back((epoch, id));
        if self.log.len() > 2 * (self.series.len() + MAX_REMEMBERED) {
            self.shorten_log();
        }
    }

    /// Keeps only the last entry of each existing series, and the entries of the series
    /// that were deleted last.
    fn shorten_log(&mut self) {
        let gone = |id: &u32| !self.series.contains_key(id);
        let mut too_many = self.log.iter().filter(|(_, id)| gone(id)).count();
        too_many = too_many.saturating_sub(MAX_REMEMBERED / 2);
        let mut oldest_in_log = self.oldest_in_log;
        let series = &self.series;
        self.log.retain(|(epoch, id)| match series.get(id) {
            Some(series) => series.changed == *epoch,
            None if too_many > 0 => {
                too_many -= 1;
                oldest_in_log = *epoch;
                false
            }
            None => true,
        });
        self.oldest_in_log = oldest_in_log;
    }

    /// Adds samples that were received at `now`. The first sample determines whether the
    /// series' x values are times.
    ///
    /// # Errors
    /// Returns an error if the series does not exist (any more).
    pub fn append(&mut self, id: u32, samples: &[Sample], now: u64) -> Result<(), RegistryError> {
        let share = self.bounds.all_samples / self.series.len().max(1);
        let limit = self.bounds.samples.min(share).max(MIN_SAMPLES);
        let series = self.series.get_mut(&id).ok_or(RegistryError::Unknown(id))?;
        let Some(first) = samples.first() else {
            return Ok(());
        };
        if series.timed.is_none() {
            series.timed = Some(line::is_time(first.0));
            series.saved = false;
        }
        series.history.append(samples, now);
        series.history.bound(limit);
        self.log_change(id);
        Ok(())
    }

    /// Counts malformed lines.
    pub fn malformed(&mut self, id: u32, count: u64, last: String) {
        if let Some(series) = self.series.get_mut(&id) {
            series.malformed += count;
            series.last_malformed = Some(last);
        }
    }

    /// Renames a series.
    ///
    /// # Errors
    /// Returns an error if the series does not exist, the name is in use, or it is invalid.
    pub fn rename(&mut self, id: u32, name: &str) -> Result<(), RegistryError> {
        line::name(name.as_bytes()).map_err(|fault| RegistryError::Name(fault.to_owned()))?;
        if name.contains(['\n', '\r']) {
            let message = "a series' name must be a single line";
            return Err(RegistryError::Name(message.to_owned()));
        }
        let series = self.series.get_mut(&id).ok_or(RegistryError::Unknown(id))?;
        match self.by_name.get(name) {
            Some(other) if *other != id => return Err(RegistryError::Taken(name.to_owned())),
            _ => {}
        }
        let name: Arc<str> = name.into();
        self.by_name.remove(&series.name);
        self.by_name.insert(name.clone(), id);
        series.name = name;
        series.saved = false;
        self.log_change(id);
        Ok(())
    }

    /// Sets the unit of a series' y values; `None` for no unit.
    ///
    /// # Errors
    /// Returns an error if the series does not exist.
    pub fn set_unit(&mut self, id: u32, unit: Option<&str>) -> Result<(), RegistryError> {
        let series = self.series.get_mut(&id).ok_or(RegistryError::Unknown(id))?;
        let unit = unit.filter(|unit| !unit.is_empty());
        if series.unit() != unit {
            series.unit = unit.map(Arc::from);
            series.saved = false;
            self.log_change(id);
        }
        Ok(())
    }

    /// Deletes a series with all its samples. A source that still writes into it creates a
    /// new one with its next line.
    ///
    /// # Errors
    /// Returns an error if the series does not exist.
    pub fn delete(&mut self, id: u32) -> Result<(), RegistryError> {
        let series = self.series.remove(&id).ok_or(RegistryError::Unknown(id))?;
        self.by_name.remove(&series.name);
        self.deleted.push(id);
        self.log_change(id);
        Ok(())
    }

    /// Discards samples that are too old, in a part of the series at each call. Series that
    /// are empty and have no source are deleted.
    ///
    /// Samples that were received before the hub's clock was set count from when it was set.
    pub fn sweep(&mut self, now: u64) {
        const PART: usize = 100;
        let before = now.saturating_sub(self.bounds.age);
        let share = self.bounds.all_samples / self.series.len().max(1);
        let limit = self.bounds.samples.min(share).max(MIN_SAMPLES);
        let part = self
            .series
            .range_mut(self.swept.saturating_add(1)..)
            .take(PART);
        let mut empty = Vec::new();
        let mut last = 0;
        for (&id, series) in part {
            last = id;
            let held = series.history.held();
            if line::is_time(now as f64) && series.history.date_undated(now) {
                series.dirty = true;
            }
            if series.history.received() < before {
                series.history.clear();
                empty.push(id);
            }
            series.history.discard_before(before);
            series.history.bound(limit);
            if series.history.held() != held {
                series.dirty = true;
            }
        }
        self.swept = last;
        for id in empty {
            if self.sources.of(id) == 0 {
                // It existed a moment ago.
                let _ = self.delete(id);
            }
        }
    }
}
