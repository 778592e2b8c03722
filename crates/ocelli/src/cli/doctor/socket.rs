//! A WebSocket server, from its address to its answer to a ping.

use super::frames::{Broken, Frame, Wire, opcode};
use super::handshake::{Opening, refused, unanswered};
use super::http::{self, Answer};
use super::report::Report;
use super::route::{Route, Stream};
use ocelli_media::jpeg;
use std::time::Duration;
use tokio::time::{Instant, timeout, timeout_at};

/// For the answer to a ping.
const PONG: Duration = Duration::from_secs(5);
/// For a first message that comes unasked.
const FIRST_MESSAGE: Duration = Duration::from_millis(1500);
/// For the answer to a close.
const TEARDOWN_GRACE: Duration = Duration::from_secs(2);
/// A page that no server has on its list.
const FOREIGN: &str = "https://foreign-page.example";
/// What the ping carries and the pong must bring back.
const PING: &[u8] = b"ocelli doctor";

/// Examines the WebSocket at an address.
pub async fn examine(route: &Route, protocol: Option<&str>, report: &mut Report) {
    if let Some(stream) = route.open(report).await {
        converse(stream, route, protocol, report).await;
    }
}

/// Examines the WebSocket behind an open connection.
pub async fn converse(
    mut stream: Box<dyn Stream>,
    route: &Route,
    protocol: Option<&str>,
    report: &mut Report,
) {
    let opening = Opening::new(protocol);
    let request = opening.request(route, Some(&route.own_origin()));
    match http::ask(stream.as_mut(), &request).await {
        Answer::Head(head, read) if head.status == 101 => {
            opening.judge(&head, report);
            Conversation::default()
                .hold(stream.as_mut(), read, report)
                .await;
            // A small board may have room for one connection only.
            drop(stream);
            foreign_origin(route, protocol, report).await;
            if !route.tls && !route.is_loopback() {
                report.warn(
                    "tls",
                    "The connection is not encrypted: anybody on the way can look in, and pages \
                     opened over https can't use this address (browsers call that mixed \
                     content). Pages opened over http can.",
                );
            }
        }
        Answer::Head(head, body) => {
            let quoted = http::quote(stream.as_mut(), &head, body).await;
            refused(&head, quoted.as_deref(), report);
            drop(stream);
            if matches!(head.status, 400 | 401 | 403)
                && opens(route, protocol, None).await == Some(true)
            {
                report.fail(
                    "origin",
                    format!(
                        "The server opens the socket for programs, but not for pages of {}: its \
                         Origin rule refuses them. Add that origin to the list of those allowed.",
                        route.own_origin()
                    ),
                );
            }
        }
        answer => unanswered(&answer, route, report),
    }
}

/// Whether the server opens a socket for a page of `origin`; none if it can't be
/// told.
async fn opens(route: &Route, protocol: Option<&str>, origin: Option<&str>) -> Option<bool> {
    let mut stream = route.open(&mut Report::default()).await?;
    let request = Opening::new(protocol).request(route, origin);
    match http::ask(stream.as_mut(), &request).await {
        Answer::Head(head, _) => Some(head.status == 101),
        _ => None,
    }
}

async fn foreign_origin(route: &Route, protocol: Option<&str>, report: &mut Report) {
    match opens(route, protocol, Some(FOREIGN)).await {
        Some(false) => report.pass("origin", "Pages of other sites are refused."),
        Some(true) => report.warn(
            "origin",
            format!(
                "Any web page may open this socket from a visitor's browser, even one from the \
                 other end of the world ({FOREIGN} got in). That is fine for what is public; else \
                 let the server compare the Origin header with a list."
            ),
        ),
        None => report.warn(
            "origin",
            "A second connection, as of a foreign page, got no answer. Does the server take only \
             one viewer at a time?",
        ),
    }
}

/// What was said on an open socket.
#[derive(Default)]
struct Conversation {
    frames: usize,
    masked: bool,
    fault: Option<String>,
    /// A message in pieces has begun.
    open: bool,
    first: Option<String>,
    pong: Option<bool>,
    closed: Option<Close>,
}

/// How the server ended it.
enum Close {
    With(Option<u16>, String),
    Without,
    TooLong(u64),
}

impl Conversation {
    async fn hold(mut self, stream: &mut dyn Stream, read: Vec<u8>, report: &mut Report) {
        let mut wire = Wire::new(stream, read);
        let begun = Instant::now();
        let pinged = wire.send(opcode::PING, PING).await.is_ok();
        while self.closed.is_none() && !self.is_complete(begun) {
            let until = begun
                + if self.pong.is_some() {
                    FIRST_MESSAGE
                } else {
                    PONG
                };
            match timeout_at(until, wire.next()).await {
                Ok(Ok(frame)) => {
                    if frame.opcode == opcode::PING {
                        // If it can't be answered, the next read tells why.
                        let _ = wire.send(opcode::PONG, &frame.payload).await;
                    }
                    self.take(frame);
                }
                Ok(Err(Broken::Closed)) => self.closed = Some(Close::Without),
                Ok(Err(Broken::TooLong(length))) => self.closed = Some(Close::TooLong(length)),
                Err(_) => break,
            }
        }
        self.tell(pinged, report);
        if self.closed.is_none() {
            self.part(&mut wire, report).await;
        }
    }

