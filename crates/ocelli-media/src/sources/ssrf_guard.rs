//! SSRF guard: the addresses that cameras added over HTTP may have.
//!
//! A user who may add cameras must not be able to make the hub connect to services that only
//! the hub can reach: on its own machine, on its link, or in the cloud that it runs in
//! (server-side request forgery). Cameras in the configuration file are not restricted.
//!
//! A host name is first resolved and then checked, and the hub connects to exactly the checked
//! addresses. So a name can't resolve to a different address after the check.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use url::{Host, Url};

/// The reason for every refused address. It is the same for all, so it does not reveal what is
/// at the address.
pub const REFUSED: &str = "a camera that is added over HTTP can't be on the hub's own machine, \
     at a link-local or multicast address, or at a cloud's metadata service; \
     allow_local_sources = true in the configuration permits this";

/// SSRF guard of one hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SsrfGuard {
    /// The hub's own port; `None` if no address is refused.
    own_port: Option<u16>,
}

impl SsrfGuard {
    /// Creates the guard of a hub that listens on `port`.
    pub fn new(port: u16) -> Self {
        Self {
            own_port: Some(port),
        }
    }

    /// Creates a guard that refuses no address, for `allow_local_sources`.
    pub fn disabled() -> Self {
        Self { own_port: None }
    }

    /// Returns true if a camera may be at `address`.
    pub fn allows(&self, address: SocketAddr) -> bool {
        let Some(own_port) = self.own_port else {
            return true;
        };
        let ip = address.ip().to_canonical();
        let own = address.port() == own_port && is_own(ip);
        !own && !is_inside(ip)
    }

    /// Returns true if the host is an IP address that is refused. Host names are not resolved.
    pub fn refuses(&self, url: &Url, default_port: u16) -> bool {
        let port = url.port_or_known_default().unwrap_or(default_port);
        let ip: IpAddr = match url.host() {
            Some(Host::Ipv4(ip)) => ip.into(),
            Some(Host::Ipv6(ip)) => ip.into(),
            Some(Host::Domain(_)) | None => return false,
        };
        !self.allows(SocketAddr::new(ip, port))
    }

    /// Resolves a host. The hub may connect to all returned addresses.
    ///
    /// # Errors
    /// The host does not exist, or one of its addresses is refused.
    pub async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        // In a URL, IPv6 addresses are in brackets.
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let found: Vec<_> = tokio::net::lookup_host((host, port)).await?.collect();
        if found.iter().all(|address| self.allows(*address)) {
            return Ok(found);
        }
        Err(io::Error::other(REFUSED))
    }
}

/// Returns true if the address is one of this machine's.
fn is_own(ip: IpAddr) -> bool {
    // If the list can't be read, any address might be one of them.
    if_addrs::get_if_addrs().map_or(true, |own| own.iter().any(|own| own.ip() == ip))
}

/// Returns true if the address leads to this machine, its link, or the cloud it runs in.
fn is_inside(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_inside_v4(ip),
        IpAddr::V6(ip) => is_inside_v6(ip) || embedded(ip).is_some_and(is_inside_v4),
    }
}

fn is_inside_v4(ip: Ipv4Addr) -> bool {
    // Metadata services outside of link-local: Alibaba's, Azure's, Oracle's.
    const SERVICES: [Ipv4Addr; 3] = [
        Ipv4Addr::new(100, 100, 100, 200),
        Ipv4Addr::new(168, 63, 129, 16),
        Ipv4Addr::new(192, 0, 0, 192),
    ];
    ip.is_loopback()
        || ip.octets()[0] == 0
        || ip.is_link_local()
        || ip.is_multicast()
        // Reserved addresses and, at the end, broadcast.
        || ip.octets()[0] >= 240
        || SERVICES.contains(&ip)
}

fn is_inside_v6(ip: Ipv6Addr) -> bool {
    // Metadata services: Amazon's and Google's.
    const SERVICES: [Ipv6Addr; 2] = [
        Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
        Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
    ];
    ip.is_loopback()
        || ip.is_unspecified()
        || ip.is_unicast_link_local()
        || ip.is_multicast()
        // Local-use NAT64 (RFC 8215), which embeds an IPv4 address at any position.
        || ip.segments()[..3] == [0x64, 0xff9b, 1]
        || SERVICES.contains(&ip)
}

