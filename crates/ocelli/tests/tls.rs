//! TLS: the hub's own authority and files that somebody else made, asked by curl,
//! openssl and a WebSocket client that we did not write.

#![allow(clippy::unwrap_used, reason = "what a test arranged is there")]

mod support;

use futures_util::{SinkExt, StreamExt};
use ocelli_testkit::Hub;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::Arc;
use support::PATIENCE;
use support::tempdir::Dir;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message;

const OCELLI: &str = env!("CARGO_BIN_EXE_ocelli");

/// A hub with an authority of its own, and where that is.
struct Local {
    hub: Hub,
    dir: Dir,
}

impl Local {
    fn start() -> Self {
        Self::with("")
    }

    /// With more lines of configuration.
    fn with(lines: &str) -> Self {
        let dir = Dir::new("tls");
        let config = dir.write(
            "ocelli.toml",
            &format!(
                "listen = \"127.0.0.1:0\"\n{lines}\n[tls]\nmode = \"local\"\nnames = [\"cams.lan\"]\n\
                 [[camera]]\nid = \"cam1\"\nsource = \"pattern:?size=320x240&fps=10\"\n"
            ),
        );
        let hub = Hub::builder(OCELLI)
            .args(["serve", "--config"])
            .arg(config)
            .arg("--data")
            .arg(dir.0.join("kept"))
            .start();
        Self { hub, dir }
    }

    fn authority(&self) -> PathBuf {
        self.dir.0.join("kept/ca.pem")
    }

    fn port(&self) -> u16 {
        self.hub.addr().port()
    }

    /// curl that trusts the authority.
    fn curl(&self, arguments: &[&str]) -> Output {
        curl(&self.authority(), arguments)
    }

    /// A connection that trusts the authority, by this name.
    async fn connect(
        &self,
        name: &str,
        alpn: &[&[u8]],
    ) -> tokio_rustls::client::TlsStream<TcpStream> {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_file(self.authority()).unwrap())
            .unwrap();
        let mut config =
            ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_root_certificates(roots)
                .with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        let stream = TcpStream::connect(self.hub.addr()).await.unwrap();
        let name = name.to_owned().try_into().unwrap();
        TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await
            .unwrap()
    }
}

fn curl(authority: &std::path::Path, arguments: &[&str]) -> Output {
    Command::new("curl")
        .args(["-sS", "--max-time", "20", "--cacert"])
        .arg(authority)
        .args(arguments)
        .output()
        .unwrap()
}

fn text(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!(
        "{}{}",
        String::from_utf8_lossy(out),
        String::from_utf8_lossy(err)
    )
}

#[tokio::test]
async fn pages_come_over_http_2_and_the_wall_over_wss() {
    let local = Local::start();
    assert!(local.hub.url("/").starts_with("https://127.0.0.1:"));
    for (version, wanted) in [("--http2", "2 200"), ("--http1.1", "1.1 200")] {
        let told = ["-o", "/dev/null", "-w", "%{http_version} %{http_code}"];
        let page = local.curl(&[&[version][..], &told, &[&local.hub.url("/health")]].concat());
        assert_eq!(text(&page), wanted);
    }
    let still = local.curl(&[&local.hub.url("/live/live/cam1/frame.jpg")]);
    assert!(
        ocelli_testkit::jpeg::is_whole(&still.stdout),
        "{}",
        text(&still)
    );

    let stream = local.connect("localhost", &[b"http/1.1"]).await;
    let url = format!("wss://localhost:{}/ws/cameras", local.port());
    let (mut socket, _) = client_async(url, stream).await.unwrap();
    let subscribe = r#"{"cmd":"subscribe","cameras":["cam1"]}"#;
    socket.send(Message::text(subscribe)).await.unwrap();
    for _ in 0..5 {
        let message = timeout(PATIENCE, socket.next())
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        let message = message.into_data();
        assert_eq!(&message[..5], b"\x04cam1");
        assert!(ocelli_testkit::jpeg::is_whole(&message[5..]));
    }
}
