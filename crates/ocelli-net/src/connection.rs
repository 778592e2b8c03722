//! One accepted connection: a TCP stream, optionally with TLS, that keeps little data unsent,
//! reports when all writes are flushed, and times out if the peer reads nothing.
//!
//! TLS does not change this: flushing it writes its buffered records and then flushes the TCP
//! stream, so flushed data has left the process.

use crate::frames::{FRAME, Frames};
use crate::limits::ConnectionSlot;
use bytes::{Buf, Bytes};
use ocelli_core::Metered;
use ocelli_core::{Budget, ChargeHandle};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use socket2::SockRef;
use std::io::{self, IoSlice};
use std::net::{Shutdown, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::{Sleep, sleep};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// A slow peer's connection counts as flushed only while fewer bytes than this are unsent in the
/// kernel, because frames age there.
const UNSENT_LIMIT: u32 = 4096;

/// Number of flushes since the last delayed write or flush after which a peer no longer counts as
/// slow.
const SLOW_FLUSHES: u32 = 64;

/// A peer that reads nothing for this long while data is pending is disconnected.
pub(crate) const STALL_LIMIT: Duration = Duration::from_secs(30);

/// Facts about a connection, the same for all its requests. They are attached to each request as
/// an extension.
#[derive(Clone, Debug)]
pub struct ConnectionFacts {
    /// The peer's address, which may be a proxy's.
    pub remote: SocketAddr,
    /// The hub's address.
    pub local: SocketAddr,
    /// Whether it is encrypted.
    pub secure: bool,
    /// Counts the moments at which all written data had been passed to the kernel.
    pub flushes: Arc<Flushes>,
    /// Charges the connection's budget for the CPU time of answering its requests.
    pub charge_handle: ChargeHandle,
}

/// Counts the moments at which no data was left to write.
#[derive(Debug, Default)]
pub struct Flushes(Mutex<(u64, Vec<Waker>)>);

impl Flushes {
    /// Returns the number of flushes so far.
    pub fn count(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0
    }

    /// Ready once there have been more than `seen` flushes.
    pub fn poll_beyond(&self, seen: u64, cx: &mut Context<'_>) -> Poll<()> {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.0 > seen {
            return Poll::Ready(());
        }
        // Over HTTP/2 several responses wait for the same connection.
        if !inner.1.iter().any(|waker| waker.will_wake(cx.waker())) {
            inner.1.push(cx.waker().clone());
        }
        Poll::Pending
    }

    fn note(&self) {
        let waiting = {
            let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            inner.0 += 1;
            std::mem::take(&mut inner.1)
        };
        waiting.into_iter().for_each(Waker::wake);
    }
}

/// An accepted connection, plain or encrypted.
#[derive(Debug)]
pub struct Connection {
    layers: Layers,
    /// Bytes that a previous owner of the connection read ahead.
    ahead: Bytes,
    /// Counts the frames of a WebSocket. `None` before the upgrade.
    frames: Option<Frames>,
    /// Its count towards the connection limits. `None` if it is not counted.
    slot: Option<ConnectionSlot>,
}

#[derive(Debug)]
enum Layers {
    Plain(Metered<Wire>),
    Tls(Box<TlsStream<Metered<Wire>>>),
}

