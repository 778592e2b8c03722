//! Two hundred viewers come and go while cameras and ffmpeg die repeatedly: the hub must not
//! leak anything.

#![allow(clippy::unwrap_used, reason = "a failed test setup must panic")]

use super::ALONE;
use crate::support::http::get;
use crate::support::hub::OCELLI;
use crate::support::wall::Wall;
use crate::support::{TIMEOUT, eventually};
use ocelli_testkit::jpeg;
use ocelli_testkit::websocket::RawSocket;
use ocelli_testkit::{Hub, RtspServer, RtspServerOptions};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// One viewer's visit. Cameras die all the time, so each wait is short.
async fn visit(address: SocketAddr, number: usize) {
    let brief = Duration::from_millis(300 + 60 * (number as u64 % 10));
    let watch = |mut wall: Wall| async move {
        wall.subscribe(&["*"]).await;
        let _ = timeout(brief, async {
            while let Some(Ok(_)) = wall.next(brief).await {}
        })
        .await;
    };
    match number % 7 {
        0 => watch(Wall::plain(address).await).await,
        1 => watch(Wall::v2(address).await).await,
        2 => {
            // This viewer reads nothing and disconnects without a close frame.
            let mut wall = Wall::narrow(address, Some("ocelli.v2")).await;
            wall.subscribe(&["*"]).await;
            sleep(brief).await;
        }
        3 => {
            let path = "/live/ws?app=live&room=h264";
            let mut viewer = Wall::open(address, path, None).await;
            viewer.next(brief).await;
        }
        4 => {
            let mut viewer = RawSocket::connect(address).await;
            let request = "GET /live/live/h264/mjpeg HTTP/1.0\r\n\r\n";
            viewer.send_raw(request.as_bytes()).await;
            sleep(brief).await;
        }
        5 => {
            let snapshot = get(address, "/live/live/plain/frame.jpg").await;
            assert_eq!(snapshot.status(), 200);
            let _ = timeout(brief, get(address, "/live/live/h264/frame.jpg")).await;
        }
        _ => {
            let mut viewer = RawSocket::connect(address).await;
            viewer
                .send_raw(b"GET /ws/cameras HTTP/1.1\r\nHost: loc")
                .await;
        }
    }
}

async fn retry(wall: &mut Wall) {
    wall.send_command(json!({ "cmd": "retry", "cameras": ["h264"] }))
        .await;
}

fn kill_ffmpegs(hub: &Hub) -> usize {
    let mut children = hub.children();
    children.retain(|child| child.name == "ffmpeg");
    children.iter().for_each(|child| child.signal(Signal::KILL));
    children.len()
}

#[tokio::test]
async fn two_hundred_viewers_come_and_go_while_cameras_and_ffmpeg_die() {
    let _alone = ALONE.lock().await;
    let mut server = RtspServer::start(RtspServerOptions::default());
    let rtsp = format!("h264={}", server.url("h264"));
    let hub = Hub::serve(OCELLI, [&rtsp, "plain=pattern:?size=160x120&fps=10"]);
    assert_eq!(get(hub.addr(), "/health").await.status(), 200);
    let address = hub.addr();
    // Viewers of series get a hello once the series file is open.
    let mut series = RawSocket::open(address, "/ws/series", None).await;
    series.text(TIMEOUT).await.expect("the history");
    let descriptors = hub.descriptors();

    let done = Arc::new(AtomicBool::new(false));
    let killing = tokio::task::spawn_blocking({
        let done = done.clone();
        move || {
            let mut killed = 0;
            let mut round = 0;
            while !done.load(Ordering::SeqCst) {
                killed += kill_ffmpegs(&hub);
                if round % 8 == 5 {
                    server.kill();
                    server.restart();
                }
                round += 1;
                std::thread::sleep(Duration::from_millis(200));
            }
            (hub, server, killed)
        }
    });
    let mut crowd = Vec::new();
    for lane in 0..20 {
        crowd.push(tokio::spawn(async move {
            for turn in 0..10 {
                visit(address, turn * 20 + lane).await;
            }
        }));
    }
    // One viewer stays the whole time and retries cameras, so that there is always something to
    // kill.
    let permanent = tokio::spawn(async move {
        let mut wall = Wall::v2(address).await;
        wall.subscribe(&["*"]).await;
        loop {
            retry(&mut wall).await;
            let _ = timeout(Duration::from_millis(300), async {
                loop {
                    let next = wall.next(Duration::from_secs(5)).await;
                    next.expect("a message every second")
                        .expect("an open socket");
                }
            })
            .await;
        }
    });
    for lane in crowd {
        lane.await.expect("the visits succeed");
    }
    done.store(true, Ordering::SeqCst);
    assert!(
        !permanent.is_finished(),
        "the permanent viewer is served all the time"
    );
    let (hub, _server, killed) = killing.await.unwrap();
    assert!(killed >= 5, "{killed} decoders killed");
    permanent.abort();

    // The camera plays again for a new viewer.
    let mut wall = Wall::v2(address).await;
    wall.subscribe(&["h264"]).await;
    let requested = jpeg::now_micros();
    let recovered = async {
        loop {
            retry(&mut wall).await;
            let newer = async { while wall.frame_v2().await.received < requested {} };
            if timeout(Duration::from_secs(2), newer).await.is_ok() {
                break;
            }
        }
    };
    let recovered = timeout(Duration::from_secs(30), recovered).await;
    recovered.expect("the camera recovers");
    drop(wall);

    let idle = async {
        loop {
            let listed = get(address, "/api/v1/cameras").await.json();
            let cameras = listed["data"].as_array().unwrap();
            let resting = |camera: &Value| camera["viewers"] == 0 && camera["state"] == "idle";
            if cameras.iter().all(resting) {
                break;
            }
            sleep(Duration::from_millis(100)).await;
        }
    };
    let idle = timeout(Duration::from_secs(20), idle).await;
    idle.expect("every camera becomes idle");
    // Killed processes are reaped a moment later.
    eventually("every decoder has ended", || hub.children().is_empty()).await;
    // The connections of a snapshot and of an unfinished header end by timeout.
    eventually("every descriptor is closed", || {
        hub.descriptors() <= descriptors
    })
    .await;
    drop(series);
    let threads = hub.threads();
    assert!(threads <= 1 + 16 + 2, "{threads} threads");
    assert!(!hub.stderr().iter().any(|line| line.contains("panicked")));
}
