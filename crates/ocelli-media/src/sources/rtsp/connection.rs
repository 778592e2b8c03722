//! TCP connection to a camera: messages and interleaved packets in one stream, read through
//! a buffer of fixed size.
//!
//! Every byte is scanned once: lines are consumed as they end, packets are read by their
//! length, and the rest of the buffer moves to its front only when more than one whole packet
//! before it has been consumed.

use super::message::{self, Head, Message};
use ocelli_core::{Budget, BudgetExceeded, CpuTimer};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// The largest interleaved packet that its 16-bit length allows, with its header.
const MAX_PACKET: usize = 4 + u16::MAX as usize;
/// Twice the largest packet, so that moving bytes to the front costs no more than reading
/// them.
const BUFFER: usize = 2 * (MAX_PACKET + 1);
/// The most unsent bytes that wait for the camera to read.
const MAX_UNSENT: usize = 64 << 10;

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
    /// The camera closed the connection.
    Closed,
    /// The camera does not answer in time.
    Silent,
    /// The camera answers with this status.
    Status(u16),
    /// The camera redirects to this address.
    Moved(Target),
    /// The camera requires an unsupported authentication scheme.
    Challenge,
    /// The camera sends invalid RTSP, or exceeds a limit.
    Message(message::Fault),
    /// The camera sends something else that can't be used, with the reason.
    Unusable(String),
    /// The camera exceeds its budget.
    BudgetExceeded(BudgetExceeded),
}

impl From<message::Fault> for SessionError {
    fn from(fault: message::Fault) -> Self {
        Self::Message(fault)
    }
}

/// One complete item from the camera.
#[derive(Debug)]
pub enum Item {
    /// A message.
    Message(Message),
    /// A packet: its channel, and its position in the buffer, which is valid until the next
    /// item is requested.
    Packet(u8, Range<usize>),
}

#[derive(Debug)]
enum State {
    Between,
    Head(Head),
    /// In the body of a message, with the number of missing bytes.
    Body(Message, usize),
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
}

impl Default for Input {
    fn default() -> Self {
        Self {
            buffer: vec![0; BUFFER].into_boxed_slice(),
            start: 0,
            end: 0,
            scanned: 0,
            state: State::Between,
        }
    }
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
                        return Ok(Some(Item::Packet(channel, packet)));
                    }
                    [b'$', ..] => return Ok(None),
                    _ => self.state = State::Head(Head::default()),
                },
                State::Head(head) => {
                    let end = rest[self.scanned..].iter().position(|byte| *byte == b'\n');
                    let Some(end) = end.map(|end| self.scanned + end) else {
                        self.scanned = rest.len();
                        if rest.len() > message::MAX_LINE {
                            return Err(message::Fault::LongLine);
                        }
                        return Ok(None);
                    };
                    if end > message::MAX_LINE {
                        return Err(message::Fault::LongLine);
                    }
                    let whole = head.line(&rest[..end])?;
                    self.start += end + 1;
                    self.scanned = 0;
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
            }
        }
    }
}

/// RTSP connection.
pub struct Connection {
    stream: TcpStream,
    /// Remote address.
    peer: SocketAddr,
    input: Input,
    unsent: Vec<u8>,
    budget: Option<Budget>,
    /// Whether a fault has made all further input unreadable.
    pub unreadable: bool,
}

impl Connection {
    /// Creates a connection from a connected socket. The work for it is charged to `budget`.
    pub fn new(stream: TcpStream, peer: SocketAddr, budget: Option<Budget>) -> Self {
        // Requests are small, and the client waits for the response to each.
        let _ = stream.set_nodelay(true);
        Self {
            stream,
            peer,
            input: Input::default(),
            unsent: Vec::new(),
            budget,
            unreadable: false,
        }
    }

    /// Connects to the same address again.
    ///
    /// # Errors
    /// The connection is not accepted.
    pub async fn reopen(&mut self) -> Result<(), SessionError> {
        let stream = TcpStream::connect(self.peer)
            .await
            .map_err(SessionError::Io)?;
        self.stream = stream;
        self.input = Input::default();
        self.unsent.clear();
        Ok(())
    }

    /// Sends a message, or queues it until the camera reads.
    ///
    /// # Errors
    /// The connection is broken, or the camera does not read.
    pub fn send(&mut self, message: &[u8]) -> Result<(), SessionError> {
        if self.unsent.len() + message.len() > MAX_UNSENT {
            return Err(SessionError::Unusable(format!(
                "it does not read the hub's messages: {} KiB are unsent",
                MAX_UNSENT >> 10
            )));
        }
        self.unsent.extend_from_slice(message);
        let timer = CpuTimer::start();
        let written = self.write();
        if let Some(budget) = &mut self.budget {
            // A camera may send any number of requests, and each response is a system call.
            budget.charge(timer.elapsed());
        }
        written
    }

    /// Writes as much as the kernel accepts without blocking.
    fn write(&mut self) -> Result<(), SessionError> {
        while !self.unsent.is_empty() {
            match self.stream.try_write(&self.unsent) {
                Ok(len) => drop(self.unsent.drain(..len)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(SessionError::Io(error)),
            }
        }
        Ok(())
    }

    /// Returns true if no bytes are unsent.
    pub fn is_flushed(&self) -> bool {
        self.unsent.is_empty()
    }

    /// Returns a packet's bytes.
    pub fn bytes(&self, packet: Range<usize>) -> &[u8] {
        self.input.bytes(packet)
    }

    /// Returns the next item from the camera. Dropping the future loses nothing.
    ///
    /// # Errors
    /// The connection is broken, or a limit is exceeded.
    pub async fn next(&mut self) -> Result<Item, SessionError> {
        loop {
            if let Some(budget) = &mut self.budget {
                budget.ready().await.map_err(SessionError::BudgetExceeded)?;
            }
            match self.input.next() {
                Ok(Some(item)) => {
                    if let Some(budget) = &mut self.budget {
                        budget.charge_messages(1);
                    }
                    return Ok(item);
                }
                Ok(None) => {}
                Err(fault) => {
                    self.unreadable = true;
                    return Err(fault.into());
                }
            }
            let len = std::future::poll_fn(|cx| self.poll(cx)).await?;
            if let Some(budget) = &mut self.budget {
                budget.charge_bytes(len);
            }
        }
    }

    /// Writes unsent bytes and reads more.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, SessionError>> {
        while !self.unsent.is_empty() {
            match Pin::new(&mut self.stream).poll_write(cx, &self.unsent) {
                Poll::Ready(Ok(len)) => drop(self.unsent.drain(..len)),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(SessionError::Io(error))),
                Poll::Pending => break,
            }
        }
        let mut free_part = ReadBuf::new(self.input.free_part());
        match Pin::new(&mut self.stream).poll_read(cx, &mut free_part) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Err(error)) => Poll::Ready(Err(SessionError::Io(error))),
            Poll::Ready(Ok(())) => {
                let len = free_part.filled().len();
                if len == 0 {
                    return Poll::Ready(Err(SessionError::Closed));
                }
                self.input.advance(len);
                Poll::Ready(Ok(len))
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
                        Item::Message(message) => format!("{message:?}"),
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
