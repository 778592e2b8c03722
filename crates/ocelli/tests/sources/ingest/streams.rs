//! Status of devices and their streams, and takeover of a stream by another device.

use super::{admin, device, newest_stream, shows, site, streams};
use crate::support::device::{Device, Key, picture};
use crate::support::wall::Wall;
use crate::support::{TIMEOUT, eventually};
use ocelli_core::State;
use ocelli_testkit::jpeg;
use serde_json::{Value, json};
use std::time::Duration;
use tokio_tungstenite::tungstenite::Message;

#[tokio::test]
async fn reports_of_a_device_are_stored_and_passed_on() {
    let (site, _dir) = site().await;
    let hub = site.address;
    let key = Key::create(hub, "live", "cam1").await;
    let mut reports = site.ingest.reports();
    let (mut device_socket, _) = Device::ready(hub, &key).await;
    let ignored = site.ignored().await;
    for text in [
        "",
        "hello",
        "[1]",
        r#"{"type":"stats","#,
        r#"{"type":"other","fps":1}"#,
    ] {
        device_socket.send(Message::text(text)).await;
    }
    let stats = r#"{"type":"stats","fps":12,"rssi":-61,"heapFree":41232,"note":"high"}"#;
    device_socket.send(Message::text(stats)).await;
    let report = tokio::time::timeout(TIMEOUT, reports.recv())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(report.camera.as_str(), "cam1");
    let fields: Vec<_> = report.fields.into_iter().collect();
    let expected = [("fps", 12.0), ("heapFree", 41232.0), ("rssi", -61.0)];
    assert_eq!(
        fields,
        expected.map(|(name, value)| (name.to_owned(), value))
    );
    assert_eq!(site.ignored().await, ignored + 5);
    let kept = json!(r#"{"fps":12,"heapFree":41232,"rssi":-61}"#);
    assert_eq!(device(hub).await["lastStatsJson"], kept);
    let stream = newest_stream(hub, "active").await;
    assert_eq!(stream["lastStatsJson"], kept);
    // The device stays connected, and its last report stays with the stream.
    let jpeg = picture(1);
    device_socket.show(jpeg.clone()).await;
    shows(hub, "cam1", &jpeg).await;
    device_socket
        .send(Message::text(r#"{"type":"stats","fps":3}"#))
        .await;
    device_socket.send(Message::Close(None)).await;
    let stream = newest_stream(hub, "ended").await;
    assert_eq!(stream["lastStatsJson"], r#"{"fps":3}"#);
}

#[tokio::test]
async fn a_takeover_interrupts_neither_viewers_nor_the_stream() {
    let (site, _dir) = site().await;
    let hub = site.address;
    let key = Key::create(hub, "live", "cam1").await;
    let (mut old, _) = Device::ready(hub, &key).await;
    let mut wall = Wall::v2(hub).await;
    wall.send_command(json!({ "cmd": "subscribe", "cameras": ["cam1"] }))
        .await;
    old.show(picture(1)).await;
    let first = wall.frame_v2().await;
    let before = newest_stream(hub, "active").await;
    let (mut new, ready) = Device::ready(hub, &key).await;
    assert_eq!(ready["streamId"], before["streamId"]);
    // Frames of the replaced device are late and not shown.
    for number in 100..120 {
        if !old.try_send(Message::binary(picture(number))).await {
            break;
        }
    }
    assert_eq!(old.refused(TIMEOUT).await, ("replaced".to_owned(), 4409));
    new.show(picture(2)).await;
    let second = wall.frame_v2().await;
    assert_eq!(jpeg::stamp(&second.payload).unwrap().sequence, 2);
    assert_eq!(second.sequence, first.sequence + 1);
    assert_eq!(second.flags & 2, 0, "no discontinuity");
    assert_eq!(streams(hub).await, [before]);
    let camera = site.hub.find("live", "cam1").unwrap();
    assert_eq!(camera.status().state, State::Live);
    drop(new);
    newest_stream(hub, "ended").await;
    eventually("the camera is idle", || {
        camera.status().state == State::Idle
    })
    .await;
    // A different identity starts a different stream.
    let (mut third, _) = Device::ready(hub, &key).await;
    let path = format!("{}&identity=roof&key={}", key.path, key.secret);
    let mut fourth = Device::open(hub, &path, &[]).await;
    assert_eq!(fourth.text().await["streamId"], "live-cam1/roof");
    assert_eq!(third.refused(TIMEOUT).await.1, 4409);
    let states: Vec<_> = streams(hub)
        .await
        .iter()
        .map(|stream| stream["status"].clone())
        .collect();
    assert_eq!(states, ["active", "ended", "ended"]);
}

#[tokio::test]
async fn a_stream_is_listed_and_stopped() {
    let (site, _dir) = site().await;
    let hub = site.address;
    let key = Key::create(hub, "live", "cam1").await;
    let (mut device_socket, ready) = Device::ready(hub, &key).await;
    let stream = newest_stream(hub, "active").await;
    let id = ready["streamId"].as_str().unwrap();
    assert_eq!(stream["appId"], "live");
    assert_eq!(stream["type"], "ws-mjpeg");
    assert_eq!(stream["room"], "live-cam1");
    assert_eq!(
        format!("live-cam1/{}", stream["participant"].as_str().unwrap()),
        id
    );
    assert!(stream["startedAt"].as_i64().unwrap() > 1_600_000_000_000);
    assert!(stream["endedAt"].is_null() && stream["lastStatsJson"].is_null());
    let line = "DELETE /api/v1/apps/live/streams/live-cam1%2Fnone";
    admin(hub, line, Value::Null)
        .await
        .is_problem(404, "live-cam1/none");
    let line = format!(
        "DELETE /api/v1/apps/live/streams/{}",
        id.replace('/', "%2F")
    );
    assert_eq!(admin(hub, &line, Value::Null).await.status(), 200);
    assert_eq!(device_socket.refused(TIMEOUT).await.1, 1000);
    let ended = newest_stream(hub, "ended").await;
    assert!(ended["endedAt"].as_i64() >= ended["startedAt"].as_i64());
    // A stream can also be stopped by its own id.
    let (mut device_socket, _) = Device::ready(hub, &key).await;
    let id = newest_stream(hub, "active").await["id"].clone();
    let line = format!("DELETE /api/v1/apps/live/streams/{}", id.as_str().unwrap());
    assert_eq!(admin(hub, &line, Value::Null).await.status(), 200);
    assert_eq!(device_socket.refused(TIMEOUT).await.1, 1000);
}

#[tokio::test]
async fn invalid_limits_are_refused() {
    let (site, _dir) = site().await;
    let hub = site.address;
    for (limits, word) in [
        (json!({ "maxFps": 0 }), "maxFps"),
        (json!({ "maxFps": 1000 }), "maxFps"),
        (json!({ "maxFrameKb": 0 }), "maxFrameKb"),
        (json!({ "maxFrameKb": 17_000 }), "maxFrameKb"),
        (json!({ "idleTimeout": 0.1 }), "idleTimeout"),
        (json!({ "idleTimeout": "soon" }), "idleTimeout"),
        (json!({ "idleTimeout": -1 }), "idleTimeout"),
        (json!({ "maxfps": 3 }), "maxfps"),
    ] {
        let body = json!({ "wsIngest": limits });
        let response = admin(hub, "PATCH /api/v1/apps/live", body).await;
        response.is_problem(400, word);
    }
    let body = json!({ "wsIngest": { "idleTimeout": "2min", "maxCameras": 7 } });
    let changed = admin(hub, "PATCH /api/v1/apps/live", body).await.json();
    let limits = json!({ "enabled": true, "maxCameras": 7, "maxFps": 15, "maxFrameKb": 256,
        "idleTimeout": 120.0 });
    assert_eq!(changed["data"]["wsIngest"], limits);
}

#[tokio::test]
async fn lowering_an_apps_camera_limit_disconnects_the_latest_devices() {
    let (site, _dir) = site().await;
    let hub = site.address;
    let mut devices = Vec::new();
    for room in ["a", "b", "c"] {
        let key = Key::create(hub, "live", room).await;
        devices.push(Device::ready(hub, &key).await.0);
    }
    let body = json!({ "wsIngest": { "maxCameras": 1 } });
    admin(hub, "PATCH /api/v1/apps/live", body).await;
    let quota = ("quota_exceeded".to_owned(), 4403);
    assert_eq!(devices[2].refused(TIMEOUT).await, quota);
    assert_eq!(devices[1].refused(TIMEOUT).await, quota);
    assert!(devices[0].stays_open(Duration::from_millis(1500)).await);
}
