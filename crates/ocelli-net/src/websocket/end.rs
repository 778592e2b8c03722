//! The reason why a socket ended, as text for the log and for the peer.

use std::fmt;
use std::io;
use tokio_websockets::proto::ProtocolError;
use tokio_websockets::{CloseCode, Error};

/// The reason why a socket ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The peer closed it with this code (RFC 6455, 7.4).
    Closed(u16),
    /// The connection ended without a close frame.
    Cut,
    /// The connection failed, with a description.
    Broken(String),
    /// The peer violated the protocol.
    Fault(Fault),
    /// This many pings were not answered.
    Unanswered(u32),
    /// The peer exceeded its budget, with a description.
    BudgetExceeded(String),
}

/// A protocol violation by a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The close code.
    pub code: u16,
    /// What is wrong, and what is correct.
    pub message: &'static str,
}

impl Fault {
    fn of(error: &ProtocolError) -> Self {
        let protocol = |message| Self {
            code: CloseCode::PROTOCOL_ERROR.into(),
            message,
        };
        match error {
            ProtocolError::InvalidUtf8 => Self {
                code: CloseCode::INVALID_FRAME_PAYLOAD_DATA.into(),
                message: "a text message is not valid UTF-8; send pictures in binary messages",
            },
            ProtocolError::UnexpectedUnmaskedFrame => {
                protocol("a frame is not masked; a client must mask every frame")
            }
            ProtocolError::InvalidRsv => protocol(
                "a frame has reserved bits set; no extension such as compression was negotiated",
            ),
            ProtocolError::InvalidOpcode => protocol(
                "a frame has an unknown opcode, or a message began before the last one ended",
            ),
            ProtocolError::FragmentedControlFrame => {
                protocol("a ping, pong or close is fragmented; each must be one frame")
            }
            ProtocolError::InvalidPayloadLength => protocol(
                "a frame's length is not valid: a ping, pong or close has at most 125 bytes, \
                 and a length uses the shortest encoding",
            ),
            ProtocolError::InvalidCloseCode => {
                protocol("a close frame has a code that must not be sent")
            }
            _ => protocol("a frame is not valid"),
        }
    }
}

impl End {
    /// Whether the peer closed the socket normally.
    pub fn is_regular(&self) -> bool {
        // Normal, going away, and no code at all.
        matches!(self, End::Closed(1000 | 1001 | 1005))
    }

    pub(super) fn of(error: &Error) -> Self {
        match error {
            Error::Protocol(error) => End::Fault(Fault::of(error)),
            Error::PayloadTooLong { .. } => End::Fault(Fault {
                code: CloseCode::MESSAGE_TOO_BIG.into(),
                message: "a message is too long",
            }),
            Error::Io(error) => Self::of_io(error),
            other => End::Broken(other.to_string()),
        }
    }

    fn of_io(error: &io::Error) -> Self {
        use io::ErrorKind::{
            BrokenPipe, ConnectionAborted, ConnectionReset, TimedOut, UnexpectedEof,
        };
        let words = match error.kind() {
            // TLS without `close_notify`.
            UnexpectedEof => return End::Cut,
            BrokenPipe | ConnectionAborted | ConnectionReset => "the peer reset it",
            TimedOut => "the peer reads nothing",
            // The only kind that the framing itself produces.
            io::ErrorKind::Other if error.raw_os_error().is_none() => {
                "it ended in the middle of a frame"
            }
            _ => return End::Broken(error.to_string()),
        };
        End::Broken(words.to_owned())
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            regular if regular.is_regular() => f.write_str("it disconnected"),
            End::Closed(code) => write!(f, "it closed the connection with code {code}"),
            End::Cut => f.write_str("the connection ended without a close frame"),
            End::Broken(words) => write!(f, "the connection broke: {words}"),
            End::Fault(fault) => write!(f, "it violated the protocol: {}", fault.message),
            End::BudgetExceeded(words) => write!(f, "the hub closed the connection: {words}"),
            End::Unanswered(pings) => write!(f, "it did not answer {pings} pings"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn io_errors_have_readable_descriptions() {
        let text = |error: io::Error| End::of(&Error::Io(error)).to_string();
        for (error, words) in [
            (
                io::Error::from(io::ErrorKind::ConnectionReset),
                "the connection broke: the peer reset it",
            ),
            (
                io::ErrorKind::UnexpectedEof.into(),
                "the connection ended without a close frame",
            ),
            (
                io::ErrorKind::TimedOut.into(),
                "the connection broke: the peer reads nothing",
            ),
            (
                io::Error::other("bytes remaining on stream"),
                "the connection broke: it ended in the middle of a frame",
            ),
        ] {
            assert_eq!(text(error), words);
        }
        let host = text(io::Error::from_raw_os_error(113));
        assert!(host.contains("No route to host"), "{host}");
    }
}
