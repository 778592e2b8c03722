//! Accepts TCP streams within the connection limits and starts to serve them.

use crate::connection::{Connection, ConnectionFacts};
use crate::conversation::{PortRoutes, serve};
use crate::counts::Refusal;
use crate::front::Front;
use crate::limits::LimitReached;
use ocelli_core::PeerKind;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// Time that a rejected client has to read the reason.
const TEARDOWN_GRACE: Duration = Duration::from_millis(200);

/// Waits after a failed accept. A connection that failed before it was accepted does not affect
/// the next one, so there is no wait for it; a lack of file descriptors takes time to resolve.
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

/// Turns an accepted stream into a connection with its budget. Also returns whether it comes from
/// a trusted proxy, which serves many clients.
///
/// # Errors
/// The peer has already disconnected.
pub fn into_connection(
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

/// Serves one connection in a new task on the current runtime.
pub fn accept(stream: TcpStream, front: &Arc<Front>, port_routes: &PortRoutes) {
    let (mut connection, facts, proxy) = match into_connection(stream, front) {
        Ok(taken) => taken,
        Err(error) => {
            tracing::debug!(%error, "a client disconnected while it was being accepted");
            return;
        }
    };
    match front.connection_limiter.enter(facts.remote.ip(), proxy) {
        Ok(slot) => connection.hold_slot(slot),
        Err(limit) => {
            front.refused(Refusal::Connections, facts.remote, limit.message());
            // A TLS handshake would cost more than the rejection saves.
            if front.tls.is_none() {
                reject(connection, limit, front);
            }
            return;
        }
    }
    let serving = serve(connection, facts, front.clone(), port_routes.clone());
    let stopping = front.stopping.clone();
    front.tasks.spawn(async move {
        tokio::select! {
            () = serving => {}
            () = stopping.cancelled() => {}
        }
    });
}

/// Sends a 503 response to a client that exceeds a connection limit. The task ends after
/// `TEARDOWN_GRACE`, so few rejected connections exist at a time.
fn reject(mut connection: Connection, limit: LimitReached, front: &Front) {
    let message = limit.message();
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Length: {}\r\nRetry-After: 10\r\nConnection: close\r\n\r\n{message}\n",
        message.len() + 1
    );
    front.tasks.spawn(async move {
        let sending = async {
            connection.write_all(answer.as_bytes()).await?;
            connection.shutdown().await
        };
        let _ = tokio::time::timeout(TEARDOWN_GRACE, sending).await;
    });
}
