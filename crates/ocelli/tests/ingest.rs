//! Devices that push JPEG: keys, the ingest socket and each of its rules.

#![allow(clippy::unwrap_used, reason = "what a test arranged is there")]

mod support;

use bytes::Bytes;
use ocelli::store::{self, keys};
use ocelli_core::State;
use ocelli_testkit::jpeg;
use ocelli_testkit::websocket::{Frame, KEY, RawSocket};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::mpsc;
use std::time::Duration;
use support::device::{ADMIN, Device, Key, picture};
use support::http::{Answer, call, get};
use support::site::Site;
use support::tempdir::Dir;
use support::wall::Wall;
use support::{PATIENCE, eventually};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;

async fn site() -> (Site, Dir) {
    let dir = Dir::new("ingest");
    let site = Site::keeping(&dir.0.join("kept"), ADMIN).await;
    (site, dir)
}

async fn admin(hub: SocketAddr, line: &str, body: Value) -> Answer {
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    call(hub, line, ADMIN, &body).await
}

/// The one camera's frame, once it is this one.
async fn shows(hub: SocketAddr, room: &str, jpeg: &Bytes) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        assert!(Instant::now() < deadline, "another picture is shown");
        let url = format!("http://{hub}/live/live/{room}/frame.jpg");
        let shown = tokio::process::Command::new("curl")
            .args(["-sf", &url])
            .output()
            .await
            .unwrap();
        if shown.stdout == jpeg[..] {
            return;
        }
        tokio::task::yield_now().await;
    }
}

/// What is told of the one key's device.
async fn device(hub: SocketAddr) -> Value {
    let listed = admin(hub, "GET /api/v1/apps/live/ws-ingest", Value::Null).await;
    listed.json()["data"][0]["device"].clone()
}

async fn streams(hub: SocketAddr) -> Vec<Value> {
    let listed = admin(hub, "GET /api/v1/apps/live/streams", Value::Null).await;
    listed.json()["data"].as_array().unwrap().clone()
}

/// Waits until the newest stream is active or not.
async fn newest_stream(hub: SocketAddr, status: &str) -> Value {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let newest = streams(hub).await.swap_remove(0);
        if newest["status"] == status {
            return newest;
        }
        assert!(Instant::now() < deadline, "{newest}");
    }
}

