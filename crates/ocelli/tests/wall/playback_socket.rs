//! `/live/ws`: one camera over one WebSocket; and private playback.

#![allow(clippy::unwrap_used, reason = "a failed test setup must panic")]

use crate::support::TIMEOUT;
use crate::support::http::{get, request};
use crate::support::hub::{OCELLI, configured};
use crate::support::site::Site;
use crate::support::tempdir;
use crate::support::wall::Wall;
use ocelli_testkit::Hub;
use ocelli_testkit::jpeg;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio_tungstenite::tungstenite::Message;

async fn watch(site: &Site, room: &str) -> Wall {
    Wall::open(
        site.address,
        &format!("/live/ws?app=live&room={room}"),
        None,
    )
    .await
}

/// Returns the number of the next picture; other messages are skipped.
async fn picture(viewer: &mut Wall) -> u64 {
    loop {
        if let Message::Binary(bytes) = viewer
            .next(TIMEOUT)
            .await
            .expect("a message in time")
            .unwrap()
        {
            assert!(jpeg::is_whole(&bytes), "a JPEG without a header");
            return jpeg::stamp(&bytes).expect("a stamp").sequence;
        }
    }
}

#[tokio::test]
async fn the_last_frame_is_sent_at_once_and_then_newer_ones() {
    let (site, [cam]) = Site::with(["cam"]).await;
    let mut first = watch(&site, "cam").await;
    cam.show().await;
    assert_eq!(picture(&mut first).await, 0);
    let mut second = watch(&site, "live-cam").await;
    assert_eq!(picture(&mut second).await, 0);
    for expected in 1..4 {
        cam.show().await;
        assert_eq!(picture(&mut first).await, expected);
        assert_eq!(picture(&mut second).await, expected);
    }
    assert_eq!(cam.starts(), 1);
    drop((first, second));
    site.viewers("cam", 0).await;
}

#[tokio::test]
async fn info_is_sent_regularly_with_or_without_frames() {
    let hub = Hub::serve(OCELLI, ["cam1=pattern:?size=64x48&fps=50"]);
    let mut viewer = Wall::open(hub.addr(), "/live/ws?app=live&room=cam1", None).await;
    let started = Instant::now();
    let mut infos = 0;
    while infos < 2 {
        assert!(started.elapsed() < Duration::from_secs(15));
        if let Message::Text(text) = viewer
            .next(TIMEOUT)
            .await
            .expect("a message in time")
            .unwrap()
        {
            let info: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(info["type"], "info");
            let age = jpeg::now_micros() / 1000 - info["ts"].as_u64().expect("a time in ms");
            assert!(age < 2_000, "{info}");
            let fps = info["fps"].as_f64().expect("a number");
            infos += 1;
            assert!(infos < 2 || (20.0..60.0).contains(&fps), "{info}");
        }
    }
}

#[tokio::test]
async fn a_stalled_viewer_gets_the_newest_frame_and_invalid_messages_are_ignored() {
    let (site, [cam]) = Site::with(["cam"]).await;
    let mut viewer = watch(&site, "cam").await;
    site.viewers("cam", 1).await;
    viewer.send_text("rubbish").await;
    viewer
        .send_command(json!({ "cmd": "subscribe", "cameras": ["*"] }))
        .await;
    viewer.send(Message::Ping("x".into())).await;
    cam.show().await;
    assert_eq!(picture(&mut viewer).await, 0);
    viewer.send(Message::binary(vec![1])).await;
    assert_eq!(viewer.close_code().await, Some(1003));
    let mut viewer = watch(&site, "cam").await;
    viewer.send_text(&" ".repeat(70_000)).await;
    assert_eq!(viewer.close_code().await, Some(1009));
}

fn private() -> (Hub, tempdir::Dir) {
    let dir = tempdir::Dir::new("private");
    let hub = configured(
        &dir,
        "listen = \"127.0.0.1:0\"\n[app.live]\npublic_playback = false\n[app.barn]\n\
         [[camera]]\nid = \"cam1\"\nsource = \"pattern:?size=64x48&fps=20\"\n\
         [[camera]]\nid = \"cow\"\napp = \"barn\"\nsource = \"pattern:?size=64x48&fps=20\"\n",
    );
    (hub.start(), dir)
}

