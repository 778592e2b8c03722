//! Sources of samples: netcat, a raw socket, `ocelli plot`.

use super::{OCELLI, Viewer, api, netcat, netcat_open, plain_site, points, series, site};
use crate::support::TIMEOUT;
use crate::support::tempdir::Dir;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

#[tokio::test]
async fn the_one_liner_is_a_source() {
    let (site, _dir) = plain_site();
    let (mut viewer, history) = Viewer::open(site.ws, "/").await;
    assert_eq!(history, json!({ "series": [] }));
    viewer.ask().await;
    let line = format!(
        "printf 'temp\\n%s000 21.5\\n' $(date +%s) | nc -N 127.0.0.1 {}",
        site.tcp.port()
    );
    let done = Command::new("sh").args(["-c", &line]).status().unwrap();
    assert!(done.success());
    let mut batch = viewer.next().await;
    while points(&batch)["temp"].is_empty() {
        // The series may be announced before its first sample.
        batch = viewer.batch().await;
    }
    assert_eq!(points(&batch)["temp"][0].1, 21.5);
    // Later viewers get it in the history, on the main port too.
    for (address, path) in [(site.ws, "/any/path"), (site.hub.addr(), "/ws/series")] {
        let (_, history) = Viewer::open(address, path).await;
        assert_eq!(points(&history)["temp"], points(&batch)["temp"]);
    }
}

#[tokio::test]
async fn a_netcat_that_stays_connected_is_a_source() {
    let (site, _dir) = plain_site();
    // Without -N it does not close when its input ends; what it sent counts at once.
    let mut child = Command::new("nc")
        .args(["127.0.0.1", &site.tcp.port().to_string()])
        .stdin(Stdio::piped())
        .spawn()
        .expect("netcat-openbsd");
    let input = child.stdin.take().unwrap();
    (&input).write_all(b"temp\n1700000000000 21.5\n").unwrap();
    drop(input);
    let status = series(&site, "temp", |one| one["points"] == 1).await;
    assert_eq!(status["sources"], 1);
    child.kill().unwrap();
    child.wait().unwrap();
    series(&site, "temp", |one| one["sources"] == 0).await;
}

#[tokio::test]
async fn garbage_between_samples_is_ignored() {
    let (site, _dir) = plain_site();
    let mut text = b"noisy\n1 1\n".to_vec();
    for line in 0..1000_u32 {
        let bytes = (0..60).map(|i| (((line * 60 + i) * 7919) >> 3) as u8);
        text.extend(bytes.map(|byte| if byte == b'\n' { 0 } else { byte }));
        text.push(b'\n');
    }
    text.extend(b"2 2\n");
    assert_eq!(netcat(site.tcp, &text), "");
    let status = series(&site, "noisy", |one| one["sources"] == 0).await;
    assert_eq!(
        (&status["points"], &status["malformed"]),
        (&json!(2), &json!(1000)),
        "{status}"
    );
    let shown = status["lastMalformed"].as_str().unwrap();
    assert!(!shown.contains(char::is_control), "{shown:?}");
}

#[tokio::test]
async fn invalid_lines_are_counted_and_do_not_end_the_connection() {
    let (site, _dir) = plain_site();
    let now = 1_700_000_000_000_u64;
    // CRLF, an empty line, garbage, NaN, a control character (BEL), times that repeat and go
    // back, and a last line without its newline.
    let text = format!(
        "Küche oben\r\n{now} 1\r\n\r\nrubbish\r\n{now} nan\r\n{now} 2\n{} -3e-2\nbell \x07 {}\n{} 4",
        now - 5000,
        "x".repeat(300),
        now + 1
    );
    assert_eq!(netcat(site.tcp, text.as_bytes()), "");
    let status = series(&site, "Küche oben", |one| one["sources"] == 0).await;
    assert_eq!(status["points"], 4, "{status}");
    assert_eq!(status["malformed"], 3, "{status}");
    assert_eq!(status["newest"], json!([(now + 1) as f64, 4.0]), "{status}");
    let shown = status["lastMalformed"].as_str().unwrap();
    assert!(
        shown.starts_with("bell \u{fffd} x") && shown.ends_with('…'),
        "{shown}"
    );
    assert!(shown.len() < 200, "{shown}");
    let sources = api(&site, "GET /api/v1/series/sources", "").await.json();
    let source = &sources["data"][0];
    assert_eq!(
        (&source["points"], &source["malformed"]),
        (&json!(4), &json!(3))
    );
    assert!(
        source["from"].as_str().unwrap().starts_with("127.0.0.1:"),
        "{source}"
    );
    assert!(
        source["since"].as_u64().unwrap() > now && source["endedAt"].is_u64(),
        "{source}"
    );
    let (_, history) = Viewer::open(site.ws, "/").await;
    let ys: Vec<f64> = points(&history)["Küche oben"]
        .iter()
        .map(|point| point.1)
        .collect();
    assert_eq!(ys, [1.0, 2.0, -0.03, 4.0]);
}

