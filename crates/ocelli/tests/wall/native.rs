//! The wall socket's native video: which codec a viewer gets, groups, credit and events.

#![allow(clippy::unwrap_used, reason = "a failed test setup must panic")]

use crate::support::TIMEOUT;
use crate::support::site::{Site, TestSource};
use crate::support::wall::Wall;
use ocelli_core::{Codec, FrameBuffer, Picture, Timestamp};
use ocelli_testkit::websocket::V2;
use serde_json::{Value, json};
use std::sync::Arc;

const KEY: u8 = 1;
const DISCONTINUITY: u8 = 2;

/// The wire's codec numbers.
const JPEG: u8 = 1;
const H264: u8 = 2;
const H265: u8 = 3;

fn unit(codec: Codec, key: bool, content: &[u8]) -> Picture {
    Picture {
        codec,
        key,
        captured: Timestamp(1_700_000_000_000_000),
        size: Some((640, 480)),
        codec_string: Some("avc1.42e01e".into()),
        buffer: FrameBuffer::copy_from(content),
    }
}

async fn show(cam: &TestSource, codec: Codec, key: bool, content: &[u8]) {
    cam.publish(unit(codec, key, content)).await;
}

async fn open(site: &Site, options: Value) -> Wall {
    let mut wall = Wall::v2(site.address).await;
    let mut command = json!({ "cmd": "subscribe", "cameras": ["cam"] });
    command
        .as_object_mut()
        .unwrap()
        .extend(options.as_object().unwrap().clone());
    wall.send_command(command).await;
    wall.settle().await;
    wall
}

async fn camera() -> (Site, Arc<TestSource>) {
    let (site, [cam]) = Site::with(["cam"]).await;
    (site, cam)
}

fn native() -> Value {
    json!({ "codecs": ["h264", "jpeg"] })
}

fn contents(frames: &[V2]) -> Vec<(u8, &[u8])> {
    let frames = frames.iter();
    frames
        .map(|frame| (frame.codec, &frame.payload[..]))
        .collect()
}

#[tokio::test]
async fn a_listed_codec_arrives_as_whole_units_with_the_contracts_header() {
    let (site, cam) = camera().await;
    let mut wall = open(&site, native()).await;
    show(&cam, Codec::H264, true, b"key").await;
    show(&cam, Codec::H264, false, b"delta").await;
    let (key, delta) = (wall.frame_v2().await, wall.frame_v2().await);
    assert_eq!((key.kind, key.codec), (1, H264));
    assert_eq!((key.flags, delta.flags), (KEY | DISCONTINUITY, 0));
    assert_eq!((key.group, delta.group), (0, 0));
    assert_eq!((key.sequence, delta.sequence), (0, 1));
    assert_eq!(key.captured, 1_700_000_000_000_000);
    assert_eq!(
        (&key.payload[..], &delta.payload[..]),
        (&b"key"[..], &b"delta"[..])
    );
    show(&cam, Codec::H265, true, b"other").await;
    show(&cam, Codec::H264, true, b"again").await;
    let again = wall.frame_v2().await;
    assert_eq!((again.codec, &again.payload[..]), (H264, &b"again"[..]));
}

#[tokio::test]
async fn h265_is_sent_to_viewers_that_list_it() {
    let (site, cam) = camera().await;
    let mut wall = open(&site, json!({ "codecs": ["h265", "av1"] })).await;
    show(&cam, Codec::H265, true, b"key").await;
    let frame = wall.frame_v2().await;
    assert_eq!((frame.codec, &frame.payload[..]), (H265, &b"key"[..]));
}

#[tokio::test]
async fn without_codecs_and_in_the_plain_form_nothing_but_jpeg_is_sent() {
    let (site, cam) = camera().await;
    let mut silent = open(&site, json!({})).await;
    let mut plain = Wall::plain(site.address).await;
    plain
        .send_command(json!({ "cmd": "subscribe", "cameras": ["cam"], "codecs": ["h264"] }))
        .await;
    site.viewers("cam", 2).await;
    show(&cam, Codec::H264, true, b"key").await;
    assert!(silent.settle().await.is_empty());
    cam.show().await;
    assert_eq!(silent.frame_v2().await.codec, JPEG);
    plain.frame().await;
}

#[tokio::test]
async fn a_camera_that_sends_jpeg_is_sent_as_jpeg_whatever_is_listed() {
    let (site, cam) = camera().await;
    let mut wall = open(&site, json!({ "codecs": ["h264"], "credit": 1 })).await;
    cam.show().await;
    assert_eq!(wall.frame_v2().await.codec, JPEG);
    cam.show().await;
    assert!(wall.settle().await.is_empty(), "no credit");
    assert_eq!(site.hub.find_by_id("cam").unwrap().status().viewers, 1);
}

