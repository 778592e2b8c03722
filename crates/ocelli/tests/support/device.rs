//! A device that pushes JPEG, with a library that the hub does not use.

#![allow(clippy::unwrap_used, reason = "a failed test setup must panic")]

use super::TIMEOUT;
use super::http::call;
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use ocelli_testkit::jpeg::Picture;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};

/// The administrator's token in the tests.
pub const ADMIN: &str = "sk_administrator-token-of-the-tests";

/// A key, and the path its device pushes to.
#[derive(Clone, Debug)]
pub struct Key {
    pub id: String,
    pub secret: String,
    /// The path of the ingest socket, with app and room.
    pub path: String,
}

impl Key {
    /// Mints a key.
    pub async fn create(hub: SocketAddr, app: &str, room: &str) -> Self {
        let line = format!("POST /api/v1/apps/{app}/ws-ingest");
        let made = call(hub, &line, ADMIN, &json!({ "room": room }).to_string()).await;
        assert_eq!(made.status(), 201, "{made:?}");
        let made = made.json()["data"].clone();
        let text = |name: &str| made[name].as_str().expect(name).to_owned();
        let url = text("wsUrl");
        let path = url
            .strip_prefix(&format!("ws://{hub}"))
            .expect("a URL of the hub");
        Self {
            id: text("id"),
            secret: text("streamKey"),
            path: path.to_owned(),
        }
    }

    /// Revokes it.
    pub async fn revoke(&self, hub: SocketAddr, app: &str) {
        let line = format!("DELETE /api/v1/apps/{app}/ws-ingest/{}", self.id);
        let gone = call(hub, &line, ADMIN, "").await;
        assert_eq!(gone.status(), 200, "{gone:?}");
    }
}

/// Returns a small JPEG with this sequence number.
pub fn picture(number: u64) -> Bytes {
    let small = Picture {
        bytes: 2_000,
        ..Picture::QVGA
    };
    small.encode_now(number)
}

/// A connected device.
pub struct Device(WebSocketStream<TcpStream>);

impl Device {
    /// Connects, with these headers.
    pub async fn open(hub: SocketAddr, path: &str, headers: &[(&'static str, &str)]) -> Self {
        let mut request = format!("ws://{hub}{path}").into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        let stream = TcpStream::connect(hub).await.expect("a connection");
        stream.set_nodelay(true).unwrap();
        let opened = timeout(TIMEOUT, tokio_tungstenite::client_async(request, stream)).await;
        let (socket, response) = opened.expect("an answer").expect("an upgrade");
        assert!(response.headers().get("sec-websocket-extensions").is_none());
        Self(socket)
    }

    /// Connects with a key and waits for `ready`, which is also returned.
    pub async fn ready(hub: SocketAddr, key: &Key) -> (Self, Value) {
        let bearer = format!("Bearer {}", key.secret);
        let mut device = Self::open(hub, &key.path, &[("authorization", &bearer)]).await;
        let ready = device.text().await;
        assert_eq!(ready["type"], "ready", "{ready}");
        (device, ready)
    }

    /// Sends any message.
    pub async fn send(&mut self, message: Message) {
        let sent = timeout(TIMEOUT, self.0.send(message)).await;
        sent.expect("the hub reads").expect("an open socket");
    }

    /// Sends a message. Returns false if the hub has closed the connection.
    pub async fn try_send(&mut self, message: Message) -> bool {
        let sent = timeout(TIMEOUT, self.0.send(message)).await;
        sent.expect("the hub reads").is_ok()
    }

    /// Sends a JPEG.
    pub async fn show(&mut self, jpeg: Bytes) {
        self.send(Message::binary(jpeg)).await;
    }

    /// Returns the next text message.
    pub async fn text(&mut self) -> Value {
        loop {
            match timeout(TIMEOUT, self.0.next())
                .await
                .expect("a message in time")
            {
                Some(Ok(Message::Text(text))) => return serde_json::from_str(&text).unwrap(),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                other => panic!("expected a text, got {other:?}"),
            }
        }
    }

    /// Waits until the hub closes the connection. Returns the code of its last error
    /// message and the close code.
    pub async fn refused(&mut self, limit: Duration) -> (String, u16) {
        let mut received = String::new();
        let closed = timeout(limit, async {
            loop {
                match self.0.next().await {
                    Some(Ok(Message::Text(text))) => {
                        let body: Value = serde_json::from_str(&text).unwrap();
                        if body["type"] == "error" {
                            assert!(body["message"].is_string(), "{body}");
                            received = body["code"].as_str().unwrap().to_owned();
                        }
                    }
                    Some(Ok(Message::Close(Some(frame)))) => return u16::from(frame.code),
                    Some(Ok(_) | Err(Error::Io(_))) => {}
                    other => panic!("expected a close, got {other:?}"),
                }
            }
        });
        let code = closed.await.expect("a close in time");
        (received, code)
    }

    /// Reads for a while. Returns whether the socket stays open.
    pub async fn stays_open(&mut self, limit: Duration) -> bool {
        let ended = timeout(limit, async {
            while let Some(Ok(message)) = self.0.next().await {
                if message.is_close() {
                    return;
                }
            }
        });
        ended.await.is_err()
    }
}