#[tokio::test]
async fn a_key_is_shown_once_and_opens_its_room() {
    let (site, _dir) = site().await;
    let hub = site.address;
    let body = json!({ "room": "cam1" });
    let made = admin(hub, "POST /api/v1/apps/live/ws-ingest", body).await;
    assert_eq!(made.status(), 201, "{made:?}");
    let made = made.json()["data"].clone();
    let secret = made["streamKey"].as_str().unwrap();
    assert!(secret.starts_with("wsk_") && secret.len() > 40, "{made}");
    assert!(made["id"].as_str().unwrap().starts_with("wsi_"));
    let identity = format!("wscam-{}", &secret[secret.len() - 4..]);
    for (field, expected) in [
        ("room", "live-cam1".to_owned()),
        ("identity", identity.clone()),
        (
            "wsUrl",
            format!("ws://{hub}/ingest/ws?app=live&room=live-cam1"),
        ),
        (
            "mjpegUrl",
            format!("http://{hub}/live/live/live-cam1/mjpeg"),
        ),
        (
            "frameUrl",
            format!("http://{hub}/live/live/live-cam1/frame.jpg"),
        ),
        ("playerUrl", format!("http://{hub}/play/live/live-cam1")),
        ("embedUrl", format!("http://{hub}/play/live/live-cam1")),
    ] {
        assert_eq!(made[field], expected, "{field}");
    }
    let listed = admin(hub, "GET /api/v1/apps/live/ws-ingest", Value::Null).await;
    assert!(!listed.body.contains("wsk_"), "{listed:?}");
    let listed = listed.json();
    assert_eq!(listed["total"], 1);
    assert_eq!(listed["data"][0]["active"], false);

    // The camera is there before its device, and has no picture.
    let cameras = get(hub, "/api/v1/cameras").await.json()["data"].clone();
    assert_eq!(
        (&cameras[0]["id"], &cameras[0]["kind"], &cameras[0]["state"]),
        (&json!("cam1"), &json!("push"), &json!("idle"))
    );
    get(hub, "/live/live/cam1/frame.jpg")
        .await
        .is_problem(404, "cam1");
    let live = get(hub, "/api/v1/apps/live/ws-ingest/live/cam1")
        .await
        .json();
    assert_eq!(
        live["data"],
        json!({
            "mjpegUrl": made["mjpegUrl"], "frameUrl": made["frameUrl"],
            "wsUrl": format!("ws://{hub}/live/ws?app=live&room=live-cam1"),
        })
    );
    get(hub, "/api/v1/apps/live/ws-ingest/live/other")
        .await
        .is_problem(404, "other");

    // By the header, as the boards' library connects, and by the address.
    let bearer = format!("Bearer {secret}");
    let headers = [
        ("authorization", bearer.as_str()),
        ("origin", "file://"),
        ("sec-websocket-protocol", "arduino"),
    ];
    let path = "/ingest/ws?app=live&room=cam1";
    let mut board = Device::open(hub, path, &headers).await;
    let ready = json!({ "type": "ready", "room": "live-cam1",
        "streamId": format!("live-cam1/{identity}"), "maxFps": 15,
        "maxFrameBytes": 262_144, "idleTimeoutSec": 30 });
    assert_eq!(board.text().await, ready);
    let first = picture(1);
    board.show(first.clone()).await;
    shows(hub, "cam1", &first).await;
    drop(board);
    newest_stream(hub, "ended").await;
    let path = format!("/ingest/ws?app=live&room=live-cam1&identity=roof&key={secret}");
    let mut second = Device::open(hub, &path, &[]).await;
    assert_eq!(second.text().await["streamId"], "live-cam1/roof");
    let listed = admin(hub, "GET /api/v1/apps/live/ws-ingest", Value::Null)
        .await
        .json();
    assert_eq!(listed["data"][0]["active"], true);

    // Private: not to be found by anybody.
    let hidden = json!({ "publicPlayback": false });
    admin(hub, "PATCH /api/v1/apps/live", hidden).await;
    get(hub, "/api/v1/apps/live/ws-ingest/live/cam1")
        .await
        .is_problem(404, "cam1");
}

#[tokio::test]
async fn minting_says_what_is_wrong() {
    let (site, _dir) = site().await;
    site.camera("door");
    let hub = site.address;
    let mint = async |app: &str, body: Value| {
        admin(hub, &format!("POST /api/v1/apps/{app}/ws-ingest"), body).await
    };
    mint("live", json!({ "room": "door" }))
        .await
        .is_problem(409, "live-door");
    mint("live", json!({ "room": "live-door" }))
        .await
        .is_problem(409, "live-door");
    mint("none", json!({ "room": "a" }))
        .await
        .is_problem(404, "\"none\"");
    mint("live", json!({ "room": "a/b" }))
        .await
        .is_problem(400, "room in the body");
    mint("live", json!({})).await.is_problem(400, "room");
    let bad = json!({ "room": "a", "identity": "a b" });
    mint("live", bad).await.is_problem(400, "identity");
    let line = "DELETE /api/v1/apps/live/ws-ingest/wsi_none";
    admin(hub, line, Value::Null)
        .await
        .is_problem(404, "no key");
    for room in ["a", "b", "c"] {
        mint("live", json!({ "room": room })).await;
    }
    let line = "GET /api/v1/apps/live/ws-ingest?limit=1&offset=1";
    let listed = admin(hub, line, Value::Null).await.json();
    assert_eq!(
        (&listed["total"], &listed["data"][0]["room"]),
        (&json!(3), &json!("live-b"))
    );
    assert_eq!(listed["data"].as_array().unwrap().len(), 1);
    let line = "GET /api/v1/apps/live/ws-ingest?limit=501";
    admin(hub, line, Value::Null).await.is_problem(400, "limit");
    // Another app's key is not there for this one.
    admin(hub, "POST /api/v1/apps", json!({ "name": "barn" })).await;
    let other = Key::mint(hub, "barn", "a").await;
    let line = format!("DELETE /api/v1/apps/live/ws-ingest/{}", other.id);
    admin(hub, &line, Value::Null)
        .await
        .is_problem(404, "no key");
}

