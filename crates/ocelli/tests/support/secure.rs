//! TLS clients that share no code with the hub: curl, openssl, rustls' client side.

#![allow(clippy::unwrap_used, reason = "a failed test setup must panic")]

use super::hub::configured;
use super::tempdir::Dir;
use ocelli_testkit::{Hub, HubBuilder};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

pub type Stream = tokio_rustls::client::TlsStream<TcpStream>;

/// A hub with its own authority.
pub struct Local {
    pub hub: Hub,
    pub dir: Dir,
}

impl Local {
    pub fn start() -> Self {
        Self::with("")
    }

    /// Starts it with additional lines of configuration.
    pub fn with(lines: &str) -> Self {
        let dir = Dir::new("tls");
        let hub = Self::builder(&dir, lines).start();
        Self { hub, dir }
    }

    /// Returns a builder for a hub with its data in `kept` of this folder.
    pub fn builder(dir: &Dir, lines: &str) -> HubBuilder {
        let text = format!(
            "listen = \"127.0.0.1:0\"\n{lines}\n[tls]\nmode = \"local\"\nnames = [\"cams.lan\"]\n\
             [[camera]]\nid = \"cam1\"\nsource = \"pattern:?size=320x240&fps=10\"\n"
        );
        configured(dir, &text).arg("--data").arg(dir.0.join("kept"))
    }

    pub fn authority(&self) -> PathBuf {
        self.dir.0.join("kept/ca.pem")
    }

    pub fn port(&self) -> u16 {
        self.hub.addr().port()
    }

    /// Runs curl, which trusts the authority.
    pub fn curl(&self, arguments: &[&str]) -> Output {
        curl(&self.authority(), arguments)
    }

    /// Runs openssl's client with these additional arguments, and returns its output.
    pub fn openssl(&self, arguments: &[&str]) -> String {
        let connect = format!("127.0.0.1:{}", self.port());
        let output = Command::new("timeout")
            .args(["20", "openssl", "s_client", "-connect", &connect])
            .args(["-verify_return_error", "-CAfile"])
            .arg(self.authority())
            .args(arguments)
            .stdin(std::process::Stdio::null())
            .output();
        text(&output.unwrap())
    }

    /// Connects with this server name, trusting the authority.
    pub async fn connect(&self, name: &str, alpn: &[u8]) -> Stream {
        let stream = TcpStream::connect(self.hub.addr()).await.unwrap();
        encrypt(stream, &self.authority(), name, alpn).await
    }
}

/// Runs curl, which trusts this authority.
pub fn curl(authority: &Path, arguments: &[&str]) -> Output {
    Command::new("curl")
        .args(["-sS", "--max-time", "20", "--cacert"])
        .arg(authority)
        .args(arguments)
        .output()
        .unwrap()
}

/// Returns all output of a program.
pub fn text(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    let [out, err] = [out, err].map(|bytes| String::from_utf8_lossy(bytes));
    format!("{out}{err}")
}

/// Starts TLS on this connection and verifies this server name.
pub async fn encrypt(stream: TcpStream, authority: &Path, name: &str, alpn: &[u8]) -> Stream {
    let mut roots = RootCertStore::empty();
    let authority = CertificateDer::from_pem_file(authority).unwrap();
    roots.add(authority).unwrap();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![alpn.to_vec()];
    let name = name.to_owned().try_into().unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    connector.connect(name, stream).await.unwrap()
}

/// Connects to a server in this process.
pub async fn connect(address: SocketAddr, dir: &Dir, alpn: &[u8]) -> Stream {
    let stream = TcpStream::connect(address).await.unwrap();
    encrypt(stream, &dir.0.join("ca.pem"), "localhost", alpn).await
}
