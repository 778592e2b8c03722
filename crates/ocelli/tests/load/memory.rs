//! Memory that one peer can make the hub hold: password checks, HTTP/2 responses and series
//! that are not read, and an endless picture. The attacks in `benches` are larger versions of
//! these.

#![allow(clippy::unwrap_used, reason = "a failed test setup must panic")]

use super::ALONE;
use crate::support::http::{ask, get, narrow, upgrade};
use crate::support::hub::{OCELLI, configured};
use crate::support::secure::Local;
use crate::support::tempdir::Dir;
use crate::support::{TIMEOUT, Watched, eventually};
use bytes::Bytes;
use futures_util::future::join_all;
use http::{Request, StatusCode};
use ocelli_testkit::{HttpCamera, HttpCameraOptions, Hub, resident_bytes};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const MIB: u64 = 1024 * 1024;

/// Returns how much the hub's memory has grown since `before`.
fn grown(hub: &Hub, before: u64) -> u64 {
    hub.resident_bytes().saturating_sub(before) / MIB
}

#[tokio::test]
async fn wrong_passwords_use_the_memory_of_two_hashes() {
    let _alone = ALONE.lock().await;
    let hub = Hub::serve(OCELLI, ["pattern:?size=64x48&fps=5"]);
    let address = hub.addr();
    assert_eq!(get(address, "/health").await.status(), 200);
    let before = hub.resident_bytes();
    // As many guesses as one address may make at once, each for a different account.
    let guesses = (0..20).map(|guess| {
        let body = format!("{{\"name\":\"guest{guess}\",\"password\":\"correct horse\"}}");
        let request = format!(
            "POST /api/v1/session HTTP/1.1\r\nHost: {address}\r\nOrigin: http://{address}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n{body}",
            body.len()
        );
        async move { ask(address, &request).await.status() }
    });
    for status in join_all(guesses).await {
        assert_eq!(status, 401);
    }
    // Twice 19 MiB, plus the overhead of every request.
    let grown = grown(&hub, before);
    assert!(grown < 48, "{grown} MiB");
}

#[tokio::test]
async fn unread_file_responses_use_no_memory() {
    let _alone = ALONE.lock().await;
    let local = Local::start();
    assert_eq!(answers(&local, 1, 1).await.len(), 1);
    let before = local.hub.resident_bytes();
    let held = answers(&local, 10, 64).await;
    assert_eq!(held.len(), 10);
    // 128 KB each, if they were copied.
    let grown = grown(&local.hub, before);
    assert!(grown < 32, "{grown} MiB");
}

/// Opens many connections on which many responses have begun and none can proceed.
async fn answers(
    local: &Local,
    connections: usize,
    streams: usize,
) -> Vec<(Vec<h2::RecvStream>, tokio::task::JoinHandle<()>)> {
    let mut held = Vec::new();
    for _ in 0..connections {
        let stream = local.connect("localhost", b"h2").await;
        let mut builder = h2::client::Builder::new();
        builder.initial_window_size(0);
        let handshake = builder.handshake::<_, Bytes>(stream).await;
        let (mut client, connection) = handshake.unwrap();
        let driving = tokio::spawn(async move {
            let _ = connection.await;
        });
        let mut bodies = Vec::new();
        for _ in 0..streams {
            client = timeout(TIMEOUT, client.ready()).await.unwrap().unwrap();
            let url = format!("https://localhost:{}/jsmpg.js", local.port());
            let request = Request::get(url).body(()).unwrap();
            let (response, _) = client.send_request(request, true).unwrap();
            let response = timeout(TIMEOUT, response).await.unwrap().unwrap();
            assert_eq!(response.status(), StatusCode::OK);
            bodies.push(response.into_body());
        }
        held.push((bodies, driving));
    }
    held
}

#[tokio::test]
async fn series_viewers_that_do_not_read_cost_only_a_cursor() {
    let _alone = ALONE.lock().await;
    const SERIES: usize = 40;
    let dir = Dir::new("memory");
    let hub = configured(
        &dir,
        "listen = \"127.0.0.1:0\"\n[telemetry]\ntcp = \"127.0.0.1:0\"\nws = \"127.0.0.1:0\"\n",
    );
    let hub = hub.arg("--data").arg(dir.0.join("data")).start();
    let port = |what: &str| -> SocketAddr {
        let line = hub.wait_stderr(what, TIMEOUT).unwrap();
        line.rsplit(' ').next().unwrap().parse().unwrap()
    };
    let (tcp, ws) = (port("samples over TCP on"), port("viewers of samples on"));
    for series in 0..SERIES {
        let mut text = format!("series {series}\n");
        for x in 0..10_000 {
            writeln!(text, "{x} {}", f64::from(x) / 7.0).unwrap();
        }
        let mut source = TcpStream::connect(tcp).await.unwrap();
        source.write_all(text.as_bytes()).await.unwrap();
        source.shutdown().await.unwrap();
        // It is closed once everything has been read.
        let rest = timeout(TIMEOUT, source.read_to_end(&mut Vec::new())).await;
        rest.unwrap().unwrap();
    }
    // A viewer that reads gets the whole history, which is about ten megabytes.
    let whole = history(ws).await;
    assert!(whole > 9_000_000, "{whole} bytes");
    let before = hub.resident_bytes();
    let mut held = Vec::new();
    for path in [ws, hub.addr()].into_iter().cycle().take(20) {
        let mut viewer = narrow(path).await;
        let request = upgrade(path, "/ws/series");
        viewer.write_all(request.as_bytes()).await.unwrap();
        // Its history has begun: a frame header follows the HTTP response.
        let mut started = Vec::new();
        while !started.windows(11).any(|part| part == b"{\"series\":[") {
            let read = timeout(TIMEOUT, viewer.read_buf(&mut started)).await;
            assert_ne!(read.unwrap().unwrap(), 0, "the hub closed");
        }
        held.push(viewer);
    }
    let grown = grown(&hub, before);
    assert!(grown < 32, "{grown} MiB");
}

/// Returns the length of the history, which is one message.
async fn history(address: SocketAddr) -> usize {
    use futures_util::StreamExt;
    let opened = tokio_tungstenite::connect_async(format!("ws://{address}/"));
    let (mut socket, _) = opened.await.unwrap();
    let message = timeout(TIMEOUT, socket.next()).await.unwrap();
    let text = message.unwrap().unwrap().into_text().unwrap();
    let history: serde_json::Value = serde_json::from_str(&text).unwrap();
    let series = history["series"].as_array().unwrap();
    let points = |one: &serde_json::Value| one["points"].as_array().unwrap().len();
    assert_eq!(series.iter().map(points).sum::<usize>(), 400_000);
    text.len()
}

#[tokio::test]
async fn an_endless_part_does_not_fill_the_memory() {
    let _alone = ALONE.lock().await;
    let camera = HttpCamera::start(HttpCameraOptions::default()).await;
    let watched = Watched::new(&camera.url("endless"));
    let _viewer = watched.watch();
    let before = resident_bytes(std::process::id());
    let started = Instant::now();
    eventually("four seconds have passed", || {
        started.elapsed() > Duration::from_secs(4)
    })
    .await;
    let after = resident_bytes(std::process::id());
    assert!(after < before + (64 << 20), "{before} {after}");
}
