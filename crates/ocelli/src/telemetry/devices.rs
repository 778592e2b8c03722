//! What devices that push tell of themselves, as series of their camera:
//! `<id> device rssi` and its like. The word between keeps them apart from the hub's own
//! figures, which have an `fps` too.
//!
//! A device chooses its numbers' names, so it is held to a few of them, and all devices
//! together to a part of what the hub takes: none of them can fill the hub with series.

use super::figures::is_shown;
use super::{Stopped, Telemetry, now};
use crate::ingest::Report;
use crate::visitor::Identity;
use ocelli_core::CameraId;
use ocelli_series::{Registry, line};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

/// Between a camera's id and the name of a number.
pub(super) const MARK: &str = " device ";
/// So many series a camera's device has at most: what one report holds.
const OF_ONE: usize = 16;
/// All devices together have one in so many of the hub's series at most.
const SHARE: usize = 4;
/// One report of a device in this time is taken. They come about every 30 s.
const PACE: Duration = Duration::from_secs(1);
/// So many devices' last reports are remembered before those are forgotten that are
/// too old to matter.
const REMEMBERED: usize = 1024;

/// Takes them until the hub stops.
pub async fn take(identity: Arc<Identity>, telemetry: Telemetry, mut reports: Receiver<Report>) {
    let mut pace = Pace::default();
    loop {
        let report = tokio::select! {
            report = reports.recv() => report,
            () = identity.front.stopping.cancelled() => return,
        };
        let report = match report {
            Ok(report) => report,
            Err(RecvError::Lagged(lost)) => {
                telemetry.drop_own(lost);
                continue;
            }
            Err(RecvError::Closed) => return,
        };
        if !is_shown(&identity.hub, &report.camera) {
            continue;
        }
        if !pace.allows(&report.camera, Instant::now()) {
            telemetry.drop_own(report.fields.len() as u64);
            continue;
        }
        // The next waits for this one; meanwhile the channel holds what comes, or drops it.
        let added = telemetry.call(move |series| add(&report, series));
        match added.await {
            Ok(dropped) => telemetry.drop_own(dropped),
            Err(Stopped) => return,
        }
    }
}

/// When each device's last report was taken. By a clock that nobody sets back.
#[derive(Default)]
struct Pace(HashMap<CameraId, Instant>);

impl Pace {
    fn allows(&mut self, camera: &CameraId, now: Instant) -> bool {
        let recent = |last: &Instant| now - *last < PACE;
        if self.0.get(camera).is_some_and(recent) {
            return false;
        }
        if self.0.len() >= REMEMBERED {
            self.0.retain(|_, last| recent(&*last));
        }
        self.0.insert(camera.clone(), now);
        true
    }
}

/// Puts a report into its series; how many of its numbers found no place.
fn add(report: &Report, registry: &mut Registry) -> u64 {
    let begin = format!("{}{MARK}", report.camera.as_str());
    let x = (report.received.0 / 1000) as f64;
    let mut dropped = 0;
    for (field, &y) in &report.fields {
        let name = format!("{begin}{field}");
        if !y.is_finite() || add_one(registry, &name, &begin, unit(field), (x, y)).is_none() {
            dropped += 1;
        }
    }
    dropped
}

fn add_one(
    registry: &mut Registry,
    name: &str,
    begin: &str,
    unit: Option<&str>,
    sample: (f64, f64),
) -> Option<()> {
    let id = match registry.find(name) {
        Some(id) => id,
        None => {
            let one_line = !name.contains(char::is_control);
            if !one_line || line::name(name.as_bytes()).is_err() || is_full(registry, begin) {
                return None;
            }
            let id = registry.open(name, false).ok()?;
            registry.set_unit(id, unit).ok()?;
            id
        }
    };
    registry.append(id, &[sample], now()).ok()
}

/// Whether there may be no more series of this camera's device, or of any.
fn is_full(registry: &Registry, begin: &str) -> bool {
    let names = || registry.all().map(|series| series.name());
    let of_one = names().filter(|name| name.starts_with(begin)).count();
    let of_all = names().filter(|name| name.contains(MARK)).count();
    of_one >= OF_ONE || of_all >= registry.bounds().series.div_ceil(SHARE)
}

