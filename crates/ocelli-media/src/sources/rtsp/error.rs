//! Reasons why a session can't continue.

use super::super::TlsFault;
use super::message;
use ocelli_core::BudgetExceeded;
use std::fmt;
use std::io;

/// The target of a redirect. It may contain a password, so `Debug` does not show it.
pub struct Target(pub String);

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// Reason why a session can't continue.
#[derive(Debug)]
pub enum SessionError {
    /// The camera can't be reached, or the connection broke.
    Io(io::Error),
    /// The TLS handshake failed.
    Tls(io::Error),
    /// This machine's trusted root certificates can't be loaded, with the reason.
    Roots(String),
    /// The camera closed the connection.
    Closed,
    /// The camera does not answer in time.
    Silent,
    /// The camera answers with this status to a request with this method.
    Status(u16, &'static str),
    /// The camera redirects to this address.
    Moved(Target),
    /// The camera requires an unsupported authentication scheme; it offers these.
    Challenge(String),
    /// The camera does not send RTP over TCP.
    NotTcp,
    /// The camera's video has this unsupported codec.
    Codec(String),
    /// The camera sends invalid RTSP, or exceeds a limit.
    Message(message::Fault),
    /// The camera sends something else that can't be used, with the reason.
    Unusable(String),
    /// The camera exceeds its budget.
    BudgetExceeded(BudgetExceeded),
}

impl SessionError {
    /// Whether TLS is the cause. With TLS 1.3, a camera that requires a client certificate ends
    /// the connection only after the handshake.
    pub fn is_tls(&self) -> bool {
        match self {
            Self::Tls(_) | Self::Roots(_) => true,
            Self::Io(error) => TlsFault::of(error) == Some(TlsFault::ClientCertificate),
            _ => false,
        }
    }
}

impl From<message::Fault> for SessionError {
    fn from(fault: message::Fault) -> Self {
        Self::Message(fault)
    }
}
