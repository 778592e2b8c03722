//! Interfaces for monitoring: metrics, health, readiness, and the log.

#![allow(clippy::unwrap_used, reason = "a failed test setup must panic")]

use crate::support::TIMEOUT;
use crate::support::http::{call, get, request};
use crate::support::hub::{OCELLI, configured};
use crate::support::site::Site;
use crate::support::tempdir::Dir;
use crate::support::wall::Wall;
use ocelli_testkit::Hub;
use ocelli_testkit::websocket::{KEY, RawSocket};
use serde_json::Value;
use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::time::Duration;
use tokio::time::Instant;

const TOKEN: &str = "sk_scrape-scrape-scrape-scrape";

/// Parses metrics text: name with labels, and value.
fn rows(text: &str) -> BTreeMap<String, f64> {
    let rows = text.lines().filter(|line| !line.starts_with('#'));
    rows.map(|row| {
        let (name, value) = row.rsplit_once(' ').expect("a name and a value");
        (name.to_owned(), value.parse().expect("a number"))
    })
    .collect()
}

async fn scrape(site: &Site) -> BTreeMap<String, f64> {
    let response = get(site.address, "/metrics").await;
    assert_eq!(response.status(), 200, "{response:?}");
    rows(&response.body)
}

#[tokio::test]
async fn cameras_sinks_and_refusals_are_counted() {
    let (site, [cam]) = Site::with(["cam"]).await;
    let before = scrape(&site).await;
    assert_eq!(
        before["ocelli_camera_state{camera=\"cam\",state=\"idle\"}"],
        1.0
    );
    assert!(!before.contains_key("ocelli_camera_picture_age_seconds{camera=\"cam\"}"));

    let mut wall = Wall::plain(site.address).await;
    wall.subscribe(&["cam"]).await;
    site.viewers("cam", 1).await;
    cam.show().await;
    let (_, picture) = wall.frame().await;
    let bytes = picture.len() as f64;

    let now = scrape(&site).await;
    for (row, value) in [
        ("ocelli_camera_frames_total{camera=\"cam\"}", 1.0),
        ("ocelli_camera_bytes_total{camera=\"cam\"}", bytes),
        ("ocelli_camera_viewers{camera=\"cam\"}", 1.0),
        ("ocelli_camera_restarts_total{camera=\"cam\"}", 0.0),
        ("ocelli_camera_state{camera=\"cam\",state=\"live\"}", 1.0),
        ("ocelli_camera_state{camera=\"cam\",state=\"idle\"}", 0.0),
        ("ocelli_sink_viewers{sink=\"wall\"}", 1.0),
        ("ocelli_sink_frames_total{sink=\"wall\"}", 1.0),
        ("ocelli_sink_bytes_total{sink=\"wall\"}", bytes),
        ("ocelli_sink_frames_total{sink=\"mjpeg\"}", 0.0),
        ("ocelli_refused_total{reason=\"handshake\"}", 0.0),
        ("ocelli_store_usable", 0.0),
    ] {
        assert_eq!(now.get(row), Some(&value), "{row}");
    }
    assert!(now["ocelli_camera_picture_age_seconds{camera=\"cam\"}"] < 60.0);
    assert!(now["process_resident_memory_bytes"] > 1e6);
    assert!(now["process_open_fds"] > 3.0);
    assert!(
        now["ocelli_connections"] >= 2.0,
        "one for the wall, one for the scrape"
    );

    get(site.address, "/ws/cameras")
        .await
        .is_plain(426, "WebSocket");
    get(site.address, "/live/live/cam/frame.jpg").await;
    let now = scrape(&site).await;
    assert_eq!(now["ocelli_refused_total{reason=\"handshake\"}"], 1.0);
    assert_eq!(now["ocelli_sink_frames_total{sink=\"snapshot\"}"], 1.0);
    drop(wall);
    site.viewers("cam", 0).await;
    let now = scrape(&site).await;
    assert_eq!(now["ocelli_sink_viewers{sink=\"wall\"}"], 0.0);
}

