//! Parser of what a camera sends over its connection: messages and interleaved packets in one
//! stream, in a buffer of fixed size.
//!
//! Every byte is scanned once: lines are consumed as they end, packets are read by their
//! length, and the rest of the buffer moves to its front only when more than one whole packet
//! before it has been consumed.

use super::message::{self, Head, Message};
use std::ops::Range;

/// The largest interleaved packet that its 16-bit length allows, with its header.
const MAX_PACKET: usize = 4 + u16::MAX as usize;
/// Twice the largest packet, so that moving bytes to the front costs no more than reading
/// them.
const BUFFER: usize = 2 * (MAX_PACKET + 1);

/// One complete item from the camera.
#[derive(Debug)]
pub enum Item {
    /// A message.
    Message(Message),
    /// A packet: its channel, and its position in the buffer, which is valid until the next
    /// item is requested.
    Packet(u8, Range<usize>),
    /// A packet over UDP, with its length.
    Datagram(Flow, usize),
}

/// What a packet over UDP belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// The pictures.
    Pictures,
    /// RTCP of the pictures.
    PictureReports,
    /// The sound.
    Sound,
    /// RTCP of the sound.
    SoundReports,
}

#[derive(Debug)]
enum State {
    Between,
    Head(Head),
    /// In the body of a message, with the number of missing bytes.
    Body(Message, usize),
    /// In data that is neither a packet nor a message.
    Junk,
}

/// Buffer of received bytes, and the parser's state.
#[derive(Debug)]
pub struct Input {
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    /// Number of remaining bytes that were scanned and hold no line end.
    scanned: usize,
    state: State,
    /// Whether other data between packets and messages is skipped, because the stream has
    /// begun.
    skips_junk: bool,
    /// Number of consecutive skipped bytes.
    junk: usize,
}

impl Default for Input {
    fn default() -> Self {
        Self {
            buffer: vec![0; BUFFER].into_boxed_slice(),
            start: 0,
            end: 0,
            scanned: 0,
            state: State::Between,
            skips_junk: false,
            junk: 0,
        }
    }
}

/// Returns true if this can be the first byte of a message.
fn begins_message(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_'
}

/// Returns the position of a packet's header, with an RTP or RTCP header behind it.
fn packet_header(bytes: &[u8]) -> Option<usize> {
    let is_header = |at: &[u8]| {
        let length = u16::from_be_bytes([at[2], at[3]]);
        at[0] == b'$' && length >= 8 && at[4] >> 6 == 2
    };
    bytes.windows(5).position(is_header)
}

