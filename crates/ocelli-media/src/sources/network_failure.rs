//! Failure reasons for network errors, shared by all source kinds.

use super::REFUSED;
use ocelli_core::{Failure, FailureKind};

/// Converts a library's error text about a connection to `peer` (a host, or host:port) to a
/// failure. Returns `None` for other errors.
pub fn unreachable(account: &str, peer: &str) -> Option<Failure> {
    if account.contains(REFUSED) {
        return Some(refused());
    }
    let account = account.to_lowercase();
    let says = |parts: &[&str]| parts.iter().any(|part| account.contains(part));
    let reason = if says(&["connection refused"]) {
        format!("connection refused: nothing listens at {peer}; check the address and the port")
    } else if says(&["no route to host", "host is unreachable"]) {
        format!("no route to host {peer}; check the address")
    } else if says(&["network is unreachable"]) {
        format!("the network of {peer} is unreachable; check the address")
    } else if says(&[
        "lookup address",
        "dns error",
        "name or service not known",
        "failed to resolve",
    ]) {
        format!("can't resolve the host name in {peer}; check its spelling")
    } else if says(&["timed out", "timeout"]) {
        no_answer(peer)
    } else if says(&[
        "connection reset",
        "broken pipe",
        "unexpected eof",
        "eof while expecting",
        "connection closed",
    ]) {
        return Some(Failure::new(
            FailureKind::Ended,
            "the camera closed the connection",
        ));
    } else {
        return None;
    };
    Some(Failure::new(FailureKind::Unreachable, reason))
}

/// Returns the failure for a refused address. It does not depend on what is at the address.
pub fn refused() -> Failure {
    Failure::new(FailureKind::Unreachable, REFUSED)
}

/// Returns the reason for a peer that does not respond at all.
pub fn no_answer(peer: &str) -> String {
    format!("no answer from {peer}; check the address, and that the camera is on")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_texts_become_reasons() {
        let reason = |account| unreachable(account, "cam:554").map(|failure| failure.reason);
        assert_eq!(
            reason("Unable to connect: Connection refused (os error 111)").as_deref(),
            Some("connection refused: nothing listens at cam:554; check the address and the port")
        );
        assert_eq!(
            reason("No route to host (os error 113)").as_deref(),
            Some("no route to host cam:554; check the address")
        );
        assert_eq!(
            reason("Error reading from RTSP peer: EOF while expecting response to PLAY CSeq 3")
                .as_deref(),
            Some("the camera closed the connection")
        );
        assert_eq!(reason("something else"), None);
    }
}
