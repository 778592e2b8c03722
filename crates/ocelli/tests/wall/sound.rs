//! The wall socket's sound: which viewer gets it, its messages, and what it must not delay.

#![allow(clippy::unwrap_used, reason = "a failed test setup must panic")]

use crate::support::TIMEOUT;
use crate::support::site::{Site, TestSource};
use crate::support::wall::Wall;
use ocelli_core::{Codec, FrameBuffer, Picture, SoundCodec, SoundFormat, Timestamp};
use ocelli_testkit::websocket::V2;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

const START: u64 = 1_700_000_000_000_000;
const SOUND: u8 = 4;
const DISCONTINUITY: u8 = 2;
/// The interval of units in these tests, in µs.
const INTERVAL: u64 = 20_000;

fn aac() -> SoundFormat {
    SoundFormat {
        codec: SoundCodec::Aac,
        codec_string: "mp4a.40.2".to_owned(),
        rate: 48_000,
        channels: 2,
        config: vec![0x11, 0x90],
    }
}

async fn show(cam: &TestSource, key: bool, content: &[u8]) {
    cam.publish(Picture {
        codec: Codec::H264,
        key,
        captured: Timestamp(START),
        size: Some((640, 480)),
        codec_string: Some("avc1.42e01e".into()),
        buffer: FrameBuffer::copy_from(content),
    })
    .await;
}

/// Publishes the units with these numbers, whose content is their number.
fn sound(cam: &TestSource, numbers: std::ops::Range<u64>) {
    cam.with_publisher(|publisher| {
        for number in numbers {
            let captured = Timestamp(START + number * INTERVAL);
            publisher.publish_sound(captured, number.to_string().as_bytes());
        }
    });
}

async fn subscribe(wall: &mut Wall, camera: &str, more: Value) {
    let mut command = json!({ "cmd": "subscribe", "cameras": [camera], "codecs": ["h264"] });
    let fields = command.as_object_mut().unwrap();
    fields.extend(more.as_object().unwrap().clone());
    wall.send_command(command).await;
}

fn contents(frames: &[V2]) -> Vec<String> {
    let text = |frame: &V2| {
        let payload = String::from_utf8(frame.payload.clone()).unwrap();
        format!("{} {} {payload}", frame.id, frame.kind)
    };
    frames.iter().map(text).collect()
}

/// A camera with a picture and AAC, and a viewer that listens.
async fn listening() -> (Site, std::sync::Arc<TestSource>, Wall) {
    let (site, [cam]) = Site::with(["cam"]).await;
    let mut wall = Wall::v2(site.address).await;
    subscribe(&mut wall, "cam", json!({ "sound": true })).await;
    show(&cam, true, b"key").await;
    wall.frame_v2().await;
    cam.with_publisher(|publisher| publisher.set_sound(Some(aac())));
    wall.settle().await;
    (site, cam, wall)
}

#[tokio::test]
async fn units_have_the_contracts_header_and_events_list_the_sound() {
    let (site, cam, mut wall) = listening().await;
    sound(&cam, 0..2);
    let (first, second) = (wall.frame_v2().await, wall.frame_v2().await);
    assert_eq!((first.kind, first.codec, first.group), (SOUND, 16, 0));
    assert_eq!((first.flags, second.flags), (DISCONTINUITY, 0));
    assert_eq!((first.sequence, second.sequence), (0, 1));
    assert_eq!(second.captured, START + INTERVAL);
    assert!(second.received > START);
    assert_eq!((&*second.id, &*second.payload), ("cam", &b"1"[..]));
    let described = json!({
        "codec": "aac", "type": "mp4a.40.2", "rate": 48_000, "channels": 2, "config": "1190",
    });
    let mut other = Wall::v2(site.address).await;
    let hello = other.event("hello").await;
    assert_eq!(hello["cameras"][0]["sound"], described);
    let ulaw = SoundFormat {
        codec: SoundCodec::PcmU,
        codec_string: "ulaw".to_owned(),
        rate: 8000,
        channels: 1,
        config: Vec::new(),
    };
    cam.with_publisher(|publisher| publisher.set_sound(Some(ulaw)));
    let event = other.event("camera").await;
    let described = json!({ "codec": "pcmu", "type": "ulaw", "rate": 8000, "channels": 1 });
    assert_eq!(event["camera"]["sound"], described);
    sound(&cam, 2..3);
    let other_codec = wall.frame_v2().await;
    assert_eq!((other_codec.codec, other_codec.flags), (19, DISCONTINUITY));
    cam.with_publisher(|publisher| publisher.set_sound(None));
    assert_eq!(other.event("camera").await["camera"]["sound"], Value::Null);
}

