//! The Host and Origin policy: which hosts a request may name, and which origins its page may
//! have.
//!
//! A browser sends the host name of the URL in `Host`. This reveals a page under a foreign name
//! that resolves to this machine (DNS rebinding). `Origin` reveals a foreign page that opens a
//! socket.

use crate::request::{Origin, Peer};
use http::header::{HOST, HeaderMap, HeaderValue, ORIGIN, ToStrError};
use http::{StatusCode, Uri, Version};
use std::net::IpAddr;
use std::sync::Arc;
use url::Url;

/// The accepted hosts and origins.
#[derive(Clone, Debug, Default)]
pub struct OriginPolicy {
    names: Vec<String>,
    addresses: Vec<IpAddr>,
    origins: Vec<String>,
    public: Option<PublicUrl>,
}

/// The hub's public URL, usually that of a reverse proxy in front of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl {
    origin: String,
    host: String,
}

impl PublicUrl {
    /// Parses a URL like `https://cams.example`.
    ///
    /// # Errors
    /// The text is not such a URL. The message shows an example.
    pub fn parse(text: &str) -> Result<Self, String> {
        let refuse = |why: &str| {
            let example = "write it like \"https://cams.example\" or \"https://cams.example:8443\"";
            Err(format!("{text:?} {why}; {example}"))
        };
        if text.contains('@') {
            return Err(
                "`public_url` must not contain a user or password, because every client sees it"
                    .into(),
            );
        }
        let Ok(url) = Url::parse(text.trim()) else {
            return refuse("is not a URL");
        };
        let Some(host) = url
            .host_str()
            .filter(|_| matches!(url.scheme(), "http" | "https"))
        else {
            return refuse("is not an http or https URL");
        };
        if url.path() != "/" {
            return refuse(
                "has a path, but the hub's pages work only at the root of a host. Give the hub its \
                 own host name at the proxy",
            );
        }
        if url.query().is_some() || url.fragment().is_some() {
            return refuse("has more than a scheme, a host and a port");
        }
        Ok(Self {
            origin: url.origin().ascii_serialization(),
            host: host.to_owned(),
        })
    }

    /// Returns scheme, host and port, without the default port and without a trailing slash.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Whether the scheme is https.
    pub(crate) fn is_secure(&self) -> bool {
        self.origin.starts_with("https:")
    }
}

impl OriginPolicy {
    /// Creates a policy from the machine's names and addresses and the configured hosts and origins.
    pub fn new(allowed_hosts: &[String], allowed_origins: &[String]) -> Self {
        let mut names = vec!["localhost".to_owned()];
        let host = rustix::system::uname();
        if let Ok(host) = host.nodename().to_str()
            && !host.is_empty()
        {
            let host = host.to_ascii_lowercase();
            let short = host.split('.').next().unwrap_or(&host).to_owned();
            names.extend([format!("{short}.local"), short, host]);
        }
        names.extend(allowed_hosts.iter().map(|name| name.to_ascii_lowercase()));
        Self {
            names,
            addresses: own_addresses(),
            origins: allowed_origins
                .iter()
                .map(|origin| origin.trim_end_matches('/').to_ascii_lowercase())
                .collect(),
            public: None,
        }
    }

    /// Sets the public URL. Its host becomes one of the hub's names.
    #[must_use]
    pub fn with_public_url(mut self, public: Option<PublicUrl>) -> Self {
        self.names.extend(public.as_ref().map(|url| {
            let bare = url.host.trim_start_matches('[').trim_end_matches(']');
            bare.to_owned()
        }));
        self.public = public;
        self
    }

    /// Returns the public URL, if one is configured.
    pub fn public(&self) -> Option<&PublicUrl> {
        self.public.as_ref()
    }

    fn accepts_host(&self, host: &str, local: IpAddr) -> bool {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = bare.parse::<IpAddr>() {
            let local = local.to_canonical();
            return address.to_canonical() == local
                || (address.is_loopback() && local.is_loopback())
                || self.addresses.contains(&address)
                || self.names.iter().any(|name| name == bare);
        }
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        self.names.contains(&host)
    }

    /// Returns the accepted host names, without addresses.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Determines the requested host and the page origin of a request, and stores both in `peer`.
    /// A host that a trusted proxy reported, if `peer` already contains one, takes precedence
    /// over the one in the request.
    ///
    /// # Errors
    /// The request is not for this hub. The error is the response status and a message with the
    /// requested name and how to allow it.
    pub fn identify(
        &self,
        version: Version,
        uri: &Uri,
        headers: &HeaderMap,
        peer: &mut Peer,
    ) -> Result<(), (StatusCode, String)> {
        let authority = self.check_host(version, uri, headers, peer)?;
        peer.authority = authority.map(Arc::from);
        peer.origin = self.origin_of(headers, peer);
        Ok(())
    }