#[tokio::test]
async fn private_cameras_are_not_in_public_metrics() {
    let site = Site::start().await;
    site.app("inside", "inside", false);
    site.add("inside", "safe", false);
    site.camera("door");
    let text = get(site.address, "/metrics").await.body;
    assert!(
        text.contains("\"door\"") && !text.contains("safe"),
        "{text}"
    );
}

/// The metrics, read by an independent parser.
#[tokio::test]
async fn an_independent_parser_reads_the_metrics() {
    let (site, [cam]) = Site::with(["cam"]).await;
    let mut wall = Wall::plain(site.address).await;
    wall.subscribe(&["cam"]).await;
    cam.show().await;
    wall.frame().await;
    for (accept, media, module) in [
        ("*/*", "text/plain; version=0.0.4", "parser"),
        // The Accept header of Prometheus.
        (
            "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.4",
            "application/openmetrics-text; version=1.0.0",
            "openmetrics.parser",
        ),
    ] {
        let lines = format!("Accept: {accept}");
        let response = request(site.address, "GET", "/metrics", &[&lines]).await;
        let header_value = response.header("content-type");
        assert!(header_value.starts_with(media), "{header_value}");
        let read = parse(module, &response.body);
        assert!(read.len() > 20, "{read:?}");
        for family in [
            "counter ocelli_camera_frames 1",
            "gauge ocelli_camera_viewers 1",
            "counter ocelli_sink_frames 7",
            "gauge ocelli_camera_state 5",
            "counter process_cpu_seconds 1",
            "gauge ocelli_build_info 1",
        ] {
            assert!(read.iter().any(|one| one == family), "{family}: {read:?}");
        }
    }
}

/// Returns what Python's library parses, one line per family: type, name, number of rows.
fn parse(module: &str, text: &str) -> Vec<String> {
    let script = format!(
        "import sys\n\
         from prometheus_client.{module} import text_string_to_metric_families\n\
         for family in text_string_to_metric_families(sys.stdin.read()):\n    \
             assert family.documentation, family\n    \
             print(family.type, family.name, len(family.samples))"
    );
    // A different Python without the package may come first on the PATH.
    let mut python = Command::new("/usr/bin/python3")
        .args(["-c", &script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("Debian's Python");
    let mut stdin = python.stdin.take().unwrap();
    std::io::Write::write_all(&mut stdin, text.as_bytes()).unwrap();
    drop(stdin);
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success(), "the parser accepts all of it");
    let families = String::from_utf8(output.stdout).unwrap();
    families.lines().map(str::to_owned).collect()
}

fn hub(lines: &str) -> (Hub, Dir) {
    let dir = Dir::new("monitoring");
    let token = dir.write("scrape.token", TOKEN);
    let lines = lines.replace("TOKEN_FILE", &token.display().to_string());
    let hub = configured(&dir, &format!("listen = \"127.0.0.1:0\"\n{lines}"));
    (hub.start(), dir)
}

#[tokio::test]
async fn metrics_require_their_token_or_are_disabled() {
    let (hub, _dir) = hub("[metrics]\ntoken_file = \"TOKEN_FILE\"\n\
        [app.inside]\npublic_playback = false\n\
        [[camera]]\nid = \"safe\"\napp = \"inside\"\nsource = \"pattern:\"\n");
    let ask = |token| call(hub.addr(), "GET /metrics", token, "");
    ask("").await.is_problem(401, "[metrics]");
    ask("sk_another-another-another")
        .await
        .is_problem(401, "token");
    let response = ask(TOKEN).await;
    assert_eq!(response.status(), 200);
    assert!(response.body.contains("inside/safe"), "{}", response.body);

    let (hub, _dir) = self::hub("[metrics]\nenabled = false\n");
    get(hub.addr(), "/metrics").await.is_problem(404, "enabled");
}

#[tokio::test]
async fn permission_to_watch_includes_metrics_and_health() {
    let (hub, _dir) = administered(
        "[app.inside]\npublic_playback = false\n\
        [[camera]]\nid = \"safe\"\napp = \"inside\"\nsource = \"pattern:\"\n\
        [[camera]]\nid = \"door\"\nsource = \"pattern:\"\n",
    );
    let token = async |app: &str, permission: &str| {
        let body = format!(
            r#"{{"name":"m","scope":"app","appId":"{app}","permissions":["{permission}"]}}"#
        );
        let made = call(hub.addr(), "POST /api/v1/tokens", TOKEN, &body).await;
        assert_eq!(made.status(), 201, "{made:?}");
        made.json()["data"]["token"].as_str().unwrap().to_owned()
    };
    let healthy = "GET /api/v1/cameras/inside%2Fsafe/health";
    for (token, sees) in [
        (String::new(), false),
        (TOKEN.to_owned(), true),
        (token("inside", "camera:read").await, true),
        (token("inside", "app:read").await, false),
        (token("live", "camera:read").await, false),
    ] {
        let response = call(hub.addr(), "GET /metrics", &token, "").await.body;
        assert!(response.contains("camera=\"door\""), "{response}");
        assert_eq!(response.contains("inside/safe"), sees, "{response}");
        let health = call(hub.addr(), healthy, &token, "").await;
        assert_eq!(health.status() == 200, sees, "{health:?}");
        assert!(sees || [401, 403, 404].contains(&health.status()));
    }
    let response = call(hub.addr(), "GET /metrics", "sk_unknown-token-000000", "").await;
    response.is_problem(401, "no such token");
}

/// A hub with an administrator's token.
fn administered(lines: &str) -> (Hub, Dir) {
    let dir = Dir::new("monitoring");
    let hub = configured(&dir, &format!("listen = \"127.0.0.1:0\"\n{lines}"));
    (hub.env("OCELLI_ADMIN_TOKEN", TOKEN).start(), dir)
}

#[tokio::test]
async fn a_hub_without_its_store_is_ready_and_reports_the_failure() {
    let (hub, _dir) = hub("");
    let response = get(hub.addr(), "/ready").await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.json()["problems"], Value::Array(Vec::new()));
    let site = Site::start().await;
    let response = get(site.address, "/ready").await;
    assert_eq!(response.status(), 200);
    let problem = response.json()["problems"][0].as_str().unwrap().to_owned();
    assert!(problem.contains("store"), "{problem}");
}

