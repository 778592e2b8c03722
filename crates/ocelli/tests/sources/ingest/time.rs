//! Devices that connect too often or stay silent for too long.

use super::{admin, newest_stream, site};
use crate::support::TIMEOUT;
use crate::support::device::{Device, Key, picture};
use bytes::Bytes;
use ocelli_core::State;
use ocelli_testkit::websocket::{Frame, RawSocket};
use serde_json::json;
use std::time::Duration;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;

#[tokio::test]
async fn failed_handshakes_are_rate_limited_and_a_valid_key_still_connects() {
    let (site, _dir) = site().await;
    let hub = site.address;
    let key = Key::create(hub, "live", "cam1").await;
    let mut codes = Vec::new();
    for number in 0..1000 {
        let path = format!("/ingest/ws?app=live&room=cam1&key=wsk_{number}");
        let mut socket = RawSocket::open(hub, &path, None).await;
        codes.push(socket.close_code(TIMEOUT).await.unwrap());
        if number % 100 == 0 {
            Device::ready(hub, &key).await;
        }
    }
    let bad = codes.iter().filter(|&&code| code == 4401).count();
    // 30 at once, plus one per two seconds of the test's duration.
    assert!((30..100).contains(&bad), "{bad}");
    assert!(codes[..30].iter().all(|&code| code == 4401));
    assert!(codes.iter().all(|&code| code == 4401 || code == 4429));
    let mut response = Device::open(hub, "/ingest/ws?app=live&room=cam1&key=wsk_x", &[]).await;
    let refused = response.refused(TIMEOUT).await;
    assert!(
        refused == ("rate_limited".to_owned(), 4429) || refused.1 == 4401,
        "{refused:?}"
    );
}

// These tests pause the clock. It advances in small steps while they wait for real sockets.

#[tokio::test]
async fn a_device_without_frames_is_disconnected_after_the_apps_idle_timeout() {
    let (site, _dir) = site().await;
    let hub = site.address;
    let key = Key::create(hub, "live", "cam1").await;
    let (mut device_socket, _) = Device::ready(hub, &key).await;
    let camera = site.hub.find("live", "cam1").unwrap();
    tokio::time::pause();
    let started = Instant::now();
    // A JPEG every 20 s keeps it connected, and so does one above the rate.
    for _ in 0..3 {
        for number in 0..8 {
            device_socket.show(picture(number)).await;
        }
        assert!(device_socket.stays_open(Duration::from_secs(20)).await);
        let reason = "no picture for 3 s".to_owned();
        assert_eq!(camera.status().state, State::Stalled(reason));
    }
    // Text and invalid JPEGs do not.
    let quiet = Instant::now() - Duration::from_secs(20);
    device_socket
        .send(Message::text(r#"{"type":"stats","fps":0}"#))
        .await;
    device_socket
        .send(Message::binary(Bytes::from_static(b"no JPEG")))
        .await;
    let refused = device_socket.refused(Duration::from_secs(60)).await;
    assert_eq!(refused, ("idle_timeout".to_owned(), 4408));
    let took = quiet.elapsed().as_secs_f64();
    assert!(
        (29.0..33.0).contains(&took),
        "{took} of {:?}",
        started.elapsed()
    );
    tokio::time::resume();
    newest_stream(hub, "ended").await;
    assert_eq!(camera.status().state, State::Idle);
}

#[tokio::test]
async fn a_frame_above_the_rate_also_keeps_a_device_connected() {
    let (site, _dir) = site().await;
    let hub = site.address;
    let key = Key::create(hub, "live", "cam1").await;
    let body = json!({ "wsIngest": { "maxFps": 1, "idleTimeout": 1 } });
    admin(hub, "PATCH /api/v1/apps/live", body).await;
    let (mut device_socket, _) = Device::ready(hub, &key).await;
    tokio::time::pause();
    for number in 0..6 {
        device_socket.show(picture(number)).await;
    }
    let started = Instant::now();
    assert!(device_socket.stays_open(Duration::from_millis(900)).await);
    // No frame is left in this second's budget.
    device_socket.show(picture(6)).await;
    assert_eq!(device_socket.refused(TIMEOUT).await.1, 4408);
    let took = started.elapsed().as_secs_f64();
    assert!((1.85..2.5).contains(&took), "{took}");
}

#[tokio::test]
async fn a_new_idle_timeout_applies_to_connected_devices() {
    let (site, _dir) = site().await;
    let hub = site.address;
    let key = Key::create(hub, "live", "cam1").await;
    let (mut device_socket, _) = Device::ready(hub, &key).await;
    let body = json!({ "wsIngest": { "idleTimeout": 120 } });
    admin(hub, "PATCH /api/v1/apps/live", body).await;
    tokio::time::pause();
    assert!(device_socket.stays_open(Duration::from_secs(60)).await);
    tokio::time::resume();
    let body = json!({ "wsIngest": { "idle_timeout": "40s" } });
    admin(hub, "PATCH /api/v1/apps/live", body).await;
    assert_eq!(device_socket.refused(TIMEOUT).await.1, 4408);
}

#[tokio::test]
async fn a_device_that_does_not_answer_pings_is_disconnected_even_if_it_sends() {
    let (site, _dir) = site().await;
    let hub = site.address;
    let key = Key::create(hub, "live", "cam1").await;
    let path = format!("{}&key={}", key.path, key.secret);
    for answers in [false, true] {
        let mut socket = RawSocket::open(hub, &path, None).await;
        socket.text(TIMEOUT).await.expect("ready");
        tokio::time::pause();
        let started = Instant::now();
        let mut pings = 0;
        let mut received = None;
        let ended = loop {
            if started.elapsed() > Duration::from_secs(200) {
                break None;
            }
            socket.send(&Frame::binary(&picture(1))).await;
            match socket.next(Duration::from_secs(5)).await {
                Ok(Some(frame)) if frame.opcode == 9 => {
                    pings += 1;
                    if answers {
                        socket.send(&Frame::client(10, &frame.payload)).await;
                    }
                }
                Ok(Some(frame)) => received = received.or(frame.close_code()),
                Ok(None) => {}
                Err(_) => break Some(started.elapsed().as_secs_f64()),
            }
        };
        tokio::time::resume();
        match ended {
            Some(ended) => {
                assert!(!answers, "{ended}");
                assert_eq!((pings, received), (2, Some(1002)));
                assert!((44.0..52.0).contains(&ended), "{ended}");
            }
            None => assert!(answers && pings >= 12, "{pings}"),
        }
    }
}
