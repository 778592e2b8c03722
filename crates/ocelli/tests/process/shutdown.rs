//! A stop request ends the hub within two seconds, whatever clients are connected.

#![allow(clippy::unwrap_used, reason = "a failed test setup must panic")]

use crate::support::http::narrow;
use crate::support::hub::OCELLI;
use crate::support::wall::{WALL, Wall};
use crate::support::{TIMEOUT, eventually};
use ocelli_testkit::websocket::{Frame, RawSocket};
use ocelli_testkit::{Child, Hub, RtspServer, RtspServerOptions};
use rustix::process::Signal;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Returns a connection with a small receive buffer that sends this and reads nothing.
async fn stalled(hub: &Hub, text: &str) -> TcpStream {
    let mut stream = narrow(hub.addr()).await;
    stream.write_all(text.as_bytes()).await.unwrap();
    stream
}

async fn assert_ends_in_time(signal: Signal) {
    let server = RtspServer::start(RtspServerOptions::default());
    let rtsp = format!("rtsp={}", server.url("h264"));
    let mut hub = Hub::serve(OCELLI, [&rtsp, "big=pattern:?size=1280x720&fps=20"]);

    let mut reading = Vec::new();
    for _ in 0..2 {
        let mut wall = Wall::plain(hub.addr()).await;
        wall.subscribe(&["*"]).await;
        while wall.frame().await.0 != "rtsp" {}
        reading.push(wall);
    }
    let mut v2 = Wall::v2(hub.addr()).await;
    v2.subscribe(&["*"]).await;
    v2.frame_v2().await;
    let mut one = Wall::open(hub.addr(), "/live/ws?app=live&room=big", None).await;
    one.next(TIMEOUT).await.expect("a frame").unwrap();
    reading.extend([v2, one]);
    // A viewer that gets a close frame and does not answer.
    let mut unresponsive = RawSocket::open(hub.addr(), WALL, None).await;
    unresponsive
        .send(&Frame::text(r#"{"cmd":"subscribe","cameras":["big"]}"#))
        .await;
    unresponsive.binary(TIMEOUT).await.expect("a frame");
    // Viewers that never read, and connections that never send a request.
    let mut stuck = Wall::narrow(hub.addr(), None).await;
    stuck.subscribe(&["big"]).await;
    let host = format!("Host: {}\r\n", hub.addr());
    let blocked = [
        stalled(
            &hub,
            &format!("GET /live/live/big/mjpeg HTTP/1.1\r\n{host}\r\n"),
        )
        .await,
        stalled(&hub, &format!("GET /ws/cameras HTTP/1.1\r\n{host}Upg")).await,
        stalled(&hub, &format!("GET /health HTTP/1.1\r\n{host}\r\n")).await,
        stalled(&hub, "").await,
    ];
    // A pending snapshot, and an independent viewer.
    let mut curl = tokio::process::Command::new("curl")
        .args(["-sN", &hub.url("/live/live/rtsp/mjpeg")])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut some = [0; 1000];
    let body = curl.stdout.as_mut().unwrap();
    body.read_exact(&mut some).await.unwrap();
    eventually("ffmpeg starts", || !hub.children().is_empty()).await;
    let children: Vec<Child> = hub.children();
    assert!(children.iter().any(|child| child.name == "ffmpeg"));

    // Viewers that keep reading get the close frame.
    let received = reading
        .into_iter()
        .map(|mut wall| tokio::spawn(async move { wall.close_code().await }));
    let received: Vec<_> = received.collect();
    let started = Instant::now();
    hub.signal(signal);
    let status = tokio::task::spawn_blocking(move || (hub.wait(Duration::from_secs(5)), hub));
    let (status, _hub) = status.await.unwrap();
    let took = started.elapsed();
    assert_eq!(status.expect("the hub exits").code(), Some(0));
    assert!(took < Duration::from_secs(2), "{took:?}");
    for child in children {
        assert!(!child.is_alive(), "still running: {child:?}");
    }
    for viewer in received {
        assert_eq!(viewer.await.unwrap(), Some(1001), "going away");
    }
    curl.wait().await.unwrap();
    drop((blocked, unresponsive, stuck));
}

#[tokio::test]
async fn sigterm_ends_the_hub_with_every_kind_of_viewer_connected() {
    assert_ends_in_time(Signal::TERM).await;
}

#[tokio::test]
async fn sigint_ends_the_hub_with_every_kind_of_viewer_connected() {
    assert_ends_in_time(Signal::INT).await;
}
