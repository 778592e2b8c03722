//! The reasons why a device's connection is refused or closed, as sent to the device.

use ocelli_core::text::shown;
use ocelli_net::websocket::{Fault, close};
use serde_json::Value;
use std::fmt;

/// The reason why a device's connection is refused or closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The close code.
    pub code: u16,
    /// The machine-readable code.
    pub error_code: &'static str,
    /// What is wrong, and how to correct it.
    pub message: String,
}

impl Refusal {
    fn new(code: u16, error_code: &'static str, message: impl AsRef<str>) -> Self {
        Self {
            code,
            error_code,
            // The message may repeat the device's request, including a key in the wrong place.
            message: shown(message.as_ref()),
        }
    }

    /// The key is not valid: it is wrong, revoked, or for another room.
    pub fn invalid_key(message: impl AsRef<str>) -> Self {
        Self::new(close::UNAUTHORIZED, "invalid_key", message)
    }

    /// Pushing is not enabled.
    pub fn not_enabled(message: impl AsRef<str>) -> Self {
        Self::new(close::FORBIDDEN, "not_enabled", message)
    }

    /// A limit on devices is reached.
    pub fn quota_exceeded(message: impl AsRef<str>) -> Self {
        Self::new(close::FORBIDDEN, "quota_exceeded", message)
    }

    /// No JPEG arrived within the idle timeout.
    pub fn idle(seconds: u64) -> Self {
        let message = format!("no JPEG for {seconds} s, which is this app's idle timeout");
        Self::new(close::IDLE, "idle_timeout", message)
    }

    /// The same key connected again.
    pub fn replaced() -> Self {
        let message = "the same key connected again, and the new connection replaces this one";
        Self::new(close::REPLACED, "replaced", message)
    }

    /// A message was too long.
    pub fn frame_too_large(limit: usize) -> Self {
        let message = format!(
            "a frame may have at most {limit} bytes here; use a lower quality or a smaller size"
        );
        Self::new(close::TOO_LARGE, "frame_too_large", message)
    }

    /// Too many handshakes failed.
    pub fn rate_limited() -> Self {
        let message = "too many connections with a wrong key came from this address; \
                       wait a minute, and check the key";
        Self::new(close::TOO_MANY, "rate_limited", message)
    }

    /// Too many messages in a row are not pictures that the hub accepts. `last` is the reason
    /// for the last one.
    pub fn not_jpeg(times: u32, last: impl fmt::Display) -> Self {
        let message = format!(
            "{times} messages in a row were not JPEGs that this hub accepts; the last one: {last}; \
             each message must be one whole JPEG"
        );
        Self::new(1003, "not_jpeg", message)
    }

    /// The device broke the WebSocket protocol.
    pub fn protocol(fault: Fault) -> Self {
        Self::new(fault.code, "protocol_error", fault.message)
    }

    /// The device does not answer pings.
    pub fn no_pong(pings: u32) -> Self {
        let message = format!("{pings} pings were not answered; answer each ping with a pong");
        Self::new(1002, "no_pong", message)
    }

    /// The stream was stopped at the hub.
    pub fn stopped() -> Self {
        Self::new(1000, "stopped", "the stream was stopped at the hub")
    }

    /// The hub has an internal error.
    pub fn internal_error(message: impl AsRef<str>) -> Self {
        Self::new(1011, "internal", message)
    }

    /// Returns true for an error: false if the device was replaced or stopped by a user.
    pub fn is_fault(&self) -> bool {
        !["replaced", "stopped"].contains(&self.error_code)
    }

    /// The text message that is sent before the close.
    pub fn text(&self) -> String {
        // Boards may use very simple parsers, so the fields keep their order.
        let message = Value::from(self.message.as_str());
        let error_code = self.error_code;
        format!(r#"{{"type":"error","code":"{error_code}","message":{message}}}"#)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.error_code, self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ocelli_media::jpeg;

    #[test]
    fn the_device_is_told_why_its_messages_are_not_pictures() {
        for (message, reason) in [
            (&b"GIF89a"[..], "not a JPEG"),
            (b"\xff\xd8\xff\xe0\0\x10JFIF", "a JPEG without an end"),
            (b"\xff\xd8\xff\xd9", "a JPEG without a picture in it"),
        ] {
            let flaw = jpeg::picture(message).expect_err("not whole");
            let told = Refusal::not_jpeg(10, flaw).message;
            assert!(told.contains(&format!("the last one: {reason};")), "{told}");
        }
    }
}
