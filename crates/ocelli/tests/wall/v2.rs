//! The wall socket in its `ocelli.v2` form: the header, drops, and a viewer's rate control. Its
//! events are in `events.rs`.

#![allow(clippy::unwrap_used, reason = "a failed test setup must panic")]

use crate::support::TIMEOUT;
use crate::support::site::{Site, TestSource};
use crate::support::wall::{WALL, Wall};
use ocelli_core::Timestamp;
use ocelli_testkit::jpeg::{self, Picture};
use ocelli_testkit::websocket::RawSocket;
use serde_json::json;
use std::time::{Duration, Instant};

fn number(payload: &[u8]) -> u64 {
    jpeg::stamp(payload).expect("a stamped picture").sequence
}

/// Opens an `ocelli.v2` viewer that has sent these commands, and waits until they have been
/// executed.
async fn open_with(site: &Site, commands: &[serde_json::Value]) -> Wall {
    let mut wall = Wall::v2(site.address).await;
    for command in commands {
        wall.send_command(command.clone()).await;
    }
    assert!(wall.settle().await.is_empty());
    wall
}

/// Opens a viewer of "cam" with this credit.
async fn with_credit(site: &Site, credit: u32) -> Wall {
    let command = json!({ "cmd": "subscribe", "cameras": ["cam"], "credit": credit });
    open_with(site, &[command]).await
}

/// Shows pictures one after the other; returns how many of them arrive.
async fn count_delivered(wall: &mut Wall, cam: &TestSource, pictures: usize) -> usize {
    let mut count = 0;
    for _ in 0..pictures {
        cam.show().await;
        count += wall.settle().await.len();
    }
    count
}

#[tokio::test]
async fn the_header_matches_the_contract_and_the_rest_is_the_plain_message() {
    let (site, [_other]) = Site::with(["other"]).await;
    site.app("barn", "barn", true);
    let (cam, _) = site.add("barn", "cam", false);
    let mut v2 = RawSocket::open(site.address, WALL, Some("ocelli.v2")).await;
    let mut plain = RawSocket::open(site.address, WALL, None).await;
    let command = r#"{"cmd":"subscribe","cameras":["barn/barn-cam"]}"#;
    v2.send_text(command).await;
    plain.send_text(command).await;
    site.viewers("barn/cam", 2).await;

    let picture = Picture::QVGA.encode_now(0);
    let captured = 0x0001_0203_0405_0607;
    for (round, captured) in [captured, 0, 1].into_iter().enumerate() {
        let before = jpeg::now_micros();
        cam.show_picture(&picture, Timestamp(captured)).await;
        let message = v2.binary(TIMEOUT).await.expect("a frame");
        let after = jpeg::now_micros();
        // Version, kind, codec; the first frame of a connection is a discontinuity.
        let flags = if round == 0 { 0b11 } else { 0b01 };
        let mut expected = vec![2, 1, 1, flags];
        expected.extend((round as u32).to_be_bytes()); // the group
        expected.extend((round as u32).to_be_bytes()); // the sequence
        expected.extend(captured.to_be_bytes());
        assert_eq!(message[..20], expected);
        let received = u64::from_be_bytes(message[20..28].try_into().unwrap());
        assert!((before..=after).contains(&received), "{received}");
        let mut rest = vec![8];
        rest.extend(b"barn/cam");
        rest.extend(&picture);
        assert!(message[28..] == rest, "id length, id, JPEG");
        assert!(plain.binary(TIMEOUT).await.expect("a frame") == rest);
    }
}

#[tokio::test]
async fn a_restart_is_a_discontinuity_and_numbers_continue() {
    let (site, [cam]) = Site::with(["cam"]).await;
    let mut wall = Wall::v2(site.address).await;
    wall.subscribe(&["cam"]).await;
    let mut flags = Vec::new();
    for round in 0..4 {
        if round == 2 {
            cam.crash("pulled the plug");
            cam.started(2).await;
        }
        cam.show().await;
        let frame = wall.frame_v2().await;
        assert_eq!(frame.sequence, round);
        flags.push(frame.flags);
    }
    assert_eq!(flags, [0b11, 0b01, 0b11, 0b01]);
}

#[tokio::test]
async fn a_gap_in_the_sequence_equals_the_number_of_drops() {
    let (site, [cam]) = Site::with(["cam"]).await;
    let mut wall = with_credit(&site, 1).await;
    cam.show().await;
    assert_eq!(wall.frame_v2().await.sequence, 0);
    for _ in 0..5 {
        cam.show().await;
    }
    wall.send_command(json!({ "cmd": "credit", "add": { "cam": 1 } }))
        .await;
    let frame = wall.frame_v2().await;
    assert_eq!((frame.sequence, number(&frame.payload)), (5, 5));
    wall.event("stats").await;
    let stats = wall.event("stats").await;
    let counts = &stats["cameras"]["cam"];
    assert_eq!(
        (&counts["sent"], &counts["dropped"], &counts["viewers"]),
        (&json!(2), &json!(4), &json!(1)),
        "{stats}"
    );
}

