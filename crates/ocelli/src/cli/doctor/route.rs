//! Where an address leads, and what a connection to it is.

use std::net::IpAddr;
use tokio::io::{AsyncRead, AsyncWrite};
use url::Url;

/// A connection, encrypted or not.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// Where an address leads.
#[derive(Clone, Debug)]
pub struct Route {
    /// The host as it stands in the address: IPv6 in brackets.
    pub host: String,
    /// The port, the scheme's own if none is named.
    pub port: u16,
    /// Whether TLS is to be spoken.
    pub tls: bool,
    /// What the request asks for: path and query.
    pub target: String,
    default_port: bool,
}

impl Route {
    /// Of a `ws:`, `wss:`, `http:` or `https:` address.
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

    /// `host` or `host:port`, as a browser writes it.
    pub fn authority(&self) -> String {
        if self.default_port {
            self.host.clone()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// The origin of a page that this very server has served.
    pub fn own_origin(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://{}", self.authority())
    }

    /// Whether the server is this very machine by name: what stays inside needs
    /// no encryption, and browsers know that.
    pub fn is_loopback(&self) -> bool {
        let bare = self.host.trim_start_matches('[').trim_end_matches(']');
        let address = bare.parse::<IpAddr>();
        address.map_or(bare == "localhost", |address| address.is_loopback())
    }

    /// Whether the address itself holds what not everybody should see.
    pub fn may_hold_secret(&self) -> bool {
        self.target.contains('?')
    }
}
