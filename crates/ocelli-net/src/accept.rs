//! Accepts TCP streams within the connection limits and starts to serve them.

use crate::connection::{Connection, ConnectionFacts};
use crate::counts::Refusal;
use crate::http_server::{PortRoutes, serve};
use crate::limits::LimitReached;
use crate::server_state::ServerState;
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
    server_state: &ServerState,
) -> io::Result<(Connection, ConnectionFacts, bool)> {
    let proxy = server_state.proxies.trusts(stream.peer_addr()?.ip());
    let kind = if proxy {
        PeerKind::Proxy
    } else {
        PeerKind::Connection
    };
    let (connection, facts) = Connection::new(stream, server_state.budgets.budget(kind))?;
    Ok((connection, facts, proxy))
}

/// Serves one connection in a new task on the current runtime.
pub fn accept(stream: TcpStream, server_state: &Arc<ServerState>, port_routes: &PortRoutes) {
    let (mut connection, facts, proxy) = match into_connection(stream, server_state) {
        Ok(taken) => taken,
        Err(error) => {
            tracing::debug!(%error, "a client disconnected while it was being accepted");
            return;
        }
    };
    match server_state
        .connection_limiter
        .enter(facts.remote.ip(), proxy)
    {
        Ok(slot) => connection.hold_slot(slot),
        Err(limit) => {
            server_state.refused(Refusal::Connections, facts.remote, limit.message());
            // A TLS handshake would cost more than the rejection saves.
            if server_state.tls.is_none() {
                reject(connection, limit, server_state);
            }
            return;
        }
    }
    let serving = serve(connection, facts, server_state.clone(), port_routes.clone());
    let stopping = server_state.stopping.clone();
    server_state.tasks.spawn(async move {
        tokio::select! {
            () = serving => {}
            () = stopping.cancelled() => {}
        }
    });
}

/// Sends a 503 response to a client that exceeds a connection limit. The task ends after
/// `TEARDOWN_GRACE`, so few rejected connections exist at a time.
fn reject(mut connection: Connection, limit: LimitReached, server_state: &ServerState) {
    let message = limit.message();
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Length: {}\r\nRetry-After: 10\r\nConnection: close\r\n\r\n{message}\n",
        message.len() + 1
    );
    server_state.tasks.spawn(async move {
        let sending = async {
            connection.write_all(answer.as_bytes()).await?;
            connection.shutdown().await
        };
        let _ = tokio::time::timeout(TEARDOWN_GRACE, sending).await;
    });
}
