//! Why a socket ended, in words for the log and for the peer.

use std::fmt;
use std::io;
use tokio_websockets::proto::ProtocolError;
use tokio_websockets::{CloseCode, Error};

/// Why a socket ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The peer closed it with this code (RFC 6455, 7.4).
    Closed(u16),
    /// The connection ended without a close frame.
    Cut,
    /// The connection failed, in words.
    Broken(String),
    /// The peer broke the protocol.
    Fault(Fault),
    /// So many pings stayed unanswered.
    Unanswered(u32),
    /// It stayed over its budget, in words.
    Overspent(String),
}

/// How a peer broke the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The close code for it.
    pub code: u16,
    /// What was wrong, and what would be right.
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
                message: "a text is not valid UTF-8; pictures go in binary messages",
            },
            ProtocolError::UnexpectedUnmaskedFrame => {
                protocol("a frame is not masked; a client masks every frame")
            }
            ProtocolError::InvalidRsv => protocol(
                "a frame has reserved bits set; no extension such as compression was agreed on",
            ),
            ProtocolError::InvalidOpcode => protocol(
                "a frame has an unknown opcode, or a message began before the last one ended",
            ),
            ProtocolError::FragmentedControlFrame => {
                protocol("a ping, pong or close is fragmented; each is one frame")
            }
            ProtocolError::InvalidPayloadLength => protocol(
                "a frame's length is not valid: a ping, pong or close holds at most 125 bytes, \
                 and a length takes the shortest form",
            ),
            ProtocolError::InvalidCloseCode => {
                protocol("a close frame has a code that may not be sent")
            }
            _ => protocol("a frame is not valid"),
        }
    }
}

impl End {
    /// Whether the peer left as it should.
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
            // TLS without its own end.
            UnexpectedEof => return End::Cut,
            BrokenPipe | ConnectionAborted | ConnectionReset => "it was reset by the peer",
            TimedOut => "the peer takes nothing that it is sent",
            // The only kind that the framing itself makes.
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
            regular if regular.is_regular() => f.write_str("it left"),
            End::Closed(code) => write!(f, "it closed the connection with code {code}"),
            End::Cut => f.write_str("the connection ended without a close"),
            End::Broken(words) => write!(f, "the connection broke: {words}"),
            End::Fault(fault) => write!(f, "it broke the protocol: {}", fault.message),
            End::Overspent(words) => write!(f, "it was cut off: {words}"),
            End::Unanswered(pings) => write!(f, "it answered none of {pings} pings"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_a_connection_broke_is_told_in_words() {
        let told = |error: io::Error| End::of(&Error::Io(error)).to_string();
        for (error, words) in [
            (
                io::Error::from(io::ErrorKind::ConnectionReset),
                "the connection broke: it was reset by the peer",
            ),
            (
                io::ErrorKind::UnexpectedEof.into(),
                "the connection ended without a close",
            ),
            (
                io::ErrorKind::TimedOut.into(),
                "the connection broke: the peer takes nothing that it is sent",
            ),
            (
                io::Error::other("bytes remaining on stream"),
                "the connection broke: it ended in the middle of a frame",
            ),
        ] {
            assert_eq!(told(error), words);
        }
        let host = told(io::Error::from_raw_os_error(113));
        assert!(host.contains("No route to host"), "{host}");
    }
}
