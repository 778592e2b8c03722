//! Everything that shows pictures. A new kind of sink is one file here and one
//! line in [`routes`].
//!
//! Who may watch what is asked of the request's `Visitor`, and while a stream goes on
//! of [`changes::ViewingPermission`].
//!
//! What does not belong here: where pictures come from, and what they are.

mod changes;
pub mod jsmpeg;
mod mjpeg;
mod playback;
mod snapshot;
mod viewer;
mod wall;
mod watching;

pub use playback::refuse;
#[cfg(fuzzing)]
pub use wall::Command;

use crate::visitor::Identity;
use axum::Router;
use std::sync::Arc;

/// The addresses of all sinks.
pub fn routes(identity: Arc<Identity>) -> Router {
    Router::new()
        .merge(wall::routes())
        .merge(viewer::routes())
        .merge(mjpeg::routes())
        .merge(jsmpeg::routes())
        .merge(snapshot::routes())
        .with_state(identity)
}
