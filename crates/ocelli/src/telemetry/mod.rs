//! Telemetry: numeric samples besides the pictures. Sources, storage and viewers of series,
//! on top of `ocelli_series`, which implements the series themselves.
//!
//! Telemetry runs on its own thread with its own runtime, because reading a million lines a
//! second or writing a history of ten megabytes on the frame path's thread would delay
//! every picture. The frame path's thread sends samples ([`Telemetry::add`]) and requests
//! ([`Telemetry::call`]); it never waits for a lock.
//!
//! Not here: what a series is, how it is compressed, and the format of a viewer's message.

mod devices;
mod handle;
mod hub_metrics;
mod listen;
mod names;
mod options;
mod shared;
mod sources;
mod store;
mod viewers;

pub use handle::{Stopped, Telemetry};
pub use options::{OPTIONS, Options};
pub use sources::Writer;
pub use viewers::routes;

use crate::ingest::Report;
use crate::visitor::Identity;
use axum::Router;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::broadcast;

/// Starts to accept samples and viewers on telemetry's own ports, as far as these can be
/// bound, and to sample the hub's own metrics and the devices' statistics.
///
/// The ports are at `main`'s address unless the options set another one. `plaintext_routes`
/// are served without TLS on a port where the hub uses TLS.
pub fn serve(
    telemetry: &Telemetry,
    options: &Options,
    main: SocketAddr,
    identity: &Arc<Identity>,
    plaintext_routes: Router,
    reports: broadcast::Receiver<Report>,
) {
    listen::begin(telemetry, options, main, identity, plaintext_routes);
    let metrics = hub_metrics::sample(identity.clone(), telemetry.clone());
    identity.server_state.tasks.spawn(metrics);
    let Identity {
        hub, server_state, ..
    } = &**identity;
    devices::take(
        telemetry,
        hub.clone(),
        server_state.stopping.clone(),
        reports,
    );
}
