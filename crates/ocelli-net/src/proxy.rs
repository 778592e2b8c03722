//! Client address, scheme and host from the headers of trusted reverse proxies.
//!
//! Any client can send these headers, so they are read only on connections from a trusted proxy,
//! and only the configured ones: a proxy passes all others through from its clients. Each proxy
//! appends the address of its peer, so the list is read from the end. The first address that is
//! not a trusted proxy is the client; everything before it is ignored.

use crate::request::Peer;
use http::header::{FORWARDED, HeaderMap, HeaderName};
use std::net::{IpAddr, SocketAddr};

const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// The addresses whose first `prefix` bits equal those of `address`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    prefix: u32,
}

impl Network {
    fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Ok(bits), str::parse).ok()?;
        (prefix <= bits).then_some(Self { address, prefix })
    }

    fn contains(&self, address: IpAddr) -> bool {
        let same = |own: u128, other: u128, bits: u32| {
            (own ^ other).checked_shr(bits - self.prefix).unwrap_or(0) == 0
        };
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                same(u32::from(own).into(), u32::from(other).into(), 32)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => same(own.into(), other.into(), 128),
            _ => false,
        }
    }
}

/// The headers that trusted proxies set themselves, so that no client can choose their values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProxyHeaders {
    client: bool,
    proto: bool,
    host: bool,
    forwarded: bool,
}

impl Default for ProxyHeaders {
    /// The headers that proxies usually set. The host is not one of them: proxies that pass on
    /// `Host` mostly leave `X-Forwarded-Host` as the client sent it, and a page under a foreign
    /// name (DNS rebinding) could put the hub's name there.
    fn default() -> Self {
        Self {
            client: true,
            proto: true,
            host: false,
            forwarded: false,
        }
    }
}

impl ProxyHeaders {
    /// Parses header names like `X-Forwarded-For`.
    ///
    /// # Errors
    /// A name is not one of these headers, or two of them conflict.
    pub fn parse(names: &[String]) -> Result<Self, String> {
        let mut read = Self {
            client: false,
            proto: false,
            host: false,
            forwarded: false,
        };
        for name in names {
            let known = [
                (&FOR, &mut read.client),
                (&PROTO, &mut read.proto),
                (&HOST, &mut read.host),
                (&FORWARDED, &mut read.forwarded),
            ];
            let found = known
                .into_iter()
                .find(|(known, _)| name.eq_ignore_ascii_case(known.as_str()));
            let (_, flag) = found.ok_or_else(|| {
                format!(
                    "{name:?} is not a supported header; use \"X-Forwarded-For\", \
                     \"X-Forwarded-Proto\", \"X-Forwarded-Host\" or \"Forwarded\""
                )
            })?;
            *flag = true;
        }
        if read.forwarded && (read.client || read.proto || read.host) {
            return Err(
                "\"Forwarded\" and \"X-Forwarded-…\" can't be combined; name the kind that your \
                 proxy sets, and configure the proxy to remove the other"
                    .to_owned(),
            );
        }
        Ok(read)
    }
}

/// The trusted proxies, and the headers that are read from them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies {
    networks: Vec<Network>,
    headers: ProxyHeaders,
}

impl Proxies {
    /// Parses addresses and networks like `127.0.0.1` and `10.0.0.0/8`.
    ///
    /// # Errors
    /// An entry is neither an address nor a network.
    pub fn parse(list: &[String]) -> Result<Self, String> {
        let networks = list.iter().map(|text| {
            Network::parse(text).ok_or_else(|| {
                format!(
                    "{text:?} is not an address of a proxy; write one like \"127.0.0.1\" or a network \
                     like \"10.0.0.0/8\""
                )
            })
        });
        Ok(Self {
            networks: networks.collect::<Result<_, _>>()?,
            headers: ProxyHeaders::default(),
        })
    }

    /// Sets the headers to read; all others are ignored.
    #[must_use]
    pub fn with_headers(mut self, headers: ProxyHeaders) -> Self {
        self.headers = headers;
        self
    }

    /// Whether this address belongs to a trusted proxy.
    pub fn trusts(&self, address: IpAddr) -> bool {
        let mut networks = self.networks.iter();
        networks.any(|network| network.contains(address))
    }