#[tokio::test]
async fn key_frames_alone_are_sent_on_request() {
    let (site, cam) = camera().await;
    let mut wall = open(&site, json!({ "codecs": ["h264"], "keyOnly": true })).await;
    for (key, content) in [(true, b"a"), (false, b"b"), (true, b"c"), (false, b"d")] {
        show(&cam, Codec::H264, key, content).await;
        wall.settle()
            .await
            .iter()
            .for_each(|frame| assert!(frame.flags & KEY != 0));
    }
    show(&cam, Codec::H264, true, b"e").await;
    let last = wall.frame_v2().await;
    assert_eq!(
        (last.group, last.sequence, &last.payload[..]),
        (2, 4, &b"e"[..])
    );
    // Subscribing again without it continues with the next group, not in the middle of one.
    wall.send_command(json!({ "cmd": "subscribe", "cameras": ["cam"], "codecs": ["h264"] }))
        .await;
    wall.settle().await;
    show(&cam, Codec::H264, false, b"f").await;
    show(&cam, Codec::H264, false, b"g").await;
    let (next, last) = (wall.frame_v2().await, wall.frame_v2().await);
    assert_eq!(
        (&next.payload[..], &last.payload[..]),
        (&b"f"[..], &b"g"[..])
    );
}

#[tokio::test]
async fn the_pace_applies_to_jpeg_only() {
    let (site, cam) = camera().await;
    let options = json!({ "codecs": ["h264"], "maxFps": 0.01 });
    let mut wall = open(&site, options).await;
    show(&cam, Codec::H264, true, b"a").await;
    show(&cam, Codec::H264, false, b"b").await;
    assert_eq!(wall.frame_v2().await.payload, b"a");
    assert_eq!(wall.frame_v2().await.payload, b"b");
}

#[tokio::test]
async fn a_newcomer_gets_the_cached_group_and_an_overtaken_viewer_the_newest() {
    let (site, cam) = camera().await;
    let mut first = open(&site, native()).await;
    for (key, content) in [(true, b"a"), (false, b"b"), (false, b"c")] {
        show(&cam, Codec::H264, key, content).await;
    }
    for content in [b"a", b"b", b"c"] {
        assert_eq!(first.frame_v2().await.payload, content);
    }
    let mut newcomer = Wall::v2(site.address).await;
    let command =
        json!({ "cmd": "subscribe", "cameras": ["cam"], "codecs": ["h264"], "credit": 2 });
    newcomer.send_command(command).await;
    let got = newcomer.settle().await;
    assert_eq!(contents(&got), [(H264, &b"a"[..]), (H264, b"b")]);
    // The next unit of the group against credit, while it is the newest group.
    let grant = json!({ "cmd": "credit", "add": { "cam": 1 } });
    newcomer.send_command(grant.clone()).await;
    assert_eq!(newcomer.frame_v2().await.payload, b"c");
    for (key, content) in [(false, b"d"), (true, b"e"), (false, b"f"), (true, b"g")] {
        show(&cam, Codec::H264, key, content).await;
    }
    newcomer.send_command(grant).await;
    let newest = newcomer.frame_v2().await;
    assert_eq!((newest.flags & KEY, &newest.payload[..]), (KEY, &b"g"[..]));
    assert_eq!(newest.sequence, 6);
}

#[tokio::test]
async fn at_most_64_units_are_sent_against_credit() {
    let (site, cam) = camera().await;
    let options = json!({ "codecs": ["h264"], "credit": 1000 });
    let mut wall = open(&site, options).await;
    show(&cam, Codec::H264, true, b"unit").await;
    for _ in 0..70 {
        show(&cam, Codec::H264, false, b"unit").await;
    }
    let mut sent = Vec::new();
    while sent.len() < 64 {
        sent.push(wall.frame_v2().await);
    }
    assert!(wall.settle().await.is_empty());
    assert_eq!(sent[63].sequence, 63);
    wall.send_command(json!({ "cmd": "credit", "add": { "cam": 3 } }))
        .await;
    assert_eq!(wall.settle().await.len(), 3);
}