#[tokio::test]
async fn invalid_sources_get_the_reason_and_others_continue() {
    let (site, _dir) = plain_site();
    let (mut child, mut input) = netcat_open(site.tcp);
    input.write_all(b"steady\n1700000000000 1\n").unwrap();
    series(&site, "steady", |one| one["points"] == 1).await;
    let megabyte = [b"long\n1 1\n".to_vec(), vec![b'7'; 1 << 20]].concat();
    let garbage: Vec<u8> = (0..200_000_u32)
        .map(|i| ((i * 7919) >> 3) as u8 | 0x80)
        .collect();
    let http = b"POST / HTTP/1.1\r\nHost: hub\r\n\r\nstolen\n1 1\n".to_vec();
    for (text, word) in [
        (megabyte, "4096"),
        (garbage, "4096"),
        (b"\xff\xfe\n1 1\n".to_vec(), "UTF-8"),
        (b"\n1 1\n".to_vec(), "empty"),
        ([vec![b'n'; 256], b"\n1 1\n".to_vec()].concat(), "255"),
        (http, "HTTP"),
        (b"commas\n1,2\n\nx;y\n".to_vec(), "none of the 2 lines"),
        (b"half\n1".to_vec(), "the last one is \"1\""),
    ] {
        // A source refused while writing may only see the connection closed.
        let output_text = refusal(site.tcp, &text);
        assert!(
            output_text.starts_with("ocelli: ") && output_text.contains(word),
            "{word}: {output_text}"
        );
    }
    // Samples before the long line are kept, and no other series was created.
    let status = series(&site, "long", |one| one["sources"] == 0).await;
    assert_eq!(status["points"], 1);
    let list = api(&site, "GET /api/v1/series", "").await.json();
    assert_eq!(list["data"].as_array().unwrap().len(), 2, "{list}");
    // A source without a valid line leaves no series, but its name and the reason are listed.
    let sources = api(&site, "GET /api/v1/series/sources", "").await.json();
    let sources = sources["data"].as_array().unwrap();
    let commas = sources.iter().find(|source| source["name"] == "commas");
    let commas = commas.expect("the source with commas");
    assert_eq!(
        (&commas["malformed"], &commas["points"]),
        (&json!(2), &json!(0))
    );
    let reason = commas["ended"].as_str().unwrap();
    assert!(reason.contains("none of the 2 lines"), "{reason}");
    input.write_all(b"1700000000001 2\n").unwrap();
    drop(input);
    child.wait().unwrap();
    series(&site, "steady", |one| one["points"] == 2).await;
}

/// Returns the hub's answer to a source that writes this.
fn refusal(address: SocketAddr, text: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    let mut writing = stream.try_clone().unwrap();
    let text = text.to_vec();
    let writer = std::thread::spawn(move || {
        let _ = writing.write_all(&text);
        let _ = writing.shutdown(std::net::Shutdown::Write);
    });
    let mut received = Vec::new();
    let _ = stream.read_to_end(&mut received);
    writer.join().unwrap();
    String::from_utf8_lossy(&received).into_owned()
}

#[tokio::test]
async fn a_source_that_disconnects_abruptly_loses_only_its_partial_line() {
    let (site, _dir) = plain_site();
    let stream = TcpStream::connect(site.tcp).unwrap();
    (&stream).write_all(b"cut\n1 1\n2 2\n3 3").unwrap();
    series(&site, "cut", |one| one["points"] == 2).await;
    // Closed abruptly: the kernel sends a reset.
    let socket = socket2::SockRef::from(&stream);
    socket.set_linger(Some(Duration::ZERO)).unwrap();
    drop(stream);
    let status = series(&site, "cut", |one| one["sources"] == 0).await;
    assert_eq!(
        (&status["points"], &status["malformed"]),
        (&json!(2), &json!(0))
    );
}

#[tokio::test]
async fn two_sources_with_one_name_write_one_series() {
    let (site, _dir) = plain_site();
    let mut inputs: Vec<_> = (0..2).map(|_| netcat_open(site.tcp)).collect();
    for (_, input) in &mut inputs {
        input.write_all(b"shared\n").unwrap();
    }
    series(&site, "shared", |one| one["sources"] == 2).await;
    for i in 0..10 {
        let line = format!("{i} {i}\n");
        inputs[i % 2].1.write_all(line.as_bytes()).unwrap();
    }
    let status = series(&site, "shared", |one| one["points"] == 10).await;
    assert_eq!(status["timed"], false);
    for (mut child, input) in inputs {
        drop(input);
        child.wait().unwrap();
    }
}