    fn is_complete(&self, begun: Instant) -> bool {
        let waited = begun.elapsed();
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

    fn tell(&self, pinged: bool, report: &mut Report) {
        match (self.masked, self.frames) {
            (true, _) => report.fail(
                "masking",
                "The server masks its frames, so browsers close (1002). Only a client masks; the \
                 server's frames go out as they are.",
            ),
            (false, 0) => {}
            (false, _) => report.pass(
                "masking",
                "The server's frames are not masked, as it should be.",
            ),
        }
        match &self.fault {
            Some(fault) => report.fail(
                "frames",
                format!("The server sends a frame that browsers close on: it {fault}."),
            ),
            None if self.frames > 0 => {
                report.pass("frames", "Every frame that came is well formed.")
            }
            None => {}
        }
        if let Some(close) = &self.closed {
            return tell_close(close, self.first.as_deref(), report);
        }
        match &self.first {
            Some(first) => report.pass("first message", format!("The first message is {first}.")),
            None => report.pass(
                "first message",
                "No message came by itself; many servers wait until they are asked.",
            ),
        }
        match self.pong {
            Some(true) => report.pass("ping", "A ping is answered."),
            Some(false) => report.warn(
                "ping",
                "The answer to a ping does not bring back what the ping carried, so careful \
                 clients take the connection for dead. A pong repeats the ping's bytes.",
            ),
            None if pinged => report.warn(
                "ping",
                "A ping gets no answer. Browsers send none, but programs and proxies do, and they \
                 will take the connection for dead. Let the server answer opcode 9 with 10.",
            ),
            None => report.fail("ping", "The connection broke before a ping could be sent."),
        }
    }

    async fn part(&self, wire: &mut Wire<'_>, report: &mut Report) {
        if wire
            .send(opcode::CLOSE, &1000u16.to_be_bytes())
            .await
            .is_err()
        {
            return;
        }
        let answered = timeout(TEARDOWN_GRACE, async {
            loop {
                match wire.next().await {
                    Ok(frame) if frame.opcode == opcode::CLOSE => return true,
                    Ok(_) => {}
                    Err(_) => return false,
                }
            }
        });
        if let Ok(true) = answered.await {
            report.pass("farewell", "A close is answered with a close.");
        } else {
            report.warn(
                "farewell",
                "A close is not answered, so a page that leaves sees 1006 in place of a clean \
                 end. Let the server send a close frame back.",
            );
        }
    }
}

fn tell_close(close: &Close, first: Option<&str>, report: &mut Report) {
    let when = match first {
        Some(first) => format!("after its first message ({first})"),
        None => "right after it is open".to_owned(),
    };
    let message = match close {
        Close::Without => format!(
            "The server drops the connection {when}, without a close frame, which a page sees as \
             1006 with no reason. It may have crashed over the socket; its own log should say why."
        ),
        Close::TooLong(length) => format!(
            "The server announces a frame of {length} bytes, which no client takes. Its lengths \
             are probably in the wrong byte order: they are big-endian."
        ),
        Close::With(code, reason) => {
            let number = code.map_or("no code".to_owned(), |code| code.to_string());
            let reason = if reason.is_empty() {
                String::new()
            } else {
                format!(" It says: {reason}")
            };
            format!(
                "The server closes the socket {when}, with {number}{}.{reason}",
                meaning(*code)
            )
        }
    };
    report.fail("close", message);
}

fn meaning(code: Option<u16>) -> &'static str {
    match code {
        Some(1000 | 1001) => ": it has nothing to send, or is being stopped",
        Some(1002) => ": it takes this client's frames for wrong; does it unmask them?",
        Some(1003) => ": it does not take such messages",
        Some(1008) => ": a rule of its own; often a token is missing",
        Some(1009) => ": a message was too long for it",
        Some(1011) => ": it broke down; its own log should say why",
        Some(1012 | 1013) => ": it restarts, or has too much to do; try again later",
        Some(4401) => ": a key or token is missing or wrong",
        Some(4403) => ": this is not enabled, or over a quota",
        Some(4404) => ": no such camera",
        Some(4409) => ": another connection has taken its place",
        Some(4429) => ": too many attempts; wait a minute",
        _ => "",
    }
}

/// A message in words that tell nothing secret.
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
