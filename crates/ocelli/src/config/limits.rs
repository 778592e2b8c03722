//! `[limits]`, `[log]` and `[metrics]`.

use crate::auth::AdminToken;
use ocelli_config::{ConfigError, Section};
use ocelli_core::MediaLimits;
use ocelli_net::limits::Limits;
use std::path::Path;
use std::time::Duration;

/// The keys of `[limits]`: name and meaning.
pub const LIMIT_OPTIONS: &[(&str, &str)] = &[
    (
        "connections",
        "total number of connections; by default as many as the system's limit on file descriptors allows",
    ),
    (
        "connections_per_address",
        "connections from one address (IPv6: from one /64); 256 by default",
    ),
    (
        "loopback",
        "whether that limit also applies to clients on this machine, such as reverse proxies; false by default",
    ),
    (
        "requests_per_connection",
        "number of requests after which a connection is closed; 10000 by default",
    ),
    (
        "header_size",
        "the largest request header in bytes; 32768 by default",
    ),
    (
        "header_timeout",
        "time limit for a request's header and for an idle connection; \"10s\" by default",
    ),
    (
        "body_size",
        "the largest request body in bytes; 65536 by default",
    ),
    (
        "body_timeout",
        "time limit for a request's body; \"10s\" by default",
    ),
    (
        "picture_size",
        "the largest width and height of a picture, for every camera; \"8192x8192\" by default",
    ),
    (
        "picture_megapixels",
        "the largest picture in millions of pixels, which limits ffmpeg's memory; 40 by default",
    ),
    (
        "picture_time",
        "time limit for ffmpeg per picture, twice that for the first picture; \"10s\" by default",
    ),
    (
        "jpeg_renditions",
        "JPEG renditions that run at a time, one ffmpeg process each; 128 by default",
    ),
    (
        "mpeg1_renditions",
        "MPEG-1 renditions (JSMpeg) that run at a time, one ffmpeg process each; 8 by default",
    ),
    (
        "video_memory",
        "memory in MiB for the video since the last key frame, of all cameras together; 256 by default",
    ),
];

/// The keys of `[log]`: name and meaning.
pub const LOG_OPTIONS: &[(&str, &str)] = &[
    (
        "format",
        "\"text\" (the default) or \"json\", one object per line",
    ),
    (
        "level",
        "\"error\", \"warn\", \"info\" (the default) or \"debug\"; the environment variable OCELLI_LOG takes precedence",
    ),
];

/// The keys of `[metrics]`: name and meaning.
pub const METRICS_OPTIONS: &[(&str, &str)] = &[
    ("enabled", "whether `/metrics` is served; true by default"),
    (
        "token_file",
        "a file with a token (`sk_` and at least 20 characters); if set, `/metrics` requires that token",
    ),
];

/// Reads `[limits]`.
pub fn read_limits(mut section: Section<'_>) -> Result<Limits, ConfigError> {
    let mut limits = Limits::default();
    let whole = |value: Option<u32>, unless: usize| value.map_or(unless, |value| value as usize);
    limits.connections = whole(
        section.whole("connections", 1..=1_000_000)?,
        limits.connections,
    );
    limits.connections_per_address = whole(
        section.whole("connections_per_address", 1..=1_000_000)?,
        limits.connections_per_address,
    );
    limits.loopback = section.boolean("loopback")?.unwrap_or(limits.loopback);
    if let Some(requests) = section.whole("requests_per_connection", 1..=1_000_000_000)? {
        limits.requests_per_connection = requests.into();
    }
    // hyper's read buffer is at least 8 KiB.
    limits.header_size = whole(
        section.whole("header_size", 8_192..=1_048_576)?,
        limits.header_size,
    );
    limits.body_size = whole(
        section.whole("body_size", 1_024..=16_777_216)?,
        limits.body_size,
    );
    if let Some(time) = section.duration("header_timeout")? {
        limits.header_timeout = time;
    }
    if let Some(time) = section.duration("body_timeout")? {
        limits.body_timeout = time;
    }
    read_media(&mut section, &mut limits.media)?;
    section.finish()?;
    Ok(limits)
}

