//! What the hub stores across restarts, and how it runs if the store fails.

use crate::support::TIMEOUT;
use crate::support::device::ADMIN;
use crate::support::http::{call, get};
use crate::support::hub::{OCELLI, stdout_of};
use crate::support::tempdir::Dir;
use crate::support::wall::Wall;
use ocelli_testkit::{Hub, HubBuilder};
use std::fs;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

const CAMERA: &str = "cam1=pattern:?size=64x48&fps=20";

fn hub(data: &Path) -> Hub {
    let builder = Hub::builder(OCELLI).env("OCELLI_ADMIN_TOKEN", ADMIN);
    builder
        .args(["serve", "--listen", "127.0.0.1:0", CAMERA, "--data"])
        .arg(data)
        .start()
}

fn token(data: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(OCELLI);
    command.arg("token").args(arguments).arg("--data").arg(data);
    command.output().expect("the program runs")
}

#[tokio::test]
async fn a_second_hub_on_a_directory_runs_its_cameras_and_changes_nothing() {
    let dir = Dir::new("shared");
    let first = hub(&dir.0);
    let second = hub(&dir.0);
    let line = second.wait_stderr("another hub is using", TIMEOUT);
    assert!(line.expect("a reason").contains("--data"));
    // The first hub's store may contain that the app is private.
    let frame = get(second.addr(), "/live/live/cam1/frame.jpg").await;
    assert_eq!(frame.status(), 401, "{frame:?}");
    let frame = call(second.addr(), "GET /live/live/cam1/frame.jpg", ADMIN, "").await;
    assert_eq!(frame.status(), 200, "{frame:?}");
    let body = r#"{"name":"barn"}"#;
    let made = call(second.addr(), "POST /api/v1/apps", ADMIN, body).await;
    assert_eq!(made.status(), 503, "{made:?}");
    let made = call(first.addr(), "POST /api/v1/apps", ADMIN, body).await;
    assert_eq!(made.status(), 201, "{made:?}");
    // The next hub can use the directory of a hub that was killed.
    drop((first, second));
    let third = hub(&dir.0);
    let apps = call(third.addr(), "GET /api/v1/apps/barn", ADMIN, "").await;
    assert_eq!(apps.status(), 200, "{apps:?}");
}

#[tokio::test]
async fn apps_and_tokens_survive_a_restart() {
    let dir = Dir::new("restart");
    let data = dir.0.join("kept/here");
    let mut first = hub(&data);
    let made = call(
        first.addr(),
        "POST /api/v1/apps",
        ADMIN,
        r#"{"name":"barn"}"#,
    )
    .await;
    assert_eq!(made.status(), 201, "{made:?}");
    let hidden = r#"{"publicPlayback":false}"#;
    let live = call(first.addr(), "PATCH /api/v1/apps/live", ADMIN, hidden).await;
    assert_eq!(live.status(), 200, "{live:?}");
    let body = r#"{"name":"reader","scope":"global","permissions":["app:read"]}"#;
    let token = call(first.addr(), "POST /api/v1/tokens", ADMIN, body).await;
    let token = token.json()["data"]["token"].clone();
    let token = token.as_str().expect("a token").to_owned();
    let ended = first.terminate(TIMEOUT).expect("the hub exits");
    assert!(ended.0.success());

    let second = hub(&data);
    let apps = call(second.addr(), "GET /api/v1/apps", &token, "")
        .await
        .json();
    let apps = &apps["data"];
    assert_eq!(apps[0]["id"], "barn");
    assert_eq!(
        (&apps[1]["id"], &apps[1]["publicPlayback"]),
        (&"live".into(), &false.into())
    );
    let hidden = get(second.addr(), "/live/live/cam1/frame.jpg").await;
    assert_eq!(hidden.status(), 401, "{hidden:?}");
}

