//! Checks for a WebSocket server, from its address to its pong.

use super::frames::{Broken, Frame, Wire, opcode};
use super::handshake::{Opening, report_no_response, report_refusal};
use super::http::{self, HttpResponse};
use super::report::Report;
use super::route::{Route, Stream};
use ocelli_media::jpeg;
use std::time::Duration;
use tokio::time::{Instant, timeout, timeout_at};

/// Time limit for a pong.
const PONG: Duration = Duration::from_secs(5);
/// How long to wait for an unsolicited first message.
const FIRST_MESSAGE: Duration = Duration::from_millis(1500);
/// Time limit for the response to a close frame.
const TEARDOWN_GRACE: Duration = Duration::from_secs(2);
/// An origin that no server has on its list.
const FOREIGN_ORIGIN: &str = "https://foreign-page.example";
/// The payload of the ping, which the pong must repeat.
const PING: &[u8] = b"ocelli doctor";

/// Checks the WebSocket at an address.
pub async fn diagnose(route: &Route, protocol: Option<&str>, report: &mut Report) {
    if let Some(stream) = route.open(report).await {
        check_socket(stream, route, protocol, report).await;
    }
}

/// Checks the WebSocket over an open connection.
pub async fn check_socket(
    mut stream: Box<dyn Stream>,
    route: &Route,
    protocol: Option<&str>,
    report: &mut Report,
) {
    let opening = Opening::new(protocol);
    let request = opening.request(route, Some(&route.own_origin()));
    match http::send_request(stream.as_mut(), &request).await {
        HttpResponse::Head(head, read) if head.status == 101 => {
            opening.check_response(&head, report);
            SocketRecord::default()
                .observe(stream.as_mut(), read, report)
                .await;
            // A small board may support only one connection.
            drop(stream);
            check_foreign_origin(route, protocol, report).await;
            if !route.tls && !route.is_loopback() {
                report.warn(
                    "tls",
                    "The connection is not encrypted: it can be read in transit, and pages \
                     opened over https can't use this address (browsers call that mixed \
                     content). Pages opened over http can.",
                );
            }
        }
        HttpResponse::Head(head, body) => {
            let excerpt = http::read_excerpt(stream.as_mut(), &head, body).await;
            report_refusal(&head, excerpt.as_deref(), report);
            drop(stream);
            if matches!(head.status, 400 | 401 | 403)
                && is_opened_for(route, protocol, None).await == Some(true)
            {
                report.fail(
                    "origin",
                    format!(
                        "The server accepts the socket from programs, but not from pages of {}: its \
                         origin policy refuses them. Add that origin to the server's list of allowed origins.",
                        route.own_origin()
                    ),
                );
            }
        }
        response => report_no_response(&response, route, report),
    }
}

/// Returns whether the server opens a WebSocket for a program or for one of its own pages.
pub async fn is_opened(route: &Route, protocol: Option<&str>) -> bool {
    is_opened_for(route, protocol, None).await == Some(true)
        || is_opened_for(route, protocol, Some(&route.own_origin())).await == Some(true)
}

/// Returns whether the server opens a socket for a page of `origin`; `None` if that can't be
/// determined.
async fn is_opened_for(
    route: &Route,
    protocol: Option<&str>,
    origin: Option<&str>,
) -> Option<bool> {
    let mut stream = route.open(&mut Report::default()).await?;
    let request = Opening::new(protocol).request(route, origin);
    match http::send_request(stream.as_mut(), &request).await {
        HttpResponse::Head(head, _) => Some(head.status == 101),
        _ => None,
    }
}

async fn check_foreign_origin(route: &Route, protocol: Option<&str>, report: &mut Report) {
    match is_opened_for(route, protocol, Some(FOREIGN_ORIGIN)).await {
        Some(false) => report.pass("origin", "Pages of other sites are refused."),
        Some(true) => report.warn(
            "origin",
            format!(
                "Any web page may open this socket from a visitor's browser, even a page of \
                 another site ({FOREIGN_ORIGIN} was accepted). That is fine for public data; otherwise \
                 make the server compare the Origin header with a list."
            ),
        ),
        None => report.warn(
            "origin",
            "A second connection, with the origin of another site, got no response. Does the server accept only \
             one viewer at a time?",
        ),
    }
}

