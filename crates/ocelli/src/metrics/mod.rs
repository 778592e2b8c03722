//! Metrics in the Prometheus text format, collected on each scrape.
//!
//! Names and units follow <https://prometheus.io/docs/practices/naming/>. A camera's only label is
//! its id, so there is one row per camera, and text that a person entered cannot break a line.
//!
//! The cameras that a client may see are chosen in `api::health`.

mod process;
mod writer;

use crate::visitor::Identity;
use http::header::{ACCEPT, HeaderMap};
use ocelli_core::{Camera, CameraStatus, PeerKind, Timestamp};
use ocelli_net::counts::{Refusal, Transport};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use std::collections::BTreeSet;
use std::fmt::{self, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::time::Instant;
use writer::MetricsWriter;

/// The text formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// <https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>, which
    /// every consumer of Prometheus metrics reads.
    Plain,
    /// OpenMetrics 1.0, for clients that accept it, such as Prometheus.
    OpenMetrics,
}

impl Form {
    /// The format for a client, by its `Accept` header.
    pub fn accepted(headers: &HeaderMap) -> Self {
        let mut accepted = headers.get_all(ACCEPT).iter();
        let asks = accepted.any(|accept| {
            let accept = accept.to_str().unwrap_or_default();
            accept.contains("application/openmetrics-text")
        });
        if asks { Form::OpenMetrics } else { Form::Plain }
    }

    /// The format's media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Form::Plain => "text/plain; version=0.0.4; charset=utf-8",
            Form::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// The states of a camera; each has its own row.
const STATES: [&str; 5] = ["idle", "starting", "live", "stalled", "failed"];

/// The metrics of the hub, which started at `started`, and of these cameras.
pub fn text(
    identity: &Arc<Identity>,
    started: Instant,
    cameras: &[Arc<Camera>],
    form: Form,
) -> String {
    let read = |camera: &Arc<Camera>| (camera.id().as_str().to_owned(), camera.status());
    let scrape = Scrape {
        identity: identity.clone(),
        started,
        now: identity.hub.clock().now(),
        cameras: cameras.iter().map(read).collect(),
    };
    let mut registry = Registry::default();
    registry.register_collector(Box::new(scrape));
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = encode(&mut text, &registry);
    match form {
        Form::Plain => plain(&text),
        Form::OpenMetrics => text,
    }
}

/// Converts OpenMetrics text to the plain format: the header of a counter has the name of its rows,
/// which ends in `_total`, and there is no end marker.
fn plain(text: &str) -> String {
    let counters: BTreeSet<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter"))
        .collect();
    let mut plain = String::with_capacity(text.len());
    for line in text.lines().filter(|line| *line != "# EOF") {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), Some(kind), Some(name), Some(rest)) if counters.contains(name) => {
                let _ = writeln!(plain, "# {kind} {name}_total {rest}");
            }
            _ => {
                plain.push_str(line);
                plain.push('\n');
            }
        }
    }
    plain
}

struct Scrape {
    identity: Arc<Identity>,
    started: Instant,
    now: Timestamp,
    cameras: Vec<(String, CameraStatus)>,
}

impl fmt::Debug for Scrape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a scrape of {} cameras", self.cameras.len())
    }
}

/// A row's labels.
type Labels<'a, const N: usize> = [(&'static str, &'a str); N];

impl Collector for Scrape {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut writer = MetricsWriter(encoder);
        self.cameras(&mut writer)?;
        self.viewers(&mut writer)?;
        self.hub(&mut writer)?;
        process::write(&mut writer)
    }
}

impl Scrape {
    fn each<'s, T>(
        &'s self,
        read: impl Fn(&'s CameraStatus) -> T,
    ) -> impl Iterator<Item = (Labels<'s, 1>, T)> {
        let rows = self.cameras.iter();
        rows.map(move |(id, status)| ([("camera", id.as_str())], read(status)))
    }

    fn cameras(&self, writer: &mut MetricsWriter<'_>) -> fmt::Result {
        writer.counters(
            "ocelli_camera_frames",
            "Frames available to the camera's viewers.",
            self.each(|status| status.frames),
        )?;
        writer.counters(
            "ocelli_camera_bytes",
            "Bytes of these frames.",
            self.each(|status| status.bytes),
        )?;
        writer.counters(
            "ocelli_camera_dropped_frames",
            "Frames superseded before a viewer took them, over all viewers.",
            self.each(|status| status.dropped),
        )?;
        writer.counters(
            "ocelli_camera_dropped_sound_units",
            "Units of sound dropped before a viewer took them, over all viewers.",
            self.each(|status| status.dropped_sound),
        )?;
        writer.counters(
            "ocelli_camera_restarts",
            "Restarts of the camera's source.",
            self.each(|status| status.restarts),
        )?;
        writer.gauges(
            "ocelli_camera_viewers",
            "Subscriptions on the camera.",
            self.each(|status| status.viewers as f64),
        )?;
        writer.gauges(
            "ocelli_camera_frames_per_second",
            "The camera's recent frame rate.",
            self.each(|status| status.fps),
        )?;
        let with_picture = self.cameras.iter().filter(|(_, s)| s.taken.is_known());
        writer.gauges(
            "ocelli_camera_picture_age_seconds",
            "Age of the camera's newest picture; no row without a picture.",
            with_picture.map(|(id, status)| {
                let age = self.now.micros_since(status.taken) as f64 / 1e6;
                ([("camera", id.as_str())], age)
            }),
        )?;
        let states = self.cameras.iter().flat_map(|(id, status)| {
            STATES.map(|state| {
                let labels = [("camera", id.as_str()), ("state", state)];
                (labels, f64::from(u8::from(status.state.name() == state)))
            })
        });
        writer.gauges(
            "ocelli_camera_state",
            "1 for the camera's current state.",
            states,
        )
    }

