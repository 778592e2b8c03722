//! Host and Origin policy: allowed host names, and pages that may open sockets.

#![allow(clippy::unwrap_used, reason = "a failed test setup must panic")]

use crate::support::TIMEOUT;
use crate::support::http::{HttpResponse, ask, request};
use crate::support::hub::configured;
use crate::support::tempdir::Dir;
use ocelli_testkit::Hub;
use ocelli_testkit::websocket::KEY;

fn hub() -> (Hub, Dir) {
    let dir = Dir::new("front");
    let hub = configured(
        &dir,
        "listen = \"127.0.0.1:0\"\nallowed_hosts = [\"Cams.lan\", \"10.9.8.7\"]\n\
         allowed_origins = [\"https://dash.example\", \"http://dev.example:3000/\"]\n\
         frame_ancestors = [\"https://dash.example\"]\n\
         [[camera]]\nid = \"cam1\"\nsource = \"pattern:?size=64x48&fps=20\"\n",
    );
    (hub.start(), dir)
}

async fn naming(hub: &Hub, path: &str, host: &str) -> HttpResponse {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    ask(hub.addr(), &request).await
}

async fn from_page(hub: &Hub, path: &str, origin: &str) -> HttpResponse {
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {}\r\nOrigin: {origin}\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n",
        hub.addr()
    );
    ask(hub.addr(), &request).await
}

#[tokio::test]
async fn own_names_addresses_and_allowed_hosts_are_accepted_on_any_port() {
    let (hub, _dir) = hub();
    let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let own = hub.addr().to_string();
    for host in [
        own.as_str(),
        "127.0.0.1",
        "localhost",
        "LocalHost:1234",
        "localhost.",
        "[::1]:8080",
        "cams.lan",
        "CAMS.LAN:443",
        "10.9.8.7",
        machine.trim(),
    ] {
        assert_eq!(naming(&hub, "/health", host).await.status(), 200, "{host}");
    }
}

#[tokio::test]
async fn a_request_for_a_foreign_host_is_refused_everywhere() {
    let (hub, _dir) = hub();
    for path in [
        "/",
        "/ocelli.js",
        "/health",
        "/api/v1/cameras",
        "/live/live/cam1/mjpeg",
        "/live/live/cam1/frame.jpg",
        "/live/ws?app=live&room=cam1",
        "/ws/cameras",
        "/play/live/cam1",
        "/nothing",
    ] {
        let response = naming(&hub, path, "evil.example").await;
        response.is_plain(403, "evil.example");
        assert_eq!(response.header("x-content-type-options"), "nosniff");
        assert!(response.body.contains("allowed_hosts"), "{response:?}");
    }
    for host in [
        "127.0.0.1.evil.example",
        "localhost.evil.example:80",
        "xlocalhost",
        "8.8.8.8",
        "[2001:db8::1]",
        "",
        "user@evil.example",
        "127.0.0.1@evil.example",
    ] {
        let response = naming(&hub, "/health", host).await;
        assert!(
            [400, 403].contains(&response.status()),
            "{host}: {response:?}"
        );
    }
    // The absolute form of the request target overrides the Host header.
    let absolute = format!(
        "GET http://evil.example/health HTTP/1.1\r\nHost: {}\r\n\r\n",
        hub.addr()
    );
    assert_eq!(ask(hub.addr(), &absolute).await.status(), 403);
    let none = ask(hub.addr(), "GET /health HTTP/1.1\r\n\r\n").await;
    assert!([400, 403].contains(&none.status()), "{none:?}");
    let two = "GET /health HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n";
    let two = ask(hub.addr(), two).await;
    assert!([400, 403].contains(&two.status()), "{two:?}");
    let line = hub.wait_stderr("evil.example", TIMEOUT).unwrap();
    assert!(line.contains("127.0.0.1:"), "the peer is logged: {line}");
}

#[tokio::test]
async fn sockets_open_for_own_pages_allowed_pages_and_clients_without_an_origin() {
    let (hub, _dir) = hub();
    for path in ["/ws/cameras", "/live/ws?app=live&room=cam1"] {
        for origin in [
            "http://localhost",
            "http://localhost:3000",
            "https://127.0.0.1:8443",
            "http://cams.lan:81",
            "https://dash.example",
            "HTTPS://Dash.Example",
            "http://dev.example:3000",
        ] {
            let response = from_page(&hub, path, origin).await;
            assert_eq!(response.status(), 101, "{origin}: {response:?}");
        }
        for origin in [
            "http://evil.example",
            "https://evil.example",
            "null",
            "file://",
            "",
            "http://dash.example",
            "https://dash.example:8443",
            "https://sub.dash.example",
            "https://localhost.evil.example",
            "https://localhost@evil.example",
            "ftp://localhost",
            "localhost",
        ] {
            let response = from_page(&hub, path, origin).await;
            response.is_plain(403, "allowed_origins");
        }
        let two = format!("http://{}\r\nOrigin: http://evil.example", hub.addr());
        let response = from_page(&hub, path, &two).await;
        response.is_plain(403, "more than one");
    }
    let line = hub.wait_stderr("\"http://evil.example\"", TIMEOUT);
    let line = line.expect("a refused page is logged");
    assert!(
        line.contains("127.0.0.1:") || line.contains("peer"),
        "{line}"
    );
}

#[tokio::test]
async fn pages_that_may_open_sockets_may_read_responses() {
    let (hub, _dir) = hub();
    let read = async |origin: &str| {
        let lines = [format!("Origin: {origin}")];
        let lines: Vec<_> = lines.iter().map(String::as_str).collect();
        let response = request(hub.addr(), "GET", "/api/v1/cameras", &lines).await;
        response.header("access-control-allow-origin").to_owned()
    };
    assert_eq!(read("https://dash.example").await, "https://dash.example");
    assert_eq!(read("https://evil.example").await, "");
}

#[tokio::test]
async fn pages_declare_which_sites_may_frame_them() {
    let (hub, _dir) = hub();
    for path in ["/", "/play/live/cam1", "/api/v1/docs"] {
        let response = request(hub.addr(), "GET", path, &[]).await;
        let policies = response.head.headers.iter();
        let policies = policies.filter(|(name, _)| name == "content-security-policy");
        let policies: Vec<_> = policies.map(|(_, value)| value.as_str()).collect();
        let framing = "frame-ancestors 'self' https://dash.example";
        assert!(policies.contains(&framing), "{path}: {policies:?}");
        let strict = policies
            .iter()
            .any(|policy| policy.contains("default-src 'self'"));
        assert!(strict, "{path}: {policies:?}");
    }
}
