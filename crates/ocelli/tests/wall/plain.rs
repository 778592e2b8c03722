//! The plain form of the wall socket.

#![allow(clippy::unwrap_used, reason = "a failed test setup must panic")]

use crate::support::TIMEOUT;
use crate::support::hub::OCELLI;
use crate::support::site::Site;
use crate::support::wall::Wall;
use ocelli_testkit::Hub;
use ocelli_testkit::websocket::plain_message;
use serde_json::json;
use std::time::Duration;
use tokio_tungstenite::tungstenite::Message;

#[tokio::test]
async fn a_message_is_the_length_of_the_id_the_id_and_a_jpeg() {
    let hub = Hub::serve(
        OCELLI,
        [
            "pattern:?size=320x240&fps=20",
            "door=pattern:?size=64x48&fps=20",
        ],
    );
    let mut wall = Wall::plain(hub.addr()).await;
    wall.subscribe(&["cam1", "live-door"]).await;
    let mut seen = [0, 0];
    while seen.iter().any(|&count| count < 3) {
        let Some(Ok(Message::Binary(message))) = wall.next(TIMEOUT).await else {
            panic!("expected a binary message");
        };
        let (room, size) = match message[0] {
            4 if message[1..].starts_with(b"cam1\xff\xd8") => (0, (320, 240)),
            4 if message[1..].starts_with(b"door\xff\xd8") => (1, (64, 48)),
            _ => panic!("{:?}", &message[..16]),
        };
        seen[room] += 1;
        let jpeg = &message[5..];
        assert!(jpeg.ends_with(&[0xff, 0xd9]));
        assert_eq!(ocelli_media::jpeg::size(jpeg), Some(size));
        if seen[room] == 1 {
            assert_eq!(crate::support::shades(jpeg).len(), 256, "ffmpeg decodes it");
        }
    }
}

#[tokio::test]
async fn short_and_full_names_mean_one_camera_and_frames_carry_its_id() {
    let (site, [cam]) = Site::with(["cam1"]).await;
    site.app("barn", "farm", true);
    let (calf, _) = site.add("barn", "10.0.0.7", false);
    let mut walls = Vec::new();
    for name in [
        "cam1",
        "live-cam1",
        "live/cam1",
        "barn/10.0.0.7",
        "barn/farm-10.0.0.7",
    ] {
        let mut wall = Wall::plain(site.address).await;
        wall.subscribe(&[name]).await;
        walls.push(wall);
    }
    site.viewers("cam1", 3).await;
    site.viewers("barn/10.0.0.7", 2).await;
    cam.show().await;
    calf.show().await;
    for (wall, id) in
        walls
            .iter_mut()
            .zip(["cam1", "cam1", "cam1", "barn/10.0.0.7", "barn/10.0.0.7"])
    {
        assert_eq!(wall.frame().await.0, id);
    }
    assert_eq!((cam.starts(), calf.starts()), (1, 1));
}

#[tokio::test]
async fn the_longest_id_fits() {
    let site = Site::start().await;
    let app = format!("a{}b", "-".repeat(30));
    site.app(&app, "p", true);
    let room = "r".repeat(120);
    let (source, _) = site.add(&app, &room, false);
    let id = format!("{app}/{room}");
    let mut wall = Wall::plain(site.address).await;
    wall.subscribe(&[&id]).await;
    source.show().await;
    assert_eq!(wall.frame().await.0, id);
}

#[tokio::test]
async fn repeated_subscriptions_are_harmless() {
    let (site, [one, two]) = Site::with(["one", "two"]).await;
    let mut wall = Wall::plain(site.address).await;
    for _ in 0..3 {
        wall.subscribe(&["one", "one", "live-one", "*"]).await;
        wall.subscribe(&["*", "*"]).await;
    }
    wall.unsubscribe(&["two", "two"]).await;
    wall.unsubscribe(&["two", "live-two"]).await;
    wall.subscribe(&["two", "one"]).await;
    site.viewers("one", 1).await;
    for expected in 0..5 {
        one.show().await;
        assert_eq!(wall.numbered().await, ("one".to_owned(), expected));
    }
    // A duplicate would have arrived before this frame.
    two.show().await;
    assert_eq!(wall.numbered().await, ("two".to_owned(), 0));
    assert_eq!((one.starts(), two.starts()), (1, 1));
    site.viewers("two", 1).await;
}

#[tokio::test]
async fn unsubscribed_cameras_are_no_longer_sent() {
    let (site, [one, two]) = Site::with(["one", "two"]).await;
    let mut wall = Wall::plain(site.address).await;
    wall.subscribe(&["one", "two"]).await;
    site.viewers("two", 1).await;
    one.show().await;
    assert_eq!(wall.frame().await.0, "one");
    wall.unsubscribe(&["live-one"]).await;
    site.viewers("one", 0).await;
    one.show().await;
    two.show().await;
    assert_eq!(wall.frame().await.0, "two");
}

