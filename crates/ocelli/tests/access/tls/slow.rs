//! Slow readers get recent pictures and do not delay other viewers.

use super::{HTTP_1, number, numbers, picture, socket};
use crate::support::TIMEOUT;
use crate::support::http::narrow;
use crate::support::secure::{connect, encrypt};
use crate::support::site::{Site, TestSource};
use bytes::Bytes;
use h2::client::SendRequest;
use http::{Request, StatusCode};
use ocelli_core::Timestamp;
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

/// A viewer of MJPEG over HTTP/2.
struct Streamed {
    body: h2::RecvStream,
    read: Vec<u8>,
}

impl Streamed {
    async fn open(client: &mut SendRequest<Bytes>, address: SocketAddr) -> Self {
        let url = format!("https://localhost:{}/live/live/cam/mjpeg", address.port());
        let request = Request::get(url).body(()).unwrap();
        let (response, _) = client.send_request(request, true).unwrap();
        let response = timeout(TIMEOUT, response).await.unwrap().unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        Self {
            body: response.into_body(),
            read: Vec::new(),
        }
    }

    /// Reads the next piece.
    async fn read_on(&mut self) {
        let piece = timeout(TIMEOUT, self.body.data()).await;
        let piece = piece.expect("a picture in time").unwrap().unwrap();
        let _ = self.body.flow_control().release_capacity(piece.len());
        self.read.extend_from_slice(&piece);
    }

    /// Reads until this picture has arrived.
    async fn until(&mut self, wanted: u64) {
        while !numbers(&self.read).contains(&wanted) {
            self.read_on().await;
        }
    }
}

#[tokio::test]
async fn a_slow_http_2_stream_skips_without_delaying_others_on_its_connection() {
    let site = Site::start_secure().await;
    let cam = site.camera("cam");
    let stream = connect(site.address, site.authority.as_ref().unwrap(), b"h2").await;
    // The slow stream must exhaust only its own window, not the connection's.
    let mut builder = h2::client::Builder::new();
    builder.initial_connection_window_size(1 << 20);
    let (mut client, connection) = builder.handshake(stream).await.unwrap();
    let driving = tokio::spawn(connection);
    let mut slow = Streamed::open(&mut client, site.address).await;
    let mut fast = Streamed::open(&mut client, site.address).await;
    let mut other = Streamed::open(&mut client, site.address).await;
    for sequence in 0..200 {
        cam.show_picture(&picture(5_000, sequence), Timestamp::UNKNOWN)
            .await;
        tokio::join!(fast.until(sequence), other.until(sequence));
        for viewer in [&mut fast, &mut other] {
            viewer.read = b"--frame\r\n".to_vec();
        }
    }
    slow.until(199).await;
    let taken = numbers(&slow.read).len();
    // The window of 64 KiB holds some pictures, and one is in transit.
    assert!(taken <= 17, "{taken} pictures were queued");
    driving.abort();
}

#[tokio::test]
async fn a_slow_http_2_connection_has_little_queued_in_the_hub() {
    let site = Site::start_secure().await;
    let cam = site.camera("cam");
    let dir = site.authority.as_ref().unwrap();
    let mut fast = socket(
        connect(site.address, dir, HTTP_1).await,
        "/live/ws?app=live&room=cam",
    )
    .await;
    let narrow = narrow(site.address).await;
    let narrow = encrypt(narrow, &dir.0.join("ca.pem"), "localhost", b"h2").await;
    // Windows as large as in browsers: only TCP limits the flow.
    let mut builder = h2::client::Builder::new();
    builder
        .initial_window_size(16 << 20)
        .initial_connection_window_size(16 << 20);
    let (mut client, connection) = builder.handshake(narrow).await.unwrap();
    let mut connection = Box::pin(connection);
    let opening = async {
        let first = Streamed::open(&mut client, site.address).await;
        (first, Streamed::open(&mut client, site.address).await)
    };
    let mut viewers = tokio::select! {
        (first, second) = opening => [first, second],
        _ = &mut connection => panic!("the connection ended"),
    };
    site.viewers("cam", 3).await;
    for sequence in 0..50 {
        cam.show_picture(&picture(100_000, sequence), Timestamp::UNKNOWN)
            .await;
        assert_eq!(
            number(&mut fast).await,
            sequence,
            "the fast viewer gets every picture"
        );
        // Each slow viewer reads a sixth of the pictures.
        for viewer in &mut viewers {
            tokio::select! {
                () = viewer.read_on() => {}
                _ = &mut connection => panic!("the connection ended"),
            }
        }
    }
    let driving = tokio::spawn(connection);
    for mut slow in viewers {
        let before = numbers(&slow.read).len();
        slow.until(49).await;
        let waited = &numbers(&slow.read)[before..];
        assert!(waited.len() <= 3, "{waited:?} waited");
    }
    driving.abort();
}

/// Returns what a slow reader of this URL gets while 300 pictures are shown. All are shown
/// before it has read a tenth of them.
async fn slow_curl(site: &Site, cam: &TestSource, version: &str) -> Vec<u64> {
    let dir = site.authority.as_ref().unwrap();
    let port = site.address.port();
    let mut slow = tokio::process::Command::new("curl")
        .args(["-sSN", version, "--limit-rate", "150k", "--cacert"])
        .arg(dir.0.join("ca.pem"))
        .arg(format!("https://localhost:{port}/live/live/cam/mjpeg"))
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let stream = connect(site.address, dir, HTTP_1).await;
    let mut fast = socket(stream, "/live/ws?app=live&room=cam").await;
    site.viewers("cam", 2).await;
    for sequence in 0..300 {
        cam.show_picture(&picture(20_000, sequence), Timestamp::UNKNOWN)
            .await;
        assert_eq!(
            number(&mut fast).await,
            sequence,
            "the fast viewer gets every picture"
        );
    }
    let (mut body, mut read) = (slow.stdout.take().unwrap(), Vec::new());
    while numbers(&read).last() != Some(&299) {
        let got = timeout(TIMEOUT, body.read_buf(&mut read)).await.unwrap();
        assert_ne!(got.unwrap(), 0, "curl ended");
    }
    slow.kill().await.unwrap();
    numbers(&read)
}

