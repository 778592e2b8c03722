//! The configuration: a TOML file, the command line, or the demo.
//!
//! Reading a configuration uses no network and starts nothing. It yields a [`Config`] with
//! sources that can be added to a hub, or the first error with its position.

mod camera;
mod jsmpeg;
mod limits;
mod tls;

pub use camera::{CameraConfig, OPTIONS, RawCamera, from_argument};
pub use jsmpeg::JsmpegPorts;
pub use limits::{LIMIT_OPTIONS, LOG_OPTIONS, Log, LogFormat, METRICS_OPTIONS, Metrics};
pub use tls::TLS_OPTIONS;

use crate::auth::AdminToken;
use crate::telemetry;
use ocelli_config::{ConfigError, Section, parse_listen};
use ocelli_core::name::DEFAULT_APP;
use ocelli_core::{App, CameraId, IngestLimits};
use ocelli_net::limits::Limits;
use ocelli_net::origin_policy::PublicUrl;
use ocelli_net::proxy::{Proxies, ProxyHeaders};
use ocelli_net::tls::renewal::Mode;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use toml::de::DeTable;

/// The default listen address: this machine only.
pub const DEFAULT_LISTEN: &str = "127.0.0.1:8080";

/// The default for how many cameras may be added over HTTP.
const MAX_ADDED_CAMERAS: usize = 1000;

/// The keys of the file outside of tables: name and meaning.
pub const FILE_OPTIONS: &[(&str, &str)] = &[
    (
        "listen",
        "ADDRESS:PORT to listen on; \"127.0.0.1:8080\" (this machine only) by default, \"0.0.0.0:8080\" for the whole network",
    ),
    (
        "allowed_hosts",
        "host names that requests may use, besides the machine's own names and addresses",
    ),
    (
        "allowed_origins",
        "origins of other sites whose pages may open WebSockets here, like [\"https://dash.example\"]",
    ),
    (
        "frame_ancestors",
        "origins of other sites whose pages may embed the hub's pages in a frame, like [\"https://dash.example\"]",
    ),
    (
        "public_url",
        "the hub's public URL, like \"https://cams.example\": the URLs that the hub gives out begin with it",
    ),
    (
        "trusted_proxies",
        "reverse proxies whose forwarding headers are trusted, like [\"127.0.0.1\", \"10.0.0.0/8\"]",
    ),
    (
        "proxy_headers",
        "the forwarding headers that are trusted; list only headers that each proxy sets itself, whatever its client sends; [\"X-Forwarded-For\", \"X-Forwarded-Proto\"] by default; also possible: \"X-Forwarded-Host\", and \"Forwarded\" instead of these",
    ),
    (
        "allow_local_sources",
        "true allows cameras that are added over HTTP to be on this machine and at link-local addresses; false by default",
    ),
    (
        "max_added_cameras",
        "how many cameras may be added over HTTP; 1000 by default; 0 allows none",
    ),
];

/// The keys of `[app.<name>]`: name and meaning.
pub const APP_OPTIONS: &[(&str, &str)] = &[
    (
        "public_playback",
        "whether the app's cameras can be watched without signing in; true by default",
    ),
    (
        "room_prefix",
        "the prefix of its rooms' full names; the app's name by default",
    ),
    (
        "ws_ingest",
        "limits for devices that push: { enabled = true, max_cameras = 0, max_fps = 15, max_frame_kb = 256, idle_timeout = \"30s\" } (these are the defaults); max_cameras = 0 means no limit; frames above max_fps are dropped",
    ),
];