#[tokio::test]
async fn a_change_of_stream_continues_the_former_one_until_the_new_one_has_a_picture() {
    let site = Site::start().await;
    let (main, sub) = site.camera_with_substream("cam");
    let mut wall = open(&site, native()).await;
    show(&sub, Codec::H264, true, b"small").await;
    assert_eq!(wall.frame_v2().await.payload, b"small");
    let options = json!({ "cmd": "subscribe", "cameras": ["cam"], "codecs": ["h264", "jpeg"],
        "stream": "main" });
    wall.send_command(options).await;
    wall.settle().await;
    main.started(1).await;
    show(&sub, Codec::H264, false, b"still small").await;
    assert_eq!(wall.frame_v2().await.payload, b"still small");
    show(&main, Codec::H264, true, b"large").await;
    let large = wall.frame_v2().await;
    assert_eq!(&large.payload[..], b"large");
    assert_eq!(large.flags, KEY | DISCONTINUITY);
    show(&sub, Codec::H264, false, b"nobody watches").await;
    show(&main, Codec::H264, false, b"larger").await;
    let larger = wall.frame_v2().await;
    assert_eq!((larger.flags, &larger.payload[..]), (0, &b"larger"[..]));
}

#[tokio::test]
async fn a_camera_that_refuses_the_main_stream_keeps_the_small_one() {
    let site = Site::start().await;
    let (main, sub) = site.camera_with_substream("cam");
    let mut wall = open(&site, json!({ "codecs": ["h264"], "credit": 3 })).await;
    show(&sub, Codec::H264, true, b"a").await;
    assert_eq!(wall.frame_v2().await.payload, b"a");
    let options = json!({ "cmd": "subscribe", "cameras": ["cam"], "codecs": ["h264"],
        "stream": "main", "credit": 3 });
    wall.send_command(options).await;
    main.started(1).await;
    main.crash("too many sessions");
    for content in [b"b", b"c", b"d", b"e"] {
        show(&sub, Codec::H264, false, content).await;
        assert_eq!(wall.frame_v2().await.payload, content);
        wall.send_command(json!({ "cmd": "credit", "add": { "cam": 1 } }))
            .await;
        wall.settle().await;
    }
}

#[tokio::test]
async fn events_list_the_streams_with_their_type_and_size() {
    let site = Site::start().await;
    let (main, sub) = site.camera_with_substream("cam");
    let mut wall = Wall::v2(site.address).await;
    let hello = wall.event("hello").await;
    assert_eq!(hello["cameras"][0]["codecs"], json!(["jpeg"]));
    assert_eq!(hello["cameras"][0]["streams"], Value::Null);
    assert_eq!(hello["cameras"][0]["hasSubstream"], true);
    let subscribe = |stream| json!({ "cmd": "subscribe", "cameras": ["cam"], "codecs": ["h264"], "stream": stream });
    wall.send_command(subscribe("sub")).await;
    show(&sub, Codec::H264, true, b"unit").await;
    let listed = |event: &Value| event["camera"]["streams"].clone();
    let event = wall.event("camera").await;
    assert_eq!(event["camera"]["state"], "starting");
    let event = wall.event("camera").await;
    assert_eq!(event["camera"]["codecs"], json!(["h264", "jpeg"]));
    let small = json!({ "name": "sub", "codec": "h264", "type": "avc1.42e01e", "width": 640,
        "height": 480 });
    assert_eq!(listed(&event), json!([small]));
    wall.send_command(subscribe("main")).await;
    main.started(1).await;
    let large = Picture {
        size: Some((1920, 1080)),
        codec_string: Some("avc1.640028".into()),
        ..unit(Codec::H264, true, b"unit")
    };
    main.publish(large).await;
    let large = json!({ "name": "main", "codec": "h264", "type": "avc1.640028", "width": 1920,
        "height": 1080 });
    let deadline = tokio::time::Instant::now() + TIMEOUT;
    while listed(&wall.event("camera").await) != json!([large, small]) {
        assert!(tokio::time::Instant::now() < deadline);
    }
}

#[tokio::test]
async fn a_viewer_that_lags_is_told_and_continues_with_the_next_group() {
    let (site, cam) = camera().await;
    let mut wall = open(&site, json!({ "codecs": ["h264"], "credit": 1 })).await;
    show(&cam, Codec::H264, true, b"key").await;
    assert_eq!(wall.frame_v2().await.payload, b"key");
    show(&cam, Codec::H264, false, b"missed").await;
    // The viewer grants no credit while the group continues for longer than the limit.
    let started = tokio::time::Instant::now();
    let mut stats = wall.event("stats").await;
    while started.elapsed().as_secs_f64() < 1.8 {
        stats = wall.event("stats").await;
    }
    assert_eq!(stats["cameras"]["cam"]["lagging"], Value::Null);
    show(&cam, Codec::H264, false, b"missed too").await;
    wall.send_command(json!({ "cmd": "credit", "add": { "cam": 1 } }))
        .await;
    assert!(wall.settle().await.is_empty(), "no more of this group");
    let stats = wall.event("stats").await;
    assert_eq!(stats["cameras"]["cam"]["lagging"], true);
    show(&cam, Codec::H264, true, b"next").await;
    let next = wall.frame_v2().await;
    assert_eq!((next.sequence, &next.payload[..]), (3, &b"next"[..]));
    wall.event("stats").await;
    let stats = wall.event("stats").await;
    assert_eq!(stats["cameras"]["cam"]["lagging"], Value::Null);
    assert_eq!(stats["cameras"]["cam"]["dropped"], 2);
}

