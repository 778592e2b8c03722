//! One `[[camera]]` of the configuration, or one SOURCE of the command line.

use super::jsmpeg::JsmpegPorts;
use ocelli_config::{ConfigError, Section};
use ocelli_core::Source;
use ocelli_core::name::{DEFAULT_APP, check_room};
use ocelli_media::options::{JpegOptions, Mpeg1Options};
use ocelli_media::sources::{self, Address, Credentials};
use std::sync::Arc;

/// The keys that `[[camera]]` takes for every kind of source: name and meaning.
pub const OPTIONS: &[(&str, &str)] = &[
    (
        "id",
        "the room: 1 to 120 of A-Z, a-z, 0-9, '.', '_' and '-'; needed",
    ),
    ("app", "the app it belongs to, \"live\" by default"),
    ("name", "its name for people; the id by default"),
    ("source", "the address of its stream; needed"),
    (
        "substream",
        "the address of a smaller stream for tiles; full screen shows the main one",
    ),
    (
        "user",
        "the user to sign in with, in place of one in the address",
    ),
    ("password", "the user's password"),
    ("password_file", "a file that holds the password"),
    (
        "password_env",
        "an environment variable that holds the password",
    ),
    (
        "jpeg",
        "the JPEG made of a stream that is none: { fps = 5, width = 960, quality = 90 }; fps = \"key\" for key frames only, quality from 1 to 100",
    ),
    (
        "mpeg1",
        "the MPEG-1 made of any stream: { bitrate = \"800k\", fps = 25, width = 960 }; other fps than MPEG-1 knows become 24 or 25",
    ),
    (
        "jsmpeg_ports",
        "ports for pages of the classic JSMpeg kind: { http = \"0.0.0.0:8082\", ws = \"0.0.0.0:8084\" }, with index = \"FILE\" and script = \"FILE\" for files of your own",
    ),
    ("keep", "true keeps it connected without viewers"),
];

/// A camera as somebody wrote it down: in the file, on the command line or over
/// HTTP. Only [`Written::open`] makes a [`CameraConfig`] of it.
pub struct Written {
    /// Its app.
    pub app: String,
    /// Its room, in the short or the full form.
    pub room: String,
    /// Its name for people; the room if there is none.
    pub name: Option<String>,
    /// The address of its main stream, with its credentials.
    pub source: Address,
    /// The address of its small stream, likewise.
    pub substream: Option<Address>,
    /// Its JPEG rendition, should it need one.
    pub jpeg: JpegOptions,
    /// Whether it stays connected without viewers.
    pub keep: bool,
}

impl Written {
    /// Nothing but a place and an address; the rest as it is by default.
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

    /// Makes its sources, which take what they know of `options`. Touches no network.
    ///
    /// # Errors
    /// The room is no room, or no kind of source takes an address or its options.
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
    /// Its name for people.
    pub name: String,
    /// The kind of its source.
    pub kind: &'static str,
    /// The address of its main stream, with its credentials.
    pub address: Address,
    /// The address of its small stream, likewise.
    pub substream_address: Option<Address>,
    /// The source of its main stream.
    pub source: Arc<dyn Source>,
    /// The source of its small stream for tiles.
    pub substream: Option<Arc<dyn Source>>,
    /// Its JPEG rendition, should it need one.
    pub jpeg: JpegOptions,
    /// Its MPEG-1 rendition.
    pub mpeg1: Mpeg1Options,
    /// The ports of its own for pages of the classic kind.
    pub jsmpeg_ports: Option<JsmpegPorts>,
    /// Whether it stays connected without viewers.
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
        // A program has a list of words in place of an address.
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
    let written = Written {
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

/// User and password, the password from the file itself, from another file or
/// from the environment.
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
        (None, Some(_)) => Err(ConfigError::new(
            "there is a password, but no `user` that it belongs to",
        )
        .at(section
            .span("password")
            .or(section.span("password_file"))
            .or(section.span("password_env")))),
    }
}

/// Reads a SOURCE of the command line: an address, or `id=address`. One without
/// an id is called `cam` and its place in the line.
///
/// # Errors
/// It is no address that a kind of source takes.
pub fn from_argument(argument: &str, place: usize) -> Result<CameraConfig, ConfigError> {
    let (room, written) = match argument.split_once('=') {
        Some((id, address)) if check_room(id).is_ok() => (id.to_owned(), address),
        _ => (format!("cam{place}"), argument),
    };
    let written = Written::new(DEFAULT_APP, &room, Address::new(written));
    written.open(&mut Section::empty("the command line"))
}
