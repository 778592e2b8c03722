//! The hub behind Debian's nginx, which speaks TLS to the world and plain HTTP to the
//! hub.

#![allow(clippy::unwrap_used, reason = "what a test arranged is there")]

mod support;

use futures_util::{SinkExt, StreamExt};
use ocelli_testkit::{Hub, jpeg};
use serde_json::Value;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use support::http::request;
use support::secure::{curl, encrypt, text};
use support::tempdir::Dir;
use support::{PATIENCE, eventually};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

const OCELLI: &str = env!("CARGO_BIN_EXE_ocelli");
const ADMIN: &str = "sk_administrator-of-a-test-0123456789abcdef";

/// nginx with a configuration of its own; ended with the test.
struct Nginx(Child);

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A hub behind nginx.
struct Behind {
    hub: Hub,
    port: u16,
    dir: Dir,
    _nginx: Nginx,
}

impl Behind {
    /// nginx passes these headers on; the hub is told these lines.
    async fn start(headers: &str, lines: &str) -> Self {
        let dir = Dir::new("nginx");
        // A port that was free a moment ago.
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let names = vec!["cams.example".to_owned(), "localhost".to_owned()];
        let pair = rcgen::generate_simple_self_signed(names).unwrap();
        dir.write("cert.pem", &pair.cert.pem());
        dir.write("key.pem", &pair.signing_key.serialize_pem());
        let config = dir.write(
            "ocelli.toml",
            &format!(
                "listen = \"127.0.0.1:0\"\n{}\n[[camera]]\nid = \"cam1\"\n\
                 source = \"pattern:?size=320x240&fps=10\"\n",
                lines.replace("PORT", &port.to_string())
            ),
        );
        let builder = Hub::builder(OCELLI).env("OCELLI_ADMIN_TOKEN", ADMIN);
        let hub = builder.args(["serve", "--config"]).arg(config).start();
        let nginx = dir.write(
            "nginx.conf",
            &format!(
                "daemon off; master_process off; worker_processes 1; pid nginx.pid;\n\
                 error_log error.log; events {{}}\n\
                 http {{ access_log off; client_body_temp_path body; proxy_temp_path proxy;\n\
                 fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;\n\
                 map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}\n\
                 server {{ listen 127.0.0.1:{port} ssl http2;\n\
                 ssl_certificate cert.pem; ssl_certificate_key key.pem;\n\
                 location / {{ proxy_pass http://{}; proxy_http_version 1.1;\n\
                 proxy_set_header Upgrade $http_upgrade;\n\
                 proxy_set_header Connection $connection_upgrade;\n\
                 proxy_buffering off; {headers} }} }} }}\n",
                hub.addr()
            ),
        );
        let program = ["/usr/sbin/nginx", "nginx"]
            .into_iter()
            .find(|path| PathBuf::from(path).exists());
        let child = Command::new(program.unwrap_or("nginx"))
            .arg("-p")
            .arg(&dir.0)
            .arg("-e")
            .arg(dir.0.join("error.log"))
            .arg("-c")
            .arg(nginx)
            .stdin(Stdio::null())
            .spawn()
            .expect("nginx");
        let behind = Self {
            hub,
            port,
            dir,
            _nginx: Nginx(child),
        };
        eventually("nginx listens", || {
            std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
        })
        .await;
        behind
    }

    fn authority(&self) -> PathBuf {
        self.dir.0.join("cert.pem")
    }

    fn url(&self, path: &str) -> String {
        format!("https://cams.example:{}{path}", self.port)
    }

    fn curl(&self, arguments: &[&str]) -> String {
        let resolve = format!("cams.example:{}:127.0.0.1", self.port);
        text(&curl(
            &self.authority(),
            &[&["--resolve", &resolve], arguments].concat(),
        ))
    }

    /// A WebSocket through nginx, from a page of this origin.
    async fn wall(&self, origin: &str) -> Result<(), u16> {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        let stream = encrypt(stream, &self.authority(), "cams.example", b"http/1.1").await;
        let mut request = self
            .url("/ws/cameras")
            .replace("https", "wss")
            .into_client_request()
            .unwrap();
        request
            .headers_mut()
            .insert("origin", origin.parse().unwrap());
        let opened = timeout(PATIENCE, client_async(request, stream))
            .await
            .unwrap();
        let (mut socket, _) = match opened {
            Ok(opened) => opened,
            Err(tokio_tungstenite::tungstenite::Error::Http(answer)) => {
                return Err(answer.status().as_u16());
            }
            Err(error) => panic!("{error}"),
        };
        let subscribe = r#"{"cmd":"subscribe","cameras":["cam1"]}"#;
        socket.send(Message::text(subscribe)).await.unwrap();
        for _ in 0..3 {
            let message = timeout(PATIENCE, socket.next())
                .await
                .unwrap()
                .unwrap()
                .unwrap();
            assert!(jpeg::is_whole(&message.into_data()[5..]));
        }
        Ok(())
    }
}

