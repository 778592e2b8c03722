//! WebSockets (RFC 6455) as the sinks use them: a socket with at most one message
//! being written.
//!
//! [`handshake`] is how they are opened, [`sender`] how frames are sent to a viewer,
//! [`binary`] how they are written, [`direct_write`] how their publisher writes them.

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
pub use handshake::{offers, upgrade, upgrade_for_anybody};
use hyper_util::rt::TokioIo;
use ocelli_core::{Budgets, Form, Overspent, PeerKind, Ready};
pub use sender::{Delivery, FrameSender, Next};
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, timeout_at};
use tokio_websockets::{CloseCode, Error, Limits, Message, ServerBuilder, WebSocketStream};

/// The longest text message that is read.
pub const TEXT_LIMIT: usize = 64 * 1024;

/// What is read at all, so that an oversize binary message can still be told
/// that binary is the fault.
const READ_LIMIT: usize = 4 * TEXT_LIMIT;

/// How often a viewer is asked whether it is still there.
const PING_INTERVAL: Duration = Duration::from_secs(15);
/// Pings that may stay unanswered.
const MISSED_PONGS: u32 = 2;
/// How long a viewer may take to answer a close.
pub const CLOSE_TIMEOUT: Duration = Duration::from_millis(400);

/// Close codes that this hub gives beyond those of RFC 6455.
pub mod close {
    /// The hub has no capacity left (IANA's registry of close codes).
    pub const TRY_AGAIN_LATER: u16 = 1013;
    /// The peer needs a token or a key that it does not have.
    pub const UNAUTHORIZED: u16 = 4401;
    /// The device may not push here, or not now.
    pub const FORBIDDEN: u16 = 4403;
    /// The device sent no picture for too long.
    pub const IDLE: u16 = 4408;
    /// Another connection took the device's place.
    pub const REPLACED: u16 = 4409;
    /// The device sent a message that is too long.
    pub const TOO_LARGE: u16 = 4413;
    /// Too many handshakes that failed came from this address.
    pub const TOO_MANY: u16 = 4429;
    /// The most bytes of a reason (RFC 6455, 5.5).
    pub const REASON_LIMIT: usize = 123;
}

/// How a socket is read.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// Whose budget it is read within.
    kind: PeerKind,
    /// The longest message that is taken in at all.
    limit: usize,
    /// The longest text among them.
    text_limit: usize,
    /// Whether nothing but a pong answers a ping.
    only_pongs: bool,
}

impl Reading {
    /// A viewer's, which says little. Whatever it says shows that it is there.
    pub const VIEWER: Self = Self {
        kind: PeerKind::Viewer,
        limit: READ_LIMIT,
        text_limit: TEXT_LIMIT,
        only_pongs: false,
    };

    /// A device's, whose messages are pictures of at most `limit` bytes. One that
    /// sends without reading would never learn why it is refused, so it has to
    /// answer pings.
    pub const fn device(limit: usize) -> Self {
        Self {
            kind: PeerKind::Device,
            limit,
            text_limit: limit,
            only_pongs: true,
        }
    }
}

/// What a socket brings.
#[derive(Debug)]
pub enum Incoming {
    /// A text message.
    Text(String),
    /// A binary message.
    Binary(Bytes),
    /// A device's message that is too long to be taken; [`Socket::refuse`] says so.
    TooLong,
    /// The socket is closed, or of no more use; [`Socket::end`] tells why. A device
    /// that broke the protocol can still be told by [`Socket::refuse`].
    Closed,
}

/// An open WebSocket with at most one message being written.
///
/// While one is, nothing is read: a viewer that does not take what it asked for
/// gets no more answers, and cannot make the hub hoard them.
pub struct Socket {
    stream: WebSocketStream<Connection>,
    /// A binary message, or a piece of a text, that the connection has not taken yet.
    binary: Option<Binary>,
    writing: bool,
    closing: bool,
    ping: Interval,
    unanswered: u32,
    reading: Reading,
    /// What comes is no sequence of messages any more.
    garbled: bool,
    /// Why it ended: the first cause.
    end: Option<End>,
}

