//! The raw frames of a WebSocket, with checks for protocol errors.

use super::handshake::random;
use super::route::Stream;
use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// The largest frame that is accepted.
const LIMIT: u64 = 16 * 1024 * 1024;

/// The opcodes of frames.
pub mod opcode {
    pub const CONTINUATION: u8 = 0;
    pub const TEXT: u8 = 1;
    pub const BINARY: u8 = 2;
    pub const CLOSE: u8 = 8;
    pub const PING: u8 = 9;
    pub const PONG: u8 = 10;
}

/// One frame.
#[derive(Debug)]
pub struct Frame {
    pub fin: bool,
    pub opcode: u8,
    pub masked: bool,
    pub reserved: bool,
    pub payload: Vec<u8>,
}

impl Frame {
    /// The protocol error of a frame, if any; `open` is true inside a fragmented message.
    pub fn fault(&self, open: bool) -> Option<String> {
        let control = self.opcode >= 8;
        if self.reserved {
            return Some(
                "sets a reserved bit (RSV), as with a compression that was not negotiated".into(),
            );
        }
        if !matches!(self.opcode, 0..=2 | 8..=10) {
            return Some(format!("has the unknown opcode {}", self.opcode));
        }
        if control && !self.fin {
            return Some("fragments a control frame".into());
        }
        if control && self.payload.len() > 125 {
            return Some(format!(
                "is a control frame of {} bytes; at most 125 are allowed",
                self.payload.len()
            ));
        }
        if self.opcode == opcode::CONTINUATION && !open {
            return Some("continues a message that was never started".into());
        }
        if matches!(self.opcode, 1 | 2) && open {
            return Some("starts a message before the last one has ended".into());
        }
        if self.opcode == opcode::TEXT && self.fin && std::str::from_utf8(&self.payload).is_err() {
            return Some("is a text message that is not UTF-8; send pictures as binary".into());
        }
        None
    }
}

/// Why no frame arrived.
pub enum Broken {
    /// The connection has ended.
    Closed,
    /// The frame is larger than the limit.
    TooLong(u64),
}

/// A connection after its opening handshake.
pub struct Wire<'a> {
    stream: &'a mut dyn Stream,
    read: Vec<u8>,
}

impl<'a> Wire<'a> {
    /// `read` holds the bytes received after the handshake.
    pub fn new(stream: &'a mut dyn Stream, read: Vec<u8>) -> Self {
        Self { stream, read }
    }

    /// The next frame. Cancel-safe: no bytes are lost if the future is dropped.
    pub async fn next(&mut self) -> Result<Frame, Broken> {
        loop {
            if let Some((at, frame)) = parse(&self.read)? {
                self.read.drain(..at);
                return Ok(frame);
            }
            match self.stream.read_buf(&mut self.read).await {
                Ok(0) | Err(_) => return Err(Broken::Closed),
                Ok(_) => {}
            }
        }
    }

    /// Sends a short control frame, masked as a client's must be.
    pub async fn send(&mut self, opcode: u8, payload: &[u8]) -> io::Result<()> {
        let mut mask = [0; 4];
        random(&mut mask);
        let payload = &payload[..payload.len().min(125)];
        let mut frame = vec![0x80 | opcode, 0x80 | payload.len() as u8];
        frame.extend(mask);
        frame.extend(
            payload
                .iter()
                .zip(mask.iter().cycle())
                .map(|(byte, key)| byte ^ key),
        );
        self.stream.write_all(&frame).await?;
        self.stream.flush().await
    }
}

/// Parses the first frame in `read`. Returns the frame and the position of the next one;
/// `None` if it is not complete.
fn parse(read: &[u8]) -> Result<Option<(usize, Frame)>, Broken> {
    let [first, second, rest @ ..] = read else {
        return Ok(None);
    };
    let (length, size) = match second & 0x7F {
        126 => match rest.first_chunk::<2>() {
            Some(bytes) => (u64::from(u16::from_be_bytes(*bytes)), 2),
            None => return Ok(None),
        },
        127 => match rest.first_chunk::<8>() {
            Some(bytes) => (u64::from_be_bytes(*bytes), 8),
            None => return Ok(None),
        },
        short => (u64::from(short), 0),
    };
    if length > LIMIT {
        return Err(Broken::TooLong(length));
    }
    let masked = second & 0x80 != 0;
    let begin = 2 + size + if masked { 4 } else { 0 };
    let end = begin + length as usize;
    let Some(payload) = read.get(begin..end) else {
        return Ok(None);
    };
    let mut payload = payload.to_vec();
    if masked {
        let mask = &read[begin - 4..begin];
        for (byte, key) in payload.iter_mut().zip(mask.iter().cycle()) {
            *byte ^= key;
        }
    }
    let frame = Frame {
        fin: first & 0x80 != 0,
        opcode: first & 0x0F,
        masked,
        reserved: first & 0x70 != 0,
        payload,
    };
    Ok(Some((end, frame)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(bytes: &[u8]) -> Frame {
        let Ok(Some((at, frame))) = parse(bytes) else {
            panic!("a frame: {bytes:?}");
        };
        assert_eq!(at, bytes.len());
        frame
    }

    #[test]
    fn frames_of_every_length_are_parsed() {
        for (length, size) in [(5, 2), (200, 4), (70_000, 10)] {
            let mut bytes = vec![0x82];
            match size {
                2 => bytes.push(5),
                4 => bytes.extend([126, 0, 200]),
                _ => bytes.extend([127, 0, 0, 0, 0, 0, 1, 0x11, 0x70]),
            }
            bytes.resize(size + length, 7);
            assert_eq!(one(&bytes).payload.len(), length);
            assert!(matches!(parse(&bytes[..size + length - 1]), Ok(None)));
        }
        assert!(matches!(
            parse(&[0x82, 127, 255, 0, 0, 0, 0, 0, 0, 0]),
            Err(Broken::TooLong(_))
        ));
    }

    #[test]
    fn protocol_errors_are_found() {
        let fault = |bytes: &[u8], open| one(bytes).fault(open).unwrap_or_default();
        assert_eq!(fault(&[0x81, 1, b'a'], false), "");
        assert!(fault(&[0xC1, 0], false).contains("RSV"));
        assert!(fault(&[0x83, 0], false).contains("opcode 3"));
        assert!(fault(&[0x09, 0], false).contains("fragments"));
        assert!(fault(&[0x80, 0], false).contains("never started"));
        assert!(fault(&[0x81, 0], true).contains("before the last"));
        assert!(fault(&[0x81, 1, 0xFF], false).contains("not UTF-8"));
        let masked = one(&[0x81, 0x81, 1, 2, 3, 4, b'a' ^ 1]);
        assert!(masked.masked && masked.payload == b"a");
    }
}
