//! Many viewers and many cameras: one upstream per camera, every camera served in turn, and no
//! viewer slowed down by another.

#![allow(clippy::unwrap_used, reason = "a failed test setup must panic")]

use super::ALONE;
use crate::support::http::{get, narrow};
use crate::support::hub::OCELLI;
use crate::support::wall::Wall;
use crate::support::{TIMEOUT, eventually};
use ocelli_testkit::jpeg::Picture;
use ocelli_testkit::{HttpCamera, HttpCameraOptions, Hub};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

async fn camera(fps: u32, picture: Picture) -> HttpCamera {
    let options = HttpCameraOptions {
        fps,
        picture,
        ..HttpCameraOptions::default()
    };
    HttpCamera::start(options).await
}

/// A plain HTTP viewer that reads its first bytes and then stops reading.
async fn mjpeg(hub: &Hub, room: &str) -> TcpStream {
    let mut stream = narrow(hub.addr()).await;
    let request = format!("GET /live/live/{room}/mjpeg HTTP/1.0\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut some = [0; 1000];
    let read = timeout(TIMEOUT, stream.read_exact(&mut some)).await;
    read.expect("an answer").unwrap();
    stream
}

#[tokio::test]
async fn cameras_take_turns_on_a_slow_link() {
    let _alone = ALONE.lock().await;
    let large = Picture {
        bytes: 200_000,
        ..Picture::VGA
    };
    let (calm, hasty) = (camera(5, large).await, camera(25, large).await);
    let mut sources = vec![format!("hasty={}", hasty.url("mjpeg"))];
    sources.extend((1..=5).map(|at| format!("calm{at}={}", calm.url("mjpeg"))));
    let hub = Hub::serve(OCELLI, &sources);
    let mut wall = Wall::narrow(hub.addr(), Some("ocelli.v2")).await;
    wall.subscribe(&["*"]).await;
    // All cameras play before counting begins.
    let mut seen = BTreeMap::new();
    while seen.len() < 6 {
        *seen.entry(wall.frame_v2().await.id).or_insert(0) += 1;
    }
    seen.clear();
    for _ in 0..60 {
        // The wall reads 12 frames per second; the cameras send 50.
        sleep(Duration::from_millis(80)).await;
        *seen.entry(wall.frame_v2().await.id).or_insert(0) += 1;
    }
    // About ten each; a camera that is ready sooner is queued sooner.
    let fair = seen.len() == 6 && seen.values().all(|count| (6..=17).contains(count));
    assert!(fair, "{seen:?}");
}

#[tokio::test]
async fn stalled_viewers_do_not_delay_others() {
    let _alone = ALONE.lock().await;
    let camera = camera(20, Picture::VGA).await;
    let hub = Hub::serve(OCELLI, [format!("cam={}", camera.url("mjpeg"))]);
    let mut fast = Vec::new();
    for _ in 0..3 {
        let mut wall = Wall::v2(hub.addr()).await;
        wall.subscribe(&["cam"]).await;
        wall.frame_v2().await;
        fast.push(wall);
    }
    let mut stuck = (Vec::new(), Vec::new());
    for count in 0..60 {
        match count % 3 {
            0 => {
                let mut wall = Wall::narrow(hub.addr(), None).await;
                wall.subscribe(&["cam"]).await;
                stuck.0.push(wall);
            }
            1 => {
                let mut wall = Wall::narrow(hub.addr(), Some("ocelli.v2")).await;
                wall.subscribe(&["*"]).await;
                stuck.0.push(wall);
            }
            _ => stuck.1.push(mjpeg(&hub, "cam").await),
        }
    }
    let mut counting = Vec::new();
    for mut wall in fast {
        counting.push(tokio::spawn(async move {
            let (started, first) = (Instant::now(), wall.frame_v2().await.sequence);
            let mut last = first;
            for _ in 0..120 {
                last = wall.frame_v2().await.sequence;
            }
            (last - first - 120, started.elapsed().as_secs_f64(), wall)
        }));
    }
    let settled = async {
        // By then the kernel's buffers are full.
        sleep(Duration::from_secs(3)).await;
        hub.resident_bytes()
    };
    let before = settled.await;
    for viewer in counting {
        let (dropped, seconds, _wall) = viewer.await.unwrap();
        assert!(dropped <= 3, "{dropped} of 120 dropped");
        assert!(seconds < 8.0, "120 frames at 20 fps took {seconds} s");
    }
    let after = hub.resident_bytes();
    let grown = after.saturating_sub(before) / 1024;
    assert!(grown < 1024, "{grown} KiB more within 3 s");
    assert_eq!(camera.open("mjpeg"), 1);
    assert_eq!((stuck.0.len(), stuck.1.len()), (40, 20));
}

#[tokio::test]
async fn all_viewers_share_one_upstream_with_a_ten_second_grace_period() {
    let _alone = ALONE.lock().await;
    let camera = camera(10, Picture::QVGA).await;
    let hub = Hub::serve(OCELLI, [format!("cam={}", camera.url("mjpeg"))]);
    assert_eq!(camera.requests("mjpeg"), 0, "there are no viewers");
    let mut walls = Vec::new();
    for _ in 0..5 {
        let mut plain = Wall::plain(hub.addr()).await;
        plain.subscribe(&["cam", "live-cam", "*"]).await;
        plain.frame().await;
        let mut v2 = Wall::v2(hub.addr()).await;
        v2.subscribe(&["cam"]).await;
        v2.frame_v2().await;
        walls.extend([plain, v2]);
        let path = "/live/ws?app=live&room=live-cam";
        walls.push(Wall::open(hub.addr(), path, None).await);
    }
    let mut streams = Vec::new();
    for _ in 0..5 {
        streams.push(mjpeg(&hub, "cam").await);
        let snapshot = get(hub.addr(), "/live/live/cam/frame.jpg").await;
        assert_eq!(snapshot.status(), 200);
    }
    assert_eq!((camera.requests("mjpeg"), camera.open("mjpeg")), (1, 1));

    // A page reload: all viewers disconnect and reconnect.
    drop((walls, streams));
    sleep(Duration::from_secs(2)).await;
    let mut wall = Wall::plain(hub.addr()).await;
    wall.subscribe(&["cam"]).await;
    wall.frame().await;
    assert_eq!((camera.requests("mjpeg"), camera.open("mjpeg")), (1, 1));

    let started = Instant::now();
    drop(wall);
    eventually("the upstream stops", || camera.open("mjpeg") == 0).await;
    let grace = started.elapsed();
    assert!(grace > Duration::from_millis(9_500), "{grace:?}");
    assert!(grace < Duration::from_secs(13), "{grace:?}");
    let mut wall = Wall::v2(hub.addr()).await;
    let hello = wall.event("hello").await;
    assert_eq!(hello["cameras"][0]["state"], "idle");
    wall.subscribe(&["cam"]).await;
    wall.frame_v2().await;
    assert_eq!(camera.requests("mjpeg"), 2);
}

#[tokio::test]
async fn a_snapshot_also_has_a_ten_second_grace_period() {
    let _alone = ALONE.lock().await;
    let camera = camera(10, Picture::QVGA).await;
    let hub = Hub::serve(OCELLI, [format!("cam={}", camera.url("mjpeg"))]);
    let snapshot = get(hub.addr(), "/live/live/cam/frame.jpg").await;
    assert_eq!(snapshot.status(), 200);
    let started = Instant::now();
    eventually("the upstream stops", || camera.open("mjpeg") == 0).await;
    let grace = started.elapsed();
    assert!(grace > Duration::from_millis(9_500), "{grace:?}");
    assert!(grace < Duration::from_secs(13), "{grace:?}");
}

#[tokio::test]
async fn a_flood_of_commands_does_not_delay_others() {
    let _alone = ALONE.lock().await;
    let camera = camera(20, Picture::QVGA).await;
    let hub = Hub::serve(OCELLI, [format!("cam={}", camera.url("mjpeg"))]);
    let mut calm = Wall::plain(hub.addr()).await;
    calm.subscribe(&["cam"]).await;
    calm.frame().await;
    // As much work as one message can request.
    let ids: Vec<_> = (0..9000).map(|at| at.to_string()).collect();
    let many = serde_json::json!({ "cmd": "subscribe", "cameras": ids }).to_string();
    let stars = vec![r#""*""#; 15_000].join(",");
    let stars = format!(r#"{{"cmd":"subscribe","cameras":[{stars}]}}"#);
    let again = r#"{"cmd":"retry","cameras":["cam"]}"#.to_owned();
    let mut floods = tokio::task::JoinSet::new();
    for text in [many, stars, again] {
        for _ in 0..3 {
            let (address, text) = (hub.addr(), text.clone());
            floods.spawn(async move {
                let mut wall = Wall::plain(address).await;
                loop {
                    wall.send_text(&text).await;
                }
            });
        }
    }
    sleep(Duration::from_millis(500)).await;
    let (started, mut frames, mut longest) = (Instant::now(), 0, Duration::ZERO);
    while started.elapsed() < Duration::from_secs(3) {
        let requested = Instant::now();
        calm.frame().await;
        longest = longest.max(requested.elapsed());
        frames += 1;
    }
    let fps = f64::from(frames) / started.elapsed().as_secs_f64();
    assert!(fps > 16.0, "{fps:.1} of 20 fps, longest gap {longest:?}");
}
