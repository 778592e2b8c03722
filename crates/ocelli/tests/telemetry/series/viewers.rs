//! Viewers of series: contents and timing of batches, and permissions.

use super::{Viewer, api, netcat, netcat_open, plain_site, points, port, series, site};
use crate::support::TIMEOUT;
use crate::support::device::ADMIN;
use crate::support::http::ask;
use crate::support::secure::{Local, encrypt, text};
use crate::support::tempdir::Dir;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;
use tokio::time::timeout;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

#[tokio::test]
async fn a_viewer_gets_batches_only_on_request() {
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
    viewer.expect_silence().await;
    // One batch with all new points; the unchanged series is not in it.
    let batch = viewer.batch().await;
    assert_eq!(points(&batch).into_keys().collect::<Vec<_>>(), ["a"]);
    assert_eq!(points(&batch)["a"].len(), 3);
    // Requests while one is pending count as one, text or binary.
    for _ in 0..5 {
        viewer.ask().await;
        viewer.0.send(Message::binary(Vec::new())).await.unwrap();
    }
    viewer.expect_silence().await;
    input.write_all(b"1700000000009 9\n").unwrap();
    assert_eq!(
        points(&viewer.next().await)["a"],
        [(1_700_000_000_009.0, 9.0)]
    );
    input.write_all(b"1700000000010 10\n").unwrap();
    series(&site, "a", |one| one["points"] == 6).await;
    viewer.expect_silence().await;
    // Invalid requests are ignored.
    viewer.0.send(Message::text("more!")).await.unwrap();
    viewer.expect_silence().await;
    assert_eq!(points(&viewer.batch().await)["a"].len(), 1);
    drop(input);
    child.wait().unwrap();
}

/// Requests batches until each of these series has this many points. Returns the points by
/// series, and the number of batches.
async fn pull(
    mut viewer: Viewer,
    series: usize,
    each: usize,
    pause: Duration,
) -> (BTreeMap<String, Vec<(f64, f64)>>, usize) {
    let (mut got, mut batches) = (BTreeMap::<_, Vec<_>>::new(), 0);
    while got.len() < series || got.values().any(|points| points.len() < each) {
        let batch = viewer.batch().await;
        batches += 1;
        for one in batch["series"].as_array().unwrap() {
            assert_eq!(one.get("gap"), None, "{}", one["name"]);
        }
        for (name, points) in points(&batch) {
            got.entry(name).or_default().extend(points);
        }
        // Simulates a slow viewer.
        tokio::time::sleep(pause).await;
    }
    (got, batches)
}

#[tokio::test]
async fn viewers_at_their_own_speeds_get_every_point_once() {
    const SERIES: usize = 3;
    const EACH: usize = 4000;
    let (site, _dir) = plain_site();
    let mut viewers = Vec::new();
    for pause in [0, 1, 7, 30, 120, 500] {
        let (viewer, _) = Viewer::open(site.ws, "/").await;
        let pause = Duration::from_millis(pause);
        viewers.push(tokio::spawn(pull(viewer, SERIES, EACH, pause)));
    }
    // One source writes as fast as it can, the others every few ms.
    let mut sources = Vec::new();
    for source in 0..SERIES {
        let address = site.tcp;
        sources.push(tokio::task::spawn_blocking(move || {
            let (mut child, mut input) = netcat_open(address);
            writeln!(input, "source {source}").unwrap();
            for i in 0..EACH {
                writeln!(input, "{i} {i}").unwrap();
                if i % 25 == 0 {
                    std::thread::sleep(Duration::from_millis(5 * source as u64));
                }
            }
            drop(input);
            child.wait().unwrap();
        }));
    }
    for source in sources {
        source.await.unwrap();
    }
    let mut batches = Vec::new();
    let expected: Vec<_> = (0..EACH).map(|i| (i as f64, i as f64)).collect();
    for viewer in viewers {
        let (got, count) = timeout(TIMEOUT, viewer).await.unwrap().unwrap();
        assert_eq!(got.len(), SERIES);
        for (name, points) in got {
            assert!(points == expected, "{name}: not every point once, in order");
        }
        batches.push(count);
    }
    // Slow viewers get fewer and larger batches.
    assert!(
        batches[0] > batches[4] && batches[4] > batches[5],
        "{batches:?}"
    );
}

#[tokio::test]
async fn a_viewer_that_stops_requesting_costs_only_a_cursor() {
    let (site, _dir) = plain_site();
    let mut text = String::from("many\n");
    for i in 0..100_000 {
        text.push_str(&format!("{i} {}\n", i % 1000));
    }
    // The series is complete beforehand, so that its own growth is not measured.
    netcat(site.tcp, text.as_bytes());
    series(&site, "many", |one| one["points"] == 100_000).await;
    let mut looking = Vec::new();
    for _ in 0..100 {
        looking.push(Viewer::open(site.ws, "/").await.0);
    }
    let before = site.hub.resident_bytes();
    for _ in 0..3 {
        netcat(site.tcp, text.as_bytes());
    }
    series(&site, "many", |one| one["points"] == 400_000).await;
    let grown = site.hub.resident_bytes().saturating_sub(before);
    // Queues would hold a hundred times 300,000 samples, which are 480 MB.
    assert!(grown < 100_000_000, "{grown} bytes");
    // Each gets the size of its gap, and the newest points.
    let batch = looking[0].batch().await;
    let many = &batch["series"][0];
    assert!(many["gap"].as_u64() > Some(0), "{}", many["gap"]);
}

