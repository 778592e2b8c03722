//! Debian's reverse proxies with the configuration that the guide shows for each, read from the
//! guide itself.

use crate::support::http::HttpResponse;
use crate::support::hub::configured;
use crate::support::secure::{curl, encrypt, text};
use crate::support::tempdir::Dir;
use crate::support::{TIMEOUT, eventually};
use futures_util::{SinkExt, StreamExt};
use ocelli_testkit::{Hub, jpeg};
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};

pub const ADMIN: &str = "sk_administrator-of-a-test-0123456789abcdef";

/// The proxies tested here. Traefik is not packaged by Debian.
pub const PROXIES: [Proxy; 3] = [Proxy::Nginx, Proxy::Caddy, Proxy::Haproxy];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proxy {
    Nginx,
    Caddy,
    Haproxy,
}

/// Returns the guide's example in this language.
pub fn example(language: &str) -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guide/network.md");
    let page = fs::read_to_string(page).unwrap();
    let fence = format!("```{language}\n");
    let mut blocks = page.split(&fence).skip(1);
    let block = blocks.next().expect(language);
    assert!(blocks.next().is_none(), "one example of {language}");
    block.split("```").next().unwrap().to_owned()
}

/// Replaces the parts of an example that differ in a test. Each of them must occur in it.
fn fitted(example: &str, differences: &[(&str, String)]) -> String {
    let mut fitted = example.to_owned();
    for (guide, here) in differences {
        assert!(fitted.contains(guide), "{guide:?} in {example}");
        fitted = fitted.replace(guide, here);
    }
    fitted
}

impl Proxy {
    /// Returns the guide's example for it.
    pub fn example(self) -> String {
        example(match self {
            Proxy::Nginx => "nginx",
            Proxy::Caddy => "caddyfile",
            Proxy::Haproxy => "haproxy",
        })
    }

    /// Starts it with an example, from this port to this hub.
    fn start(self, dir: &Dir, example: &str, port: u16, hub: &str) -> Child {
        let upstream = ("127.0.0.1:8080", hub.to_owned());
        let path = dir.0.display();
        let mut command = match self {
            Proxy::Nginx => {
                let certificate = "ssl_certificate cert.pem; ssl_certificate_key key.pem;";
                let servers = fitted(
                    example,
                    &[
                        upstream,
                        ("listen 443", format!("listen 127.0.0.1:{port}")),
                        ("# ssl_certificate, ssl_certificate_key", certificate.into()),
                    ],
                );
                let file = format!(
                    "daemon off; master_process off; worker_processes 1; pid nginx.pid;\n\
                     error_log error.log; events {{}}\n\
                     http {{ access_log off; client_body_temp_path body; proxy_temp_path proxy;\n\
                     fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;\n\
                     {servers} }}\n"
                );
                let mut command = Command::new(program("nginx"));
                command.arg("-p").arg(&dir.0);
                command.arg("-e").arg(dir.0.join("error.log"));
                command.arg("-c").arg(dir.write("nginx.conf", &file));
                command
            }
            Proxy::Caddy => {
                let site = format!(
                    "{{\n admin off\n auto_https disable_redirects\n}}\n\
                     https://cams.example:{port} {{\n bind 127.0.0.1\n\
                     tls {path}/cert.pem {path}/key.pem"
                );
                let file = fitted(example, &[upstream, ("cams.example {", site)]);
                let mut command = Command::new(program("caddy"));
                command.args(["run", "--adapter", "caddyfile", "--config"]);
                command.arg(dir.write("Caddyfile", &file));
                command
            }
            Proxy::Haproxy => {
                let bind = (
                    "bind :443 ssl crt /etc/haproxy/cams.example.pem",
                    format!("bind 127.0.0.1:{port} ssl crt {path}/both.pem"),
                );
                let file = fitted(example, &[upstream, bind]);
                let mut command = Command::new(program("haproxy"));
                command.arg("-db").arg("-f");
                command.arg(dir.write("haproxy.cfg", &file));
                command
            }
        };
        let log = fs::File::create(dir.0.join("proxy.log")).unwrap();
        let command = command.current_dir(&dir.0).env("HOME", &dir.0);
        let command = command.stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(log).spawn().expect("the proxy")
    }
}

/// Returns the path of an installed program, which may be in a directory that only root's PATH
/// has.
fn program(name: &str) -> PathBuf {
    let path = Path::new("/usr/sbin").join(name);
    if path.exists() { path } else { name.into() }
}

/// A hub behind a proxy with TLS on the outside and plain HTTP to the hub. The proxy ends with
/// the test.
pub struct Behind {
    pub hub: Hub,
    port: u16,
    dir: Dir,
    proxy: Child,
}

