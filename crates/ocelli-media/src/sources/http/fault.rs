//! How a conversation with an HTTP camera fails, and what a person is told of it.

use crate::sources::REFUSED;
use crate::sources::reach::{no_answer, refused, unreachable};
use crate::sources::redact;
use ocelli_core::{Failure, FailureKind, Overspent};
use std::error::Error;
use std::io;

/// The reason when what comes is not HTTP.
pub(super) const NOT_HTTP: &str = "what answers there does not speak HTTP as it should";

/// The reason when an answer ends early.
pub(super) const CLOSED: &str = "the camera closed the connection";

/// Why an answer, or the rest of one, did not come.
#[derive(Debug)]
pub(super) enum Fault {
    /// The connection could not be opened in time.
    NoConnection,
    /// The connection could not be opened, or broke.
    Io(io::Error),
    /// The camera closed the connection before its answer was complete.
    Closed,
    /// What came is not HTTP.
    NotHttp,
    /// More came than is kept; the reason says of what.
    Excess(String),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Fault {
    /// The failure of the camera at `peer`; `otherwise` is the reason where no better one is
    /// known.
    pub(super) fn explain(self, peer: &str, otherwise: &str) -> Failure {
        let error = match self {
            Self::NoConnection => return Failure::new(FailureKind::Unreachable, no_answer(peer)),
            Self::Closed => return Failure::new(FailureKind::Ended, CLOSED),
            Self::NotHttp => return Failure::new(FailureKind::Ended, NOT_HTTP),
            Self::Excess(reason) => return Failure::new(FailureKind::Unsupported, reason),
            Self::Io(error) => error,
        };
        if let Some(overspent) = Overspent::cause_of(&error) {
            return overspent.into();
        }
        let account = account(&error);
        tracing::debug!(camera = %peer, "{}", redact(&account));
        if account.contains(REFUSED) {
            return refused();
        }
        if account.contains("certificate") {
            return Failure::new(
                FailureKind::Unsupported,
                "its certificate can't be verified; verify_tls = false accepts a camera's own",
            );
        }
        unreachable(&account, peer).unwrap_or_else(|| Failure::new(FailureKind::Ended, otherwise))
    }
}

/// An error with all its causes, for it is the last that tells.
fn account(error: &io::Error) -> String {
    let mut account = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        account.push_str(": ");
        account.push_str(&error.to_string());
        cause = error.source();
    }
    account
}