#[tokio::test]
async fn a_slow_reader_over_tls_gets_a_recent_picture() {
    for version in ["--http2", "--http1.1"] {
        let site = Site::start_secure().await;
        let cam = site.camera("cam");
        let taken = slow_curl(&site, &cam, version).await.len();
        // The reader's kernel buffers.
        assert!(taken <= 20, "{version}: {taken} pictures were queued");
    }
}

#[tokio::test]
async fn a_slow_socket_over_tls_skips() {
    let site = Site::start_secure().await;
    let cam = site.camera("cam");
    let dir = site.authority.as_ref().unwrap();
    let narrow = narrow(site.address).await;
    let narrow = encrypt(narrow, &dir.0.join("ca.pem"), "localhost", HTTP_1).await;
    let path = "/live/ws?app=live&room=cam";
    let mut slow = socket(narrow, path).await;
    let mut fast = socket(connect(site.address, dir, HTTP_1).await, path).await;
    site.viewers("cam", 2).await;
    for sequence in 0..200 {
        cam.show_picture(&picture(5_000, sequence), Timestamp::UNKNOWN)
            .await;
        assert_eq!(
            number(&mut fast).await,
            sequence,
            "the fast viewer gets every picture"
        );
    }
    let mut taken = 0;
    while number(&mut slow).await < 199 {
        taken += 1;
    }
    // As without TLS, the kernel buffers some pictures, and one is in transit.
    assert!(taken <= 5, "{taken} pictures were queued");
}

/// A viewer that reads nothing at all: the hub does not keep a connection and a picture for it
/// indefinitely.
#[tokio::test]
async fn only_the_stalled_viewer_over_tls_is_dropped() {
    let site = Site::start_secure().await;
    let cam = site.camera("cam");
    let dir = site.authority.as_ref().unwrap();
    let narrow = narrow(site.address).await;
    let mut stuck = encrypt(narrow, &dir.0.join("ca.pem"), "localhost", HTTP_1).await;
    let request = "GET /live/live/cam/mjpeg HTTP/1.1\r\nHost: localhost\r\n\r\n";
    stuck.write_all(request.as_bytes()).await.unwrap();
    stuck.flush().await.unwrap();
    let other = connect(site.address, dir, HTTP_1).await;
    let mut other = socket(other, "/live/ws?app=live&room=cam").await;
    site.viewers("cam", 2).await;
    let mut show = async |sequence: u64| {
        cam.show_picture(&picture(300_000, sequence), Timestamp::UNKNOWN)
            .await;
        assert_eq!(number(&mut other).await, sequence);
    };
    for sequence in 0..20 {
        show(sequence).await;
    }
    // The backlog exceeds the viewer's socket buffers, so only the timeout can end it.
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(20)).await;
    tokio::time::resume();
    show(20).await;
    site.viewers("cam", 2).await;
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(11)).await;
    tokio::time::resume();
    site.viewers("cam", 1).await;
    show(21).await;
    let mut rest = Vec::new();
    let ended = timeout(TIMEOUT, stuck.read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "its connection is closed");
}

/// Over HTTP/2 the connection can be healthy while one of its streams is stalled.
#[tokio::test]
async fn only_the_stalled_http_2_stream_is_reset() {
    let site = Site::start_secure().await;
    let cam = site.camera("cam");
    let stream = connect(site.address, site.authority.as_ref().unwrap(), b"h2").await;
    let mut builder = h2::client::Builder::new();
    builder.initial_connection_window_size(1 << 20);
    let (mut client, connection) = builder.handshake(stream).await.unwrap();
    let driving = tokio::spawn(connection);
    let mut other = Streamed::open(&mut client, site.address).await;
    // Both start and then stop when their windows are full: one in the middle of a file, and
    // one between pictures.
    let url = format!("https://localhost:{}/jsmpg.js", site.address.port());
    let request = Request::get(url).body(()).unwrap();
    let (response, _) = client.send_request(request, true).unwrap();
    let file = timeout(TIMEOUT, response)
        .await
        .unwrap()
        .unwrap()
        .into_body();
    let pictures = Streamed::open(&mut client, site.address).await.body;
    site.viewers("cam", 2).await;
    let mut sequence = 0;
    let mut show = async |count: u64| {
        for _ in 0..count {
            cam.show_picture(&picture(5_000, sequence), Timestamp::UNKNOWN)
                .await;
            other.until(sequence).await;
            other.read = b"--frame\r\n".to_vec();
            sequence += 1;
        }
    };
    // More than a window of 64 KiB.
    show(40).await;
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(20)).await;
    tokio::time::resume();
    show(2).await;
    site.viewers("cam", 2).await;
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(11)).await;
    tokio::time::resume();
    for mut stuck in [file, pictures] {
        let reset = async {
            loop {
                match stuck.data().await {
                    Some(Ok(_)) => {}
                    Some(Err(error)) => return error.reason(),
                    None => return None,
                }
            }
        };
        let reset = timeout(TIMEOUT, reset).await.expect("the stream ends");
        assert_eq!(reset, Some(h2::Reason::CANCEL));
    }
    site.viewers("cam", 1).await;
    show(2).await;
    driving.abort();
}
