//! WebSockets (RFC 6455) for sinks and ingest. A socket writes at most one message at a time.
//!
//! [`handshake`] opens sockets, [`sender`] sends frames to a viewer, [`binary`] writes messages,
//! and [`direct_write`] lets publishers write frames.

mod binary;
mod direct_write;
mod end;
mod handshake;
mod sender;

use crate::connection::Connection;
use crate::counts::Tally;
use binary::Binary;
use bytes::Bytes;
use direct_write::Direct;
pub use end::{End, Fault};
use futures_util::{Sink, Stream};
pub use handshake::{offers, upgrade, upgrade_any_origin};
use hyper_util::rt::TokioIo;
use ocelli_core::{BudgetExceeded, Budgets, Form, PeerKind, Ready};
pub use sender::{Delivery, FrameSender, Next};
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, timeout_at};
use tokio_websockets::{CloseCode, Error, Limits, Message, ServerBuilder, WebSocketStream};

/// The longest text message that is accepted.
pub const TEXT_LIMIT: usize = 64 * 1024;

/// Longest message that is read, so that a large binary message is still refused for being binary
/// and not for its size.
const READ_LIMIT: usize = 4 * TEXT_LIMIT;

/// Interval of pings to a viewer.
const PING_INTERVAL: Duration = Duration::from_secs(15);
/// Pings that may go unanswered.
const MISSED_PONGS: u32 = 2;
/// Time that a viewer has to answer a close frame.
pub const CLOSE_TIMEOUT: Duration = Duration::from_millis(400);

/// Close codes of this hub that are not in RFC 6455.
pub mod close {
    /// The hub has no capacity left (IANA registry of close codes).
    pub const TRY_AGAIN_LATER: u16 = 1013;
    /// The peer needs a token or a key that it does not have.
    pub const UNAUTHORIZED: u16 = 4401;
    /// The device may not push here, or not now.
    pub const FORBIDDEN: u16 = 4403;
    /// The device sent no picture for too long.
    pub const IDLE: u16 = 4408;
    /// Another connection replaced this one of the device.
    pub const REPLACED: u16 = 4409;
    /// The device sent a message that is too long.
    pub const TOO_LARGE: u16 = 4413;
    /// Too many failed handshakes came from this address.
    pub const TOO_MANY: u16 = 4429;
    /// Longest close reason in bytes (RFC 6455, 5.5).
    pub const REASON_LIMIT: usize = 123;
}

/// Read limits of a socket.
#[derive(Clone, Copy, Debug)]
pub struct ReadLimits {
    /// The kind of peer, which determines the budget.
    kind: PeerKind,
    /// Longest message that is read.
    limit: usize,
    /// Longest text message.
    text_limit: usize,
    /// Whether only a pong counts as an answer to a ping.
    only_pongs: bool,
}

impl ReadLimits {
    /// Limits of a viewer, which sends little. Any message shows that it is alive.
    pub const VIEWER: Self = Self {
        kind: PeerKind::Viewer,
        limit: READ_LIMIT,
        text_limit: TEXT_LIMIT,
        only_pongs: false,
    };

    /// Limits of a device, whose messages are pictures of at most `limit` bytes. It must answer
    /// pings: a device that sends without reading would never learn why it is refused.
    pub const fn device(limit: usize) -> Self {
        Self {
            kind: PeerKind::Device,
            limit,
            text_limit: limit,
            only_pongs: true,
        }
    }
}

/// An event from a socket.
#[derive(Debug)]
pub enum Incoming {
    /// A text message.
    Text(String),
    /// A binary message.
    Binary(Bytes),
    /// A message of a device that is too long. [`Socket::refuse`] can still report it.
    TooLong,
    /// The socket is closed or unusable. [`Socket::end`] returns the reason. If a device violated
    /// the protocol, [`Socket::refuse`] can still report it.
    Closed,
}