/// Reads the limits of pictures and renditions.
fn read_media(section: &mut Section<'_>, media: &mut MediaLimits) -> Result<(), ConfigError> {
    let span = section.span("picture_size");
    if let Some(text) = section.string("picture_size")? {
        let side = |text: &str| {
            text.parse()
                .ok()
                .filter(|side| (16..=65_535).contains(side))
        };
        let size = text.split_once('x');
        let size = size.and_then(|(width, height)| side(width).zip(side(height)));
        let Some((width, height)) = size else {
            let message = "`picture_size` in [limits] must be like \"8192x8192\", each side \
                           from 16 to 65535";
            return Err(ConfigError::new(message).at(span));
        };
        (media.picture.width, media.picture.height) = (width, height);
    }
    if let Some(megapixels) = section.whole("picture_megapixels", 1..=1_000)? {
        media.picture.megapixels = megapixels;
    }
    let span = section.span("picture_time");
    if let Some(time) = section.duration("picture_time")? {
        if !(Duration::from_millis(100)..=Duration::from_secs(600)).contains(&time) {
            let message = "`picture_time` in [limits] must be from \"100ms\" to \"10min\"";
            return Err(ConfigError::new(message).at(span));
        }
        media.picture_time = time;
    }
    for (key, limit) in [
        ("jpeg_renditions", &mut media.jpeg_renditions),
        ("mpeg1_renditions", &mut media.mpeg1_renditions),
    ] {
        if let Some(most) = section.whole(key, 0..=10_000)? {
            *limit = most as usize;
        }
    }
    if let Some(mib) = section.whole("video_memory", 1..=65_536)? {
        media.group_memory = (mib as usize) << 20;
    }
    Ok(())
}

/// The format of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// Text lines.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

impl LogFormat {
    /// Parses the name of a format.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "text" => Some(LogFormat::Text),
            "json" => Some(LogFormat::Json),
            _ => None,
        }
    }
}

/// The settings of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// The format of a line.
    pub format: LogFormat,
    /// The lowest level that is logged.
    pub level: String,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            format: LogFormat::Text,
            level: "info".to_owned(),
        }
    }
}

/// Reads `[log]`.
pub fn read_log(mut section: Section<'_>) -> Result<Log, ConfigError> {
    let mut log = Log::default();
    if let Some(format) = section.string("format")? {
        let span = section.span("format");
        log.format = LogFormat::parse(&format).ok_or_else(|| {
            ConfigError::new("`format` in [log] must be \"text\" or \"json\"").at(span)
        })?;
    }
    if let Some(level) = section.string("level")? {
        if !["error", "warn", "info", "debug"].contains(&level.as_str()) {
            let message = "`level` in [log] must be \"error\", \"warn\", \"info\" or \"debug\"";
            return Err(ConfigError::new(message).at(section.span("level")));
        }
        log.level = level;
    }
    section.finish()?;
    Ok(log)
}

/// The settings of `/metrics`.
pub struct Metrics {
    /// Whether `/metrics` is served.
    pub enabled: bool,
    /// The token that a scrape must present. Without one, a scrape covers the cameras that its
    /// client may watch.
    pub token: Option<AdminToken>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            enabled: true,
            token: None,
        }
    }
}

/// Reads `[metrics]` and its token file.
pub fn read_metrics(mut section: Section<'_>) -> Result<Metrics, ConfigError> {
    let mut metrics = Metrics::default();
    metrics.enabled = section.boolean("enabled")?.unwrap_or(metrics.enabled);
    if let Some(file) = section.string("token_file")? {
        let span = section.span("token_file");
        let refuse = |fault: String| {
            ConfigError::new(format!("`token_file` in [metrics]: {fault}")).at(span.clone())
        };
        let text = std::fs::read_to_string(Path::new(&file))
            .map_err(|error| refuse(format!("{file} can't be read: {error}")))?;
        let token = AdminToken::new(text.trim_end()).map_err(|fault| refuse(fault.to_owned()))?;
        metrics.token = Some(token);
    }
    section.finish()?;
    Ok(metrics)
}
