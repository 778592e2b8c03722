//! Hostile peers, and a stage that measures what their attacks cost everyone else.
//!
//! # Layout
//! - [`Attack`]: one attack and its limits; [`attacks`] lists them all.
//! - [`Target`]: how an attacker reaches the hub. [`Progress`]: what the threads of an attack
//!   share.
//! - [`Stage`]: a hub with honest cameras and a viewer. It runs attacks and judges them;
//!   `health` times `/health` meanwhile.
//! - `cameras` (a scripted server), `rtsp`, `http`: hostile cameras.
//! - `sockets`: WebSocket viewers. `flood`: sending without pause.
//! - `requests`, `http2`: HTTP clients. `handshakes`: TLS.
//! - `passwords`, `series`, `devices`, `pictures`: attacks on those.
//!
//! Attackers limit their own rates and run at a low priority: what is measured is the hub,
//! not competition for processors.

mod cameras;
mod devices;
mod flood;
mod handshakes;
mod health;
mod http;
mod http2;
mod passwords;
mod pictures;
mod requests;
mod rtsp;
mod series;
mod sockets;
mod stage;
mod target;

pub use stage::{Form, Outcome, Stage};
pub use target::Target;

use crate::Result;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// The longest single wait of an attacker, so that it notices the end of the attack.
const BEAT: Duration = Duration::from_millis(50);
const MEGABYTE: u64 = 1_000_000;
/// Seconds: longer than the hub's patience with a peer that stays over its budget.
const LONG: f64 = 13.0;

/// Runs an attack until [`Progress::goes_on`] is false.
type Run = Box<dyn Fn(&Target, &Progress) -> Result<()> + Send + Sync>;

/// How the hub is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Plain connections.
    Plain,
    /// TLS.
    Tls,
}

impl Transport {
    fn name(self) -> &'static str {
        match self {
            Transport::Plain => "plain",
            Transport::Tls => "TLS",
        }
    }
}

/// Which transports an attack can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// Plain only: the hub itself connects, or the port has no TLS.
    Plain,
    /// Both.
    Either,
    /// TLS only.
    Tls,
}

/// What an attack may cost. Frame rate and `/health` have the same limits for all.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// By how many bytes the hub's memory may grow.
    pub growth: u64,
    /// How many child processes there may be at a time.
    pub children: usize,
    /// The memory of all child processes together, in bytes.
    pub children_bytes: u64,
    /// Whether the hub may keep the memory, because it holds what was asked for.
    pub keeps: bool,
    /// Whether the hub must cut the attacker off. The whole form then lasts long enough.
    pub ends: bool,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            growth: 64 * MEGABYTE,
            children: 0,
            children_bytes: 0,
            keeps: false,
            ends: false,
        }
    }
}

/// One attack.
pub struct Attack {
    /// The kind of attack; one test runs all of a family.
    pub family: &'static str,
    /// Its name.
    pub name: String,
    /// The transports it can use.
    pub over: Over,
    /// The transport it uses in the short form; none if the short form leaves it out in
    /// favour of a similar attack.
    pub short: Option<Transport>,
    /// How long it is measured, in seconds: in the short form and in the whole form.
    pub seconds: (f64, f64),
    /// What it may cost.
    pub bounds: Bounds,
    /// Runs before the hub's memory is measured.
    prepare: Option<Run>,
    run: Run,
}

impl Attack {
    fn new(
        family: &'static str,
        name: impl Into<String>,
        run: impl Fn(&Target, &Progress) -> Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self {
            family,
            name: name.into(),
            over: Over::Either,
            short: Some(Transport::Plain),
            seconds: (1.2, 3.0),
            bounds: Bounds::default(),
            prepare: None,
            run: Box::new(run),
        }
    }

    /// Whether this form runs it over this transport.
    pub fn is_over(&self, transport: Transport, form: Form) -> bool {
        match (form, self.over) {
            (Form::Short, _) => self.short == Some(transport),
            (Form::Whole, Over::Either) => true,
            (Form::Whole, Over::Plain) => transport == Transport::Plain,
            (Form::Whole, Over::Tls) => transport == Transport::Tls,
        }
    }