#[tokio::test]
async fn a_star_subscribes_to_every_camera_including_later_ones() {
    let (site, [early, other]) = Site::with(["early", "other"]).await;
    let mut wall = Wall::plain(site.address).await;
    wall.subscribe(&["*"]).await;
    early.show().await;
    assert_eq!(wall.frame().await.0, "early");
    other.show().await;
    assert_eq!(wall.frame().await.0, "other");
    let late = site.camera("late");
    late.show().await;
    assert_eq!(wall.frame().await.0, "late");
    // A camera that is removed and added again counts as new.
    site.remove("early");
    let again = site.camera("early");
    again.show().await;
    assert_eq!(wall.frame().await.0, "early");
    // A camera unsubscribed by name stays unsubscribed.
    wall.unsubscribe(&["late"]).await;
    site.viewers("late", 0).await;
    let latest = site.camera("latest");
    latest.show().await;
    assert_eq!(wall.frame().await.0, "latest");
    site.viewers("late", 0).await;
    wall.unsubscribe(&["*"]).await;
    site.viewers("latest", 0).await;
    site.viewers("other", 0).await;
    site.camera("last");
    wall.subscribe(&["other"]).await;
    site.viewers("other", 1).await;
    site.viewers("last", 0).await;
}

#[tokio::test]
async fn a_plain_client_never_gets_text_and_its_errors_are_counted() {
    let (site, [cam]) = Site::with(["cam"]).await;
    let mut wall = Wall::plain(site.address).await;
    let faults = [
        "",
        "hello",
        "null",
        "[]",
        "{\"cmd\":\"dance\"}",
        "{\"cmd\":\"subscribe\"}",
        "{\"cmd\":\"subscribe\",\"cameras\":\"cam\"}",
        "{\"cmd\":\"subscribe\",\"cameras\":[\"missing\"]}",
        "{\"cmd\":\"subscribe\",\"cameras\":[\"../cam\"]}",
        "{\"cmd\":\"credit\",\"add\":{\"cam\":1}}",
        "{\"cmd\":\"retry\",\"cameras\":[\"cam\"]}",
        "{\"cmd\":\"ping\",\"t\":1}",
        "\u{0}\u{fffd}",
    ];
    for fault in faults {
        wall.send_text(fault).await;
    }
    // A command may be partly valid: the valid part is executed.
    wall.subscribe(&["missing", "cam"]).await;
    cam.show().await;
    assert_eq!(wall.numbered().await, ("cam".to_owned(), 0));
    assert_eq!(site.ignored().await, faults.len() as u64 + 1);
    // Changes of state, added and removed cameras, and pings cause no text either.
    cam.crash("out of film");
    cam.started(2).await;
    site.camera("new");
    site.remove("new");
    wall.send(Message::Ping("are you there".into())).await;
    cam.show().await;
    let (mut answered, mut shown) = (false, false);
    while !(answered && shown) {
        match wall.next(TIMEOUT).await.expect("a message").unwrap() {
            Message::Pong(echo) => answered = &echo[..] == b"are you there",
            Message::Binary(message) => {
                shown = plain_message(&message).is_some_and(|(id, _)| id == "cam");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_plain_client_cannot_limit_its_rate() {
    let (site, [cam]) = Site::with(["cam"]).await;
    let mut wall = Wall::plain(site.address).await;
    wall.send_command(
        json!({ "cmd": "subscribe", "cameras": ["cam"], "credit": 1, "maxFps": 0.01 }),
    )
    .await;
    for expected in 0..4 {
        cam.show().await;
        assert_eq!(wall.numbered().await.1, expected);
    }
}

#[tokio::test]
async fn hidden_cameras_are_unknown_and_not_in_the_star() {
    let (site, [open]) = Site::with(["open"]).await;
    site.app("barn", "barn", false);
    let (hidden, _) = site.add("barn", "hidden", false);
    let mut wall = Wall::plain(site.address).await;
    wall.subscribe(&["barn/hidden", "*", "open"]).await;
    open.show().await;
    assert_eq!(wall.frame().await.0, "open");
    site.viewers("barn/hidden", 0).await;
    assert_eq!(
        hidden.starts(),
        0,
        "the hidden camera's upstream does not run"
    );
    assert_eq!(site.ignored().await, 1);
    open.show().await;
    assert_eq!(wall.frame().await.0, "open", "the socket stays");
}

#[tokio::test]
async fn a_stalled_viewer_gets_the_newest_frame_and_no_queue() {
    let (site, [cam]) = Site::with(["cam"]).await;
    let mut slow = Wall::narrow(site.address, None).await;
    slow.subscribe(&["cam"]).await;
    let mut fast = Wall::plain(site.address).await;
    fast.subscribe(&["cam"]).await;
    site.viewers("cam", 2).await;
    for expected in 0..300 {
        cam.show().await;
        assert_eq!(
            fast.numbered().await.1,
            expected,
            "the fast viewer gets every picture"
        );
    }
    let mut taken = 0;
    while slow.numbered().await.1 < 299 {
        taken += 1;
    }
    // The kernel buffers some pictures of 2 kB, and one is in transit.
    assert!(taken <= 16, "{taken} pictures were queued");
}

#[tokio::test]
async fn a_close_is_answered() {
    let (site, [cam]) = Site::with(["cam"]).await;
    let mut wall = Wall::plain(site.address).await;
    wall.subscribe(&["*"]).await;
    site.viewers("cam", 1).await;
    wall.send(Message::Close(None)).await;
    let next = wall.next(TIMEOUT).await.expect("an answer").unwrap();
    assert!(matches!(next, Message::Close(_)), "{next:?}");
    let end = wall
        .next(Duration::from_secs(3))
        .await
        .expect("the connection ends");
    assert!(end.is_err(), "{end:?}");
    site.viewers("cam", 0).await;
    drop(cam);
}
