//! State shared by the threads of an attack: whether it is still running, what they count, and
//! how fast they may send.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// The longest single wait of an attacker, so that it notices the end of the attack.
pub const BEAT: Duration = Duration::from_millis(50);

/// State shared by the threads of one attack.
#[derive(Default)]
pub struct Progress {
    over: AtomicBool,
    connections: AtomicU64,
    bytes: AtomicU64,
    endings: Mutex<BTreeMap<String, u64>>,
    faults: Mutex<Vec<String>>,
}

impl Progress {
    /// Whether the attack is still running.
    pub fn is_running(&self) -> bool {
        !self.over.load(Ordering::Relaxed)
    }

    pub(super) fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    /// Counts a connection.
    pub(super) fn connected(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts bytes that were sent.
    pub(super) fn sent(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Counts a connection that the hub refused or ended, by its reason.
    pub(super) fn ended(&self, how: impl std::fmt::Display) {
        if !self.is_running() {
            return;
        }
        let how: String = how.to_string().chars().take(120).collect();
        let mut endings = self.endings.lock().unwrap_or_else(PoisonError::into_inner);
        // The reasons may all differ; a few are enough.
        if endings.len() < 40 || endings.contains_key(&how) {
            *endings.entry(how).or_default() += 1;
        }
    }

    /// Records a failure of the hub that only the attacker can observe.
    pub(super) fn fault(&self, what: impl std::fmt::Display) {
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        faults.push(what.to_string());
    }

    /// Sleeps, but not past the end of the attack.
    pub(super) fn sleep(&self, time: Duration) {
        let until = Instant::now() + time;
        while self.is_running() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            thread::sleep(left.min(BEAT));
        }
    }

    pub(super) fn counts(&self) -> Counts {
        let endings = self.endings.lock().unwrap_or_else(PoisonError::into_inner);
        let faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        let endings = endings.iter().map(|(how, count)| (how.clone(), *count));
        Counts {
            connections: self.connections.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            endings: endings.collect(),
            faults: faults.clone(),
        }
    }
}

/// What the attackers counted.
pub(super) struct Counts {
    pub connections: u64,
    pub bytes: u64,
    /// How connections ended, each with its number of occurrences.
    pub endings: Vec<(String, u64)>,
    pub faults: Vec<String>,
}

/// A limiter for a sender's rate.
pub(super) struct Pace {
    per_second: f64,
    due: Instant,
}

impl Pace {
    /// Allows this many units per second.
    pub(super) fn new(per_second: f64) -> Self {
        Self {
            per_second,
            due: Instant::now(),
        }
    }

    /// Counts units sent, and waits until more may be sent. A sender that was blocked does not
    /// catch up.
    pub(super) fn sent(&mut self, amount: usize) {
        let now = Instant::now();
        self.due = self.due.max(now - BEAT);
        self.due += Duration::from_secs_f64(amount as f64 / self.per_second);
        // Shorter sleeps are inaccurate.
        let ahead = self.due.saturating_duration_since(now);
        if ahead > Duration::from_millis(2) {
            thread::sleep(ahead.min(BEAT));
        }
    }
}
