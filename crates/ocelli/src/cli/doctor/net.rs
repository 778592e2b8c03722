//! Getting there: the name, the connection, and TLS if the address wants it.

use super::report::Report;
use super::route::{Route, Stream};
use super::tls;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use url::Host;

const LOOKUP: Duration = Duration::from_secs(5);
const CONNECT: Duration = Duration::from_secs(4);

impl Route {
    /// Connects, and says what stands in the way.
    pub async fn open(&self, report: &mut Report) -> Option<Box<dyn Stream>> {
        let stream = connect(&self.host, self.port, report).await?;
        if self.tls {
            return tls::shake_hands(stream, self, report).await;
        }
        Some(Box::new(stream))
    }
}

/// Finds the host and connects to it.
pub async fn connect(host: &str, port: u16, report: &mut Report) -> Option<TcpStream> {
    let addresses = find(host, port, report).await?;
    let mut faults = Vec::new();
    for address in &addresses {
        match timeout(CONNECT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // Small frames must not wait for one another.
                let _ = stream.set_nodelay(true);
                report.pass("tcp", format!("{address} takes the connection."));
                return Some(stream);
            }
            Ok(Err(error)) => faults.push((address, Some(error))),
            Err(_) => faults.push((address, None)),
        }
    }
    let faults: Vec<_> = faults
        .iter()
        .map(|(address, error)| obstacle(address, error.as_ref()))
        .collect();
    report.fail("tcp", faults.join(" "));
    None
}

async fn find(host: &str, port: u16, report: &mut Report) -> Option<Vec<SocketAddr>> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let found = match timeout(LOOKUP, lookup_host((bare, port))).await {
        Ok(Ok(found)) => found.collect::<Vec<_>>(),
        Ok(Err(_)) => Vec::new(),
        Err(_) => {
            report.fail(
                "dns",
                format!(
                    "The name server did not answer the question for {host} within {} seconds. \
                     Is this machine online? Try the server's address in numbers.",
                    LOOKUP.as_secs()
                ),
            );
            return None;
        }
    };
    if found.is_empty() {
        report.fail(
            "dns",
            format!(
                "No host has the name {host}. Check its spelling; on a home network try the \
                 address in numbers, or the name with .local at its end."
            ),
        );
        return None;
    }
    if !matches!(Host::parse(host), Ok(Host::Domain(_))) {
        report.pass("dns", format!("{host} is an address; no name to look up."));
    } else {
        let mut addresses: Vec<_> = found.iter().map(|found| found.ip().to_string()).collect();
        addresses.dedup();
        report.pass("dns", format!("{host} is {}.", addresses.join(", ")));
    }
    Some(found)
}

/// Why nobody is there, and what to try.
fn obstacle(address: &SocketAddr, error: Option<&io::Error>) -> String {
    match error.map(io::Error::kind) {
        Some(io::ErrorKind::ConnectionRefused) => format!(
            "Nothing listens at {address}: the machine is there and refuses. Is the server \
             running, on this port, and not only for its own machine (127.0.0.1)?"
        ),
        None | Some(io::ErrorKind::TimedOut) => format!(
            "No answer from {address} within {} seconds. The machine is off, its address has \
             changed, or a firewall swallows the connection.",
            CONNECT.as_secs()
        ),
        Some(io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable) => format!(
            "There is no way from here to {address}. Is it in the same network as this machine?"
        ),
        Some(_) => {
            let account = error.map(ToString::to_string).unwrap_or_default();
            format!("{address} can't be connected to: {account}.")
        }
    }
}
