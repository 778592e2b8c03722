//! A camera's own ports for pages written for JSMpeg's usual pair of servers.

use ocelli_config::{ConfigError, Section, parse_listen};
use std::net::SocketAddr;
use std::path::PathBuf;

/// The two ports on which a page written for JSMpeg's usual pair of servers runs
/// unmodified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsmpegPorts {
    /// The address that serves the page.
    pub http: SocketAddr,
    /// The address that serves the video.
    pub ws: SocketAddr,
    /// The file with the user's own page.
    pub index: Option<PathBuf>,
    /// The file with the user's own decoder.
    pub script: Option<PathBuf>,
}

impl JsmpegPorts {
    /// Reads `jsmpeg_ports` of a `[[camera]]`.
    ///
    /// # Errors
    /// Returns an error if an address is missing or not valid, or if a file can't be
    /// read.
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
