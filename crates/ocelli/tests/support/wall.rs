//! A WebSocket viewer, with a library that the hub does not use. It checks the handshake as
//! strictly as a browser.

#![allow(clippy::unwrap_used, reason = "a failed test setup must panic")]

use super::TIMEOUT;
use futures_util::{SinkExt, StreamExt};
use ocelli_testkit::jpeg;
use ocelli_testkit::websocket::{V2, plain_message};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderName;
use tokio_tungstenite::tungstenite::{Error, Message};

/// The wall's path.
pub const WALL: &str = "/ws/cameras";

/// An open socket.
pub struct Wall(WebSocketStream<TcpStream>);

impl Wall {
    /// Opens the plain form.
    pub async fn plain(address: SocketAddr) -> Self {
        Self::open(address, WALL, None).await
    }

    /// Opens the `ocelli.v2` form; its `hello` has not been read yet.
    pub async fn v2(address: SocketAddr) -> Self {
        Self::open(address, WALL, Some("ocelli.v2")).await
    }

    /// Opens any path, with a subprotocol if one is given.
    pub async fn open(address: SocketAddr, path: &str, protocol: Option<&str>) -> Self {
        Self::with(address, path, protocol, &[]).await
    }

    /// The same with additional header lines.
    pub async fn with(
        address: SocketAddr,
        path: &str,
        protocol: Option<&str>,
        lines: &[String],
    ) -> Self {
        let stream = TcpStream::connect(address).await.expect("a connection");
        Self::over(stream, path, protocol, lines).await
    }

    /// The same on a connection with a small receive buffer, as on a slow link.
    pub async fn narrow(address: SocketAddr, protocol: Option<&str>) -> Self {
        let stream = super::http::narrow(address).await;
        Self::over(stream, WALL, protocol, &[]).await
    }

    async fn over(stream: TcpStream, path: &str, protocol: Option<&str>, lines: &[String]) -> Self {
        let address = stream.peer_addr().unwrap();
        let mut request = format!("ws://{address}{path}")
            .into_client_request()
            .unwrap();
        if let Some(protocol) = protocol {
            let headers = request.headers_mut();
            headers.insert("sec-websocket-protocol", protocol.parse().unwrap());
        }
        for line in lines {
            let (name, value) = line.split_once(": ").expect("a header line");
            let name: HeaderName = name.parse().unwrap();
            request.headers_mut().append(name, value.parse().unwrap());
        }
        stream.set_nodelay(true).unwrap();
        let opened = timeout(TIMEOUT, tokio_tungstenite::client_async(request, stream)).await;
        let (socket, response) = opened.expect("an answer").expect("an upgrade");
        assert_eq!(response.status(), 101);
        assert!(response.headers().get("sec-websocket-extensions").is_none());
        Self(socket)
    }

    /// Sends a command.
    pub async fn send_command(&mut self, command: Value) {
        self.send_text(&command.to_string()).await;
    }

    /// Sends text unchanged.
    pub async fn send_text(&mut self, text: &str) {
        self.send(Message::text(text)).await;
    }

    /// Sends any message.
    pub async fn send(&mut self, message: Message) {
        let sent = timeout(TIMEOUT, self.0.send(message)).await;
        sent.expect("the hub reads").expect("an open socket");
    }

    /// Subscribes.
    pub async fn subscribe(&mut self, cameras: &[&str]) {
        self.send_command(json!({ "cmd": "subscribe", "cameras": cameras }))
            .await;
    }

    /// Ends subscriptions.
    pub async fn unsubscribe(&mut self, cameras: &[&str]) {
        self.send_command(json!({ "cmd": "unsubscribe", "cameras": cameras }))
            .await;
    }

    /// Returns the next message or the connection's error, or `None` on timeout.
    pub async fn next(&mut self, limit: Duration) -> Option<Result<Message, Error>> {
        let next = timeout(limit, self.0.next()).await.ok()?;
        Some(next.unwrap_or(Err(Error::ConnectionClosed)))
    }

    /// Returns the next message before the deadline. The limit is not a duration from now,
    /// because the hub's pings would extend it indefinitely.
    async fn expect(&mut self, deadline: Instant) -> Message {
        let left = deadline.saturating_duration_since(Instant::now());
        let next = self.next(left).await.expect("the expected message in time");
        next.expect("an open socket")
    }

    /// Returns the next frame of the plain form; a text message is an error.
    pub async fn frame(&mut self) -> (String, Vec<u8>) {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            match self.expect(deadline).await {
                Message::Binary(bytes) => {
                    let (id, picture) = plain_message(&bytes).expect("a plain message");
                    assert!(jpeg::is_whole(picture), "{id}: no JPEG");
                    return (id, picture.to_vec());
                }
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("invalid for a plain client: {other:?}"),
            }
        }
    }

    /// Returns the camera and the number of the testkit's next picture.
    pub async fn numbered(&mut self) -> (String, u64) {
        let (id, picture) = self.frame().await;
        let stamp = jpeg::stamp(&picture).expect("a stamped picture");
        (id, stamp.sequence)
    }

    /// Returns the next frame of the `ocelli.v2` form; events are skipped.
    pub async fn frame_v2(&mut self) -> V2 {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            match self.expect(deadline).await {
                Message::Binary(bytes) => return V2::parse(&bytes).expect("a message of v2"),
                Message::Close(close) => panic!("closed: {close:?}"),
                _ => {}
            }
        }
    }

    /// Returns the next event of this type; everything else is skipped.
    pub async fn event(&mut self, kind: &str) -> Value {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            let next = timeout_at(deadline, self.expect(deadline)).await;
            let Message::Text(text) = next.unwrap_or_else(|_| panic!("no {kind} event")) else {
                continue;
            };
            let event: Value = serde_json::from_str(&text).expect("events are JSON");
            if event["type"] == kind {
                return event;
            }
        }
    }

    /// Waits until the hub has executed all commands, which it answers in order. Returns the
    /// frames that arrived meanwhile.
    pub async fn settle(&mut self) -> Vec<V2> {
        let mut frames = Vec::new();
        // One answer may overtake a frame that is ready; several in a row do not.
        for round in 0..6 {
            self.send_command(json!({ "cmd": "ping", "t": round }))
                .await;
            let deadline = Instant::now() + TIMEOUT;
            loop {
                match self.expect(deadline).await {
                    Message::Binary(bytes) => {
                        frames.push(V2::parse(&bytes).expect("a message of v2"));
                    }
                    Message::Text(text) if text.contains("\"pong\"") => break,
                    _ => {}
                }
            }
        }
        frames
    }

    /// Returns the hub's close code, or `None` if the connection just ends.
    pub async fn close_code(&mut self) -> Option<u16> {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.next(left).await.expect("the connection ends in time") {
                Ok(Message::Close(close)) => return close.map(|close| close.code.into()),
                Ok(_) => {}
                Err(_) => return None,
            }
        }
    }

    /// The underlying connection.
    pub fn stream(&self) -> &TcpStream {
        self.0.get_ref()
    }
}