#[tokio::test]
async fn sound_is_sent_only_while_it_is_requested() {
    let (site, [one, two]) = Site::with(["one", "two"]).await;
    let mut wall = Wall::v2(site.address).await;
    for camera in ["one", "two"] {
        subscribe(&mut wall, camera, json!({})).await;
    }
    for cam in [&one, &two] {
        show(cam, true, b"key").await;
        cam.with_publisher(|publisher| publisher.set_sound(Some(aac())));
    }
    wall.settle().await;
    let both = |number: u64| {
        sound(&one, number..number + 1);
        sound(&two, number..number + 1);
    };
    both(0);
    assert_eq!(contents(&wall.settle().await), [""; 0], "not requested");
    // Only from now on; the picture goes on.
    subscribe(&mut wall, "one", json!({ "sound": true })).await;
    assert_eq!(contents(&wall.settle().await), [""; 0]);
    both(1);
    assert_eq!(contents(&wall.settle().await), ["one 4 1"]);
    subscribe(&mut wall, "two", json!({ "sound": true })).await;
    wall.settle().await;
    both(2);
    show(&one, false, b"delta").await;
    let mut mixed = contents(&wall.settle().await);
    mixed.sort();
    assert_eq!(mixed, ["one 1 delta", "two 4 2"], "it has moved");
    // Another camera's subscription without sound does not end it, its own does.
    subscribe(&mut wall, "one", json!({ "keyOnly": true })).await;
    wall.settle().await;
    both(3);
    assert_eq!(contents(&wall.settle().await), ["two 4 3"]);
    for end in [
        json!({ "cmd": "subscribe", "cameras": ["two"], "codecs": ["h264"] }),
        json!({ "cmd": "unsubscribe", "cameras": ["two"] }),
        json!({ "cmd": "subscribe", "cameras": ["*"], "codecs": ["h264"] }),
    ] {
        subscribe(&mut wall, "two", json!({ "sound": true })).await;
        wall.send_command(end.clone()).await;
        wall.settle().await;
        both(4);
        assert_eq!(contents(&wall.settle().await), [""; 0], "{end}");
    }
}

#[tokio::test]
async fn a_subscription_that_only_changes_the_sound_does_not_interrupt_the_picture() {
    let (site, [cam]) = Site::with(["cam"]).await;
    let mut wall = Wall::v2(site.address).await;
    subscribe(&mut wall, "cam", json!({ "credit": 2 })).await;
    show(&cam, true, b"key").await;
    cam.with_publisher(|publisher| publisher.set_sound(Some(aac())));
    assert_eq!(contents(&wall.settle().await), ["cam 1 key"]);
    for (at, on) in [true, false, true].into_iter().enumerate() {
        subscribe(&mut wall, "cam", json!({ "credit": 2, "sound": on })).await;
        assert_eq!(contents(&wall.settle().await), [""; 0], "no cached group");
        show(&cam, false, b"delta").await;
        let frame = wall.frame_v2().await;
        assert_eq!((&*frame.payload, frame.flags), (&b"delta"[..], 0));
        assert_eq!(frame.sequence, 1 + at as u32);
    }
    assert_eq!(cam.starts(), 1);
    // One of the two credits is left, and sound costs none.
    sound(&cam, 0..50);
    assert_eq!(wall.settle().await.len(), 50);
    show(&cam, false, b"delta").await;
    assert_eq!(wall.frame_v2().await.sequence, 4);
    show(&cam, false, b"delta").await;
    sound(&cam, 50..51);
    assert_eq!(contents(&wall.settle().await), ["cam 4 50"], "no credit");
}

#[tokio::test]
async fn sound_of_several_cameras_is_a_malformed_command() {
    let (site, _cam, mut wall) = listening().await;
    for cameras in [json!(["cam", "other"]), json!(["*"]), json!([])] {
        let ignored = site.ignored().await;
        wall.send_command(json!({ "cmd": "subscribe", "cameras": cameras, "sound": true }))
            .await;
        let error = wall.event("error").await;
        assert_eq!(error["code"], "malformed_command");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains("list exactly one id"), "{message}");
        assert_eq!(site.ignored().await, ignored + 1);
    }
}

