//! A binary message on its way out: its header (RFC 6455, 5.2) and its payload, in one
//! call to the kernel where the kernel has room.

use bytes::Bytes;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::AsyncWrite;

/// The first byte: a message in one frame, and binary.
const FINAL_BINARY: u8 = 0x82;
/// In place of a length: it follows in two bytes, or in eight.
const IN_TWO: u8 = 126;
const IN_EIGHT: u8 = 127;

/// One message, and how much of it is written.
pub(super) struct Binary {
    header: [u8; 10],
    header_len: usize,
    payload: Bytes,
    written: usize,
}

impl Binary {
    pub(super) fn new(payload: Bytes) -> Self {
        let mut header = [0; 10];
        header[0] = FINAL_BINARY;
        let header_len = match (payload.len(), u16::try_from(payload.len())) {
            (short @ 0..126, _) => {
                header[1] = short as u8;
                2
            }
            (_, Ok(len)) => {
                header[1] = IN_TWO;
                header[2..4].copy_from_slice(&len.to_be_bytes());
                4
            }
            (len, Err(_)) => {
                header[1] = IN_EIGHT;
                header[2..].copy_from_slice(&(len as u64).to_be_bytes());
                10
            }
        };
        Self {
            header,
            header_len,
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
        let header = &self.header[..self.header_len];
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
    async fn a_client_reads_messages_of_every_length_however_they_are_taken() {
        for len in [0, 1, 125, 126, 127, 65_535, 65_536, 70_000] {
            for most in [1, 3, 7, 1 << 20] {
                let payload: Bytes = (0..len).map(|at| (at % 251) as u8).collect();
                let mut sip = Sip {
                    most,
                    taken: Vec::new(),
                    refused: false,
                };
                let mut message = Binary::new(payload.clone());
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
