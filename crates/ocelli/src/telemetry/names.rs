//! The names of the series that the hub creates itself, and which app they belong to.

use ocelli_core::name::DEFAULT_APP;
use ocelli_core::{App, CameraId, Hub};
use std::collections::BTreeSet;

/// The names of the hub's own metrics, after the camera's id.
const METRICS: [&str; 4] = ["fps", "age", "drops", "bitrate"];
/// The text between a camera's id and the name of a device's value.
pub const SEPARATOR: &str = " device ";
/// Returns true if a camera's metrics become series. Series are visible to all viewers of
/// app `live`, and other apps may be private.
pub fn is_shown(hub: &Hub, camera: &CameraId) -> bool {
    hub.app(camera.app()).is_some_and(|app| is_app_shown(&app))
}

/// The same for all cameras of an app.
pub fn is_app_shown(app: &App) -> bool {
    app.public_playback || app.name == DEFAULT_APP
}

/// Returns true if a series belongs to a camera of one of these apps, judged by its name.
pub fn is_of(name: &str, apps: &BTreeSet<String>) -> bool {
    let Some((id, what)) = name.split_once(' ') else {
        return false;
    };
    let app = id.split_once('/').map(|(app, _)| app);
    app.is_some_and(|app| apps.contains(app))
        && (METRICS.contains(&what) || what.starts_with(SEPARATOR.trim_start()))
}