#[tokio::test]
async fn a_viewer_that_stops_reading_never_gets_part_of_a_group_and_delays_nobody() {
    const GROUPS: u32 = 40;
    const UNITS: u32 = 10;
    let (site, cam) = camera().await;
    let subscribe = json!({ "cmd": "subscribe", "cameras": ["cam"], "codecs": ["h264"] });
    let mut slow = Wall::narrow(site.address, Some("ocelli.v2")).await;
    slow.send_command(subscribe.clone()).await;
    let mut fast = Wall::v2(site.address).await;
    fast.send_command(subscribe).await;
    site.viewers("cam", 2).await;
    let content = vec![7; 20_000];
    for group in 0..GROUPS {
        for number in 0..UNITS {
            show(&cam, Codec::H264, number == 0, &content).await;
            assert_eq!(fast.frame_v2().await.sequence, group * UNITS + number);
        }
    }
    let mut seen: Vec<V2> = vec![slow.frame_v2().await];
    while seen.last().unwrap().sequence + 1 < GROUPS * UNITS {
        seen.push(slow.frame_v2().await);
    }
    assert!(seen[0].flags & KEY != 0);
    let mut overtaken = 0;
    for (before, after) in seen.iter().zip(&seen[1..]) {
        if after.sequence != before.sequence + 1 {
            overtaken += 1;
            assert!(after.flags & KEY != 0, "{}", after.sequence);
            assert_ne!(after.group, before.group);
        }
        assert_eq!(after.payload.len(), content.len());
    }
    assert!(overtaken > 0);
}

#[tokio::test]
async fn credit_stays_one_account_while_the_stream_changes() {
    let site = Site::start().await;
    let (main, sub) = site.camera_with_substream("cam");
    let mut wall = open(&site, json!({ "codecs": ["h264"], "credit": 1 })).await;
    show(&sub, Codec::H264, true, b"a").await;
    assert_eq!(wall.frame_v2().await.payload, b"a");
    let grant = |add: u32| json!({ "cmd": "credit", "add": { "cam": add } });
    // A new subscription starts anew, although the former one has no credit left.
    wall.send_command(
        json!({ "cmd": "subscribe", "cameras": ["cam"], "codecs": ["h264"],
        "stream": "main", "credit": 1 }),
    )
    .await;
    main.started(1).await;
    show(&sub, Codec::H264, false, b"b").await;
    assert_eq!(wall.frame_v2().await.payload, b"b");
    show(&sub, Codec::H264, false, b"c").await;
    assert!(wall.settle().await.is_empty());
    wall.send_command(grant(1)).await;
    assert_eq!(wall.frame_v2().await.payload, b"c");
    for number in 0..5 {
        show(&main, Codec::H264, number == 0, b"large").await;
    }
    assert!(wall.settle().await.is_empty());
    wall.send_command(grant(2)).await;
    let large = wall.settle().await;
    assert_eq!(contents(&large), [(H264, &b"large"[..]), (H264, b"large")]);
    assert_eq!(large[0].flags, KEY | DISCONTINUITY);
    let stats = wall.event("stats").await;
    assert_eq!(stats["cameras"]["cam"]["viewers"], 1);
}

#[tokio::test]
async fn a_codec_that_is_no_longer_listed_is_not_sent() {
    let (site, cam) = camera().await;
    let mut wall = open(&site, json!({ "codecs": ["h264", "jpeg"] })).await;
    show(&cam, Codec::H264, true, b"a").await;
    assert_eq!(wall.frame_v2().await.payload, b"a");
    wall.send_command(json!({ "cmd": "subscribe", "cameras": ["cam"], "codecs": ["jpeg"] }))
        .await;
    wall.settle().await;
    show(&cam, Codec::H264, true, b"b").await;
    assert!(wall.settle().await.is_empty());
    cam.show().await;
    assert_eq!(wall.frame_v2().await.codec, JPEG);
}
