//! The hub's own figures, as series: of each camera its frame and bit rate, the age
//! of its newest picture and what viewers missed. They are taken once a second, and only while
//! somebody looks at all series: an idle hub does nothing, and what nobody looked at
//! is not worth a place in the history.

use super::Shared;
use crate::site::Site;
use ocelli_core::name::DEFAULT_APP;
use ocelli_core::{CameraId, Hub};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};

/// How often.
const INTERVAL: Duration = Duration::from_secs(1);
/// Of so many cameras at most, that no hub's figures take the place of series that
/// somebody sends.
const CAMERAS: usize = 250;

/// Whether a camera's numbers are series: those are for whoever may watch app `live`,
/// and other apps may be private.
pub fn is_shown(hub: &Hub, camera: &CameraId) -> bool {
    let app = camera.app();
    app == DEFAULT_APP || hub.app(app).is_some_and(|app| app.public_playback)
}

/// Takes them until the hub stops.
pub async fn take(site: Arc<Site>, shared: Arc<Shared>) {
    let mut due = interval(INTERVAL);
    due.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut before: HashMap<String, (u64, u64)> = HashMap::new();
    loop {
        tokio::select! {
            _ = due.tick() => {}
            () = site.stopping.cancelled() => return,
        }
        if shared.lookers.load(Ordering::Relaxed) == 0 {
            before.clear();
            continue;
        }
        let now = site.hub.clock().now();
        let x = (now.0 / 1000) as f64;
        let mut counted = HashMap::new();
        for camera in site.hub.cameras().iter().take(CAMERAS) {
            if !is_shown(&site.hub, camera.id()) {
                continue;
            }
            let (id, status) = (camera.id().as_str(), camera.status());
            let last = before.get(id).copied();
            counted.insert(id.to_owned(), (status.dropped, status.bytes));
            if !status.taken.is_known() {
                continue;
            }
            let add = |what: &str, unit, y: f64| {
                let name = format!("{id} {what}");
                site.telemetry.add_measured(name, unit, x, y);
            };
            add("fps", Some("fps"), (status.fps * 10.0).round() / 10.0);
            add(
                "age",
                Some("ms"),
                (now.micros_since(status.taken) / 1000) as f64,
            );
            if let Some((dropped, bytes)) = last {
                let drops = status.dropped.saturating_sub(dropped);
                add("drops", Some("frames/s"), drops as f64);
                let bits = status.bytes.saturating_sub(bytes) * 8;
                add("bitrate", Some("kbit/s"), bits as f64 / 1000.0);
            }
        }
        before = counted;
    }
}
