//! A binary message, or a piece of a text message, on its way out: its header (RFC 6455,
//! 5.2) and its payload, in one call to the kernel where the kernel has room.

use bytes::Bytes;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::AsyncWrite;

/// The first byte: a message in one frame, and binary.
const FINAL_BINARY: u8 = 0x82;
/// The first bytes of a text message's pieces: the first, those that follow, and the bit
/// that the last has.
const TEXT: u8 = 0x01;
const CONTINUATION: u8 = 0x00;
const FINAL: u8 = 0x80;
/// In place of a length: it follows in two bytes, or in eight.
const IN_TWO: u8 = 126;
const IN_EIGHT: u8 = 127;

/// What stands before a payload.
pub(super) struct Header {
    bytes: [u8; 10],
    len: usize,
}

impl Header {
    /// Of a whole binary message of `len` bytes.
    pub(super) fn new(len: usize) -> Self {
        Self::beginning(FINAL_BINARY, len)
    }

    fn beginning(first: u8, len: usize) -> Self {
        let mut bytes = [0; 10];
        bytes[0] = first;
        let header_len = match (len, u16::try_from(len)) {
            (0..126, _) => {
                bytes[1] = len as u8;
                2
            }
            (_, Ok(len)) => {
                bytes[1] = IN_TWO;
                bytes[2..4].copy_from_slice(&len.to_be_bytes());
                4
            }
            (_, Err(_)) => {
                bytes[1] = IN_EIGHT;
                bytes[2..].copy_from_slice(&(len as u64).to_be_bytes());
                10
            }
        };
        Self {
            bytes,
            len: header_len,
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// One message, and how much of it is written.
pub(super) struct Binary {
    header: Header,
    payload: Bytes,
    written: usize,
}

impl Binary {
    /// One of which so many bytes, the header's among them, are written.
    pub(super) fn new(payload: Bytes, written: usize) -> Self {
        Self {
            header: Header::new(payload.len()),
            payload,
            written,
        }
    }

    /// A piece of a text message.
    pub(super) fn piece(payload: Bytes, first: bool, last: bool) -> Self {
        let opcode = if first { TEXT } else { CONTINUATION };
        let end = if last { FINAL } else { 0 };
        Self {
            header: Header::beginning(opcode | end, payload.len()),
            payload,
            written: 0,
        }
    }

    /// Hands over what is left; ready when that is all of it.
    pub(super) fn poll_write(
        &mut self,
        connection: &mut (impl AsyncWrite + Unpin),
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let header = self.header.bytes();
        while self.written < header.len() + self.payload.len() {
            let header_left = header.get(self.written..).unwrap_or_default();
            let begun = self.written.saturating_sub(header.len());
            let left = [
                IoSlice::new(header_left),
                IoSlice::new(&self.payload[begun..]),
            ];
            // A call with an empty piece in front is as good.
            let writing = Pin::new(&mut *connection).poll_write_vectored(cx, &left);
            match ready!(writing)? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                len => self.written += len,
            }
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::StreamExt;
    use std::io::Cursor;
    use std::task::Waker;
    use tokio_tungstenite::WebSocketStream;
    use tokio_tungstenite::tungstenite::protocol::Role;

    /// Takes so many bytes at a time, after having taken nothing once.
    struct Sip {
        most: usize,
        taken: Vec<u8>,
        refused: bool,
    }

    impl AsyncWrite for Sip {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.refused = !self.refused;
            if self.refused {
                return Poll::Pending;
            }
            let len = bytes.len().min(self.most);
            self.taken.extend_from_slice(&bytes[..len]);
            Poll::Ready(Ok(len))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn a_client_reads_a_text_that_comes_in_pieces() {
        let mut sip = Sip {
            most: 5,
            taken: Vec::new(),
            refused: false,
        };
        let mut cx = Context::from_waker(Waker::noop());
        let pieces = ["at ", "21.5 °C", ""];
        for (at, text) in pieces.iter().enumerate() {
            let (first, last) = (at == 0, at + 1 == pieces.len());
            let mut piece = Binary::piece(Bytes::from_static(text.as_bytes()), first, last);
            while piece.poll_write(&mut sip, &mut cx).is_pending() {}
        }
        let bytes = Cursor::new(sip.taken);
        let mut client = WebSocketStream::from_raw_socket(bytes, Role::Client, None).await;
        let read = client.next().await.expect("a message").expect("whole");
        assert_eq!(read.into_text().expect("text"), "at 21.5 °C");
    }

    #[tokio::test]
    async fn a_client_reads_messages_of_every_length_however_they_are_taken() {
        for len in [0, 1, 125, 126, 127, 65_535, 65_536, 70_000] {
            for most in [1, 3, 7, 1 << 20] {
                let payload: Bytes = (0..len).map(|at| (at % 251) as u8).collect();
                let mut sip = Sip {
                    most,
                    taken: Vec::new(),
                    refused: false,
                };
                let mut message = Binary::new(payload.clone(), 0);
                let mut cx = Context::from_waker(Waker::noop());
                while message.poll_write(&mut sip, &mut cx).is_pending() {}
                let bytes = Cursor::new(sip.taken);
                let mut client = WebSocketStream::from_raw_socket(bytes, Role::Client, None).await;
                let read = client.next().await.expect("a message").expect("whole");
                assert!(read.is_binary() && read.into_data() == payload, "{len}");
            }
        }
    }
}
