//! The command line, as scripts use it.

#![allow(clippy::unwrap_used, reason = "a failed test setup must panic")]

use crate::support::eventually;
use crate::support::http::{ask, get};
use crate::support::hub::{OCELLI, ids};
use crate::support::tempdir::Dir;
use crate::support::wall::Wall;
use ocelli_testkit::Hub;
use rustix::process::{Pid, Signal, kill_process};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

const PATTERN: &str = "pattern:?size=64x48&fps=20";

/// Runs the program until it exits by itself.
fn run(directory: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new("timeout");
    command.arg("10").arg(OCELLI).args(arguments);
    command.current_dir(directory).stdin(Stdio::null());
    command.output().expect("the program runs")
}

fn fails(directory: &Path, arguments: &[&str], code: i32, word: &str) -> String {
    let output = run(directory, arguments);
    let stderr_text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(
        output.status.code(),
        Some(code),
        "{arguments:?}: {stderr_text}"
    );
    assert!(stderr_text.contains(word), "{arguments:?}: {stderr_text}");
    assert!(output.stdout.is_empty(), "errors go to standard error");
    stderr_text
}

fn logs(hub: &Hub, words: &str) -> bool {
    hub.wait_stderr(words, Duration::from_secs(5)).is_some()
}

#[tokio::test]
async fn one_line_on_standard_output_states_where_it_listens() {
    let mut hub = Hub::serve(OCELLI, [PATTERN]);
    let address = hub.addr();
    assert_ne!(address.port(), 0, "the real port");
    assert_eq!(get(address, "/health").await.status(), 200);
    let (status, took) = hub
        .terminate(Duration::from_secs(5))
        .expect("the hub exits");
    assert_eq!(status.code(), Some(0));
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert_eq!(hub.stdout(), [format!("listening on http://{address}")]);
}

#[tokio::test]
async fn sources_are_addresses_or_id_and_address() {
    let second = format!("door={PATTERN}");
    let full = format!("live-yard={PATTERN}");
    let hub = Hub::serve(OCELLI, [PATTERN, &second, PATTERN, &full]);
    // In the order on the command line.
    assert_eq!(ids(&hub).await, ["cam1", "door", "cam3", "yard"]);
    let mut wall = Wall::plain(hub.addr()).await;
    for id in ["cam1", "cam3", "door", "yard"] {
        wall.subscribe(&[id]).await;
        while wall.frame().await.0 != id {}
    }
    // A later equals sign is part of the address.
    let hub = Hub::serve(OCELLI, ["http://127.0.0.1:9/?id=7", PATTERN]);
    assert_eq!(ids(&hub).await, ["cam1", "cam2"]);
}

#[tokio::test]
async fn the_file_and_the_command_line_can_be_combined() {
    let dir = Dir::new("together");
    let text = "listen = \"127.0.0.1:1\"\n[[camera]]\nid = \"file\"\nname = \"From the file\"\n\
                source = \"pattern:\"\nsize = \"64x48\"\n";
    let config = dir.write("named.toml", text);
    let hub = Hub::builder(OCELLI)
        .args(["serve", "--listen", "127.0.0.1:0", "--data"])
        .arg(dir.0.join("kept"))
        .arg("--config")
        .arg(&config)
        .arg(format!("line={PATTERN}"))
        .start();
    assert_eq!(ids(&hub).await, ["file", "line"]);
    // Without --config, the hub reads ocelli.toml in its folder, unless cameras are given.
    dir.write("ocelli.toml", &text.replace("\"file\"", "\"default\""));
    let serve = || {
        let builder = Hub::builder(OCELLI).directory(&dir.0);
        builder.args(["serve", "--listen", "127.0.0.1:0"])
    };
    assert_eq!(ids(&serve().start()).await, ["default"]);
    assert_eq!(ids(&serve().arg(PATTERN).start()).await, ["cam1"]);
    let empty = Dir::new("empty");
    let hub = Hub::builder(OCELLI).directory(&empty.0);
    let hub = hub.args(["serve", "--listen", "127.0.0.1:0"]).start();
    assert!(ids(&hub).await.is_empty());
    assert!(logs(&hub, "ocelli serve rtsp://"), "{:?}", hub.stderr());
}

