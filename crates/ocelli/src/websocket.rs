//! WebSockets (RFC 6455) as the sinks use them: the upgrade with its refusals,
//! and a socket with at most one message being written.

use crate::answer::plain;
use crate::connection::{Connection, Peer};
use crate::counts::Refusal;
use crate::site::Site;
use axum::body::Body;
use axum::response::Response;
use futures_util::{Sink, Stream};
use headers::{HeaderMapExt, SecWebsocketAccept, SecWebsocketKey};
use http::header::{
    CONNECTION, HeaderMap, HeaderValue, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{Method, Request, StatusCode, Version};
use hyper_util::rt::TokioIo;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};
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

/// Close codes that this hub gives beyond those of RFC 6455.
pub mod close {
    /// The viewer needs a token that it does not have.
    pub const UNAUTHORIZED: u16 = 4401;
    /// The most bytes of a reason (RFC 6455, 5.5).
    pub const REASON_LIMIT: usize = 123;
}

/// Answers an upgrade and runs `serve` on the socket once it is open. `protocol`
/// is the subprotocol chosen among those offered, to be echoed.
pub fn upgrade<F, S>(
    site: &Site,
    peer: &Peer,
    mut request: Request<Body>,
    protocol: Option<&'static str>,
    serve: S,
) -> Response
where
    F: Future<Output = ()> + Send + 'static,
    S: FnOnce(Socket) -> F + Send + 'static,
{
    let checked = check(&request).map_err(|(status, reason)| (Refusal::Handshake, status, reason));
    let checked = checked.and_then(|accept| {
        let allowed = site.gate.check_origin(request.headers(), peer);
        allowed.map_err(|reason| (Refusal::Origin, StatusCode::FORBIDDEN, reason))?;
        Ok(accept)
    });
    let accept = match checked {
        Ok(accept) => accept,
        Err((why, status, reason)) => {
            let path = request.uri().path();
            site.refused(why, peer, &format!("{path}: {reason}"));
            let mut response = plain(status, &reason);
            if status == StatusCode::UPGRADE_REQUIRED {
                let headers = response.headers_mut();
                headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
                headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
                headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
            }
            return response;
        }
    };
    let remote = peer.remote;
    let upgraded = hyper::upgrade::on(&mut request);
    site.tasks.spawn(async move {
        let socket = match upgraded.await {
            Ok(upgraded) => Socket::open(upgraded),
            Err(error) => {
                tracing::debug!(peer = %remote, %error, "the client left during the upgrade");
                return;
            }
        };
        match socket {
            Some(socket) => serve(socket).await,
            None => tracing::error!(peer = %remote, "an upgraded connection of unknown kind"),
        }
    });
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.typed_insert(accept);
    if let Some(protocol) = protocol {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocol));
    }
    response
}

/// Checks an opening handshake (RFC 6455, 4.2.1).
fn check(request: &Request<Body>) -> Result<SecWebsocketAccept, (StatusCode, String)> {
    let headers = request.headers();
    let refuse = |status, reason: &str| Err((status, reason.to_owned()));
    if request.method() != Method::GET {
        return refuse(
            StatusCode::METHOD_NOT_ALLOWED,
            "a WebSocket is opened with GET",
        );
    }
    if request.version() < Version::HTTP_11 {
        return refuse(
            StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            "a WebSocket needs HTTP/1.1; a proxy in between may speak HTTP/1.0 to the hub",
        );
    }
    if request.version() > Version::HTTP_11 {
        return refuse(
            StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            "a WebSocket is opened over HTTP/1.1 here, not HTTP/2 (offer http/1.1 in ALPN)",
        );
    }
    if !has_token(headers, &UPGRADE, "websocket") {
        return refuse(
            StatusCode::UPGRADE_REQUIRED,
            "this address is a WebSocket; the request lacks \"Upgrade: websocket\" \
             (a reverse proxy must pass it on)",
        );
    }
    if !has_token(headers, &CONNECTION, "upgrade") {
        return refuse(
            StatusCode::BAD_REQUEST,
            "the request lacks \"Connection: Upgrade\" (a reverse proxy must pass it on)",
        );
    }
    match headers.get(SEC_WEBSOCKET_VERSION) {
        Some(version) if version == "13" => {}
        Some(version) => {
            let reason = format!("WebSocket version {version:?} is not spoken here; 13 is");
            return Err((StatusCode::UPGRADE_REQUIRED, reason));
        }
        None => {
            return refuse(
                StatusCode::BAD_REQUEST,
                "the request lacks \"Sec-WebSocket-Version: 13\"",
            );
        }
    }
    let key = headers.get("sec-websocket-key");
    if !key.is_some_and(|key| is_nonce(key.as_bytes())) {
        return refuse(
            StatusCode::BAD_REQUEST,
            "the request lacks a \"Sec-WebSocket-Key\" of 16 bytes in base64",
        );
    }
    match headers.typed_get::<SecWebsocketKey>() {
        Some(key) => Ok(SecWebsocketAccept::from(key)),
        None => refuse(
            StatusCode::BAD_REQUEST,
            "there are several Sec-WebSocket-Key",
        ),
    }
}

