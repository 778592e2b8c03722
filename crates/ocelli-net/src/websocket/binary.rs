//! Writes a binary message or a fragment of a text message: header (RFC 6455, 5.2) and payload, in
//! one system call if the kernel has room.

use bytes::Bytes;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::AsyncWrite;

/// First byte of an unfragmented binary message.
const FINAL_BINARY: u8 = 0x82;
/// First bytes of the fragments of a text message: the first one, the following ones, and the bit
/// that is set in the last one.
const TEXT: u8 = 0x01;
const CONTINUATION: u8 = 0x00;
const FINAL: u8 = 0x80;
/// Length codes: the length follows in two bytes, or in eight.
const IN_TWO: u8 = 126;
const IN_EIGHT: u8 = 127;

/// A frame header.
pub(super) struct Header {
    bytes: [u8; 10],
    len: usize,
}

impl Header {
    /// Creates the header of a whole binary message of `len` bytes.
    pub(super) fn new(len: usize) -> Self {
        Self::with_first_byte(FINAL_BINARY, len)
    }

    fn with_first_byte(first: u8, len: usize) -> Self {
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

/// One message, and how much of it has been written.
pub(super) struct Binary {
    header: Header,
    payload: Bytes,
    written: usize,
}

impl Binary {
    /// Creates a message of which `written` bytes, including header bytes, are already written.
    pub(super) fn new(payload: Bytes, written: usize) -> Self {
        Self {
            header: Header::new(payload.len()),
            payload,
            written,
        }
    }

    /// Creates a fragment of a text message.
    pub(super) fn piece(payload: Bytes, first: bool, last: bool) -> Self {
        let opcode = if first { TEXT } else { CONTINUATION };
        let end = if last { FINAL } else { 0 };
        Self {
            header: Header::with_first_byte(opcode | end, payload.len()),
            payload,
            written: 0,
        }
    }

    /// Writes the rest of the message. Ready when all of it is written.
    pub(super) fn poll_write(
        &mut self,
        connection: &mut (impl AsyncWrite + Unpin),
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let header = self.header.bytes();
        while self.written < header.len() + self.payload.len() {
            let header_left = header.get(self.written..).unwrap_or_default();
            let started = self.written.saturating_sub(header.len());
            let left = [
                IoSlice::new(header_left),
                IoSlice::new(&self.payload[started..]),
            ];
            // An empty first slice does no harm.
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

    /// A writer that accepts at most `most` bytes per call, and is pending before each call.
    struct SlowWriter {
        most: usize,
        taken: Vec<u8>,
        refused: bool,
    }

    impl AsyncWrite for SlowWriter {
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
    async fn a_client_reads_a_fragmented_text() {
        let mut writer = SlowWriter {
            most: 5,
            taken: Vec::new(),
            refused: false,
        };
        let mut cx = Context::from_waker(Waker::noop());
        let pieces = ["at ", "21.5 °C", ""];
        for (at, text) in pieces.iter().enumerate() {
            let (first, last) = (at == 0, at + 1 == pieces.len());
            let mut piece = Binary::piece(Bytes::from_static(text.as_bytes()), first, last);
            while piece.poll_write(&mut writer, &mut cx).is_pending() {}
        }
        let bytes = Cursor::new(writer.taken);
        let mut client = WebSocketStream::from_raw_socket(bytes, Role::Client, None).await;
        let read = client.next().await.expect("a message").expect("whole");
        assert_eq!(read.into_text().expect("text"), "at 21.5 °C");
    }

    #[tokio::test]
    async fn a_client_reads_messages_of_every_length_at_any_write_size() {
        for len in [0, 1, 125, 126, 127, 65_535, 65_536, 70_000] {
            for most in [1, 3, 7, 1 << 20] {
                let payload: Bytes = (0..len).map(|at| (at % 251) as u8).collect();
                let mut writer = SlowWriter {
                    most,
                    taken: Vec::new(),
                    refused: false,
                };
                let mut message = Binary::new(payload.clone(), 0);
                let mut cx = Context::from_waker(Waker::noop());
                while message.poll_write(&mut writer, &mut cx).is_pending() {}
                let bytes = Cursor::new(writer.taken);
                let mut client = WebSocketStream::from_raw_socket(bytes, Role::Client, None).await;
                let read = client.next().await.expect("a message").expect("whole");
                assert!(read.is_binary() && read.into_data() == payload, "{len}");
            }
        }
    }
}
