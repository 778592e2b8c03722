//! Cameras added, changed, tested and deleted over HTTP.

#![allow(clippy::unwrap_used, reason = "a failed test setup must panic")]

mod passwords;
mod refused;
mod sessions;
mod ssrf;
mod watched;

use crate::support::device::ADMIN;
use crate::support::http::{HttpResponse, call};
use crate::support::hub::{configured, ids};
use crate::support::tempdir::Dir;
use crate::support::wall::Wall;
use crate::support::{TIMEOUT, eventually};
use ocelli_testkit::jpeg::Picture;
use ocelli_testkit::{HttpCamera, HttpCameraOptions, Hub, RtspAuth, RtspServer, RtspServerOptions};
use serde_json::{Value, json};
use std::net::TcpListener;
use std::path::Path;
use tokio_tungstenite::tungstenite::Message;

const SECRET: &str = "hu5h-k3pt";

/// Starts a hub with its data in `dir`, and these lines of configuration.
fn hub_in(dir: &Dir, lines: &str) -> Hub {
    let text = format!(
        "listen = \"127.0.0.1:0\"\n{lines}\n[app.yard]\n\
         [[camera]]\nid = \"fixed\"\nname = \"Fixed\"\nsource = \"pattern:?size=64x48&fps=20\"\n"
    );
    configured(dir, &text)
        .env("OCELLI_ADMIN_TOKEN", ADMIN)
        .env("OCELLI_LOG", "trace")
        .arg("--data")
        .arg(dir.0.join("data"))
        .start()
}

/// The same, with cameras on this machine allowed.
fn open_hub(dir: &Dir) -> Hub {
    hub_in(dir, "allow_local_sources = true")
}

async fn admin(hub: &Hub, line: &str, body: Value) -> HttpResponse {
    let body = match body {
        Value::Null => String::new(),
        body => body.to_string(),
    };
    call(hub.addr(), line, ADMIN, &body).await
}

/// Adds a camera; returns the `data` of the response.
async fn add(hub: &Hub, body: Value) -> Value {
    let made = admin(hub, "POST /api/v1/cameras", body).await;
    assert_eq!(made.status(), 201, "{made:?}");
    made.json()["data"].clone()
}

async fn camera() -> HttpCamera {
    let password = SECRET.to_owned();
    HttpCamera::start(HttpCameraOptions {
        password,
        ..HttpCameraOptions::default()
    })
    .await
}

/// A camera with larger pictures.
async fn wide_camera() -> HttpCamera {
    let options = HttpCameraOptions::default();
    let picture = Picture {
        width: 640,
        height: 480,
        ..options.picture
    };
    HttpCamera::start(HttpCameraOptions { picture, ..options }).await
}

/// Returns the next picture on a single camera's socket.
async fn picture(socket: &mut Wall) -> Vec<u8> {
    loop {
        let next = socket.next(TIMEOUT).await.expect("a message in time");
        if let Message::Binary(picture) = next.expect("an open socket") {
            return picture.to_vec();
        }
    }
}

/// Returns the contents of all files in a directory.
fn bytes_in(directory: &Path) -> Vec<u8> {
    let files = std::fs::read_dir(directory).unwrap();
    files
        .flat_map(|file| std::fs::read(file.unwrap().path()).unwrap())
        .collect()
}