#[tokio::test]
async fn frames_are_sent_only_with_credit_and_are_the_newest() {
    let (site, [cam]) = Site::with(["cam"]).await;
    let mut wall = with_credit(&site, 0).await;
    assert_eq!(count_delivered(&mut wall, &cam, 3).await, 0);
    wall.send_command(json!({ "cmd": "credit", "add": { "live-cam": 1 } }))
        .await;
    assert_eq!(number(&wall.frame_v2().await.payload), 2, "the newest");
    assert_eq!(
        count_delivered(&mut wall, &cam, 2).await,
        0,
        "one frame per credit"
    );
    // Credit that arrives while there is no new picture waits for the next one.
    wall.send_command(json!({ "cmd": "credit", "add": { "cam": 2 } }))
        .await;
    assert_eq!(number(&wall.frame_v2().await.payload), 4);
    assert!(wall.settle().await.is_empty(), "no picture is sent twice");
    assert_eq!(count_delivered(&mut wall, &cam, 2).await, 1);
}

#[tokio::test]
async fn credit_is_additive_and_limited_to_8() {
    let (site, [cam, other]) = Site::with(["cam", "other"]).await;
    let command = json!({ "cmd": "subscribe", "cameras": ["cam", "other"], "credit": 1 });
    let mut wall = open_with(&site, &[command]).await;
    for add in [1, 2] {
        wall.send_command(json!({ "cmd": "credit", "add": { "cam": add } }))
            .await;
    }
    wall.settle().await;
    assert_eq!(count_delivered(&mut wall, &cam, 6).await, 4, "1 + 1 + 2");
    assert_eq!(
        count_delivered(&mut wall, &other, 2).await,
        1,
        "each camera has its own credit"
    );
    // A newer picture is waiting. It is fetched first: the hub may send it between two of
    // the messages below, and the credit that it costs would then be filled up again.
    wall.send_command(json!({ "cmd": "credit", "add": { "cam": 1 } }))
        .await;
    assert_eq!(wall.settle().await.len(), 1);
    for add in [5u32, 5, u32::MAX] {
        wall.send_command(json!({ "cmd": "credit", "add": { "cam": add } }))
            .await;
    }
    wall.settle().await;
    assert_eq!(count_delivered(&mut wall, &cam, 12).await, 8);
    let mut generous = Wall::v2(site.address).await;
    generous
        .send_command(json!({ "cmd": "subscribe", "cameras": ["cam"], "credit": 100 }))
        .await;
    let waiting = generous.settle().await.len();
    assert_eq!(waiting + count_delivered(&mut generous, &cam, 12).await, 8);
}

#[tokio::test]
async fn a_new_subscription_resets_credit() {
    let (site, [cam]) = Site::with(["cam"]).await;
    let mut wall = with_credit(&site, 5).await;
    assert_eq!(count_delivered(&mut wall, &cam, 1).await, 1);
    let again = json!({ "cmd": "subscribe", "cameras": ["cam"], "credit": 2 });
    wall.send_command(again).await;
    wall.settle().await;
    assert_eq!(count_delivered(&mut wall, &cam, 6).await, 2, "not 4 + 2");
    // A subscription without credit ends flow control by credit.
    wall.subscribe(&["cam"]).await;
    let waiting = wall.settle().await.len();
    assert_eq!(waiting, 1, "the newest, at once");
    assert_eq!(count_delivered(&mut wall, &cam, 12).await, 12);
    assert_eq!(cam.starts(), 1);
}

#[tokio::test]
async fn credit_without_a_subscription_is_a_harmless_error() {
    let (site, [_idle]) = Site::with(["idle"]).await;
    let mut wall = Wall::v2(site.address).await;
    wall.send_command(json!({ "cmd": "credit", "add": { "missing": 1, "idle": 1 } }))
        .await;
    let errors = [wall.event("error").await, wall.event("error").await];
    let cameras: Vec<_> = errors.iter().map(|error| &error["camera"]).collect();
    assert_eq!(cameras, ["idle", "missing"]);
}