#[tokio::test]
async fn each_refusal_has_its_word_and_its_code() {
    let (site, _dir) = site().await;
    site.camera("door");
    let hub = site.address;
    admin(hub, "POST /api/v1/apps", json!({ "name": "barn" })).await;
    let key = Key::mint(hub, "live", "cam1").await;
    let second = Key::mint(hub, "live", "cam1").await;
    let other = Key::mint(hub, "live", "cam2").await;
    let refused = async |path: &str| {
        let mut device = Device::open(hub, path, &[]).await;
        device.refused(PATIENCE).await
    };
    let invalid = ("invalid_key".to_owned(), 4401);
    for path in [
        "/ingest/ws".to_owned(),
        "/ingest/ws?app=live&room=cam1".to_owned(),
        "/ingest/ws?app=live&room=cam1&key=wsk_wrong".to_owned(),
        format!("/ingest/ws?app=live&room=cam1&key={ADMIN}"),
        format!("/ingest/ws?app=none&room=cam1&key={}", key.secret),
        format!("/ingest/ws?app=barn&room=cam1&key={}", key.secret),
        format!("/ingest/ws?app=live&room=cam2&key={}", key.secret),
        format!("/ingest/ws?app=live&room=a%2Fb&key={}", key.secret),
        format!("/ingest/ws?app=live&key={}", key.secret),
    ] {
        assert_eq!(refused(&path).await, invalid, "{path}");
    }
    let with = |key: &Key| format!("{}&key={}", key.path, key.secret);
    // A room has one publisher.
    let (mut device, _) = Device::ready(hub, &key).await;
    let quota = ("quota_exceeded".to_owned(), 4403);
    assert_eq!(refused(&with(&second)).await, quota);
    // As many as the app takes; the same key is no further camera.
    let limit = |limits: Value| async move {
        let body = json!({ "wsIngest": limits });
        let changed = admin(hub, "PATCH /api/v1/apps/live", body).await;
        assert_eq!(changed.status(), 200, "{changed:?}");
    };
    limit(json!({ "max_cameras": 1 })).await;
    assert_eq!(refused(&with(&other)).await, quota);
    let (mut newcomer, _) = Device::ready(hub, &key).await;
    assert_eq!(
        device.refused(PATIENCE).await,
        ("replaced".to_owned(), 4409)
    );
    limit(json!({ "maxCameras": 0, "enabled": false })).await;
    let not_enabled = ("not_enabled".to_owned(), 4403);
    assert_eq!(newcomer.refused(PATIENCE).await, not_enabled);
    assert_eq!(refused(&with(&other)).await, not_enabled);
    limit(json!({ "enabled": true })).await;
    // Revoked: the one that is connected, and whoever comes later.
    let (mut device, _) = Device::ready(hub, &key).await;
    key.revoke(hub, "live").await;
    assert_eq!(device.refused(PATIENCE).await, invalid);
    assert_eq!(refused(&with(&key)).await, invalid);
    // The room has another key, so its camera stays; without any it goes.
    assert!(site.hub.find("live", "cam1").is_some());
    second.revoke(hub, "live").await;
    assert!(site.hub.find("live", "cam1").is_none());
    assert!(site.hub.find("live", "door").is_some());
}

