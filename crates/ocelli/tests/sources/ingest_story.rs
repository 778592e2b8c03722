//! Devices that push to the hub as a process: a complete session with an independent client,
//! restarts, keys managed without a hub, fleets.

#![allow(clippy::unwrap_used, reason = "a failed test setup must panic")]

use crate::support::TIMEOUT;
use crate::support::device::{ADMIN, Device, Key, picture};
use crate::support::http::{call, get};
use crate::support::hub::{OCELLI, configured, keeping, stdout_of};
use crate::support::tempdir::Dir;
use ocelli::store;
use ocelli_testkit::Hub;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

/// The Python for which Debian's packages are installed.
const PYTHON: &str = "/usr/bin/python3";

async fn streams(hub: SocketAddr) -> Vec<Value> {
    let listed = call(hub, "GET /api/v1/apps/live/streams?limit=500", ADMIN, "").await;
    listed.json()["data"].as_array().unwrap().clone()
}

/// Waits for a program that must exit by itself.
async fn finished(command: &mut Command) -> Output {
    let mut command =
        tokio::process::Command::from(std::mem::replace(command, Command::new("true")));
    let output = command.kill_on_drop(true).output();
    let output = tokio::time::timeout(Duration::from_secs(120), output).await;
    output
        .expect("the program exits")
        .expect("the program runs")
}

