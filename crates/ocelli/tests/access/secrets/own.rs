//! The hub's own secrets, sent in the wrong places: no answer, event or log line repeats them.

use crate::support::TIMEOUT;
use crate::support::device::ADMIN;
use crate::support::http::{UPGRADE, ask};
use crate::support::hub::configured;
use crate::support::tempdir::Dir;
use crate::support::wall::Wall;
use futures_util::StreamExt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU16, Ordering};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};

/// Part of every secret below; it occurs neither in the hub's own texts nor in anything it
/// generates.
const CORE: &str = "5ec4e75ec4e75ec4e75ec4e75ec4e75ec4e75ec4";

/// One secret of each form.
fn secrets() -> [String; 7] {
    let long = format!("{CORE}{}", &CORE[..24]);
    [
        format!("sk_{long}"),
        format!("sk_own-{CORE}-word"),
        format!("wsk_{long}"),
        format!("pt_AQ{CORE}{CORE}-_"),
        format!("wall_0123456789abcdef.{long}"),
        format!("ses_0123456789abcdef.{long}"),
        // A one-time code.
        CORE.to_owned(),
    ]
}

/// Returns different spellings of a secret in a URL.
fn spelt(secret: &str) -> [String; 3] {
    [
        secret.to_owned(),
        secret
            .replace('_', "%5F")
            .replace('.', "%2e")
            .replace('5', "%35"),
        secret.replace('_', "%255f").replace('e', "%65"),
    ]
}

/// Checks that a text repeats no secret, in any encoding.
fn clean(what: &str, text: &str) {
    let mut plain = text.to_owned();
    for (escape, c) in [
        ("%25", "%"),
        ("%5f", "_"),
        ("%5F", "_"),
        ("%35", "5"),
        ("%65", "e"),
    ] {
        plain = plain.replace(escape, c);
    }
    for line in plain.lines() {
        assert!(
            !line.contains(&CORE[..20]),
            "{what} contains a secret: {line}"
        );
    }
}

/// Paths for GET, with the secret as `{}`.
const ADDRESSES: &[&str] = &[
    "/{}",
    "/api/{}",
    "/api/v1/{}",
    "/api/v1/cameras/{}",
    "/api/v1/cameras/live%2F{}",
    "/api/v1/cameras/{}/health",
    "/api/v1/cameras/cam1/health?maxAge={}",
    "/api/v1/cameras?token={}",
    "/api/v1/apps/{}",
    "/api/v1/apps/{}/streams",
    "/api/v1/apps/{}/ws-ingest",
    "/api/v1/apps/live/ws-ingest?limit={}",
    "/api/v1/apps/live/ws-ingest/live/{}",
    "/api/v1/apps/{}/ws-ingest/live/cam1",
    "/api/v1/apps/live/play-token/{}",
    "/api/v1/apps/{}/play-token/cam1",
    "/api/v1/apps/live/play-token/cam1?ttl={}",
    "/api/v1/sessions?of={}",
    "/live/live/{}/mjpeg",
    "/live/live/{}/frame.jpg",
    "/live/{}/cam1/frame.jpg",
    "/live/live/cam1/mjpeg?stream={}",
    "/live/live/cam1/frame.jpg?token={}",
    "/play/live/{}",
    "/play/{}/cam1",
    "/sign-in/{}",
];