impl Input {
    /// Returns the free part of the buffer. It is never empty after [`Input::next`] has returned
    /// `None`.
    pub fn free_part(&mut self) -> &mut [u8] {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.start > MAX_PACKET {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        &mut self.buffer[self.end..]
    }

    /// Notes that `len` bytes were written to the free part.
    pub fn advance(&mut self, len: usize) {
        self.end = (self.end + len).min(self.buffer.len());
    }

    /// Returns a packet's bytes.
    pub fn bytes(&self, packet: Range<usize>) -> &[u8] {
        &self.buffer[packet]
    }

    /// Skips data that is neither a packet nor a message from now on.
    pub fn skip_junk(&mut self) {
        self.skips_junk = true;
    }

    /// Returns the next complete item, or `None` if more bytes are needed.
    ///
    /// # Errors
    /// A limit is exceeded, or the input is not RTSP. Nothing can be read after that.
    pub fn next(&mut self) -> Result<Option<Item>, message::Fault> {
        loop {
            let rest = &self.buffer[self.start..self.end];
            match &mut self.state {
                State::Between => match *rest {
                    [] => return Ok(None),
                    // Some cameras put line endings, blanks or zeros between messages.
                    [b'\r' | b'\n' | b' ' | b'\t' | 0, ..] => self.start += 1,
                    [b'$', channel, high, low, ..] => {
                        let end = self.start + 4 + usize::from(u16::from_be_bytes([high, low]));
                        if end > self.end {
                            return Ok(None);
                        }
                        let packet = self.start + 4..end;
                        self.start = end;
                        self.junk = 0;
                        return Ok(Some(Item::Packet(channel, packet)));
                    }
                    [b'$', ..] => return Ok(None),
                    [byte, ..] if self.skips_junk && !begins_message(byte) => {
                        self.state = State::Junk;
                    }
                    // An alert: the server received something that is not TLS.
                    [0x15, 3, ..] => return Err(message::Fault::Tls),
                    _ => self.state = State::Head(Head::default()),
                },
                State::Head(head) => {
                    let is_junk = self.skips_junk && !head.is_begun();
                    let end = rest[self.scanned..].iter().position(|byte| *byte == b'\n');
                    let Some(end) = end.map(|end| self.scanned + end) else {
                        self.scanned = rest.len();
                        if rest.len() <= message::MAX_LINE {
                            return Ok(None);
                        }
                        if !is_junk {
                            return Err(message::Fault::LongLine);
                        }
                        (self.state, self.scanned) = (State::Junk, 0);
                        continue;
                    };
                    let line = match end > message::MAX_LINE {
                        true => Err(message::Fault::LongLine),
                        false => head.line(&rest[..end]),
                    };
                    self.scanned = 0;
                    let whole = match line {
                        Err(_) if is_junk => {
                            self.state = State::Junk;
                            continue;
                        }
                        line => line?,
                    };
                    self.start += end + 1;
                    if let Some(message) = whole {
                        let length = message.body_length()?;
                        self.state = State::Body(message, length);
                    }
                }
                State::Body(message, missing) => {
                    let len = rest.len().min(*missing);
                    message.body.extend_from_slice(&rest[..len]);
                    self.start += len;
                    *missing -= len;
                    if *missing > 0 {
                        return Ok(None);
                    }
                    if let State::Body(message, _) =
                        std::mem::replace(&mut self.state, State::Between)
                    {
                        return Ok(Some(Item::Message(message)));
                    }
                }
                State::Junk => {
                    let found = packet_header(rest);
                    // The last bytes may be the beginning of a header.
                    let skipped = found.unwrap_or(rest.len().saturating_sub(4));
                    self.start += skipped;
                    self.junk += skipped;
                    if self.junk > message::MAX_JUNK {
                        return Err(message::Fault::Junk);
                    }
                    if found.is_none() {
                        return Ok(None);
                    }
                    self.state = State::Between;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the items in these bytes when they arrive in pieces of this length.
    fn items(bytes: &[u8], piece: usize) -> Result<Vec<String>, message::Fault> {
        let mut input = Input::default();
        let mut items = Vec::new();
        for piece in bytes.chunks(piece) {
            let mut rest = piece;
            while !rest.is_empty() {
                let free_part = input.free_part();
                let len = free_part.len().min(rest.len());
                assert!(len > 0, "the buffer has free space");
                free_part[..len].copy_from_slice(&rest[..len]);
                rest = &rest[len..];
                input.advance(len);
                while let Some(item) = input.next()? {
                    items.push(match item {
                        Item::Packet(channel, packet) => {
                            let packet = input.bytes(packet);
                            format!("{channel} {} {:?}", packet.len(), packet.last())
                        }
                        other => format!("{other:?}"),
                    });
                }
            }
        }
        Ok(items)
    }

    #[test]
    fn the_items_do_not_depend_on_how_the_stream_is_split() {
        let packet = |len: u16, fill: u8| {
            let mut packet = vec![b'$', fill];
            packet.extend(len.to_be_bytes());
            packet.resize(4 + usize::from(len), fill);
            packet
        };
        let response = b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Length: 5\r\n\r\n$\n\r\n\0";
        let stream = [
            &packet(0, 1)[..],
            &response[..],
            b"\r\n\0\0",
            &packet(u16::MAX, 2),
            &packet(u16::MAX, 3),
            &packet(1, 4),
            b"OPTIONS * RTSP/1.0\n\n",
            &packet(40_000, 5),
        ]
        .concat();
        let whole = items(&stream, stream.len()).expect("RTSP");
        assert_eq!(whole.len(), 7);
        assert_eq!(whole[2], "2 65535 Some(2)");
        for piece in [1, 2, 3, 5, 1000, 65_536, 70_000] {
            assert_eq!(
                items(&stream, piece).as_ref(),
                Ok(&whole),
                "in pieces of {piece}"
            );
        }
    }

    #[test]
    fn junk_in_a_stream_is_skipped_up_to_a_limit() {
        let packet = [b'$', 0, 0, 12, 0x80, 96, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
        let count = |junk: &[u8]| {
            let mut input = Input::default();
            input.skip_junk();
            let mut packets = 0;
            for bytes in [&packet, junk, &packet[..3], &packet[3..]] {
                for piece in bytes.chunks(1000) {
                    input.free_part()[..piece.len()].copy_from_slice(piece);
                    input.advance(piece.len());
                    while let Some(item) = input.next()? {
                        packets += usize::from(matches!(item, Item::Packet(0, _)));
                    }
                }
            }
            Ok(packets)
        };
        let lines = b"oops\r\n$oops\nRTSP";
        let long = vec![b'x'; message::MAX_LINE * 3];
        for junk in [&[0xFF; 9][..], lines, b"a line\n", &long, &[0x15, 3, 1]] {
            assert_eq!(count(junk), Ok(2), "{:?}", &junk[..junk.len().min(20)]);
        }
        let endless = vec![0xFF; message::MAX_JUNK + 10];
        assert_eq!(count(&endless), Err(message::Fault::Junk));
    }

    #[test]
    fn long_lines_are_rejected() {
        let long = vec![b'x'; message::MAX_LINE + 1];
        for piece in [1, 1000, long.len()] {
            assert_eq!(items(&long[1..], piece), Ok(Vec::new()));
            assert_eq!(items(&long, piece), Err(message::Fault::LongLine));
        }
        let line = [&b"RTSP/1.0 200 OK\nA: "[..], &long, b"\n"].concat();
        assert_eq!(items(&line, line.len()), Err(message::Fault::LongLine));
    }
}
