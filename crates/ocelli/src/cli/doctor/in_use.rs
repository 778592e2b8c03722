//! Programs on this machine that are connected to a camera. Many cameras serve only one viewer,
//! and then the doctor finds faults that the camera does not have.

use ocelli_media::sources::Address;
use std::collections::HashSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::net::lookup_host;
use tokio::time::timeout;
use url::Url;

const LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);

/// State of an established connection in the kernel's tables.
const ESTABLISHED: &str = "01";

/// Returns the sentence for a camera to which another program on this machine is connected.
pub async fn hint(address: &Address) -> Option<String> {
    let written = match address.scheme() {
        "ffmpeg" => address.rest(),
        _ => address.bare(),
    };
    let url = Url::parse(written).ok()?;
    let host = url.host_str().filter(|host| !host.is_empty())?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let port = match url.scheme() {
        "rtsp" => url.port().unwrap_or(554),
        "rtsps" => url.port().unwrap_or(322),
        _ => url.port_or_known_default()?,
    };
    let found = timeout(LOOKUP_TIMEOUT, lookup_host((host, port))).await;
    let addresses: Vec<_> = found.ok()?.ok()?.collect();
    let programs = programs(&connections(&addresses));
    let who = match programs.iter().flatten().next().map(String::as_str) {
        Some("ocelli") => "this hub is watching it".to_owned(),
        Some(name) => format!("the program {name} on this machine is connected to it"),
        None if programs.is_empty() => return None,
        None => "another program on this machine is connected to it".to_owned(),
    };
    Some(format!(
        "It may be taken: {who}, and many cameras serve only one viewer."
    ))
}

/// Returns the sockets of established connections to one of these addresses.
fn connections(addresses: &[SocketAddr]) -> HashSet<String> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
    let tables = tables
        .iter()
        .filter_map(|path| fs::read_to_string(path).ok());
    let mut sockets = HashSet::new();
    for table in tables {
        for line in table.lines().skip(1) {
            let fields: Vec<_> = line.split_whitespace().collect();
            if let [_, _, remote, ESTABLISHED, _, _, _, _, _, socket, ..] = fields[..]
                && parse(remote).is_some_and(|remote| addresses.contains(&remote))
            {
                sockets.insert(format!("socket:[{socket}]"));
            }
        }
    }
    sockets
}

/// Parses an address as the kernel writes it: in hexadecimal, with words in the machine's byte
/// order.
fn parse(written: &str) -> Option<SocketAddr> {
    let (ip, port) = written.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let words =
        (0..ip.len() / 8).map(|at| u32::from_str_radix(ip.get(at * 8..at * 8 + 8)?, 16).ok());
    let bytes: Vec<u8> = words
        .collect::<Option<Vec<_>>>()?
        .into_iter()
        .flat_map(u32::to_ne_bytes)
        .collect();
    let ip = match (
        <[u8; 4]>::try_from(&bytes[..]),
        <[u8; 16]>::try_from(&bytes[..]),
    ) {
        (Ok(bytes), _) => IpAddr::V4(Ipv4Addr::from(bytes)),
        (_, Ok(bytes)) => Ipv6Addr::from(bytes).to_canonical(),
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

/// Returns one element for each socket, with its program's name if it is known. Other users'
/// programs are not.
fn programs(sockets: &HashSet<String>) -> Vec<Option<String>> {
    if sockets.is_empty() {
        return Vec::new();
    }
    let mut programs: Vec<Option<String>> = vec![None; sockets.len()];
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let named = processes.filter_map(|process| {
        let files = fs::read_dir(process.path().join("fd")).ok()?;
        let mut targets = files
            .flatten()
            .filter_map(|file| fs::read_link(file.path()).ok());
        let holds = targets.any(|target| sockets.contains(&*target.to_string_lossy()));
        let name = fs::read_to_string(process.path().join("comm")).ok();
        holds.then_some(name?.trim().to_owned())
    });
    for (program, name) in programs.iter_mut().zip(named) {
        *program = Some(name);
    }
    programs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_the_kernel_are_parsed() {
        let shown = |written: &str| parse(written).map(|address| address.to_string());
        if cfg!(target_endian = "little") {
            let v4 = shown("0100007F:1F90");
            assert_eq!(v4.as_deref(), Some("127.0.0.1:8080"));
            let mapped = shown("0000000000000000FFFF00000A00000A:022A");
            assert_eq!(mapped.as_deref(), Some("10.0.0.10:554"));
        }
        for bad in ["", "x", "0100007F", "0100007F:x", "01:1", "é100007F:1"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[tokio::test]
    async fn a_connection_of_this_machine_is_found() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let target = Address::new(&format!("rtsp://u:p@{address}/x"));
        assert_eq!(hint(&target).await, None);
        let _stream = std::net::TcpStream::connect(address).expect("connected");
        let hint = hint(&target).await.expect("a hint");
        assert!(
            hint.starts_with("It may be taken: the program ocelli-"),
            "{hint}"
        );
    }
}
