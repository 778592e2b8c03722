//! The hub's own figures, as series: of each camera its frame and bit rate, the age
//! of its newest picture and what viewers missed. They are taken once a second, and only while
//! somebody looks at all series: an idle hub does nothing, and what nobody looked at
//! is not worth a place in the history.

use super::handle::{Stopped, Telemetry};
use super::names::{is_of, is_shown, shows};
use crate::visitor::Identity;
use ocelli_core::Hub;
use ocelli_series::Registry;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};

/// How often.
const INTERVAL: Duration = Duration::from_secs(1);
/// Of so many cameras at most, that no hub's figures take the place of series that
/// somebody sends.
const CAMERAS: usize = 250;

/// Before an app was private anybody could see its cameras' series; now nobody may.
async fn forget_private(
    hub: &Hub,
    telemetry: &Telemetry,
    known: &mut BTreeSet<String>,
) -> Result<(), Stopped> {
    let mut private = BTreeSet::new();
    for app in hub.apps().iter().filter(|app| !shows(app)) {
        private.insert(app.name.clone());
    }
    if !private.is_subset(known) {
        let apps = private.clone();
        telemetry.call(move |all| forget(all, &apps)).await?;
    }
    *known = private;
    Ok(())
}

/// Deletes the series of the cameras of these apps.
fn forget(registry: &mut Registry, apps: &BTreeSet<String>) {
    let theirs = registry.all().filter(|series| is_of(series.name(), apps));
    let theirs: Vec<_> = theirs.map(ocelli_series::Series::id).collect();
    for id in theirs {
        // There it is: nobody else has the registry meanwhile.
        let _ = registry.delete(id);
    }
}

/// Takes them until the hub stops.
pub async fn take(identity: Arc<Identity>, telemetry: Telemetry) {
    let (hub, front) = (&identity.hub, &identity.front);
    let mut due = interval(INTERVAL);
    due.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut before: HashMap<String, (u64, u64)> = HashMap::new();
    let mut private = BTreeSet::new();
    let mut changes = hub.changes();
    // Some may have been made private while the hub was not there.
    changes.mark_changed();
    loop {
        tokio::select! {
            _ = due.tick() => {}
            Ok(()) = changes.changed() => match forget_private(hub, &telemetry, &mut private).await {
                Ok(()) => continue,
                Err(Stopped) => return,
            },
            () = front.stopping.cancelled() => return,
        }
        if telemetry.shared.lookers.load(Ordering::Relaxed) == 0 {
            before.clear();
            continue;
        }
        let now = hub.clock().now();
        let x = (now.0 / 1000) as f64;
        let mut counted = HashMap::new();
        for camera in hub.cameras().iter().take(CAMERAS) {
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