#[tokio::test]
async fn a_key_that_is_revoked_meanwhile_seats_nobody() {
    let (site, _dir) = site().await;
    let hub = site.address;
    let key = Key::mint(hub, "live", "cam1").await;
    // The store is held up; behind that wait, in this order, revoking and seating.
    let (release, released) = mpsc::channel::<()>();
    let (holding, held) = tokio::sync::oneshot::channel();
    let store = site.inner.store.clone();
    let hold = tokio::spawn(async move {
        let job = move |_: &mut _| {
            let _ = holding.send(());
            let _ = released.recv();
            Ok(())
        };
        store.call(job).await
    });
    held.await.unwrap();
    let (inner, id) = (site.inner.clone(), key.id.clone());
    let revoke = async move {
        let revoke =
            move |connection: &mut _| inner.ingest.revoke(&inner.hub, connection, &id, None);
        site.inner.store.call(revoke).await
    };
    let mut revoke = std::pin::pin!(revoke);
    assert!(futures_util::poll!(&mut revoke).is_pending());
    let path = format!("{}&key={}", key.path, key.secret);
    let mut device = Device::open(hub, &path, &[]).await;
    drop(release);
    assert!(revoke.await.unwrap().is_some());
    assert_eq!(
        device.refused(PATIENCE).await,
        ("invalid_key".to_owned(), 4401)
    );
    hold.await.unwrap().unwrap();
}

