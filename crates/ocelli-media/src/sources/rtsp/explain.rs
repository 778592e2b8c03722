//! Reasons for the user, one for each way in which a session can fail. The API and
//! `ocelli doctor` show the same text.

use super::super::network_failure::{no_answer, refused, unreachable};
use super::super::tls_fault::{missing_certificate_reason, tls_reason};
use super::super::{REFUSED, redact};
use super::client::Client;
use super::error::SessionError;
use super::message::Fault;
use ocelli_core::{Failure, FailureKind};
use std::io;

impl Client {
    /// Returns the failure for the user.
    pub fn explain(&self, error: &SessionError) -> Failure {
        let peer = self.peer();
        tracing::debug!(camera = %peer, ?error, "the attempt failed");
        let unsupported = |reason: String| Failure::new(FailureKind::Unsupported, reason);
        match error {
            SessionError::Io(error) => match missing_certificate_reason(error) {
                Some(reason) => unsupported(reason),
                None => explain_io(error, &peer),
            },
            SessionError::Tls(error) => match tls_reason(error, "rtsp") {
                Some(reason) => unsupported(reason),
                None => explain_io(error, &peer),
            },
            SessionError::Roots(reason) => Failure::new(FailureKind::Missing, reason),
            SessionError::Closed => {
                Failure::new(FailureKind::Ended, "the camera closed the connection")
            }
            SessionError::Silent => Failure::new(
                FailureKind::Unreachable,
                format!("{peer} accepts the connection but does not answer as an RTSP camera"),
            ),
            SessionError::Status(status, method) => self.explain_status(*status, method),
            SessionError::Moved(_) => unsupported("it redirects during playback".to_owned()),
            SessionError::Challenge(offers) => Failure::new(
                FailureKind::Unauthorized,
                match &**offers {
                    "" => "401: it requires a password but names no authentication scheme; it \
                           should be basic or digest"
                        .to_owned(),
                    offers => format!(
                        "401: its authentication scheme ({offers}) is not supported; it should \
                         be basic or digest"
                    ),
                },
            ),
            SessionError::NotTcp => unsupported(
                "it sends RTP neither over TCP nor over UDP in a way that is supported".to_owned(),
            ),
            SessionError::Codec(name) => unsupported(format!(
                "its video is {name}; it should be H.264, H.265 or MJPEG, or the address \
                 ffmpeg:rtsp://… in the configuration file"
            )),
            // An answer of any server on the network is not for everyone who may add a camera.
            SessionError::Message(Fault::NotRtsp(_)) if self.ssrf_guard.is_some() => {
                unsupported(Fault::NotRtsp(String::new()).to_string())
            }
            SessionError::Message(fault) => unsupported(fault.to_string()),
            SessionError::Unusable(reason) => unsupported(reason.clone()),
            SessionError::BudgetExceeded(exceeded) => (*exceeded).into(),
        }
    }

    fn explain_status(&self, status: u16, method: &str) -> Failure {
        let (kind, reason) = match status {
            300..=399 => (FailureKind::Unsupported, "its redirect has no address"),
            401 if self.redirected.is_some() => {
                let target = redact(self.redirected.as_deref().unwrap_or_default());
                let reason = format!(
                    "401: it redirects to {target}; the password is not sent there: enter that \
                     address"
                );
                return Failure::new(FailureKind::Unauthorized, reason);
            }
            401 if self.credentials.is_none() => {
                (FailureKind::Unauthorized, "user and password required")
            }
            401 => (FailureKind::Unauthorized, "wrong user or password"),
            403 => (
                FailureKind::Unauthorized,
                "this user is not allowed to view the stream",
            ),
            404 | 454 => (FailureKind::NotFound, "no such stream at this address"),
            453 | 503 => (
                FailureKind::Ended,
                "the camera is busy; it may have reached its limit of viewers",
            ),
            461 => (
                FailureKind::Unsupported,
                "it sends RTP neither over TCP nor over UDP",
            ),
            _ => {
                let reason = format!("{status}: the camera rejects {method}");
                return Failure::new(FailureKind::Unsupported, reason);
            }
        };
        Failure::new(kind, format!("{status}: {reason}"))
    }
}

fn explain_io(error: &io::Error, peer: &str) -> Failure {
    if error.to_string() == REFUSED {
        return refused();
    }
    if error.kind() == io::ErrorKind::TimedOut {
        return Failure::new(FailureKind::Unreachable, no_answer(peer));
    }
    unreachable(&error.to_string(), peer).unwrap_or_else(|| {
        let reason = format!("the connection to {peer} failed: {error}");
        Failure::new(FailureKind::Unreachable, reason)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::{AlertDescription, Error};
    use url::Url;

    #[test]
    fn a_client_certificate_that_is_required_after_the_handshake_is_told() {
        let url = Url::parse("rtsps://cam/live").expect("a URL");
        let alert = Error::AlertReceived(AlertDescription::CertificateRequired);
        let error = SessionError::Io(io::Error::other(alert));
        assert_eq!(
            Client::new(url, None, "test").explain(&error).reason,
            "it requires a client certificate, which is not supported"
        );
    }
}
