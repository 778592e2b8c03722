//! Limits on clients, each tested while a wall stays live and other clients try to exceed the
//! limit.

#![allow(clippy::unwrap_used, reason = "a failed test setup must panic")]

use super::ALONE;
use crate::support::TIMEOUT;
use crate::support::http::{ask, get};
use crate::support::hub::{OCELLI, configured};
use crate::support::tempdir::Dir;
use crate::support::wall::Wall;
use ocelli_testkit::websocket::RawSocket;
use ocelli_testkit::{Hub, HubBuilder};
use rustix::process::Signal;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// Starts a hub with these limits, and a viewer of its wall.
async fn hub(limits: &str) -> (Hub, Wall, Dir) {
    let dir = Dir::new("limits");
    let config = format!(
        "listen = \"127.0.0.1:0\"\n[limits]\nloopback = true\n{limits}\
         [[camera]]\nid = \"cam1\"\nsource = \"pattern:?size=64x48&fps=20\"\n"
    );
    let hub = configured(&dir, &config).start();
    let mut wall = Wall::v2(hub.addr()).await;
    wall.subscribe(&["cam1"]).await;
    wall.frame_v2().await;
    (hub, wall, dir)
}

/// Checks that pictures made after this call still arrive.
async fn is_live(wall: &mut Wall) {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let requested = since_epoch.as_micros() as u64;
    for _ in 0..2 {
        while wall.frame_v2().await.received <= requested {}
    }
}

/// Returns how many refusals the hub counted for this reason.
async fn refused(hub: &Hub, reason: &str) -> u32 {
    let metrics = get(hub.addr(), "/metrics").await.body;
    let name = format!("ocelli_refused_total{{reason=\"{reason}\"}} ");
    let mut rows = metrics.lines();
    let count = rows.find_map(|row| row.strip_prefix(&name));
    count.expect(reason).parse().unwrap()
}

/// Returns what the hub sends until it closes.
async fn read_all(stream: &mut TcpStream) -> String {
    let mut received = Vec::new();
    let whole = timeout(TIMEOUT, stream.read_to_end(&mut received)).await;
    // A refused client may get a connection reset.
    let _ = whole.expect("the hub closes");
    String::from_utf8_lossy(&received).into_owned()
}

#[tokio::test]
async fn connections_per_address_are_limited_and_the_next_gets_the_reason() {
    let _alone = ALONE.lock().await;
    let (hub, mut wall, _dir) = hub("connections_per_address = 10\n").await;
    let mut held = Vec::new();
    for _ in 0..9 {
        let mut socket = RawSocket::connect(hub.addr()).await;
        // An idle connection still counts after its response.
        let request = format!("GET /health HTTP/1.1\r\nHost: {}\r\n\r\n", hub.addr());
        socket.send_raw(request.as_bytes()).await;
        let head = socket.head().await.expect("an answer");
        assert_eq!(head.status, 200);
        socket.body(&head).await;
        held.push(socket);
    }
    for _ in 0..50 {
        let mut one_too_many = TcpStream::connect(hub.addr()).await.unwrap();
        let output_text = read_all(&mut one_too_many).await;
        assert!(output_text.starts_with("HTTP/1.1 503 "), "{output_text}");
        assert!(
            output_text.contains("connections_per_address"),
            "{output_text}"
        );
    }
    is_live(&mut wall).await;
    let request = format!("GET /health HTTP/1.1\r\nHost: {}\r\n\r\n", hub.addr());
    held[0].send_raw(request.as_bytes()).await;
    let head = held[0].head().await;
    assert_eq!(head.expect("the open connections stay").status, 200);
    // After a disconnect, another client can connect.
    drop(held.pop());
    let answered = async {
        loop {
            let mut next = TcpStream::connect(hub.addr()).await.unwrap();
            let request = format!("GET /metrics HTTP/1.0\r\nHost: {}\r\n\r\n", hub.addr());
            // A refused client may find its connection already closed.
            let _ = next.write_all(request.as_bytes()).await;
            let output_text = read_all(&mut next).await;
            if output_text.contains(" 200 ") {
                return output_text;
            }
        }
    };
    let metrics = timeout(TIMEOUT, answered).await.expect("a free connection");
    let refused = metrics
        .lines()
        .find_map(|row| row.strip_prefix("ocelli_refused_total{reason=\"connections\"} "));
    assert!(refused.unwrap().parse::<u32>().unwrap() >= 50, "{metrics}");
}

#[tokio::test]
async fn connections_in_total_are_limited() {
    let _alone = ALONE.lock().await;
    let (hub, mut wall, _dir) = hub("connections = 1\n").await;
    let mut second = TcpStream::connect(hub.addr()).await.unwrap();
    let output_text = read_all(&mut second).await;
    assert!(output_text.starts_with("HTTP/1.1 503 "), "{output_text}");
    is_live(&mut wall).await;
}

#[tokio::test]
async fn requests_per_connection_are_limited() {
    let _alone = ALONE.lock().await;
    let (hub, mut wall, _dir) = hub("requests_per_connection = 3\n").await;
    let mut socket = RawSocket::connect(hub.addr()).await;
    let request = format!("GET /health HTTP/1.1\r\nHost: {}\r\n\r\n", hub.addr());
    for turn in 1..=3 {
        socket.send_raw(request.as_bytes()).await;
        let head = socket.head().await.expect("an answer");
        let closes = head.get("connection") == Some("close");
        assert_eq!(closes, turn == 3, "{turn}: {head:?}");
        socket.body(&head).await;
    }
    assert!(socket.head().await.is_none(), "the connection is closed");
    is_live(&mut wall).await;
}

