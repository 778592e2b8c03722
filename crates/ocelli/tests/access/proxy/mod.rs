//! The hub behind Debian's reverse proxies, each configured as in the guide.

#![allow(clippy::unwrap_used, reason = "a failed test setup must panic")]

mod guide;

use crate::support::TIMEOUT;
use crate::support::http::request;
use crate::support::hub::{OCELLI, configured};
use crate::support::tempdir::Dir;
use guide::{Behind, PROXIES, Proxy, example};
use ocelli_testkit::Hub;

const TRUST: &str = "trusted_proxies = [\"127.0.0.1\"]\npublic_url = \"https://cams.example:PORT\"";

#[tokio::test]
async fn pages_calls_and_sockets_work_and_urls_are_public() {
    for proxy in PROXIES {
        let behind = Behind::start(proxy, TRUST).await;
        let page = behind.curl(&["-i", &behind.url("/")]);
        assert!(page.contains("HTTP/2 200"), "{proxy:?}: {page}");
        let health = behind.curl(&[&behind.url("/health")]);
        assert!(health.contains("\"ok\""), "{proxy:?}: {health}");
        behind.wall(&behind.url("")).await.expect("the wall");
        assert_eq!(behind.wall("https://evil.example").await, Err(403));

        // The URL is the public one, whether requested through the proxy or directly.
        let right = behind
            .url("/live/ws?app=live&room=cam1&token=")
            .replace("https", "wss");
        for url in [behind.play_address(&[]), behind.direct_play_address().await] {
            assert!(url.starts_with(&right), "{proxy:?}: {url}");
        }
    }
}

/// Header lines with which a client claims another host and another address.
fn forged(host: &str) -> Vec<String> {
    [
        format!("X-Forwarded-Host: {host}"),
        format!("X_Forwarded_Host: {host}"),
        "X-Forwarded-Port: 1".to_owned(),
        "X-Forwarded-Proto: http".to_owned(),
        "X-Forwarded-For: 198.51.100.7".to_owned(),
        "X-Real-IP: 198.51.100.7".to_owned(),
        format!("Forwarded: for=198.51.100.7;proto=http;host=\"{host}\""),
        format!("X-Original-Host: {host}"),
    ]
    .into()
}

/// Trust settings: no header, the defaults, all `X-Forwarded-…` headers, and `Forwarded`.
const TRUST_SETTINGS: [&str; 4] = [
    "proxy_headers = []",
    "",
    "proxy_headers = [\"X-Forwarded-For\", \"X-Forwarded-Proto\", \"X-Forwarded-Host\"]",
    "proxy_headers = [\"Forwarded\"]",
];

#[tokio::test]
async fn pages_under_a_foreign_host_name_are_refused() {
    for proxy in PROXIES {
        for belief in TRUST_SETTINGS {
            let behind = Behind::start(proxy, &format!("{TRUST}\n{belief}")).await;
            let own = behind.url("").replace("https://", "");
            for host in [own.as_str(), "localhost", "127.0.0.1"] {
                let mut lines = forged(host);
                lines.push("Host: evil.example".to_owned());
                for path in ["/api/v1/cameras", "/live/live/cam1/frame.jpg", "/"] {
                    let requested = ["-i", "-o", "-", &behind.url(path)];
                    let output_text = behind.curl_with(&lines, &requested);
                    // Caddy itself answers with an empty response for other host names.
                    let refused =
                        output_text.contains(" 403") || output_text.contains("content-length: 0");
                    assert!(
                        refused && !output_text.contains("cam1\""),
                        "{proxy:?} {belief}: {output_text}"
                    );
                }
            }
        }
    }
}

#[tokio::test]
async fn forged_forwarding_headers_are_ignored() {
    let trust = "trusted_proxies = [\"127.0.0.1\"]\nallowed_hosts = [\"cams.example\"]";
    for proxy in PROXIES {
        let behind = Behind::start(proxy, trust).await;
        // The proxy's client claims another host and another address.
        let lines = forged("evil.example");
        let output_text = behind.curl_with(&lines, &[&behind.url("/api/v1/cameras")]);
        assert!(output_text.contains("\"cam1\""), "{proxy:?}: {output_text}");
        let right = behind.url("/live/ws?").replace("https", "wss");
        let url = behind.play_address(&lines);
        assert!(url.starts_with(&right), "{proxy:?}: {url}");
        let elsewhere = ["--interface", "127.0.0.2", &behind.url("/ws/cameras")];
        behind.curl_with(&lines, &elsewhere);
        let line = behind.hub.wait_stderr("refused an upgrade", TIMEOUT);
        let line = line.expect("a line");
        assert!(line.contains("peer=127.0.0.2:0"), "{proxy:?}: {line}");
    }
}

#[test]
fn each_example_removes_the_forwarding_headers_it_does_not_set() {
    for language in ["nginx", "caddyfile", "haproxy", "yaml"] {
        let example = example(language);
        for name in ["X-Forwarded-Host", "X-Forwarded-Port", "Forwarded"] {
            let removed = [
                format!("proxy_set_header {name} \"\";"),
                format!("header_up -{name}\n"),
                format!("del-header {name}\n"),
                format!(" {name}: \"\"\n"),
            ];
            let is = removed.iter().any(|line| example.contains(line));
            assert!(is, "{name} in {example}");
        }
    }
}

