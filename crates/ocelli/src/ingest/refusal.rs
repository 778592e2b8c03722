//! Why a device's connection is refused or ended, as it is told.

use ocelli_core::TooLarge;
use ocelli_core::text::shown;
use ocelli_net::websocket::{Fault, close};
use serde_json::Value;
use std::fmt;

/// Why a device's connection is refused or ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The close code.
    pub code: u16,
    /// The word for programs.
    pub word: &'static str,
    /// What was wrong, and what would be right.
    pub message: String,
}

impl Refusal {
    fn new(code: u16, word: &'static str, message: impl AsRef<str>) -> Self {
        Self {
            code,
            word,
            // It may repeat what the device asked for, its key in the wrong place included.
            message: shown(message.as_ref()),
        }
    }

    /// The key opens nothing: it is wrong, revoked, or for another place.
    pub fn invalid_key(message: impl AsRef<str>) -> Self {
        Self::new(close::UNAUTHORIZED, "invalid_key", message)
    }

    /// Nobody may push there.
    pub fn not_enabled(message: impl AsRef<str>) -> Self {
        Self::new(close::FORBIDDEN, "not_enabled", message)
    }

    /// There is no room for it now.
    pub fn quota_exceeded(message: impl AsRef<str>) -> Self {
        Self::new(close::FORBIDDEN, "quota_exceeded", message)
    }

    /// No picture came for too long.
    pub fn idle(seconds: u64) -> Self {
        let message = format!("no JPEG for {seconds} s, which is this app's idle timeout");
        Self::new(close::IDLE, "idle_timeout", message)
    }

    /// The same key connected again.
    pub fn replaced() -> Self {
        let message = "the same key connected again, and the newcomer takes over";
        Self::new(close::REPLACED, "replaced", message)
    }

    /// A message was too long.
    pub fn frame_too_large(limit: usize) -> Self {
        let message =
            format!("a frame may have {limit} bytes here; a lower quality or size makes it fit");
        Self::new(close::TOO_LARGE, "frame_too_large", message)
    }

    /// Too many handshakes failed.
    pub fn rate_limited() -> Self {
        let message = "too many connections with a wrong key came from this address; \
                       wait a minute, and check the key";
        Self::new(close::TOO_MANY, "rate_limited", message)
    }

    /// What was sent is no picture that can be shown, time and again; the last one
    /// perhaps because of its size.
    pub fn not_jpeg(times: u32, too_large: Option<TooLarge>) -> Self {
        let message = match too_large {
            None => format!(
                "{times} messages in a row were no JPEG; a message has to be one whole JPEG"
            ),
            Some(too_large) => format!(
                "{times} messages in a row were no JPEG that is shown here: of the last, {too_large}"
            ),
        };
        Self::new(1003, "not_jpeg", message)
    }

    /// It broke the WebSocket protocol.
    pub fn protocol(fault: Fault) -> Self {
        Self::new(fault.code, "protocol_error", fault.message)
    }

    /// It does not answer pings.
    pub fn unanswered(pings: u32) -> Self {
        let message = format!("{pings} pings were not answered; each has to be answered by a pong");
        Self::new(1002, "no_pong", message)
    }

    /// Somebody stopped the stream.
    pub fn stopped() -> Self {
        Self::new(1000, "stopped", "the stream was stopped at the hub")
    }

    /// The hub has a fault of its own.
    pub fn broken(message: impl AsRef<str>) -> Self {
        Self::new(1011, "internal", message)
    }

    /// Whether something is wrong: the device was neither replaced nor stopped by hand.
    pub fn is_fault(&self) -> bool {
        !["replaced", "stopped"].contains(&self.word)
    }

    /// The message that goes before the close.
    pub fn text(&self) -> String {
        // Boards take it apart with what they have: the fields keep their order.
        let message = Value::from(self.message.as_str());
        let word = self.word;
        format!(r#"{{"type":"error","code":"{word}","message":{message}}}"#)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.word, self.message)
    }
}