impl Connection {
    /// Takes ownership of an accepted stream. Reading is limited by `budget`.
    ///
    /// # Errors
    /// The peer has already disconnected.
    pub fn new(stream: TcpStream, budget: Budget) -> io::Result<(Self, ConnectionFacts)> {
        stream.set_nodelay(true)?;
        SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT_LIMIT)?;
        let facts = ConnectionFacts {
            remote: stream.peer_addr()?,
            local: stream.local_addr()?,
            secure: false,
            flushes: Arc::default(),
            charge_handle: budget.charge_handle(),
        };
        let (read, write) = stream.into_split();
        let wire = Wire {
            read,
            write: Arc::new(write),
            flushes: Some(facts.flushes.clone()),
            stall: None,
            slow_flushes: 0,
        };
        let connection = Self {
            layers: Layers::Plain(Metered::new(wire, budget)),
            ahead: Bytes::new(),
            frames: None,
            slot: None,
        };
        Ok((connection, facts))
    }

    /// Holds its count towards the connection limits until it is dropped, also after an upgrade.
    pub fn hold_slot(&mut self, slot: ConnectionSlot) {
        self.slot = Some(slot);
    }

    /// Stops counting towards the limit of its address.
    pub fn exempt_from_address_limit(&mut self) {
        if let Some(slot) = &mut self.slot {
            slot.exempt_from_address_limit();
        }
    }

    /// Stops counting flushes, because nothing waits for them.
    pub(crate) fn count_no_flushes(&mut self) {
        self.wire_below().flushes = None;
    }

    /// Returns the write half for direct writes while the connection itself writes nothing. `None`
    /// if the connection is encrypted or the peer is slow.
    pub fn wire(&self) -> Option<&Arc<OwnedWriteHalf>> {
        match &self.layers {
            Layers::Plain(wire) if wire.get_ref().slow_flushes == 0 => Some(&wire.get_ref().write),
            _ => None,
        }
    }

    /// Records that the peer did not accept a whole direct write.
    pub(crate) fn note_slow(&mut self) {
        self.wire_below().slow_flushes = SLOW_FLUSHES;
    }

    /// Returns the peer's address. `None` after it has disconnected.
    pub fn remote(&self) -> Option<SocketAddr> {
        self.stream().peer_addr().ok()
    }

    /// Returns the budget that reading is charged to.
    pub fn budget(&mut self) -> &mut Budget {
        self.metered().budget()
    }

    /// Charges for each WebSocket frame from now on.
    pub(crate) fn count_frames(&mut self) {
        self.frames = Some(Frames::default());
    }

    /// Replaces the budget, because the kind of the peer has changed.
    pub fn set_budget(&mut self, budget: Budget) {
        self.metered().set_budget(budget);
    }

    fn stream(&self) -> &TcpStream {
        let wire = match &self.layers {
            Layers::Plain(wire) => wire,
            Layers::Tls(stream) => stream.get_ref().0,
        };
        wire.get_ref().stream()
    }

    fn metered(&mut self) -> &mut Metered<Wire> {
        match &mut self.layers {
            Layers::Plain(wire) => wire,
            Layers::Tls(stream) => stream.get_mut().0,
        }
    }

    fn wire_below(&mut self) -> &mut Wire {
        self.metered().get_mut()
    }

    /// Sets bytes that were read ahead. They are read before data from the stream.
    pub(crate) fn read_first(&mut self, ahead: Bytes) {
        self.ahead = ahead;
    }

    /// Peeks at the first byte of the stream. Returns `None` if the peer disconnects instead.
    ///
    /// # Errors
    /// The connection failed.
    pub(crate) async fn first_byte(&self) -> io::Result<Option<u8>> {
        let mut first = [0];
        let len = self.stream().peek(&mut first).await?;
        Ok((len > 0).then_some(first[0]))
    }

    /// Performs the server side of the TLS handshake.
    ///
    /// # Errors
    /// The handshake failed, or the connection is already encrypted.
    pub async fn encrypt(self, acceptor: &TlsAcceptor) -> io::Result<Self> {
        let Layers::Plain(wire) = self.layers else {
            return Err(io::Error::other("the connection is already encrypted"));
        };
        let stream = acceptor.accept(wire).await?;
        Ok(Self {
            layers: Layers::Tls(Box::new(stream)),
            ahead: self.ahead,
            frames: self.frames,
            slot: self.slot,
        })
    }

    /// Returns the protocol that the TLS handshake negotiated (ALPN, RFC 7301).
    pub fn protocol(&self) -> Option<&[u8]> {
        match &self.layers {
            Layers::Plain(_) => None,
            Layers::Tls(stream) => stream.get_ref().1.alpn_protocol(),
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let most = self.frames.as_ref().map_or(usize::MAX, Frames::most);
        if most >= buf.remaining() {
            let before = buf.filled().len();
            ready!(self.poll_bytes(cx, buf))?;
            self.charge_frames(&buf.filled()[before..]);
            return Poll::Ready(Ok(()));
        }
        let mut part = ReadBuf::new(buf.initialize_unfilled_to(most));
        ready!(self.poll_bytes(cx, &mut part))?;
        self.charge_frames(part.filled());
        let len = part.filled().len();
        buf.advance(len);
        Poll::Ready(Ok(()))
    }
}

