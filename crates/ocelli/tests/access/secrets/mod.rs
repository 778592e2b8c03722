//! A camera's password appears nowhere: in no log line, error, response, page, event or command
//! line of a child process.

#![allow(clippy::unwrap_used, reason = "a failed test setup must panic")]

mod foreign;
mod own;

use crate::support::http::get;
use crate::support::hub::{OCELLI, configured};
use crate::support::tempdir::Dir;
use crate::support::wall::Wall;
use crate::support::{TIMEOUT, eventually};
use ocelli_testkit::{HttpCamera, HttpCameraOptions, Hub, RtspAuth, RtspServer, RtspServerOptions};
use std::process::Command;
use std::time::Duration;
use tokio_tungstenite::tungstenite::Message;

/// The passwords, and their encoded forms.
const SECRETS: [&str; 5] = [
    "hu5h-r1ght",
    "hu5h-wr0ng",
    "hu5h-t0ken",
    // The user and each password, as encoded for Basic authentication.
    "dmlld2VyOmh1NWgtcjFnaHQ",
    "dmlld2VyOmh1NWgtd3Iwbmc",
];

fn clean(what: &str, text: &str) {
    for secret in SECRETS {
        for line in text.lines() {
            assert!(!line.contains(secret), "{what} contains a secret: {line}");
        }
    }
}

#[tokio::test]
async fn passwords_of_cameras_are_never_revealed() {
    assert_never_revealed("text").await;
}

#[tokio::test]
async fn passwords_of_cameras_are_not_in_a_json_log() {
    let log = assert_never_revealed("json").await;
    for line in log {
        let object = serde_json::from_str::<serde_json::Value>(&line);
        assert!(object.is_ok_and(|object| object.is_object()), "{line}");
    }
}

/// Makes a hub with this log format do everything that could reveal a password; returns its
/// log.
async fn assert_never_revealed(format: &str) -> Vec<String> {
    let camera = HttpCamera::start(HttpCameraOptions {
        password: "hu5h-r1ght".into(),
        ..HttpCameraOptions::default()
    })
    .await;
    let rtsp = RtspServer::start(RtspServerOptions {
        auth: Some(("viewer".into(), "hu5h-r1ght".into(), RtspAuth::Digest)),
        ..RtspServerOptions::default()
    });
    let http = |password, path| camera.url_as("viewer", password, path);
    let sources = [
        ("good", http("hu5h-r1ght", "basic/mjpeg")),
        ("digest", http("hu5h-r1ght", "digest/mjpeg")),
        ("wrong", http("hu5h-wr0ng", "basic/mjpeg")),
        ("html", http("hu5h-r1ght", "html?token=hu5h-t0ken")),
        ("nothing", http("hu5h-r1ght", "none?key=hu5h-t0ken")),
        (
            "refused",
            "http://viewer:hu5h-r1ght@127.0.0.1:9/x?pwd=hu5h-t0ken".into(),
        ),
        (
            "nohost",
            "http://viewer:hu5h-r1ght@no.such.invalid/x".into(),
        ),
        ("rtsp", rtsp.url_as("viewer", "hu5h-r1ght", "h264")),
        ("rtspwrong", rtsp.url_as("viewer", "hu5h-wr0ng", "h264")),
        (
            "rtsprefused",
            "rtsp://viewer:hu5h-r1ght@127.0.0.1:9/x".into(),
        ),
    ];
    let arguments = sources
        .iter()
        .map(|(id, address)| format!("{id}={address}"));
    let hub = Hub::builder(OCELLI)
        .args(["serve", "--listen", "127.0.0.1:0", "--log-format", format])
        .args(arguments)
        .env("OCELLI_LOG", "trace")
        .start();

    let mut wall = Wall::v2(hub.addr()).await;
    wall.subscribe(&["*"]).await;
    let deadline = tokio::time::Instant::now() + TIMEOUT;
    let mut failed = std::collections::BTreeSet::new();
    let mut played = std::collections::BTreeSet::new();
    while failed.len() < 7 || played.len() < 3 {
        let next = tokio::time::timeout_at(deadline, wall.next(TIMEOUT)).await;
        let seen = format!("failed: {failed:?} played: {played:?}");
        match next.expect(&seen).expect(&seen).expect("an open socket") {
            Message::Text(text) => {
                clean("an event", &text);
                let event: serde_json::Value = serde_json::from_str(&text).unwrap();
                if event["camera"]["state"] == "failed" {
                    failed.insert(event["camera"]["id"].to_string());
                }
            }
            Message::Binary(message) => {
                let frame = ocelli_testkit::websocket::V2::parse(&message).unwrap();
                played.insert(frame.id);
            }
            _ => {}
        }
    }
    eventually("a decoder starts", || !hub.children().is_empty()).await;
    for child in hub.children() {
        clean("a command line", &child.command);
    }
    for path in [
        "/api/v1/cameras",
        "/health",
        "/",
        "/play/live/wrong",
        "/live/live/missing/frame.jpg",
        "/live/live/good/mjpeg?stream=x",
    ] {
        clean(path, &get(hub.addr(), path).await.body);
    }
    let waking = tokio::process::Command::new("curl")
        .args(["-sS", &hub.url("/live/live/rtspwrong/frame.jpg")])
        .output();
    let waking = waking.await.unwrap();
    let response = String::from_utf8_lossy(&waking.stdout).into_owned();
    assert!(response.contains("401"), "{response}");
    clean("a snapshot's refusal", &response);
    let log = hub.stderr();
    assert!(log.len() > 20, "the log is complete");
    clean("the log", &log.join("\n"));
    clean("standard output", &hub.stdout().join("\n"));
    log
}

