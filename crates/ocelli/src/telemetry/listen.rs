//! The two ports of telemetry. If one can't be bound, that is a warning: the other one and
//! the rest of the hub run without it.

use super::handle::Telemetry;
use super::options::Options;
use super::shared::{Port, Shared};
use super::{sources, viewers};
use crate::visitor::Identity;
use axum::Router;
use ocelli_core::PeerKind;
use ocelli_net::accept::{accept, back_off_after};
use ocelli_net::http_server::PortRoutes;
use std::io;
use std::net::{SocketAddr, TcpListener as Bound};
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// The accept backlog: many sources may connect at once.
const BACKLOG: i32 = 1024;

/// Listens on the configured addresses, on the telemetry thread.
pub fn begin(
    telemetry: &Telemetry,
    options: &Options,
    main: SocketAddr,
    identity: &Arc<Identity>,
    plaintext_routes: Router,
) {
    let (tcp, ws) = options.addresses(main);
    let stopping = &identity.server_state.stopping;
    let shared = &telemetry.shared;
    let bind = |address, key, what| bind(shared, address, key, what);
    if let Some(listener) = tcp.and_then(|address| bind(address, "tcp", "samples over TCP")) {
        let (shared, hub, stopping) = (shared.clone(), identity.hub.clone(), stopping.clone());
        let serve = move |stream| {
            let budget = hub.budget(PeerKind::SampleSource);
            sources::accept(stream, budget, &shared, &stopping);
        };
        spawn(telemetry, &identity.server_state.stopping, listener, serve);
    }
    if let Some(listener) = ws.and_then(|address| bind(address, "ws", "viewers of samples")) {
        let server_state = identity.server_state.clone();
        let port = viewers::port(identity.clone(), telemetry.clone());
        let port_routes = PortRoutes::new(port, plaintext_routes, server_state.clone());
        let serve = move |stream| accept(stream, &server_state, &port_routes);
        spawn(telemetry, stopping, listener, serve);
    }
}

fn bind(shared: &Shared, address: SocketAddr, key: &'static str, what: &str) -> Option<Bound> {
    let bound = socket(address).and_then(|listener| Ok((listener.local_addr()?, listener)));
    let note = |address, fault| {
        let mut health = shared.health();
        health.ports.push(Port {
            key,
            address,
            fault,
        });
    };
    match bound {
        Ok((address, listener)) => {
            note(address, None);
            tracing::info!("telemetry: {what} on {address}");
            Some(listener)
        }
        Err(error) => {
            note(address, Some(error.to_string()));
            tracing::warn!(
                "telemetry: can't listen on {address} for {what}: {error}. Everything \
                 else runs. Another hub may use that port; set `{key}` in [telemetry] of the \
                 configuration to another address, or to \"\" to turn it off"
            );
            None
        }
    }
}

fn socket(address: SocketAddr) -> io::Result<Bound> {
    let domain = socket2::Domain::for_address(address);
    let socket = socket2::Socket::new(domain, socket2::Type::STREAM, None)?;
    // Allows a restarted hub to bind its port at once.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

fn spawn(
    telemetry: &Telemetry,
    stopping: &CancellationToken,
    bound: Bound,
    serve: impl Fn(TcpStream) + Send + Sync + 'static,
) {
    let stopping = stopping.clone();
    telemetry.runtime.spawn(async move {
        let listener = match TcpListener::from_std(bound) {
            Ok(listener) => listener,
            Err(error) => return tracing::error!("telemetry: a port can't be used: {error}"),
        };
        let accepting = async {
            loop {
                match listener.accept().await {
                    Ok((stream, _)) => serve(stream),
                    Err(error) => back_off_after(&error).await,
                }
            }
        };
        tokio::select! {
            () = accepting => {}
            () = stopping.cancelled() => {}
        }
    });
}