impl Connection {
    fn poll_bytes(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.ahead.has_remaining() {
            let len = self.ahead.len().min(buf.remaining());
            buf.put_slice(&self.ahead.split_to(len));
            return Poll::Ready(Ok(()));
        }
        match &mut self.layers {
            Layers::Plain(wire) => Pin::new(wire).poll_read(cx, buf),
            Layers::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }

    fn charge_frames(&mut self, bytes: &[u8]) {
        if let Some(frames) = &mut self.frames {
            let count = frames.count(bytes);
            self.budget().charge(FRAME * count);
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.layers {
            Layers::Plain(wire) => Pin::new(wire).poll_write(cx, buf),
            Layers::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.layers {
            Layers::Plain(wire) => Pin::new(wire).poll_write_vectored(cx, bufs),
            Layers::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.layers {
            Layers::Plain(wire) => Pin::new(wire).poll_flush(cx),
            Layers::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.layers {
            Layers::Plain(wire) => Pin::new(wire).poll_shutdown(cx),
            Layers::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

/// The underlying TCP stream. Its halves are separate because publishers may write frames to it
/// directly.
#[derive(Debug)]
struct Wire {
    read: OwnedReadHalf,
    write: Arc<OwnedWriteHalf>,
    /// The counter of flushes. `None` if nothing waits for them.
    flushes: Option<Arc<Flushes>>,
    stall: Option<Pin<Box<Sleep>>>,
    /// Number of further flushes for which the peer counts as slow. 0 for a peer that accepts every
    /// write at once; its flushes then have no extra cost.
    slow_flushes: u32,
}

impl Wire {
    fn stream(&self) -> &TcpStream {
        self.read.as_ref()
    }

    /// Applies the stall timeout to a pending write.
    fn timed<T>(&mut self, cx: &mut Context<'_>, done: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if done.is_ready() {
            self.stall = None;
            return done;
        }
        self.slow_flushes = SLOW_FLUSHES;
        let stall = self
            .stall
            .get_or_insert_with(|| Box::pin(sleep(STALL_LIMIT)));
        match stall.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "the peer reads nothing",
            ))),
            Poll::Pending => Poll::Pending,
        }
    }

    /// Writes as soon as the kernel accepts data.
    fn poll_writing(
        &self,
        cx: &mut Context<'_>,
        write: impl Fn(&OwnedWriteHalf) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.stream().poll_write_ready(cx))?;
            match write(&self.write) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return Poll::Ready(done),
            }
        }
    }

    /// Ready while the kernel has little unsent data. A write would also detect this, but by then
    /// the frame has been chosen and ages.
    fn poll_sent(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let stream = self.stream();
        loop {
            let mut polled = [PollFd::new(stream, PollFlags::OUT)];
            // A poll that finds no room makes the kernel wake this task when there is room.
            if rustix::event::poll(&mut polled, Some(&Timespec::default()))? > 0 {
                return Poll::Ready(Ok(()));
            }
            // The runtime's readiness state from the last write is stale.
            let clear = || Err::<(), _>(io::ErrorKind::WouldBlock.into());
            let _ = stream.try_io(Interest::WRITABLE, clear);
            ready!(stream.poll_write_ready(cx))?;
        }
    }
}

/// Writes as much as the kernel accepts immediately.
///
/// # Errors
/// `WouldBlock` if it accepts nothing, otherwise the error of the system call.
pub fn write_now(wire: &OwnedWriteHalf, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
    let stream: &TcpStream = wire.as_ref();
    match rustix::io::writev(stream, bufs) {
        Err(Errno::INTR) => Err(io::ErrorKind::WouldBlock.into()),
        done => Ok(done?),
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.read).poll_read(cx, buf)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = self.poll_writing(cx, |wire| wire.try_write(buf));
        self.timed(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // The kernel nearly always has room, and calling it is cheaper than checking the runtime's
        // readiness state first.
        let written = match write_now(&self.write, bufs) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.poll_writing(cx, |wire| wire.try_write_vectored(bufs))
            }
            done => Poll::Ready(done),
        };
        self.timed(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Writers flush when their buffer is empty. Sinks wait for this before they choose the next
    /// frame.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.slow_flushes > 0 {
            let sent = self.poll_sent(cx);
            ready!(self.timed(cx, sent))?;
            self.slow_flushes -= 1;
        }
        if let Some(flushes) = &self.flushes {
            flushes.note();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(
            match SockRef::from(self.stream()).shutdown(Shutdown::Write) {
                // The peer has already disconnected.
                Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
                done => done,
            },
        )
    }
}