    fn viewers(&self, writer: &mut MetricsWriter<'_>) -> fmt::Result {
        let read = Transport::ALL.map(|transport| {
            (
                [("sink", transport.name())],
                self.identity.server_state.counts.snapshot(transport),
            )
        });
        writer.gauges(
            "ocelli_sink_viewers",
            "Viewers connected.",
            read.map(|(labels, counts)| (labels, counts.viewers as f64)),
        )?;
        writer.counters(
            "ocelli_sink_frames",
            "Frames handed to viewers.",
            read.map(|(labels, counts)| (labels, counts.frames)),
        )?;
        writer.counters(
            "ocelli_sink_bytes",
            "Bytes of these frames.",
            read.map(|(labels, counts)| (labels, counts.bytes)),
        )
    }

    fn hub(&self, writer: &mut MetricsWriter<'_>) -> fmt::Result {
        let refused = Refusal::ALL.map(|why| {
            (
                [("reason", why.name())],
                self.identity.server_state.counts.refused(why),
            )
        });
        writer.counters(
            "ocelli_refused",
            "Refused requests, upgrades and connections.",
            refused,
        )?;
        let budgets = self.identity.hub.budgets();
        let counts =
            PeerKind::ALL.map(|kind| ([("peer", kind.allowance().name)], budgets.counts(kind)));
        writer.counters(
            "ocelli_budget_waits",
            "Pauses in reading from peers that were over their budget.",
            counts.map(|(labels, counts)| (labels, counts.waits.load(Ordering::Relaxed))),
        )?;
        writer.counters(
            "ocelli_budget_disconnects",
            "Peers that were disconnected because they stayed over their budget.",
            counts.map(|(labels, counts)| (labels, counts.disconnected.load(Ordering::Relaxed))),
        )?;
        let capacity = self.identity.hub.capacity();
        let renditions = [
            ("jpeg", capacity.jpeg_renditions()),
            ("mpeg1", capacity.mpeg1_renditions()),
        ];
        let renditions = renditions.map(|(codec, permits)| ([("codec", codec)], permits));
        writer.gauges(
            "ocelli_renditions",
            "Running transcodes, each in its own child process.",
            renditions.map(|(labels, permits)| (labels, permits.running() as f64)),
        )?;
        writer.gauges(
            "ocelli_max_renditions",
            "Maximum number of concurrent transcodes.",
            renditions.map(|(labels, permits)| (labels, permits.max() as f64)),
        )?;
        writer.counters(
            "ocelli_refused_renditions",
            "Renditions refused because the maximum was running.",
            renditions.map(|(labels, permits)| (labels, permits.refused())),
        )?;
        writer.counter(
            "ocelli_oversized_pictures",
            "Pictures refused because of their size.",
            capacity.oversized() as f64,
        )?;
        let groups = self.identity.hub.groups();
        writer.gauge(
            "ocelli_video_memory_bytes",
            "Video since the last key frame that is kept for new viewers, of all cameras.",
            groups.used() as f64,
        )?;
        writer.gauge(
            "ocelli_max_video_memory_bytes",
            "Limit of that memory.",
            groups.limit() as f64,
        )?;
        let ignored = self.identity.server_state.ignored.load(Ordering::Relaxed);
        writer.counter(
            "ocelli_ignored_messages",
            "Viewer messages that were ignored: malformed, or for unknown cameras.",
            ignored as f64,
        )?;
        writer.gauge(
            "ocelli_connections",
            "Open connections.",
            self.identity.server_state.connection_limiter.open() as f64,
        )?;
        writer.gauge(
            "ocelli_max_connections",
            "Maximum number of open connections.",
            self.identity.server_state.connection_limiter.max() as f64,
        )?;
        writer.gauge(
            "ocelli_store_usable",
            "1 if the store can be used; tokens and sign-in need it.",
            f64::from(u8::from(self.identity.store.fault().is_none())),
        )?;
        let build = [("version", env!("CARGO_PKG_VERSION"))];
        writer.gauges("ocelli_build_info", "The hub's version.", [(build, 1.0)])?;
        writer.gauge(
            "ocelli_uptime_seconds",
            "Time since the hub started.",
            self.started.elapsed().as_secs_f64(),
        )?;
        let runtime = tokio::runtime::Handle::try_current().ok();
        let tasks = runtime.map_or(0, |runtime| runtime.metrics().num_alive_tasks());
        writer.gauge(
            "ocelli_tasks",
            "Running tasks of the async runtime.",
            tasks as f64,
        )
    }
}