#[tokio::test]
async fn the_documented_session_works_with_an_independent_client() {
    let dir = Dir::new("story");
    let hub = keeping(&dir.0.join("kept"));
    let jpeg = dir.0.join("picture.jpg");
    std::fs::write(&jpeg, picture(1)).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/device.py");
    let mut python = Command::new(PYTHON);
    python
        .arg(script)
        .arg(hub.addr().to_string())
        .arg(ADMIN)
        .arg(jpeg);
    let output = finished(&mut python).await;
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[tokio::test]
async fn history_survives_a_restart_and_a_crash_leaves_no_stream_open() {
    let dir = Dir::new("history");
    let data = dir.0.join("kept");
    let mut first = keeping(&data);
    let key = Key::create(first.addr(), "live", "cam1").await;
    let (mut device, _) = Device::ready(first.addr(), &key).await;
    device
        .send(tokio_tungstenite::tungstenite::Message::text(
            r#"{"type":"stats","fps":7}"#,
        ))
        .await;
    loop {
        if streams(first.addr()).await[0]["lastStatsJson"] == r#"{"fps":7}"# {
            break;
        }
    }
    // A normal stop closes the device with 1001 and ends its stream.
    first.terminate(TIMEOUT).expect("the hub exits");
    assert_eq!(device.refused(TIMEOUT).await.1, 1001);
    let connection = store::open(&data).unwrap().0;
    let open = "SELECT count(*) FROM stream WHERE ended IS NULL";
    let count = |connection: &rusqlite::Connection| -> i64 {
        connection.query_row(open, [], |row| row.get(0)).unwrap()
    };
    assert_eq!(count(&connection), 0);

    let second = keeping(&data);
    let cameras = get(second.addr(), "/api/v1/cameras").await.json();
    assert_eq!(
        cameras["data"][0]["kind"], "push",
        "its camera exists again"
    );
    let (_device, _) = Device::ready(second.addr(), &key).await;
    assert_eq!(count(&connection), 1);
    // A killed hub cannot end the stream; the next start does.
    second.signal(rustix::process::Signal::KILL);
    drop(second);
    assert_eq!(count(&connection), 1);
    let third = keeping(&data);
    let kept = streams(third.addr()).await;
    let kept: Vec<_> = kept
        .iter()
        .map(|stream| (&stream["status"], &stream["lastStatsJson"]))
        .collect();
    let stats = json!(r#"{"fps":7}"#);
    assert_eq!(
        kept,
        [(&json!("ended"), &Value::Null), (&json!("ended"), &stats)]
    );
}

#[tokio::test]
async fn keys_are_minted_and_revoked_with_and_without_a_running_hub() {
    let dir = Dir::new("keys");
    let data = dir.0.join("kept");
    let key = |arguments: &[&str]| {
        let mut command = Command::new(OCELLI);
        command.arg("key").args(arguments).arg("--data").arg(&data);
        command.output().expect("the program runs")
    };
    let secret = stdout_of(&key(&["create", "cam1"]));
    assert!(secret.starts_with("wsk_"));
    let bad = key(&["create", "a/b"]);
    assert_eq!(bad.status.code(), Some(2), "{bad:?}");
    let hub = keeping(&data);
    let path = "/ingest/ws?app=live&room=cam1";
    let bearer = format!("Bearer {secret}");
    let mut device = Device::open(hub.addr(), path, &[("authorization", &bearer)]).await;
    let identity = format!("live-cam1/wscam-{}", &secret[secret.len() - 4..]);
    assert_eq!(device.text().await["streamId"], identity);

    // A key created while the hub runs is valid at once, and its camera exists.
    let later = stdout_of(&key(&["create", "live-cam2", "--identity", "roof"]));
    let path = format!("/ingest/ws?app=live&room=cam2&key={later}");
    let mut second = Device::open(hub.addr(), &path, &[]).await;
    assert_eq!(second.text().await["streamId"], "live-cam2/roof");
    let listed = stdout_of(&key(&["list"]));
    assert!(!listed.contains("wsk_"), "{listed}");
    let id = listed.lines().find(|line| line.contains("roof")).unwrap();
    let id = id.split_whitespace().next().unwrap();
    assert!(id.starts_with("wsi_"));
    stdout_of(&key(&["revoke", id]));
    let again = key(&["revoke", id]);
    assert_eq!(again.status.code(), Some(1), "{again:?}");
    let mut third = Device::open(hub.addr(), &path, &[]).await;
    assert_eq!(third.refused(TIMEOUT).await.1, 4401);

    // Neither the log nor any file shows the secrets.
    let log = hub.stderr().join("\n");
    assert!(log.contains("live-cam2/roof"), "{log}");
    for hidden in [&secret, &later] {
        assert!(!log.contains(&hidden[4..]), "{log}");
        for entry in std::fs::read_dir(&data).unwrap().flatten() {
            let bytes = std::fs::read(entry.path()).unwrap();
            let found = bytes
                .windows(hidden.len())
                .any(|part| part == hidden.as_bytes());
            assert!(!found, "{:?}", entry.path());
        }
    }
}

#[tokio::test]
async fn configured_limits_apply() {
    let dir = Dir::new("limits");
    let hub = configured(
        &dir,
        "listen = \"127.0.0.1:0\"\n[app.live]\nws_ingest = { max_fps = 7, max_frame_kb = 64, \
         idle_timeout = \"5s\", max_cameras = 1 }\n",
    );
    let hub = hub.env("OCELLI_ADMIN_TOKEN", ADMIN).start();
    let key = Key::create(hub.addr(), "live", "cam1").await;
    let other = Key::create(hub.addr(), "live", "cam2").await;
    let (mut device, ready) = Device::ready(hub.addr(), &key).await;
    assert_eq!(
        (
            &ready["maxFps"],
            &ready["maxFrameBytes"],
            &ready["idleTimeoutSec"]
        ),
        (&json!(7), &json!(65_536), &json!(5))
    );
    let bearer = format!("Bearer {}", other.secret);
    let mut second = Device::open(hub.addr(), &other.path, &[("authorization", &bearer)]).await;
    assert_eq!(
        second.refused(TIMEOUT).await,
        ("quota_exceeded".to_owned(), 4403)
    );
    assert_eq!(
        device.refused(TIMEOUT).await,
        ("idle_timeout".to_owned(), 4408)
    );
    for (limits, word) in [
        ("max_fps = 0", "from 1 to 240"),
        ("max_fsp = 3", "`max_fps`"),
        ("idle_timeout = \"1ms\"", "idle_timeout"),
        ("enabled = 1", "true or false"),
    ] {
        let text = format!("[app.live]\nws_ingest = {{ {limits} }}\n");
        let fault = ocelli::config::Config::parse(&text).err().expect(limits);
        assert!(fault.message.contains(word), "{fault}");
    }
}

/// Runs a fleet against a hub; returns its output and its exit code.
async fn fleet(hub: &Hub, arguments: &[&str]) -> (String, Option<i32>) {
    let mut command = Command::new(OCELLI);
    command
        .args(["simulate", "--url", &hub.url("")])
        .args(arguments)
        .env("OCELLI_TOKEN", ADMIN);
    let output = finished(&mut command).await;
    let stderr_text = String::from_utf8_lossy(&output.stderr).into_owned();
    (stderr_text, output.status.code())
}

#[tokio::test]
async fn a_simulated_fleet_pushes_and_revokes_its_keys() {
    let dir = Dir::new("fleet");
    let hub = keeping(&dir.0.join("kept"));
    let (output_text, code) =
        fleet(&hub, &["--cameras", "20", "--fps", "5", "--seconds", "4"]).await;
    assert_eq!(code, Some(0), "{output_text}");
    assert!(
        output_text.contains("connected   20 of 20"),
        "{output_text}"
    );
    assert!(output_text.contains("closed      none"), "{output_text}");
    let sent = output_text
        .lines()
        .find_map(|line| line.strip_prefix("sent"))
        .expect(&output_text);
    let sent: u64 = sent.split_whitespace().next().unwrap().parse().unwrap();
    assert!(sent > 20 * 5, "{output_text}");
    let left = call(hub.addr(), "GET /api/v1/apps/live/ws-ingest", ADMIN, "")
        .await
        .json();
    assert_eq!(left["total"], 0);
    let series = call(hub.addr(), "GET /api/v1/series", ADMIN, "")
        .await
        .json();
    assert_eq!(series["data"], json!([]), "the fleet's series are deleted");
    let seen = streams(hub.addr()).await;
    assert_eq!(seen.len(), 20);
    let body: Value = serde_json::from_str(seen[0]["lastStatsJson"].as_str().unwrap()).unwrap();
    assert_eq!(body["fps"], 5.0);

    // Without a token, or with an invalid one.
    let mut command = Command::new(OCELLI);
    let output = finished(command.arg("simulate").env_remove("OCELLI_TOKEN")).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("OCELLI_TOKEN"));
    let mut command = Command::new(OCELLI);
    command
        .args(["simulate", "--url", &hub.url("")])
        .env("OCELLI_TOKEN", "sk_wrong");
    let output = finished(&mut command).await;
    let output_text = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.code() == Some(1) && output_text.contains("401"),
        "{output_text}"
    );
    assert!(!output_text.contains("sk_wrong"));
}