#[tokio::test]
async fn max_fps_is_kept_on_average_and_the_newest_frame_is_sent() {
    let (site, [cam]) = Site::with(["cam"]).await;
    let command = json!({ "cmd": "subscribe", "cameras": ["cam"], "maxFps": 10 });
    let mut wall = open_with(&site, &[command]).await;
    let showing = tokio::spawn({
        let cam = cam.clone();
        async move {
            let mut ticks = tokio::time::interval(Duration::from_millis(10));
            loop {
                ticks.tick().await;
                cam.show().await;
            }
        }
    });
    wall.frame_v2().await;
    let started = Instant::now();
    for _ in 0..20 {
        let frame = wall.frame_v2().await;
        let age = jpeg::now_micros() - frame.received;
        assert!(age < 90_000, "{age} µs old: the newest is 10 ms old");
    }
    let took = started.elapsed().as_secs_f64();
    assert!(
        (1.85..3.0).contains(&took),
        "20 frames at 10 fps took {took} s"
    );
    // Subscribing again changes the limit.
    wall.subscribe(&["cam"]).await;
    wall.settle().await;
    let started = Instant::now();
    for _ in 0..20 {
        wall.frame_v2().await;
    }
    let took = started.elapsed().as_secs_f64();
    assert!(took < 1.2, "20 frames at 100 fps took {took} s");
    showing.abort();
}

#[tokio::test]
async fn any_max_fps_is_applied_or_refused_and_the_socket_stays_open() {
    let (site, [cam]) = Site::with(["cam"]).await;
    let mut wall = Wall::v2(site.address).await;
    for bad in ["0", "-1", "-1e300", "\"5\"", "[]", "1e999"] {
        let text = format!(r#"{{"cmd":"subscribe","cameras":["cam"],"maxFps":{bad}}}"#);
        wall.send_text(&text).await;
        let error = wall.event("error").await;
        assert_eq!(error["code"], "malformed_command", "{bad}: {error}");
    }
    site.viewers("cam", 0).await;
    for slow in ["1e-300", "1e-18", "1e-19", "5e-20", "1e-9"] {
        let text = format!(r#"{{"cmd":"subscribe","cameras":["cam"],"maxFps":{slow}}}"#);
        wall.send_text(&text).await;
        assert!(wall.settle().await.len() <= 1, "{slow}");
        // The first is sent at once, and then none for a very long time.
        let received = count_delivered(&mut wall, &cam, 3).await;
        assert!(received <= 1, "{slow}: {received} came");
    }
    wall.send_command(json!({ "cmd": "subscribe", "cameras": ["cam"], "maxFps": 1e300 }))
        .await;
    wall.settle().await;
    assert_eq!(count_delivered(&mut wall, &cam, 3).await, 3);
}

#[tokio::test]
async fn tiles_get_the_small_stream_and_full_screen_the_main_one() {
    let site = Site::start().await;
    let (main, sub) = site.camera_with_substream("cam");
    let mut wall = Wall::v2(site.address).await;
    wall.subscribe(&["cam"]).await;
    sub.show().await;
    assert_eq!(wall.frame_v2().await.id, "cam");
    assert_eq!((main.starts(), sub.starts()), (0, 1));
    wall.send_command(json!({ "cmd": "subscribe", "cameras": ["cam"], "stream": "main" }))
        .await;
    main.started(1).await;
    wall.settle().await;
    sub.show().await;
    for _ in 0..7 {
        main.show().await;
    }
    let mut last = wall.frame_v2().await;
    while number(&last.payload) < 6 {
        last = wall.frame_v2().await;
    }
    assert_eq!(last.id, "cam");
    site.viewers("cam", 1).await;
}

#[tokio::test]
async fn only_the_subprotocol_selects_the_form() {
    let (site, [_cam]) = Site::with(["cam"]).await;
    for (offer, echoed) in [
        ("ocelli.v2", Some("ocelli.v2")),
        ("graphql-ws, ocelli.v2", Some("ocelli.v2")),
        ("arduino", None),
        ("ocelli.v3", None),
        ("OCELLI.V2", None),
    ] {
        let line = format!("Sec-WebSocket-Protocol: {offer}");
        let mut socket = RawSocket::connect(site.address).await;
        let request = format!(
            "GET {WALL} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{line}\r\n\r\n",
            site.address
        );
        socket.send_raw(request.as_bytes()).await;
        let head = socket.head().await.expect("an answer");
        assert_eq!(head.status, 101);
        assert_eq!(head.get("sec-websocket-protocol"), echoed, "{offer}");
        if echoed.is_some() {
            let hello = socket.text(TIMEOUT).await.expect("an event");
            assert!(hello.contains("\"hello\""), "{hello}");
        } else {
            let limit = Duration::from_millis(1200);
            assert_eq!(socket.text(limit).await, None, "no stats, no hello");
        }
    }
}