#[tokio::test]
async fn what_comes_before_ready_is_thrown_away() {
    let (site, _dir) = site().await;
    let hub = site.address;
    let key = Key::mint(hub, "live", "cam1").await;
    let mut eager = RawSocket::connect(hub).await;
    // Frames right behind the handshake, with a mask of zeros.
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
    eager.say(&request).await;
    assert_eq!(eager.head().await.unwrap().status, 101);
    let ready = eager.text(PATIENCE).await.unwrap();
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
async fn only_whole_jpegs_are_shown_and_ten_others_in_a_row_end_it() {
    let (site, _dir) = site().await;
    let hub = site.address;
    let key = Key::mint(hub, "live", "cam1").await;
    let (mut device_socket, _) = Device::ready(hub, &key).await;
    let good = picture(1);
    let cut = good.slice(..good.len() - 2);
    let others = [
        Bytes::new(),
        Bytes::from_static(b"GIF89a"),
        Bytes::from_static(&[0xFF, 0xD8, 0xFF, 0xD9]),
        cut,
    ];
    for other in others.iter().cycle().take(9) {
        device_socket.show(other.clone()).await;
    }
    // Bytes behind the end are tolerated, and leave as they came.
    let padded: Bytes = [&good[..], &[0; 100]].concat().into();
    device_socket.show(padded.clone()).await;
    shows(hub, "cam1", &padded).await;
    let told = device(hub).await;
    assert_eq!((&told["frames"], &told["notJpeg"]), (&json!(1), &json!(9)));
    for other in others.iter().cycle().take(10) {
        device_socket.show(other.clone()).await;
    }
    assert_eq!(
        device_socket.refused(PATIENCE).await,
        ("not_jpeg".to_owned(), 1003)
    );
    // The last picture stays.
    shows(hub, "cam1", &padded).await;
}

#[tokio::test]
async fn a_frame_that_is_too_long_ends_it_with_4413() {
    let (site, _dir) = site().await;
    let hub = site.address;
    let key = Key::mint(hub, "live", "cam1").await;
    let too_large = ("frame_too_large".to_owned(), 4413);
    let sized = |bytes| {
        let picture = jpeg::Picture {
            bytes,
            ..jpeg::Picture::QVGA
        };
        picture.encode_now(1)
    };
    // To the byte, in one frame of the protocol.
    let (mut whole, _) = Device::ready(hub, &key).await;
    let largest = sized(262_144);
    whole.show(largest.clone()).await;
    shows(hub, "cam1", &largest).await;
    whole.try_send(Message::binary(sized(262_145))).await;
    assert_eq!(whole.refused(PATIENCE).await, too_large);
    // In pieces, of which none is too long.
    let path = format!("{}&key={}", key.path, key.secret);
    let mut pieces = RawSocket::open(hub, &path, None).await;
    pieces.text(PATIENCE).await.expect("ready");
    for piece in 0..3u8 {
        let frame = Frame {
            fin: false,
            opcode: if piece == 0 { 2 } else { 0 },
            masked: true,
            payload: vec![7; 100_000],
        };
        pieces.send(&frame).await;
    }
    let told = pieces.text(PATIENCE).await.expect("an error");
    assert!(
        told.starts_with(r#"{"type":"error","code":"frame_too_large","message":""#),
        "{told}"
    );
    assert_eq!(pieces.close_code(PATIENCE).await, Some(4413));
    // A limit that is lowered counts at once for who is connected.
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
    assert_eq!(later.refused(PATIENCE).await, too_large);
}

#[tokio::test]
async fn frames_above_the_rate_are_passed_over_and_counted() {
    let (site, _dir) = site().await;
    let hub = site.address;
    let key = Key::mint(hub, "live", "cam1").await;
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
    let told = loop {
        let told = device(hub).await;
        let count = |field: &str| told[field].as_u64().unwrap();
        if count("frames") + count("aboveRate") == 100 {
            break told;
        }
    };
    // Five at once, and one for each second that this took.
    let shown = told["frames"].as_u64().unwrap();
    assert!((5..20).contains(&shown), "{told}");
    assert!(device_socket.stays_open(Duration::from_millis(100)).await);
    // More is taken as soon as more is allowed.
    admin(
        hub,
        "PATCH /api/v1/apps/live",
        json!({ "wsIngest": { "maxFps": 200 } }),
    )
    .await;
    let (before, begun) = (shown, Instant::now());
    let mut number = 100;
    loop {
        device_socket.show(picture(number)).await;
        number += 1;
        let shown = device(hub).await["frames"].as_u64().unwrap();
        if shown > before + 30 {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "the rate stays as it was");
    }
}

#[tokio::test]
async fn what_a_device_tells_is_kept_and_passed_on() {
    let (site, _dir) = site().await;
    let hub = site.address;
    let key = Key::mint(hub, "live", "cam1").await;
    let mut reports = site.inner.ingest.reports();
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
    let report = tokio::time::timeout(PATIENCE, reports.recv())
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
    // It lives on, and what it tells last stays with the stream.
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
async fn a_takeover_is_nothing_to_viewers_and_to_the_stream() {
    let (site, _dir) = site().await;
    let hub = site.address;
    let key = Key::mint(hub, "live", "cam1").await;
    let (mut old, _) = Device::ready(hub, &key).await;
    let mut wall = Wall::v2(hub).await;
    wall.say(json!({ "cmd": "subscribe", "cameras": ["cam1"] }))
        .await;
    old.show(picture(1)).await;
    let first = wall.frame_v2().await;
    let before = newest_stream(hub, "active").await;
    let (mut new, ready) = Device::ready(hub, &key).await;
    assert_eq!(ready["streamId"], before["streamId"]);
    // The old one's frames are late, and nobody sees them.
    for number in 100..120 {
        if !old.try_send(Message::binary(picture(number))).await {
            break;
        }
    }
    assert_eq!(old.refused(PATIENCE).await, ("replaced".to_owned(), 4409));
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
    eventually("the camera rests", || camera.status().state == State::Idle).await;
    // Another identity is another stream.
    let (mut third, _) = Device::ready(hub, &key).await;
    let path = format!("{}&identity=roof&key={}", key.path, key.secret);
    let mut fourth = Device::open(hub, &path, &[]).await;
    assert_eq!(fourth.text().await["streamId"], "live-cam1/roof");
    assert_eq!(third.refused(PATIENCE).await.1, 4409);
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
    let key = Key::mint(hub, "live", "cam1").await;
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
    assert_eq!(device_socket.refused(PATIENCE).await.1, 1000);
    let ended = newest_stream(hub, "ended").await;
    assert!(ended["endedAt"].as_i64() >= ended["startedAt"].as_i64());
    // By its own id too.
    let (mut device_socket, _) = Device::ready(hub, &key).await;
    let id = newest_stream(hub, "active").await["id"].clone();
    let line = format!("DELETE /api/v1/apps/live/streams/{}", id.as_str().unwrap());
    assert_eq!(admin(hub, &line, Value::Null).await.status(), 200);
    assert_eq!(device_socket.refused(PATIENCE).await.1, 1000);
}

#[tokio::test]
async fn limits_that_can_not_be_had_are_told() {
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
        let answer = admin(hub, "PATCH /api/v1/apps/live", body).await;
        answer.is_problem(400, word);
    }
    let body = json!({ "wsIngest": { "idleTimeout": "2min", "maxCameras": 7 } });
    let changed = admin(hub, "PATCH /api/v1/apps/live", body).await.json();
    let limits = json!({ "enabled": true, "maxCameras": 7, "maxFps": 15, "maxFrameKb": 256,
        "idleTimeout": 120.0 });
    assert_eq!(changed["data"]["wsIngest"], limits);
}

#[tokio::test]
async fn failed_handshakes_are_slowed_down_and_a_good_key_connects_all_the_same() {
    let (site, _dir) = site().await;
    let hub = site.address;
    let key = Key::mint(hub, "live", "cam1").await;
    let mut codes = Vec::new();
    for number in 0..1000 {
        let path = format!("/ingest/ws?app=live&room=cam1&key=wsk_{number}");
        let mut socket = RawSocket::open(hub, &path, None).await;
        codes.push(socket.close_code(PATIENCE).await.unwrap());
        if number % 100 == 0 {
            Device::ready(hub, &key).await;
        }
    }
    let bad = codes.iter().filter(|&&code| code == 4401).count();
    // 30 at once, and one for each two seconds that this took.
    assert!((30..100).contains(&bad), "{bad}");
    assert!(codes[..30].iter().all(|&code| code == 4401));
    assert!(codes.iter().all(|&code| code == 4401 || code == 4429));
    let mut told = Device::open(hub, "/ingest/ws?app=live&room=cam1&key=wsk_x", &[]).await;
    let refused = told.refused(PATIENCE).await;
    assert!(
        refused == ("rate_limited".to_owned(), 4429) || refused.1 == 4401,
        "{refused:?}"
    );
}

// With time of their own: what waits for real sockets lets it run on in small steps.

#[tokio::test]
async fn a_device_without_frames_is_ended_after_its_apps_time() {
    let (site, _dir) = site().await;
    let hub = site.address;
    let key = Key::mint(hub, "live", "cam1").await;
    let (mut device_socket, _) = Device::ready(hub, &key).await;
    let camera = site.hub.find("live", "cam1").unwrap();
    tokio::time::pause();
    let begun = Instant::now();
    // A JPEG every 20 s keeps it, and one that is above the rate does so too.
    for _ in 0..3 {
        for number in 0..8 {
            device_socket.show(picture(number)).await;
        }
        assert!(device_socket.stays_open(Duration::from_secs(20)).await);
        assert_eq!(camera.status().state, State::Stalled(None));
    }
    // Text and what is no JPEG do not.
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
        begun.elapsed()
    );
    tokio::time::resume();
    newest_stream(hub, "ended").await;
    assert_eq!(camera.status().state, State::Idle);
}

#[tokio::test]
async fn a_frame_above_the_rate_keeps_a_device_too() {
    let (site, _dir) = site().await;
    let hub = site.address;
    let key = Key::mint(hub, "live", "cam1").await;
    let body = json!({ "wsIngest": { "maxFps": 1, "idleTimeout": 1 } });
    admin(hub, "PATCH /api/v1/apps/live", body).await;
    let (mut device_socket, _) = Device::ready(hub, &key).await;
    tokio::time::pause();
    for number in 0..6 {
        device_socket.show(picture(number)).await;
    }
    let begun = Instant::now();
    assert!(device_socket.stays_open(Duration::from_millis(900)).await);
    // There is no frame left in this second.
    device_socket.show(picture(6)).await;
    assert_eq!(device_socket.refused(PATIENCE).await.1, 4408);
    let took = begun.elapsed().as_secs_f64();
    assert!((1.85..2.5).contains(&took), "{took}");
}

#[tokio::test]
async fn a_new_idle_time_counts_for_who_is_connected() {
    let (site, _dir) = site().await;
    let hub = site.address;
    let key = Key::mint(hub, "live", "cam1").await;
    let (mut device_socket, _) = Device::ready(hub, &key).await;
    let body = json!({ "wsIngest": { "idleTimeout": 120 } });
    admin(hub, "PATCH /api/v1/apps/live", body).await;
    tokio::time::pause();
    assert!(device_socket.stays_open(Duration::from_secs(60)).await);
    tokio::time::resume();
    let body = json!({ "wsIngest": { "idle_timeout": "40s" } });
    admin(hub, "PATCH /api/v1/apps/live", body).await;
    assert_eq!(device_socket.refused(PATIENCE).await.1, 4408);
}

#[tokio::test]
async fn a_device_that_does_not_answer_pings_is_gone_though_it_sends() {
    let (site, _dir) = site().await;
    let hub = site.address;
    let key = Key::mint(hub, "live", "cam1").await;
    let path = format!("{}&key={}", key.path, key.secret);
    for answers in [false, true] {
        let mut socket = RawSocket::open(hub, &path, None).await;
        socket.text(PATIENCE).await.expect("ready");
        tokio::time::pause();
        let begun = Instant::now();
        let mut pings = 0;
        let ended = loop {
            if begun.elapsed() > Duration::from_secs(200) {
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
                Ok(_) => {}
                Err(_) => break Some(begun.elapsed().as_secs_f64()),
            }
        };
        tokio::time::resume();
        match ended {
            Some(ended) => {
                assert!(!answers, "{ended}");
                assert_eq!(pings, 2);
                assert!((44.0..52.0).contains(&ended), "{ended}");
            }
            None => assert!(answers && pings >= 12, "{pings}"),
        }
    }
}

#[tokio::test]
async fn a_key_that_is_revoked_from_outside_is_noticed() {
    let (site, dir) = site().await;
    let hub = site.address;
    let key = Key::mint(hub, "live", "cam1").await;
    let (mut device_socket, _) = Device::ready(hub, &key).await;
    // Nothing else is to end it while the clock runs ahead of the store.
    let body = json!({ "wsIngest": { "idleTimeout": 86_400 } });
    admin(hub, "PATCH /api/v1/apps/live", body).await;
    let (outside, _) = store::open(&dir.0.join("kept")).unwrap();
    assert!(keys::delete(&outside, &key.id, None).unwrap().is_some());
    tokio::time::pause();
    let refused = device_socket.refused(Duration::from_secs(80_000)).await;
    assert_eq!(refused, ("invalid_key".to_owned(), 4401));
}

#[tokio::test]
async fn the_latest_go_when_an_app_takes_fewer() {
    let (site, _dir) = site().await;
    let hub = site.address;
    let mut devices = Vec::new();
    for room in ["a", "b", "c"] {
        let key = Key::mint(hub, "live", room).await;
        devices.push(Device::ready(hub, &key).await.0);
    }
    let body = json!({ "wsIngest": { "maxCameras": 1 } });
    admin(hub, "PATCH /api/v1/apps/live", body).await;
    let quota = ("quota_exceeded".to_owned(), 4403);
    assert_eq!(devices[2].refused(PATIENCE).await, quota);
    assert_eq!(devices[1].refused(PATIENCE).await, quota);
    assert!(devices[0].stays_open(Duration::from_millis(1500)).await);
}
