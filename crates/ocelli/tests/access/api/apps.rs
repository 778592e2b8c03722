//! Apps: created, changed, deleted, made private.

use super::{ADMIN, admin, hub, token};
use crate::support::http::{call, get};
use crate::support::wall::Wall;
use serde_json::json;

#[tokio::test]
async fn apps_are_created_changed_and_deleted() {
    let (hub, _dir) = hub();
    let made = admin(
        &hub,
        "POST /api/v1/apps",
        r#"{"name":"barn","roomPrefix":"farm","publicPlayback":false}"#,
    )
    .await;
    assert_eq!(made.status(), 201, "{made:?}");
    let barn = json!({ "id": "barn", "name": "barn", "roomPrefix": "farm",
        "publicPlayback": false, "readOnly": false, "cameras": 0, "wsIngest": {
            "enabled": true, "maxCameras": 0, "maxFps": 15, "maxFrameKb": 256, "idleTimeout": 30.0,
        } });
    assert_eq!(made.json(), json!({ "data": barn, "error": null }));
    let shown = admin(&hub, "GET /api/v1/apps/barn", "").await;
    assert_eq!(shown.json()["data"], barn);
    let listed = admin(&hub, "GET /api/v1/apps", "").await.json();
    let listed: Vec<_> = listed["data"].as_array().expect("a list").clone();
    let ids: Vec<_> = listed.iter().map(|app| app["id"].clone()).collect();
    assert_eq!(ids, ["barn", "live", "yard"]);

    for (body, word) in [
        (r#"{"name":"barn"}"#, "\"barn\" already"),
        (r#"{"name":"live"}"#, "\"live\" already"),
        (r#"{"name":"yard"}"#, "\"yard\" already"),
        (
            r#"{"name":"farm","roomPrefix":"farm"}"#,
            "already belongs to app \"barn\"",
        ),
        (r#"{"name":"field"}"#, "already belongs to app \"yard\""),
    ] {
        admin(&hub, "POST /api/v1/apps", body)
            .await
            .is_problem(409, word);
    }
    let changed = admin(
        &hub,
        "PATCH /api/v1/apps/barn",
        r#"{"roomPrefix":"shed","publicPlayback":true}"#,
    )
    .await
    .json();
    assert_eq!(changed["data"]["roomPrefix"], "shed");
    assert_eq!(changed["data"]["publicPlayback"], true);
    let unchanged = admin(&hub, "PATCH /api/v1/apps/barn", "{}").await.json();
    assert_eq!(unchanged["data"], changed["data"]);

    for (line, body, status, word) in [
        (
            "PATCH /api/v1/apps/barn",
            r#"{"roomPrefix":"live"}"#,
            409,
            "\"live\" already",
        ),
        (
            "PATCH /api/v1/apps/live",
            r#"{"roomPrefix":"main"}"#,
            409,
            "cameras",
        ),
        ("PATCH /api/v1/apps/yard", "{}", 409, "[app.yard]"),
        ("DELETE /api/v1/apps/yard", "", 409, "configuration"),
        ("DELETE /api/v1/apps/live", "", 409, "\"live\""),
        ("PATCH /api/v1/apps/none", "{}", 404, "\"none\""),
        ("DELETE /api/v1/apps/none", "", 404, "\"none\""),
        ("GET /api/v1/apps/none", "", 404, "\"none\""),
        (
            "POST /api/v1/tokens",
            r#"{"name":"a","scope":"app","appId":"none"}"#,
            404,
            "appId in the body",
        ),
    ] {
        admin(&hub, line, body).await.is_problem(status, word);
    }
    // Its tokens are deleted with it, and stay invalid for a new app of the same name.
    let inside = token(
        &hub,
        json!({ "name": "a", "scope": "app", "appId": "barn" }),
    )
    .await;
    let alive = call(hub.addr(), "GET /api/v1/apps/barn", &inside, "").await;
    assert_eq!(alive.status(), 200);
    let gone = admin(&hub, "DELETE /api/v1/apps/barn", "").await;
    assert_eq!(gone.json()["data"], json!({ "id": "barn" }));
    admin(&hub, "GET /api/v1/apps/barn", "")
        .await
        .is_problem(404, "\"barn\"");
    let again = admin(&hub, "POST /api/v1/apps", r#"{"name":"barn"}"#).await;
    assert_eq!(again.status(), 201);
    let dead = call(hub.addr(), "GET /api/v1/apps/barn", &inside, "").await;
    dead.is_problem(401, "no such token");
}

#[tokio::test]
async fn an_app_that_turns_private_is_hidden_at_once() {
    let (hub, _dir) = hub();
    let mut wall = Wall::v2(hub.addr()).await;
    wall.send_command(json!({ "cmd": "subscribe", "cameras": ["*"] }))
        .await;
    wall.event("hello").await;
    loop {
        if wall.frame_v2().await.id == "cam1" {
            break;
        }
    }
    let change = async |public: bool| {
        let body = json!({ "publicPlayback": public }).to_string();
        let changed = admin(&hub, "PATCH /api/v1/apps/live", &body).await;
        assert_eq!(changed.status(), 200, "{changed:?}");
    };
    change(false).await;
    assert_eq!(wall.event("gone").await["id"], "cam1");
    wall.settle().await;
    assert!(wall.settle().await.iter().all(|frame| frame.id != "cam1"));
    let frame = get(hub.addr(), "/live/live/cam1/frame.jpg").await;
    frame.is_problem(401, "not public");
    let listed = get(hub.addr(), "/api/v1/cameras").await;
    assert!(!listed.body.contains("cam1"), "{listed:?}");
    change(true).await;
    assert_eq!(wall.event("camera").await["camera"]["id"], "cam1");
    loop {
        if wall.frame_v2().await.id == "cam1" {
            break;
        }
    }
}

#[tokio::test]
async fn playing_streams_end_when_their_app_turns_private() {
    use ocelli_testkit::websocket::RawSocket;
    let (hub, _dir) = hub();
    let mut viewer = Wall::open(hub.addr(), "/live/ws?app=live&room=cam1", None).await;
    let mut mjpeg = RawSocket::connect(hub.addr()).await;
    let request_text = format!(
        "GET /live/live/cam1/mjpeg HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
        hub.addr()
    );
    mjpeg.send_raw(request_text.as_bytes()).await;
    let head = mjpeg.head().await.expect("a head");
    assert_eq!(head.status, 200);
    let body = r#"{"publicPlayback":false}"#;
    let changed = admin(&hub, "PATCH /api/v1/apps/live", body).await;
    assert_eq!(changed.status(), 200);
    // The last chunk of the body shows that the stream ended cleanly.
    assert!(mjpeg.body(&head).await.ends_with("\r\n0\r\n\r\n"));
    assert_eq!(viewer.close_code().await, Some(4401));
}

#[tokio::test]
async fn a_request_aborted_by_the_client_leaves_no_partial_change() {
    use ocelli_testkit::websocket::RawSocket;
    let (hub, _dir) = hub();
    let body = r#"{"publicPlayback":false}"#;
    let text = format!(
        "PATCH /api/v1/apps/live HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {ADMIN}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        hub.addr(),
        body.len()
    );
    let mut socket = RawSocket::connect(hub.addr()).await;
    socket.send_raw(text.as_bytes()).await;
    drop(socket);
    // The change may not have been applied; then neither the store nor the hub has it.
    let changed = admin(&hub, "PATCH /api/v1/apps/live", "{}").await.json();
    let frame = get(hub.addr(), "/live/live/cam1/frame.jpg").await;
    let public = changed["data"]["publicPlayback"] == true;
    assert_eq!(frame.status(), if public { 200 } else { 401 });
}
