//! The ports of a camera where pages of the classic JSMpeg kind find it.

use ocelli_config::{ConfigError, Section, parse_listen};
use std::net::SocketAddr;
use std::path::PathBuf;

/// The two ports on which a page written for the classic pair runs unmodified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsmpegPorts {
    /// Where the page is.
    pub http: SocketAddr,
    /// Where the video is.
    pub ws: SocketAddr,
    /// The user's own page.
    pub index: Option<PathBuf>,
    /// The user's own decoder.
    pub script: Option<PathBuf>,
}

impl JsmpegPorts {
    /// What a `[[camera]]` says of its ports.
    ///
    /// # Errors
    /// An address is missing or none, or a file can't be read.
    pub fn of(camera: &mut Section<'_>) -> Result<Option<Self>, ConfigError> {
        let span = camera.span("jsmpeg_ports");
        let Some(mut section) = camera.section("jsmpeg_ports", "`jsmpeg_ports`")? else {
            return Ok(None);
        };
        let mut address = |key| {
            let at = section.span(key);
            match section.string(key)? {
                Some(written) => parse_listen(&written).map_err(|error| error.at(at)),
                None => Err(ConfigError::new(format!(
                    "`jsmpeg_ports` needs `{key}`, like {{ http = \"0.0.0.0:8082\", ws = \"0.0.0.0:8084\" }}"
                ))
                .at(span.clone())),
            }
        };
        let (http, ws) = (address("http")?, address("ws")?);
        let mut file = |key| {
            let at = section.span(key);
            let Some(path) = section.string(key)?.map(PathBuf::from) else {
                return Ok(None);
            };
            match std::fs::File::open(&path) {
                Ok(_) => Ok(Some(path)),
                Err(error) => {
                    let message = format!("{} can't be read: {error}", path.display());
                    Err(ConfigError::new(message).at(at))
                }
            }
        };
        let (index, script) = (file("index")?, file("script")?);
        section.finish()?;
        Ok(Some(Self {
            http,
            ws,
            index,
            script,
        }))
    }
}
