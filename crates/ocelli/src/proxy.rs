//! What a reverse proxy in front says of its clients, and whether it is believed.
//!
//! Anybody can send these headers, so they count only on a connection from a trusted
//! proxy. Each proxy appends whom it took a request from, so the list is read from its
//! end: the first address that is no trusted proxy is the client, whatever stands
//! before it.

use crate::connection::Peer;
use http::header::{FORWARDED, HeaderMap, HeaderName};
use std::net::{IpAddr, SocketAddr};

const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// The addresses from `address` on that share its first `prefix` bits.
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

/// The proxies that are believed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies(Vec<Network>);

impl Proxies {
    /// Of addresses and networks, like `127.0.0.1` and `10.0.0.0/8`.
    ///
    /// # Errors
    /// Says which is neither.
    pub fn parse(list: &[String]) -> Result<Self, String> {
        let networks = list.iter().map(|text| {
            Network::parse(text).ok_or_else(|| {
                format!(
                    "{text:?} is no address of a proxy; write one like \"127.0.0.1\" or a network \
                     like \"10.0.0.0/8\""
                )
            })
        });
        networks.collect::<Result<_, _>>().map(Self)
    }

    /// Whether this address is a proxy's that is believed.
    pub fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }

    /// Puts the client in the proxy's place, as far as trusted proxies tell of it. Where
    /// they do not tell whether its side is encrypted, `usually` says.
    pub fn look_behind(&self, peer: &mut Peer, headers: &HeaderMap, usually: Option<bool>) {
        if !self.trusts(peer.remote.ip()) {
            return;
        }
        if let Some(secure) = usually {
            peer.secure = secure;
        }
        for hop in hops(headers).into_iter().rev() {
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

/// What one proxy says of whom it took a request from.
#[derive(Debug, Default, PartialEq, Eq)]
struct Hop<'h> {
    client: Option<SocketAddr>,
    secure: Option<bool>,
    host: Option<&'h str>,
}

/// In their order: the last is that of the proxy which connects to the hub. `Forwarded`
/// (RFC 7239) is read only where there is nothing of the older kind, for a proxy that
/// speaks that kind passes on whatever `Forwarded` a client sends.
fn hops(headers: &HeaderMap) -> Vec<Hop<'_>> {
    let (clients, protos) = (listed(headers, &FOR), listed(headers, &PROTO));
    let hosts = listed(headers, &HOST);
    let count = clients.len().max(protos.len()).max(hosts.len());
    if count == 0 {
        return forwarded(headers);
    }
    // Whoever does not append a value of its own leaves the shorter list.
    let from_end = |list: &[&str], at: usize| list.len().checked_sub(count - at);
    (0..count)
        .map(|at| Hop {
            client: from_end(&clients, at).and_then(|at| address(clients[at])),
            secure: from_end(&protos, at).map(|at| is_secure(protos[at])),
            host: from_end(&hosts, at).map(|at| hosts[at]),
        })
        .collect()
}

fn listed<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Vec<&'h str> {
    let values = headers.get_all(name).iter();
    values
        // What is no text is a place in the list all the same.
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

    fn behind(lines: &[(&'static str, &'static str)]) -> (String, bool, Option<String>) {
        let list = ["127.0.0.1", "10.0.0.0/8", "fd00::/8"].map(str::to_owned);
        let proxies = Proxies::parse(&list).expect("proxies");
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().expect("a value"));
        }
        let mut peer = Peer {
            remote: "127.0.0.1:9".parse().expect("an address"),
            local: "127.0.0.1:8080".parse().expect("an address"),
            secure: false,
            authority: None,
            flushes: Default::default(),
            tab: Default::default(),
        };
        proxies.look_behind(&mut peer, &headers, None);
        let authority = peer.authority.map(|host| host.to_string());
        (peer.remote.to_string(), peer.secure, authority)
    }

    fn client(value: &'static str) -> String {
        behind(&[("x-forwarded-for", value)]).0
    }

    #[test]
    fn the_client_is_the_last_one_that_is_no_proxy() {
        assert_eq!(client("203.0.113.9"), "203.0.113.9:0");
        assert_eq!(client("203.0.113.9:4711"), "203.0.113.9:4711");
        assert_eq!(client("[2001:db8::1]:80"), "[2001:db8::1]:80");
        assert_eq!(client("2001:db8::1"), "[2001:db8::1]:0");
        // What stands before it was sent by the client itself.
        assert_eq!(client("8.8.8.8, 203.0.113.9"), "203.0.113.9:0");
        assert_eq!(client("8.8.8.8, 203.0.113.9, 10.1.2.3"), "203.0.113.9:0");
        assert_eq!(client("10.4.4.4, 10.1.2.3"), "10.4.4.4:0");
        for rubbish in ["unknown", "", ",", "203.0.113.9, _hidden", "300.1.1.1"] {
            assert_eq!(client(rubbish), "127.0.0.1:9", "{rubbish}");
        }
        let two = [
            ("x-forwarded-for", "8.8.8.8"),
            ("x-forwarded-for", "203.0.113.9"),
        ];
        assert_eq!(behind(&two).0, "203.0.113.9:0");
    }

    #[test]
    fn scheme_and_host_are_those_of_the_same_hop() {
        let told = behind(&[
            ("x-forwarded-for", "203.0.113.9"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "cams.example:8443"),
        ]);
        let host = Some("cams.example:8443".to_owned());
        assert_eq!(told, ("203.0.113.9:0".into(), true, host));
        let two = behind(&[
            ("x-forwarded-for", "203.0.113.9, 10.1.1.1"),
            ("x-forwarded-proto", "https, http"),
        ]);
        assert_eq!(two, ("203.0.113.9:0".into(), true, None));
        assert!(!behind(&[("x-forwarded-proto", "http")]).1);
    }

    #[test]
    fn forwarded_is_read_where_there_is_nothing_older() {
        let line =
            "for=8.8.8.8;proto=http, for=\"[2001:db8::1]:99\";Proto=https;host=\"cams.example\"";
        let told = behind(&[("forwarded", line)]);
        let host = Some("cams.example".to_owned());
        assert_eq!(told, ("[2001:db8::1]:99".into(), true, host));
        let both = behind(&[
            ("forwarded", "for=8.8.8.8"),
            ("x-forwarded-for", "203.0.113.9"),
        ]);
        assert_eq!(both.0, "203.0.113.9:0");
    }

    #[test]
    fn networks() {
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
