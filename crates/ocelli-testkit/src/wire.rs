//! The WebSocket wire format: the opening request, and frames. All clients of the testkit and
//! the benchmarks, blocking or not, read and write them here.
//!
//! Nothing is buffered, and only a frame's length is checked. Checking whether a frame is valid
//! is up to the tests.

use std::fmt::Display;
use std::io::{self, Read};

/// The example key of RFC 6455.
pub const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// The longest payload that is accepted.
const LONGEST: u64 = 64 * 1024 * 1024;

/// Returns the opening request; `more` contains additional header lines, each with its line
/// end.
pub fn request(host: impl Display, path: &str, more: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n{more}\r\n"
    )
}

/// A frame's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The first byte: FIN, the reserved bits and the opcode.
    pub first: u8,
    /// The mask, if there is one.
    pub mask: Option<[u8; 4]>,
    /// Length of the header.
    pub size: usize,
    /// Length of the payload.
    pub length: u64,
}

impl Header {
    /// Parses the header at the beginning of `bytes`. Returns `None` if it is incomplete.
    #[inline]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let [first, second, rest @ ..] = bytes else {
            return None;
        };
        let (mut size, length) = match second & 0x7F {
            126 => (4, u64::from(u16::from_be_bytes(*rest.first_chunk()?))),
            127 => (10, u64::from_be_bytes(*rest.first_chunk()?)),
            short => (2, u64::from(short)),
        };
        let mut mask = None;
        if second & 0x80 != 0 {
            mask = Some(*bytes.get(size..)?.first_chunk()?);
            size += 4;
        }
        Some(Self {
            first: *first,
            mask,
            size,
            length,
        })
    }

    /// The opcode: 0 continuation, 1 text, 2 binary, 8 close, 9 ping, 10 pong.
    pub fn opcode(&self) -> u8 {
        self.first & 0x0F
    }

    /// Removes the mask from a payload.
    pub fn unmask(&self, payload: &mut [u8]) {
        if let Some(mask) = self.mask {
            for (byte, mask) in payload.iter_mut().zip(mask.iter().cycle()) {
                *byte ^= mask;
            }
        }
    }
}

/// Reads one frame, and no further.
///
/// # Errors
/// Returns an error if the connection failed or ended, or if the frame is too long.
pub fn read(from: &mut impl Read) -> io::Result<(Header, Vec<u8>)> {
    // The longest possible header.
    let mut head = [0; 14];
    let mut came = 0;
    let mut wanted = 2;
    let header = loop {
        from.read_exact(&mut head[came..wanted])?;
        came = wanted;
        match Header::parse(&head[..came]) {
            Some(header) => break header,
            None => wanted = size(head[1]),
        }
    };
    if header.length > LONGEST {
        let length = header.length;
        return Err(io::Error::other(format!("a message of {length} bytes")));
    }
    let mut payload = vec![0; header.length as usize];
    from.read_exact(&mut payload)?;
    header.unmask(&mut payload);
    Ok((header, payload))
}

/// Returns the length of a header with this second byte.
fn size(second: u8) -> usize {
    let length = match second & 0x7F {
        126 => 4,
        127 => 10,
        _ => 2,
    };
    length + usize::from(second >> 7) * 4
}

/// Encodes one frame as a client sends it, with an all-zero mask, which leaves the payload
/// unchanged.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(14 + payload.len());
    frame.push(first);
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(short), _) if short < 126 => frame.push(0x80 | short),
        (_, Ok(long)) => {
            frame.push(0x80 | 126);
            frame.extend(long.to_be_bytes());
        }
        _ => {
            frame.push(0x80 | 127);
            frame.extend((payload.len() as u64).to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend_from_slice(payload);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_all_lengths_are_read_back_unchanged() {
        for length in [0, 1, 125, 126, 65_535, 65_536] {
            let payload = vec![7; length];
            let bytes = frame(0x82, &payload);
            let size = bytes.len() - length;
            for end in 0..size {
                assert_eq!(Header::parse(&bytes[..end]), None, "{length}: {end}");
            }
            let header = Header::parse(&bytes).expect("a whole header");
            assert_eq!((header.size, header.length), (size, length as u64));
            let mut rest = &[&bytes[..], b"rest"].concat()[..];
            assert_eq!(read(&mut rest).ok(), Some((header, payload)));
            assert_eq!(rest, b"rest");
        }
    }

    #[test]
    fn server_frames_have_no_mask_and_client_frames_are_unmasked() {
        let bytes = [
            0x81,
            2,
            b'h',
            b'i',
            0x81,
            0x82,
            1,
            2,
            3,
            4,
            b'h' ^ 1,
            b'i' ^ 2,
        ];
        let mut bytes = &bytes[..];
        let (server, text) = read(&mut bytes).expect("a frame");
        assert_eq!((server.mask, &text[..]), (None, &b"hi"[..]));
        let (client, text) = read(&mut bytes).expect("another frame");
        assert_eq!((client.mask, &text[..]), (Some([1, 2, 3, 4]), &b"hi"[..]));
        let endless = [0x82, 127, 0x7F, 255, 255, 255, 255, 255, 255, 255];
        assert!(read(&mut &endless[..]).is_err());
    }
}