#[tokio::test]
async fn the_configuration_takes_precedence_over_stored_apps() {
    let dir = Dir::new("before");
    let data = dir.0.join("kept");
    let first = hub(&data);
    let barn = r#"{"name":"barn","roomPrefix":"farm"}"#;
    let made = call(first.addr(), "POST /api/v1/apps", ADMIN, barn).await;
    assert_eq!(made.status(), 201, "{made:?}");
    let hidden = r#"{"publicPlayback":false}"#;
    let changed = call(first.addr(), "PATCH /api/v1/apps/live", ADMIN, hidden).await;
    assert_eq!(changed.status(), 200, "{changed:?}");
    drop(first);
    let config = dir.write(
        "ocelli.toml",
        "listen = \"127.0.0.1:0\"\n[app.live]\n[app.yard]\nroom_prefix = \"farm\"\n",
    );
    let builder = Hub::builder(OCELLI).env("OCELLI_ADMIN_TOKEN", ADMIN);
    let builder = builder.args(["serve", CAMERA, "--data"]).arg(&data);
    let second = builder.arg("--config").arg(config).start();
    let apps = call(second.addr(), "GET /api/v1/apps", ADMIN, "")
        .await
        .json();
    let apps = apps["data"].as_array().expect("a list").clone();
    let names: Vec<_> = apps.iter().map(|app| app["id"].clone()).collect();
    assert_eq!(names, ["live", "yard"]);
    assert!(
        apps.iter()
            .all(|app| app["readOnly"] == true && app["publicPlayback"] == true)
    );
    let line = second.wait_stderr("\"barn\" is skipped", TIMEOUT);
    assert!(line.is_some_and(|line| line.contains("\"yard\"")));
}

#[tokio::test]
async fn stored_files_are_private_and_contain_no_token() {
    let dir = Dir::new("modes");
    let data = dir.0.join("kept");
    let hub = hub(&data);
    let secret = stdout_of(&token(&data, &["create", "phone"]));
    let mode = |file: &fs::File| {
        let metadata = file.metadata().expect("the file's metadata");
        metadata.permissions().mode() & 0o777
    };
    assert_eq!(mode(&fs::File::open(&data).expect("a directory")), 0o700);
    let mut files = 0;
    for entry in fs::read_dir(&data).expect("a directory").flatten() {
        // SQLite's temporary journal may already be gone, because the series database is opened
        // at the same time.
        let mut file = match fs::File::open(entry.path()) {
            Ok(file) => file,
            Err(fault) if fault.kind() == ErrorKind::NotFound => continue,
            Err(fault) => panic!("{entry:?}: {fault}"),
        };
        files += 1;
        assert_eq!(mode(&file), 0o600, "{entry:?}");
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).expect("a file");
        let found = |needle: &str| bytes.windows(needle.len()).any(|w| w == needle.as_bytes());
        assert!(
            !found(&secret) && !found(&secret[3..]) && !found(ADMIN),
            "{entry:?}"
        );
    }
    assert!(files >= 3);
    drop(hub);
}

