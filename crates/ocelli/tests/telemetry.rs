//! Telemetry, with peers that we did not write: netcat, curl and tungstenite.

#![allow(clippy::unwrap_used, reason = "what a test arranged is there")]

mod support;

use futures_util::{SinkExt, StreamExt};
use ocelli_testkit::Hub;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use support::PATIENCE;
use support::device::{ADMIN, Device, Key, picture};
use support::http::{Answer, ask, call};
use support::secure::{Local, encrypt, text};
use support::tempdir::Dir;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

const OCELLI: &str = env!("CARGO_BIN_EXE_ocelli");

/// A hub with its two ports of telemetry.
struct Site {
    hub: Hub,
    tcp: SocketAddr,
    ws: SocketAddr,
}

fn port(hub: &Hub, what: &str) -> SocketAddr {
    let line = hub.wait_stderr(what, PATIENCE).expect("a port");
    line.rsplit(' ')
        .next()
        .unwrap()
        .parse()
        .expect("an address")
}

/// A hub on this data directory, with these keys under `[telemetry]` and `more` below.
fn site(dir: &Path, keys: &str, more: &str) -> Site {
    let config = dir.join("ocelli.toml");
    let text = format!("listen = \"127.0.0.1:0\"\n[telemetry]\n{keys}\n{more}");
    std::fs::write(&config, text).unwrap();
    let hub = Hub::builder(OCELLI)
        .env("OCELLI_ADMIN_TOKEN", ADMIN)
        .args(["serve", "--config"])
        .arg(config)
        .arg("--data")
        .arg(dir.join("data"))
        .start();
    let (tcp, ws) = (
        port(&hub, "samples by TCP on"),
        port(&hub, "viewers of them on"),
    );
    Site { hub, tcp, ws }
}

fn plain_site() -> (Site, Dir) {
    let dir = Dir::new("telemetry");
    (site(dir.0.as_path(), "", ""), dir)
}

/// The real netcat, which sends this and ends as the contract's one-liner does.
fn netcat(address: SocketAddr, text: &[u8]) -> String {
    let (mut child, mut input) = netcat_open(address);
    input.write_all(text).unwrap();
    drop(input);
    let mut said = String::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    child.wait().unwrap();
    said
}