#[tokio::test]
async fn a_json_log_has_one_object_per_line() {
    let (hub, _dir) = hub(
        "[log]\nformat = \"json\"\n[[camera]]\nid = \"gone\"\nkeep = true\n\
         source = \"http://viewer:hu5h@127.0.0.1:9/\"\n",
    );
    get(hub.addr(), "/ws/cameras")
        .await
        .is_plain(426, "WebSocket");
    let refused = hub.wait_stderr("refused an upgrade", TIMEOUT).unwrap();
    let refused: Value = serde_json::from_str(&refused).unwrap();
    assert_eq!(refused["level"], "WARN");
    assert!(refused["peer"].as_str().unwrap().starts_with("127.0.0.1:"));
    assert!(refused["reason"].as_str().unwrap().contains("/ws/cameras"));
    let failed = hub.wait_stderr("\"camera\":\"gone\"", TIMEOUT).unwrap();
    let failed: Value = serde_json::from_str(&failed).unwrap();
    assert!(failed["reason"].is_string(), "{failed}");
    let log_lines = hub.stderr();
    assert!(
        log_lines.iter().all(|line| !line.contains("hu5h")),
        "{log_lines:?}"
    );
}

#[tokio::test]
async fn a_refused_socket_is_logged_once_without_its_credentials() {
    let (hub, _dir) = administered("");
    let upgrade = async |path: &str| {
        let mut socket = RawSocket::connect(hub.addr()).await;
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n",
            hub.addr()
        );
        socket.send_raw(request.as_bytes()).await;
        socket.head().await.expect("an answer").status
    };
    assert_eq!(upgrade("/live/ws?app=live&room=missing").await, 404);
    // Browsers can read close codes, so the refusal is close code 4401.
    assert_eq!(upgrade("/ws/cameras?token=pt_h1dden").await, 101);
    let lines = [("/live/ws: ", "\"missing\""), ("/ws/cameras: ", "token")];
    for (path, word) in lines {
        let line = hub.wait_stderr(path, TIMEOUT).expect(path);
        assert!(line.contains("refused an upgrade"), "{line}");
        assert!(
            line.contains("peer=127.0.0.1:") && line.contains(word),
            "{line}"
        );
    }
    let log = hub.stderr();
    let refused = log.iter().filter(|line| line.contains("refused"));
    assert_eq!(refused.count(), lines.len(), "{log:?}");
    assert!(!log.iter().any(|line| line.contains("h1dden")), "{log:?}");
    let counted = rows(&get(hub.addr(), "/metrics").await.body);
    for reason in ["unknown", "access"] {
        let row = format!("ocelli_refused_total{{reason=\"{reason}\"}}");
        assert_eq!(counted[&row], 1.0, "{reason}");
    }
}