impl Socket {
    fn open(
        upgraded: hyper::upgrade::Upgraded,
        reading: Reading,
        budgets: &Budgets,
    ) -> Option<Self> {
        let parts = upgraded.downcast::<TokioIo<Connection>>().ok()?;
        let mut connection = parts.io.into_inner();
        connection.read_first(parts.read_buf);
        Some(Self::over(connection, reading, budgets))
    }

    fn over(mut connection: Connection, reading: Reading, budgets: &Budgets) -> Self {
        connection.count_no_flushes();
        connection.set_budget(budgets.budget(reading.kind));
        connection.count_frames();
        let limits = Limits::default().max_payload_len(Some(reading.limit));
        let mut ping = interval_at(Instant::now() + PING_INTERVAL, PING_INTERVAL);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            stream: ServerBuilder::new().limits(limits).serve(connection),
            binary: None,
            writing: false,
            closing: false,
            ping,
            unanswered: 0,
            reading,
            garbled: false,
            end: None,
        }
    }

    /// Changes how long a device's messages may be, from the next one on.
    pub fn set_limit(&mut self, limit: usize) {
        self.reading = Reading::device(limit);
        *self.stream.limits_mut() = Limits::default().max_payload_len(Some(limit));
    }

    /// Counts no more against the address that it comes from: a whole fleet of devices
    /// may stand behind one router.
    pub fn stand_alone(&mut self) {
        self.stream.get_mut().stand_alone();
    }

    /// Charges the peer's budget for work that a message of it took.
    pub fn charge(&mut self, work: Duration) {
        self.stream.get_mut().budget().charge(work);
    }

    /// Whether the next message may be sent.
    pub fn is_idle(&self) -> bool {
        !self.writing && !self.closing
    }

    /// Begins to write a message; only while idle.
    pub fn send(&mut self, message: Message) {
        debug_assert!(self.is_idle(), "one message at a time");
        self.begin(message);
    }

    /// Begins to write a binary message; only while idle.
    ///
    /// It goes past the library: its queue costs more than its header does, and this is
    /// what a hub does most.
    fn send_binary(&mut self, payload: Bytes) {
        debug_assert!(self.is_idle(), "one message at a time");
        self.binary = Some(Binary::new(payload, 0));
        self.writing = true;
    }

    /// Begins to write a piece of a text message; only while idle, and nothing but pieces
    /// of it until its last. Pings and closes may go out in between (RFC 6455, 5.4).
    pub fn send_piece(&mut self, payload: Bytes, first: bool, last: bool) {
        debug_assert!(self.is_idle(), "one message at a time");
        self.binary = Some(Binary::piece(payload, first, last));
        self.writing = true;
    }

    /// Lets pictures be written as they are published, while the socket is idle and
    /// its task waits on `ready`: in this form, and no longer than `longest`. Not where
    /// the peer has been slow, whose pictures are chosen when it is ready for them, nor
    /// under TLS. The task takes the socket back whenever it runs.
    fn start_direct_write(&self, ready: &Ready, form: Form, longest: usize, tally: &Tally) {
        if self.is_idle()
            && let Some(wire) = self.stream.get_ref().wire()
        {
            ready.start_direct_write(|| {
                Box::new(Direct::new(wire.clone(), form, longest, tally.clone()))
            });
        }
    }

    /// Ends what [`Socket::start_direct_write`] began, before anything else is done with the socket.
    fn stop_direct_write(&mut self, ready: &Ready, form: Form) {
        if let Some(begun) = ready.stop_direct_write() {
            self.binary = Some(Binary::new(begun.frame.into_message(form), begun.sent));
            self.writing = true;
            self.stream.get_mut().note_slow();
        }
    }

    fn begin(&mut self, message: Message) {
        // A refusal means the closing handshake is under way; reading ends it.
        if Pin::new(&mut self.stream).start_send(message).is_ok() {
            self.writing = true;
        }
    }

    /// Begins to close, with a code and a reason of at most 123 bytes.
    pub fn close(&mut self, code: u16, reason: &str) {
        if self.closing {
            return;
        }
        let code = CloseCode::try_from(code).unwrap_or(CloseCode::INTERNAL_SERVER_ERROR);
        self.begin(Message::close(Some(code), reason));
        self.closing = true;
        self.writing = true;
    }

    /// Drives writing alone; ready when nothing is being written.
    ///
    /// # Errors
    /// The socket is of no more use.
    fn poll_written(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if !self.writing {
            return Poll::Ready(Ok(()));
        }
        // The library has nothing to write when one of these begins; what it is given
        // later waits for its end.
        if let Some(binary) = &mut self.binary {
            ready!(binary.poll_write(self.stream.get_mut(), cx))?;
            self.binary = None;
        }
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        self.writing = false;
        Poll::Ready(Ok(()))
    }

    /// Drives writing, pings and reading; ready with what came. Pending with
    /// [`Socket::is_idle`] means that the next message can be sent.
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
            if let Err(overspent) = ready!(self.stream.get_mut().budget().poll_ready(cx)) {
                if self.closing {
                    return Poll::Ready(self.ended(End::Cut));
                }
                self.cut_off(overspent);
                continue;
            }
            let message = match Pin::new(&mut self.stream).poll_next(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => return Poll::Ready(self.ended(End::Cut)),
                Poll::Ready(Some(Ok(message))) => message,
                Poll::Ready(Some(Err(Error::PayloadTooLong { .. })))
                    if self.reading.only_pongs && !self.closing =>
                {
                    self.garbled = true;
                    return Poll::Ready(Incoming::TooLong);
                }
                Poll::Ready(Some(Err(error))) => {
                    let overspent = Overspent::cause_of(&error).filter(|_| !self.closing);
                    if let Some(overspent) = overspent {
                        self.cut_off(overspent);
                        continue;
                    }
                    let end = self.ended(End::of(&error));
                    if self.reading.only_pongs
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
            if message.is_pong() || !self.reading.only_pongs {
                self.unanswered = 0;
            }
            if message.is_ping() || message.is_close() {
                // The answer stands in the stream's buffer; send it.
                self.writing = true;
                if let Some((code, _)) = message.as_close() {
                    self.ended(End::Closed(code.into()));
                    self.closing = true;
                }
            } else if self.closing || message.is_pong() {
            } else if message.is_binary() {
                return Poll::Ready(Incoming::Binary(message.into_payload().into()));
            } else if message.as_payload().len() > self.reading.text_limit {
                self.close(1009, "a text message is at most 64 KiB");
            } else {
                let text = message.as_text().unwrap_or_default().to_owned();
                return Poll::Ready(Incoming::Text(text));
            }
        }
    }

    /// Begins to close the socket of a peer that stayed over its budget.
    fn cut_off(&mut self, overspent: Overspent) {
        tracing::info!(peer = ?self.stream.get_ref().remote(), "cut off: {overspent}");
        self.ended(End::Overspent(overspent.to_string()));
        self.close(1008, &overspent.to_string());
    }

    /// Why the socket ended, once it has.
    pub fn end(&self) -> Option<&End> {
        self.end.as_ref()
    }

    /// Notes why it ended, unless it is known already.
    fn ended(&mut self, end: End) -> Incoming {
        self.end.get_or_insert(end);
        Incoming::Closed
    }

    /// After a fault of the peer: says so, if it can still be said.
    fn answer_fault(&mut self, error: &Error) {
        match error {
            // Faults found in one frame are answered by the library; one that
            // only the sum of fragments shows is not.
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

    /// Says `last`, closes with a code and a reason of at most 123 bytes, and waits
    /// for the peer to have read it; at most `limit`.
    pub async fn refuse(mut self, last: String, code: u16, reason: &str, limit: Duration) {
        let garbled = self.garbled;
        let told = async {
            poll_fn(|cx| self.poll_written(cx)).await?;
            if garbled {
                // The stream has an answer of its own ready, with another code.
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
        let Ok(Ok(mut told)) = timeout_at(until, told).await else {
            return;
        };
        if !garbled {
            return told.finish(until - Instant::now()).await;
        }
        // Over bytes that nobody read the kernel would reset the connection, and
        // what the peer was told with it.
        let connection = told.stream.get_mut();
        let drained = async {
            let _ = connection.shutdown().await;
            let mut scrap = [0; 4096];
            while connection.read(&mut scrap).await.is_ok_and(|len| len > 0) {}
        };
        let _ = timeout_at(until, drained).await;
    }

    /// Writes out what is begun, for the end of a conversation; at most `limit`.
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
        // Whoever does not answer a close in time is dropped.
        let _ = tokio::time::timeout(limit, last).await;
    }
}
