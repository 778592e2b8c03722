//! A raw HTTP client.

use ocelli_testkit::websocket::{Head, RawSocket};
use serde_json::Value;
use std::net::SocketAddr;
use tokio::net::{TcpSocket, TcpStream};

/// A response.
#[derive(Debug)]
pub struct HttpResponse {
    pub head: Head,
    pub body: String,
}

impl HttpResponse {
    pub fn status(&self) -> u16 {
        self.head.status
    }

    pub fn header(&self, name: &str) -> &str {
        self.head.get(name).unwrap_or_default()
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// Checks that it is an error in the format of the HTTP API.
    pub fn is_problem(&self, status: u16, word: &str) {
        assert_eq!(self.status(), status, "{self:?}");
        assert_eq!(self.header("content-type"), "application/json", "{self:?}");
        let body = self.json();
        assert_eq!(body["statusCode"], status, "{self:?}");
        let message = body["message"].as_str().expect("a message");
        assert!(message.contains(word), "{message}");
        assert!(body["error"].is_string(), "{self:?}");
    }

    /// Checks that it is a refusal in plain text that contains this word.
    pub fn is_plain(&self, status: u16, word: &str) {
        assert_eq!(self.status(), status, "{self:?}");
        let plain = self.header("content-type").starts_with("text/plain");
        assert!(plain, "{self:?}");
        assert!(self.body.contains(word), "{self:?}");
    }
}

/// Sends a request unchanged and reads the response to its end.
pub async fn ask(address: SocketAddr, request: &str) -> HttpResponse {
    let mut socket = RawSocket::connect(address).await;
    socket.send_raw(request.as_bytes()).await;
    let head = socket.head().await.expect("an answer");
    let bodiless = request.starts_with("HEAD ") || head.status == 101;
    let body = if bodiless {
        String::new()
    } else {
        socket.body(&head).await
    };
    HttpResponse { head, body }
}

/// Sends a GET for this path.
pub async fn get(address: SocketAddr, path: &str) -> HttpResponse {
    request(address, "GET", path, &[]).await
}

/// Sends a request with additional headers.
pub async fn request(
    address: SocketAddr,
    method: &str,
    path: &str,
    lines: &[&str],
) -> HttpResponse {
    let mut text = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    for line in lines {
        text.push_str(line);
        text.push_str("\r\n");
    }
    text.push_str("\r\n");
    ask(address, &text).await
}

/// Calls the HTTP API with a token, and with a JSON body unless it is empty.
pub async fn call(address: SocketAddr, line: &str, token: &str, body: &str) -> HttpResponse {
    let mut text = format!("{line} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    if !token.is_empty() {
        text.push_str(&format!("Authorization: Bearer {token}\r\n"));
    }
    if !body.is_empty() {
        let length = body.len();
        let lines = format!("Content-Type: application/json\r\nContent-Length: {length}\r\n");
        text.push_str(&lines);
    }
    text.push_str("\r\n");
    text.push_str(body);
    ask(address, &text).await
}

/// Opens a connection with a small receive buffer, as on a slow link.
pub async fn narrow(address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(8 * 1024).unwrap();
    socket.connect(address).await.expect("a connection")
}

/// The header lines of a valid handshake, except `Host`.
pub const UPGRADE: [&str; 4] = [
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
];

/// Returns the request that opens a WebSocket.
pub fn upgrade(address: SocketAddr, path: &str) -> String {
    let lines = UPGRADE.join("\r\n");
    format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n{lines}\r\n\r\n")
}