/// Other calls.
const CALLS: &[(&str, &str)] = &[
    ("DELETE /api/v1/apps/{}", ""),
    ("DELETE /api/v1/apps/live/streams/{}", ""),
    ("DELETE /api/v1/apps/live/ws-ingest/{}", ""),
    ("DELETE /api/v1/cameras/{}", ""),
    ("DELETE /api/v1/tokens/{}", ""),
    ("DELETE /api/v1/users/{}", ""),
    ("DELETE /api/v1/walls/{}", ""),
    ("DELETE /api/v1/sessions/{}", ""),
    ("DELETE /api/v1/series/{}", ""),
    ("PUT /api/v1/{}", ""),
    ("PATCH /api/v1/apps/{}", "{}"),
    ("PATCH /api/v1/apps/live", r#"{"{}":1}"#),
    ("PATCH /api/v1/users/{}", r#"{"name":"x"}"#),
    ("PATCH /api/v1/series/{}", r#"{"name":"x"}"#),
    ("POST /api/v1/apps", r#"{"name":"{}"}"#),
    (
        "POST /api/v1/apps",
        r#"{"name":"barn","roomPrefix":"a/{}"}"#,
    ),
    ("POST /api/v1/apps", r#"{"name":["{}"]}"#),
    ("POST /api/v1/apps", "{} {}"),
    ("POST /api/v1/apps/live/ws-ingest", r#"{"room":"{}"}"#),
    ("POST /api/v1/apps/live/ws-ingest", r#"{"room":"a/{}"}"#),
    (
        "POST /api/v1/apps/live/ws-ingest",
        r#"{"room":"a","identity":"{}"}"#,
    ),
    (
        "POST /api/v1/apps/live/ws-ingest",
        r#"{"room":"a","identity":"a/{}"}"#,
    ),
    ("POST /api/v1/apps/{}/ws-ingest", r#"{"room":"a"}"#),
    ("POST /api/v1/tokens", r#"{"name":"a","scope":"{}"}"#),
    (
        "POST /api/v1/tokens",
        r#"{"name":"a","scope":"app","appId":"{}"}"#,
    ),
    (
        "POST /api/v1/tokens",
        r#"{"name":"a","scope":"global","permissions":["{}"]}"#,
    ),
    ("POST /api/v1/walls", r#"{"name":"w","cameras":["{}"]}"#),
    (
        "POST /api/v1/cameras",
        r#"{"room":"a/{}","source":"rtsp://10.0.0.7/x"}"#,
    ),
    ("POST /api/v1/cameras", r#"{"room":"a","source":"{}"}"#),
    (
        "POST /api/v1/cameras",
        r#"{"app":"{}","room":"a","source":"rtsp://10.0.0.7/x"}"#,
    ),
    (
        "POST /api/v1/users",
        r#"{"name":"x","roles":[{"app":"{}","role":"viewer"}]}"#,
    ),
    (
        "POST /api/v1/users",
        r#"{"name":"x","roles":[{"role":"{}"}]}"#,
    ),
    ("POST /api/v1/session", r#"{"name":"{}","password":"{}"}"#),
    (
        "POST /api/v1/setup",
        r#"{"code":"{}","password":"long enough"}"#,
    ),
    (
        "POST /api/v1/setup",
        r#"{"code":"x","password":"long enough","{}":1}"#,
    ),
];

/// Sockets, with the secret in their URL.
const SOCKETS: &[&str] = &[
    "/ingest/ws?app=live&room={}",
    "/ingest/ws?app={}&room=cam1",
    "/ingest/ws?app=live&room=cam1&key={}",
    "/ingest/ws?app=live&room={}&key=wsk_0123456789012345678901234567890123456789",
    "/ingest/ws?app=live&room=a%2F{}&key=wsk_0123456789012345678901234567890123456789",
    "/ingest/ws?app=live&room=x&identity={}",
    "/ingest/ws/{}",
    "/live/ws?app=live&room={}",
    "/live/ws?app={}&room=cam1",
    "/live/ws?app=live&room=cam1&token={}",
    "/live/jsmpeg?app=live&room={}",
    "/live/jsmpeg?app=live&room=cam1&format={}",
    "/ws/cameras?token={}",
    "/ws/series?token={}",
    "/ws/{}",
];

/// Headers of a request and of a handshake.
const HEADERS: &[&str] = &[
    "Origin: https://{}.example",
    "Origin: {}",
    "X-Forwarded-Host: {}",
    "X-Forwarded-For: {}",
    "Forwarded: host={}",
    "Sec-WebSocket-Version: {}",
    "Sec-WebSocket-Key: {}",
    "Sec-WebSocket-Protocol: {}",
    "Upgrade: {}",
    "Connection: {}",
    "Authorization: Bearer {}",
    "Authorization: {}",
    "Cookie: ocelli_00000000={}",
    "Content-Type: {}",
    "User-Agent: {}",
    "Accept: {}",
    "{}: 1",
];

/// Returns a header that gives each request a different client address, because the log limits
/// refusals, and the hub limits guesses, per address.
fn from_elsewhere() -> (&'static str, String) {
    static COUNT: AtomicU16 = AtomicU16::new(0);
    let [high, low] = COUNT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    ("x-forwarded-for", format!("10.1.{high}.{low}"))
}

/// Opens a socket; returns what it sent until it was closed, or why it was refused.
async fn socket(hub: SocketAddr, path: &str) -> String {
    let stream = TcpStream::connect(hub).await.unwrap();
    let mut request = format!("ws://{hub}{path}").into_client_request().unwrap();
    let (name, address) = from_elsewhere();
    let headers = request.headers_mut();
    headers.insert(name, address.parse().unwrap());
    let (mut socket, _) = match client_async(request, stream).await {
        Ok(opened) => opened,
        Err(Error::Http(response)) => {
            let body = response.body().clone().unwrap_or_default();
            return format!(
                "{:?} {}",
                response.headers(),
                String::from_utf8_lossy(&body)
            );
        }
        Err(error) => return error.to_string(),
    };
    let mut received = String::new();
    loop {
        let next = timeout(TIMEOUT, socket.next()).await;
        match next.unwrap_or_else(|_| panic!("{path} stays open")) {
            Some(Ok(Message::Text(text))) => received.push_str(&text),
            Some(Ok(Message::Close(close))) => return format!("{received} {close:?}"),
            Some(Ok(_)) => {}
            _ => return received,
        }
    }
}

#[tokio::test]
async fn no_answer_and_no_log_line_repeats_a_secret_of_the_hub() {
    let dir = Dir::new("own-secrets");
    let config = "listen = \"127.0.0.1:0\"\ntrusted_proxies = [\"127.0.0.1\"]\n\
         [telemetry]\ntcp = \"127.0.0.1:0\"\nws = \"\"\n\
         [[camera]]\nid = \"cam1\"\nsource = \"pattern:?size=64x48&fps=50\"\n";
    let builder = configured(&dir, config)
        .env("OCELLI_ADMIN_TOKEN", ADMIN)
        .env("OCELLI_LOG", "trace");
    let hub = builder.arg("--data").arg(dir.0.join("kept")).start();
    let at = hub.addr();
    let send = async |line: &str, more: &str, body: &str| {
        let (length, (name, address)) = (body.len(), from_elsewhere());
        let request = format!(
            "{line} HTTP/1.1\r\nHost: {at}\r\n{more}{name}: {address}\r\nConnection: close\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        );
        let response = ask(at, &request).await;
        clean(line, &format!("{:?}", response.head));
        clean(line, &response.body);
        response
    };
    let bearer = format!("Authorization: Bearer {ADMIN}\r\n");
    let json = format!("{bearer}Content-Type: application/json\r\n");
    for secret in secrets() {
        for spelt in spelt(&secret) {
            for address in ADDRESSES {
                let line = format!("GET {}", address.replace("{}", &spelt));
                send(&line, "", "").await;
                send(&line, &format!("{bearer}Accept: text/html\r\n"), "").await;
            }
            for address in SOCKETS {
                let address = address.replace("{}", &spelt);
                clean(&address, &socket(at, &address).await);
            }
        }
        for (line, body) in CALLS {
            let (line, body) = (line.replace("{}", &secret), body.replace("{}", &secret));
            send(&line, &json, &body).await;
        }
        for header in HEADERS {
            let header = header.replace("{}", &secret);
            send("GET /api/v1/cameras", &format!("{header}\r\n"), "").await;
            let name = header.split(':').next().unwrap_or_default();
            let upgrade = UPGRADE.iter().filter(|line| !line.starts_with(name));
            let upgrade: String = upgrade.map(|line| format!("{line}\r\n")).collect();
            send("GET /ws/cameras", &format!("{upgrade}{header}\r\n"), "").await;
        }
        let host =
            format!("GET /health HTTP/1.1\r\nHost: {secret}.example\r\nConnection: close\r\n\r\n");
        clean("a foreign host", &ask(at, &host).await.body);
        // Samples: the name of a series, and invalid lines.
        for text in [format!("{secret}\n1 2\n"), format!("temp\n{secret}\n1 2\n")] {
            send("POST /api/v1/series", &bearer, &text).await;
        }
        send("GET /api/v1/series", &bearer, "").await;
        send("GET /api/v1/series/sources", &bearer, "").await;
        // Messages from a viewer, and the answers.
        let wall = [
            format!(r#"{{"cmd":"subscribe","cameras":["{secret}","cam1"]}}"#),
            format!(r#"{{"cmd":"{secret}"}}"#),
            format!(r#"{{"cmd":"retry","cameras":["{secret}"]}}"#),
            format!(r#"{{"{secret}":1}}"#),
            secret.clone(),
        ];
        clean("a wall", &wall_v2(at, &wall).await);
    }
    let log = hub.stderr();
    assert!(log.len() > 100, "the log is complete");
    clean("the log", &log.join("\n"));
    let redacted = log.iter().filter(|line| line.contains("***")).count();
    assert!(
        redacted > 50,
        "refusals are logged without the secrets: {redacted}"
    );
}

/// Returns the answers to these invalid messages from a viewer.
async fn wall_v2(hub: SocketAddr, texts: &[String]) -> String {
    let mut wall = Wall::v2(hub).await;
    let mut received = String::new();
    for text in texts {
        wall.send_text(text).await;
        received.push_str(&wall.event("error").await.to_string());
    }
    received
}