#[test]
fn the_link_of_the_first_start_begins_with_the_public_url() {
    let dir = Dir::new("public");
    let text = "listen = \"127.0.0.1:0\"\npublic_url = \"https://cams.example/\"\n";
    let hub = configured(&dir, text).start();
    let line = hub.wait_stderr("#code=", TIMEOUT).expect("a link");
    let right = "https://cams.example/sign-in#code=";
    assert!(line.contains(right), "{line}");
}

#[tokio::test]
async fn the_client_behind_several_trusted_proxies_is_found() {
    // Both proxies are trusted, so the client is that of the first proxy.
    let set = Proxy::Nginx.example();
    let set = set.replace("$remote_addr", "\"203.0.113.9, 10.0.0.2\"");
    let lines = TRUST.replace("\"127.0.0.1\"", "\"127.0.0.1\", \"10.0.0.0/8\"");
    let two = Behind::with(Proxy::Nginx, &set, &lines).await;
    // Neither is trusted: the headers are ignored.
    let lines = "public_url = \"https://cams.example:PORT\"";
    let wary = Behind::with(Proxy::Nginx, &set, lines).await;
    for (behind, peer) in [(&two, "peer=203.0.113.9:0"), (&wary, "peer=127.0.0.1:")] {
        behind.curl(&[&behind.url("/ws/cameras")]);
        let line = behind.hub.wait_stderr("refused an upgrade", TIMEOUT);
        let line = line.expect("a line");
        assert!(line.contains(peer), "{line}");
    }
}

#[tokio::test]
async fn a_forwarded_host_is_used_if_configured() {
    // A proxy that cannot pass on the Host but forwards it in another header.
    let set = Proxy::Nginx.example();
    let set = set.replace("proxy_set_header Host $http_host;", "");
    let own = set.replace("X-Forwarded-Host \"\"", "X-Forwarded-Host $http_host");
    let all = format!("{TRUST}\n{}", TRUST_SETTINGS[2]);
    let behind = Behind::with(Proxy::Nginx, &own, &all).await;
    let foreign = ["-i", "-H", "Host: evil.example", &behind.url("/health")];
    let output_text = behind.curl(&foreign);
    assert!(output_text.contains(" 403"), "{output_text}");
    behind.wall(&behind.url("")).await.expect("the wall");
    let named = set.replace(
        "Forwarded \"\"",
        "Forwarded \"for=127.0.0.9;host=$http_host\"",
    );
    let standard = format!("{TRUST}\n{}", TRUST_SETTINGS[3]);
    let behind = Behind::with(Proxy::Nginx, &named, &standard).await;
    let output_text = behind.curl(&["-i", "-H", "Host: evil.example", &behind.url("/health")]);
    assert!(output_text.contains(" 403"), "{output_text}");
    behind.curl(&[&behind.url("/ws/cameras")]);
    let line = behind.hub.wait_stderr("refused an upgrade", TIMEOUT);
    let line = line.expect("a line");
    assert!(line.contains("peer=127.0.0.9:0"), "{line}");
}

#[tokio::test]
async fn forwarded_host_headers_are_ignored_by_default() {
    let hub = Hub::builder(OCELLI)
        .args(["serve", "--listen", "127.0.0.1:0", "cam1=pattern:"])
        .start();
    let dir = Dir::new("trust");
    let config = dir.write("ocelli.toml", "trusted_proxies = [\"127.0.0.1\"]\n");
    let builder = Hub::builder(OCELLI).args(["serve", "--listen", "127.0.0.1:0", "--config"]);
    let client_config = builder.arg(config).start();
    for hub in [&hub, &client_config] {
        for line in [
            "X-Forwarded-Host: evil.example",
            "Forwarded: host=evil.example",
            "X-Forwarded-For: 198.51.100.7\r\nX-Forwarded-Host: evil.example",
        ] {
            let response = request(hub.addr(), "GET", "/health", &[line]).await;
            assert_eq!(response.status(), 200, "{line}: {response:?}");
        }
    }
}

#[tokio::test]
async fn a_proxy_without_forwarding_headers_needs_only_public_url() {
    let set = Proxy::Nginx.example();
    let is_told = |line: &&str| line.contains("Host") || line.contains("Forwarded");
    let bare: Vec<_> = set.lines().filter(|line| !is_told(line)).collect();
    let behind = Behind::with(Proxy::Nginx, &bare.join("\n"), TRUST).await;
    let page = behind.curl(&["-i", &behind.url("/")]);
    assert!(page.contains("HTTP/2 200"), "{page}");
    behind.wall(&behind.url("")).await.expect("the wall");
    // A foreign name that the proxy passes on is refused.
    let open = bare.join("\n").replace(
        "proxy_buffering",
        "proxy_set_header Host $http_host; proxy_buffering",
    );
    let behind = Behind::with(Proxy::Nginx, &open, TRUST).await;
    let output_text = behind.curl(&["-i", "-H", "Host: evil.example", &behind.url("/health")]);
    assert!(output_text.contains(" 403"), "{output_text}");
}
