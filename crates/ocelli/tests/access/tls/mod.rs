//! TLS with the hub's own authority and with external certificate files, tested with curl,
//! openssl, and independent WebSocket and HTTP/2 clients.

#![allow(clippy::unwrap_used, reason = "a failed test setup must panic")]

mod authority;
mod connections;
mod files;
mod renewal;
mod slow;

use crate::support::TIMEOUT;
use crate::support::secure::{Stream, encrypt};
use futures_util::StreamExt;
use http::StatusCode;
use ocelli_net::tls::renewal::CertificateRenewer;
use ocelli_testkit::jpeg::{self, Picture};
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

const HTTP_1: &[u8] = b"http/1.1";
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Opens a WebSocket over a connection.
async fn socket(stream: Stream, path: &str) -> WebSocketStream<Stream> {
    let port = stream.get_ref().0.peer_addr().unwrap().port();
    let opened = client_async(format!("wss://localhost:{port}{path}"), stream);
    let (socket, response) = timeout(TIMEOUT, opened).await.unwrap().unwrap();
    assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
    socket
}

/// Returns the number of the next picture on a camera's socket.
async fn number(socket: &mut WebSocketStream<Stream>) -> u64 {
    loop {
        let message = timeout(TIMEOUT, socket.next()).await.unwrap();
        if let Message::Binary(picture) = message.unwrap().unwrap() {
            return jpeg::stamp(&picture).expect("a stamp").sequence;
        }
    }
}

fn picture(bytes: usize, sequence: u64) -> Vec<u8> {
    let size = Picture {
        bytes,
        ..Picture::QVGA
    };
    size.encode_now(sequence).to_vec()
}

/// Returns the numbers of the pictures in a multipart body.
fn numbers(body: &[u8]) -> Vec<u64> {
    let find = |part: &[u8]| body.windows(part.len()).position(|window| window == part);
    let Some(begin) = find(b"\r\n\r\n").map(|at| at + 4) else {
        return Vec::new();
    };
    let Some(end) = find(b"\r\n--frame\r\n").filter(|end| *end > begin) else {
        return Vec::new();
    };
    let mut all = vec![jpeg::stamp(&body[begin..end]).expect("a stamp").sequence];
    all.extend(numbers(&body[end + 2..]));
    all
}

/// Returns the certificate that a server presents to a client that trusts this authority.
async fn shown(renewer: &CertificateRenewer, authority: &Path) -> (Vec<u8>, Stream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = renewer.server().clone();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let budget = ocelli_core::Budgets::default().budget(ocelli_core::PeerKind::Connection);
        let (connection, _) = ocelli_net::connection::Connection::new(stream, budget).unwrap();
        let Ok(ocelli_net::tls::Opened::Http1(mut connection)) = server.open(connection).await
        else {
            panic!("HTTP/1.1 was not negotiated");
        };
        let mut byte = [0];
        while connection.read_exact(&mut byte).await.is_ok() {
            connection.write_all(&byte).await.unwrap();
            connection.flush().await.unwrap();
        }
    });
    let stream = TcpStream::connect(address).await.unwrap();
    let stream = encrypt(stream, authority, "localhost", HTTP_1).await;
    let chain = stream.get_ref().1.peer_certificates().unwrap();
    (chain[0].to_vec(), stream)
}
