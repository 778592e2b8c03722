//! One accepted connection as the rest of the server sees it: a TCP stream, perhaps
//! with TLS on top, that keeps little unsent, tells when its writer has nothing left
//! to write, and gives up on a peer that takes nothing.
//!
//! TLS changes none of that: to flush it is to hand over what it holds and then to
//! flush the wire below, so what counts as left has left the process.

use crate::frames::{FRAME, Frames};
use crate::limits::Place;
use bytes::{Buf, Bytes};
use ocelli_core::Metered;
use ocelli_core::{Budget, Tab};
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

/// A slow peer's connection counts as flushed only while fewer bytes than this
/// are unsent in the kernel: what waits there is a picture growing old.
const UNSENT_LIMIT: u32 = 4096;

/// A peer that has kept up for so many flushes is not slow any more.
const KEPT_UP: u32 = 64;

/// A peer that takes no byte for so long, with bytes to take, is gone.
pub(crate) const STALL_LIMIT: Duration = Duration::from_secs(30);

/// Facts of a connection, the same for all requests that come over it. Each request
/// carries them as an extension.
#[derive(Clone, Debug)]
pub struct ConnectionFacts {
    /// The address at the other end, which may be a proxy's.
    pub remote: SocketAddr,
    /// The hub's address.
    pub local: SocketAddr,
    /// Whether it is encrypted.
    pub secure: bool,
    /// Moves whenever all that was written has been handed to the kernel.
    pub flushes: Arc<Flushes>,
    /// Charges the connection's budget for what answering its requests takes.
    pub tab: Tab,
}

/// Counts the moments at which nothing was left to write.
#[derive(Debug, Default)]
pub struct Flushes(Mutex<(u64, Vec<Waker>)>);

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
        // Over HTTP/2 several answers wait for the same connection.
        if !inner.1.iter().any(|known| known.will_wake(cx.waker())) {
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
    /// Bytes that were read ahead by whoever had the connection before.
    ahead: Bytes,
    /// Counts the frames of a WebSocket; none before it is one.
    frames: Option<Frames>,
    /// Its place among those that the hub has; none where nobody counts.
    place: Option<Place>,
}

#[derive(Debug)]
enum Layers {
    Plain(Metered<Wire>),
    Tls(Box<TlsStream<Metered<Wire>>>),
}

impl Connection {
    /// Takes over an accepted stream, of which so much is read as `budget` allows.
    ///
    /// # Errors
    /// The peer is gone already.
    pub fn new(stream: TcpStream, budget: Budget) -> io::Result<(Self, ConnectionFacts)> {
        stream.set_nodelay(true)?;
        SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT_LIMIT)?;
        let facts = ConnectionFacts {
            remote: stream.peer_addr()?,
            local: stream.local_addr()?,
            secure: false,
            flushes: Arc::default(),
            tab: budget.tab(),
        };
        let (read, write) = stream.into_split();
        let wire = Wire {
            read,
            write: Arc::new(write),
            flushes: Some(facts.flushes.clone()),
            stall: None,
            watched: 0,
        };
        let connection = Self {
            layers: Layers::Plain(Metered::new(wire, budget)),
            ahead: Bytes::new(),
            frames: None,
            place: None,
        };
        Ok((connection, facts))
    }

    /// Keeps its place for as long as it lasts, whatever it is upgraded to.
    pub fn keep(&mut self, place: Place) {
        self.place = Some(place);
    }

    /// Counts no more against the address it comes from.
    pub fn stand_alone(&mut self) {
        if let Some(place) = &mut self.place {
            place.stand_alone();
        }
    }

    /// Counts its flushes no more: nobody waits for them.
    pub(crate) fn count_no_flushes(&mut self) {
        self.wire_below().flushes = None;
    }

    /// Where to write to without this connection, while nothing is being written to it:
    /// for one that is not encrypted, and whose peer has kept up.
    pub fn wire(&self) -> Option<&Arc<OwnedWriteHalf>> {
        match &self.layers {
            Layers::Plain(wire) if wire.get_ref().watched == 0 => Some(&wire.get_ref().write),
            _ => None,
        }
    }

    /// Notes that the peer did not take all that was written elsewhere.
    pub(crate) fn note_slow(&mut self) {
        self.wire_below().watched = KEPT_UP;
    }

    /// The address at the other end; none once it is gone.
    pub fn remote(&self) -> Option<SocketAddr> {
        self.stream().peer_addr().ok()
    }

    /// The budget that what is read is charged to.
    pub fn budget(&mut self) -> &mut Budget {
        self.metered().budget()
    }

    /// Charges for each frame of a WebSocket from now on.
    pub(crate) fn count_frames(&mut self) {
        self.frames = Some(Frames::default());
    }

    /// Charges another budget from now on, for the peer has become another kind.
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

    /// Puts bytes that were read ahead in front of what comes.
    pub(crate) fn read_first(&mut self, ahead: Bytes) {
        self.ahead = ahead;
    }

    /// The first byte on the wire, which stays there; none if the peer leaves instead.
    ///
    /// # Errors
    /// The connection broke off.
    pub(crate) async fn first_byte(&self) -> io::Result<Option<u8>> {
        let mut first = [0];
        let len = self.stream().peek(&mut first).await?;
        Ok((len > 0).then_some(first[0]))
    }

    /// Does the server's part of the TLS handshake.
    ///
    /// # Errors
    /// The handshake failed, or there is TLS already.
    pub async fn encrypt(self, acceptor: &TlsAcceptor) -> io::Result<Self> {
        let Layers::Plain(wire) = self.layers else {
            return Err(io::Error::other("the connection is encrypted already"));
        };
        let stream = acceptor.accept(wire).await?;
        Ok(Self {
            layers: Layers::Tls(Box::new(stream)),
            ahead: self.ahead,
            frames: self.frames,
            place: self.place,
        })
    }

    /// The protocol that the TLS handshake agreed on (ALPN, RFC 7301).
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

