//! Why something on the network could not be reached, in the words that every
//! kind of source uses.

use super::REFUSED;
use ocelli_core::{Failure, FailureKind};

/// The reason behind a library's account of a failed connection to `peer`
/// (a host, or host:port); none if it tells of something else.
pub fn unreachable(account: &str, peer: &str) -> Option<Failure> {
    if account.contains(REFUSED) {
        return Some(refused());
    }
    let account = account.to_lowercase();
    let says = |parts: &[&str]| parts.iter().any(|part| account.contains(part));
    let reason = if says(&["connection refused"]) {
        format!("connection refused: nothing listens at {peer}")
    } else if says(&["no route to host", "host is unreachable"]) {
        format!("no route to host {peer}")
    } else if says(&["network is unreachable"]) {
        format!("the network of {peer} is unreachable")
    } else if says(&[
        "lookup address",
        "dns error",
        "name or service not known",
        "failed to resolve",
    ]) {
        format!("no host has the name in {peer}")
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

/// The failure of a camera whose address is refused: the same whatever is there.
pub fn refused() -> Failure {
    Failure::new(FailureKind::Unreachable, REFUSED)
}

/// The reason when nothing at all comes back.
pub fn no_answer(peer: &str) -> String {
    format!("no answer from {peer}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_become_reasons() {
        let reason = |account| unreachable(account, "cam:554").map(|failure| failure.reason);
        assert_eq!(
            reason("Unable to connect: Connection refused (os error 111)").as_deref(),
            Some("connection refused: nothing listens at cam:554")
        );
        assert_eq!(
            reason("No route to host (os error 113)").as_deref(),
            Some("no route to host cam:554")
        );
        assert_eq!(
            reason("Error reading from RTSP peer: EOF while expecting response to PLAY CSeq 3")
                .as_deref(),
            Some("the camera closed the connection")
        );
        assert_eq!(reason("something else"), None);
    }
}
