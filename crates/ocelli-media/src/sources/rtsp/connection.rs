//! Connection to a camera: messages and packets are read through a parser of fixed size, and
//! written as far as the camera reads.

use super::datagrams::{Datagrams, foreign_packets};
use super::error::SessionError;
use super::input::{Flow, Input, Item};
use super::wire::{Tls, Wire};
use ocelli_core::{Budget, CpuTimer};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::task::{Context, Poll, Waker};
use tokio::io::ReadBuf;

/// The most unsent bytes that wait for the camera to read.
const MAX_UNSENT: usize = 64 << 10;

/// RTSP connection.
pub struct Connection {
    wire: Wire,
    /// Remote address.
    peer: SocketAddr,
    tls: Option<Tls>,
    input: Input,
    unsent: Vec<u8>,
    budget: Option<Budget>,
    /// The ports for pictures over UDP, if that is used.
    pub datagrams: Option<Datagrams>,
    /// The ports for sound over UDP.
    pub sound_datagrams: Option<Datagrams>,
    /// Whether the stream has begun.
    streams: bool,
    /// Whether a fault has made all further input unreadable.
    pub unreadable: bool,
}

impl Connection {
    /// Connects to `peer`. The work for the connection is charged to `budget`.
    ///
    /// # Errors
    /// The connection is not accepted, or the TLS handshake fails.
    pub async fn open(
        peer: SocketAddr,
        tls: Option<Tls>,
        mut budget: Option<Budget>,
    ) -> Result<Self, SessionError> {
        let wire = Wire::open(peer, tls.as_ref(), &mut budget).await?;
        Ok(Self {
            wire,
            peer,
            tls,
            input: Input::default(),
            unsent: Vec::new(),
            budget,
            datagrams: None,
            sound_datagrams: None,
            streams: false,
            unreadable: false,
        })
    }

    /// Connects to the same address again.
    ///
    /// # Errors
    /// The connection is not accepted.
    pub async fn reopen(&mut self) -> Result<(), SessionError> {
        self.wire = Wire::open(self.peer, self.tls.as_ref(), &mut self.budget).await?;
        self.input = Input::default();
        self.unsent.clear();
        Ok(())
    }

    /// Opens two ports for pictures over UDP from the camera. Returns their numbers.
    ///
    /// # Errors
    /// No ports are free.
    pub fn open_datagrams(&mut self) -> Result<(u16, u16), SessionError> {
        let (ports, opened) = self.open_ports()?;
        self.datagrams = Some(opened);
        Ok(ports)
    }

    /// Opens two ports for sound over UDP from the camera. Returns their numbers.
    ///
    /// # Errors
    /// No ports are free.
    pub fn open_sound_datagrams(&mut self) -> Result<(u16, u16), SessionError> {
        let (ports, opened) = self.open_ports()?;
        self.sound_datagrams = Some(opened);
        Ok(ports)
    }

    fn open_ports(&self) -> Result<((u16, u16), Datagrams), SessionError> {
        let local = self.wire.tcp().local_addr().map_err(SessionError::Io)?;
        let opened = Datagrams::open(local.ip(), self.peer.ip());
        let opened = opened.and_then(|opened| Ok((opened.ports()?, opened)));
        opened.map_err(|error| {
            SessionError::Unusable(format!("no ports for RTP over UDP are free: {error}"))
        })
    }

    /// Joins a group to which the camera sends RTP.
    ///
    /// # Errors
    /// The group can't be joined.
    pub fn join_group(
        &mut self,
        group: Ipv4Addr,
        port: u16,
    ) -> Result<&mut Datagrams, SessionError> {
        let local = self.wire.tcp().local_addr().map_err(SessionError::Io)?;
        let joined = Datagrams::join(local.ip(), self.peer.ip(), group, port).map_err(|error| {
            SessionError::Unusable(format!(
                "it sends RTP only by multicast, and the hub can't join {group}:{port}: {error}"
            ))
        })?;
        Ok(self.datagrams.insert(joined))
    }

