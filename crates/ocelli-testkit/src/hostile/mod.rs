//! Peers that attack a hub, and the judgement of how it bears them.
//!
//! # Layout
//! - [`Attack`]: one way of attacking, and what it may cost; [`attacks`] lists them all.
//! - [`Target`]: the hub, as an attacker reaches it. [`Progress`]: what the threads of an
//!   attack share.
//! - [`Stage`]: a hub with cameras and a viewer, on which attacks are borne and measured.
//! - `cameras` (the scripted server), `rtsp`, `http`: hostile cameras.
//! - `sockets`: viewers over WebSocket. `flood`: what sends without pause.
//! - `requests`, `http2`: HTTP clients. `handshakes`: TLS before any request.
//! - `passwords`, `series`, `devices`, `pictures`: what their names say.
//!
//! Attackers hold their own rates down: it is the hub that has to be slow by itself, not
//! for want of a processor that the attackers keep busy.

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

/// How long an attacker waits for anything at a time: soon enough to notice the end.
const BEAT: Duration = Duration::from_millis(50);
const MEGABYTE: u64 = 1_000_000;
/// Longer than a hub is patient with a peer that asks too much all the time.
const LONG: f64 = 13.0;

/// What an attack does from its beginning to its end, in a thread of its own.
type Run = Box<dyn Fn(&Target, &Progress) -> Result<()> + Send + Sync>;

/// Over what a hub is reached.
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

/// Over what an attack comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// Plain connections alone: it is not the hub that is connected to, or not on a port
    /// that has TLS.
    Plain,
    /// Both.
    Either,
    /// TLS alone.
    Tls,
}

/// What an attack may cost, beyond what holds for all of them.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Bytes of the hub's own that may be added to those before.
    pub growth: u64,
    /// Child processes at a time.
    pub children: usize,
    /// The bytes of all of them together.
    pub children_bytes: u64,
    /// Whether what the hub then holds was asked for, and may stay.
    pub keeps: bool,
    /// Whether it has to end: in the whole form the attack is then long enough for the
    /// hub to lose its patience.
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

/// One way of attacking.
pub struct Attack {
    /// Attacks of one kind, which a test takes together.
    pub family: &'static str,
    /// What it is called.
    pub name: String,
    /// Over what it comes.
    pub over: Over,
    /// Over what it comes in the short form; none if it is not in it, because another
    /// attack stands for it.
    pub short: Option<Transport>,
    /// How long it lasts at the least, in seconds: in the short form and in the whole.
    pub seconds: (f64, f64),
    /// What it may cost.
    pub bounds: Bounds,
    /// What has to be there before it, which the hub may keep.
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
            seconds: (1.5, 4.0),
            bounds: Bounds::default(),
            prepare: None,
            run: Box::new(run),
        }
    }

    /// Whether it comes over this.
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

    /// It has to be cut off.
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

/// All of them, in the order in which they are best borne: what leaves something behind
/// for a while comes last.
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

    /// Counts a connection that the hub refused or ended, by what it said.
    fn ended(&self, how: impl std::fmt::Display) {
        if !self.goes_on() {
            return;
        }
        let how: String = how.to_string().chars().take(120).collect();
        let mut endings = self.endings.lock().unwrap_or_else(PoisonError::into_inner);
        // What the hub says is bounded, but not by this program.
        if endings.len() < 40 || endings.contains_key(&how) {
            *endings.entry(how).or_default() += 1;
        }
    }

    /// Notes what the hub did that it should not have done.
    fn fault(&self, what: impl std::fmt::Display) {
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        faults.push(what.to_string());
    }

    /// Waits, but not beyond the attack's end.
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

/// What the attackers tell of an attack.
struct Told {
    connections: u64,
    bytes: u64,
    /// How connections ended, and how many did so.
    endings: Vec<(String, u64)>,
    faults: Vec<String>,
}

/// Holds a sender to a rate.
struct Pace {
    per_second: f64,
    due: Instant,
}

impl Pace {
    /// So much a second, of whatever is counted.
    fn new(per_second: f64) -> Self {
        Self {
            per_second,
            due: Instant::now(),
        }
    }

    /// Counts what was sent, and waits until more may be. Time in which nothing could be
    /// sent is not made up for.
    fn sent(&mut self, amount: usize) {
        let now = Instant::now();
        self.due = self.due.max(now - BEAT);
        self.due += Duration::from_secs_f64(amount as f64 / self.per_second);
        // Not for less than a system can wait.
        let ahead = self.due.saturating_duration_since(now);
        if ahead > Duration::from_millis(2) {
            thread::sleep(ahead.min(BEAT));
        }
    }
}
