//! One `[[camera]]` of the configuration, or one SOURCE of the command line.

use super::jsmpeg::JsmpegPorts;
use ocelli_config::{ConfigError, Section};
use ocelli_core::Source;
use ocelli_core::name::{DEFAULT_APP, check_room};
use ocelli_media::options::{JpegOptions, Mpeg1Options};
use ocelli_media::sources::{self, Address, Credentials};
use std::sync::Arc;

/// The keys of `[[camera]]` for every kind of source: name and meaning.
pub const OPTIONS: &[(&str, &str)] = &[
    (
        "id",
        "the room: 1 to 120 of A-Z, a-z, 0-9, '.', '_' and '-'; required",
    ),
    ("app", "the app it belongs to, \"live\" by default"),
    ("name", "its display name; the id by default"),
    ("source", "the address of its stream; required"),
    (
        "substream",
        "the address of a smaller stream for tiles; full screen shows the main stream",
    ),
    (
        "user",
        "the user to sign in with, instead of a user in the address",
    ),
    ("password", "the user's password"),
    ("password_file", "a file that holds the password"),
    (
        "password_env",
        "an environment variable that holds the password",
    ),
    (
        "jpeg",
        "the JPEG rendition of a stream in another codec: { fps = 5, width = 960, quality = 90 }; fps = \"key\" for key frames only, quality from 1 to 100",
    ),
    (
        "mpeg1",
        "the MPEG-1 rendition of the stream: { bitrate = \"800k\", fps = 25, width = 960 }; frame rates that MPEG-1 does not define become 24 or 25",
    ),
    (
        "jsmpeg_ports",
        "the camera's own ports for JSMpeg pages: { http = \"0.0.0.0:8082\", ws = \"0.0.0.0:8084\" }, with index = \"FILE\" and script = \"FILE\" for your own files",
    ),
    (
        "keep",
        "true keeps the camera connected while it has no viewers",
    ),
];

/// A camera as the user wrote it: in the file, on the command line or over HTTP.
/// [`RawCamera::open`] turns it into a [`CameraConfig`].
pub struct RawCamera {
    /// Its app.
    pub app: String,
    /// Its room, in the short or the full form.
    pub room: String,
    /// Its display name; the room by default.
    pub name: Option<String>,
    /// The address of its main stream, with its credentials.
    pub source: Address,
    /// The address of its small stream, with its credentials.
    pub substream: Option<Address>,
    /// The settings of its JPEG rendition, if it needs one.
    pub jpeg: JpegOptions,
    /// Whether it stays connected while it has no viewers.
    pub keep: bool,
}

impl RawCamera {
    /// A camera with only a room and an address; all other settings have their defaults.
    pub fn new(app: &str, room: &str, source: Address) -> Self {
        Self {
            app: app.to_owned(),
            room: room.to_owned(),
            name: None,
            source,
            substream: None,
            jpeg: JpegOptions::default(),
            keep: false,
        }
    }

    /// Creates its sources, which read their own keys from `options`. Uses no network.
    ///
    /// # Errors
    /// Returns an error if the room is not valid, or if no kind of source accepts an
    /// address or its options.
    pub fn open(self, options: &mut Section<'_>) -> Result<CameraConfig, ConfigError> {
        check_room(&self.room).map_err(|error| ConfigError::new(error.to_string()))?;
        let span = options.span("source");
        let (kind, source) =
            sources::open(self.source.clone(), options).map_err(|error| error.at(span))?;
        let substream = match &self.substream {
            Some(address) => Some(sources::open(address.clone(), options)?.1),
            None => None,
        };
        let mpeg1 = Mpeg1Options::of(options, &*source)?;
        let jsmpeg_ports = JsmpegPorts::of(options)?;
        Ok(CameraConfig {
            name: self.name.unwrap_or_else(|| self.room.clone()),
            app: self.app,
            room: self.room,
            kind,
            address: self.source,
            substream_address: self.substream,
            source,
            substream,
            jpeg: self.jpeg,
            mpeg1,
            jsmpeg_ports,
            keep: self.keep,
        })
    }
}

