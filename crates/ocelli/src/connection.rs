//! One accepted connection as the rest of the server sees it: a TCP stream that
//! keeps little unsent, tells when its writer has nothing left to write, and gives
//! up on a peer that takes nothing.

use bytes::{Buf, Bytes};
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

/// The kernel accepts no more while this many bytes are unsent: what waits there
/// is a picture growing old. Much smaller stalls large frames.
const UNSENT_LIMIT: u32 = 16 * 1024;

/// A peer that takes no byte for so long, with bytes to take, is gone.
const STALL_LIMIT: Duration = Duration::from_secs(30);

/// Who is at both ends of a connection, and when its writes have left.
#[derive(Clone, Debug)]
pub struct Peer {
    /// The client's address.
    pub remote: SocketAddr,
    /// The address it reached the hub by.
    pub local: SocketAddr,
    /// Moves whenever all that was written has been handed to the kernel.
    pub flushes: Arc<Flushes>,
}

/// Counts the moments at which nothing was left to write.
#[derive(Debug, Default)]
pub struct Flushes(Mutex<(u64, Option<Waker>)>);

impl Flushes {
    /// How many there were.
    pub fn count(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0
    }

    /// Ready once there were more than `seen`.
    pub fn poll_beyond(&self, seen: u64, cx: &mut Context<'_>) -> Poll<()> {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.0 > seen {
            return Poll::Ready(());
        }
        inner.1 = Some(cx.waker().clone());
        Poll::Pending
    }

    fn note(&self) {
        let waker = {
            let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            inner.0 += 1;
            inner.1.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// An accepted connection.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    /// Bytes that were read ahead by whoever had the connection before.
    ahead: Bytes,
    flushes: Arc<Flushes>,
    stall: Option<Pin<Box<Sleep>>>,
}

impl Connection {
    /// Takes over an accepted stream.
    ///
    /// # Errors
    /// The peer is gone already.
    pub fn new(stream: TcpStream) -> io::Result<(Self, Peer)> {
        stream.set_nodelay(true)?;
        socket2::SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT_LIMIT)?;
        let peer = Peer {
            remote: stream.peer_addr()?,
            local: stream.local_addr()?,
            flushes: Arc::default(),
        };
        let connection = Self {
            stream,
            ahead: Bytes::new(),
            flushes: peer.flushes.clone(),
            stall: None,
        };
        Ok((connection, peer))
    }

    /// Puts bytes that were read ahead in front of what comes.
    pub fn read_first(&mut self, ahead: Bytes) {
        self.ahead = ahead;
    }

    /// Times a write that the peer does not take.
    fn timed(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.stall = None;
            return written;
        }
        let stall = self
            .stall
            .get_or_insert_with(|| Box::pin(sleep(STALL_LIMIT)));
        match stall.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "the peer takes nothing",
            ))),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.ahead.has_remaining() {
            let len = self.ahead.len().min(buf.remaining());
            buf.put_slice(&self.ahead.split_to(len));
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.timed(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.timed(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Writers flush when their buffer is empty, so this is the moment that a
    /// body waits for before it hands over the next part.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.flushes.note();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
