//! Keys: minted, shown once, refused, revoked.

use super::{admin, newest_stream, shows, site};
use crate::support::TIMEOUT;
use crate::support::device::{ADMIN, Device, Key, picture};
use crate::support::http::get;
use ocelli::store::keys;
use serde_json::{Value, json};
use std::sync::mpsc;
use std::time::Duration;

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

    // The camera exists before its device connects, and has no picture.
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

    // Once by header, as the board library connects, and once by query parameter.
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

    // Cameras of a private app are hidden from unauthorized clients.
    let hidden = json!({ "publicPlayback": false });
    admin(hub, "PATCH /api/v1/apps/live", hidden).await;
    get(hub, "/api/v1/apps/live/ws-ingest/live/cam1")
        .await
        .is_problem(404, "cam1");
}

#[tokio::test]
async fn a_room_that_repeats_the_prefix_is_not_confused_with_another() {
    let (site, _dir) = site().await;
    let hub = site.address;
    let own = Key::create(hub, "live", "cam1").await;
    let other = Key::create(hub, "live", "live-live-cam1").await;
    let cameras = get(hub, "/api/v1/cameras").await.json()["data"].clone();
    let full = |at: usize| (cameras[at]["id"].clone(), cameras[at]["fullRoom"].clone());
    assert_eq!(full(0), (json!("cam1"), json!("live-cam1")));
    assert_eq!(full(1), (json!("live-live-cam1"), json!("live-live-cam1")));
    // Each key opens its own room, by each of its names, and no other.
    for (key, rooms) in [
        (&own, &["cam1", "live-cam1"][..]),
        (&other, &["live-live-cam1"]),
    ] {
        for room in ["cam1", "live-cam1", "live-live-cam1"] {
            let path = format!("/ingest/ws?app=live&room={room}&key={}", key.secret);
            let mut device = Device::open(hub, &path, &[]).await;
            if rooms.contains(&room) {
                assert_eq!(device.text().await["type"], "ready", "{room}");
            } else {
                let refused = ("invalid_key".to_owned(), 4401);
                assert_eq!(device.refused(TIMEOUT).await, refused, "{room}");
            }
        }
    }
    let gone = get(hub, "/live/live/live-live-live-cam1/frame.jpg").await;
    gone.is_problem(404, "live-live-live-cam1");
}

