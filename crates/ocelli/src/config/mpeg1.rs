//! The MPEG-1 rendition of a camera, and the ports where pages of the classic
//! kind find it.

use super::{ConfigError, Section, parse_listen};
use crate::mpeg1;
use ocelli_core::Source;
use std::net::SocketAddr;
use std::path::PathBuf;

/// The MPEG-1 rendition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mpeg1Options {
    /// Bits a second.
    pub bitrate: u32,
    /// Frames a second, as a fraction that MPEG-1 knows.
    pub rate: (u32, u32),
    /// The widest it gets, in pixels; never enlarged. As wide as it comes if none.
    pub width: Option<u16>,
}

/// Bits a second, unless the camera says otherwise.
const BITRATE: u32 = 800_000;
/// Frames a second of a camera that does not tell its own.
const FPS: f64 = 25.0;
/// Decoding in JavaScript has its limits: what a camera encodes itself may be large.
/// Of raw pictures a person has chosen the size.
const WIDTH: u16 = 960;

impl Mpeg1Options {
    /// What a `[[camera]]` says of its MPEG-1, for pictures of `source`.
    ///
    /// # Errors
    /// It says something else than it can.
    pub fn of(camera: &mut Section<'_>, source: &dyn Source) -> Result<Self, ConfigError> {
        let mut options = Self::for_source(source);
        let Some(mut section) = camera.section("mpeg1", "`mpeg1`")? else {
            return Ok(options);
        };
        let span = section.span("bitrate");
        if let Some(written) = section.string("bitrate")? {
            options.bitrate = parse_bitrate(&written).ok_or_else(|| {
                let message = "`bitrate` is written like \"800k\" or \"1.5M\", from 50k to 20M";
                ConfigError::new(message).at(span)
            })?;
        }
        if let Some(fps) = section.number("fps", 1.0..=60.0)? {
            options.rate = mpeg1::rate_for(fps);
        }
        if let Some(width) = section.whole("width", 64..=u32::from(mpeg1::LARGEST))? {
            options.width = Some(width as u16);
        }
        section.finish()?;
        Ok(options)
    }

    /// The defaults for what `source` brings.
    pub fn for_source(source: &dyn Source) -> Self {
        Self {
            bitrate: BITRATE,
            rate: mpeg1::rate_for(source.rate().unwrap_or(FPS)),
            width: source.size().is_none().then_some(WIDTH),
        }
    }
}

fn parse_bitrate(text: &str) -> Option<u32> {
    let (number, unit) = match text.trim().strip_suffix(['k', 'K']) {
        Some(number) => (number, 1e3),
        None => match text.trim().strip_suffix('M') {
            Some(number) => (number, 1e6),
            None => (text.trim(), 1.0),
        },
    };
    let bits = number.parse::<f64>().ok()? * unit;
    (50e3..=20e6).contains(&bits).then_some(bits as u32)
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bitrates() {
        assert_eq!(parse_bitrate("800k"), Some(800_000));
        assert_eq!(parse_bitrate("1.5M"), Some(1_500_000));
        assert_eq!(parse_bitrate("100000"), Some(100_000));
        for bad in ["", "k", "800", "99M", "-800k", "800 kbit", "NaNk"] {
            assert_eq!(parse_bitrate(bad), None, "{bad}");
        }
    }
}