#[tokio::test]
async fn a_misbehaving_fleet_does_not_affect_others() {
    let dir = Dir::new("chaos");
    let hub = keeping(&dir.0.join("kept"));
    let key = Key::create(hub.addr(), "live", "calm").await;
    let (mut calm, _) = Device::ready(hub.addr(), &key).await;
    let arguments = [
        "--cameras",
        "20",
        "--fps",
        "15",
        "--seconds",
        "8",
        "--chaos",
    ];
    let fleet = fleet(&hub, &arguments);
    tokio::pin!(fleet);
    let mut shown = 0;
    let (output_text, code) = loop {
        tokio::select! {
            done = &mut fleet => break done,
            () = tokio::time::sleep(Duration::from_millis(100)) => {
                calm.show(picture(shown)).await;
                shown += 1;
            }
        }
    };
    assert_eq!(code, Some(0), "{output_text}");
    for closed in ["4409 replaced", "4413 frame_too_large", "1003 not_jpeg"] {
        assert!(output_text.contains(closed), "{closed}: {output_text}");
    }
    assert!(calm.stays_open(Duration::from_millis(200)).await);
    let listed = call(hub.addr(), "GET /api/v1/apps/live/ws-ingest", ADMIN, "")
        .await
        .json();
    assert_eq!(listed["total"], 1);
    let device = &listed["data"][0]["device"];
    assert_eq!(
        (&device["frames"], &device["aboveRate"]),
        (&json!(shown), &json!(0))
    );
}

