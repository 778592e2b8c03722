//! The names of the series that the hub makes itself, and whose they are.

use ocelli_core::name::DEFAULT_APP;
use ocelli_core::{App, CameraId, Hub};
use std::collections::BTreeSet;

/// What the hub's own figures are called behind the camera's id.
const OWN: [&str; 4] = ["fps", "age", "drops", "bitrate"];
/// Between a camera's id and the name of a number.
pub const MARK: &str = " device ";
/// Whether a camera's numbers are series: those are for whoever may watch app `live`,
/// and other apps may be private.
pub fn is_shown(hub: &Hub, camera: &CameraId) -> bool {
    hub.app(camera.app()).is_some_and(|app| shows(&app))
}

/// The same of all cameras of an app.
pub fn shows(app: &App) -> bool {
    app.public_playback || app.name == DEFAULT_APP
}

/// Whether a series is of a camera of one of these apps, going by its name.
pub fn is_of(name: &str, apps: &BTreeSet<String>) -> bool {
    let Some((id, what)) = name.split_once(' ') else {
        return false;
    };
    let app = id.split_once('/').map(|(app, _)| app);
    app.is_some_and(|app| apps.contains(app))
        && (OWN.contains(&what) || what.starts_with(MARK.trim_start()))
}