#[tokio::test]
async fn two_thousand_sources_can_connect_at_once() {
    let (site, _dir) = plain_site();
    let mut sources = Vec::new();
    for i in 0..2000 {
        let mut stream = tokio::net::TcpStream::connect(site.tcp).await.unwrap();
        let text = format!("source {i}\n1700000000000 {i}\n");
        tokio::io::AsyncWriteExt::write_all(&mut stream, text.as_bytes())
            .await
            .unwrap();
        sources.push(stream);
    }
    let all = |list: &Value| {
        let mut all = list["data"].as_array().unwrap().iter();
        all.len() == 2000 && all.all(|one| one["sources"] == 1 && one["points"] == 1)
    };
    let until = Instant::now() + 2 * TIMEOUT;
    loop {
        let list = api(&site, "GET /api/v1/series", "").await.json();
        if all(&list) {
            break;
        }
        assert!(
            Instant::now() < until,
            "{}",
            list["data"].as_array().unwrap().len()
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let (_, history) = Viewer::open(site.ws, "/").await;
    assert_eq!(points(&history).len(), 2000);
}

#[tokio::test]
async fn the_number_of_series_is_limited_and_the_refusal_is_explained() {
    let dir = Dir::new("telemetry");
    let site = site(dir.0.as_path(), "max_series = 2", "");
    netcat(site.tcp, b"one\n1 1\n");
    netcat(site.tcp, b"two\n1 1\n");
    let output_text = netcat(site.tcp, b"three\n1 1\n");
    assert!(
        output_text.contains("2 series") && output_text.ends_with('\n'),
        "{output_text}"
    );
    assert_eq!(netcat(site.tcp, b"one\n2 2\n"), "");
    series(&site, "one", |one| one["points"] == 2).await;
    let refused = api(&site, "POST /api/v1/series", "three\n1 1\n").await;
    refused.is_problem(400, "2 series");
}

/// Runs `ocelli plot` with this standard input; returns its exit code and its output.
fn plot(arguments: &[&str], input: &str) -> (Option<i32>, String) {
    let mut child = Command::new("timeout")
        .args(["20", OCELLI, "plot"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // If it exits at once, it may not read everything.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

#[tokio::test]
async fn the_output_of_a_program_is_plotted() {
    let dir = Dir::new("telemetry");
    let site = site(dir.0.as_path(), "max_series = 2", "");
    let hub = site.tcp.to_string();
    let started = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_millis();
    // A single number gets the current time; two are x and y.
    assert_eq!(
        plot(&["--hub", &hub, "load"], "0.5\n 0.75\n\n1700000000000 1\n2").0,
        Some(0)
    );
    let status = series(&site, "load", |one| one["sources"] == 0).await;
    assert_eq!(status["points"], 4, "{status}");
    let (_, history) = Viewer::open(site.ws, "/").await;
    let load = &points(&history)["load"];
    assert!(load[0].0 >= started as f64 && load[0].1 == 0.5, "{load:?}");
    assert_eq!(load[2], (1.7e12, 1.0));
    // Invalid numbers are reported once and cause a failure at the end.
    let (code, output_text) = plot(&["--hub", &hub, "load"], "1\nwarm\nwarmer\n2\n");
    assert_eq!(code, Some(1));
    assert!(
        output_text.contains("warm\n") && output_text.contains("2 lines"),
        "{output_text}"
    );
    series(&site, "load", |one| one["points"] == 6).await;
    netcat(site.tcp, b"second\n1 1\n");
    let (code, output_text) = plot(&["--hub", &hub, "third"], "1\n");
    assert_eq!(code, Some(1));
    assert!(output_text.contains("2 series"), "{output_text}");
    assert_eq!(plot(&["--hub", &hub, ""], "1\n").0, Some(2));
    let (code, output_text) = plot(&["--hub", "127.0.0.1:1", "x"], "1\n");
    assert_eq!(code, Some(1));
    assert!(
        output_text.contains("127.0.0.1:1") && output_text.contains("[telemetry]"),
        "{output_text}"
    );
}

#[tokio::test]
async fn the_demo_sends_until_it_is_stopped() {
    let (site, _dir) = plain_site();
    let mut child = Command::new(OCELLI)
        .args(["plot", "--demo", "--hub", &site.tcp.to_string()])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    for name in ["demo temperature", "demo vibration", "demo steps"] {
        series(&site, name, |one| one["points"].as_u64() > Some(3)).await;
    }
    child.kill().unwrap();
    child.wait().unwrap();
}
