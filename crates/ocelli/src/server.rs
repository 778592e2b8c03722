//! The one port: accepts connections as long as there is room for them, each of which
//! is then a conversation of its own. `run` ends when it is told to, whatever connections stay open.

use crate::connection::{Connection, Peer};
use crate::conversation::{Doors, converse};
use crate::counts::Refusal;
use crate::limits::Full;
use crate::site::Site;
use crate::visitor::rounds;
use crate::{api, ingest, sinks, telemetry, tls, ui};
use axum::Router;
use ocelli_core::{PeerKind, State};
use ocelli_media::supervise;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

/// For the cameras to be taken leave of: one that is not told keeps its session
/// for a minute, and may allow no more than one.
const FAREWELL: Duration = Duration::from_millis(200);
/// How long connections may take to say goodbye.
const GOODBYE: Duration = Duration::from_millis(500);
/// How long killed children may take to end: the system frees their memory first.
const CHILDREN: Duration = Duration::from_secs(1);

/// All routes.
fn routes(site: Arc<Site>) -> Router {
    Router::new()
        .merge(sinks::routes())
        .merge(telemetry::routes())
        .merge(api::routes(&site))
        .merge(tls::routes())
        .merge(ingest::routes())
        .fallback(ui::serve)
        .with_state(site)
}

/// Serves `site` on `listener` until `shutdown` is ready, then ends every source
/// and every connection.
pub async fn run(listener: TcpListener, site: Arc<Site>, shutdown: impl Future<Output = ()>) {
    let doors = Doors::new(routes(site.clone()), site.clone());
    site.tasks.spawn(rounds(site.clone()));
    tokio::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => accept(stream, &site, &doors),
            Err(error) => wait_out(&error).await,
        }
    }
    drop(listener);
    site.stopping.cancel();
    let awake = site
        .hub
        .cameras()
        .iter()
        .any(|camera| camera.status().state != State::Idle);
    site.hub.stop();
    site.tasks.close();
    let farewell = async {
        if awake {
            tokio::time::sleep(FAREWELL).await;
        }
    };
    // Tasks that don't end by then end with the runtime.
    let goodbye = tokio::time::timeout(GOODBYE, site.tasks.wait());
    let _ = tokio::join!(goodbye, farewell);
    let _ = tokio::time::timeout(CHILDREN, supervise::all_ended()).await;
    site.telemetry.stop().await;
}

/// A connection that failed before it was accepted says nothing about the next;
/// a lack of descriptors needs time to pass.
pub async fn wait_out(error: &io::Error) {
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
pub fn take_over(stream: TcpStream, site: &Site) -> io::Result<(Connection, Peer, bool)> {
    let proxy = site.proxies.trusts(stream.peer_addr()?.ip());
    let kind = if proxy {
        PeerKind::Proxy
    } else {
        PeerKind::Connection
    };
    let (connection, peer) = Connection::new(stream, site.hub.budget(kind))?;
    Ok((connection, peer, proxy))
}

/// Serves one connection, in a task of its own on the runtime that calls.
pub fn accept(stream: TcpStream, site: &Arc<Site>, doors: &Doors) {
    let (mut connection, peer, proxy) = match take_over(stream, site) {
        Ok(taken) => taken,
        Err(error) => {
            tracing::debug!(%error, "a client left at once");
            return;
        }
    };
    match site.doorkeeper.enter(peer.remote.ip(), proxy) {
        Ok(place) => connection.keep(place),
        Err(full) => {
            site.refused(Refusal::Connections, &peer, full.message());
            // A handshake would cost more than the refusal is to spare.
            if site.tls.is_none() {
                turn_away(connection, full, site);
            }
            return;
        }
    }
    let conversation = converse(connection, peer, site.clone(), doors.clone());
    let stopping = site.stopping.clone();
    site.tasks.spawn(async move {
        tokio::select! {
            () = conversation => {}
            () = stopping.cancelled() => {}
        }
    });
}

/// Tells a client that it is one too many. It has a moment to take it; the task ends
/// with it, so those who are turned away are not many at a time.
fn turn_away(mut connection: Connection, full: Full, site: &Site) {
    let words = full.message();
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Length: {}\r\nRetry-After: 10\r\nConnection: close\r\n\r\n{words}\n",
        words.len() + 1
    );
    site.tasks.spawn(async move {
        let told = async {
            connection.write_all(answer.as_bytes()).await?;
            connection.shutdown().await
        };
        let _ = tokio::time::timeout(FAREWELL, told).await;
    });
}
