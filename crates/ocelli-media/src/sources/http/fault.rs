//! Faults of an HTTP exchange with a camera, and the failures shown to the user.

use crate::sources::REFUSED;
use crate::sources::network_failure::{no_answer, refused, unreachable};
use crate::sources::redact;
use crate::sources::tls_fault::{missing_certificate_reason, tls_reason};
use ocelli_core::{BudgetExceeded, Failure, FailureKind};
use std::error::Error;
use std::io;

/// The reason for a response that is not valid HTTP.
pub(super) const NOT_HTTP: &str = "the server at this address does not speak valid HTTP";

/// The reason for a TLS record in place of a response.
const EXPECTS_TLS: &str = "it speaks TLS on this port: write https:// in place of http://";

/// The reason for a body that can't be decompressed.
const NOT_COMPRESSED: &str = "it says that its pictures are compressed (Content-Encoding), but \
     they can't be decompressed; it should send them as they are";

/// The reason for a response that ends early.
pub(super) const CLOSED: &str = "the camera closed the connection";

/// Reason why a response, or the rest of one, did not arrive.
#[derive(Debug)]
pub(super) enum Fault {
    /// The connection could not be opened in time.
    NoConnection,
    /// The connection could not be opened, or broke.
    Io(io::Error),
    /// The TLS handshake failed.
    Handshake(io::Error),
    /// The camera closed the connection before its response was complete.
    Closed,
    /// The response is not HTTP.
    NotHttp,
    /// The server on a port without TLS expects TLS.
    ExpectsTls,
    /// The response's body is not compressed as its headers say.
    Coding,
    /// The response exceeds a limit, with the reason.
    Excess(String),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Fault {
    /// Returns the failure of the camera at `peer`. `otherwise` is the reason if no better one
    /// applies.
    pub(super) fn explain(self, peer: &str, otherwise: &str) -> Failure {
        let error = match self {
            Self::NoConnection => return Failure::new(FailureKind::Unreachable, no_answer(peer)),
            Self::Closed => return Failure::new(FailureKind::Ended, CLOSED),
            Self::NotHttp => return Failure::new(FailureKind::Ended, NOT_HTTP),
            Self::ExpectsTls => return Failure::new(FailureKind::Unsupported, EXPECTS_TLS),
            Self::Coding => return Failure::new(FailureKind::Unsupported, NOT_COMPRESSED),
            Self::Excess(reason) => return Failure::new(FailureKind::Unsupported, reason),
            Self::Io(error) => match missing_certificate_reason(&error) {
                Some(reason) => return Failure::new(FailureKind::Unsupported, reason),
                None => error,
            },
            Self::Handshake(error) => {
                if let Some(reason) = tls_reason(&error, "http") {
                    tracing::debug!(camera = %peer, "{}", redact(&account(&error)));
                    return Failure::new(FailureKind::Unsupported, reason);
                }
                error
            }
        };
        if let Some(exceeded) = BudgetExceeded::cause_of(&error) {
            return exceeded.into();
        }
        let account = account(&error);
        tracing::debug!(camera = %peer, "{}", redact(&account));
        if account.contains(REFUSED) {
            return refused();
        }
        unreachable(&account, peer).unwrap_or_else(|| Failure::new(FailureKind::Ended, otherwise))
    }
}

/// Returns an error's text with all its causes, because the last one is usually the specific
/// one.
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

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::{AlertDescription, Error};

    #[test]
    fn a_client_certificate_that_is_required_after_the_handshake_is_told() {
        let alert = |description| io::Error::other(Error::AlertReceived(description));
        let explained = |description| Fault::Io(alert(description)).explain("cam:443", CLOSED);
        let failure = explained(AlertDescription::CertificateRequired);
        assert_eq!(failure.kind, FailureKind::Unsupported);
        assert_eq!(
            failure.reason,
            "it requires a client certificate, which is not supported"
        );
        assert_eq!(explained(AlertDescription::InternalError).reason, CLOSED);
    }
}
