//! From an accepted stream to a conversation, as long as there is room for it.

use crate::connection::{Connection, ConnectionFacts};
use crate::conversation::{PortRoutes, converse};
use crate::counts::Refusal;
use crate::front::Front;
use crate::limits::Full;
use ocelli_core::PeerKind;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// How long a client that is turned away may take to read why.
const TEARDOWN_GRACE: Duration = Duration::from_millis(200);

/// A connection that failed before it was accepted says nothing about the next;
/// a lack of descriptors needs time to pass.
pub async fn back_off_after(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    if !matches!(
        error.kind(),
        ConnectionAborted | ConnectionReset | Interrupted
    ) {
        tracing::error!(%error, "can't accept connections; trying again");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// An accepted stream as a connection with its budget, and whether it comes from a trusted
/// proxy, behind which there are many clients.
///
/// # Errors
/// The peer is gone already.
pub fn take_over(
    stream: TcpStream,
    front: &Front,
) -> io::Result<(Connection, ConnectionFacts, bool)> {
    let proxy = front.proxies.trusts(stream.peer_addr()?.ip());
    let kind = if proxy {
        PeerKind::Proxy
    } else {
        PeerKind::Connection
    };
    let (connection, facts) = Connection::new(stream, front.budgets.budget(kind))?;
    Ok((connection, facts, proxy))
}

/// Serves one connection, in a task of its own on the runtime that calls.
pub fn accept(stream: TcpStream, front: &Arc<Front>, port_routes: &PortRoutes) {
    let (mut connection, facts, proxy) = match take_over(stream, front) {
        Ok(taken) => taken,
        Err(error) => {
            tracing::debug!(%error, "a client left at once");
            return;
        }
    };
    match front.connection_limiter.enter(facts.remote.ip(), proxy) {
        Ok(place) => connection.keep(place),
        Err(full) => {
            front.refused(Refusal::Connections, facts.remote, full.message());
            // A handshake would cost more than the refusal is to spare.
            if front.tls.is_none() {
                reject(connection, full, front);
            }
            return;
        }
    }
    let conversation = converse(connection, facts, front.clone(), port_routes.clone());
    let stopping = front.stopping.clone();
    front.tasks.spawn(async move {
        tokio::select! {
            () = conversation => {}
            () = stopping.cancelled() => {}
        }
    });
}

/// Tells a client that it is one too many. It has a moment to take it; the task ends
/// with it, so those who are turned away are not many at a time.
fn reject(mut connection: Connection, full: Full, front: &Front) {
    let words = full.message();
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Length: {}\r\nRetry-After: 10\r\nConnection: close\r\n\r\n{words}\n",
        words.len() + 1
    );
    front.tasks.spawn(async move {
        let told = async {
            connection.write_all(answer.as_bytes()).await?;
            connection.shutdown().await
        };
        let _ = tokio::time::timeout(TEARDOWN_GRACE, told).await;
    });
}