    /// Replaces the proxy's facts in `peer` with the client's, as far as trusted proxies report
    /// them. `default_secure` is whether the client's side is encrypted if they do not report it.
    pub(crate) fn apply(&self, peer: &mut Peer, headers: &HeaderMap, default_secure: Option<bool>) {
        if !self.trusts(peer.remote.ip()) {
            return;
        }
        if let Some(secure) = default_secure {
            peer.secure = secure;
        }
        for hop in self.headers.hops(headers).into_iter().rev() {
            if let Some(secure) = hop.secure {
                peer.secure = secure;
            }
            if let Some(host) = hop.host {
                peer.authority = Some(host.into());
            }
            let Some(client) = hop.client else { return };
            peer.remote = client;
            if !self.trusts(client.ip()) {
                return;
            }
        }
    }
}

/// What one proxy reports about the peer that sent it a request.
#[derive(Debug, Default, PartialEq, Eq)]
struct Hop<'h> {
    client: Option<SocketAddr>,
    secure: Option<bool>,
    host: Option<&'h str>,
}

impl ProxyHeaders {
    /// Returns the hops in header order. The last is from the proxy that connects to the hub.
    fn hops(self, headers: &HeaderMap) -> Vec<Hop<'_>> {
        if self.forwarded {
            return forwarded(headers);
        }
        let read = |enabled: bool, name: HeaderName| match enabled {
            true => listed(headers, &name),
            false => Vec::new(),
        };
        let clients = read(self.client, FOR);
        let protos = read(self.proto, PROTO);
        let hosts = read(self.host, HOST);
        let count = clients.len().max(protos.len()).max(hosts.len());
        // A proxy that does not append its own value leaves a shorter list.
        let from_end = |list: &[&str], at: usize| list.len().checked_sub(count - at);
        (0..count)
            .map(|at| Hop {
                client: from_end(&clients, at).and_then(|at| address(clients[at])),
                secure: from_end(&protos, at).map(|at| is_secure(protos[at])),
                host: from_end(&hosts, at).map(|at| hosts[at]),
            })
            .collect()
    }
}

fn listed<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Vec<&'h str> {
    let values = headers.get_all(name).iter();
    values
        // A value that is not text still counts as an entry.
        .flat_map(|value| value.to_str().unwrap_or("?").split(','))
        .map(str::trim)
        .collect()
}

fn forwarded(headers: &HeaderMap) -> Vec<Hop<'_>> {
    listed(headers, &FORWARDED).into_iter().map(pairs).collect()
}

fn pairs(element: &str) -> Hop<'_> {
    let mut hop = Hop::default();
    for pair in element.split(';') {
        let Some((name, value)) = pair.split_once('=') else {
            continue;
        };
        let value = value.trim().trim_matches('"');
        match name.trim().to_ascii_lowercase().as_str() {
            "for" => hop.client = address(value),
            "proto" => hop.secure = Some(is_secure(value)),
            "host" => hop.host = Some(value),
            _ => {}
        }
    }
    hop
}

fn is_secure(proto: &str) -> bool {
    proto.eq_ignore_ascii_case("https") || proto.eq_ignore_ascii_case("wss")
}