#[tokio::test]
async fn an_added_camera_plays_is_stored_and_can_be_deleted() {
    let camera = camera().await;
    let dir = Dir::new("added");
    let mut hub = open_hub(&dir);
    let mut wall = Wall::plain(hub.addr()).await;
    wall.subscribe(&["*"]).await;
    assert_eq!(wall.frame().await.0, "fixed");

    let made = add(
        &hub,
        json!({ "room": "live-door", "name": "Front door",
            "source": camera.url_as("viewer", SECRET, "digest/mjpeg") }),
    )
    .await;
    assert_eq!(made["id"], "door");
    assert_eq!(made["fullRoom"], "live-door");
    assert_eq!(made["name"], "Front door");
    assert_eq!(made["kind"], "http");
    assert_eq!(made["source"], camera.url("digest/mjpeg"));
    assert_eq!(made["user"], "viewer");
    assert_eq!(made["hasPassword"], true);
    assert_eq!(made["readOnly"], false);
    while wall.frame().await.0 != "door" {}

    add(
        &hub,
        json!({ "room": "barn", "app": "yard", "source": camera.url("mjpeg") }),
    )
    .await;
    assert_eq!(ids(&hub).await, ["fixed", "door", "yard/barn"]);
    for (body, status, word) in [
        (json!({ "room": "door" }), 409, "already"),
        (json!({ "room": "live-door" }), 409, "already"),
        (json!({ "room": "fixed" }), 409, "configuration"),
        (
            json!({ "room": "yard-barn", "app": "yard" }),
            409,
            "already",
        ),
        (json!({ "room": "x", "app": "nowhere" }), 404, "no app"),
        (json!({ "room": "a/b" }), 400, "room in the body"),
        (json!({ "room": "x", "colour": 1 }), 400, "colour"),
    ] {
        let mut body = body;
        body["source"] = camera.url("mjpeg").into();
        let reply = admin(&hub, "POST /api/v1/cameras", body).await;
        reply.is_problem(status, word);
    }

    // The disk, the log and the answers contain no password.
    let shown = admin(&hub, "GET /api/v1/cameras/live-door", Value::Null).await;
    assert_eq!(shown.json()["data"]["source"], camera.url("digest/mjpeg"));
    assert!(!shown.body.contains(SECRET));
    let kept = bytes_in(&dir.0.join("data"));
    for secret in [SECRET, "digest/mjpeg"] {
        let response = kept
            .windows(secret.len())
            .any(|part| part == secret.as_bytes());
        assert!(!response, "{secret} is in the store");
    }
    let log = hub.stderr().join("\n");
    assert!(!log.contains(SECRET), "the password is in the log");

    hub.terminate(TIMEOUT).unwrap();
    let hub = open_hub(&dir);
    assert_eq!(ids(&hub).await, ["fixed", "door", "yard/barn"]);
    let mut wall = Wall::v2(hub.addr()).await;
    wall.event("hello").await;
    wall.subscribe(&["door"]).await;
    assert_eq!(wall.frame_v2().await.id, "door");

    let played = dir.0.join("played");
    let mut mjpeg = tokio::process::Command::new("curl")
        .args(["-sSN", "--max-time", "60", "-o"])
        .arg(&played)
        .arg(hub.url("/live/live/door/mjpeg"))
        .spawn()
        .unwrap();
    let started = || std::fs::metadata(&played).is_ok_and(|file| file.len() > 1000);
    eventually("the stream starts", started).await;

    let gone = admin(&hub, "DELETE /api/v1/cameras/live-door", Value::Null).await;
    assert_eq!(gone.json()["data"]["id"], "door");
    assert_eq!(wall.event("gone").await["id"], "door");
    eventually("the connection ends", || camera.open("/digest/mjpeg") == 0).await;
    assert!(mjpeg.wait().await.unwrap().success(), "its stream ends");
    let again = admin(&hub, "DELETE /api/v1/cameras/door", Value::Null).await;
    again.is_problem(404, "\"door\"");
    let other = admin(&hub, "DELETE /api/v1/cameras/yard%2Fbarn", Value::Null).await;
    assert_eq!(other.status(), 200, "{other:?}");
    assert_eq!(ids(&hub).await, ["fixed"]);
}

#[tokio::test]
async fn viewers_follow_an_edited_camera() {
    let (first, second) = (camera().await, wide_camera().await);
    let dir = Dir::new("edited");
    let hub = open_hub(&dir);
    add(
        &hub,
        json!({ "room": "door", "source": first.url("mjpeg") }),
    )
    .await;
    add(
        &hub,
        json!({ "room": "gate", "source": first.url("mjpeg") }),
    )
    .await;
    let mut wall = Wall::v2(hub.addr()).await;
    wall.event("hello").await;
    wall.subscribe(&["door"]).await;
    let mut alone = Wall::open(hub.addr(), "/live/ws?app=live&room=door", None).await;
    let size = |picture: &[u8]| ocelli_media::jpeg::size(picture).unwrap();
    assert_eq!(size(&wall.frame_v2().await.payload), (320, 240));
    assert_eq!(size(&picture(&mut alone).await), (320, 240));

    // Changing only the name does not reconnect.
    let requests_before = first.requests("/mjpeg");
    let patch = "PATCH /api/v1/cameras/door";
    let renamed = admin(&hub, patch, json!({ "name": "Door" })).await.json();
    assert_eq!(renamed["data"]["name"], "Door");
    while wall.event("camera").await["camera"]["name"] != "Door" {}
    assert_eq!(size(&wall.frame_v2().await.payload), (320, 240));
    assert_eq!(first.requests("/mjpeg"), requests_before);

    let changed = admin(
        &hub,
        patch,
        json!({ "source": second.url("mjpeg"), "keep": true }),
    )
    .await;
    assert_eq!(changed.status(), 200, "{changed:?}");
    let changed = changed.json();
    assert_eq!(changed["data"]["source"], second.url("mjpeg"));
    assert_eq!(changed["data"]["name"], "Door");
    while size(&wall.frame_v2().await.payload) != (640, 480) {}
    while size(&picture(&mut alone).await) != (640, 480) {}
    eventually("the old connection ends", || first.open("/mjpeg") == 0).await;
    assert_eq!(ids(&hub).await, ["fixed", "door", "gate"]);

    // An identical change has no effect, and null removes a value.
    let requests_before = second.requests("/mjpeg");
    let same = admin(
        &hub,
        patch,
        json!({ "source": second.url("mjpeg"), "name": null }),
    )
    .await;
    assert_eq!(same.json()["data"]["name"], "door");
    assert_eq!(second.requests("/mjpeg"), requests_before);
    let nobody = admin(&hub, "PATCH /api/v1/cameras/none", json!({ "name": "x" })).await;
    nobody.is_problem(404, "\"none\"");
}