#[tokio::test]
async fn invalid_mint_requests_get_an_explanation() {
    let (site, _dir) = site().await;
    site.camera("door");
    let hub = site.address;
    let create_key = async |app: &str, body: Value| {
        admin(hub, &format!("POST /api/v1/apps/{app}/ws-ingest"), body).await
    };
    create_key("live", json!({ "room": "door" }))
        .await
        .is_problem(409, "live-door");
    create_key("live", json!({ "room": "live-door" }))
        .await
        .is_problem(409, "live-door");
    create_key("none", json!({ "room": "a" }))
        .await
        .is_problem(404, "\"none\"");
    create_key("live", json!({ "room": "a/b" }))
        .await
        .is_problem(400, "room in the body");
    create_key("live", json!({})).await.is_problem(400, "room");
    let bad = json!({ "room": "a", "identity": "a b" });
    create_key("live", bad).await.is_problem(400, "identity");
    let line = "DELETE /api/v1/apps/live/ws-ingest/wsi_none";
    admin(hub, line, Value::Null)
        .await
        .is_problem(404, "no key");
    for room in ["a", "b", "c"] {
        create_key("live", json!({ "room": room })).await;
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
    // Keys of another app are invisible to this one.
    admin(hub, "POST /api/v1/apps", json!({ "name": "barn" })).await;
    let other = Key::create(hub, "barn", "a").await;
    let line = format!("DELETE /api/v1/apps/live/ws-ingest/{}", other.id);
    admin(hub, &line, Value::Null)
        .await
        .is_problem(404, "no key");
}

#[tokio::test]
async fn each_refusal_has_its_error_and_close_code() {
    let (site, _dir) = site().await;
    site.camera("door");
    let hub = site.address;
    admin(hub, "POST /api/v1/apps", json!({ "name": "barn" })).await;
    let key = Key::create(hub, "live", "cam1").await;
    let second = Key::create(hub, "live", "cam1").await;
    let other = Key::create(hub, "live", "cam2").await;
    let refused = async |path: &str| {
        let mut device = Device::open(hub, path, &[]).await;
        device.refused(TIMEOUT).await
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
    // The number of cameras is limited per app; reusing a key adds no camera.
    let limit = |limits: Value| async move {
        let body = json!({ "wsIngest": limits });
        let changed = admin(hub, "PATCH /api/v1/apps/live", body).await;
        assert_eq!(changed.status(), 200, "{changed:?}");
    };
    limit(json!({ "max_cameras": 1 })).await;
    assert_eq!(refused(&with(&other)).await, quota);
    let (mut newcomer, _) = Device::ready(hub, &key).await;
    assert_eq!(device.refused(TIMEOUT).await, ("replaced".to_owned(), 4409));
    limit(json!({ "maxCameras": 0, "enabled": false })).await;
    let not_enabled = ("not_enabled".to_owned(), 4403);
    assert_eq!(newcomer.refused(TIMEOUT).await, not_enabled);
    assert_eq!(refused(&with(&other)).await, not_enabled);
    limit(json!({ "enabled": true })).await;
    // Revocation disconnects the connected device, and refuses later ones.
    let (mut device, _) = Device::ready(hub, &key).await;
    key.revoke(hub, "live").await;
    assert_eq!(device.refused(TIMEOUT).await, invalid);
    assert_eq!(refused(&with(&key)).await, invalid);
    // The room has another key, so its camera stays; without any key it is removed.
    assert!(site.hub.find("live", "cam1").is_some());
    second.revoke(hub, "live").await;
    assert!(site.hub.find("live", "cam1").is_none());
    assert!(site.hub.find("live", "door").is_some());
}

#[tokio::test]
async fn a_key_revoked_during_the_handshake_is_refused() {
    let (site, _dir) = site().await;
    let hub = site.address;
    let key = Key::create(hub, "live", "cam1").await;
    // The store is blocked; the revocation and the connecting device wait behind it, in this
    // order.
    let (release, released) = mpsc::channel::<()>();
    let (holding, held) = tokio::sync::oneshot::channel();
    let store = site.identity.store.clone();
    let hold = tokio::spawn(async move {
        let job = move |_: &mut _| {
            let _ = holding.send(());
            let _ = released.recv();
            Ok(())
        };
        store.call(job).await
    });
    held.await.unwrap();
    let (ingest, id) = (site.ingest.clone(), key.id.clone());
    let revoke = async move {
        let revoke = move |connection: &mut _| ingest.revoke(connection, &id, None);
        site.identity.store.call(revoke).await
    };
    let mut revoke = std::pin::pin!(revoke);
    assert!(futures_util::poll!(&mut revoke).is_pending());
    let path = format!("{}&key={}", key.path, key.secret);
    let mut device = Device::open(hub, &path, &[]).await;
    drop(release);
    assert!(revoke.await.unwrap().is_some());
    assert_eq!(
        device.refused(TIMEOUT).await,
        ("invalid_key".to_owned(), 4401)
    );
    hold.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_key_revoked_by_another_process_is_noticed() {
    let (site, dir) = site().await;
    let hub = site.address;
    let key = Key::create(hub, "live", "cam1").await;
    let (mut device_socket, _) = Device::ready(hub, &key).await;
    // The paused clock runs ahead of the store's thread, so the default idle timeout would end the
    // session first.
    let body = json!({ "wsIngest": { "idleTimeout": 86_400 } });
    admin(hub, "PATCH /api/v1/apps/live", body).await;
    let (outside, _) = ocelli::store::open(&dir.0.join("kept")).unwrap();
    assert!(keys::delete(&outside, &key.id, None).unwrap().is_some());
    tokio::time::pause();
    let refused = device_socket.refused(Duration::from_secs(80_000)).await;
    assert_eq!(refused, ("invalid_key".to_owned(), 4401));
}