    fn over(self, over: Over) -> Self {
        let short = match over {
            Over::Tls => Some(Transport::Tls),
            Over::Plain | Over::Either => Some(Transport::Plain),
        };
        Self {
            over,
            short,
            ..self
        }
    }

    fn short(self, short: Option<Transport>) -> Self {
        Self { short, ..self }
    }

    fn seconds(self, short: f64, whole: f64) -> Self {
        let seconds = (short, whole);
        Self { seconds, ..self }
    }

    fn bounds(self, bounds: Bounds) -> Self {
        Self { bounds, ..self }
    }

    /// The hub must cut the attacker off.
    fn ends(mut self) -> Self {
        self.seconds.1 = self.seconds.1.max(LONG);
        self.bounds.ends = true;
        self
    }

    fn after(
        mut self,
        prepare: impl Fn(&Target, &Progress) -> Result<()> + Send + Sync + 'static,
    ) -> Self {
        self.prepare = Some(Box::new(prepare));
        self
    }
}

/// All attacks. Those that leave child processes for a while come last.
pub fn attacks() -> Vec<Attack> {
    [
        rtsp::attacks(),
        http::attacks(),
        sockets::attacks(),
        requests::attacks(),
        http2::attacks(),
        handshakes::attacks(),
        devices::attacks(),
        passwords::attacks(),
        series::attacks(),
        pictures::attacks(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// What the threads of one attack share.
#[derive(Default)]
pub struct Progress {
    over: AtomicBool,
    connections: AtomicU64,
    bytes: AtomicU64,
    endings: Mutex<BTreeMap<String, u64>>,
    faults: Mutex<Vec<String>>,
}

impl Progress {
    /// Whether the attack goes on.
    pub fn goes_on(&self) -> bool {
        !self.over.load(Ordering::Relaxed)
    }

    fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    /// Counts a connection.
    fn connected(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts bytes that were sent.
    fn sent(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Counts a connection that the hub refused or ended, by its reason.
    fn ended(&self, how: impl std::fmt::Display) {
        if !self.goes_on() {
            return;
        }
        let how: String = how.to_string().chars().take(120).collect();
        let mut endings = self.endings.lock().unwrap_or_else(PoisonError::into_inner);
        // The reasons may all differ; a few are enough.
        if endings.len() < 40 || endings.contains_key(&how) {
            *endings.entry(how).or_default() += 1;
        }
    }

    /// Records a failure of the hub that only the attacker sees.
    fn fault(&self, what: impl std::fmt::Display) {
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        faults.push(what.to_string());
    }

    /// Waits, but not beyond the end of the attack.
    fn rest(&self, time: Duration) {
        let until = Instant::now() + time;
        while self.goes_on() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            thread::sleep(left.min(BEAT));
        }
    }

    fn told(&self) -> Told {
        let endings = self.endings.lock().unwrap_or_else(PoisonError::into_inner);
        let faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        let endings = endings.iter().map(|(how, count)| (how.clone(), *count));
        Told {
            connections: self.connections.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            endings: endings.collect(),
            faults: faults.clone(),
        }
    }
}

/// What the attackers counted.
struct Told {
    connections: u64,
    bytes: u64,
    /// How connections ended, and how many did so.
    endings: Vec<(String, u64)>,
    faults: Vec<String>,
}

/// Limits a sender's rate.
struct Pace {
    per_second: f64,
    due: Instant,
}

impl Pace {
    /// Allows so many units a second.
    fn new(per_second: f64) -> Self {
        Self {
            per_second,
            due: Instant::now(),
        }
    }

    /// Counts what was sent and waits until more may be sent. A sender that was blocked does
    /// not catch up.
    fn sent(&mut self, amount: usize) {
        let now = Instant::now();
        self.due = self.due.max(now - BEAT);
        self.due += Duration::from_secs_f64(amount as f64 / self.per_second);
        // Shorter sleeps are not accurate.
        let ahead = self.due.saturating_duration_since(now);
        if ahead > Duration::from_millis(2) {
            thread::sleep(ahead.min(BEAT));
        }
    }
}