#[tokio::test]
async fn a_camera_can_be_tested_before_it_is_saved() {
    let rtsp = RtspServer::start(RtspServerOptions {
        auth: Some(("viewer".into(), SECRET.into(), RtspAuth::Digest)),
        ..RtspServerOptions::default()
    });
    let http = camera().await;
    let dir = Dir::new("looked");
    let hub = open_hub(&dir);
    let look = async |body: Value| admin(&hub, "POST /api/v1/cameras/test", body).await;

    let seen = look(
        json!({ "source": rtsp.url("h264"), "user": "viewer", "password": SECRET,
        "substream": rtsp.url("small"), "jpeg": { "width": 160 } }),
    )
    .await;
    let seen = seen.json()["data"].clone();
    assert_eq!(seen["ok"], true, "{seen}");
    assert_eq!(seen["codec"], "h264");
    let still = seen["still"].as_str().unwrap();
    let picture = still.strip_prefix("data:image/jpeg;base64,").unwrap();
    let picture = base64::Engine::decode(&base64::prelude::BASE64_STANDARD, picture).unwrap();
    assert_eq!(ocelli_media::jpeg::size(&picture), Some((160, 120)));

    let mut lengths = Vec::new();
    for quality in [5, 95] {
        let body = json!({ "source": rtsp.url_as("viewer", SECRET, "h264"),
            "jpeg": { "quality": quality, "fps": "key" } });
        let seen = look(body).await.json()["data"].clone();
        lengths.push(seen["still"].as_str().expect("a picture").len());
    }
    assert!(lengths[0] * 3 < lengths[1] * 2, "{lengths:?}");

    let moved = http.url("moved");
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    for (body, reason) in [
        (
            json!({ "source": rtsp.url("h264"), "user": "viewer", "password": "wrong" }),
            "401: wrong user or password",
        ),
        (
            json!({ "source": rtsp.url("h264") }),
            "401: user and password required",
        ),
        (
            json!({ "source": rtsp.url_as("viewer", SECRET, "none") }),
            "404: no such stream",
        ),
        (json!({ "source": http.url("html") }), "text/html"),
        (
            json!({ "source": format!("http://{closed}/") }),
            "connection refused",
        ),
        (
            json!({ "source": "rtsp://no.such.invalid/" }),
            "can't resolve the host name",
        ),
        (
            json!({ "source": moved, "substream": http.url("none") }),
            "the substream: 404",
        ),
    ] {
        let seen = look(body).await.json()["data"].clone();
        assert_eq!(seen["ok"], false, "{reason}: {seen}");
        assert!(seen["reason"].as_str().unwrap().contains(reason), "{seen}");
    }
    // One attempt each: some cameras lock an account after a few wrong passwords.
    assert_eq!(http.requests("/html"), 1);
    assert_eq!(ids(&hub).await, ["fixed"], "none was added");
    look(json!({})).await.is_problem(400, "source");
    look(json!({ "camera": "none" }))
        .await
        .is_problem(404, "\"none\"");
    assert!(!hub.stderr().join("\n").contains(SECRET));
}