/// The TCP stream below. Its two halves are apart because frames may be written to it
/// from elsewhere.
#[derive(Debug)]
struct Wire {
    read: OwnedReadHalf,
    write: Arc<OwnedWriteHalf>,
    /// Whoever waits for flushes; none where nobody does.
    flushes: Option<Arc<Flushes>>,
    stall: Option<Pin<Box<Sleep>>>,
    /// Flushes for which the peer will still be watched for being slow; 0 for
    /// one that takes everything at once, which then costs nothing extra.
    watched: u32,
}

impl Wire {
    fn stream(&self) -> &TcpStream {
        self.read.as_ref()
    }

    /// Times what the peer does not take.
    fn timed<T>(&mut self, cx: &mut Context<'_>, done: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if done.is_ready() {
            self.stall = None;
            return done;
        }
        self.watched = KEPT_UP;
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

    /// Writes as soon as the kernel takes anything.
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

    /// Ready while the kernel has little unsent. A write would tell as well, but
    /// by then the frame to be written is chosen, and grows old.
    fn poll_sent(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let stream = self.stream();
        loop {
            let mut asked = [PollFd::new(stream, PollFlags::OUT)];
            // The kernel notes who asked in vain, and wakes for it.
            if rustix::event::poll(&mut asked, Some(&Timespec::default()))? > 0 {
                return Poll::Ready(Ok(()));
            }
            // What the runtime remembers of the last write is out of date.
            let forget = || Err::<(), _>(io::ErrorKind::WouldBlock.into());
            let _ = stream.try_io(Interest::WRITABLE, forget);
            ready!(stream.poll_write_ready(cx))?;
        }
    }
}

/// Writes what the kernel takes this very moment.
///
/// # Errors
/// `WouldBlock` where it takes nothing, and what the kernel says otherwise.
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
        // Nearly always there is room, and to ask the kernel is cheaper than to ask
        // first what the runtime remembers of it.
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

    /// Writers flush when their buffer is empty, so this is the moment that sinks
    /// wait for before they choose the next frame.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.watched > 0 {
            let sent = self.poll_sent(cx);
            ready!(self.timed(cx, sent))?;
            self.watched -= 1;
        }
        if let Some(flushes) = &self.flushes {
            flushes.note();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(
            match SockRef::from(self.stream()).shutdown(Shutdown::Write) {
                // The peer was faster.
                Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
                done => done,
            },
        )
    }
}
