//! Statistics of devices that push, as series of their camera: `<id> device rssi` and so
//! on. The word `device` keeps them apart from the hub's own metrics, which also have an
//! `fps`.
//!
//! A device chooses the names of its values. So each device is limited to a few series and
//! all devices together to a share of the hub's series: a device can't fill the hub with
//! series.

use super::handle::Telemetry;
use super::names::{SEPARATOR, is_shown};
use super::shared::{Shared, now as clock};
use crate::ingest::Report;
use ocelli_core::{CameraId, Hub};
use ocelli_series::{Registry, line};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

/// The most series of one camera's device: as many as one report holds.
const MAX_PER_DEVICE: usize = 16;
/// All devices together may have this fraction of the hub's series: one in `MAX_FRACTION`.
const MAX_FRACTION: usize = 4;
/// One report per device is accepted in this time. Reports normally come about every 30 s.
const MIN_REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// The minimum time between recounts of the series while the limit is reached.
const RECOUNT: Duration = Duration::from_secs(10);
/// Above this number of remembered devices, entries that no longer matter are removed.
const MAX_REMEMBERED: usize = 1024;

/// Stores reports until the hub stops, on the telemetry thread.
pub fn take(
    telemetry: &Telemetry,
    hub: Arc<Hub>,
    stopping: CancellationToken,
    reports: Receiver<Report>,
) {
    let devices = Devices::new(telemetry, hub);
    telemetry.runtime.spawn(devices.run(stopping, reports));
}

/// Stores the devices' reports as series.
struct Devices {
    hub: Arc<Hub>,
    shared: Arc<Shared>,
    pace: ReportRate,
    counts: SeriesCounts,
}

impl Devices {
    fn new(telemetry: &Telemetry, hub: Arc<Hub>) -> Self {
        Self {
            hub,
            shared: telemetry.shared.clone(),
            pace: ReportRate::default(),
            counts: SeriesCounts::default(),
        }
    }

    async fn run(mut self, stopping: CancellationToken, mut reports: Receiver<Report>) {
        loop {
            let report = tokio::select! {
                report = reports.recv() => report,
                () = stopping.cancelled() => return,
            };
            match report {
                Ok(report) => self.take(&report, Instant::now()),
                Err(RecvError::Lagged(lost)) => self.drop(lost),
                Err(RecvError::Closed) => return,
            }
        }
    }

    fn take(&mut self, report: &Report, now: Instant) {
        if !is_shown(&self.hub, &report.camera) {
            return;
        }
        if !self.pace.allows(&report.camera, now) {
            return self.drop(report.fields.len() as u64);
        }
        let dropped = add(report, &mut self.shared.registry(), &mut self.counts, now);
        self.shared.wake_viewers();
        self.drop(dropped);
    }

    /// Counts dropped values.
    fn drop(&self, count: u64) {
        self.shared.dropped.fetch_add(count, Ordering::Relaxed);
    }
}

/// The time of each device's last report, by a monotonic clock.
#[derive(Default)]
struct ReportRate(HashMap<CameraId, Instant>);

impl ReportRate {
    fn allows(&mut self, camera: &CameraId, now: Instant) -> bool {
        let recent = |last: &Instant| now - *last < MIN_REPORT_INTERVAL;
        if self.0.get(camera).is_some_and(recent) {
            return false;
        }
        if self.0.len() >= MAX_REMEMBERED {
            self.0.retain(|_, last| recent(&*last));
        }
        self.0.insert(camera.clone(), now);
        true
    }
}

/// The number of series of devices. Counting reads every name, so it happens once, and
/// again only if the limit seems to be reached, because series may have been deleted since.
#[derive(Default)]
struct SeriesCounts {
    counted: Option<Instant>,
    all: usize,
    /// By the prefix of the names of a camera's series.
    of_one: HashMap<String, usize>,
}

impl SeriesCounts {
    /// Returns true if another series with this prefix is allowed.
    fn allows(&mut self, registry: &Registry, prefix: &str, now: Instant) -> bool {
        let most = registry.bounds().series.div_ceil(MAX_FRACTION);
        let fits = |counts: &Self| {
            let of_one = counts.of_one.get(prefix).copied().unwrap_or(0);
            of_one < MAX_PER_DEVICE && counts.all < most
        };
        let recent = |counted: Instant| now.duration_since(counted) < RECOUNT;
        match self.counted {
            Some(counted) if fits(self) || recent(counted) => {}
            _ => self.count(registry, now),
        }
        fits(self)
    }

    fn count(&mut self, registry: &Registry, now: Instant) {
        *self = Self {
            counted: Some(now),
            ..Self::default()
        };
        for series in registry.all() {
            if let Some((id, _)) = series.name().split_once(SEPARATOR) {
                self.add(&format!("{id}{SEPARATOR}"));
            }
        }
    }

    /// Counts one more series with this prefix.
    fn add(&mut self, prefix: &str) {
        self.all += 1;
        match self.of_one.get_mut(prefix) {
            Some(count) => *count += 1,
            None => {
                self.of_one.insert(prefix.to_owned(), 1);
            }
        }
    }
}

