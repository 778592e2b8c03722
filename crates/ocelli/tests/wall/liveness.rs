//! Detection of dead viewers. The paused clock advances whenever all tasks are idle; the
//! sockets are real.

#![allow(clippy::unwrap_used, reason = "a failed test setup must panic")]

use crate::support::http::{self, upgrade};
use crate::support::site::{Site, TestSource};
use crate::support::wall::WALL;
use ocelli_core::Timestamp;
use ocelli_testkit::jpeg::Picture;
use ocelli_testkit::websocket::{Frame, RawSocket};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

const SOCKETS: [&str; 2] = [WALL, "/live/ws?app=live&room=cam"];

#[tokio::test(start_paused = true)]
async fn viewers_are_pinged_and_dropped_after_two_missing_pongs() {
    let (site, [_cam]) = Site::with(["cam"]).await;
    for path in SOCKETS {
        let mut socket = RawSocket::open(site.address, path, None).await;
        let started = Instant::now();
        let mut pings = Vec::new();
        while let Ok(frame) = socket.next(Duration::from_secs(100)).await {
            let frame = frame.expect("a ping in time");
            assert!(!frame.masked && frame.fin);
            if frame.opcode == 9 {
                pings.push(started.elapsed().as_secs_f64());
            }
        }
        let end = started.elapsed().as_secs_f64();
        assert_eq!(pings.len(), 2, "{path}: {pings:?}");
        assert!((14.9..16.0).contains(&pings[0]), "{path}: {pings:?}");
        assert!((29.9..31.0).contains(&pings[1]), "{path}: {pings:?}");
        assert!((44.9..47.0).contains(&end), "{path}: {end}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_viewer_that_answers_pings_stays_connected() {
    let (site, [_cam]) = Site::with(["cam"]).await;
    for path in SOCKETS {
        let mut socket = RawSocket::open(site.address, path, None).await;
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(200) {
            let frame = socket.next(Duration::from_secs(100)).await;
            let frame = frame.expect("an open socket").expect("a ping");
            if frame.opcode == 9 {
                socket.send(&Frame::client(10, &frame.payload)).await;
            }
        }
    }
}

/// Connects with a small receive buffer and sends this.
async fn narrow(site: &Site, request: &str) -> TcpStream {
    let mut stream = http::narrow(site.address).await;
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

/// Connects a viewer of each kind that requests the camera.
async fn viewers(site: &Site) -> Vec<TcpStream> {
    let mut wall = narrow(site, &upgrade(site.address, WALL)).await;
    let command = br#"{"cmd":"subscribe","cameras":["*"]}"#;
    let mut frame = vec![0x81, 0x80 | command.len() as u8, 0, 0, 0, 0];
    frame.extend(command);
    wall.write_all(&frame).await.unwrap();
    let one = narrow(site, &upgrade(site.address, SOCKETS[1])).await;
    let mjpeg = "GET /live/live/cam/mjpeg HTTP/1.0\r\n\r\n";
    vec![wall, one, narrow(site, mjpeg).await]
}

async fn show_large(cam: &TestSource) {
    let large = Picture {
        bytes: 3_000_000,
        ..Picture::QVGA
    };
    for sequence in 0..4 {
        let picture = large.encode_now(sequence);
        cam.show_picture(&picture, Timestamp::UNKNOWN).await;
        sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_viewer_that_reads_nothing_for_30_s_is_dropped() {
    let (site, [cam]) = Site::with(["cam"]).await;
    let viewers = viewers(&site).await;
    site.viewers("cam", 3).await;
    show_large(&cam).await;
    let started = Instant::now();
    let camera = site.hub.find_by_id("cam").unwrap();
    while camera.status().viewers > 0 {
        let waited = started.elapsed().as_secs_f64();
        assert!(
            waited < 35.0,
            "{} viewers are still connected",
            camera.status().viewers
        );
        assert!(
            waited > 29.0 || camera.status().viewers == 3,
            "too soon: {waited}"
        );
        sleep(Duration::from_millis(100)).await;
    }
    drop(viewers);
}

#[tokio::test(start_paused = true)]
async fn a_viewer_that_reads_a_little_occasionally_stays_connected() {
    let (site, [cam]) = Site::with(["cam"]).await;
    let mut viewers = viewers(&site).await;
    site.viewers("cam", 3).await;
    show_large(&cam).await;
    let mut piece = vec![0; 100_000];
    for _ in 0..8 {
        sleep(Duration::from_secs(20)).await;
        for viewer in &mut viewers {
            viewer
                .read_exact(&mut piece)
                .await
                .expect("the connection is still open");
        }
        assert_eq!(site.hub.find_by_id("cam").unwrap().status().viewers, 3);
    }
}