/// The hub's settings at startup.
pub struct Config {
    /// The address to listen on.
    pub listen: SocketAddr,
    /// Host names that requests may use, besides the hub's own.
    pub allowed_hosts: Vec<String>,
    /// Origins whose pages may open WebSockets, besides the hub's own.
    pub allowed_origins: Vec<String>,
    /// Origins whose pages may embed the hub's pages in a frame.
    pub frame_ancestors: Vec<String>,
    /// The hub's public URL.
    pub public_url: Option<PublicUrl>,
    /// Reverse proxies whose forwarding headers are trusted.
    pub trusted_proxies: Proxies,
    /// Whether connections are encrypted, and with which certificate.
    pub tls: Mode,
    /// Whether cameras that are added over HTTP may be on this machine.
    pub allow_local_sources: bool,
    /// How many cameras may be added over HTTP.
    pub max_added_cameras: usize,
    /// The configured apps.
    pub apps: Vec<App>,
    /// The cameras.
    pub cameras: Vec<CameraConfig>,
    /// Limits for clients.
    pub limits: Limits,
    /// The settings of the log.
    pub log: Log,
    /// The settings of `/metrics`.
    pub metrics: Metrics,
    /// The ports of telemetry and how much of it is stored.
    pub telemetry: telemetry::Options,
    /// The directory for the hub's persistent data, if the command line names one.
    pub data: Option<PathBuf>,
    /// The administrator's token, if the environment has one.
    pub admin: Option<AdminToken>,
}

impl Config {
    /// Makes [`DEFAULT_APP`] and every configured app private.
    pub fn make_private(&mut self) {
        if !self.apps.iter().any(|app| app.name == DEFAULT_APP) {
            self.apps.push(App::live());
        }
        for app in &mut self.apps {
            app.public_playback = false;
        }
    }

    /// A hub without cameras that listens on `listen`.
    pub fn new(listen: SocketAddr) -> Self {
        Self {
            listen,
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
            frame_ancestors: Vec::new(),
            public_url: None,
            trusted_proxies: Proxies::default(),
            tls: Mode::Off,
            allow_local_sources: false,
            max_added_cameras: MAX_ADDED_CAMERAS,
            apps: Vec::new(),
            cameras: Vec::new(),
            limits: Limits::default(),
            log: Log::default(),
            metrics: Metrics::default(),
            telemetry: telemetry::Options::default(),
            data: None,
            admin: None,
        }
    }

    /// Reads a configuration file.
    ///
    /// # Errors
    /// The message states what is wrong, where it is, and what would be right.
    pub fn load(path: &Path) -> Result<Self, FileError> {
        let text = std::fs::read_to_string(path).map_err(|error| FileError {
            path: path.to_owned(),
            position: None,
            message: format!("it can't be read: {error}"),
        })?;
        Self::parse(&text).map_err(|error| FileError::locate(path, &text, error))
    }

    /// Parses the text of a configuration.
    ///
    /// # Errors
    /// The first error, with its position in `text`.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let document = DeTable::parse(text).map_err(|error| ConfigError {
            span: error.span(),
            message: error.message().to_owned(),
        })?;
        let mut file = Section::new(document.get_ref(), "the file");
        let listen = match file.string("listen")? {
            Some(text) => parse_listen(&text).map_err(|error| error.at(file.span("listen")))?,
            None => parse_listen(DEFAULT_LISTEN)?,
        };
        let mut config = Self::new(listen);
        config.allowed_hosts = file.strings("allowed_hosts")?.unwrap_or_default();
        config.allowed_origins = file.strings("allowed_origins")?.unwrap_or_default();
        read_proxy_settings(&mut file, &mut config)?;
        if let Some(section) = file.section("tls", "[tls]")? {
            config.tls = tls::read(section)?;
        }
        config.allow_local_sources = file.boolean("allow_local_sources")?.unwrap_or(false);
        if let Some(most) = file.whole("max_added_cameras", 0..=100_000)? {
            config.max_added_cameras = most as usize;
        }
        if let Some(section) = file.section("limits", "[limits]")? {
            config.limits = limits::read_limits(section)?;
        }
        if let Some(section) = file.section("log", "[log]")? {
            config.log = limits::read_log(section)?;
        }
        if let Some(section) = file.section("metrics", "[metrics]")? {
            config.metrics = limits::read_metrics(section)?;
        }
        if let Some(mut apps) = file.section("app", "[app]")? {
            for (name, span, section) in apps.named_sections("[app.…]")? {
                let app = read_app(&name, section).map_err(|error| error.at(Some(span.clone())))?;
                let twin = config
                    .apps
                    .iter()
                    .find(|other| other.room_prefix == app.room_prefix && other.name != app.name);
                if let Some(twin) = twin {
                    let message = format!(
                        "room_prefix {:?} already belongs to app {:?}",
                        app.room_prefix, twin.name
                    );
                    return Err(ConfigError::new(message).at(Some(span)));
                }
                config.apps.push(app);
            }
        }
        if let Some(section) = file.section("telemetry", "[telemetry]")? {
            config.telemetry = telemetry::Options::read(section)?;
        }
        let mut ids = BTreeSet::new();
        for section in file.sections("camera", "[[camera]]")? {
            let (app, id) = (section.span("app"), section.span("id"));
            let size = section.span("size").or(section.span("source"));
            let camera = camera::read(section)?;
            if let Some((width, height)) = camera.source.size() {
                let limits = &config.limits.media.picture;
                let checked = limits.check((width.into(), height.into()));
                checked.map_err(|error| ConfigError::new(error.to_string()).at(size))?;
            }
            let camera_id = config.camera_id(&camera).map_err(|error| error.at(app))?;
            if !ids.insert(camera_id) {
                let message = format!("camera {:?} already exists", camera.room);
                return Err(ConfigError::new(message).at(id));
            }
            config.cameras.push(camera);
        }
        file.finish()?;
        Ok(config)
    }
}

