//! The hub's own metrics as series: per camera its frame rate and bit rate, the age of its
//! newest picture, and the frames that viewers missed. They are sampled once a second, and
//! only while a viewer watches all series: an idle hub does no work, and unwatched values
//! are not worth storing.

use super::handle::{Stopped, Telemetry};
use super::names::{is_app_shown, is_of, is_shown};
use crate::visitor::Identity;
use ocelli_core::Hub;
use ocelli_series::Registry;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};

/// The sampling interval.
const INTERVAL: Duration = Duration::from_secs(1);
/// The most cameras that are sampled, so that the hub's own metrics do not take the place
/// of other sources' series.
const MAX_CAMERAS: usize = 250;

/// Deletes the series of apps that have become private: their cameras' series were public
/// before.
async fn delete_private(
    hub: &Hub,
    telemetry: &Telemetry,
    known: &mut BTreeSet<String>,
) -> Result<(), Stopped> {
    let mut private = BTreeSet::new();
    for app in hub.apps().iter().filter(|app| !is_app_shown(app)) {
        private.insert(app.name.clone());
    }
    if !private.is_subset(known) {
        let apps = private.clone();
        telemetry.call(move |all| delete_series(all, &apps)).await?;
    }
    *known = private;
    Ok(())
}

/// Deletes the series of the cameras of these apps.
fn delete_series(registry: &mut Registry, apps: &BTreeSet<String>) {
    let theirs = registry.all().filter(|series| is_of(series.name(), apps));
    let theirs: Vec<_> = theirs.map(ocelli_series::Series::id).collect();
    for id in theirs {
        // The series exists: the registry is locked by this call.
        let _ = registry.delete(id);
    }
}

/// Samples until the hub stops.
pub async fn sample(identity: Arc<Identity>, telemetry: Telemetry) {
    let (hub, server_state) = (&identity.hub, &identity.server_state);
    let mut due = interval(INTERVAL);
    due.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut before: HashMap<String, (u64, u64)> = HashMap::new();
    let mut private = BTreeSet::new();
    let mut changes = hub.changes();
    // Apps may have been made private while the hub was not running.
    changes.mark_changed();
    loop {
        tokio::select! {
            _ = due.tick() => {}
            Ok(()) = changes.changed() => match delete_private(hub, &telemetry, &mut private).await {
                Ok(()) => continue,
                Err(Stopped) => return,
            },
            () = server_state.stopping.cancelled() => return,
        }
        if telemetry.shared.all_series_viewers.load(Ordering::Relaxed) == 0 {
            before.clear();
            continue;
        }
        let now = hub.clock().now();
        let x = (now.0 / 1000) as f64;
        let mut counted = HashMap::new();
        for camera in hub.cameras().iter().take(MAX_CAMERAS) {
            if !is_shown(hub, camera.id()) {
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
                telemetry.add_measured(name, unit, x, y);
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