/// Values that the form clears are cleared for the test too: it tests what would be saved.
#[tokio::test]
async fn a_change_is_tested_as_it_would_be_saved() {
    let rtsp = RtspServer::start(RtspServerOptions::default());
    let http = camera().await;
    let dir = Dir::new("changed");
    let hub = open_hub(&dir);
    let known = json!({ "room": "door", "source": http.url("still.jpg"), "interval": "2s",
        "substream": http.url("none"), "user": "somebody" });
    add(&hub, known).await;
    let look = async |body: Value| admin(&hub, "POST /api/v1/cameras/test", body).await;
    let seen = look(json!({ "camera": "door" })).await.json()["data"].clone();
    assert!(
        seen["reason"].as_str().unwrap().contains("the substream"),
        "{seen}"
    );
    let change = json!({ "camera": "door", "source": rtsp.url("h264"), "interval": null,
        "substream": null, "user": null });
    let seen = look(change).await.json();
    assert_eq!(seen["data"]["ok"], true, "{seen}");
}

#[tokio::test]
async fn a_camera_may_have_the_name_of_an_api_call() {
    let camera = camera().await;
    let dir = Dir::new("called");
    let hub = open_hub(&dir);
    add(
        &hub,
        json!({ "room": "test", "source": camera.url("mjpeg") }),
    )
    .await;
    let one = "/api/v1/cameras/test";
    let shown = admin(&hub, &format!("GET {one}"), Value::Null).await.json();
    assert_eq!(shown["data"]["id"], "test");
    let changed = admin(&hub, &format!("PATCH {one}"), json!({ "name": "Test" }))
        .await
        .json();
    assert_eq!(changed["data"]["name"], "Test");
    call(hub.addr(), &format!("DELETE {one}"), "", "")
        .await
        .is_problem(401, "Bearer");
    let gone = admin(&hub, &format!("DELETE {one}"), Value::Null).await;
    assert_eq!(gone.status(), 200, "{gone:?}");
    assert_eq!(ids(&hub).await, ["fixed"]);
}

#[tokio::test]
async fn the_configuration_takes_precedence_and_the_wall_runs_without_a_store() {
    let camera = camera().await;
    let dir = Dir::new("first");
    let mut hub = hub_in(&dir, "allow_local_sources = true\nmax_added_cameras = 2");
    for room in ["door", "gate"] {
        add(
            &hub,
            json!({ "room": room, "name": "Added", "source": camera.url("mjpeg") }),
        )
        .await;
    }
    let third = json!({ "room": "third", "source": camera.url("mjpeg") });
    let third = admin(&hub, "POST /api/v1/cameras", third).await;
    third.is_problem(409, "max_added_cameras");
    hub.terminate(TIMEOUT).unwrap();

    let clash = "[[camera]]\nid = \"live-door\"\nsource = \"pattern:?size=64x48\"";
    let mut hub = hub_in(&dir, clash);
    assert_eq!(ids(&hub).await, ["door", "fixed", "gate"]);
    let door = admin(&hub, "GET /api/v1/cameras/door", Value::Null)
        .await
        .json();
    assert_eq!(door["data"]["readOnly"], true);
    assert!(
        hub.wait_stderr("\"door\"", TIMEOUT)
            .is_some_and(|line| line.contains("is skipped"))
    );
    hub.terminate(TIMEOUT).unwrap();

    // A different key decrypts nothing, but stored cameras can still be deleted.
    let data = dir.0.join("data");
    std::fs::write(data.join("token.key"), [7; 32]).unwrap();
    let mut hub = open_hub(&dir);
    assert_eq!(ids(&hub).await, ["fixed"]);
    let again = json!({ "room": "door", "source": camera.url("mjpeg") });
    let again = admin(&hub, "POST /api/v1/cameras", again).await;
    again.is_problem(409, "already");
    let gone = admin(&hub, "DELETE /api/v1/cameras/door", Value::Null).await;
    assert_eq!(gone.status(), 200, "{gone:?}");
    hub.terminate(TIMEOUT).unwrap();

    for beside in ["ocelli.db-wal", "ocelli.db-shm"] {
        let _ = std::fs::remove_file(data.join(beside));
    }
    std::fs::write(data.join("ocelli.db"), "rubbish ".repeat(2000)).unwrap();
    let mut hub = open_hub(&dir);
    assert!(
        ids(&hub).await.is_empty(),
        "the store may have made the app private"
    );
    hub.terminate(TIMEOUT).unwrap();
    let hub = hub_in(
        &dir,
        "allow_local_sources = true\n[app.live]\npublic_playback = true",
    );
    assert_eq!(ids(&hub).await, ["fixed"]);
    let mut wall = Wall::plain(hub.addr()).await;
    wall.subscribe(&["*"]).await;
    assert_eq!(wall.frame().await.0, "fixed");
    let refused = json!({ "room": "door", "source": camera.url("mjpeg") });
    let refused = admin(&hub, "POST /api/v1/cameras", refused).await;
    refused.is_problem(503, "ocelli.db");
}