impl Config {
    /// The camera's full id: app and room.
    fn camera_id(&self, camera: &CameraConfig) -> Result<CameraId, ConfigError> {
        let app = self.apps.iter().find(|app| app.name == camera.app);
        let prefix = match app {
            Some(app) => &app.room_prefix,
            None if camera.app == DEFAULT_APP => DEFAULT_APP,
            None => {
                let name = &camera.app;
                return Err(ConfigError::new(format!(
                    "there is no app {name:?}; add [app.{name}] to create it"
                )));
            }
        };
        CameraId::new(&camera.app, prefix, &camera.room)
            .map_err(|error| ConfigError::new(error.to_string()))
    }
}

/// Reads the keys about the hub's public URL, proxies and framing.
fn read_proxy_settings(file: &mut Section<'_>, config: &mut Config) -> Result<(), ConfigError> {
    if let Some(text) = file.string("public_url")? {
        let url = PublicUrl::parse(&text);
        let fault = |message| ConfigError::new(message).at(file.span("public_url"));
        config.public_url = Some(url.map_err(fault)?);
    }
    if let Some(list) = file.strings("trusted_proxies")? {
        let proxies = Proxies::parse(&list);
        let fault = |message| ConfigError::new(message).at(file.span("trusted_proxies"));
        config.trusted_proxies = proxies.map_err(fault)?;
    }
    if let Some(names) = file.strings("proxy_headers")? {
        let headers = ProxyHeaders::parse(&names);
        let fault = |message| ConfigError::new(message).at(file.span("proxy_headers"));
        config.trusted_proxies = config
            .trusted_proxies
            .clone()
            .with_headers(headers.map_err(fault)?);
    }
    if let Some(list) = file.strings("frame_ancestors")? {
        if let Some(bad) = list.iter().find(|source| !is_embedder(source)) {
            let message = format!(
                "{bad:?} is not an origin; write \"https://dash.example\", \
                 \"https://*.example\" for all hosts of a domain, or \"*\" for every site"
            );
            return Err(ConfigError::new(message).at(file.span("frame_ancestors")));
        }
        config.frame_ancestors = list;
    }
    Ok(())
}

/// Returns true if `source` is valid in CSP's `frame-ancestors`: an origin, possibly with a
/// wildcard as the first part of its host, or only a wildcard (CSP level 3, 2.3.1).
fn is_embedder(source: &str) -> bool {
    if source == "*" {
        return true;
    }
    let host = source
        .strip_prefix("https://")
        .or_else(|| source.strip_prefix("http://"));
    host.is_some_and(|host| {
        let known = |c: char| c.is_ascii_alphanumeric() || ".-:[]".contains(c);
        let host = host.strip_prefix("*.").unwrap_or(host);
        !host.is_empty() && host.chars().all(known)
    })
}