/// Adds a report to its series. Returns how many of its values were dropped.
fn add(report: &Report, registry: &mut Registry, counts: &mut SeriesCounts, now: Instant) -> u64 {
    let prefix = format!("{}{SEPARATOR}", report.camera.as_str());
    let x = (report.received.0 / 1000) as f64;
    let mut dropped = 0;
    for (field, &y) in &report.fields {
        let name = format!("{prefix}{field}");
        let series = match registry.find(&name) {
            Some(series) => Some(series),
            None if counts.allows(registry, &prefix, now) => {
                let opened = open(registry, &name, unit(field));
                if opened.is_some() {
                    counts.add(&prefix);
                }
                opened
            }
            None => None,
        };
        let added = series.filter(|_| y.is_finite());
        let added = added.and_then(|id| registry.append(id, &[(x, y)], clock()).ok());
        if added.is_none() {
            dropped += 1;
        }
    }
    dropped
}

/// Creates a series, if the name is valid and there is room.
fn open(registry: &mut Registry, name: &str, unit: Option<&str>) -> Option<u32> {
    let one_line = !name.contains(char::is_control);
    if !one_line || line::name(name.as_bytes()).is_err() {
        return None;
    }
    let id = registry.open(name, false).ok()?;
    registry.set_unit(id, unit).ok()?;
    Some(id)
}

/// The unit of a value that the boards' standard firmware sends.
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
    use ocelli_core::Timestamp;
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
    fn a_device_that_changes_its_names_is_limited_to_a_few_series() {
        let mut registry = Registry::new(Bounds::default());
        let (mut counts, now) = (SeriesCounts::default(), Instant::now());
        let mut dropped = 0;
        for round in 0..10 {
            let fields: Vec<_> = (0..10)
                .map(|i| (format!("f{}", round * 10 + i), 1.0))
                .collect();
            dropped += add(&report("cam1", &fields), &mut registry, &mut counts, now);
        }
        assert_eq!((registry.all().len(), dropped), (16, 84));
        // Existing series continue; another camera's device has its own.
        let fields = [("f0".to_owned(), 2.0), ("odd\nname".to_owned(), 2.0)];
        assert_eq!(
            add(&report("cam1", &fields), &mut registry, &mut counts, now),
            1
        );
        assert_eq!(
            add(
                &report("cam11", &fields[..1]),
                &mut registry,
                &mut counts,
                now
            ),
            0
        );
        assert!(names(&registry).contains(&"cam11 device f0"));
    }

    #[test]
    fn devices_leave_room_for_other_series() {
        let mut registry = Registry::new(Bounds {
            series: 40,
            ..Bounds::default()
        });
        let (mut counts, now) = (SeriesCounts::default(), Instant::now());
        for camera in 0..20 {
            let fields = [("fps".to_owned(), 1.0), ("rssi".to_owned(), -60.0)];
            let report = report(&format!("cam{camera}"), &fields);
            add(&report, &mut registry, &mut counts, now);
        }
        assert_eq!(registry.all().len(), 10);
        let rssi = registry.find("cam0 device rssi").expect("a series");
        let series = registry.get(rssi).expect("a series");
        assert_eq!((series.unit(), series.is_tcp()), (Some("dBm"), false));
        // Deleting a series makes room for another one, which is noticed within 10 s.
        registry.delete(rssi).expect("deleted");
        let fields = [("rssi".to_owned(), -60.0)];
        let mut dropped = |after: u64| {
            let now = now + Duration::from_secs(after);
            add(&report("late", &fields), &mut registry, &mut counts, now)
        };
        assert_eq!((dropped(9), dropped(10)), (1, 0));
    }

    #[tokio::test]
    async fn lost_reports_are_counted_and_later_ones_are_stored() {
        let hub = Arc::new(Hub::default());
        let telemetry = Telemetry::start(Bounds::default(), None);
        let (send, reports) = broadcast::channel(4);
        for camera in 0..10 {
            let fields = [("rssi".to_owned(), -60.0)];
            send.send(report(&format!("cam{camera}"), &fields))
                .expect("a receiver");
        }
        drop(send);
        let devices = Devices::new(&telemetry, hub);
        devices.run(CancellationToken::new(), reports).await;
        let names = telemetry.call(|series| {
            let names = series.all().map(|one| one.name().to_owned());
            names.collect::<Vec<_>>()
        });
        let kept = ["cam6", "cam7", "cam8", "cam9"].map(|id| format!("{id} device rssi"));
        assert_eq!(names.await, Ok(kept.to_vec()));
        assert_eq!(telemetry.dropped(), 6);
    }

    #[test]
    fn one_report_a_second_is_accepted_per_device() {
        let mut pace = ReportRate::default();
        let started = Instant::now();
        let after = |ms: u64| started + Duration::from_millis(ms);
        assert!(pace.allows(&camera("a"), after(0)));
        assert!(!pace.allows(&camera("a"), after(999)));
        assert!(pace.allows(&camera("b"), after(999)));
        assert!(pace.allows(&camera("a"), after(1000)));
        for i in 0..5000 {
            assert!(pace.allows(&camera(&format!("c{i}")), after(1000 * i)));
        }
        assert!(pace.0.len() <= MAX_REMEMBERED);
    }
}