/// The record of an open socket.
#[derive(Default)]
struct SocketRecord {
    frames: usize,
    masked: bool,
    fault: Option<String>,
    /// Whether a fragmented message has started.
    open: bool,
    first: Option<String>,
    pong: Option<bool>,
    closed: Option<Close>,
}

/// How the server closed the socket.
enum Close {
    With(Option<u16>, String),
    Without,
    TooLong(u64),
}

impl SocketRecord {
    async fn observe(mut self, stream: &mut dyn Stream, read: Vec<u8>, report: &mut Report) {
        let mut wire = Wire::new(stream, read);
        let started = Instant::now();
        let ping_sent = wire.send(opcode::PING, PING).await.is_ok();
        while self.closed.is_none() && !self.is_complete(started) {
            let until = started
                + if self.pong.is_some() {
                    FIRST_MESSAGE
                } else {
                    PONG
                };
            match timeout_at(until, wire.next()).await {
                Ok(Ok(frame)) => {
                    if frame.opcode == opcode::PING {
                        // If the write fails, the next read reports why.
                        let _ = wire.send(opcode::PONG, &frame.payload).await;
                    }
                    self.take(frame);
                }
                Ok(Err(Broken::Closed)) => self.closed = Some(Close::Without),
                Ok(Err(Broken::TooLong(length))) => self.closed = Some(Close::TooLong(length)),
                Err(_) => break,
            }
        }
        self.report(ping_sent, report);
        if self.closed.is_none() {
            self.close(&mut wire, report).await;
        }
    }

    fn is_complete(&self, started: Instant) -> bool {
        let waited = started.elapsed();
        self.pong.is_some() && (self.first.is_some() || waited >= FIRST_MESSAGE) || waited >= PONG
    }

    fn take(&mut self, frame: Frame) {
        self.frames += 1;
        self.masked |= frame.masked;
        if self.fault.is_none() {
            self.fault = frame.fault(self.open);
        }
        match frame.opcode {
            opcode::CLOSE => {
                let (code, reason) = match frame.payload.split_first_chunk() {
                    Some((code, reason)) => (Some(u16::from_be_bytes(*code)), reason),
                    None => (None, &[][..]),
                };
                let reason = String::from_utf8_lossy(reason).into_owned();
                self.closed = Some(Close::With(code, reason));
            }
            opcode::PONG => self.pong = Some(frame.payload == PING),
            opcode::CONTINUATION => self.open &= !frame.fin,
            opcode::TEXT | opcode::BINARY => {
                self.open = !frame.fin;
                self.first.get_or_insert_with(|| describe(&frame));
            }
            _ => {}
        }
    }

    fn report(&self, ping_sent: bool, report: &mut Report) {
        match (self.masked, self.frames) {
            (true, _) => report.fail(
                "masking",
                "The server masks its frames, so browsers disconnect (1002). Only clients mask; the \
                 server must send its frames unmasked.",
            ),
            (false, 0) => {}
            (false, _) => report.pass(
                "masking",
                "The server's frames are not masked, as required.",
            ),
        }
        match &self.fault {
            Some(fault) => report.fail(
                "frames",
                format!("The server sends a frame that makes browsers disconnect: it {fault}."),
            ),
            None if self.frames > 0 => {
                report.pass("frames", "All received frames are well formed.")
            }
            None => {}
        }
        if let Some(close) = &self.closed {
            return report_close(close, self.first.as_deref(), report);
        }
        match &self.first {
            Some(first) => report.pass("first message", format!("The first message is {first}.")),
            None => report.pass(
                "first message",
                "No unsolicited message arrived; many servers wait for a request.",
            ),
        }
        match self.pong {
            Some(true) => report.pass("ping", "A ping is answered."),
            Some(false) => report.warn(
                "ping",
                "The pong does not repeat the ping's payload, so strict \
                 clients treat the connection as dead. A pong must repeat the ping's bytes.",
            ),
            None if ping_sent => report.warn(
                "ping",
                "A ping gets no answer. Browsers send no pings, but programs and proxies do, and they \
                 treat the connection as dead. Make the server answer opcode 9 with opcode 10.",
            ),
            None => report.fail("ping", "The connection failed before a ping could be sent."),
        }
    }