fn netcat_open(address: SocketAddr) -> (Child, ChildStdin) {
    let mut child = Command::new("nc")
        .args(["-N", &address.ip().to_string(), &address.port().to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("netcat-openbsd");
    let input = child.stdin.take().unwrap();
    (child, input)
}

async fn api(site: &Site, line: &str, body: &str) -> Answer {
    call(site.hub.addr(), line, ADMIN, body).await
}

/// The status of the series of this name, once `good` holds of it.
async fn series(site: &Site, name: &str, good: impl Fn(&Value) -> bool) -> Value {
    let until = Instant::now() + PATIENCE;
    loop {
        let list = api(site, "GET /api/v1/series", "").await.json();
        let found = list["data"]
            .as_array()
            .unwrap()
            .iter()
            .find(|one| one["name"] == name);
        match found {
            Some(found) if good(found) => return found.clone(),
            _ => assert!(Instant::now() < until, "{name}: {list}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A viewer by another library.
struct Viewer(WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>);

impl Viewer {
    async fn open(address: SocketAddr, path: &str) -> (Self, Value) {
        let (socket, _) = connect_async(format!("ws://{address}{path}"))
            .await
            .unwrap();
        let mut viewer = Self(socket);
        let history = viewer.next().await;
        (viewer, history)
    }

    async fn next(&mut self) -> Value {
        let message = timeout(PATIENCE, self.0.next()).await.expect("a message");
        match message.unwrap().unwrap() {
            Message::Text(text) => serde_json::from_str(&text).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    async fn ask(&mut self) {
        self.0.send(Message::text("")).await.unwrap();
    }

    async fn batch(&mut self) -> Value {
        self.ask().await;
        self.next().await
    }

    /// That nothing comes for a while.
    async fn hears_nothing(&mut self) {
        let heard = timeout(Duration::from_millis(300), self.0.next()).await;
        assert!(heard.is_err(), "{heard:?}");
    }
}

/// Each series' points of a message, by name.
fn points(message: &Value) -> BTreeMap<String, Vec<(f64, f64)>> {
    let series = message["series"].as_array().unwrap().iter();
    let read = series.map(|one| {
        let points = one["points"].as_array().unwrap().iter();
        let points = points.map(|point| (point[0].as_f64().unwrap(), point[1].as_f64().unwrap()));
        (one["name"].as_str().unwrap().to_owned(), points.collect())
    });
    read.collect()
}

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
        // The series may be told before its first sample.
        batch = viewer.batch().await;
    }
    assert_eq!(points(&batch)["temp"][0].1, 21.5);
    // Whoever comes later has it in the history; on the main port too.
    for (address, path) in [(site.ws, "/any/path"), (site.hub.addr(), "/ws/series")] {
        let (_, history) = Viewer::open(address, path).await;
        assert_eq!(points(&history)["temp"], points(&batch)["temp"]);
    }
}

#[tokio::test]
async fn odd_lines_are_counted_and_end_nothing() {
    let (site, _dir) = plain_site();
    let now = 1_700_000_000_000_u64;
    // CRLF, an empty line, rubbish, NaN, a bell, times that repeat and go back, and a
    // last line without its newline.
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
async fn what_is_no_source_is_told_why_and_others_go_on() {
    let (site, _dir) = plain_site();
    let (mut child, mut input) = netcat_open(site.tcp);
    input.write_all(b"steady\n1700000000000 1\n").unwrap();
    series(&site, "steady", |one| one["points"] == 1).await;
    let megabyte = [b"long\n1 1\n".to_vec(), vec![b'7'; 1 << 20]].concat();
    let rubbish: Vec<u8> = (0..200_000_u32)
        .map(|i| ((i * 7919) >> 3) as u8 | 0x80)
        .collect();
    let http = b"POST / HTTP/1.1\r\nHost: hub\r\n\r\nstolen\n1 1\n".to_vec();
    for (text, word) in [
        (megabyte, "4096"),
        (rubbish, "4096"),
        (b"\xff\xfe\n1 1\n".to_vec(), "UTF-8"),
        (b"\n1 1\n".to_vec(), "empty"),
        ([vec![b'n'; 256], b"\n1 1\n".to_vec()].concat(), "255"),
        (http, "HTTP"),
    ] {
        // Who is refused in the middle of writing may learn it from the connection alone.
        let said = refusal(site.tcp, &text);
        assert!(
            said.starts_with("ocelli: ") && said.contains(word),
            "{word}: {said}"
        );
    }
    // What came before the long line is not lost, and nothing else came to be.
    let status = series(&site, "long", |one| one["sources"] == 0).await;
    assert_eq!(status["points"], 1);
    let list = api(&site, "GET /api/v1/series", "").await.json();
    assert_eq!(list["data"].as_array().unwrap().len(), 2, "{list}");
    input.write_all(b"1700000000001 2\n").unwrap();
    drop(input);
    child.wait().unwrap();
    series(&site, "steady", |one| one["points"] == 2).await;
}

/// What is said to somebody who writes this.
fn refusal(address: SocketAddr, text: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut writing = stream.try_clone().unwrap();
    let text = text.to_vec();
    let writer = std::thread::spawn(move || {
        let _ = writing.write_all(&text);
        let _ = writing.shutdown(std::net::Shutdown::Write);
    });
    let mut said = Vec::new();
    let _ = stream.read_to_end(&mut said);
    writer.join().unwrap();
    String::from_utf8_lossy(&said).into_owned()
}

#[tokio::test]
async fn a_source_that_breaks_off_loses_half_a_line_and_no_more() {
    let (site, _dir) = plain_site();
    let stream = TcpStream::connect(site.tcp).unwrap();
    (&stream).write_all(b"cut\n1 1\n2 2\n3 3").unwrap();
    series(&site, "cut", |one| one["points"] == 2).await;
    // Gone without a farewell: the kernel sends a reset.
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
async fn two_sources_of_a_name_write_one_series() {
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
async fn two_thousand_sources_at_once() {
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
    let until = Instant::now() + 2 * PATIENCE;
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
async fn a_viewer_pulls_and_gets_nothing_unasked() {
    let (site, _dir) = plain_site();
    let (mut child, mut input) = netcat_open(site.tcp);
    input.write_all(b"a\n1700000000000 1\n").unwrap();
    netcat(site.tcp, b"b\n1700000000000 1\n");
    series(&site, "a", |one| one["points"] == 1).await;
    let (mut viewer, history) = Viewer::open(site.ws, "/").await;
    assert_eq!(points(&history).len(), 2);
    for i in 1..=3 {
        input
            .write_all(format!("170000000000{i} {i}\n").as_bytes())
            .unwrap();
    }
    series(&site, "a", |one| one["points"] == 4).await;
    viewer.hears_nothing().await;
    // One batch with everything since; the series that did not change is not in it.
    let batch = viewer.batch().await;
    assert_eq!(points(&batch).into_keys().collect::<Vec<_>>(), ["a"]);
    assert_eq!(points(&batch)["a"].len(), 3);
    // Asks while one is pending are one, in either kind of message.
    for _ in 0..5 {
        viewer.ask().await;
        viewer.0.send(Message::binary(Vec::new())).await.unwrap();
    }
    viewer.hears_nothing().await;
    input.write_all(b"1700000000009 9\n").unwrap();
    assert_eq!(
        points(&viewer.next().await)["a"],
        [(1_700_000_000_009.0, 9.0)]
    );
    input.write_all(b"1700000000010 10\n").unwrap();
    series(&site, "a", |one| one["points"] == 6).await;
    viewer.hears_nothing().await;
    // What is no ask is passed over.
    viewer.0.send(Message::text("more!")).await.unwrap();
    viewer.hears_nothing().await;
    assert_eq!(points(&viewer.batch().await)["a"].len(), 1);
    drop(input);
    child.wait().unwrap();
}

#[tokio::test]
async fn viewers_choose_and_the_tcp_port_has_its_own() {
    let (site, _dir) = plain_site();
    netcat(site.tcp, b"by tcp\n1700000000000 1\n1700000001000 2\n");
    netcat(site.tcp, b"other\n1700000000000 1\n");
    let posted = api(
        &site,
        "POST /api/v1/series",
        "by http\n1700000000000 5\nrubbish\n",
    )
    .await;
    let answer = posted.json()["data"].clone();
    assert_eq!(
        (&answer["points"], &answer["malformed"]),
        (&json!(1), &json!(1)),
        "{posted:?}"
    );
    series(&site, "other", |one| one["points"] == 1).await;
    let names = |history: &Value| points(history).into_keys().collect::<Vec<_>>();
    let main = site.hub.addr();
    for (address, path, expected) in [
        (site.ws, "/", &["by tcp", "other"][..]),
        (main, "/ws/series", &["by http", "by tcp", "other"]),
        (
            main,
            "/ws/series?series=by%20http&series=other",
            &["by http", "other"],
        ),
        (main, "/ws/series?series=none", &[]),
    ] {
        let (_, history) = Viewer::open(address, path).await;
        assert_eq!(names(&history), expected, "{path}");
    }
    let (mut viewer, history) = Viewer::open(main, "/ws/series?since=1700000000500").await;
    assert_eq!(points(&history)["by tcp"], [(1_700_000_001_000.0, 2.0)]);
    assert!(points(&history)["other"].is_empty());
    // What was chosen holds for batches too.
    let (mut narrow, _) = Viewer::open(main, "/ws/series?series=other").await;
    narrow.ask().await;
    netcat(site.tcp, b"by tcp\n1700000002000 3\n");
    assert_eq!(points(&viewer.batch().await)["by tcp"].len(), 1);
    narrow.hears_nothing().await;
    netcat(site.tcp, b"other\n1700000002000 3\n");
    assert_eq!(points(&narrow.next().await)["other"].len(), 1);
}

#[tokio::test]
async fn a_viewer_that_comes_too_late_is_told_the_gap() {
    let dir = Dir::new("telemetry");
    let site = site(dir.0.as_path(), "max_samples = 2000", "");
    netcat(site.tcp, b"many\n0 0\n");
    series(&site, "many", |one| one["points"] == 1).await;
    let (mut viewer, _) = Viewer::open(site.ws, "/").await;
    let mut text = String::from("many\n");
    for i in 1..20_000 {
        text.push_str(&format!("{i} {i}\n"));
    }
    netcat(site.tcp, text.as_bytes());
    let status = series(&site, "many", |one| one["points"] == 20_000).await;
    assert!(status["kept"].as_u64().unwrap() <= 2000, "{status}");
    let batch = viewer.batch().await;
    let (gap, got) = (
        batch["series"][0]["gap"].as_u64().unwrap(),
        points(&batch)["many"].len(),
    );
    assert_eq!(gap + got as u64, 19_999);
    assert_eq!(points(&batch)["many"].last(), Some(&(19_999.0, 19_999.0)));
    // The next has none.
    netcat(site.tcp, b"many\n20000 20000\n");
    let batch = viewer.batch().await;
    assert!(batch["series"][0].get("gap").is_none(), "{batch}");
}

#[tokio::test]
async fn series_are_capped_and_a_new_one_is_refused_in_words() {
    let dir = Dir::new("telemetry");
    let site = site(dir.0.as_path(), "max_series = 2", "");
    netcat(site.tcp, b"one\n1 1\n");
    netcat(site.tcp, b"two\n1 1\n");
    let said = netcat(site.tcp, b"three\n1 1\n");
    assert!(said.contains("2 series") && said.ends_with('\n'), "{said}");
    assert_eq!(netcat(site.tcp, b"one\n2 2\n"), "");
    series(&site, "one", |one| one["points"] == 2).await;
    let refused = api(&site, "POST /api/v1/series", "three\n1 1\n").await;
    refused.is_problem(400, "2 series");
}

#[tokio::test]
async fn series_are_renamed_and_deleted_over_http() {
    let (site, _dir) = plain_site();
    let (mut child, mut input) = netcat_open(site.tcp);
    input.write_all(b"old\n1 1\n").unwrap();
    let id = series(&site, "old", |one| one["points"] == 1).await["id"].to_string();
    netcat(site.tcp, b"taken\n1 1\n");
    let (mut viewer, _) = Viewer::open(site.ws, "/").await;
    let change = |body: Value| {
        let (line, site) = (format!("PATCH /api/v1/series/{id}"), &site);
        async move { api(site, &line, &body.to_string()).await }
    };
    change(json!({ "name": "taken" }))
        .await
        .is_problem(409, "taken");
    change(json!({ "name": "" })).await.is_problem(400, "empty");
    change(json!({ "unit": "x".repeat(33) }))
        .await
        .is_problem(400, "32");
    change(json!({ "nmae": "x" })).await.is_problem(400, "nmae");
    let changed = change(json!({ "name": "new", "unit": "bar" })).await;
    assert_eq!(changed.json()["data"]["name"], "new", "{changed:?}");
    let batch = viewer.batch().await;
    let told = &batch["series"][0];
    assert_eq!(
        (&told["name"], &told["unit"], &told["points"]),
        (&json!("new"), &json!("bar"), &json!([]))
    );
    // Who was writing goes on writing into it.
    input.write_all(b"2 2\n").unwrap();
    series(&site, "new", |one| one["points"] == 2).await;
    let line = format!("DELETE /api/v1/series/{id}");
    assert_eq!(api(&site, &line, "").await.status(), 200);
    api(&site, &line, "").await.is_problem(404, &id);
    // What came before may be told first.
    let mut batch = viewer.batch().await;
    while batch["series"][0].get("gone").is_none() {
        batch = viewer.batch().await;
    }
    assert_eq!(batch["series"][0]["id"].to_string(), id);
    // A source that is still there begins a new one under its own name.
    input.write_all(b"3 3\n").unwrap();
    let again = series(&site, "old", |one| one["points"] == 1).await;
    assert_ne!(again["id"].to_string(), id);
    drop(input);
    child.wait().unwrap();
}

#[tokio::test]
async fn series_are_private_when_app_live_is() {
    let dir = Dir::new("telemetry");
    let site = site(dir.0.as_path(), "", "[app.live]\npublic_playback = false");
    netcat(site.tcp, b"secret\n1 1\n");
    for (address, path) in [(site.ws, "/"), (site.hub.addr(), "/ws/series")] {
        let (mut socket, _) = connect_async(format!("ws://{address}{path}"))
            .await
            .unwrap();
        match timeout(PATIENCE, socket.next()).await.unwrap() {
            Some(Ok(Message::Close(Some(frame)))) => assert_eq!(u16::from(frame.code), 4401),
            other => panic!("{path}: {other:?}"),
        }
        let mut request = format!("ws://{address}{path}")
            .into_client_request()
            .unwrap();
        let bearer = format!("Bearer {ADMIN}").parse().unwrap();
        request.headers_mut().insert("Authorization", bearer);
        let (socket, _) = connect_async(request).await.unwrap();
        let history = Viewer(socket).next().await;
        assert_eq!(points(&history)["secret"], [(1.0, 1.0)]);
    }
}

#[tokio::test]
async fn the_port_of_viewers_keeps_the_front_doors_rules() {
    let (site, _dir) = plain_site();
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let own = format!("Host: {}\r\n", site.ws);
    let request = |head: &str| format!("GET / HTTP/1.1\r\n{head}\r\n");
    for (head, status, word) in [
        (format!("{own}{upgrade}"), 101, ""),
        (
            format!("{own}{upgrade}Origin: http://localhost:1234\r\n"),
            101,
            "",
        ),
        (
            format!("{own}{upgrade}Origin: http://evil.example\r\n"),
            403,
            "evil.example",
        ),
        (
            format!("Host: evil.example\r\n{upgrade}"),
            403,
            "evil.example",
        ),
        (own.clone(), 426, "WebSocket"),
        // As browsers of 2009 did it.
        (
            format!(
                "{own}Upgrade: WebSocket\r\nConnection: Upgrade\r\nOrigin: http://localhost\r\n\
                 WebSocket-Protocol: sample\r\n"
            ),
            400,
            "RFC 6455",
        ),
    ] {
        let answer = ask(site.ws, &request(&head)).await;
        assert_eq!(answer.status(), status, "{head}: {answer:?}");
        assert!(answer.body.contains(word), "{answer:?}");
        assert_eq!(answer.header("sec-websocket-protocol"), "");
    }
}

#[tokio::test]
async fn a_port_that_is_taken_is_a_warning_and_the_rest_runs() {
    let dir = Dir::new("telemetry");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let config = dir.0.as_path().join("ocelli.toml");
    let text = format!("listen = \"127.0.0.1:0\"\n[telemetry]\ntcp = \"{address}\"\nws = \"\"\n");
    std::fs::write(&config, text).unwrap();
    let builder = Hub::builder(OCELLI).env("OCELLI_ADMIN_TOKEN", ADMIN);
    let hub = builder.args(["serve", "--config"]).arg(config).start();
    let warned = hub.wait_stderr(&address.to_string(), PATIENCE).unwrap();
    assert!(
        warned.contains("WARN") && warned.contains("[telemetry]"),
        "{warned}"
    );
    // In the status it stands too, for whoever reads no logs.
    let status = call(hub.addr(), "GET /api/v1/series/status", ADMIN, "").await;
    let ports = &status.json()["data"]["ports"];
    assert_eq!(ports.as_array().unwrap().len(), 1, "{ports}");
    assert_eq!(
        (&ports[0]["key"], &ports[0]["address"]),
        (&json!("tcp"), &json!(address.to_string()))
    );
    let fault = ports[0]["fault"].as_str().unwrap();
    assert!(fault.contains("in use"), "{fault}");
    let posted = call(hub.addr(), "POST /api/v1/series", ADMIN, "still\n1 1\n").await;
    assert_eq!(posted.status(), 200, "{posted:?}");
    let (_, history) = Viewer::open(hub.addr(), "/ws/series").await;
    assert_eq!(points(&history)["still"], [(1.0, 1.0)]);
    assert!(
        !hub.stderr()
            .iter()
            .any(|line| line.contains("viewers of them on"))
    );
}

#[tokio::test]
async fn series_survive_a_restart_and_a_crash() {
    let dir = Dir::new("telemetry");
    let (mut before, mut last_id) = (BTreeMap::new(), None);
    for (round, signal) in [rustix::process::Signal::TERM, rustix::process::Signal::KILL]
        .into_iter()
        .enumerate()
    {
        let mut site = site(dir.0.as_path(), "", "");
        let (_, history) = Viewer::open(site.ws, "/").await;
        assert_eq!(points(&history), before, "round {round}");
        let mut text = String::from("kept\n");
        let first = before.get("kept").map_or(0, Vec::len);
        for i in first..first + 1500 {
            text.push_str(&format!("{} {}.25\n", 1_700_000_000_000_u64 + i as u64, i));
        }
        netcat(site.tcp, text.as_bytes());
        let total = first + 1500;
        let status = series(&site, "kept", |one| one["points"] == total).await;
        let line = format!("PATCH /api/v1/series/{}", status["id"]);
        let unit = json!({ "unit": "V" }).to_string();
        assert_eq!(api(&site, &line, &unit).await.status(), 200);
        // An id is never given out again.
        netcat(site.tcp, b"short-lived\n1 1\n");
        let id = series(&site, "short-lived", |one| one["points"] == 1).await["id"].as_u64();
        assert!(id > last_id, "{id:?} after {last_id:?}");
        last_id = id;
        let line = format!("DELETE /api/v1/series/{}", id.unwrap());
        tokio::time::sleep(Duration::from_millis(700)).await;
        assert_eq!(api(&site, &line, "").await.status(), 200);
        let (_, history) = Viewer::open(site.ws, "/").await;
        before = points(&history);
        assert_eq!(before["kept"].len(), total);
        if signal == rustix::process::Signal::KILL {
            // A crash loses the last second at most.
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        site.hub.signal(signal);
        site.hub.wait(PATIENCE).expect("it ends");
    }
    let site = site(dir.0.as_path(), "", "");
    let (_, history) = Viewer::open(site.ws, "/").await;
    assert_eq!(points(&history), before);
    let status = series(&site, "kept", |_| true).await;
    assert_eq!(
        (&status["points"], &status["unit"]),
        (&json!(3000), &json!("V"))
    );
}

#[tokio::test]
async fn a_full_disk_is_one_warning_and_series_go_on_in_memory() {
    let dir = Dir::new("telemetry");
    let config = dir.0.as_path().join("ocelli.toml");
    std::fs::write(&config, "listen = \"127.0.0.1:0\"\n").unwrap();
    // No file may grow beyond 200 blocks of 1024 bytes, in what the shell starts; to try
    // is an error there, as on a full disk, and no signal.
    let script = format!(
        "trap '' XFSZ; ulimit -f 200; exec {OCELLI} serve --config {} --data {}",
        config.display(),
        dir.0.as_path().join("data").display()
    );
    let hub = ocelli_testkit::HubBuilder::new("/bin/bash")
        .env("OCELLI_ADMIN_TOKEN", ADMIN)
        .args(["-c", &script])
        .start();
    let (tcp, ws) = (
        port(&hub, "samples by TCP on"),
        port(&hub, "viewers of them on"),
    );
    let site = Site { hub, tcp, ws };
    // Numbers that pack badly.
    let (mut y, mut count) = (0.5_f64, 0_u64);
    let mut send = |site: &Site| {
        let mut text = String::from("much\n");
        for _ in 0..60_000 {
            y = (y * 3.999_9) * (1.0 - y);
            count += 1;
            text.push_str(&format!("{} {y}\n", 1_700_000_000_000 + count));
        }
        netcat(site.tcp, text.as_bytes());
        count
    };
    let total = send(&site);
    let warned = site
        .hub
        .wait_stderr("can't be written", PATIENCE)
        .expect("a warning");
    assert!(
        warned.contains("series.db") && warned.contains("memory"),
        "{warned}"
    );
    let status = series(&site, "much", |one| one["points"] == total).await;
    assert_eq!(status["kept"], total, "nothing in memory is lost");
    let health = api(&site, "GET /api/v1/series/status", "").await.json();
    let fault = health["data"]["fileFault"].as_str().unwrap();
    assert!(fault.contains("series.db can't be written"), "{fault}");
    netcat(site.tcp, b"more\n1 1\n");
    series(&site, "more", |one| one["points"] == 1).await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let warnings = site
        .hub
        .stderr()
        .iter()
        .filter(|line| line.contains("can't be written"))
        .count();
    assert_eq!(warnings, 1);
}

#[tokio::test]
async fn the_hubs_own_figures_are_series_while_somebody_looks() {
    let dir = Dir::new("telemetry");
    let cameras = "[app.yard]\npublic_playback = false\n\
                   [[camera]]\nid = \"cam1\"\nsource = \"pattern:?size=64x48&fps=20\"\nkeep = true\n\
                   [[camera]]\nid = \"shed\"\napp = \"yard\"\nsource = \"pattern:?size=64x48&fps=20\"\nkeep = true\n";
    let site = site(dir.0.as_path(), "", cameras);
    let (mut viewer, _) = Viewer::open(site.hub.addr(), "/ws/series?series=cam1%20fps").await;
    let mut batch = viewer.batch().await;
    while points(&batch)["cam1 fps"].is_empty() {
        batch = viewer.batch().await;
    }
    assert_eq!(batch["series"][0]["unit"], "fps");
    for (what, unit, least, most) in [
        ("fps", "fps", 5.0, 40.0),
        ("bitrate", "kbit/s", 1.0, 100_000.0),
        ("age", "ms", 0.0, 5_000.0),
        ("drops", "frames/s", 0.0, 0.0),
    ] {
        let settled = |one: &Value| one["newest"][1].as_f64().is_some_and(|y| y >= least);
        let status = series(&site, &format!("cam1 {what}"), settled).await;
        assert_eq!(status["unit"], unit);
        assert!(status["newest"][1].as_f64() <= Some(most), "{status}");
    }
    let list = api(&site, "GET /api/v1/series", "").await.json();
    let names: Vec<_> = list["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["name"].clone())
        .collect();
    // A private app's cameras are not told to everybody, nor any of it to the TCP port.
    assert!(
        !names
            .iter()
            .any(|name| name.as_str().unwrap().contains("shed")),
        "{names:?}"
    );
    let (_, history) = Viewer::open(site.ws, "/").await;
    assert_eq!(history, json!({ "series": [] }));
}

#[tokio::test]
async fn what_a_device_tells_of_itself_is_series_of_its_camera() {
    let dir = Dir::new("telemetry");
    let private = "[app.yard]\npublic_playback = false\n";
    let site = site(dir.0.as_path(), "", private);
    let hub = site.hub.addr();
    let begun = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let mut devices = Vec::new();
    for (app, room) in [("yard", "gate"), ("live", "door")] {
        let key = Key::mint(hub, app, room).await;
        let (mut device, _) = Device::ready(hub, &key).await;
        device.show(picture(1)).await;
        let stats = r#"{"type":"stats","fps":12,"rssi":-61,"heapFree":41232,"note":"x"}"#;
        device.send(Message::text(stats)).await;
        devices.push(device);
    }
    let rssi = series(&site, "door device rssi", |one| one["points"] == 1).await;
    assert_eq!(rssi["unit"], "dBm");
    let (_, history) = Viewer::open(hub, "/ws/series").await;
    let all = points(&history);
    let told: Vec<_> = all.keys().filter(|name| name.contains("device")).collect();
    // A private app's are not told to whoever may watch another.
    assert_eq!(
        told,
        [
            "door device fps",
            "door device heapFree",
            "door device rssi"
        ]
    );
    let (x, y) = all["door device heapFree"][0];
    assert_eq!(y, 41_232.0);
    // By the hub's clock: the device has none.
    assert!(x >= begun.as_millis() as f64 && x < begun.as_millis() as f64 + 60_000.0);
    // One that talks without end is heard once a second; the rest is counted.
    let door = devices.last_mut().unwrap();
    for rssi in 0..50 {
        let stats = json!({ "type": "stats", "rssi": rssi });
        door.send(Message::text(stats.to_string())).await;
    }
    let until = Instant::now() + PATIENCE;
    loop {
        let status = api(&site, "GET /api/v1/series/status", "").await.json();
        if status["data"]["dropped"].as_u64() >= Some(40) {
            break;
        }
        assert!(Instant::now() < until, "{status}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let status = series(&site, "door device rssi", |_| true).await;
    assert!(status["points"].as_u64() <= Some(10), "{status}");
}

#[tokio::test]
async fn series_come_over_wss_on_both_ports() {
    let local = Local::start();
    let tcp = port(&local.hub, "samples by TCP on");
    let ws = port(&local.hub, "viewers of them on");
    // Sources speak plain lines, as netcat does.
    netcat(tcp, b"temp\n1700000000000 21.5\n");
    for (address, path) in [(ws, "/"), (local.hub.addr(), "/ws/series")] {
        let plain = TcpStream::connect(address).unwrap();
        plain.set_nonblocking(true).unwrap();
        let plain = tokio::net::TcpStream::from_std(plain).unwrap();
        let stream = encrypt(plain, &local.authority(), "localhost", b"http/1.1").await;
        let url = format!("wss://localhost:{}{path}", address.port());
        let opened = tokio_tungstenite::client_async(url, stream);
        let (mut socket, _) = timeout(PATIENCE, opened).await.unwrap().unwrap();
        let mut got = json!(null);
        // The history may come before the sample has; it is in a batch then.
        while got["series"][0]["points"][0] != json!([1_700_000_000_000_u64, 21.5]) {
            let message = timeout(PATIENCE, socket.next()).await.unwrap();
            let text = message.unwrap().unwrap().into_text().unwrap();
            got = serde_json::from_str(&text).unwrap();
            socket.send(Message::text("")).await.unwrap();
        }
        netcat(tcp, b"temp\n1700000000001 22\n");
        let batch = timeout(PATIENCE, socket.next()).await.unwrap();
        assert!(batch.unwrap().unwrap().is_text());
    }
    // It is the hub's own certificate, and no plain socket is let in beside it.
    let url = format!("https://127.0.0.1:{}/", ws.port());
    let told = text(&local.curl(&["--http1.1", "-w", "%{http_code}", &url]));
    assert!(told.ends_with("426"), "{told}");
    let refused = connect_async(format!("ws://{ws}/")).await.unwrap_err();
    assert!(refused.to_string().contains("400"), "{refused}");
}

/// Runs `ocelli plot` with this on standard input; its exit code and what it said.
fn plot(arguments: &[&str], input: &str) -> (Option<i32>, String) {
    let mut child = Command::new("timeout")
        .args(["20", OCELLI, "plot"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // One that refuses at once may not take it all.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

#[tokio::test]
async fn a_program_is_plotted() {
    let dir = Dir::new("telemetry");
    let site = site(dir.0.as_path(), "max_series = 2", "");
    let hub = site.tcp.to_string();
    let begun = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_millis();
    // A number gets the present time; two are x and y.
    assert_eq!(
        plot(&["--hub", &hub, "load"], "0.5\n 0.75\n\n1700000000000 1\n2").0,
        Some(0)
    );
    let status = series(&site, "load", |one| one["sources"] == 0).await;
    assert_eq!(status["points"], 4, "{status}");
    let (_, history) = Viewer::open(site.ws, "/").await;
    let load = &points(&history)["load"];
    assert!(load[0].0 >= begun as f64 && load[0].1 == 0.5, "{load:?}");
    assert_eq!(load[2], (1.7e12, 1.0));
    // What is no number is said once, and is a failure in the end.
    let (code, said) = plot(&["--hub", &hub, "load"], "1\nwarm\nwarmer\n2\n");
    assert_eq!(code, Some(1));
    assert!(
        said.contains("warm\n") && said.contains("2 lines"),
        "{said}"
    );
    series(&site, "load", |one| one["points"] == 6).await;
    netcat(site.tcp, b"second\n1 1\n");
    let (code, said) = plot(&["--hub", &hub, "third"], "1\n");
    assert_eq!(code, Some(1));
    assert!(said.contains("2 series"), "{said}");
    assert_eq!(plot(&["--hub", &hub, ""], "1\n").0, Some(2));
    let (code, said) = plot(&["--hub", "127.0.0.1:1", "x"], "1\n");
    assert_eq!(code, Some(1));
    assert!(
        said.contains("127.0.0.1:1") && said.contains("[telemetry]"),
        "{said}"
    );
}

#[tokio::test]
async fn the_demo_sends_until_it_is_ended() {
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
