//! An app's ingest limits, as the HTTP API reads and changes them.

use crate::config::ingest_range;
use ocelli_config::parse_duration;
use ocelli_core::IngestLimits;
use serde::{Deserialize, Serialize};
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;
use utoipa::ToSchema;
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Schema, Type};

/// Limits for devices that push to an app.
#[derive(Serialize, ToSchema)]
#[schema(as = IngestLimits)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// Whether devices may push at all.
    enabled: bool,
    /// Maximum number of devices at the same time; 0 for no limit.
    max_cameras: u32,
    /// Accepted frames per second and device; frames above the rate are skipped.
    max_fps: u32,
    /// Maximum frame size, in units of 1024 bytes.
    max_frame_kb: u32,
    /// A device that sends no frame for this many seconds is disconnected.
    idle_timeout: f64,
}

impl From<IngestLimits> for Limits {
    fn from(limits: IngestLimits) -> Self {
        Self {
            enabled: limits.enabled,
            max_cameras: limits.max_cameras,
            max_fps: limits.max_fps,
            max_frame_kb: limits.max_frame_kb,
            idle_timeout: limits.idle_timeout.as_secs_f64(),
        }
    }
}

/// A duration: a number of seconds, or text as in the configuration file.
#[derive(Deserialize)]
#[serde(untagged)]
enum Time {
    /// Seconds.
    Seconds(f64),
    /// Such as `"30s"` or `"2min"`.
    Text(String),
}

impl Time {
    fn read(&self) -> Option<Duration> {
        match self {
            Time::Seconds(seconds) => Duration::try_from_secs_f64(*seconds).ok(),
            Time::Text(text) => parse_duration(text),
        }
    }
}

/// A change of the limits. Omitted fields keep their values. The names of the configuration file
/// (`max_fps`) are accepted too.
#[derive(Deserialize, ToSchema)]
#[schema(as = IngestLimitsChange)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LimitsChange {
    /// Whether devices may push at all.
    enabled: Option<bool>,
    /// Maximum number of devices at the same time; 0 for no limit.
    #[serde(alias = "max_cameras")]
    #[schema(maximum = 1_000_000)]
    max_cameras: Option<u32>,
    /// Accepted frames per second and device.
    #[serde(alias = "max_fps")]
    #[schema(minimum = 1, maximum = 240)]
    max_fps: Option<u32>,
    /// Maximum frame size, in units of 1024 bytes.
    #[serde(alias = "max_frame_kb")]
    #[schema(minimum = 1, maximum = 16_384)]
    max_frame_kb: Option<u32>,
    /// From 1 s to 24 h: a number of seconds, or text such as `"30s"`.
    #[serde(alias = "idle_timeout")]
    #[schema(schema_with = idle_timeout)]
    idle_timeout: Option<Time>,
}

/// The schema of a duration in both forms, with its range.
fn idle_timeout() -> Schema {
    let seconds = ObjectBuilder::new()
        .schema_type(Type::Number)
        .minimum(Some(1))
        .maximum(Some(86_400));
    let written = ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some(
            "^([1-9][0-9]{0,3}s|[1-9][0-9]{0,2}min|([1-9]|1[0-9]|2[0-4])h)$",
        ))
        .examples(["30s"]);
    OneOfBuilder::new()
        .item(seconds)
        .item(written)
        .item(ObjectBuilder::new().schema_type(Type::Null))
        .description(Some(
            "From 1 s to 24 h: a number of seconds, or text such as \"30s\".",
        ))
        .into()
}

fn within<T: PartialOrd + Display>(
    field: &str,
    value: Option<T>,
    range: &RangeInclusive<T>,
) -> Result<(), String> {
    match value {
        Some(value) if !range.contains(&value) => Err(format!(
            "{field} must be a whole number from {} to {}",
            range.start(),
            range.end()
        )),
        _ => Ok(()),
    }
}

impl LimitsChange {
    /// Checks every field against its range.
    ///
    /// # Errors
    /// The message names the field and its range.
    pub fn check(&self) -> Result<(), String> {
        within("maxCameras", self.max_cameras, &ingest_range::MAX_CAMERAS)?;
        within("maxFps", self.max_fps, &ingest_range::MAX_FPS)?;
        within("maxFrameKb", self.max_frame_kb, &ingest_range::MAX_FRAME_KB)?;
        let timeout = self.idle_timeout.as_ref();
        let fits = timeout.is_none_or(|timeout| {
            let timeout = timeout.read();
            timeout.is_some_and(|timeout| ingest_range::IDLE_TIMEOUT.contains(&timeout))
        });
        match fits {
            true => Ok(()),
            false => {
                Err("idleTimeout must be seconds or text like \"30s\", from 1 s to 24 h".into())
            }
        }
    }

    /// Returns the limits with this change applied.
    pub fn apply(&self, limits: IngestLimits) -> IngestLimits {
        IngestLimits {
            enabled: self.enabled.unwrap_or(limits.enabled),
            max_cameras: self.max_cameras.unwrap_or(limits.max_cameras),
            max_fps: self.max_fps.unwrap_or(limits.max_fps),
            max_frame_kb: self.max_frame_kb.unwrap_or(limits.max_frame_kb),
            idle_timeout: self
                .idle_timeout
                .as_ref()
                .and_then(Time::read)
                .unwrap_or(limits.idle_timeout),
        }
    }
}