/// Compiles the board firmware for this machine.
async fn board(dir: &Dir) -> std::path::PathBuf {
    let firmware = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../firmware/esp32cam");
    let compile = async |arguments: &[&str]| {
        let mut compiler = Command::new("g++");
        compiler.current_dir(&firmware);
        compiler.args(["-std=c++17", "-Wall", "-Wextra", "-Werror"]);
        let output = finished(compiler.args(arguments)).await;
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    };
    // The sketch, in each configuration.
    for tls in ["-DHUB_TLS=0", "-DHUB_TLS=1"] {
        for profile in ["-DPROFILE=1", "-DPROFILE=2"] {
            let check = [
                "-fsyntax-only",
                "-I",
                "test/stubs",
                tls,
                profile,
                "-x",
                "c++",
            ];
            compile(&[&check[..], &["esp32cam.ino"]].concat()).await;
        }
    }
    let program = dir.0.join("board");
    let to = program.to_str().unwrap();
    compile(&["-O1", "device.cpp", "test/host.cpp", "-o", to]).await;
    program
}

#[tokio::test]
async fn the_board_firmware_pushes_and_obeys_close_codes() {
    use tokio::io::{AsyncBufReadExt, BufReader};
    let dir = Dir::new("board");
    let program = board(&dir).await;
    let checked = finished(Command::new(&program).arg("check")).await;
    assert!(
        checked.status.success(),
        "{}",
        String::from_utf8_lossy(&checked.stdout)
    );

    let hub = keeping(&dir.0.join("kept"));
    let limit = r#"{"wsIngest":{"maxFps":20}}"#;
    call(hub.addr(), "PATCH /api/v1/apps/live", ADMIN, limit).await;
    let key = Key::create(hub.addr(), "live", "cam1").await;
    let jpeg = dir.0.join("picture.jpg");
    std::fs::write(&jpeg, picture(5)).unwrap();
    let run = |secret: &str| {
        let mut board = tokio::process::Command::new(&program);
        board
            .arg(hub.addr().ip().to_string())
            .arg(hub.addr().port().to_string());
        board.arg(&key.path).arg(secret).arg(&jpeg).arg("20");
        board
            .stdout(std::process::Stdio::piped())
            .kill_on_drop(true);
        let mut board = board.spawn().unwrap();
        let lines = BufReader::new(board.stdout.take().unwrap()).lines();
        (board, lines)
    };
    let (_running, mut lines) = run(&key.secret);
    let mut line = async || {
        let line = tokio::time::timeout(TIMEOUT, lines.next_line()).await;
        line.expect("a line in time").unwrap().expect("a line")
    };
    assert_eq!(line().await, "ready 20 262144");
    assert_eq!(line().await, "stats sent");
    let device = loop {
        let listed = call(hub.addr(), "GET /api/v1/apps/live/ws-ingest", ADMIN, "")
            .await
            .json();
        let device = listed["data"][0]["device"].clone();
        if device["frames"] == 20 {
            break device;
        }
    };
    assert_eq!(
        (&device["aboveRate"], &device["notJpeg"]),
        (&json!(0), &json!(0))
    );
    let frame = Command::new("curl")
        .arg("-sf")
        .arg(hub.url("/live/live/cam1/frame.jpg"))
        .output();
    assert_eq!(frame.unwrap().stdout, std::fs::read(&jpeg).unwrap());
    // Another device connects with the same key: the board yields.
    let (_other, _) = Device::ready(hub.addr(), &key).await;
    assert_waits(&line().await, "replaced, sent 20", 60_000);
    // With a wrong key, it waits a long time before the next attempt.
    let (_running, mut lines) = run("wsk_wrong");
    let message = tokio::time::timeout(TIMEOUT, lines.next_line()).await;
    assert_waits(
        &message.unwrap().unwrap().unwrap(),
        "invalid_key, sent 0",
        150_000,
    );
}

/// Checks the reason in a board's output, and that it waits at least this many ms.
fn assert_waits(line: &str, why: &str, least: u64) {
    let wait = line.strip_prefix(&format!("closed {why}, wait "));
    let wait: u64 = wait.unwrap_or_else(|| panic!("{line}")).parse().unwrap();
    assert!(wait >= least, "{line}");
}