#[tokio::test]
async fn private_playback_is_401() {
    let (hub, _dir) = private();
    for path in [
        "/live/live/cam1/mjpeg",
        "/live/live/cam1/frame.jpg",
        "/play/live/cam1",
        "/live/live/missing/frame.jpg",
    ] {
        get(hub.addr(), path).await.is_problem(401, "public");
        let response = get(hub.addr(), &format!("{path}?token=guessed")).await;
        assert_eq!(response.status(), 401);
        let head = request(hub.addr(), "HEAD", path, &[]).await;
        assert_eq!(head.status(), 401);
    }
    let open = get(hub.addr(), "/live/barn/cow/frame.jpg").await;
    assert_eq!(open.status(), 200, "another app's cameras play");
}

#[tokio::test]
async fn a_private_socket_closes_with_4401() {
    let (hub, _dir) = private();
    for room in ["cam1", "missing"] {
        let path = format!("/live/ws?app=live&room={room}");
        let mut viewer = Wall::open(hub.addr(), &path, None).await;
        assert_eq!(viewer.close_code().await, Some(4401));
    }
    let path = "/live/ws?app=barn&room=cow";
    let mut viewer = Wall::open(hub.addr(), path, None).await;
    let message = viewer.next(TIMEOUT).await.unwrap().unwrap();
    assert!(matches!(message, Message::Text(_) | Message::Binary(_)));
}

#[tokio::test]
async fn the_wall_and_the_listing_have_only_public_cameras() {
    let (hub, _dir) = private();
    let mut wall = Wall::plain(hub.addr()).await;
    wall.subscribe(&["cam1", "live-cam1", "*"]).await;
    for _ in 0..10 {
        assert_eq!(wall.frame().await.0, "barn/cow");
    }
    let listed = get(hub.addr(), "/api/v1/cameras").await.json();
    let cameras = listed["data"].as_array().expect("a list");
    assert_eq!(cameras.len(), 1, "{listed}");
    assert_eq!(cameras[0]["id"], "barn/cow");
    assert!(listed["error"].is_null());
    let mut v2 = Wall::v2(hub.addr()).await;
    let hello = v2.event("hello").await;
    assert_eq!(hello["cameras"].as_array().map(Vec::len), Some(1));
    v2.subscribe(&["cam1"]).await;
    assert_eq!(v2.event("error").await["code"], "unknown_camera");
}

#[tokio::test]
async fn the_listing_has_the_state_of_each_camera() {
    let hub = Hub::serve(OCELLI, ["cam1=pattern:?size=64x48&fps=20", "idle=pattern:"]);
    let mut wall = Wall::v2(hub.addr()).await;
    wall.send_command(json!({ "cmd": "subscribe", "cameras": ["cam1"], "credit": 1 }))
        .await;
    wall.frame_v2().await;
    for _ in 0..3 {
        wall.event("stats").await;
    }
    wall.send_command(json!({ "cmd": "credit", "add": { "cam1": 1 } }))
        .await;
    wall.frame_v2().await;
    let listed = get(hub.addr(), "/api/v1/cameras").await;
    assert_eq!(listed.header("content-type"), "application/json");
    let listed = listed.json();
    let (cam, idle) = (&listed["data"][0], &listed["data"][1]);
    assert_eq!(
        (&cam["id"], &cam["state"]),
        (&json!("cam1"), &json!("live"))
    );
    assert_eq!(cam["fullRoom"], "live-cam1");
    assert_eq!(cam["viewers"], 1);
    assert!(cam["dropped"].as_u64().unwrap() >= 5, "{cam}");
    assert!(cam["frameAgeMs"].as_u64().unwrap() < 2_000, "{cam}");
    assert!(
        (10.0..25.0).contains(&cam["fps"].as_f64().unwrap()),
        "{cam}"
    );
    assert_eq!(
        (&idle["id"], &idle["state"]),
        (&json!("idle"), &json!("idle"))
    );
    assert!(
        idle["frameAgeMs"].is_null() && idle["viewers"] == 0,
        "{idle}"
    );
    let health = get(hub.addr(), "/health").await.json();
    assert_eq!(health["status"], "ok");
    assert_eq!(health["up"], true);
    assert_eq!(health["version"], env!("CARGO_PKG_VERSION"));
    assert!(health["ts"].is_u64() && health["uptimeSeconds"].is_u64());
}
