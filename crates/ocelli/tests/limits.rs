//! What clients may take of a hub, each limit beside a wall that stays live while
//! somebody tries to take more.

#![allow(clippy::unwrap_used, reason = "what a test arranged is there")]

mod support;

use ocelli_testkit::Hub;
use ocelli_testkit::websocket::RawSocket;
use support::PATIENCE;
use support::http::{ask, get};
use support::tempdir::Dir;
use support::wall::Wall;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const OCELLI: &str = env!("CARGO_BIN_EXE_ocelli");

/// A hub with these limits, and a viewer of its wall.
async fn hub(limits: &str) -> (Hub, Wall, Dir) {
    let dir = Dir::new("limits");
    let config = format!(
        "listen = \"127.0.0.1:0\"\n[limits]\nloopback = true\n{limits}\
         [[camera]]\nid = \"cam1\"\nsource = \"pattern:?size=64x48&fps=20\"\n"
    );
    let config = dir.write("ocelli.toml", &config);
    let hub = Hub::builder(OCELLI).args(["serve", "--config"]);
    let hub = hub.arg(config).start();
    let mut wall = Wall::plain(hub.addr()).await;
    wall.subscribe(&["cam1"]).await;
    wall.frame().await;
    (hub, wall, dir)
}

/// That pictures which are made now still arrive.
async fn is_live(wall: &mut Wall) {
    for _ in 0..5 {
        wall.frame().await;
    }
}

/// What the hub says until it closes.
async fn said(stream: &mut TcpStream) -> String {
    let mut said = Vec::new();
    let whole = timeout(PATIENCE, stream.read_to_end(&mut said)).await;
    // A client that is turned away may find the connection reset.
    let _ = whole.expect("the hub closes");
    String::from_utf8_lossy(&said).into_owned()
}

#[tokio::test]
async fn an_address_has_so_many_connections_and_the_next_is_told_so() {
    let (hub, mut wall, _dir) = hub("connections_per_address = 10\n").await;
    let mut held = Vec::new();
    for _ in 0..9 {
        let mut socket = RawSocket::connect(hub.addr()).await;
        // Whoever is answered has its place.
        let request = format!("GET /health HTTP/1.1\r\nHost: {}\r\n\r\n", hub.addr());
        socket.say(request.as_bytes()).await;
        assert_eq!(socket.head().await.expect("an answer").status, 200);
        held.push(socket);
    }
    for _ in 0..50 {
        let mut one_too_many = TcpStream::connect(hub.addr()).await.unwrap();
        let said = said(&mut one_too_many).await;
        assert!(said.starts_with("HTTP/1.1 503 "), "{said}");
        assert!(said.contains("connections_per_address"), "{said}");
    }
    is_live(&mut wall).await;
    // Who left makes room for another.
    drop(held.pop());
    let answered = async {
        loop {
            let mut next = TcpStream::connect(hub.addr()).await.unwrap();
            let request = format!("GET /metrics HTTP/1.0\r\nHost: {}\r\n\r\n", hub.addr());
            // One that is turned away may find its connection closed already.
            let _ = next.write_all(request.as_bytes()).await;
            let said = said(&mut next).await;
            if said.contains(" 200 ") {
                return said;
            }
        }
    };
    let metrics = timeout(PATIENCE, answered).await.expect("a place");
    let refused = metrics
        .lines()
        .find_map(|row| row.strip_prefix("ocelli_refused_total{reason=\"connections\"} "));
    assert!(refused.unwrap().parse::<u32>().unwrap() >= 50, "{metrics}");
}

#[tokio::test]
async fn all_together_have_so_many_connections() {
    let (hub, mut wall, _dir) = hub("connections = 1\n").await;
    let mut second = TcpStream::connect(hub.addr()).await.unwrap();
    let said = said(&mut second).await;
    assert!(said.starts_with("HTTP/1.1 503 "), "{said}");
    is_live(&mut wall).await;
}

#[tokio::test]
async fn a_connection_is_closed_after_so_many_requests() {
    let (hub, mut wall, _dir) = hub("requests_per_connection = 3\n").await;
    let mut socket = RawSocket::connect(hub.addr()).await;
    let request = format!("GET /health HTTP/1.1\r\nHost: {}\r\n\r\n", hub.addr());
    for turn in 1..=3 {
        socket.say(request.as_bytes()).await;
        let head = socket.head().await.expect("an answer");
        let closes = head.get("connection") == Some("close");
        assert_eq!(closes, turn == 3, "{turn}: {head:?}");
        socket.body(&head).await;
    }
    assert!(socket.head().await.is_none(), "the connection is closed");
    is_live(&mut wall).await;
}

#[tokio::test]
async fn a_header_that_never_ends_costs_its_own_connection() {
    let (hub, mut wall, _dir) = hub("header_timeout = \"1s\"\nheader_size = 8192\n").await;
    let mut slow = TcpStream::connect(hub.addr()).await.unwrap();
    let begin = format!("GET / HTTP/1.1\r\nHost: {}\r\nX-Slow: ", hub.addr());
    slow.write_all(begin.as_bytes()).await.unwrap();
    let mut silent = TcpStream::connect(hub.addr()).await.unwrap();
    let (slow, silent) = tokio::join!(said(&mut slow), said(&mut silent));
    assert!(
        slow.is_empty() || slow.starts_with("HTTP/1.1 408 "),
        "{slow}"
    );
    assert!(silent.is_empty(), "{silent}");

    let long = format!(
        "GET / HTTP/1.1\r\nHost: {}\r\nX-Long: {}\r\n\r\n",
        hub.addr(),
        "a".repeat(9_000)
    );
    assert_eq!(ask(hub.addr(), &long).await.status(), 431);
    is_live(&mut wall).await;
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let (hub, mut wall, _dir) = hub("header_timeout = \"1s\"\n").await;
    let mut socket = RawSocket::connect(hub.addr()).await;
    let request = format!("GET /health HTTP/1.1\r\nHost: {}\r\n\r\n", hub.addr());
    socket.say(request.as_bytes()).await;
    let head = socket.head().await.expect("an answer");
    socket.body(&head).await;
    assert!(socket.head().await.is_none(), "the hub closes it");
    is_live(&mut wall).await;
}

#[tokio::test]
async fn a_body_is_bounded_in_length_and_time() {
    let (hub, mut wall, _dir) = hub("body_size = 1024\nbody_timeout = \"1s\"\n").await;
    let post = |length: usize, body: &str| {
        format!(
            "POST /api/v1/session HTTP/1.1\r\nHost: {0}\r\nOrigin: http://{0}\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\
             Connection: close\r\n\r\n{body}",
            hub.addr()
        )
    };
    let long = "x".repeat(2_000);
    ask(hub.addr(), &post(2_000, &long))
        .await
        .is_problem(413, "1024");
    ask(hub.addr(), &post(500, "{\"name\":"))
        .await
        .is_problem(408, "1s");
    is_live(&mut wall).await;
    assert_eq!(get(hub.addr(), "/health").await.status(), 200);
}

#[tokio::test]
async fn a_hub_has_as_many_descriptors_as_it_may() {
    let (hub, _wall, _dir) = hub("").await;
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", hub.pid())).unwrap();
    let row = limits
        .lines()
        .find(|line| line.starts_with("Max open files"))
        .unwrap();
    let mut numbers = row.split_ascii_whitespace().skip(3);
    assert_eq!(numbers.next(), numbers.next(), "{row}");
}