    async fn close(&self, wire: &mut Wire<'_>, report: &mut Report) {
        if wire
            .send(opcode::CLOSE, &1000u16.to_be_bytes())
            .await
            .is_err()
        {
            return;
        }
        let reply_received = timeout(TEARDOWN_GRACE, async {
            loop {
                match wire.next().await {
                    Ok(frame) if frame.opcode == opcode::CLOSE => return true,
                    Ok(_) => {}
                    Err(_) => return false,
                }
            }
        });
        if let Ok(true) = reply_received.await {
            report.pass("farewell", "A close frame is answered with a close frame.");
        } else {
            report.warn(
                "farewell",
                "A close frame is not answered, so a page that closes the socket sees 1006 instead of a clean \
                 close. Make the server send a close frame back.",
            );
        }
    }
}

fn report_close(close: &Close, first: Option<&str>, report: &mut Report) {
    let when = match first {
        Some(first) => format!("after its first message ({first})"),
        None => "right after it is opened".to_owned(),
    };
    let message = match close {
        Close::Without => format!(
            "The server drops the connection {when}, without a close frame, which a page sees as \
             1006 with no reason. It may have crashed; see the server's log."
        ),
        Close::TooLong(length) => format!(
            "The server announces a frame of {length} bytes, which no client accepts. Its lengths \
             are probably in the wrong byte order: they must be big-endian."
        ),
        Close::With(code, reason) => {
            let number = code.map_or("no code".to_owned(), |code| code.to_string());
            let reason = if reason.is_empty() {
                String::new()
            } else {
                format!("  Its reason: {reason}")
            };
            format!(
                "The server closes the socket {when}, with {number}{}.{reason}",
                close_code_meaning(*code)
            )
        }
    };
    report.fail("close", message);
}

fn close_code_meaning(code: Option<u16>) -> &'static str {
    match code {
        Some(1000 | 1001) => ": it has nothing to send, or is shutting down",
        Some(1002) => ": it treats this client's frames as invalid; does it unmask them?",
        Some(1003) => ": it does not accept such messages",
        Some(1008) => ": a policy of the server; often a token is missing",
        Some(1009) => ": a message was too long",
        Some(1011) => ": an error in the server; see its log",
        Some(1012 | 1013) => ": it is restarting or overloaded; try again later",
        Some(4401) => ": a key or token is missing or wrong",
        Some(4403) => ": not enabled, or over a quota",
        Some(4404) => ": no such camera",
        Some(4409) => ": another connection has replaced this one",
        Some(4429) => ": too many attempts; wait a minute",
        _ => "",
    }
}

/// A description of a message that reveals none of its content.
fn describe(frame: &Frame) -> String {
    let payload = &frame.payload[..];
    let length = payload.len();
    if frame.opcode == opcode::TEXT {
        let json = serde_json::from_slice::<serde_json::Value>(payload);
        let kind = match json {
            Ok(serde_json::Value::Object(_)) => "text, a JSON object",
            _ => "text",
        };
        return format!("{kind} of {length} bytes");
    }
    let inner = match payload.split_first() {
        Some((&id, rest)) => rest.get(usize::from(id)..).unwrap_or_default(),
        None => &[],
    };
    if let Some((width, height)) = jpeg::size(payload) {
        format!("binary, a JPEG of {width} × {height}, {length} bytes")
    } else if let Some((width, height)) = jpeg::size(inner) {
        format!("binary, a wall's frame with a JPEG of {width} × {height}, {length} bytes")
    } else if payload.starts_with(b"jsmp") {
        "binary, the header of a JSMpeg stream".to_owned()
    } else {
        format!("binary, {length} bytes")
    }
}
