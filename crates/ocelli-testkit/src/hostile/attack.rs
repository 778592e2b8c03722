//! One attack: its code, its transports, and the limits that the hub must not exceed.

use super::progress::Progress;
use super::target::Target;
use crate::Result;

pub const MEGABYTE: u64 = 1_000_000;
/// Duration in seconds of an attack that the hub must end: longer than the hub tolerates a peer
/// that stays over its budget.
const LONG: f64 = 13.0;

/// Runs an attack until [`Progress::is_running`] is false.
type Run = Box<dyn Fn(&Target, &Progress) -> Result<()> + Send + Sync>;

/// The transport to the hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Plain connections.
    Plain,
    /// TLS.
    Tls,
}

impl Transport {
    pub(super) fn name(self) -> &'static str {
        match self {
            Transport::Plain => "plain",
            Transport::Tls => "TLS",
        }
    }
}

/// The transports an attack supports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// Plain only: either the hub is the client, or the port has no TLS.
    Plain,
    /// Plain and TLS.
    Either,
    /// TLS only.
    Tls,
}

/// The limits that the hub must not exceed during an attack. Frame rate and `/health` have the
/// same limits for all attacks.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The most that the hub's memory may grow, in bytes.
    pub growth: u64,
    /// The most child processes at a time.
    pub children: usize,
    /// The most memory of all child processes together, in bytes.
    pub children_bytes: u64,
    /// Whether the hub may keep the memory afterwards, because it stores what was requested.
    pub keeps: bool,
    /// Whether the hub must disconnect the attacker. The full form lasts long enough for that.
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

/// Duration of attacks, and strictness of the time limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A second or two each, for machines with other load: `/health` has more slack, and its
    /// median is judged too.
    Short,
    /// Several seconds each, with the limits of the contract.
    Whole,
}

/// One attack.
pub struct Attack {
    /// The kind of attack; `make attack` starts a separate hub for each kind.
    pub family: &'static str,
    /// Its name.
    pub name: String,
    /// The transports it can use.
    pub over: Over,
    /// The transport for the short form; `None` if the short form skips this attack because it
    /// runs a similar one.
    pub short: Option<Transport>,
    /// How long it is measured, in seconds: in the short form and in the full form.
    pub seconds: (f64, f64),
    /// The limits that the hub must not exceed.
    pub bounds: Bounds,
    /// Runs before the hub's memory is measured.
    pub(super) prepare: Option<Run>,
    pub(super) run: Run,
}

impl Attack {
    pub(super) fn new(
        family: &'static str,
        name: impl Into<String>,
        run: impl Fn(&Target, &Progress) -> Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self {
            family,
            name: name.into(),
            over: Over::Either,
            short: Some(Transport::Plain),
            seconds: (1.0, 3.0),
            bounds: Bounds::default(),
            prepare: None,
            run: Box::new(run),
        }
    }

    /// Whether this form runs the attack over this transport.
    pub fn is_over(&self, transport: Transport, form: Form) -> bool {
        match (form, self.over) {
            (Form::Short, _) => self.short == Some(transport),
            (Form::Whole, Over::Either) => true,
            (Form::Whole, Over::Plain) => transport == Transport::Plain,
            (Form::Whole, Over::Tls) => transport == Transport::Tls,
        }
    }

    pub(super) fn over(self, over: Over) -> Self {
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

    pub(super) fn short(self, short: Option<Transport>) -> Self {
        Self { short, ..self }
    }

    pub(super) fn seconds(self, short: f64, whole: f64) -> Self {
        let seconds = (short, whole);
        Self { seconds, ..self }
    }

    pub(super) fn bounds(self, bounds: Bounds) -> Self {
        Self { bounds, ..self }
    }

    /// Requires the hub to disconnect the attacker.
    pub(super) fn ends(mut self) -> Self {
        self.seconds.1 = self.seconds.1.max(LONG);
        self.bounds.ends = true;
        self
    }

    pub(super) fn after(
        mut self,
        prepare: impl Fn(&Target, &Progress) -> Result<()> + Send + Sync + 'static,
    ) -> Self {
        self.prepare = Some(Box::new(prepare));
        self
    }
}