#[tokio::test]
async fn without_arguments_it_runs_the_folders_file_or_a_demo() {
    let dir = Dir::new("alone");
    dir.write(
        "ocelli.toml",
        "listen = \"localhost:0\"\n[[camera]]\nid = \"mine\"\nsource = \"pattern:\"\n",
    );
    let mut hub = Hub::builder(OCELLI).directory(&dir.0).start();
    assert_eq!(ids(&hub).await, ["mine"]);
    hub.signal(Signal::INT);
    let status = hub.wait(Duration::from_secs(3)).expect("the hub exits");
    assert_eq!(status.code(), Some(0), "a requested stop is a success");
}

#[tokio::test]
async fn the_hub_listens_only_on_this_machine_and_explains_how_to_change_that() {
    let dir = Dir::new("greeting");
    let hub = Hub::builder(OCELLI).directory(&dir.0);
    let hub = hub
        .args(["serve", "--listen", "127.0.0.1:0", PATTERN])
        .start();
    assert!(logs(&hub, "--listen 0.0.0.0:"), "{:?}", hub.stderr());
    let hub = Hub::builder(OCELLI).directory(&dir.0);
    let hub = hub
        .args(["serve", "--listen", "0.0.0.0:0", PATTERN])
        .start();
    assert!(logs(&hub, "Anyone who can reach"), "{:?}", hub.stderr());
}

#[test]
fn wrong_usage_exits_with_2() {
    let dir = Dir::new("usage");
    let fails = |arguments: &[&str], word| fails(&dir.0, arguments, 2, word);
    fails(&["dance"], "dance");
    fails(&["serve", "--dance"], "--dance");
    fails(&["serve", "--listen"], "--listen");
    fails(&["serve", "--listen", "8080"], "127.0.0.1:8080");
    fails(&["serve", "--config", "none.toml"], "none.toml");
    fails(&["serve", "rtps://10.0.0.7/x"], "rtsp:");
    fails(&["serve", "10.0.0.7"], "it should begin with");
    fails(&["serve", "pattern:?fps=0"], "fps");
    fails(&["serve", "a=pattern:", "a=pattern:"], "\"a\"");
    fails(&["serve", "a=pattern:", "live-a=pattern:"], "\"a\"");
    fails(&["check-config"], "ocelli.toml");
    fails(&["check-config", "none.toml"], "none.toml");
    fails(&["check-config", "--config", "none.toml"], "none.toml");
    for help in [&["--help"][..], &["serve", "--help"], &["--version"]] {
        let output = run(&dir.0, help);
        assert_eq!(output.status.code(), Some(0));
        assert!(!output.stdout.is_empty());
    }
}

#[test]
fn an_address_in_use_exits_with_1_and_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let dir = Dir::new("taken");
    let text = fails(
        &dir.0,
        &["serve", "--listen", &address, PATTERN],
        1,
        &address,
    );
    assert!(text.contains("can't listen"), "{text}");
}