#[tokio::test]
async fn a_viewer_that_reads_nothing_gets_the_newest_second_and_others_all_of_it() {
    let (site, cam, mut fast) = listening().await;
    let mut slow = Wall::narrow(site.address, Some("ocelli.v2")).await;
    subscribe(&mut slow, "cam", json!({ "sound": true })).await;
    slow.settle().await;
    // The socket of the slow viewer is full with pictures that are longer than its buffers.
    show(&cam, true, &vec![7; 4 << 20]).await;
    assert_eq!(fast.frame_v2().await.payload.len(), 4 << 20);
    for number in 0..500 {
        sound(&cam, number..number + 1);
        let unit = timeout(TIMEOUT, fast.frame_v2()).await.unwrap();
        assert_eq!(unit.payload, number.to_string().as_bytes());
    }
    show(&cam, true, b"newest").await;
    let mut got = vec![slow.frame_v2().await];
    while got.last().is_none_or(|last| &last.payload != b"newest") {
        got.push(slow.frame_v2().await);
    }
    let sounds: Vec<_> = got.iter().filter(|each| each.kind == SOUND).collect();
    let numbers: Vec<_> = sounds.iter().map(|unit| unit.sequence).collect();
    assert_eq!(numbers, (449..500).collect::<Vec<_>>());
    assert_eq!((sounds[0].flags, sounds[1].flags), (DISCONTINUITY, 0));
    let pictures = got.iter().filter(|each| each.kind == 1);
    assert_eq!(pictures.count(), 2, "the pictures are not affected");
    let metrics = crate::support::http::get(site.address, "/metrics").await;
    let row = "ocelli_camera_dropped_sound_units_total{camera=\"cam\"} 449";
    assert!(metrics.body.contains(row), "{}", metrics.body);
}

#[tokio::test]
async fn a_flood_of_sound_does_not_hold_up_pictures() {
    let (_site, cam, mut wall) = listening().await;
    cam.with_publisher(|publisher| {
        for _ in 0..400 {
            publisher.publish_sound(Timestamp(START), b"flood");
        }
    });
    show(&cam, true, b"picture").await;
    let mut before = 0;
    while wall.frame_v2().await.kind == SOUND {
        before += 1;
    }
    assert!(before <= 65, "{before} units before the picture");
    for _ in before..400 {
        assert_eq!(wall.frame_v2().await.payload, b"flood");
    }
}

#[tokio::test]
async fn the_sound_follows_the_stream_that_is_live() {
    let site = Site::start().await;
    let (main, sub) = site.camera_with_substream("cam");
    let mut wall = Wall::v2(site.address).await;
    subscribe(&mut wall, "cam", json!({ "sound": true })).await;
    show(&sub, true, b"sub").await;
    sub.with_publisher(|publisher| publisher.set_sound(Some(aac())));
    wall.settle().await;
    sound(&sub, 0..1);
    assert_eq!(contents(&wall.settle().await), ["cam 4 0"]);
    // Another viewer starts the main stream, whose sound is then the camera's.
    let mut other = Wall::v2(site.address).await;
    subscribe(&mut other, "cam", json!({ "stream": "main" })).await;
    show(&main, true, b"main").await;
    main.with_publisher(|publisher| publisher.set_sound(Some(aac())));
    wall.settle().await;
    sound(&sub, 1..2);
    sound(&main, 7..8);
    assert_eq!(contents(&wall.settle().await), ["cam 4 7"]);
    main.crash("gone");
    let sub_again = async {
        loop {
            wall.settle().await;
            sound(&sub, 9..10);
            if contents(&wall.settle().await).contains(&"cam 4 9".to_owned()) {
                return;
            }
        }
    };
    timeout(TIMEOUT, sub_again).await.expect("the sub's sound");
}

#[tokio::test]
async fn the_plain_form_has_no_sound() {
    let (site, [cam]) = Site::with(["cam"]).await;
    let mut wall = Wall::plain(site.address).await;
    wall.send_command(json!({ "cmd": "subscribe", "cameras": ["cam"], "sound": true }))
        .await;
    cam.show().await;
    wall.frame().await;
    cam.with_publisher(|publisher| publisher.set_sound(Some(aac())));
    sound(&cam, 0..5);
    cam.show().await;
    assert_eq!(wall.numbered().await.1, 1);
    let more = wall.next(Duration::from_millis(50)).await;
    assert!(!matches!(more, Some(Ok(Message::Binary(_)))), "{more:?}");
}