fn read_app(name: &str, mut section: Section<'_>) -> Result<App, ConfigError> {
    let mut app = App::new(name).map_err(|error| ConfigError::new(error.to_string()))?;
    if let Some(public) = section.boolean("public_playback")? {
        app.public_playback = public;
    }
    if let Some(prefix) = section.string("room_prefix")? {
        let span = section.span("room_prefix");
        ocelli_core::name::check_room(&prefix)
            .map_err(|error| ConfigError::new(error.to_string()).at(span))?;
        app.room_prefix = prefix;
    }
    if let Some(limits) = section.section("ws_ingest", "`ws_ingest`")? {
        app.ingest = read_ingest(limits)?;
    }
    section.finish()?;
    Ok(app)
}

/// The allowed ranges of the ingest limits.
pub mod ingest_range {
    use std::ops::RangeInclusive;
    use std::time::Duration;

    /// Cameras.
    pub const MAX_CAMERAS: RangeInclusive<u32> = 0..=1_000_000;
    /// Frames per second.
    pub const MAX_FPS: RangeInclusive<u32> = 1..=240;
    /// Units of 1024 bytes; the maximum is 16 MiB, the largest picture.
    pub const MAX_FRAME_KB: RangeInclusive<u32> = 1..=16_384;
    /// Time without a frame.
    pub const IDLE_TIMEOUT: RangeInclusive<Duration> =
        Duration::from_secs(1)..=Duration::from_secs(86_400);
}

fn read_ingest(mut section: Section<'_>) -> Result<IngestLimits, ConfigError> {
    let mut limits = IngestLimits::default();
    if let Some(enabled) = section.boolean("enabled")? {
        limits.enabled = enabled;
    }
    for (key, range, limit) in [
        (
            "max_cameras",
            ingest_range::MAX_CAMERAS,
            &mut limits.max_cameras,
        ),
        ("max_fps", ingest_range::MAX_FPS, &mut limits.max_fps),
        (
            "max_frame_kb",
            ingest_range::MAX_FRAME_KB,
            &mut limits.max_frame_kb,
        ),
    ] {
        *limit = section.whole(key, range)?.unwrap_or(*limit);
    }
    if let Some(timeout) = section.duration("idle_timeout")? {
        if !ingest_range::IDLE_TIMEOUT.contains(&timeout) {
            let message = "`idle_timeout` in `ws_ingest` must be from \"1s\" to \"24h\"";
            return Err(ConfigError::new(message).at(section.span("idle_timeout")));
        }
        limits.idle_timeout = timeout;
    }
    section.finish()?;
    Ok(limits)
}

/// An error in a configuration file, with the line it is in.
#[derive(Debug)]
pub struct FileError {
    path: PathBuf,
    position: Option<Position>,
    message: String,
}

#[derive(Debug)]
struct Position {
    line: usize,
    column: usize,
    text: String,
    width: usize,
}

impl FileError {
    /// Finds the line of an error in the text of `path`.
    pub fn locate(path: &Path, text: &str, error: ConfigError) -> Self {
        Self {
            path: path.to_owned(),
            position: error.span.map(|span| Position::new(text, span)),
            message: error.message,
        }
    }
}

impl Position {
    fn new(text: &str, span: Range<usize>) -> Self {
        let start = text.floor_char_boundary(span.start);
        let line_start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
        let end = text.floor_char_boundary(span.end).clamp(start, line_end);
        Self {
            line: text[..start].matches('\n').count() + 1,
            column: text[line_start..start].chars().count() + 1,
            // The text after the error is not shown: after a misspelt key it may be a password.
            text: text[line_start..end].to_owned(),
            width: text[start..end].chars().count().max(1),
        }
    }
}

/// Returns true if a line may hold a password and so must not be shown in an error.
fn may_hold_secret(line: &str) -> bool {
    line.contains("password") || line.contains('@')
}

impl std::fmt::Display for FileError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let path = self.path.display();
        let Some(position) = &self.position else {
            return write!(f, "{path}: {}", self.message);
        };
        write!(
            f,
            "{path}:{}:{}: {}",
            position.line, position.column, self.message
        )?;
        if may_hold_secret(&position.text) {
            return Ok(());
        }
        let number = position.line.to_string();
        let margin = " ".repeat(number.len());
        let indent = " ".repeat(position.column - 1);
        let marks = "^".repeat(position.width);
        write!(
            f,
            "\n {margin} |\n {number} | {}\n {margin} | {indent}{marks}",
            position.text
        )
    }
}

impl std::error::Error for FileError {}