#[tokio::test]
async fn tokens_created_while_a_hub_runs_are_valid_until_revoked() {
    let dir = Dir::new("beside");
    let data = dir.0.join("kept");
    let arguments = [
        "create",
        "reader",
        "--app",
        "live",
        "--permission",
        "app:read",
    ];
    let before = stdout_of(&token(&data, &arguments));
    let hub = hub(&data);
    let beside = stdout_of(&token(&data, &arguments));
    for secret in [&before, &beside] {
        let response = call(hub.addr(), "GET /api/v1/apps", secret, "").await;
        assert_eq!(response.status(), 200, "{response:?}");
    }
    let listed = stdout_of(&token(&data, &["list"]));
    assert_eq!(listed.lines().count(), 2);
    for line in listed.lines() {
        assert!(line.contains("live") && line.contains("app:read") && line.contains("\"reader\""));
        assert!(!line.contains("sk_"), "{line}");
        let id = line.split_whitespace().next().expect("an id");
        stdout_of(&token(&data, &["revoke", id]));
        let again = token(&data, &["revoke", id]);
        assert_eq!(again.status.code(), Some(1), "{again:?}");
    }
    for secret in [&before, &beside] {
        let response = call(hub.addr(), "GET /api/v1/apps", secret, "").await;
        response.is_problem(401, "revoked");
    }
    let wrong = token(&data, &["create", "x", "--permission", "app:raed"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("\"app:read\""));
}

/// The status of a picture for an anonymous viewer: 200 if the app is public.
async fn anonymous(hub: &Hub) -> u16 {
    let frame = get(hub.addr(), "/live/live/cam1/frame.jpg").await;
    frame.status()
}

/// Checks that cameras play, to anonymous viewers with this status, that requests which need the
/// store get the reason, and that the admin token still works.
async fn assert_cameras_play(data: &Path, word: &str, status: u16) {
    let hub = hub(data);
    let line = hub.wait_stderr("can't be used", TIMEOUT);
    let line = line.expect("a log line");
    assert!(line.contains(word), "{line}");
    assert_eq!(line.contains("is not public"), status == 401, "{line}");
    assert_eq!(anonymous(&hub).await, status);
    let frame = call(hub.addr(), "GET /live/live/cam1/frame.jpg", ADMIN, "").await;
    assert_eq!(frame.status(), 200, "{frame:?}");
    let ready = get(hub.addr(), "/ready").await;
    assert_eq!(ready.status(), 200, "{ready:?}");
    let problem = ready.json()["problems"][0].to_string();
    assert!(problem.contains(word), "{problem}");
    let apps = call(hub.addr(), "GET /api/v1/apps", ADMIN, "").await;
    assert_eq!(apps.status(), 200, "{apps:?}");
    let other = format!("sk_{}", "0".repeat(64));
    for (line, token, body) in [
        ("POST /api/v1/apps", ADMIN, r#"{"name":"barn"}"#),
        (
            "PATCH /api/v1/apps/live",
            ADMIN,
            r#"{"publicPlayback":false}"#,
        ),
        ("GET /api/v1/tokens", ADMIN, ""),
        (
            "POST /api/v1/tokens",
            ADMIN,
            r#"{"name":"a","scope":"global"}"#,
        ),
        ("DELETE /api/v1/tokens/tok_1", ADMIN, ""),
        ("GET /api/v1/apps", other.as_str(), ""),
    ] {
        call(hub.addr(), line, token, body)
            .await
            .is_problem(503, word);
    }
    let apps = call(hub.addr(), "GET /api/v1/apps", ADMIN, "").await.json();
    assert_eq!(apps["data"].as_array().map(Vec::len), Some(1), "{apps}");
}

#[tokio::test]
async fn cameras_play_without_a_store() {
    let dir = Dir::new("broken");
    // Not a database.
    let data = dir.0.join("rubbish");
    fs::create_dir(&data).expect("a directory");
    fs::write(data.join("ocelli.db"), "rubbish ".repeat(2000)).expect("a file");
    assert_cameras_play(&data, "ocelli.db", 401).await;
    let garbage = fs::read(data.join("ocelli.db")).expect("a file");
    assert!(garbage.starts_with(b"rubbish"), "the damaged file is kept");

    // A database with an intact header and corrupt pages.
    let data = dir.0.join("broken");
    stdout_of(&token(&data, &["list"]));
    let mut bytes = fs::read(data.join("ocelli.db")).expect("a file");
    bytes[4096..].fill(0xa5);
    fs::write(data.join("ocelli.db"), bytes).expect("a file");
    assert_cameras_play(&data, "malformed", 401).await;

    // No user can create a directory there, so nothing was ever stored in it.
    assert_cameras_play(Path::new("/proc/ocelli"), "/proc/ocelli", 200).await;

    // An invalid key file.
    let data = dir.0.join("key");
    stdout_of(&token(&data, &["list"]));
    fs::write(data.join("token.key"), "short").expect("a file");
    assert_cameras_play(&data, "token.key", 401).await;
}

#[tokio::test]
async fn a_private_app_stays_private_if_its_store_cannot_be_opened() {
    let dir = Dir::new("closed");
    let data = dir.0.join("kept");
    let mut first = hub(&data);
    let hidden = r#"{"publicPlayback":false}"#;
    let changed = call(first.addr(), "PATCH /api/v1/apps/live", ADMIN, hidden).await;
    assert_eq!(changed.status(), 200, "{changed:?}");
    assert_eq!(anonymous(&first).await, 401);
    let ended = first.terminate(TIMEOUT).expect("the hub exits");
    assert!(ended.0.success());

    // A full disk: SQLite can't write its log.
    let with_full_disk = |arguments: &[&str]| {
        let script = "ulimit -f 0; exec \"$0\" \"$@\"";
        let builder = HubBuilder::new("/bin/sh").args(["-c", script, OCELLI]);
        builder
            .args(["serve", "--listen", "127.0.0.1:0", CAMERA, "--data"])
            .arg(&data)
            .args(arguments)
            .start()
    };
    let second = with_full_disk(&[]);
    let line = second.wait_stderr("\"live\" is not public", TIMEOUT);
    assert!(line.is_some(), "{:?}", second.stderr());
    assert_eq!(anonymous(&second).await, 401);
    let hello = Wall::v2(second.addr()).await.event("hello").await;
    assert_eq!(hello["cameras"].as_array().map(Vec::len), Some(0));
    drop(second);

    let public = "[app.live]\npublic_playback = true\n";
    let config = dir.write("ocelli.toml", public);
    let third = with_full_disk(&["--config", config.to_str().expect("a path")]);
    assert_eq!(
        anonymous(&third).await,
        200,
        "the configuration takes precedence"
    );
}

#[tokio::test]
async fn a_hub_that_never_stored_anything_is_public_on_a_full_disk() {
    let dir = Dir::new("never");
    let script = "ulimit -f 0; exec \"$0\" \"$@\"";
    for _ in 0..2 {
        let builder = HubBuilder::new("/bin/sh").args(["-c", script, OCELLI]);
        let builder = builder.args(["serve", "--listen", "127.0.0.1:0", CAMERA, "--data"]);
        let hub = builder.arg(dir.0.join("kept")).start();
        let line = hub.wait_stderr("nothing was ever stored", TIMEOUT);
        assert!(line.is_some(), "{:?}", hub.stderr());
        assert_eq!(anonymous(&hub).await, 200);
    }
}

#[test]
fn several_processes_may_open_one_directory_at_once() {
    let dir = Dir::new("crowd");
    let data = dir.0.join("kept");
    let made: Vec<String> = std::thread::scope(|scope| {
        let create = || stdout_of(&token(&data, &["create", "one of many"]));
        let all: Vec<_> = (0..8).map(|_| scope.spawn(create)).collect();
        all.into_iter()
            .map(|one| one.join().expect("a token"))
            .collect()
    });
    assert_eq!(made.len(), 8);
    assert_eq!(stdout_of(&token(&data, &["list"])).lines().count(), 8);
}

#[tokio::test]
async fn an_invalid_admin_token_ends_startup() {
    let dir = Dir::new("admin");
    let file = dir.write("admin", "sk_written-into-a-file-by-hand\n");
    let path = file.to_string_lossy();
    let refused = |variables: &[(&str, &str)]| {
        let mut command = Command::new(OCELLI);
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(dir.0.join("kept"))
            .envs(variables.iter().copied());
        let output = command.output().expect("the program runs");
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let text = refused(&[("OCELLI_ADMIN_TOKEN", "hushhush")]);
    assert!(
        text.contains("OCELLI_ADMIN_TOKEN") && !text.contains("hushhush"),
        "{text}"
    );
    let both = [
        ("OCELLI_ADMIN_TOKEN", ADMIN),
        ("OCELLI_ADMIN_TOKEN_FILE", &*path),
    ];
    assert!(refused(&both).contains("both"));
    let none = refused(&[("OCELLI_ADMIN_TOKEN_FILE", "/none/such")]);
    assert!(none.contains("/none/such"), "{none}");

    let builder = Hub::builder(OCELLI).env("OCELLI_ADMIN_TOKEN_FILE", &*path);
    let hub = builder.args(["serve", "--listen", "127.0.0.1:0"]).start();
    let written = "sk_written-into-a-file-by-hand";
    let apps = call(hub.addr(), "GET /api/v1/apps", written, "").await;
    assert_eq!(apps.status(), 200, "{apps:?}");
}

/// Checks that the wall shows pictures, that the hub reports the failure, and that changes are
/// refused because of it.
async fn assert_only_the_store_fails(hub: &Hub, wall: &mut Wall, word: &str) {
    for room in ["a", "b", "c"] {
        let body = format!(r#"{{"name":"app-{room}"}}"#);
        let refused = call(hub.addr(), "POST /api/v1/apps", ADMIN, &body).await;
        refused.is_problem(503, word);
    }
    for _ in 0..3 {
        wall.frame_v2().await;
    }
    let ready = get(hub.addr(), "/ready").await;
    assert_eq!(ready.status(), 200, "{ready:?}");
    let problem = ready.json()["problems"][0].to_string();
    assert!(problem.contains(word), "{problem}");
    let metrics = get(hub.addr(), "/metrics").await.body;
    assert!(metrics.contains("\nocelli_store_usable 0"), "{metrics}");
    let log = hub.stderr();
    let failures = log.iter().filter(|line| line.contains("the store failed"));
    assert_eq!(failures.count(), 1, "it must be logged once: {log:?}");
}

#[tokio::test]
async fn a_deleted_database_file_is_noticed_at_once() {
    let dir = Dir::new("away");
    let data = dir.0.join("kept");
    let hub = hub(&data);
    let mut wall = Wall::v2(hub.addr()).await;
    wall.subscribe(&["*"]).await;
    let made = call(hub.addr(), "POST /api/v1/apps", ADMIN, r#"{"name":"barn"}"#).await;
    assert_eq!(made.status(), 201, "{made:?}");

    let (file, aside) = (data.join("ocelli.db"), dir.0.join("aside.db"));
    fs::rename(&file, &aside).expect("the file is moved");
    assert_only_the_store_fails(&hub, &mut wall, "ocelli.db").await;
    let apps = call(hub.addr(), "GET /api/v1/apps", ADMIN, "").await;
    assert_eq!(
        apps.status(),
        200,
        "calls that need no store work: {apps:?}"
    );

    // A backup restored in its place is a different file.
    fs::copy(&aside, &file).expect("a copy");
    let refused = call(hub.addr(), "GET /api/v1/tokens", ADMIN, "").await;
    refused.is_problem(503, "replaced");

    fs::rename(&aside, &file).expect("the file is moved back");
    let tokens = call(hub.addr(), "GET /api/v1/tokens", ADMIN, "").await;
    assert_eq!(tokens.status(), 200, "{tokens:?}");
    let line = hub.wait_stderr("the store works again", TIMEOUT);
    assert!(line.is_some());
    let ready = get(hub.addr(), "/ready").await.json();
    assert_eq!(ready["problems"].as_array().map(Vec::len), Some(0));
    wall.frame_v2().await;
}

#[tokio::test]
async fn a_full_disk_fails_only_the_changes_that_must_be_stored() {
    let dir = Dir::new("full");
    let data = dir.0.join("kept");
    // In units of 512 bytes; most of them go to the write-ahead log of the database.
    let script = "ulimit -f 400; exec \"$0\" \"$@\"";
    let builder = HubBuilder::new("/bin/sh").args(["-c", script, OCELLI]);
    let builder = builder.env("OCELLI_ADMIN_TOKEN", ADMIN);
    let small = builder.args(["serve", "--listen", "127.0.0.1:0", CAMERA, "--data"]);
    let mut small = small.arg(&data).start();
    let mut wall = Wall::v2(small.addr()).await;
    wall.subscribe(&["*"]).await;
    let mut kept = 0;
    loop {
        let body = format!(r#"{{"name":"barn-{kept}"}}"#);
        let made = call(small.addr(), "POST /api/v1/apps", ADMIN, &body).await;
        if made.status() != 201 {
            break made.is_problem(503, "the store's file");
        }
        kept += 1;
        assert!(kept < 1000, "the limit had no effect");
    }
    assert_only_the_store_fails(&small, &mut wall, "the store's file").await;
    let ended = small.terminate(TIMEOUT).expect("the hub exits");
    assert!(ended.0.success());

    let hub = hub(&data);
    let apps = call(hub.addr(), "GET /api/v1/apps", ADMIN, "").await.json();
    let apps = apps["data"].as_array().map(Vec::len);
    assert_eq!(apps, Some(kept + 1), "accepted changes are stored");
}
