//! Events of the `ocelli.v2` form.

#![allow(clippy::unwrap_used, reason = "a failed test setup must panic")]

use crate::support::TIMEOUT;
use crate::support::http::get;
use crate::support::site::Site;
use crate::support::wall::{WALL, Wall};
use ocelli_core::Timestamp;
use ocelli_testkit::jpeg::{self, Picture};
use ocelli_testkit::websocket::RawSocket;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio_tungstenite::tungstenite::Message;

/// Returns the next `camera` event in which this camera is in this state.
async fn state(wall: &mut Wall, id: &str, wanted: &str) -> Value {
    loop {
        let event = wall.event("camera").await;
        let camera = &event["camera"];
        if camera["id"] == id && camera["state"] == wanted {
            return camera.clone();
        }
    }
}

#[tokio::test]
async fn hello_comes_first_with_the_version_the_time_and_the_cameras() {
    let (site, [_b, _a]) = Site::with(["b", "a"]).await;
    site.app("barn", "barn", true);
    site.app("shed", "shed", false);
    site.add("barn", "cam", false);
    site.add("shed", "hidden", false);
    let before = jpeg::now_micros();
    let mut wall = Wall::v2(site.address).await;
    let Some(Ok(Message::Text(text))) = wall.next(TIMEOUT).await else {
        panic!("expected an event");
    };
    let hello: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(hello["type"], "hello");
    assert_eq!(hello["version"], env!("CARGO_PKG_VERSION"));
    let time = hello["time"].as_u64().expect("µs");
    assert!((before..=jpeg::now_micros()).contains(&time), "{time}");
    let expected = json!([
        { "id": "a", "name": "Camera a", "state": "idle", "codecs": ["jpeg"] },
        { "id": "b", "name": "Camera b", "state": "idle", "codecs": ["jpeg"] },
        { "id": "barn/cam", "name": "Camera cam", "state": "idle", "codecs": ["jpeg"] },
    ]);
    let mut cameras = hello["cameras"].as_array().expect("cameras").clone();
    cameras.sort_by_key(|camera| camera["id"].to_string());
    assert_eq!(Value::from(cameras), expected);
}

#[tokio::test]
async fn state_changes_of_a_camera_are_sent() {
    let (site, [cam]) = Site::with(["cam"]).await;
    // A viewer without subscriptions gets the states too.
    let mut wall = Wall::v2(site.address).await;
    let mut viewer = Wall::plain(site.address).await;
    viewer.subscribe(&["cam"]).await;
    state(&mut wall, "cam", "starting").await;
    cam.show().await;
    let live = state(&mut wall, "cam", "live").await;
    assert!(live.get("reason").is_none(), "{live}");
    assert!(live.get("lastFailure").is_none(), "{live}");
    let before = jpeg::now_micros();
    cam.crash("out of film");
    let stalled = state(&mut wall, "cam", "stalled").await;
    assert_eq!(stalled["reason"], "out of film");
    assert_eq!(stalled["lastFailure"]["reason"], "out of film");
    let at = stalled["lastFailure"]["at"].as_u64().expect("µs");
    assert!((before..=jpeg::now_micros()).contains(&at), "{at}");
    let listed = get(site.address, "/api/v1/cameras").await.json();
    let failure = &listed["data"][0]["lastFailure"];
    assert_eq!(
        *failure,
        json!({ "reason": "out of film", "at": at / 1000 })
    );
    cam.show_picture(&Picture::QVGA.encode_now(9), Timestamp::UNKNOWN)
        .await;
    let live = state(&mut wall, "cam", "live").await;
    assert!(live.get("lastFailure").is_none(), "{live}");
    let listed = get(site.address, "/api/v1/cameras").await.json();
    assert_eq!(listed["data"][0]["lastFailure"], Value::Null);
    for time in 2..4 {
        cam.started(time).await;
        cam.crash("still out of film");
    }
    let failed = state(&mut wall, "cam", "failed").await;
    assert_eq!(failed["reason"], "still out of film");
}

#[tokio::test]
async fn a_failed_camera_recovers_by_itself_and_sooner_on_retry() {
    let (site, [cam]) = Site::with(["cam"]).await;
    let mut wall = Wall::v2(site.address).await;
    wall.subscribe(&["cam"]).await;
    for time in 1..=3 {
        cam.started(time).await;
        cam.crash("no route");
    }
    state(&mut wall, "cam", "failed").await;
    // Without a retry command, after the first backoff of 2 s.
    let start_time = Instant::now();
    cam.started(4).await;
    let waited = start_time.elapsed();
    assert!(waited > Duration::from_millis(1500), "{waited:?}");
    assert!(waited < Duration::from_secs(4), "{waited:?}");
    cam.crash("no route");
    // The next wait is longer; a retry command shortens it.
    let start_time = Instant::now();
    let camera = site.hub.find_by_id("cam").expect("the camera exists");
    while camera.status().restarts < 4 {
        tokio::task::yield_now().await;
    }
    wall.send_command(json!({ "cmd": "retry", "cameras": ["live-cam"] }))
        .await;
    cam.started(5).await;
    // After 2 s, because retries are rate-limited; the backoff would be 4 s.
    assert!(start_time.elapsed() < Duration::from_millis(3500));
    cam.show().await;
    assert_eq!(wall.frame_v2().await.id, "cam");
    wall.send_command(json!({ "cmd": "retry", "cameras": ["missing"] }))
        .await;
    assert_eq!(wall.event("error").await["camera"], "missing");
}

