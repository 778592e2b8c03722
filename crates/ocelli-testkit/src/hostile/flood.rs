//! Sends at a set rate while reading the hub's answers.

use super::progress::{BEAT, Pace, Progress};
use crate::link::Link;
use crate::wire::Header;
use std::io;

/// Sends pieces until the attack is over or the connection ends; returns how it ended. Bytes
/// from the hub are passed to `taken`.
pub fn flood(
    link: &mut Link,
    progress: &Progress,
    pace: &mut Pace,
    mut piece: impl FnMut() -> Vec<u8>,
    mut taken: impl FnMut(&[u8]),
) -> Option<String> {
    while progress.is_running() {
        let piece = piece();
        if let Some(how) = send(link, progress, pace, &piece, &mut taken) {
            return Some(how);
        }
    }
    None
}

/// Sends these bytes; returns how the connection ended, if it did.
pub fn send(
    link: &mut Link,
    progress: &Progress,
    pace: &mut Pace,
    bytes: &[u8],
    mut taken: impl FnMut(&[u8]),
) -> Option<String> {
    let mut left = bytes;
    while !left.is_empty() && progress.is_running() {
        match link.pump(left, &mut taken) {
            Ok(Some(0)) => {
                if let Err(error) = link.wait_ready(true, BEAT) {
                    return Some(describe_error(&error));
                }
            }
            Ok(Some(count)) => {
                left = &left[count..];
                progress.sent(count);
                pace.sent(count);
            }
            Ok(None) => return Some("closed".to_owned()),
            Err(error) => {
                // The hub may have sent a reason before it disconnected.
                let _ = link.pump(&[], &mut taken);
                return Some(describe_error(&error));
            }
        }
    }
    None
}

/// Reads until the attack is over or the connection ends; returns how it ended.
pub fn listen(
    link: &mut Link,
    progress: &Progress,
    mut taken: impl FnMut(&[u8]),
) -> Option<String> {
    while progress.is_running() {
        match link.pump(&[], &mut taken) {
            Ok(Some(_)) => {}
            Ok(None) => return Some("closed".to_owned()),
            Err(error) => return Some(describe_error(&error)),
        }
        if let Err(error) = link.wait_ready(false, BEAT) {
            return Some(describe_error(&error));
        }
    }
    None
}

/// Describes an I/O error in a few words, so that equal errors can be counted.
pub fn describe_error(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => "reset".to_owned(),
        io::ErrorKind::UnexpectedEof => "closed".to_owned(),
        io::ErrorKind::TimedOut => "silent".to_owned(),
        _ => error.to_string(),
    }
}

/// Parses the hub's WebSocket frames incrementally to find the close frame.
#[derive(Default)]
pub struct Frames {
    head: Vec<u8>,
    /// Bytes of the current payload that are still missing.
    left: u64,
    closing: bool,
    close: Vec<u8>,
    /// Data frames received.
    pub messages: u64,
}

impl Frames {
    /// Parses more bytes.
    pub fn take(&mut self, mut bytes: &[u8]) {
        while let Some((&first, rest)) = bytes.split_first() {
            if self.left > 0 {
                let count = bytes
                    .len()
                    .min(usize::try_from(self.left).unwrap_or(usize::MAX));
                let (now, later) = bytes.split_at(count);
                if self.closing {
                    self.close.extend_from_slice(now);
                }
                self.left -= count as u64;
                bytes = later;
                continue;
            }
            self.head.push(first);
            bytes = rest;
            let Some(header) = Header::parse(&self.head) else {
                continue;
            };
            let opcode = header.opcode();
            self.closing |= opcode == 8;
            self.messages += u64::from(opcode < 8);
            self.left = header.length;
            self.head.clear();
        }
    }

    /// Returns the code and reason of the close frame, or `otherwise` without one.
    pub fn ending(&self, otherwise: String) -> String {
        match self.close.split_first_chunk() {
            Some((code, reason)) => {
                let reason = String::from_utf8_lossy(reason);
                format!("{} {reason}", u16::from_be_bytes(*code))
            }
            None if self.closing => "1005".to_owned(),
            None => otherwise,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_close_frame_is_found_in_any_chunking() {
        let mut bytes = vec![0x82, 126, 0, 200];
        bytes.extend([8; 200]);
        bytes.extend([0x89, 0, 0x88, 6, 0x03, 0xF0]);
        bytes.extend(b"busy");
        for size in [1, 3, 7, bytes.len()] {
            let mut frames = Frames::default();
            bytes.chunks(size).for_each(|piece| frames.take(piece));
            assert_eq!(frames.ending("closed".to_owned()), "1008 busy");
            assert_eq!(frames.messages, 1);
        }
        let mut frames = Frames::default();
        frames.take(&bytes[..204]);
        assert_eq!(frames.ending("closed".to_owned()), "closed");
    }
}