#[test]
fn check_config_reports_line_column_and_the_nearest_name() {
    let dir = Dir::new("check");
    let good = "[[camera]]\nid = \"door\"\nsource = \"pattern:\"\n[app.barn]\n";
    let file = dir.write("good.toml", good);
    let output = run(&dir.0, &["check-config", "--config", "good.toml"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let output = run(&dir.0, &["check-config", "good.toml"]);
    assert_eq!(output.status.code(), Some(0));
    let stdout_text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        stdout_text.contains("good.toml") && stdout_text.contains("cameras: 1"),
        "{stdout_text}"
    );
    drop(file);
    for (text, place, nearest) in [
        ("lisen = \"127.0.0.1:0\"\n", "1:1", "`listen`"),
        (
            "\n\n[[camera]]\nid = \"a\"\n  sorce = \"pattern:\"\n",
            "5:3",
            "`source`",
        ),
        (
            "[[camera]]\nid = \"a\"\nsource = \"ptatern:\"\n",
            "3:10",
            "`pattern:`",
        ),
        (
            "[[camera]]\nid = \"a\"\nsource = \"pattern:\"\njpeg = { widht = 5 }\n",
            "4:10",
            "`width`",
        ),
        (
            "[app.live]\npublic_playbck = true\n",
            "2:1",
            "`public_playback`",
        ),
        ("listen\n", "1:", ""),
    ] {
        dir.write("bad.toml", text);
        for arguments in [
            &["check-config", "bad.toml"][..],
            &["serve", "--config", "bad.toml"],
        ] {
            let stdout_text = fails(&dir.0, arguments, 2, &format!("bad.toml:{place}"));
            assert!(stdout_text.contains(nearest), "{text}: {stdout_text}");
        }
    }
    for (text, word) in [
        (
            "[[camera]]\nid = \"a\"\nsource = \"pattern:\"\n".repeat(2),
            "\"a\" already",
        ),
        (
            "[[camera]]\nid = \"a\"\nsource = \"pattern:\"\napp = \"barn\"\n".into(),
            "\"barn\"",
        ),
        (
            "[[camera]]\nid = \"..\"\nsource = \"pattern:\"\n".into(),
            "is not a camera's id",
        ),
        ("[app.x]\n".into(), "is not an app's name"),
    ] {
        dir.write("bad.toml", &text);
        fails(&dir.0, &["check-config", "bad.toml"], 2, word);
    }
}

/// Runs `serve` in a shell, with its output redirected to where it is not read.
fn with_blocked_output(
    address: SocketAddr,
    format: &str,
    redirections: &str,
) -> std::process::Child {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("exec \"$0\" \"$@\" {redirections}")]);
    command.arg(OCELLI).args(["serve", "--listen"]);
    command.arg(address.to_string());
    command.args(["--log-format", format]);
    command.args([PATTERN, "refused=http://127.0.0.1:9/x"]);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command
        .stderr(Stdio::null())
        .spawn()
        .expect("the program runs")
}

#[tokio::test]
async fn the_hub_serves_cameras_while_its_output_is_blocked() {
    for (format, redirections) in [
        ("text", ">/dev/full 2>/dev/full"),
        ("text", "2>&1 | true"),
        ("text", "2>/dev/full"),
        ("text", ">&- 2>&-"),
        ("json", "2>/dev/full"),
        ("json", ">&- 2>&-"),
    ] {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let mut hub = with_blocked_output(address, format, redirections);
        eventually("it listens", || {
            std::net::TcpStream::connect(address).is_ok()
        })
        .await;
        // Each of these makes it log a line.
        let foreign = "GET / HTTP/1.1\r\nHost: foreign.example\r\nConnection: close\r\n\r\n";
        assert_eq!(ask(address, foreign).await.status(), 403, "{redirections}");
        let mut wall = Wall::plain(address).await;
        wall.subscribe(&["*"]).await;
        loop {
            assert_eq!(wall.frame().await.0, "cam1", "{redirections}");
            let listed = get(address, "/api/v1/cameras").await.json();
            let cameras = listed["data"].as_array().expect("a list").clone();
            if cameras.iter().any(|camera| camera["state"] == "failed") {
                break;
            }
        }
        let pid = Pid::from_raw(hub.id() as i32).unwrap();
        if redirections.contains('|') {
            // The shell stays until the writer of its pipe ends.
            let children = ocelli_testkit::children_of(hub.id());
            let child = children.first().expect("the hub");
            kill_process(Pid::from_raw(child.pid as i32).unwrap(), Signal::TERM).unwrap();
            hub.wait().unwrap();
        } else {
            kill_process(pid, Signal::TERM).unwrap();
            let status = hub.wait().unwrap();
            assert_eq!(status.code(), Some(0), "{redirections}");
        }
    }
}
