//! What monitors ask of a hub, and what its log says: numbers, health, readiness.

#![allow(clippy::unwrap_used, reason = "what a test arranged is there")]

mod support;

use ocelli_testkit::{Hub, jpeg};
use serde_json::Value;
use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use support::PATIENCE;
use support::http::{Answer, call, get};
use support::site::Site;
use support::tempdir::Dir;
use support::wall::Wall;
use tokio::time::Instant;

const OCELLI: &str = env!("CARGO_BIN_EXE_ocelli");
const TOKEN: &str = "sk_scrape-scrape-scrape-scrape";

/// The rows of a text of metrics: name with labels, and value.
fn rows(text: &str) -> BTreeMap<String, f64> {
    let rows = text.lines().filter(|line| !line.starts_with('#'));
    rows.map(|row| {
        let (name, value) = row.rsplit_once(' ').expect("a name and a value");
        (name.to_owned(), value.parse().expect("a number"))
    })
    .collect()
}

async fn scrape(site: &Site) -> BTreeMap<String, f64> {
    let answer = get(site.address, "/metrics").await;
    assert_eq!(answer.status(), 200, "{answer:?}");
    rows(&answer.body)
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
        "the wall's and the scrape's"
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
async fn cameras_that_are_not_public_are_not_counted_for_everybody() {
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

/// What a parser that we did not write makes of it.
#[tokio::test]
async fn an_independent_parser_reads_the_numbers() {
    let (site, [_cam]) = Site::with(["cam"]).await;
    let answer = get(site.address, "/metrics").await;
    let media = answer.header("content-type");
    assert!(media.starts_with("application/openmetrics-text"), "{media}");
    let script = "import sys\n\
        from prometheus_client.openmetrics.parser import text_string_to_metric_families\n\
        print(len(list(text_string_to_metric_families(sys.stdin.read()))))";
    // Another Python than Debian's may stand before it, without the package.
    let mut python = Command::new("/usr/bin/python3")
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("Debian's Python");
    let mut stdin = python.stdin.take().unwrap();
    std::io::Write::write_all(&mut stdin, answer.body.as_bytes()).unwrap();
    drop(stdin);
    let output = python.wait_with_output().unwrap();
    let families = String::from_utf8(output.stdout).unwrap();
    assert!(families.trim().parse::<u32>().unwrap() > 15, "{families}");
}

fn hub(lines: &str) -> (Hub, Dir) {
    let dir = Dir::new("monitoring");
    let token = dir.write("scrape.token", TOKEN);
    let lines = lines.replace("TOKEN_FILE", &token.display().to_string());
    let config = dir.write("ocelli.toml", &format!("listen = \"127.0.0.1:0\"\n{lines}"));
    let builder = Hub::builder(OCELLI).args(["serve", "--config"]);
    (builder.arg(config).start(), dir)
}

#[tokio::test]
async fn metrics_ask_for_their_token_or_are_turned_off() {
    let (hub, _dir) = hub("[metrics]\ntoken_file = \"TOKEN_FILE\"\n\
        [app.inside]\npublic_playback = false\n\
        [[camera]]\nid = \"safe\"\napp = \"inside\"\nsource = \"pattern:\"\n");
    let ask = |token| call(hub.addr(), "GET /metrics", token, "");
    ask("").await.is_problem(401, "[metrics]");
    ask("sk_another-another-another")
        .await
        .is_problem(401, "token");
    let told = ask(TOKEN).await;
    assert_eq!(told.status(), 200);
    assert!(told.body.contains("inside/safe"), "{}", told.body);

    let (hub, _dir) = self::hub("[metrics]\nenabled = false\n");
    get(hub.addr(), "/metrics").await.is_problem(404, "enabled");
}

#[tokio::test]
async fn a_hub_is_ready_also_without_its_store_and_says_what_is_wrong() {
    let (hub, _dir) = hub("");
    let answer = get(hub.addr(), "/ready").await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.json()["problems"], Value::Array(Vec::new()));
    let site = Site::start().await;
    let answer = get(site.address, "/ready").await;
    assert_eq!(answer.status(), 200);
    let problem = answer.json()["problems"][0].as_str().unwrap().to_owned();
    assert!(problem.contains("store"), "{problem}");
}

async fn health(site: &Site, query: &str) -> Answer {
    get(site.address, &format!("/api/v1/cameras/cam/health{query}")).await
}

#[tokio::test]
async fn a_camera_is_healthy_only_while_its_picture_is_fresh() {
    let (site, [cam]) = Site::with(["cam"]).await;
    let asleep = health(&site, "?wake=false").await;
    assert_eq!(asleep.status(), 503, "{asleep:?}");
    assert_eq!(asleep.json()["data"]["state"], "idle");
    assert_eq!(cam.starts(), 0, "it sleeps on");

    // One that sleeps is woken, and its first picture waited for.
    let (awake, _) = tokio::join!(health(&site, ""), cam.show());
    assert_eq!(awake.status(), 200, "{awake:?}");
    let told = &awake.json()["data"];
    assert_eq!(
        (&told["healthy"], &told["id"]),
        (&true.into(), &"cam".into())
    );
    assert_eq!(told["maxAgeMs"], 10_000);

    // A picture that was taken long ago is no fresh one, whenever it arrives.
    let past = site.hub.clock().now().0 - 11_000_000;
    let old = jpeg::Picture::QVGA.encode_now(1);
    cam.show_picture(&old, ocelli_core::Timestamp(past)).await;
    let stale = health(&site, "").await;
    assert_eq!(stale.status(), 503, "{stale:?}");
    assert!(stale.json()["data"]["ageMs"].as_u64().unwrap() >= 11_000);
    assert_eq!(health(&site, "?maxAge=1h").await.status(), 200);
    assert_eq!(health(&site, "?maxAge=5000").await.status(), 503);
    health(&site, "?maxAge=soon")
        .await
        .is_problem(400, "maxAge");
    let nobody = get(site.address, "/api/v1/cameras/nobody/health").await;
    nobody.is_problem(404, "nobody");
}

#[tokio::test]
async fn a_camera_that_does_not_wake_is_told_after_ten_seconds() {
    let (site, [_cam]) = Site::with(["cam"]).await;
    let begun = Instant::now();
    let url = format!("http://{}/api/v1/cameras/cam/health", site.address);
    let answer = tokio::process::Command::new("curl")
        .args(["-sS", "-w", "\n%{http_code}", &url])
        .output();
    let answer = String::from_utf8(answer.await.unwrap().stdout).unwrap();
    let (body, status) = answer.rsplit_once('\n').unwrap();
    assert_eq!(status, "503", "{body}");
    assert!(body.contains("\"state\":\"starting\""), "{body}");
    let waited = begun.elapsed().as_secs_f64();
    assert!((9.9..15.0).contains(&waited), "{waited}");
}

#[tokio::test]
async fn the_health_of_a_camera_is_told_to_those_who_may_watch_it() {
    let site = Site::start().await;
    site.app("inside", "inside", false);
    site.add("inside", "safe", false);
    let answer = get(site.address, "/api/v1/cameras/inside%2Fsafe/health").await;
    answer.is_problem(401, "not public");
}

#[tokio::test]
async fn a_log_in_json_is_an_object_a_line() {
    let (hub, _dir) = hub(
        "[log]\nformat = \"json\"\n[[camera]]\nid = \"gone\"\nkeep = true\n\
         source = \"http://viewer:hu5h@127.0.0.1:9/\"\n",
    );
    get(hub.addr(), "/ws/cameras")
        .await
        .is_plain(426, "WebSocket");
    let refused = hub.wait_stderr("refused an upgrade", PATIENCE).unwrap();
    let refused: Value = serde_json::from_str(&refused).unwrap();
    assert_eq!(refused["level"], "WARN");
    assert!(refused["peer"].as_str().unwrap().starts_with("127.0.0.1:"));
    assert!(refused["reason"].as_str().unwrap().contains("/ws/cameras"));
    let failed = hub.wait_stderr("\"camera\":\"gone\"", PATIENCE).unwrap();
    let failed: Value = serde_json::from_str(&failed).unwrap();
    assert!(failed["reason"].is_string(), "{failed}");
    let said = hub.stderr();
    assert!(said.iter().all(|line| !line.contains("hu5h")), "{said:?}");
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
    let said = hub.stderr();
    let lines = said
        .iter()
        .filter(|line| line.contains("refused an upgrade"));
    let lines = lines.count();
    assert!((20..60).contains(&lines), "{lines} lines for 200 refusals");
}

#[test]
fn what_is_logged_and_told_can_be_configured_only_rightly() {
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
        let said = String::from_utf8(checked.stderr).unwrap();
        assert!(said.contains(word), "{said}");
    }
}
