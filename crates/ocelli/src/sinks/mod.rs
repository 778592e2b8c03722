//! Sinks: deliver pictures to viewers. A new kind of sink needs one file here and one line in
//! [`routes`].
//!
//! The request's `Visitor` checks whether the viewer may watch. While a stream runs,
//! [`changes::ViewingPermission`] does.
//!
//! This module neither receives nor encodes pictures.

mod changes;
pub mod jsmpeg;
mod mjpeg;
mod mp4;
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

/// The routes of all sinks.
pub fn routes(identity: Arc<Identity>) -> Router {
    Router::new()
        .merge(wall::routes())
        .merge(viewer::routes())
        .merge(mjpeg::routes())
        .merge(mp4::routes())
        .merge(jsmpeg::routes())
        .merge(snapshot::routes())
        .with_state(identity)
}