/// Whether a key is 16 bytes in base64: 22 digits and two signs of padding.
fn is_nonce(key: &[u8]) -> bool {
    let digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    key.len() == 24 && key.ends_with(b"==") && key[..22].iter().all(digit)
}

fn has_token(headers: &HeaderMap, name: &http::HeaderName, token: &str) -> bool {
    let values = headers.get_all(name).iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|part| part.trim().eq_ignore_ascii_case(token))
}

/// Whether a client offers a subprotocol.
pub fn offers(headers: &HeaderMap, protocol: &str) -> bool {
    let values = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|part| part.trim() == protocol)
}

/// What a socket brings.
#[derive(Debug)]
pub enum Incoming {
    /// A text message.
    Text(String),
    /// A binary message; what it holds is nobody's business on a viewer's socket.
    Binary,
    /// The socket is closed, or of no more use.
    Closed,
}

/// An open WebSocket with at most one message being written.
///
/// While one is, nothing is read: a viewer that does not take what it asked for
/// gets no more answers, and cannot make the hub hoard them.
pub struct Socket {
    stream: WebSocketStream<Connection>,
    writing: bool,
    closing: bool,
    ping: Interval,
    unanswered: u32,
}

impl Socket {
    fn open(upgraded: hyper::upgrade::Upgraded) -> Option<Self> {
        let parts = upgraded.downcast::<TokioIo<Connection>>().ok()?;
        let mut connection = parts.io.into_inner();
        connection.read_first(parts.read_buf);
        let limits = Limits::default().max_payload_len(Some(READ_LIMIT));
        let mut ping = interval_at(Instant::now() + PING_INTERVAL, PING_INTERVAL);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Some(Self {
            stream: ServerBuilder::new().limits(limits).serve(connection),
            writing: false,
            closing: false,
            ping,
            unanswered: 0,
        })
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
    pub fn poll_written(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if self.writing {
            ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
            self.writing = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Drives writing, pings and reading; ready with what came. Pending with
    /// [`Socket::is_idle`] means that the next message can be sent.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Incoming> {
        loop {
            if ready!(self.poll_written(cx)).is_err() {
                return Poll::Ready(Incoming::Closed);
            }
            if self.ping.poll_tick(cx).is_ready() {
                if self.unanswered >= MISSED_PONGS || self.closing {
                    return Poll::Ready(Incoming::Closed);
                }
                self.unanswered += 1;
                self.begin(Message::ping(""));
                continue;
            }
            let message = match Pin::new(&mut self.stream).poll_next(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => return Poll::Ready(Incoming::Closed),
                Poll::Ready(Some(Ok(message))) => message,
                Poll::Ready(Some(Err(error))) => {
                    self.refuse(&error);
                    if self.writing {
                        continue;
                    }
                    return Poll::Ready(Incoming::Closed);
                }
            };
            self.unanswered = 0;
            if message.is_ping() || message.is_close() {
                // The answer stands in the stream's buffer; send it.
                self.writing = true;
                self.closing |= message.is_close();
            } else if self.closing || message.is_pong() {
            } else if message.is_binary() {
                return Poll::Ready(Incoming::Binary);
            } else if message.as_payload().len() > TEXT_LIMIT {
                self.close(1009, "a text message is at most 64 KiB");
            } else {
                let text = message.as_text().unwrap_or_default().to_owned();
                return Poll::Ready(Incoming::Text(text));
            }
        }
    }

    /// After a fault of the peer: says so, if it can still be said.
    fn refuse(&mut self, error: &Error) {
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

    /// Writes out what is begun, for the end of a conversation; at most `limit`.
    pub async fn finish(mut self, limit: Duration) {
        let last = std::future::poll_fn(|cx| {
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