/// A camera that can be added to a hub.
pub struct CameraConfig {
    /// Its app.
    pub app: String,
    /// Its room, in the short or the full form.
    pub room: String,
    /// Its display name.
    pub name: String,
    /// The kind of its source.
    pub kind: &'static str,
    /// The address of its main stream, with its credentials.
    pub address: Address,
    /// The address of its small stream, with its credentials.
    pub substream_address: Option<Address>,
    /// The source of its main stream.
    pub source: Arc<dyn Source>,
    /// The source of its small stream for tiles.
    pub substream: Option<Arc<dyn Source>>,
    /// The settings of its JPEG rendition, if it needs one.
    pub jpeg: JpegOptions,
    /// The settings of its MPEG-1 rendition.
    pub mpeg1: Mpeg1Options,
    /// Its own ports for JSMpeg pages.
    pub jsmpeg_ports: Option<JsmpegPorts>,
    /// Whether it stays connected while it has no viewers.
    pub keep: bool,
}

/// Reads one `[[camera]]`.
pub(super) fn read(mut section: Section<'_>) -> Result<CameraConfig, ConfigError> {
    let room_span = section.span("id");
    let room = section.string("id")?.ok_or_else(|| {
        let fault = ConfigError::new("a [[camera]] needs an `id`, like id = \"door\"")
            .at(section.span("source").or(section.span("name")));
        section.missing("id", OPTIONS, fault)
    })?;
    check_room(&room).map_err(|error| ConfigError::new(error.to_string()).at(room_span.clone()))?;
    let app = section
        .string("app")?
        .unwrap_or_else(|| DEFAULT_APP.to_owned());
    let name = section.string("name")?;
    let written = match section.string("source")? {
        Some(written) => written,
        // The kind `exec` has a list of words instead of an address.
        None if section.span("exec").is_some() => "exec:".to_owned(),
        None => {
            let message = format!(
                "camera {room:?} needs a `source`, like source = \"rtsp://10.0.0.7/stream1\""
            );
            let fault = ConfigError::new(message).at(room_span.clone());
            return Err(section.missing("source", OPTIONS, fault));
        }
    };
    let credentials = read_credentials(&mut section)?;
    let signed_in = |written: &str| {
        let mut address = Address::new(written);
        if credentials.is_some() {
            address.credentials = credentials.clone();
        }
        address
    };
    let written = RawCamera {
        source: signed_in(&written),
        jpeg: JpegOptions::of(&mut section)?,
        keep: section.boolean("keep")?.unwrap_or(false),
        substream: section.string("substream")?.as_deref().map(signed_in),
        app,
        room,
        name,
    };
    let camera = written.open(&mut section)?;
    section.finish()?;
    Ok(camera)
}

/// Reads the user and the password. The password comes from the file itself, from another
/// file or from the environment.
fn read_credentials(section: &mut Section<'_>) -> Result<Option<Credentials>, ConfigError> {
    let user = section.string("user")?;
    let mut password = section.string("password")?;
    if let Some(path) = section.string("password_file")? {
        let text = std::fs::read_to_string(&path).map_err(|error| {
            ConfigError::new(format!("password_file {path:?} can't be read: {error}"))
                .at(section.span("password_file"))
        })?;
        password = Some(text.trim_end_matches(['\r', '\n']).to_owned());
    }
    if let Some(variable) = section.string("password_env")? {
        let text = std::env::var(&variable).map_err(|_| {
            ConfigError::new(format!("the environment has no variable {variable:?}"))
                .at(section.span("password_env"))
        })?;
        password = Some(text);
    }
    match (user, password) {
        (None, None) => Ok(None),
        (Some(user), password) => Ok(Some(Credentials {
            user,
            password: password.unwrap_or_default(),
        })),
        (None, Some(_)) => Err(
            ConfigError::new("there is a password but no `user`; add `user`").at(section
                .span("password")
                .or(section.span("password_file"))
                .or(section.span("password_env"))),
        ),
    }
}

/// Parses a SOURCE of the command line: an address, or `id=address`. Without an id, the id
/// is `cam` followed by the position in the list.
///
/// # Errors
/// Returns an error if no kind of source accepts the address.
pub fn from_argument(argument: &str, number: usize) -> Result<CameraConfig, ConfigError> {
    let (room, written) = match argument.split_once('=') {
        Some((id, address)) if check_room(id).is_ok() => (id.to_owned(), address),
        _ => (format!("cam{number}"), argument),
    };
    let written = RawCamera::new(DEFAULT_APP, &room, Address::new(written));
    written.open(&mut Section::empty("the command line"))
}