/// Returns the IPv4 address embedded in an IPv6 address, in the forms that gateways and
/// systems translate.
fn embedded(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let of = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match ip.segments() {
        // Compatible (RFC 4291), mapped, translated (RFC 2765), NAT64 (RFC 6052).
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(of(high, low)),
        // 6to4 (RFC 3056).
        [0x2002, high, low, ..] => Some(of(high, low)),
        // Teredo (RFC 4380): the client's address inverted.
        [0x2001, 0, .., high, low] => Some(of(!high, !low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(ssrf_guard: SsrfGuard, host: &str) -> bool {
        let url = Url::parse(&format!("http://{host}/x")).expect("an address");
        !ssrf_guard.refuses(&url, 80)
    }

    #[test]
    fn internal_addresses_are_refused_in_every_notation() {
        for bad in [
            "127.0.0.1",
            "127.9.9.9",
            "2130706433",
            "0x7f.1",
            "0177.0.0.1",
            "127.1",
            "0.0.0.0",
            "0.1.2.3",
            "0",
            "169.254.169.254",
            "169.254.1.1",
            "224.0.0.1",
            "239.255.255.250",
            "255.255.255.255",
            "240.0.0.1",
            "100.100.100.200",
            "168.63.129.16",
            "[::1]",
            "[::]",
            "[fe80::1]",
            "[febf::1]",
            "[ff02::1]",
            "[fd00:ec2::254]",
            "[::ffff:127.0.0.1]",
            "[::ffff:169.254.169.254]",
            "[::127.0.0.1]",
            "[::ffff:0:127.0.0.1]",
            "[64:ff9b::127.0.0.1]",
            "[64:ff9b::a9fe:a9fe]",
            "[64:ff9b:1::127.0.0.1]",
            "[2002:7f00:1::]",
            "[2002:a9fe:a9fe::1]",
            "[2001:0:1:2:3:4:80ff:fffe]",
        ] {
            assert!(!allows(SsrfGuard::new(8080), bad), "{bad}");
            assert!(allows(SsrfGuard::disabled(), bad), "{bad}");
        }
    }

    #[test]
    fn private_networks_are_allowed() {
        for good in [
            "10.0.0.7",
            "172.16.0.1",
            "192.168.1.10",
            "100.64.0.1",
            "203.0.113.9",
            "[fd12:3456::7]",
            "[2001:db8::7]",
            "[64:ff9b::10.0.0.7]",
            "[2002:a00:7::1]",
            "cam.example",
        ] {
            assert!(allows(SsrfGuard::new(8080), good), "{good}");
        }
    }

    #[test]
    fn the_hubs_port_is_refused_at_the_machines_addresses() {
        let own = if_addrs::get_if_addrs().expect("interfaces");
        let own = own.iter().map(|own| own.ip()).find(|ip| !is_inside(*ip));
        // A machine without a network has no such address.
        let Some(own) = own else { return };
        let ssrf_guard = SsrfGuard::new(8080);
        assert!(!ssrf_guard.allows(SocketAddr::new(own, 8080)));
        assert!(ssrf_guard.allows(SocketAddr::new(own, 8554)));
    }

    #[tokio::test]
    async fn names_are_checked_by_the_addresses_they_resolve_to() {
        for name in ["localhost", "127.0.0.1", "2130706433", "[::1]"] {
            let refused = SsrfGuard::new(8080).resolve(name, 554).await;
            let refused = refused.expect_err(name).to_string();
            assert_eq!(refused, REFUSED, "{name}");
        }
        let found = SsrfGuard::disabled().resolve("localhost", 554).await;
        assert!(found.is_ok_and(|found| found.iter().all(|found| found.port() == 554)));
        let found = SsrfGuard::new(8080).resolve("10.0.0.7", 554).await;
        assert_eq!(
            found.expect("an address"),
            [SocketAddr::from(([10, 0, 0, 7], 554))]
        );
    }
}
