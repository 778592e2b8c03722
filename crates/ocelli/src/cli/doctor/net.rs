//! Connecting: name resolution, TCP, and TLS if the address needs it.

use super::report::Report;
use super::route::{Route, Stream};
use super::tls;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use url::Host;

const LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);

impl Route {
    /// Connects, and reports the obstacle if that fails.
    pub async fn open(&self, report: &mut Report) -> Option<Box<dyn Stream>> {
        let stream = connect(&self.host, self.port, report).await?;
        if self.tls {
            return tls::handshake(stream, self, report).await;
        }
        Some(Box::new(stream))
    }
}

/// Resolves the host and connects to it.
pub async fn connect(host: &str, port: u16, report: &mut Report) -> Option<TcpStream> {
    let addresses = resolve(host, port, report).await?;
    let mut faults = Vec::new();
    for address in &addresses {
        match timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // Small frames must be sent without delay.
                let _ = stream.set_nodelay(true);
                report.pass("tcp", format!("{address} accepts the connection."));
                return Some(stream);
            }
            Ok(Err(error)) => faults.push((address, Some(error))),
            Err(_) => faults.push((address, None)),
        }
    }
    let faults: Vec<_> = faults
        .iter()
        .map(|(address, error)| error_message(address, error.as_ref()))
        .collect();
    report.fail("tcp", faults.join(" "));
    None
}

async fn resolve(host: &str, port: u16, report: &mut Report) -> Option<Vec<SocketAddr>> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let found = match timeout(LOOKUP_TIMEOUT, lookup_host((bare, port))).await {
        Ok(Ok(found)) => found.collect::<Vec<_>>(),
        Ok(Err(_)) => Vec::new(),
        Err(_) => {
            report.fail(
                "dns",
                format!(
                    "The name server did not answer the query for {host} within {} seconds. \
                     Is this machine online? Try the server's IP address.",
                    LOOKUP_TIMEOUT.as_secs()
                ),
            );
            return None;
        }
    };
    if found.is_empty() {
        report.fail(
            "dns",
            format!(
                "The name {host} does not exist. Check its spelling; on a home network try the \
                 IP address, or the name with .local at its end."
            ),
        );
        return None;
    }
    if !matches!(Host::parse(host), Ok(Host::Domain(_))) {
        report.pass(
            "dns",
            format!("{host} is an IP address, so there is no name to resolve."),
        );
    } else {
        let mut addresses: Vec<_> = found.iter().map(|found| found.ip().to_string()).collect();
        addresses.dedup();
        report.pass("dns", format!("{host} is {}.", addresses.join(", ")));
    }
    Some(found)
}

/// The message for a failed connection, with advice.
fn error_message(address: &SocketAddr, error: Option<&io::Error>) -> String {
    match error.map(io::Error::kind) {
        Some(io::ErrorKind::ConnectionRefused) => format!(
            "Nothing listens on {address}: the machine refuses the connection. Is the server \
             running, on this port, and not only on its own loopback address (127.0.0.1)?"
        ),
        None | Some(io::ErrorKind::TimedOut) => format!(
            "No answer from {address} within {} seconds. The machine may be off, its address may have \
             changed, or a firewall may drop the connection.",
            CONNECT_TIMEOUT.as_secs()
        ),
        Some(io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable) => {
            format!("There is no route to {address}. Is it in the same network as this machine?")
        }
        Some(_) => {
            let account = error.map(ToString::to_string).unwrap_or_default();
            format!("Can't connect to {address}: {account}.")
        }
    }
}
