//! Cameras that are added, changed, tested and deleted over HTTP.

#![allow(clippy::unwrap_used, reason = "what a test arranged is there")]

mod support;

use ocelli_testkit::{HttpCamera, HttpCameraOptions, Hub};
use serde_json::{Value, json};
use std::path::Path;
use support::http::{Answer, call, get};
use support::tempdir::Dir;
use support::wall::Wall;

const OCELLI: &str = env!("CARGO_BIN_EXE_ocelli");
const ADMIN: &str = "sk_of-the-administrator-of-tests";
const SECRET: &str = "hu5h-k3pt";

/// A hub whose directory outlives it, with these lines of configuration.
fn hub_in(dir: &Dir, lines: &str) -> Hub {
    let text = format!(
        "listen = \"127.0.0.1:0\"\n{lines}\n[app.yard]\n\
         [[camera]]\nid = \"fixed\"\nname = \"Fixed\"\nsource = \"pattern:?size=64x48&fps=20\"\n"
    );
    let config = dir.write("ocelli.toml", &text);
    let builder = Hub::builder(OCELLI).env("OCELLI_ADMIN_TOKEN", ADMIN);
    let builder = builder
        .env("OCELLI_LOG", "trace")
        .args(["serve", "--config"]);
    let builder = builder.arg(config).arg("--data").arg(dir.0.join("data"));
    builder.start()
}

/// One that lets cameras be on this machine.
fn open_hub(dir: &Dir) -> Hub {
    hub_in(dir, "allow_local_sources = true")
}

async fn admin(hub: &Hub, line: &str, body: Value) -> Answer {
    let body = match body {
        Value::Null => String::new(),
        body => body.to_string(),
    };
    call(hub.addr(), line, ADMIN, &body).await
}

/// Adds a camera; what is answered.
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

async fn ids(hub: &Hub) -> Vec<String> {
    let listed = get(hub.addr(), "/api/v1/cameras").await.json();
    let listed = listed["data"].as_array().unwrap().clone();
    let ids = listed.iter().map(|camera| camera["id"].as_str().unwrap());
    ids.map(str::to_owned).collect()
}

/// Every byte of every file there.
fn bytes_in(directory: &Path) -> Vec<u8> {
    let files = std::fs::read_dir(directory).unwrap();
    files
        .flat_map(|file| std::fs::read(file.unwrap().path()).unwrap())
        .collect()
}

#[tokio::test]
async fn an_added_camera_plays_is_kept_and_can_be_deleted() {
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
        let answer = admin(&hub, "POST /api/v1/cameras", body).await;
        answer.is_problem(status, word);
    }

    // What is on the disk, in the log and in answers tells no password.
    let shown = admin(&hub, "GET /api/v1/cameras/live-door", Value::Null).await;
    assert_eq!(shown.json()["data"]["source"], camera.url("digest/mjpeg"));
    assert!(!shown.body.contains(SECRET));
    let kept = bytes_in(&dir.0.join("data"));
    for secret in [SECRET, "digest/mjpeg"] {
        let told = kept
            .windows(secret.len())
            .any(|part| part == secret.as_bytes());
        assert!(!told, "{secret} stands in the store");
    }
    let log = hub.stderr().join("\n");
    assert!(!log.contains(SECRET), "the log tells it");

    hub.terminate(support::PATIENCE).unwrap();
    let hub = open_hub(&dir);
    assert_eq!(ids(&hub).await, ["fixed", "door", "yard/barn"]);
    let mut wall = Wall::v2(hub.addr()).await;
    wall.event("hello").await;
    wall.subscribe(&["door"]).await;
    assert_eq!(wall.frame_v2().await.id, "door");

    let gone = admin(&hub, "DELETE /api/v1/cameras/live-door", Value::Null).await;
    assert_eq!(gone.json()["data"]["id"], "door");
    assert_eq!(wall.event("gone").await["id"], "door");
    support::eventually("the connection's end", || camera.open("/digest/mjpeg") == 0).await;
    let again = admin(&hub, "DELETE /api/v1/cameras/door", Value::Null).await;
    again.is_problem(404, "\"door\"");
    let other = admin(&hub, "DELETE /api/v1/cameras/yard%2Fbarn", Value::Null).await;
    assert_eq!(other.status(), 200, "{other:?}");
    assert_eq!(ids(&hub).await, ["fixed"]);
}
