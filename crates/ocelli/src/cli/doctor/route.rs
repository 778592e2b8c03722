//! The server that an address refers to, and a connection to it.

use std::net::IpAddr;
use tokio::io::{AsyncRead, AsyncWrite};
use url::Url;

/// A connection, encrypted or not.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// The server and the resource that an address refers to.
#[derive(Clone, Debug)]
pub struct Route {
    /// The host as in the address: IPv6 in brackets.
    pub host: String,
    /// The port, by default that of the scheme.
    pub port: u16,
    /// Whether to use TLS.
    pub tls: bool,
    /// The request target: path and query.
    pub target: String,
    default_port: bool,
}

impl Route {
    /// The route of a `ws:`, `wss:`, `http:` or `https:` address.
    pub fn of(url: &Url) -> Option<Self> {
        let tls = matches!(url.scheme(), "wss" | "https");
        let mut target = url.path().to_owned();
        if let Some(query) = url.query() {
            target = format!("{target}?{query}");
        }
        Some(Self {
            host: url.host_str().filter(|host| !host.is_empty())?.to_owned(),
            port: url.port_or_known_default()?,
            tls,
            target,
            default_port: url.port().is_none(),
        })
    }

    /// `host` or `host:port`, in a browser's notation.
    pub fn authority(&self) -> String {
        if self.default_port {
            self.host.clone()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// The origin of a page served by this server.
    pub fn own_origin(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://{}", self.authority())
    }

    /// Returns true if the host name is this machine: browsers allow unencrypted connections
    /// there.
    pub fn is_loopback(&self) -> bool {
        let bare = self.host.trim_start_matches('[').trim_end_matches(']');
        let address = bare.parse::<IpAddr>();
        address.map_or(bare == "localhost", |address| address.is_loopback())
    }

    /// Returns true if the address may contain a secret.
    pub fn may_hold_secret(&self) -> bool {
        self.target.contains('?')
    }
}