#[tokio::test]
async fn viewers_select_series_and_the_viewers_port_has_only_tcp_series() {
    let (site, _dir) = plain_site();
    netcat(site.tcp, b"by tcp\n1700000000000 1\n1700000001000 2\n");
    netcat(site.tcp, b"other\n1700000000000 1\n");
    let posted = api(
        &site,
        "POST /api/v1/series",
        "by http\n1700000000000 5\nrubbish\n",
    )
    .await;
    let response = posted.json()["data"].clone();
    assert_eq!(
        (&response["points"], &response["malformed"]),
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
    // The selection applies to batches too.
    let (mut narrow, _) = Viewer::open(main, "/ws/series?series=other").await;
    narrow.ask().await;
    netcat(site.tcp, b"by tcp\n1700000002000 3\n");
    assert_eq!(points(&viewer.batch().await)["by tcp"].len(), 1);
    narrow.expect_silence().await;
    netcat(site.tcp, b"other\n1700000002000 3\n");
    assert_eq!(points(&narrow.next().await)["other"].len(), 1);
}

#[tokio::test]
async fn a_viewer_that_is_too_late_gets_the_size_of_its_gap() {
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
    // The next batch has no gap.
    netcat(site.tcp, b"many\n20000 20000\n");
    let batch = viewer.batch().await;
    assert!(batch["series"][0].get("gap").is_none(), "{batch}");
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
        match timeout(TIMEOUT, socket.next()).await.unwrap() {
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
async fn a_viewer_that_loses_its_permission_is_disconnected() {
    let (site, _dir) = plain_site();
    netcat(site.tcp, b"temp\n1 1\n");
    series(&site, "temp", |one| one["points"] == 1).await;
    let (mut own, _) = Viewer::open(site.ws, "/").await;
    let (mut all, _) = Viewer::open(site.hub.addr(), "/ws/series").await;
    own.ask().await;
    let private = json!({ "publicPlayback": false }).to_string();
    let changed = api(&site, "PATCH /api/v1/apps/live", &private).await;
    assert_eq!(changed.status(), 200, "{changed:?}");
    for viewer in [&mut own, &mut all] {
        match viewer.next_message().await {
            Message::Close(Some(frame)) => assert_eq!(u16::from(frame.code), 4401),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn the_viewers_port_applies_host_and_origin_policy() {
    let (site, _dir) = plain_site();
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let own = format!("Host: {}\r\n", site.ws);
    let request = |head: &str| format!("GET / HTTP/1.1\r\n{head}\r\n");
    for (head, status, word) in [
        (format!("{own}{upgrade}"), 101, ""),
        // The socket has no subprotocols, so none is echoed.
        (
            format!("{own}{upgrade}Sec-WebSocket-Protocol: sample, ocelli.v2\r\n"),
            101,
            "",
        ),
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
        // The handshake of browsers in 2009.
        (
            format!(
                "{own}Upgrade: WebSocket\r\nConnection: Upgrade\r\nOrigin: http://localhost\r\n\
                 WebSocket-Protocol: sample\r\n"
            ),
            400,
            "RFC 6455",
        ),
    ] {
        let response = ask(site.ws, &request(&head)).await;
        assert_eq!(response.status(), status, "{head}: {response:?}");
        assert!(response.body.contains(word), "{response:?}");
        assert_eq!(response.header("sec-websocket-protocol"), "");
    }
}

#[tokio::test]
async fn series_work_over_wss_on_both_ports() {
    let local = Local::start();
    let tcp = port(&local.hub, "samples over TCP on");
    let ws = port(&local.hub, "viewers of samples on");
    // Sources send plain lines, as netcat does.
    netcat(tcp, b"temp\n1700000000000 21.5\n");
    for (address, path) in [(ws, "/"), (local.hub.addr(), "/ws/series")] {
        let plain = TcpStream::connect(address).unwrap();
        plain.set_nonblocking(true).unwrap();
        let plain = tokio::net::TcpStream::from_std(plain).unwrap();
        let stream = encrypt(plain, &local.authority(), "localhost", b"http/1.1").await;
        let url = format!("wss://localhost:{}{path}", address.port());
        let opened = tokio_tungstenite::client_async(url, stream);
        let (mut socket, _) = timeout(TIMEOUT, opened).await.unwrap().unwrap();
        let mut got = json!(null);
        // The history may arrive before the sample, which is then in a batch.
        while got["series"][0]["points"][0] != json!([1_700_000_000_000_u64, 21.5]) {
            let message = timeout(TIMEOUT, socket.next()).await.unwrap();
            let text = message.unwrap().unwrap().into_text().unwrap();
            got = serde_json::from_str(&text).unwrap();
            socket.send(Message::text("")).await.unwrap();
        }
        netcat(tcp, b"temp\n1700000000001 22\n");
        let batch = timeout(TIMEOUT, socket.next()).await.unwrap();
        assert!(batch.unwrap().unwrap().is_text());
    }
    // It is the hub's own certificate, and the port accepts no plain sockets.
    let url = format!("https://127.0.0.1:{}/", ws.port());
    let output_text = text(&local.curl(&["--http1.1", "-w", "%{http_code}", &url]));
    assert!(output_text.ends_with("426"), "{output_text}");
    let refused = connect_async(format!("ws://{ws}/")).await.unwrap_err();
    assert!(refused.to_string().contains("400"), "{refused}");
}
