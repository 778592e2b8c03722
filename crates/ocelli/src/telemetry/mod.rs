//! Telemetry: numbers beside the pictures. What comes, what is kept and who looks,
//! around `ocelli_series`, which knows the series themselves.
//!
//! All of it runs on a thread of its own with a runtime of its own: reading a million
//! lines a second, or writing a history of ten megabytes, would hold up every
//! picture if it were done where frames are. The frame path's thread sends what it
//! has ([`Telemetry::add`]) and asks for what it wants ([`Telemetry::call`]); it never
//! waits for a lock.
//!
//! What does not belong here: what a series is, how it is packed, and what a viewer's
//! message looks like.

mod devices;
mod figures;
mod handle;
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

/// Begins to take samples and viewers on the ports of their own, as far as they
/// can be had, and to take the hub's own figures and what devices tell of themselves.
///
/// The ports are at `main`'s address unless the options say otherwise; `plaintext_routes` is
/// what they answer without TLS where the hub has it.
pub fn serve(
    telemetry: &Telemetry,
    options: &Options,
    main: SocketAddr,
    identity: &Arc<Identity>,
    plaintext_routes: Router,
    reports: broadcast::Receiver<Report>,
) {
    listen::begin(telemetry, options, main, identity, plaintext_routes);
    let figures = figures::take(identity.clone(), telemetry.clone());
    identity.front.tasks.spawn(figures);
    let Identity { hub, front, .. } = &**identity;
    devices::take(telemetry, hub.clone(), front.stopping.clone(), reports);
}
