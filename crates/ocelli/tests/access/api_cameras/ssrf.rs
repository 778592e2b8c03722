//! Addresses that a camera added over HTTP must not have, and must not redirect to.

use super::{add, admin, camera, hub_in, open_hub};
use crate::support::TIMEOUT;
use crate::support::doctor::{header, request};
use crate::support::http::get;
use crate::support::tempdir::Dir;
use crate::support::wall::Wall;
use ocelli_testkit::{RtspServer, RtspServerOptions};
use serde_json::json;
use std::collections::BTreeSet;
use std::io::{ErrorKind, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};

/// An address of this machine that is reachable from outside.
fn own_address() -> IpAddr {
    let own = if_addrs::get_if_addrs().unwrap();
    let mut own = own.iter().map(|own| own.ip());
    let own = own.find(|ip| ip.is_ipv4() && !ip.is_loopback());
    own.expect("this machine has an address besides loopback")
}

/// Accepts connections at an address of this machine that the SSRF guard permits, and passes each
/// to `serve`. Returns the address.
fn outside(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind((own_address(), 0)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || listener.incoming().flatten().for_each(serve));
    address
}

/// Checks that nothing has connected to the listener.
fn assert_no_connection(listener: &TcpListener) {
    listener.set_nonblocking(true).unwrap();
    let received = listener.accept();
    let nobody = received
        .as_ref()
        .is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
    assert!(nobody, "something connected: {received:?}");
}

#[tokio::test]
async fn an_added_camera_must_not_be_on_this_machine() {
    let open = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = open.local_addr().unwrap().port();
    let closed = {
        let closed = TcpListener::bind("127.0.0.1:0").unwrap();
        closed.local_addr().unwrap().port()
    };
    let dir = Dir::new("fenced");
    let hub = hub_in(&dir, "");
    let mut received = BTreeSet::new();
    for host in [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "2130706433",
        "0x7f.0.0.1",
        "0177.1",
        "0",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "169.254.169.254",
        "LOCALHOST",
        "127.1",
    ] {
        for (scheme, port) in [
            ("http", port),
            ("rtsp", port),
            ("http", closed),
            ("rtsp", closed),
        ] {
            let source = format!("{scheme}://{host}:{port}/x");
            for (line, body) in [
                (
                    "POST /api/v1/cameras",
                    json!({ "room": "x", "source": source }),
                ),
                ("POST /api/v1/cameras/test", json!({ "source": source })),
                (
                    "POST /api/v1/cameras/test",
                    json!({ "source": "http://10.0.0.7/", "substream": source }),
                ),
            ] {
                let response = admin(&hub, line, body).await;
                response.is_problem(400, "allow_local_sources");
                let message = response.json()["message"].as_str().unwrap().to_owned();
                received.insert(message.replace("substream", "source"));
            }
        }
    }
    // All get the same message, so that it reveals nothing about the machine.
    assert_eq!(received.len(), 1, "{received:?}");
    assert_no_connection(&open);

    // A camera elsewhere cannot redirect there either.
    let targets = [
        format!("http://127.0.0.1:{port}/"),
        format!("http://localhost:{port}/"),
        format!("http://[::ffff:7f00:1]:{port}/"),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
    ];
    for target in targets {
        let led = target.clone();
        let camera = outside(move |mut stream| {
            request(&mut stream);
            let response =
                format!("HTTP/1.1 302 Found\r\nLocation: {led}\r\nContent-Length: 0\r\n\r\n");
            let _ = stream.write_all(response.as_bytes());
        });
        let body = json!({ "source": format!("http://{camera}/") });
        let seen = admin(&hub, "POST /api/v1/cameras/test", body).await.json();
        let reason = seen["data"]["reason"].as_str().unwrap();
        assert!(reason.contains("allow_local_sources"), "{target}: {reason}");
    }
    assert_no_connection(&open);
}

#[tokio::test]
async fn an_rtsp_camera_cannot_redirect_to_this_machine() {
    let open = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = open.local_addr().unwrap().port();
    // The server's `Content-Base` names an address of the hub's machine, and its software is
    // one that needs TEARDOWN on a new connection.
    let camera = outside(move |mut stream| {
        while let Some(request) = request(&mut stream) {
            let sequence = header(&request, "CSeq");
            let response = if request.starts_with("DESCRIBE") {
                let sdp = "v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=x\r\nt=0 0\r\n\
                     a=tool:LIVE555 Streaming Media v2016.01.01\r\n\
                     m=video 0 RTP/AVP 26\r\na=control:track1\r\n";
                let length = sdp.len();
                format!(
                    "CSeq: {sequence}\r\nContent-Base: rtsp://127.0.0.1:{port}/\r\n\
                     Content-Type: application/sdp\r\nContent-Length: {length}\r\n\r\n{sdp}"
                )
            } else if request.starts_with("SETUP") {
                let transport = "RTP/AVP/TCP;unicast;interleaved=0-1";
                format!(
                    "CSeq: {sequence}\r\nSession: 7;timeout=60\r\nTransport: {transport}\r\n\r\n"
                )
            } else {
                // Disconnect in the middle of a session.
                return;
            };
            let _ = stream.write_all(format!("RTSP/1.0 200 OK\r\n{response}").as_bytes());
        }
    });
    let dir = Dir::new("leads");
    let hub = hub_in(&dir, "");
    for _ in 0..2 {
        let body = json!({ "source": format!("rtsp://{camera}/") });
        let seen = admin(&hub, "POST /api/v1/cameras/test", body).await.json();
        assert_eq!(
            seen["data"]["reason"], "the camera closed the connection",
            "{seen}"
        );
    }
    assert_no_connection(&open);
}

#[tokio::test]
async fn names_are_resolved_for_every_connection() {
    let http = camera().await;
    let rtsp = RtspServer::start(RtspServerOptions::default());
    let dir = Dir::new("renamed");
    let mut hub = open_hub(&dir);
    let by_name = |url: String| url.replace("127.0.0.1", "localhost");
    for (room, source) in [
        ("name", by_name(http.url("mjpeg"))),
        ("number", http.url("mjpeg")),
        ("rtspname", by_name(rtsp.url("mjpeg"))),
        ("rtspnumber", rtsp.url("mjpeg")),
    ] {
        add(&hub, json!({ "room": room, "source": source })).await;
        let picture = get(hub.addr(), &format!("/live/live/{room}/frame.jpg")).await;
        assert_eq!(picture.status(), 200, "{room}");
    }
    hub.terminate(TIMEOUT).unwrap();
    // This hub refuses local addresses, as if the names now resolved to other addresses.
    let hub = hub_in(&dir, "");
    let requests_before = http.requests("/mjpeg");
    let mut wall = Wall::v2(hub.addr()).await;
    wall.subscribe(&["name", "number", "rtspname", "rtspnumber"])
        .await;
    let mut failed = BTreeSet::new();
    let deadline = tokio::time::Instant::now() + TIMEOUT;
    while failed.len() < 4 {
        let event = tokio::time::timeout_at(deadline, wall.event("camera")).await;
        let event = event.unwrap_or_else(|_| panic!("only these failed: {failed:?}"));
        if event["camera"]["state"] == "failed" {
            let reason = event["camera"]["reason"].as_str().unwrap();
            assert!(reason.contains("allow_local_sources"), "{event}");
            failed.insert(event["camera"]["id"].to_string());
        }
    }
    assert_eq!(http.requests("/mjpeg"), requests_before);
}