    /// Reads packets over UDP from now on, and skips data that is neither a packet nor a message,
    /// because the stream begins.
    pub fn begin_stream(&mut self) {
        self.streams = true;
        self.input.skip_junk();
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
        // Without a waker: the next read continues.
        match self.poll_unsent(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Err(error)) => Err(SessionError::Io(error)),
            _ => Ok(()),
        }
    }

    fn poll_unsent(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.unsent.is_empty() {
            match self.wire.poll_write(cx, &self.unsent) {
                Poll::Ready(Ok(len)) => drop(self.unsent.drain(..len)),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
        self.wire.poll_flush(cx)
    }

    /// Returns true if no bytes are unsent.
    pub fn is_flushed(&self) -> bool {
        self.unsent.is_empty()
    }

    /// Returns a packet's bytes.
    pub fn bytes(&self, packet: Range<usize>) -> &[u8] {
        self.input.bytes(packet)
    }

    /// Returns the bytes of a packet over UDP.
    pub fn datagram(&self, flow: Flow, len: usize) -> &[u8] {
        let datagrams = match flow {
            Flow::Pictures | Flow::PictureReports => &self.datagrams,
            Flow::Sound | Flow::SoundReports => &self.sound_datagrams,
        };
        datagrams
            .as_ref()
            .map_or(&[], |datagrams| datagrams.bytes(len))
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
            match std::future::poll_fn(|cx| self.poll(cx)).await? {
                Received::Stream(len) => {
                    self.charge(len, 0);
                }
                Received::Datagram(flow, len) => {
                    self.charge(len.unwrap_or(0), 1);
                    if let Some(len) = len {
                        return Ok(Item::Datagram(flow, len));
                    }
                    if let Some(from) = self.datagrams.as_ref().and_then(Datagrams::foreign_camera)
                    {
                        return Err(SessionError::Unusable(foreign_packets(from)));
                    }
                }
            }
        }
    }

    fn charge(&mut self, bytes: usize, messages: u32) {
        if let Some(budget) = &mut self.budget {
            budget.charge_bytes(bytes);
            budget.charge_messages(messages);
        }
    }

    /// Writes unsent bytes and reads more.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Received, SessionError>> {
        if let Poll::Ready(Err(error)) = self.poll_unsent(cx) {
            return Poll::Ready(Err(SessionError::Io(error)));
        }
        if self.streams
            && let Poll::Ready((flow, received)) = self.poll_datagrams(cx)
        {
            let received = received.map(|len| Received::Datagram(flow, len));
            return Poll::Ready(received.map_err(SessionError::Io));
        }
        let mut free_part = ReadBuf::new(self.input.free_part());
        match self.wire.poll_read(cx, &mut free_part, &mut self.budget) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Err(error)) => Poll::Ready(Err(SessionError::Io(error))),
            Poll::Ready(Ok(())) => {
                let len = free_part.filled().len();
                if len == 0 {
                    return Poll::Ready(Err(SessionError::Closed));
                }
                self.input.advance(len);
                Poll::Ready(Ok(Received::Stream(len)))
            }
        }
    }

    /// Reads a packet over UDP. Pictures come first, because nothing else may delay them.
    fn poll_datagrams(&mut self, cx: &mut Context<'_>) -> Poll<(Flow, io::Result<Option<usize>>)> {
        if let Some(datagrams) = &mut self.datagrams {
            if let Poll::Ready(received) = datagrams.poll(cx) {
                return Poll::Ready((Flow::Pictures, received));
            }
            if let Poll::Ready(len) = datagrams.poll_report(cx) {
                return Poll::Ready((Flow::PictureReports, Ok(len)));
            }
        }
        if let Some(datagrams) = &mut self.sound_datagrams {
            if let Poll::Ready(received) = datagrams.poll(cx) {
                // Sound that can't be received is no reason for a failure.
                return Poll::Ready((Flow::Sound, Ok(received.unwrap_or(None))));
            }
            if let Poll::Ready(len) = datagrams.poll_report(cx) {
                return Poll::Ready((Flow::SoundReports, Ok(len)));
            }
        }
        Poll::Pending
    }
}

/// What one read received.
enum Received {
    /// Bytes of the connection.
    Stream(usize),
    /// A packet over UDP, with its length; `None` if it is not from the camera.
    Datagram(Flow, Option<usize>),
}