impl Drop for Behind {
    fn drop(&mut self) {
        let _ = self.proxy.kill();
        let _ = self.proxy.wait();
    }
}

impl Behind {
    /// Starts it as in the guide, with these lines in the hub's configuration.
    pub async fn start(proxy: Proxy, lines: &str) -> Self {
        Self::with(proxy, &proxy.example(), lines).await
    }

    /// Starts it with a proxy configuration that differs from the guide's.
    pub async fn with(proxy: Proxy, example: &str, lines: &str) -> Self {
        let dir = Dir::new("proxy");
        // A port that was free a moment ago.
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let names = vec!["cams.example".to_owned(), "localhost".to_owned()];
        let pair = rcgen::generate_simple_self_signed(names).unwrap();
        let (cert, key) = (pair.cert.pem(), pair.signing_key.serialize_pem());
        dir.write("cert.pem", &cert);
        dir.write("key.pem", &key);
        dir.write("both.pem", &format!("{cert}{key}"));
        let hub = configured(
            &dir,
            &format!(
                "listen = \"127.0.0.1:0\"\n{}\n[[camera]]\nid = \"cam1\"\n\
                 source = \"pattern:?size=320x240&fps=10\"\n",
                lines.replace("PORT", &port.to_string())
            ),
        );
        let hub = hub.env("OCELLI_ADMIN_TOKEN", ADMIN).start();
        let child = proxy.start(&dir, example, port, &hub.addr().to_string());
        let behind = Self {
            hub,
            port,
            dir,
            proxy: child,
        };
        eventually("the proxy listens", || {
            std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
        })
        .await;
        behind
    }

    fn authority(&self) -> PathBuf {
        self.dir.0.join("cert.pem")
    }

    pub fn url(&self, path: &str) -> String {
        format!("https://cams.example:{}{path}", self.port)
    }

    /// Returns curl's output, which includes headers if the arguments request them.
    pub fn curl(&self, arguments: &[&str]) -> String {
        let resolve = format!("cams.example:{}:127.0.0.1", self.port);
        text(&curl(
            &self.authority(),
            &[&["--resolve", &resolve], arguments].concat(),
        ))
    }

    /// The same with these header lines.
    pub fn curl_with(&self, lines: &[String], arguments: &[&str]) -> String {
        let lines = lines.iter().flat_map(|line| ["-H", line]);
        self.curl(&lines.chain(arguments.iter().copied()).collect::<Vec<_>>())
    }

    /// Opens a WebSocket through the proxy, from a page of this origin. Checks that it shows
    /// pictures, or returns the status of the refusal.
    pub async fn wall(&self, origin: &str) -> Result<(), u16> {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        let stream = encrypt(stream, &self.authority(), "cams.example", b"http/1.1").await;
        let mut request = self
            .url("/ws/cameras")
            .replace("https", "wss")
            .into_client_request()
            .unwrap();
        let headers = request.headers_mut();
        headers.insert("origin", origin.parse().unwrap());
        let opened = timeout(TIMEOUT, client_async(request, stream)).await;
        let (mut socket, _) = match opened.unwrap() {
            Ok(opened) => opened,
            Err(Error::Http(response)) => return Err(response.status().as_u16()),
            Err(error) => panic!("{error}"),
        };
        let subscribe = r#"{"cmd":"subscribe","cameras":["cam1"]}"#;
        socket.send(Message::text(subscribe)).await.unwrap();
        for _ in 0..3 {
            let message = timeout(TIMEOUT, socket.next()).await.unwrap();
            let message = message.unwrap().unwrap().into_data();
            assert!(jpeg::is_whole(&message[5..]));
        }
        Ok(())
    }

    /// Returns the URL that comes with a play token, requested through the proxy.
    pub fn play_address(&self, lines: &[String]) -> String {
        let bearer = format!("Authorization: Bearer {ADMIN}");
        let lines = [&[bearer], lines].concat();
        play_address(&self.curl_with(&lines, &[&self.url(PLAY)]))
    }

    /// The same, requested directly.
    pub async fn direct_play_address(&self) -> String {
        let bearer = format!("Authorization: Bearer {ADMIN}");
        let response: HttpResponse =
            crate::support::http::request(self.hub.addr(), "GET", PLAY, &[&bearer]).await;
        play_address(&response.body)
    }
}

const PLAY: &str = "/api/v1/apps/live/play-token/cam1";

fn play_address(body: &str) -> String {
    let body: serde_json::Value = serde_json::from_str(body).unwrap_or_else(|_| panic!("{body}"));
    body["data"]["wsUrl"].as_str().expect("a wsUrl").to_owned()
}