    /// Checks that a request is for this hub. Returns the requested host and port, if any.
    fn check_host<'r>(
        &self,
        version: Version,
        uri: &'r Uri,
        headers: &'r HeaderMap,
        peer: &'r Peer,
    ) -> Result<Option<&'r str>, (StatusCode, String)> {
        // RFC 9112, 3.2: a request with a missing or ambiguous Host gets 400.
        let bad = |reason: &str| Err((StatusCode::BAD_REQUEST, reason.to_owned()));
        let mut hosts = headers.get_all(HOST).iter();
        let (host, more) = (hosts.next(), hosts.next());
        if more.is_some() {
            return bad("the request has several Host headers; only one is allowed");
        }
        // RFC 9113, 8.3.1.
        let is_other = |host: &HeaderValue| {
            let authority = uri.authority().map(|named| named.as_str().as_bytes());
            authority.is_some_and(|named| !named.eq_ignore_ascii_case(host.as_bytes()))
        };
        if version > Version::HTTP_11 && host.is_some_and(is_other) {
            return bad("the request names one host in :authority and another in its Host header");
        }
        let Ok(named) = named(uri, headers, peer) else {
            return bad("the Host header is not text");
        };
        let Some(named) = named else {
            // HTTP/1.0 does not require the header, and no browser uses HTTP/1.0.
            if version < Version::HTTP_11 {
                return Ok(None);
            }
            return bad("the request has no Host header; HTTP/1.1 needs one");
        };
        if host_of(named).is_some_and(|host| self.accepts_host(host, peer.local.ip())) {
            return Ok(Some(named));
        }
        let reason = format!(
            "{named:?} is not a name of this hub. If it should be, add it to `allowed_hosts` \
             in the configuration"
        );
        Err((StatusCode::FORBIDDEN, reason))
    }

    /// Returns the page origin of a request whose host is determined.
    fn origin_of(&self, headers: &HeaderMap, peer: &Peer) -> Origin {
        let mut origins = headers.get_all(ORIGIN).iter();
        let Some(origin) = origins.next() else {
            return Origin::Absent;
        };
        if origins.next().is_some() {
            return Origin::Several;
        }
        if self.is_own(origin, peer) {
            return Origin::Own(origin.clone());
        }
        if self.allows(origin, peer) {
            return Origin::Allowed(origin.clone());
        }
        Origin::Foreign(origin.clone())
    }

    /// Whether this is the origin of the hub's own pages: the requested one, or the public one.
    fn is_own(&self, origin: &HeaderValue, peer: &Peer) -> bool {
        let is = |own: &str| origin.as_bytes().eq_ignore_ascii_case(own.as_bytes());
        own_origin(peer).is_some_and(|own| is(&own))
            || self.public.as_ref().is_some_and(|url| is(url.origin()))
    }

    /// Whether pages of this origin may open public sockets: those of the hub's own hosts
    /// on any port, and those of allowed origins.
    fn allows(&self, origin: &HeaderValue, peer: &Peer) -> bool {
        let lower = origin.to_str().unwrap_or_default().to_ascii_lowercase();
        if self.origins.contains(&lower) {
            return true;
        }
        let host = lower
            .strip_prefix("http://")
            .or_else(|| lower.strip_prefix("https://"));
        let host = host.and_then(host_of);
        host.is_some_and(|host| self.accepts_host(host, peer.local.ip()))
    }

    /// Returns the base URL of the hub for this client: the public URL if there is one, otherwise
    /// the origin that the client used. `replacen("http", "ws", 1)` turns it into a WebSocket URL.
    pub fn own_address(&self, peer: &Peer) -> String {
        if let Some(url) = &self.public {
            return url.origin.clone();
        }
        own_origin(peer).unwrap_or_else(|| format!("http://{}", peer.local))
    }
}

/// Returns the origin of the hub's own pages as this client requested them. It includes the port,
/// so a page on another port is not an own page.
fn own_origin(peer: &Peer) -> Option<String> {
    let host = peer.authority.as_deref()?.to_ascii_lowercase();
    let (scheme, port) = if peer.secure {
        ("https", ":443")
    } else {
        ("http", ":80")
    };
    // Browsers omit the default port from an origin.
    let host = host.strip_suffix(port).unwrap_or(&host);
    Some(format!("{scheme}://{host}"))
}

/// Returns the current addresses of this machine.
pub fn own_addresses() -> Vec<IpAddr> {
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    interfaces.iter().map(if_addrs::Interface::ip).collect()
}

/// Returns the host that a request names. An absolute request target takes precedence over the
/// header (RFC 9112, 3.2.2).
fn named<'r>(
    uri: &'r Uri,
    headers: &'r HeaderMap,
    peer: &'r Peer,
) -> Result<Option<&'r str>, ToStrError> {
    if let Some(authority) = &peer.authority {
        return Ok(Some(authority));
    }
    if let Some(authority) = uri.authority() {
        return Ok(Some(authority.as_str()));
    }
    headers.get(HOST).map(HeaderValue::to_str).transpose()
}

/// Returns the host of `host` or `host:port`, with an IPv6 address in brackets. Returns `None` for
/// anything else: responses use the whole text, so it must not contain anything more.
fn host_of(authority: &str) -> Option<&str> {
    let end = authority.find(']').map_or(0, |bracket| bracket + 1);
    let colon = authority.get(end..)?.find(':').map(|at| end + at);
    let (host, port) = authority.split_at(colon.unwrap_or(authority.len()));
    let fits = port.bytes().skip(1).all(|byte| byte.is_ascii_digit());
    let whole = end == 0 || (end == host.len() && host.starts_with('['));
    (fits && whole && !host.contains('@')).then_some(host)
}

#[cfg(test)]
mod tests;