/// An open WebSocket with at most one message being written.
///
/// While a message is being written, nothing is read. A viewer that does not read its responses
/// therefore gets no more, and can't make the hub buffer them.
pub struct Socket {
    stream: WebSocketStream<Connection>,
    /// A binary message or text fragment that has not been written completely.
    binary: Option<Binary>,
    writing: bool,
    closing: bool,
    ping: Interval,
    unanswered: u32,
    read_limits: ReadLimits,
    /// Whether the received bytes can no longer be parsed as messages.
    garbled: bool,
    /// The first reason why it ended.
    end: Option<End>,
}

impl Socket {
    fn open(
        upgraded: hyper::upgrade::Upgraded,
        read_limits: ReadLimits,
        budgets: &Budgets,
    ) -> Option<Self> {
        let parts = upgraded.downcast::<TokioIo<Connection>>().ok()?;
        let mut connection = parts.io.into_inner();
        connection.read_first(parts.read_buf);
        Some(Self::over(connection, read_limits, budgets))
    }

    fn over(mut connection: Connection, read_limits: ReadLimits, budgets: &Budgets) -> Self {
        connection.count_no_flushes();
        connection.set_budget(budgets.budget(read_limits.kind));
        connection.count_frames();
        let limits = Limits::default().max_payload_len(Some(read_limits.limit));
        let mut ping = interval_at(Instant::now() + PING_INTERVAL, PING_INTERVAL);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            stream: ServerBuilder::new().limits(limits).serve(connection),
            binary: None,
            writing: false,
            closing: false,
            ping,
            unanswered: 0,
            read_limits,
            garbled: false,
            end: None,
        }
    }

    /// Changes the longest message of a device, starting with the next one.
    pub fn set_limit(&mut self, limit: usize) {
        self.read_limits = ReadLimits::device(limit);
        *self.stream.limits_mut() = Limits::default().max_payload_len(Some(limit));
    }

    /// Stops counting towards the limit of its address, because a whole fleet of devices may share
    /// one router's address.
    pub fn exempt_from_address_limit(&mut self) {
        self.stream.get_mut().exempt_from_address_limit();
    }

    /// Charges the peer's budget for the work of handling one of its messages.
    pub fn charge(&mut self, work: Duration) {
        self.stream.get_mut().budget().charge(work);
    }

    /// Whether the next message may be sent.
    pub fn is_idle(&self) -> bool {
        !self.writing && !self.closing
    }

    /// Begins to write a message. Allowed only while idle.
    pub fn send(&mut self, message: Message) {
        debug_assert!(self.is_idle(), "one message at a time");
        self.begin(message);
    }

    /// Begins to write a binary message. Allowed only while idle.
    ///
    /// This bypasses the library, whose queue costs more than writing the header here. Binary
    /// messages are the hub's most frequent operation.
    fn send_binary(&mut self, payload: Bytes) {
        debug_assert!(self.is_idle(), "one message at a time");
        self.binary = Some(Binary::new(payload, 0));
        self.writing = true;
    }

    /// Begins to write a fragment of a text message. Allowed only while idle. Until the last
    /// fragment, only fragments of the same message may be sent; pings and closes may go out in
    /// between (RFC 6455, 5.4).
    pub fn send_piece(&mut self, payload: Bytes, first: bool, last: bool) {
        debug_assert!(self.is_idle(), "one message at a time");
        self.binary = Some(Binary::piece(payload, first, last));
        self.writing = true;
    }

    /// Allows publishers to write frames directly while the socket is idle and its task waits on
    /// `ready`, in this form and up to `longest` bytes. It does nothing for a slow peer, whose
    /// frames are chosen when it is ready for them, and under TLS. The task ends the direct write
    /// whenever it runs.
    fn start_direct_write(&self, ready: &Ready, form: Form, longest: usize, tally: &Tally) {
        if self.is_idle()
            && let Some(wire) = self.stream.get_ref().wire()
        {
            ready.start_direct_write(|| {
                Box::new(Direct::new(wire.clone(), form, longest, tally.clone()))
            });
        }
    }

    /// Ends the direct write that [`Socket::start_direct_write`] allowed. Must be called before any
    /// other use of the socket.
    fn stop_direct_write(&mut self, ready: &Ready, form: Form) {
        if let Some(started) = ready.stop_direct_write() {
            self.binary = Some(Binary::new(started.frame.into_message(form), started.sent));
            self.writing = true;
            self.stream.get_mut().note_slow();
        }
    }

    fn begin(&mut self, message: Message) {
        // An error means that the closing handshake has begun; reading completes it.
        if Pin::new(&mut self.stream).start_send(message).is_ok() {
            self.writing = true;
        }
    }

    /// Begins to close the socket, with a code and a reason of at most 123 bytes.
    pub fn close(&mut self, code: u16, reason: &str) {
        if self.closing {
            return;
        }
        let code = CloseCode::try_from(code).unwrap_or(CloseCode::INTERNAL_SERVER_ERROR);
        self.begin(Message::close(Some(code), reason));
        self.closing = true;
        self.writing = true;
    }

    /// Drives writing only. Ready when nothing is being written.
    ///
    /// # Errors
    /// The socket is unusable.
    fn poll_written(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if !self.writing {
            return Poll::Ready(Ok(()));
        }
        // The library has nothing to write when such a message begins. Messages that it gets
        // later wait until this one is written.
        if let Some(binary) = &mut self.binary {
            ready!(binary.poll_write(self.stream.get_mut(), cx))?;
            self.binary = None;
        }
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        self.writing = false;
        Poll::Ready(Ok(()))
    }

    /// Drives writing, pings and reading. Ready with an event. If it is pending and
    /// [`Socket::is_idle`] is true, the next message can be sent.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Incoming> {
        loop {
            if let Err(error) = ready!(self.poll_written(cx)) {
                return Poll::Ready(self.ended(End::of(&error)));
            }
            if self.ping.poll_tick(cx).is_ready() {
                if self.closing {
                    return Poll::Ready(self.ended(End::Cut));
                }
                if self.unanswered >= MISSED_PONGS {
                    return Poll::Ready(self.ended(End::Unanswered(self.unanswered)));
                }
                self.unanswered += 1;
                self.begin(Message::ping(""));
                continue;
            }
            if let Err(exceeded) = ready!(self.stream.get_mut().budget().poll_ready(cx)) {
                if self.closing {
                    return Poll::Ready(self.ended(End::Cut));
                }
                self.close_over_budget(exceeded);
                continue;
            }
            let message = match Pin::new(&mut self.stream).poll_next(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => return Poll::Ready(self.ended(End::Cut)),
                Poll::Ready(Some(Ok(message))) => message,
                Poll::Ready(Some(Err(Error::PayloadTooLong { .. })))
                    if self.read_limits.only_pongs && !self.closing =>
                {
                    self.garbled = true;
                    return Poll::Ready(Incoming::TooLong);
                }
                Poll::Ready(Some(Err(error))) => {
                    let exceeded = BudgetExceeded::cause_of(&error).filter(|_| !self.closing);
                    if let Some(exceeded) = exceeded {
                        self.close_over_budget(exceeded);
                        continue;
                    }
                    let end = self.ended(End::of(&error));
                    if self.read_limits.only_pongs
                        && !self.closing
                        && matches!(error, Error::Protocol(_))
                    {
                        self.garbled = true;
                        return Poll::Ready(end);
                    }
                    self.answer_fault(&error);
                    if self.writing {
                        continue;
                    }
                    return Poll::Ready(end);
                }
            };
            self.stream.get_mut().budget().charge_messages(1);
            if message.is_pong() || !self.read_limits.only_pongs {
                self.unanswered = 0;
            }
            if message.is_ping() || message.is_close() {
                // The reply is in the stream's buffer; send it.
                self.writing = true;
                if let Some((code, _)) = message.as_close() {
                    self.ended(End::Closed(code.into()));
                    self.closing = true;
                }
            } else if self.closing || message.is_pong() {
            } else if message.is_binary() {
                return Poll::Ready(Incoming::Binary(message.into_payload().into()));
            } else if message.as_payload().len() > self.read_limits.text_limit {
                self.close(1009, "a text message may have at most 64 KiB");
            } else {
                let text = message.as_text().unwrap_or_default().to_owned();
                return Poll::Ready(Incoming::Text(text));
            }
        }
    }

    /// Begins to close the socket of a peer that exceeded its budget.
    fn close_over_budget(&mut self, exceeded: BudgetExceeded) {
        let peer = self.stream.get_ref().remote();
        tracing::info!(?peer, "closed a connection over its budget: {exceeded}");
        self.ended(End::BudgetExceeded(exceeded.to_string()));
        self.close(1008, &exceeded.to_string());
    }

    /// Returns the reason why the socket ended, once it has.
    pub fn end(&self) -> Option<&End> {
        self.end.as_ref()
    }

    /// Records the reason why it ended, unless there already is one.
    fn ended(&mut self, end: End) -> Incoming {
        self.end.get_or_insert(end);
        Incoming::Closed
    }

    /// Sends the close frame for a fault of the peer, if it can still be sent.
    fn answer_fault(&mut self, error: &Error) {
        match error {
            // The library answers faults within one frame, but not a message whose fragments
            // together are too long.
            Error::PayloadTooLong { .. } => {
                self.begin(Message::close(
                    Some(CloseCode::MESSAGE_TOO_BIG),
                    "the message is too long",
                ));
                self.writing = true;
            }
            Error::Protocol(_) => self.writing = true,
            _ => {}
        }
        if self.closing {
            self.writing = false;
        }
        self.closing = true;
    }

    /// Sends the text `last`, closes with a code and a reason of at most 123 bytes, and waits at
    /// most `limit` until the peer has read it.
    pub async fn refuse(mut self, last: String, code: u16, reason: &str, limit: Duration) {
        let garbled = self.garbled;
        let sending = async {
            poll_fn(|cx| self.poll_written(cx)).await?;
            if garbled {
                // The stream has queued its own close frame, with a different code.
                let connection = self.stream.into_inner();
                self.stream = ServerBuilder::new().serve(connection);
                self.writing = false;
            }
            if self.is_idle() {
                self.send(Message::text(last));
                poll_fn(|cx| self.poll_written(cx)).await?;
                self.close(code, reason);
            }
            poll_fn(|cx| self.poll_written(cx)).await?;
            Ok::<_, Error>(self)
        };
        let until = Instant::now() + limit;
        let Ok(Ok(mut sent)) = timeout_at(until, sending).await else {
            return;
        };
        if !garbled {
            return sent.finish(until - Instant::now()).await;
        }
        // With unread bytes, closing would reset the connection, and the peer would lose the
        // message.
        let connection = sent.stream.get_mut();
        let drained = async {
            let _ = connection.shutdown().await;
            let mut discarded = [0; 4096];
            while connection
                .read(&mut discarded)
                .await
                .is_ok_and(|len| len > 0)
            {}
        };
        let _ = timeout_at(until, drained).await;
    }

    /// Writes pending data and completes the closing handshake, for at most `limit`.
    pub async fn finish(mut self, limit: Duration) {
        let last = poll_fn(|cx| {
            loop {
                match self.poll(cx) {
                    Poll::Ready(Incoming::Closed) => return Poll::Ready(()),
                    Poll::Ready(_) => {}
                    Poll::Pending => return Poll::Pending,
                }
            }
        });
        // A peer that does not answer the close in time is dropped.
        let _ = tokio::time::timeout(limit, last).await;
    }
}