/// What Ocelli's guide tells to write into nginx's configuration.
const HEADERS: &str = "proxy_set_header Host $http_host;\n\
     proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;\n\
     proxy_set_header X-Forwarded-Proto $scheme;";
const TRUST: &str = "trusted_proxies = [\"127.0.0.1\"]\npublic_url = \"https://cams.example:PORT\"";

#[tokio::test]
async fn pages_calls_and_sockets_pass_and_addresses_are_right() {
    let behind = Behind::start(HEADERS, TRUST).await;
    let page = behind.curl(&["-i", &behind.url("/")]);
    assert!(page.contains("HTTP/2 200"), "{page}");
    let health = behind.curl(&[&behind.url("/health")]);
    assert!(health.contains("\"ok\""), "{health}");
    let origin = behind.url("");
    behind.wall(&origin).await.expect("the wall");
    assert_eq!(behind.wall("https://evil.example").await, Err(403));

    // Asked through the proxy or directly: the address is the world's.
    let bearer = format!("Authorization: Bearer {ADMIN}");
    let path = "/api/v1/apps/live/play-token/cam1";
    let through = behind.curl(&["-H", &bearer, &behind.url(path)]);
    let direct = request(behind.hub.addr(), "GET", path, &[&bearer]).await;
    for told in [through, direct.body] {
        let told: Value = serde_json::from_str(&told).unwrap_or_else(|_| panic!("{told}"));
        let url = told["data"]["wsUrl"].as_str().expect("a wsUrl");
        let right = behind
            .url("/live/ws?app=live&room=cam1&token=")
            .replace("https", "wss");
        assert!(url.starts_with(&right), "{url}");
    }
}

#[test]
fn the_link_of_the_first_start_begins_with_the_public_url() {
    let dir = Dir::new("public");
    let text = "listen = \"127.0.0.1:0\"\npublic_url = \"https://cams.example/\"\n";
    let config = dir.write("ocelli.toml", text);
    let builder = Hub::builder(OCELLI).args(["serve", "--config"]);
    let hub = builder.arg(config).start();
    let line = hub.wait_stderr("#code=", PATIENCE).expect("a link");
    let right = "https://cams.example/sign-in#code=";
    assert!(line.contains(right), "{line}");
}

#[tokio::test]
async fn the_client_s_address_is_the_real_one_if_the_proxy_is_trusted() {
    let forged = [
        "-H",
        "X-Forwarded-For: 198.51.100.7",
        "-H",
        "Forwarded: for=198.51.100.8",
    ];
    let trusting = Behind::start(HEADERS, TRUST).await;
    // The proxy's client says that it comes from elsewhere; nginx adds whom it sees.
    let elsewhere = ["--interface", "127.0.0.2", &trusting.url("/ws/cameras")];
    trusting.curl(&[&forged[..], &elsewhere].concat());
    let line = trusting.hub.wait_stderr("refused an upgrade", PATIENCE);
    let real = line
        .as_ref()
        .is_some_and(|line| line.contains("peer=127.0.0.2:0"));
    assert!(real, "{line:?}");
    // Two proxies, both trusted: the first one's client.
    let set = HEADERS.replace("$proxy_add_x_forwarded_for", "\"203.0.113.9, 10.0.0.2\"");
    let lines = TRUST.replace("\"127.0.0.1\"", "\"127.0.0.1\", \"10.0.0.0/8\"");
    let two = Behind::start(&set, &lines).await;
    two.curl(&[&two.url("/ws/cameras")]);
    let line = two
        .hub
        .wait_stderr("refused an upgrade", PATIENCE)
        .expect("a line");
    assert!(line.contains("peer=203.0.113.9:0"), "{line}");
    // Nobody is trusted: what is said counts for nothing.
    let wary = Behind::start(&set, "public_url = \"https://cams.example:PORT\"").await;
    wary.curl(&[&wary.url("/ws/cameras")]);
    let line = wary
        .hub
        .wait_stderr("refused an upgrade", PATIENCE)
        .expect("a line");
    assert!(line.contains("peer=127.0.0.1:"), "{line}");
    for hub in [&two.hub, &wary.hub] {
        let lines = [
            "X-Forwarded-For: 198.51.100.7",
            "X-Forwarded-Host: evil.example",
        ];
        let told = request(hub.addr(), "GET", "/health", &lines).await;
        let trusted = std::ptr::eq(hub, &two.hub);
        assert_eq!(told.status(), if trusted { 403 } else { 200 }, "{told:?}");
    }
}

#[tokio::test]
async fn a_proxy_that_passes_on_nothing_works_by_public_url_alone() {
    let behind = Behind::start("", TRUST).await;
    let page = behind.curl(&["-i", &behind.url("/")]);
    assert!(page.contains("HTTP/2 200"), "{page}");
    behind.wall(&behind.url("")).await.expect("the wall");
    // A foreign name that the proxy passes on is refused.
    let open = "proxy_set_header Host $http_host;";
    let behind = Behind::start(open, TRUST).await;
    let told = behind.curl(&["-i", "-H", "Host: evil.example", &behind.url("/health")]);
    assert!(told.contains(" 403"), "{told}");
}
