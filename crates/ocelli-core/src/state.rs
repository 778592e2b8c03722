//! State of an upstream, with the reason.

use crate::clock::Timestamp;

/// State of a camera.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// No viewers, so nothing runs.
    Idle,
    /// Connecting; no picture yet.
    Starting,
    /// Pictures arrive.
    Live,
    /// Pictures have stopped, for this reason.
    Stalled(String),
    /// It crashed repeatedly, for this reason; it is retried with backoff.
    Failed(String),
}

impl State {
    /// Returns its name, as used on every interface.
    pub fn name(&self) -> &'static str {
        match self {
            State::Idle => "idle",
            State::Starting => "starting",
            State::Live => "live",
            State::Stalled(_) => "stalled",
            State::Failed(_) => "failed",
        }
    }

    /// Returns the reason to show to the user, if there is one.
    pub fn reason(&self) -> Option<&str> {
        match self {
            State::Stalled(reason) | State::Failed(reason) => Some(reason),
            _ => None,
        }
    }
}

/// The last failure. It is reported in every state until the stream works again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastFailure {
    /// The reason.
    pub reason: String,
    /// When it happened.
    pub at: Timestamp,
}