#[tokio::test]
async fn a_flood_of_refusals_does_not_flood_the_log() {
    let (hub, _dir) = hub("");
    for _ in 0..200 {
        get(hub.addr(), "/ws/cameras")
            .await
            .is_plain(426, "WebSocket");
    }
    let metrics = get(hub.addr(), "/metrics").await.body;
    assert_eq!(
        rows(&metrics)["ocelli_refused_total{reason=\"handshake\"}"],
        200.0
    );
    let log = hub.stderr();
    let lines = log
        .iter()
        .filter(|line| line.contains("refused an upgrade"));
    let lines = lines.count();
    assert!((20..60).contains(&lines), "{lines} lines for 200 refusals");
}

#[tokio::test]
async fn repeated_failures_of_a_camera_are_logged_occasionally() {
    let (hub, _dir) = hub(
        "[[camera]]\nid = \"gone\"\nkeep = true\nsource = \"http://127.0.0.1:9/\"\n\
         [[camera]]\nid = \"here\"\nkeep = true\nsource = \"pattern:\"\n",
    );
    let restarts = async || {
        let metrics = get(hub.addr(), "/metrics").await.body;
        rows(&metrics)["ocelli_camera_restarts_total{camera=\"gone\"}"]
    };
    let started = Instant::now();
    while restarts().await < 5.0 {
        assert!(started.elapsed() < TIMEOUT, "the camera is retried");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let log = hub.stderr();
    let of = |camera: &str| {
        let own = log
            .iter()
            .filter(|line| line.contains(&format!("camera={camera}")));
        own.collect::<Vec<_>>()
    };
    let gone = of("gone");
    assert_eq!(gone.len(), 2, "{gone:?}");
    assert!(gone[0].contains("restarting") && gone[0].contains("reason="));
    assert!(gone[1].contains("state=\"failed\"") && gone[1].contains("next try in"));
    let here = of("here");
    assert_eq!(here.len(), 1, "{here:?}");
    assert!(here[0].contains("state=\"live\""), "{here:?}");
}

#[test]
fn invalid_log_and_metrics_settings_are_refused() {
    let dir = Dir::new("monitoring-wrong");
    for (lines, word) in [
        ("[log]\nformat = \"xml\"\n", "\"json\""),
        ("[log]\nlevel = \"loud\"\n", "\"debug\""),
        (
            "[metrics]\ntoken_file = \"/no/such/file\"\n",
            "/no/such/file",
        ),
        ("[limits]\nheader_size = 10\n", "8192"),
        ("[limits]\nconections = 10\n", "did you mean `connections`"),
    ] {
        let config = dir.write("wrong.toml", lines);
        let checked = Command::new(OCELLI)
            .arg("check-config")
            .arg(config)
            .output();
        let checked = checked.unwrap();
        assert_eq!(checked.status.code(), Some(2), "{lines}");
        let stderr_text = String::from_utf8(checked.stderr).unwrap();
        assert!(stderr_text.contains(word), "{stderr_text}");
    }
}
