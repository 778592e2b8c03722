//! Series of samples, tested with independent peers: netcat, curl and tungstenite.

#![allow(clippy::unwrap_used, reason = "a failed test setup must panic")]

mod hub;
mod keeping;
mod sources;
mod viewers;

use crate::support::TIMEOUT;
use crate::support::device::ADMIN;
use crate::support::http::{HttpResponse, call};
use crate::support::hub::OCELLI;
use crate::support::tempdir::Dir;
use futures_util::{SinkExt, StreamExt};
use ocelli_testkit::Hub;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// A hub with its two telemetry ports.
struct Site {
    hub: Hub,
    tcp: SocketAddr,
    ws: SocketAddr,
}

fn port(hub: &Hub, what: &str) -> SocketAddr {
    let line = hub.wait_stderr(what, TIMEOUT).expect("a port");
    line.rsplit(' ')
        .next()
        .unwrap()
        .parse()
        .expect("an address")
}

/// Starts a hub on this data directory, with these keys under `[telemetry]` and `more` below.
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
        port(&hub, "samples over TCP on"),
        port(&hub, "viewers of samples on"),
    );
    Site { hub, tcp, ws }
}

fn plain_site() -> (Site, Dir) {
    let dir = Dir::new("telemetry");
    (site(dir.0.as_path(), "", ""), dir)
}

/// Runs the real netcat, which sends this and ends as the contract's one-liner does.
fn netcat(address: SocketAddr, text: &[u8]) -> String {
    let (mut child, mut input) = netcat_open(address);
    input.write_all(text).unwrap();
    drop(input);
    let mut received = String::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut received)
        .unwrap();
    child.wait().unwrap();
    received
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

async fn api(site: &Site, line: &str, body: &str) -> HttpResponse {
    call(site.hub.addr(), line, ADMIN, body).await
}

/// Returns the status of the series with this name, once `good` accepts it.
async fn series(site: &Site, name: &str, good: impl Fn(&Value) -> bool) -> Value {
    let until = Instant::now() + TIMEOUT;
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

/// A viewer that uses a library that the hub does not use.
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
        match self.next_message().await {
            Message::Text(text) => serde_json::from_str(&text).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    /// Returns the next message except pings.
    async fn next_message(&mut self) -> Message {
        loop {
            let message = timeout(TIMEOUT, self.0.next()).await.expect("a message");
            match message.unwrap().unwrap() {
                Message::Ping(_) | Message::Pong(_) => {}
                other => return other,
            }
        }
    }

    async fn ask(&mut self) {
        self.0.send(Message::text("")).await.unwrap();
    }

    async fn batch(&mut self) -> Value {
        self.ask().await;
        self.next().await
    }

    /// Checks that nothing arrives for a while.
    async fn expect_silence(&mut self) {
        let message = timeout(Duration::from_millis(300), self.0.next()).await;
        assert!(message.is_err(), "{message:?}");
    }
}

/// Returns each series' points in a message, by name.
fn points(message: &Value) -> BTreeMap<String, Vec<(f64, f64)>> {
    let series = message["series"].as_array().unwrap().iter();
    let read = series.map(|one| {
        let points = one["points"].as_array().unwrap().iter();
        let points = points.map(|point| (point[0].as_f64().unwrap(), point[1].as_f64().unwrap()));
        (one["name"].as_str().unwrap().to_owned(), points.collect())
    });
    read.collect()
}
