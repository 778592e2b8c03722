//! The opening handshake, written by hand: what is refused, and how.

#![allow(clippy::unwrap_used, reason = "a failed test setup must panic")]

use crate::support::TIMEOUT;
use crate::support::http::{HttpResponse, ask, get};
use crate::support::hub::OCELLI;
use ocelli_testkit::Hub;
use ocelli_testkit::websocket::{Frame, KEY, RawSocket, plain_message};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

fn hub() -> Hub {
    Hub::serve(OCELLI, ["cam1=pattern:?size=64x48&fps=20"])
}

/// The headers of a valid handshake, of which any can be replaced or left out.
struct Request {
    line: String,
    headers: Vec<(&'static str, String)>,
}

impl Request {
    fn to(path: &str) -> Self {
        let headers = [
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", KEY),
        ];
        Self {
            line: format!("GET {path} HTTP/1.1"),
            headers: headers.map(|(name, value)| (name, value.into())).into(),
        }
    }

    fn line(mut self, line: &str) -> Self {
        self.line = line.into();
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(other, _)| *other != name);
        self
    }

    fn with(self, name: &'static str, value: &str) -> Self {
        let mut changed = self.without(name);
        changed.headers.push((name, value.into()));
        changed
    }

    /// Adds a line after the one with the same name.
    fn and(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    fn text(&self, hub: &Hub) -> String {
        let mut text = format!("{}\r\nHost: {}\r\n", self.line, hub.addr());
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text + "\r\n"
    }

    async fn ask(&self, hub: &Hub) -> HttpResponse {
        ask(hub.addr(), &self.text(hub)).await
    }
}

#[tokio::test]
async fn a_valid_handshake_is_accepted_in_every_spelling() {
    let hub = hub();
    for path in ["/ws/cameras", "/live/ws?app=live&room=cam1"] {
        let good = || Request::to(path);
        for request in [
            good(),
            good().with("Upgrade", "WebSocket"),
            good().with("Connection", "keep-alive, Upgrade"),
            good().with("Connection", "UPGRADE"),
            good().with("Sec-WebSocket-Extensions", "permessage-deflate"),
        ] {
            let response = request.ask(&hub).await;
            assert_eq!(response.status(), 101, "{response:?}");
            let accept = response.header("sec-websocket-accept");
            assert_eq!(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "{response:?}");
            assert_eq!(response.header("upgrade").to_lowercase(), "websocket");
            assert_eq!(response.header("connection").to_lowercase(), "upgrade");
            assert!(response.head.get("sec-websocket-extensions").is_none());
            assert!(response.head.get("sec-websocket-protocol").is_none());
        }
    }
}

#[tokio::test]
async fn duplicate_headers_are_refused() {
    let hub = hub();
    let (other, host) = ("AAAAAAAAAAAAAAAAAAAAAA==", hub.addr().to_string());
    for path in [
        "/ws/cameras",
        "/live/ws?app=live&room=cam1",
        "/ingest/ws",
        "/ws/series",
    ] {
        let good = || Request::to(path);
        for request in [
            good().and("Sec-WebSocket-Key", other),
            good().and("Sec-WebSocket-Key", KEY),
            good().and("sec-websocket-key", "c2hvcnQ="),
            good().with("Sec-WebSocket-Key", &format!("{KEY}, {other}")),
            good().and("Sec-WebSocket-Version", "13"),
            good().and("Sec-WebSocket-Version", "8"),
            good().with("Sec-WebSocket-Version", "13, 8"),
            good().and("Upgrade", "websocket"),
            good().and("Upgrade", "h2c"),
            good().with("Upgrade", "websocket, h2c"),
            good().with("Upgrade", "h2c, websocket"),
            good().with("Upgrade", "websocket,"),
            good().and("Host", &host),
            good().and("Host", "evil.example"),
        ] {
            let response = request.ask(&hub).await;
            assert_eq!(
                response.status(),
                400,
                "{}: {response:?}",
                request.text(&hub)
            );
        }
        for odd in [
            "websocket/13",
            "websocket;q=1",
            "web socket",
            "\"websocket\"",
        ] {
            let response = good().with("Upgrade", odd).ask(&hub).await;
            assert_eq!(response.status(), 426, "{odd}: {response:?}");
        }
    }
}

#[tokio::test]
async fn each_fault_gets_a_status_and_a_sentence_that_names_it() {
    let hub = hub();
    let path = "/ws/cameras";
    let good = || Request::to(path);
    for (request, status, word) in [
        (
            good().without("Sec-WebSocket-Key"),
            400,
            "Sec-WebSocket-Key",
        ),
        (
            good().with("Sec-WebSocket-Key", "c2hvcnQ="),
            400,
            "16 bytes",
        ),
        (
            good().with("Sec-WebSocket-Key", &"!".repeat(24)),
            400,
            "base64",
        ),
        (
            good().without("Sec-WebSocket-Version"),
            400,
            "Sec-WebSocket-Version: 13",
        ),
        (good().with("Sec-WebSocket-Version", "8"), 426, "13"),
        (good().with("Sec-WebSocket-Version", "14"), 426, "13"),
        (good().without("Upgrade"), 426, "Upgrade: websocket"),
        (good().with("Upgrade", "h2c"), 426, "Upgrade: websocket"),
        (good().without("Connection"), 400, "Connection: Upgrade"),
        (
            good().with("Connection", "close"),
            400,
            "Connection: Upgrade",
        ),
        (good().line(&format!("POST {path} HTTP/1.1")), 405, "GET"),
        (good().line(&format!("PUT {path} HTTP/1.1")), 405, "GET"),
        (
            good().line(&format!("GET {path} HTTP/1.0")),
            505,
            "HTTP/1.1",
        ),
    ] {
        let response = request.ask(&hub).await;
        response.is_plain(status, word);
        if status == 426 {
            assert_eq!(
                response.header("sec-websocket-version"),
                "13",
                "{response:?}"
            );
        }
    }
    get(hub.addr(), path).await.is_plain(426, "WebSocket");
    // Drafts from before 2011 are not supported.
    let draft = good()
        .without("Sec-WebSocket-Version")
        .without("Sec-WebSocket-Key")
        .with("Sec-WebSocket-Key1", "4 @1  46546xW%0l 1 5")
        .with("Sec-WebSocket-Key2", "12998 5 Y3 1  .P00");
    draft.ask(&hub).await.is_plain(400, "RFC 6455");
    let refused = hub.wait_stderr("refused an upgrade", TIMEOUT).unwrap();
    assert!(refused.contains("127.0.0.1:"), "{refused}");
    assert!(refused.contains("Sec-WebSocket-Key"), "{refused}");
    let logged = |hub: &Hub| {
        let lines = hub.stderr();
        let lines = lines
            .iter()
            .filter(|line| line.contains("refused an upgrade"));
        lines.count()
    };
    crate::support::eventually("each refusal is logged", || logged(&hub) >= 15).await;
    assert_eq!(logged(&hub), 15, "once each");
}

#[tokio::test]
async fn a_frame_in_the_same_packet_as_the_handshake_is_not_lost() {
    let hub = hub();
    for path in ["/ws/cameras", "/ws/cameras?later=1"] {
        let mut bytes = Request::to(path).text(&hub).into_bytes();
        let command = br#"{"cmd":"subscribe","cameras":["cam1"]}"#;
        bytes.extend([0x81, 0x80 | command.len() as u8, 0, 0, 0, 0]);
        bytes.extend(command);
        let mut socket = RawSocket::connect(hub.addr()).await;
        socket.send_raw(&bytes).await;
        assert_eq!(socket.head().await.expect("an answer").status, 101);
        let message = socket.binary(TIMEOUT).await.expect("a picture");
        assert_eq!(plain_message(&message).expect("a message").0, "cam1");
        let next = socket.binary(TIMEOUT).await;
        assert!(next.is_some(), "the socket stays open");
    }
}

#[tokio::test]
async fn a_handshake_in_many_packets_is_accepted() {
    let hub = hub();
    let mut socket = RawSocket::connect(hub.addr()).await;
    for byte in Request::to("/ws/cameras").text(&hub).into_bytes() {
        socket.send_raw(&[byte]).await;
    }
    assert_eq!(socket.head().await.expect("an answer").status, 101);
    let mut frame = Frame::text(r#"{"cmd":"subscribe","cameras":["*"]}"#);
    frame.fin = true;
    socket.send(&frame).await;
    assert!(socket.binary(TIMEOUT).await.is_some());
}

/// Returns the time until the hub ends a connection on which this was sent.
async fn cut_off(hub: &Hub, text: &[u8]) -> Duration {
    let mut stream = TcpStream::connect(hub.addr()).await.unwrap();
    let started = Instant::now();
    stream.write_all(text).await.unwrap();
    let mut response = Vec::new();
    let read = timeout(Duration::from_secs(20), stream.read_to_end(&mut response)).await;
    let _ = read.expect("the connection is closed in time");
    started.elapsed()
}

#[tokio::test]
async fn an_unfinished_header_is_cut_off() {
    let hub = hub();
    let half = format!("GET /ws/cameras HTTP/1.1\r\nHost: {}\r\nUpg", hub.addr());
    let answered = format!("GET /health HTTP/1.1\r\nHost: {}\r\n\r\n", hub.addr());
    let (half, nothing, idle) = tokio::join!(
        cut_off(&hub, half.as_bytes()),
        cut_off(&hub, b""),
        cut_off(&hub, answered.as_bytes()),
    );
    for (what, took) in [
        ("half a header", half),
        ("nothing", nothing),
        ("idle", idle),
    ] {
        assert!(took > Duration::from_secs(8), "{what}: {took:?}");
        assert!(took < Duration::from_secs(13), "{what}: {took:?}");
    }
}

#[tokio::test]
async fn a_header_sent_byte_by_byte_is_cut_off() {
    let hub = hub();
    let mut stream = TcpStream::connect(hub.addr()).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nX: ").await.unwrap();
    let started = Instant::now();
    let mut response = [0; 1000];
    loop {
        assert!(started.elapsed() < Duration::from_secs(13), "it stays open");
        let dripped = stream.write_all(b"x").await;
        let read = timeout(Duration::from_millis(300), stream.read(&mut response)).await;
        if dripped.is_err() || matches!(read, Ok(Ok(0) | Err(_))) {
            break;
        }
    }
    assert!(started.elapsed() > Duration::from_secs(8));
}

#[tokio::test]
async fn oversized_headers_are_refused() {
    let hub = hub();
    let fits = Request::to("/ws/cameras").with("X-Fits", &"x".repeat(8_000));
    assert_eq!(fits.ask(&hub).await.status(), 101);
    let large = Request::to("/ws/cameras").with("X-Large", &"x".repeat(100_000));
    assert_eq!(large.ask(&hub).await.status(), 431);
    let mut many = Request::to("/ws/cameras");
    for _ in 0..500 {
        many.headers.push(("X-Many", "x".into()));
    }
    assert_eq!(many.ask(&hub).await.status(), 431);
    let nonsense = ask(hub.addr(), "\u{1}\u{2}\u{3}\r\n\r\n").await;
    assert_eq!(nonsense.status(), 400);
    assert_eq!(get(hub.addr(), "/health").await.status(), 200);
}