#[test]
fn errors_at_startup_do_not_contain_passwords() {
    let dir = Dir::new("secrets");
    let run = |arguments: &[&str]| {
        let mut command = Command::new("timeout");
        command.arg("10").arg(OCELLI).args(arguments);
        let output = command.current_dir(&dir.0).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let output_text = [output.stdout, output.stderr].concat();
        let output_text = String::from_utf8_lossy(&output_text).into_owned();
        assert!(output_text.len() > 20);
        clean(&format!("{}", arguments.len()), &output_text);
    };
    run(&["serve", "rtps://viewer:hu5h-r1ght@10.0.0.7/x"]);
    run(&[
        "serve",
        "a=ftp://viewer:hu5h-r1ght@10.0.0.7/x?token=hu5h-t0ken",
    ]);
    run(&["serve", "rtsp://viewer:hu5h-r1ght@"]);
    run(&["serve", "rtsp://viewer:hu5h-r1ght@10.0.0.7:port/x"]);
    run(&["serve", "http://viewer:hu5h-r1ght@[bad/x?key=hu5h-t0ken"]);
    run(&["serve", "viewer:hu5h-r1ght@10.0.0.7/x"]);
    run(&[
        "serve",
        "a=pattern:",
        "a=rtsp://viewer:hu5h-r1ght@10.0.0.7/x",
    ]);
    for camera in [
        "source = \"rtps://viewer:hu5h-r1ght@h/x\"",
        "sorce = \"rtsp://viewer:hu5h-r1ght@h/x\"",
        "source = \"rtsp://h/x\"\npassword = \"hu5h-r1ght\"",
        "source = \"rtsp://h/x\"\nuser = \"v\"\npasword = \"hu5h-r1ght\"",
        "source = \"rtsp://h/x\"\nuser = \"v\"\npassword = \"hu5h-r1ght",
        "source = \"rtsp://h/x\"\npassword = [\"hu5h-r1ght\"]",
        "source = \"rtsp://viewer:hu5h-r1ght@h/x\" x",
        "source = \"http://h/x?token=hu5h-t0ken\"\nfps = 3",
    ] {
        dir.write("bad.toml", &format!("[[camera]]\nid = \"a\"\n{camera}\n"));
        run(&["check-config", "bad.toml"]);
        run(&["serve", "--config", "bad.toml"]);
    }
}

#[tokio::test]
async fn a_password_may_come_from_a_file_or_the_environment() {
    let camera = HttpCamera::start(HttpCameraOptions {
        password: "hu5h-r1ght".into(),
        ..HttpCameraOptions::default()
    })
    .await;
    let dir = Dir::new("password");
    let file = dir.write("password", "hu5h-r1ght\n");
    let source = camera.url("basic/mjpeg");
    let hub = configured(
        &dir,
        &format!(
            "listen = \"127.0.0.1:0\"\n\
             [[camera]]\nid = \"file\"\nsource = \"{source}\"\nuser = \"viewer\"\npassword_file = {file:?}\n\
             [[camera]]\nid = \"env\"\nsource = \"{source}\"\nuser = \"viewer\"\npassword_env = \"DOOR\"\n"
        ),
    );
    let hub = hub.env("DOOR", "hu5h-r1ght").start();
    let mut wall = Wall::plain(hub.addr()).await;
    for id in ["file", "env"] {
        wall.subscribe(&[id]).await;
        let playing = async { while wall.frame().await.0 != id {} };
        let playing = tokio::time::timeout(Duration::from_secs(10), playing).await;
        playing.expect(id);
    }
}