/// In what the numbers are measured that the boards' own program tells.
fn unit(field: &str) -> Option<&'static str> {
    match field {
        "fps" => Some("fps"),
        "rssi" => Some("dBm"),
        "heapFree" => Some("B"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::visitor::Identity;
    use ocelli_core::{Hub, Timestamp};
    use ocelli_net::front::Front;
    use ocelli_net::gate::Gate;
    use ocelli_series::Bounds;
    use tokio::sync::broadcast;

    fn camera(room: &str) -> CameraId {
        CameraId::new("live", "live", room).expect("a room")
    }

    fn report(room: &str, fields: &[(String, f64)]) -> Report {
        Report {
            camera: camera(room),
            received: Timestamp(1_700_000_000_000_000),
            fields: fields.iter().cloned().collect(),
        }
    }

    fn names(registry: &Registry) -> Vec<&str> {
        registry.all().map(|series| series.name()).collect()
    }

    #[test]
    fn a_device_that_changes_its_names_gets_a_few_series() {
        let mut registry = Registry::new(Bounds::default());
        let mut dropped = 0;
        for round in 0..10 {
            let fields: Vec<_> = (0..10)
                .map(|i| (format!("f{}", round * 10 + i), 1.0))
                .collect();
            dropped += add(&report("cam1", &fields), &mut registry);
        }
        assert_eq!((registry.all().len(), dropped), (16, 84));
        // What it has goes on; another camera's device has its own.
        let fields = [("f0".to_owned(), 2.0), ("odd\nname".to_owned(), 2.0)];
        assert_eq!(add(&report("cam1", &fields), &mut registry), 1);
        assert_eq!(add(&report("cam11", &fields[..1]), &mut registry), 0);
        assert!(names(&registry).contains(&"cam11 device f0"));
    }

    #[test]
    fn devices_leave_room_for_others() {
        let mut registry = Registry::new(Bounds {
            series: 40,
            ..Bounds::default()
        });
        for camera in 0..20 {
            let fields = [("fps".to_owned(), 1.0), ("rssi".to_owned(), -60.0)];
            add(&report(&format!("cam{camera}"), &fields), &mut registry);
        }
        assert_eq!(registry.all().len(), 10);
        let rssi = registry.find("cam0 device rssi").expect("a series");
        let series = registry.get(rssi).expect("a series");
        assert_eq!((series.unit(), series.is_tcp()), (Some("dBm"), false));
    }

    #[tokio::test]
    async fn reports_that_were_too_many_are_counted_and_others_go_on() {
        let hub = Arc::new(Hub::default());
        let front = Front::new(Gate::new(&[], &[]), hub.budgets().clone());
        let identity = Arc::new(Identity::new(hub, Arc::new(front)));
        let telemetry = Telemetry::start(Bounds::default(), None);
        let (send, reports) = broadcast::channel(4);
        for camera in 0..10 {
            let fields = [("rssi".to_owned(), -60.0)];
            send.send(report(&format!("cam{camera}"), &fields))
                .expect("somebody listens");
        }
        drop(send);
        take(identity, telemetry.clone(), reports).await;
        let names = telemetry.call(|series| {
            let names = series.all().map(|one| one.name().to_owned());
            names.collect::<Vec<_>>()
        });
        let kept = ["cam6", "cam7", "cam8", "cam9"].map(|id| format!("{id} device rssi"));
        assert_eq!(names.await, Ok(kept.to_vec()));
        assert_eq!(telemetry.dropped(), 6);
    }

    #[test]
    fn one_report_a_second_is_taken_of_each() {
        let mut pace = Pace::default();
        let begun = Instant::now();
        let after = |ms: u64| begun + Duration::from_millis(ms);
        assert!(pace.allows(&camera("a"), after(0)));
        assert!(!pace.allows(&camera("a"), after(999)));
        assert!(pace.allows(&camera("b"), after(999)));
        assert!(pace.allows(&camera("a"), after(1000)));
        for i in 0..5000 {
            assert!(pace.allows(&camera(&format!("c{i}")), after(1000 * i)));
        }
        assert!(pace.0.len() <= REMEMBERED);
    }
}