#[tokio::test]
async fn added_and_removed_cameras_are_announced() {
    let (site, [_first]) = Site::with(["first"]).await;
    let mut wall = Wall::v2(site.address).await;
    wall.event("hello").await;
    site.camera("second");
    let event = wall.event("camera").await;
    let expected =
        json!({ "id": "second", "name": "Camera second", "state": "idle", "codecs": ["jpeg"] });
    assert_eq!(event["camera"], expected);
    site.remove("first");
    assert_eq!(wall.event("gone").await["id"], "first");
    // Hidden cameras cause no events.
    site.app("shed", "shed", false);
    site.add("shed", "hidden", false);
    // A new camera with a known id is announced, even if all its numbers are the same.
    site.remove("second");
    site.camera("second");
    assert_eq!(wall.event("camera").await["camera"]["id"], "second");
}

#[tokio::test]
async fn events_reach_a_viewer_with_a_permanent_backlog_of_frames() {
    let site = Site::start().await;
    let rooms: Vec<String> = (0..8).map(|at| format!("cam{at}")).collect();
    let sources: Vec<_> = rooms.iter().map(|room| site.camera(room)).collect();
    let mut wall = Wall::narrow(site.address, Some("ocelli.v2")).await;
    wall.subscribe(&["*"]).await;
    for (room, source) in rooms.iter().zip(&sources) {
        site.viewers(room, 1).await;
        source.started(1).await;
    }
    let showing = tokio::spawn(async move {
        let picture = Picture::VGA.encode_now(0);
        let mut ticks = tokio::time::interval(Duration::from_millis(5));
        loop {
            ticks.tick().await;
            for source in &sources {
                source.show_picture(&picture, Timestamp::UNKNOWN).await;
            }
        }
    });
    // A viewer on a slow link: it reads one message per 20 ms.
    let mut since = None;
    let (mut gone, mut received, mut newcomer_plays) = (false, false, false);
    let late = tokio::time::Instant::now() + Duration::from_secs(15);
    let mut newcomer = None;
    for count in 0.. {
        assert!(
            tokio::time::Instant::now() < late,
            "gone {gone} came {received}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
        match wall.next(TIMEOUT).await.expect("a message").unwrap() {
            Message::Text(text) => {
                let event: Value = serde_json::from_str(&text).unwrap();
                gone |= event["type"] == "gone" && event["id"] == "cam0";
                received |= event["type"] == "camera" && event["camera"]["id"] == "new";
            }
            Message::Binary(message) if message[29..].starts_with(b"new\xff") => {
                newcomer_plays = true;
            }
            _ => {}
        }
        if count == 20 {
            site.remove("cam0");
            let source = site.camera("new");
            newcomer = Some(tokio::spawn(async move {
                source.show().await;
                source
            }));
            since = Some(Instant::now());
        }
        if gone && received && newcomer_plays {
            break;
        }
    }
    let took = since.expect("frames arrived before the event").elapsed();
    assert!(took < Duration::from_secs(5), "{took:?}");
    drop(newcomer);
    showing.abort();
}

#[tokio::test]
async fn invalid_commands_get_an_error_and_the_socket_stays_open() {
    let (site, [cam]) = Site::with(["cam"]).await;
    site.app("shed", "shed", false);
    site.add("shed", "hidden", false);
    let mut wall = Wall::v2(site.address).await;
    wall.subscribe(&["missing", "cam", "shed/hidden"]).await;
    for id in ["missing", "shed/hidden"] {
        let error = wall.event("error").await;
        assert_eq!(error["code"], "unknown_camera");
        assert_eq!(error["camera"], id);
        assert!(error["message"].is_string(), "{error}");
    }
    for bad in [
        "rubbish",
        "{\"cmd\":\"dance\"}",
        "{\"cmd\":\"subscribe\",\"cameras\":7}",
        "{\"cmd\":\"credit\",\"add\":{\"cam\":-1}}",
        "{\"cmd\":\"ping\"}",
    ] {
        wall.send_text(bad).await;
        let error = wall.event("error").await;
        assert_eq!(error["code"], "malformed_command", "{bad}: {error}");
        assert!(error.get("camera").is_none());
        let message = error["message"].as_str().expect("a message");
        assert!(message.len() > 10, "{message}");
    }
    assert_eq!(site.ignored().await, 7);
    // A thousand unknown names do not cause a thousand answers.
    let many: Vec<String> = (0..1000).map(|at| format!("no{at}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    wall.subscribe(&many).await;
    wall.send_command(json!({ "cmd": "ping", "t": 5 })).await;
    let mut errors = 0;
    while let Message::Text(text) = wall.next(TIMEOUT).await.unwrap().unwrap() {
        errors += usize::from(text.contains("unknown_camera"));
        if text.contains("pong") {
            break;
        }
    }
    assert!((1..100).contains(&errors), "{errors}");
    cam.show().await;
    assert_eq!(wall.frame_v2().await.id, "cam");
}

#[tokio::test]
async fn answers_do_not_accumulate_in_the_hub() {
    let (site, [_cam]) = Site::with(["cam"]).await;
    let mut wall = Wall::v2(site.address).await;
    let (commands, faults) = (2_000, 8);
    let names: Vec<String> = (0..faults).map(|at| format!("no{at}")).collect();
    let bad = json!({ "cmd": "subscribe", "cameras": names }).to_string();
    let good = r#"{"cmd":"subscribe","cameras":["cam"]}"#;
    let mut flood = RawSocket::open(site.address, WALL, Some("ocelli.v2")).await;
    wall.event("hello").await;
    let mut bytes = Vec::new();
    for text in std::iter::repeat_n(bad.as_str(), commands).chain([good]) {
        bytes.extend([0x81, 0x80 | text.len() as u8, 0, 0, 0, 0]);
        bytes.extend(text.as_bytes());
    }
    flood.send_raw(&bytes).await;
    // A command is executed after the answers to earlier commands have been sent.
    let camera = site.hub.find_by_id("cam").unwrap();
    let mut answers = 0;
    while camera.status().viewers == 0 {
        let text = flood.text(TIMEOUT).await.expect("an answer");
        answers += usize::from(text.contains("unknown_camera"));
    }
    let kept = commands * faults - answers;
    assert!(kept < commands * faults / 3, "{kept} answers were queued");
}

#[tokio::test]
async fn a_ping_is_echoed_with_the_hubs_time() {
    let site = Site::start().await;
    let mut wall = Wall::v2(site.address).await;
    for t in ["123.4", "0", "-7", "1790000000000.25", "1e21"] {
        let before = jpeg::now_micros();
        wall.send_text(&format!("{{\"cmd\":\"ping\",\"t\":{t}}}"))
            .await;
        let pong = wall.event("pong").await;
        let expected: f64 = t.parse().unwrap();
        assert_eq!(pong["t"].as_f64(), Some(expected), "{pong}");
        let time = pong["time"].as_u64().expect("µs");
        assert!((before..=jpeg::now_micros()).contains(&time), "{pong}");
    }
}

#[tokio::test]
async fn stats_are_sent_every_second() {
    let (site, [_cam]) = Site::with(["cam"]).await;
    let mut wall = Wall::v2(site.address).await;
    wall.event("hello").await;
    wall.event("stats").await;
    let mut last = Instant::now();
    for _ in 0..4 {
        let stats = wall.event("stats").await;
        assert_eq!(stats["cameras"], json!({}), "only watched cameras");
        let gap = last.elapsed();
        assert!(gap > Duration::from_millis(500), "{gap:?}");
        assert!(gap < Duration::from_millis(2000), "{gap:?}");
        last = Instant::now();
    }
}

#[tokio::test]
async fn stats_count_what_was_sent_dropped_and_watched() {
    let (site, [cam]) = Site::with(["cam"]).await;
    let mut wall = Wall::v2(site.address).await;
    let mut other = Wall::v2(site.address).await;
    for wall in [&mut wall, &mut other] {
        wall.send_command(json!({ "cmd": "subscribe", "cameras": ["cam"], "credit": 2 }))
            .await;
    }
    site.viewers("cam", 2).await;
    for _ in 0..2 {
        cam.show().await;
        wall.frame_v2().await;
    }
    for _ in 0..3 {
        cam.show().await;
    }
    wall.send_command(json!({ "cmd": "credit", "add": { "cam": 1 } }))
        .await;
    wall.frame_v2().await;
    wall.event("stats").await;
    let stats = wall.event("stats").await;
    assert_eq!(
        stats["cameras"],
        json!({ "cam": { "sent": 3, "dropped": 2, "viewers": 2 } })
    );
    other.unsubscribe(&["cam"]).await;
    site.viewers("cam", 1).await;
    wall.event("stats").await;
    assert_eq!(wall.event("stats").await["cameras"]["cam"]["viewers"], 1);
}