/// An address with or without a port, an IPv6 one with or without brackets.
fn address(text: &str) -> Option<SocketAddr> {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    let address = bare.parse().map(|ip: IpAddr| SocketAddr::new(ip, 0));
    address.or_else(|_| text.parse()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Origin;

    /// The client, whether its side is encrypted, and the host, for a hub that reads these
    /// headers and a request with these lines.
    fn client_of(
        names: &[&str],
        lines: &[(&'static str, &'static str)],
    ) -> (String, bool, Option<String>) {
        let list = ["127.0.0.1", "10.0.0.0/8", "fd00::/8"].map(str::to_owned);
        let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
        let proxies = Proxies::parse(&list).expect("proxies");
        let proxies = proxies.with_headers(ProxyHeaders::parse(&names).expect("headers"));
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().expect("a value"));
        }
        let mut peer = Peer {
            remote: "127.0.0.1:9".parse().expect("an address"),
            local: "127.0.0.1:8080".parse().expect("an address"),
            secure: false,
            authority: None,
            origin: Origin::Absent,
        };
        proxies.apply(&mut peer, &headers, None);
        let authority = peer.authority.map(|host| host.to_string());
        (peer.remote.to_string(), peer.secure, authority)
    }

    /// The same for a hub that reads all of the `X-Forwarded-…` headers.
    fn behind(lines: &[(&'static str, &'static str)]) -> (String, bool, Option<String>) {
        let all = ["X-Forwarded-For", "x-forwarded-proto", "X-Forwarded-Host"];
        client_of(&all, lines)
    }

    fn client(value: &'static str) -> String {
        behind(&[("x-forwarded-for", value)]).0
    }

    #[test]
    fn the_client_is_the_last_address_that_is_not_a_proxy() {
        assert_eq!(client("203.0.113.9"), "203.0.113.9:0");
        assert_eq!(client("203.0.113.9:4711"), "203.0.113.9:4711");
        assert_eq!(client("[2001:db8::1]:80"), "[2001:db8::1]:80");
        assert_eq!(client("2001:db8::1"), "[2001:db8::1]:0");
        // The client itself sent everything before its address.
        assert_eq!(client("8.8.8.8, 203.0.113.9"), "203.0.113.9:0");
        assert_eq!(client("8.8.8.8, 203.0.113.9, 10.1.2.3"), "203.0.113.9:0");
        assert_eq!(client("10.4.4.4, 10.1.2.3"), "10.4.4.4:0");
        for invalid in ["unknown", "", ",", "203.0.113.9, _hidden", "300.1.1.1"] {
            assert_eq!(client(invalid), "127.0.0.1:9", "{invalid}");
        }
        let two = [
            ("x-forwarded-for", "8.8.8.8"),
            ("x-forwarded-for", "203.0.113.9"),
        ];
        assert_eq!(behind(&two).0, "203.0.113.9:0");
    }

    #[test]
    fn scheme_and_host_are_those_of_the_same_hop() {
        let one = behind(&[
            ("x-forwarded-for", "203.0.113.9"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "cams.example:8443"),
        ]);
        let host = Some("cams.example:8443".to_owned());
        assert_eq!(one, ("203.0.113.9:0".into(), true, host));
        let two = behind(&[
            ("x-forwarded-for", "203.0.113.9, 10.1.1.1"),
            ("x-forwarded-proto", "https, http"),
        ]);
        assert_eq!(two, ("203.0.113.9:0".into(), true, None));
        assert!(!behind(&[("x-forwarded-proto", "http")]).1);
    }

    #[test]
    fn only_configured_headers_are_read() {
        let line =
            "for=8.8.8.8;proto=http, for=\"[2001:db8::1]:99\";Proto=https;host=\"cams.example\"";
        let lines = [
            ("forwarded", line),
            ("x-forwarded-for", "203.0.113.9"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "cams.example"),
        ];
        let host = Some("cams.example".to_owned());
        let proxy = || "127.0.0.1:9".to_owned();
        let forwarded = ("[2001:db8::1]:99".into(), true, host.clone());
        assert_eq!(client_of(&["Forwarded"], &lines), forwarded);
        assert_eq!(
            client_of(&["Forwarded"], &lines[1..]),
            (proxy(), false, None)
        );
        let client = ("203.0.113.9:0".into(), false, None);
        assert_eq!(client_of(&["X-Forwarded-For"], &lines), client);
        let default_headers = ["X-Forwarded-For", "X-Forwarded-Proto"];
        let client = ("203.0.113.9:0".into(), true, None);
        assert_eq!(client_of(&default_headers, &lines), client);
        assert_eq!(
            client_of(&default_headers, &lines[..1]),
            (proxy(), false, None)
        );
        assert_eq!(
            client_of(&["X-Forwarded-Host"], &lines),
            (proxy(), false, host)
        );
        assert_eq!(client_of(&[], &lines), (proxy(), false, None));
        let default_headers = default_headers.map(str::to_owned);
        assert_eq!(
            ProxyHeaders::parse(&default_headers),
            Ok(ProxyHeaders::default())
        );
        for bad in [
            &["X-Real-IP"][..],
            &[""],
            &["Forwarded", "X-Forwarded-For"],
            &["forwarded", "x-forwarded-host"],
        ] {
            let bad: Vec<_> = bad.iter().map(|&name| name.to_owned()).collect();
            assert!(ProxyHeaders::parse(&bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn addresses_are_matched_by_network() {
        let proxies = Proxies::parse(&["10.1.0.0/15".into(), "2001:db8::/33".into()]);
        let proxies = proxies.expect("proxies");
        for (address, trusted) in [
            ("10.0.0.1", true),
            ("10.1.255.255", true),
            ("10.2.0.0", false),
            ("::ffff:10.1.2.3", true),
            ("2001:db8:7fff::1", true),
            ("2001:db8:8000::1", false),
        ] {
            let address = address.parse().expect("an address");
            assert_eq!(proxies.trusts(address), trusted, "{address}");
        }
        let all = Proxies::parse(&["0.0.0.0/0".into()]).expect("proxies");
        assert!(all.trusts("8.8.8.8".parse().expect("an address")));
        for bad in [
            "10.0.0.0/33",
            "proxy.lan",
            "10.0.0.0/",
            "10/8",
            "::/129",
            "",
        ] {
            assert!(Proxies::parse(&[bad.to_owned()]).is_err(), "{bad}");
        }
    }
}