#[tokio::test]
async fn an_endless_header_ends_only_its_own_connection() {
    let _alone = ALONE.lock().await;
    let (hub, mut wall, _dir) = hub("header_timeout = \"3s\"\nheader_size = 8192\n").await;
    let begin = format!("GET / HTTP/1.1\r\nHost: {}\r\nX-Slow: ", hub.addr());
    let mut attack = JoinSet::new();
    for _ in 0..100 {
        let mut slow = TcpStream::connect(hub.addr()).await.unwrap();
        slow.write_all(begin.as_bytes()).await.unwrap();
        attack.spawn(async move {
            let (mut hears, mut says) = slow.split();
            // An occasional byte does not extend the timeout.
            let says = async {
                while says.write_all(b"a").await.is_ok() {
                    sleep(Duration::from_millis(100)).await;
                }
            };
            let mut received = Vec::new();
            tokio::select! {
                _ = hears.read_to_end(&mut received) => {}
                () = says => {}
            }
        });
    }
    let mut silent = TcpStream::connect(hub.addr()).await.unwrap();
    is_live(&mut wall).await;
    assert!(
        attack.try_join_next().is_none(),
        "the attack is still running"
    );
    let over = async { while attack.join_next().await.is_some() {} };
    timeout(TIMEOUT, over).await.expect("the hub closes them");
    let silent = read_all(&mut silent).await;
    assert!(silent.is_empty(), "{silent}");
    assert_eq!(refused(&hub, "header_timeout").await, 101);

    let long = format!(
        "GET / HTTP/1.1\r\nHost: {}\r\nX-Long: {}\r\n\r\n",
        hub.addr(),
        "a".repeat(9_000)
    );
    assert_eq!(ask(hub.addr(), &long).await.status(), 431);
    assert_eq!(refused(&hub, "header_size").await, 1);
    let line = hub.wait_stderr("the header is longer than 8192 bytes", TIMEOUT);
    assert!(line.unwrap().contains("peer=127.0.0.1:"));
    is_live(&mut wall).await;
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let _alone = ALONE.lock().await;
    let (hub, mut wall, _dir) = hub("header_timeout = \"1s\"\n").await;
    let request = format!("GET /health HTTP/1.1\r\nHost: {}\r\n\r\n", hub.addr());
    let mut socket = TcpStream::connect(hub.addr()).await.unwrap();
    socket.write_all(request.as_bytes()).await.unwrap();
    let output_text = read_all(&mut socket).await;
    assert!(output_text.starts_with("HTTP/1.1 200 "), "{output_text}");
    assert_eq!(
        refused(&hub, "header_timeout").await,
        0,
        "an idle connection is not counted"
    );
    is_live(&mut wall).await;
}

#[tokio::test]
async fn a_body_is_bounded_in_length_and_time() {
    let _alone = ALONE.lock().await;
    let (hub, mut wall, _dir) = hub("body_size = 1024\nbody_timeout = \"3s\"\n").await;
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
    let (address, slow) = (hub.addr(), post(500, "{\"name\":"));
    let mut attack = JoinSet::new();
    for _ in 0..50 {
        let slow = slow.clone();
        attack.spawn(async move { ask(address, &slow).await });
    }
    is_live(&mut wall).await;
    assert!(
        attack.try_join_next().is_none(),
        "the attack is still running"
    );
    for response in attack.join_all().await {
        response.is_problem(408, "3s");
    }
    is_live(&mut wall).await;
    assert_eq!(refused(&hub, "body_size").await, 1);
    assert_eq!(refused(&hub, "body_timeout").await, 50);
}

/// The connection limit follows from the raised descriptor limit, not from the initial one.
#[tokio::test]
async fn a_hub_raises_its_descriptor_limit_to_the_maximum() {
    let _alone = ALONE.lock().await;
    let script = "ulimit -Sn 512; exec \"$0\" \"$@\"";
    let hub = HubBuilder::new("/bin/sh").args(["-c", script, OCELLI]);
    let hub = hub.args(["serve", "--listen", "127.0.0.1:0"]).start();
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", hub.pid())).unwrap();
    let row = limits
        .lines()
        .find(|line| line.starts_with("Max open files"))
        .unwrap();
    let mut numbers = row.split_ascii_whitespace().skip(3);
    let soft = numbers.next().unwrap();
    assert_eq!(Some(soft), numbers.next(), "{row}");
    let metrics = get(hub.addr(), "/metrics").await.body;
    let mut rows = metrics.lines();
    let most = rows.find_map(|row| row.strip_prefix("ocelli_max_connections "));
    let most: f64 = most.unwrap().parse().unwrap();
    assert!(
        most > 512.0 && most <= soft.parse().unwrap(),
        "{most} of {soft}"
    );
}

/// The connections of a fleet that reconnects at once wait in the accept queue, because a
/// client whose SYN is dropped retries only after a second, then after twice that. Here the hub
/// accepts nothing at all.
#[tokio::test]
async fn a_burst_of_connections_is_queued() {
    let _alone = ALONE.lock().await;
    let (hub, mut wall, _dir) = hub("connections_per_address = 5000\n").await;
    hub.signal(Signal::STOP);
    let mut burst = JoinSet::new();
    for _ in 0..600 {
        // Less than the second after which the kernel retries.
        burst.spawn(timeout(
            Duration::from_millis(900),
            TcpStream::connect(hub.addr()),
        ));
    }
    let connected = burst.join_all().await;
    hub.signal(Signal::CONT);
    let made = connected.iter().filter(|made| matches!(made, Ok(Ok(_))));
    assert_eq!(made.count(), 600);
    is_live(&mut wall).await;
}
