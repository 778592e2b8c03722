//! What a device sends: complete pictures, limited in size and rate.

use super::{admin, device, newest_stream, shows, site};
use crate::support::device::{Device, Key, picture};
use crate::support::http::get;
use crate::support::{TIMEOUT, shades};
use bytes::Bytes;
use ocelli_testkit::jpeg;
use ocelli_testkit::websocket::{Frame, KEY, RawSocket};
use serde_json::json;
use std::time::Duration;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;

#[tokio::test]
async fn frames_before_ready_are_discarded() {
    let (site, _dir) = site().await;
    let hub = site.address;
    let key = Key::create(hub, "live", "cam1").await;
    let mut eager = RawSocket::connect(hub).await;
    // Frames directly after the handshake, with an all-zero mask.
    let mut request = format!(
        "GET {}&key={} HTTP/1.1\r\nHost: {hub}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n",
        key.path, key.secret
    )
    .into_bytes();
    for number in 0..3 {
        let jpeg = picture(number);
        request.extend([0x82, 0xFE]);
        request.extend((jpeg.len() as u16).to_be_bytes());
        request.extend([0; 4]);
        request.extend(&jpeg);
    }
    eager.send_raw(&request).await;
    assert_eq!(eager.head().await.unwrap().status, 101);
    let ready = eager.text(TIMEOUT).await.unwrap();
    assert!(
        ready.starts_with(r#"{"type":"ready","room":"live-cam1","streamId":"#),
        "{ready}"
    );
    assert!(
        eager
            .next(Duration::from_millis(300))
            .await
            .unwrap()
            .is_none()
    );
    get(hub, "/live/live/cam1/frame.jpg")
        .await
        .is_problem(404, "cam1");
    let jpeg = picture(9);
    eager.send(&Frame::binary(&jpeg)).await;
    shows(hub, "cam1", &jpeg).await;
    assert_eq!(device(hub).await["frames"], 1);
}

#[tokio::test]
async fn only_complete_jpegs_are_shown_and_ten_invalid_ones_in_a_row_disconnect() {
    let (site, _dir) = site().await;
    let hub = site.address;
    let key = Key::create(hub, "live", "cam1").await;
    let (mut device_socket, _) = Device::ready(hub, &key).await;
    let good = picture(1);
    let cut = good.slice(..good.len() - 2);
    // Its thumbnail is whole.
    let len = (good.len() as u16 + 2).to_be_bytes();
    let metadata = [&b"\xff\xd8\xff\xe1"[..], &len, &good].concat();
    let with_thumbnail = Bytes::from([&metadata, &cut[2..]].concat());
    let others = [
        with_thumbnail,
        Bytes::new(),
        Bytes::from_static(b"GIF89a"),
        Bytes::from_static(&[0xFF, 0xD8, 0xFF, 0xD9]),
        cut,
    ];
    for other in others.iter().cycle().take(9) {
        device_socket.show(other.clone()).await;
    }
    // Bytes after the end are trimmed, and the last of several pictures counts.
    let padded = [&picture(0)[..], &good, &[0; 100]].concat();
    device_socket.show(padded.into()).await;
    shows(hub, "cam1", &good).await;
    let device_status = device(hub).await;
    assert_eq!(
        (&device_status["frames"], &device_status["notJpeg"]),
        (&json!(1), &json!(9))
    );
    for other in others.iter().cycle().take(10) {
        device_socket.show(other.clone()).await;
    }
    assert_eq!(
        device_socket.refused(TIMEOUT).await,
        ("not_jpeg".to_owned(), 1003)
    );
    // The last picture stays.
    shows(hub, "cam1", &good).await;
}

#[tokio::test]
async fn a_picture_without_huffman_tables_is_shown_with_the_standard_ones() {
    let (site, _dir) = site().await;
    let hub = site.address;
    let key = Key::create(hub, "live", "cam1").await;
    let (mut device_socket, _) = Device::ready(hub, &key).await;
    let mut complete = Vec::new();
    let pixels: Vec<u8> = (0..64 * 64).map(|at| (at / 17) as u8).collect();
    jpeg_encoder::Encoder::new(&mut complete, 80)
        .encode(&pixels, 64, 64, jpeg_encoder::ColorType::Luma)
        .unwrap();
    let bare = jpeg::without_tables(&complete);
    let expected = ocelli_media::jpeg::picture(&bare).unwrap().buffer;
    assert!(expected.len() > bare.len() + 100);
    assert_eq!(shades(expected.payload()), shades(&complete));
    device_socket.show(bare.into()).await;
    shows(hub, "cam1", &Bytes::copy_from_slice(expected.payload())).await;
}

#[tokio::test]
async fn a_frame_above_the_size_limit_closes_with_4413() {
    let (site, _dir) = site().await;
    let hub = site.address;
    let key = Key::create(hub, "live", "cam1").await;
    let too_large = ("frame_too_large".to_owned(), 4413);
    let sized = |bytes| {
        let picture = jpeg::Picture {
            bytes,
            ..jpeg::Picture::QVGA
        };
        picture.encode_now(1)
    };
    // Exactly at the limit, in one WebSocket frame.
    let (mut whole, _) = Device::ready(hub, &key).await;
    let largest = sized(262_144);
    whole.show(largest.clone()).await;
    shows(hub, "cam1", &largest).await;
    whole.try_send(Message::binary(sized(262_145))).await;
    assert_eq!(whole.refused(TIMEOUT).await, too_large);
    // In fragments, each shorter than the limit.
    let path = format!("{}&key={}", key.path, key.secret);
    let mut pieces = RawSocket::open(hub, &path, None).await;
    pieces.text(TIMEOUT).await.expect("ready");
    for piece in 0..3u8 {
        let frame = Frame {
            fin: false,
            opcode: if piece == 0 { 2 } else { 0 },
            masked: true,
            payload: vec![7; 100_000],
        };
        pieces.send(&frame).await;
    }
    let received = pieces.text(TIMEOUT).await.expect("an error");
    assert!(
        received.starts_with(r#"{"type":"error","code":"frame_too_large","message":""#),
        "{received}"
    );
    assert_eq!(pieces.close_code(TIMEOUT).await, Some(4413));
    // A lowered limit applies at once to connected devices.
    let (mut later, _) = Device::ready(hub, &key).await;
    later.show(largest).await;
    admin(
        hub,
        "PATCH /api/v1/apps/live",
        json!({ "wsIngest": { "maxFrameKb": 8 } }),
    )
    .await;
    later.show(sized(8 * 1024)).await;
    while later.stays_open(Duration::from_millis(200)).await {
        if !later.try_send(Message::binary(sized(8 * 1024 + 1))).await {
            break;
        }
    }
    newest_stream(hub, "ended").await;
    let (mut later, ready) = Device::ready(hub, &key).await;
    assert_eq!(ready["maxFrameBytes"], 8192);
    later.try_send(Message::binary(sized(8 * 1024 + 1))).await;
    assert_eq!(later.refused(TIMEOUT).await, too_large);
}

#[tokio::test]
async fn frames_above_the_rate_are_dropped_and_counted() {
    let (site, _dir) = site().await;
    let hub = site.address;
    let key = Key::create(hub, "live", "cam1").await;
    admin(
        hub,
        "PATCH /api/v1/apps/live",
        json!({ "ws_ingest": { "max_fps": 1 } }),
    )
    .await;
    let (mut device_socket, ready) = Device::ready(hub, &key).await;
    assert_eq!(ready["maxFps"], 1);
    for number in 0..100 {
        device_socket.show(picture(number)).await;
    }
    let device_status = loop {
        let device_status = device(hub).await;
        let count = |field: &str| device_status[field].as_u64().unwrap();
        if count("frames") + count("aboveRate") == 100 {
            break device_status;
        }
    };
    // Five at once, plus one per second of the test's duration.
    let shown = device_status["frames"].as_u64().unwrap();
    assert!((5..20).contains(&shown), "{device_status}");
    assert!(device_socket.stays_open(Duration::from_millis(100)).await);
    // A raised rate applies at once.
    admin(
        hub,
        "PATCH /api/v1/apps/live",
        json!({ "wsIngest": { "maxFps": 200 } }),
    )
    .await;
    let (before, started) = (shown, Instant::now());
    let mut number = 100;
    loop {
        device_socket.show(picture(number)).await;
        number += 1;
        let shown = device(hub).await["frames"].as_u64().unwrap();
        if shown > before + 30 {
            break;
        }
        assert!(started.elapsed() < TIMEOUT, "the rate did not change");
    }
}
