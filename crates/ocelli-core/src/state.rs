//! What an upstream is doing, in a word and a reason.

use crate::clock::Timestamp;

/// What a camera is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Nobody watches, so nothing runs.
    Idle,
    /// Connecting; no picture yet.
    Starting,
    /// Pictures come.
    Live,
    /// Pictures have stopped, for this reason.
    Stalled(String),
    /// It crashed again and again, for this reason; tried again with backoff.
    Failed(String),
}

impl State {
    /// The word for it on every interface.
    pub fn name(&self) -> &'static str {
        match self {
            State::Idle => "idle",
            State::Starting => "starting",
            State::Live => "live",
            State::Stalled(_) => "stalled",
            State::Failed(_) => "failed",
        }
    }

    /// What a person should know about it.
    pub fn reason(&self) -> Option<&str> {
        match self {
            State::Stalled(reason) | State::Failed(reason) => Some(reason),
            _ => None,
        }
    }
}

/// What went wrong last. It is told in every state, until it works again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastFailure {
    /// What it was.
    pub reason: String,
    /// When it was.
    pub at: Timestamp,
}
