//! Lenient parser for the parts of a session description (SDP) that are needed to play it. All
//! other lines are ignored, so errors in them have no effect.

use super::message::quoted;
use ocelli_core::Codec;
use std::collections::BTreeMap;

/// The most tracks that are parsed. Cameras have two or three.
const MAX_TRACKS: usize = 32;
/// The number of payload types, which are seven-bit numbers.
const PAYLOAD_TYPES: u8 = 128;
/// The clock rate of video in RTP, and the default for tracks that state none.
const CLOCK_RATE: u32 = 90_000;
/// The encodings of sound that can be passed on.
const SOUND: [&str; 3] = ["mpeg4-generic", "pcma", "pcmu"];

/// Parsed session description.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Description {
    /// Control address of the whole session.
    pub control: Option<String>,
    /// Software that wrote the description.
    pub tool: Option<String>,
    /// Tracks, in their order.
    pub tracks: Vec<Track>,
    /// The line to show if there is no video: the first unusable video, or else the first other
    /// track, or else the first line.
    shown: Option<String>,
}

/// One track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Track {
    /// `video`, `audio` or something else.
    pub media: String,
    /// Name of the encoding in lower case.
    pub encoding: String,
    /// RTP payload type of its packets.
    pub payload_type: u8,
    /// Clock rate of its timestamps, in Hz.
    pub clock_rate: u32,
    /// Number of channels of sound, if stated.
    pub channels: Option<u8>,
    /// Codec parameters.
    pub parameters: Option<String>,
    /// Width and height of the pictures, if they are stated apart from the codec parameters.
    pub dimensions: Option<(u16, u16)>,
    /// Control address for SETUP.
    pub control: Option<String>,
}

impl Track {
    /// Returns its codec, if that is supported.
    pub fn codec(&self) -> Option<Codec> {
        codec(&self.encoding)
    }
}

fn codec(encoding: &str) -> Option<Codec> {
    match encoding {
        "h264" => Some(Codec::H264),
        "h265" => Some(Codec::H265),
        "jpeg" => Some(Codec::Jpeg),
        _ => None,
    }
}

/// The lines of one track.
#[derive(Default)]
struct Media {
    /// The first line.
    line: String,
    media: String,
    formats: Vec<u8>,
    maps: BTreeMap<u8, (String, u32, Option<u8>)>,
    parameters: BTreeMap<u8, String>,
    dimensions: Option<(u16, u16)>,
    control: Option<String>,
}

impl Description {
    /// Parses a description.
    pub fn read(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let mut description = Self::default();
        let mut media: Vec<Media> = Vec::new();
        let lines = text.trim_start_matches('\u{FEFF}').split(['\r', '\n']);
        for line in lines {
            let Some((kind, value)) = line.trim().split_once('=') else {
                continue;
            };
            match kind.trim_end() {
                "m" if media.len() < MAX_TRACKS => media.push(Media::new(value)),
                // All further lines belong to ignored tracks.
                "m" => break,
                "a" => match media.last_mut() {
                    Some(media) => media.attribute(value),
                    None => description.attribute(value),
                },
                _ => {}
            }
        }
        let unusable = |media: &&Media| media.media == "video" && media.formats.is_empty();
        let other = media.iter().find(unusable).or(media.first());
        let first = || {
            text.trim_start_matches('\u{FEFF}')
                .lines()
                .find(|line| !line.trim().is_empty())
        };
        description.shown = match other {
            Some(media) => Some(format!("m={}", media.line)),
            None => first().map(str::to_owned),
        };
        description.tracks = media.into_iter().filter_map(Media::track).collect();
        description
    }

    /// Returns the reason for a description without video, with the line that matters.
    pub fn without_video(&self) -> String {
        match &self.shown {
            Some(line) => format!(
                "the camera offers no video; its session description has only {:?}",
                quoted(line)
            ),
            None => "the camera offers no video; its session description is empty".to_owned(),
        }
    }

    fn attribute(&mut self, attribute: &str) {
        match name_and_value(attribute) {
            ("control", value) => self.control = non_empty(value),
            ("tool", value) => self.tool = non_empty(value),
            _ => {}
        }
    }
}

impl Media {
    /// Parses a line like `video 0 RTP/AVP 96 97`.
    fn new(line: &str) -> Self {
        let mut words = line.split_ascii_whitespace();
        let media = words.next().unwrap_or_default().to_ascii_lowercase();
        let mut formats: Vec<u8> = Vec::new();
        for format in words.skip(2).filter_map(payload_type) {
            if !formats.contains(&format) {
                formats.push(format);
            }
        }
        Self {
            line: line.to_owned(),
            media,
            formats,
            ..Self::default()
        }
    }

    fn attribute(&mut self, attribute: &str) {
        let (name, value) = name_and_value(attribute);
        match name {
            "control" => {
                self.control = non_empty(value);
                return;
            }
            "x-dimensions" => {
                self.dimensions = dimensions(value).or(self.dimensions);
                return;
            }
            _ => {}
        }
        let Some((kind, value)) = value.split_once([' ', '\t']) else {
            return;
        };
        let Some(kind) = payload_type(kind) else {
            return;
        };
        match name {
            "rtpmap" => {
                let mut parts = value.trim().split('/');
                let mut encoding = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
                if encoding == "hevc" {
                    encoding = "h265".to_owned();
                }
                let rate = parts.next().and_then(|rate| rate.trim().parse().ok());
                let rate = rate.filter(|rate| *rate > 0).unwrap_or(CLOCK_RATE);
                let channels = parts.next().and_then(|count| count.trim().parse().ok());
                self.maps.insert(kind, (encoding, rate, channels));
            }
            "fmtp" => {
                self.parameters.insert(kind, value.trim().to_owned());
            }
            "framesize" => self.dimensions = dimensions(value).or(self.dimensions),
            _ => {}
        }
    }

    /// Returns the track with the first of its formats that can be shown, or else the first.
    fn track(mut self) -> Option<Track> {
        let map = |kind: u8| {
            self.maps
                .get(&kind)
                .cloned()
                .unwrap_or_else(|| static_encoding(kind))
        };
        let is_supported = |kind: &u8| {
            let encoding = map(*kind).0;
            codec(&encoding).is_some() || SOUND.contains(&encoding.as_str())
        };
        let payload_type = self.formats.iter().copied().find(is_supported);
        let payload_type = payload_type.or(self.formats.first().copied())?;
        let (mut encoding, clock_rate, channels) = map(payload_type);
        if !self.maps.contains_key(&payload_type) {
            // Some cameras name the codec only by its parameters.
            let parameters = self.parameters.get(&payload_type).map(String::as_str);
            let has = |name: &str| parameters.is_some_and(|known| known.contains(name));
            if has("sprop-parameter-sets") {
                encoding = "h264".to_owned();
            } else if has("sprop-sps") {
                encoding = "h265".to_owned();
            }
        }
        Some(Track {
            media: self.media,
            encoding,
            payload_type,
            clock_rate,
            channels,
            parameters: self.parameters.remove(&payload_type),
            dimensions: self.dimensions,
            control: self.control,
        })
    }
}

fn name_and_value(attribute: &str) -> (&str, &str) {
    let (name, value) = attribute.split_once(':').unwrap_or((attribute, ""));
    (name.trim(), value.trim())
}

fn non_empty(value: &str) -> Option<String> {
    (!value.is_empty()).then(|| value.to_owned())
}

/// Parses a width and a height, as in `2592,1944` and `2592-1944`.
fn dimensions(value: &str) -> Option<(u16, u16)> {
    let (width, height) = value.trim().split_once([',', '-', 'x', '*'])?;
    let size = |text: &str| text.trim().parse().ok().filter(|size| *size > 0);
    Some((size(width)?, size(height)?))
}

fn payload_type(word: &str) -> Option<u8> {
    word.trim()
        .parse()
        .ok()
        .filter(|kind| *kind < PAYLOAD_TYPES)
}

/// Returns the encoding and the clock rate of a static payload type (RFC 3551).
fn static_encoding(payload_type: u8) -> (String, u32, Option<u8>) {
    let (name, rate) = match payload_type {
        0 => ("pcmu", 8000),
        3 => ("gsm", 8000),
        8 => ("pcma", 8000),
        9 => ("g722", 8000),
        14 => ("mpa", CLOCK_RATE),
        26 => ("jpeg", CLOCK_RATE),
        31 => ("h261", CLOCK_RATE),
        32 => ("mpv", CLOCK_RATE),
        33 => ("mp2t", CLOCK_RATE),
        34 => ("h263", CLOCK_RATE),
        other => return (format!("type {other}"), CLOCK_RATE, None),
    };
    (name.to_owned(), rate, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typical_description_is_parsed() {
        let text = "v=0\r\no=- 1 1 IN IP4 10.0.0.7\r\ns=Media\r\nt=0 0\r\na=tool:LIVE555 v1\r\n\
            a=control:*\r\nm=audio 0 RTP/AVP 0\r\na=control:track0\r\nm=video 0 RTP/AVP 96\r\n\
            a=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1;sprop-parameter-sets=Z0I=,aM4=\r\n\
            a=control:track1\r\n";
        let description = Description::read(text.as_bytes());
        assert_eq!(description.control.as_deref(), Some("*"));
        assert_eq!(description.tool.as_deref(), Some("LIVE555 v1"));
        let [sound, video] = &description.tracks[..] else {
            panic!("{description:?}");
        };
        assert_eq!(
            (&*sound.media, &*sound.encoding, sound.clock_rate),
            ("audio", "pcmu", 8000)
        );
        let parameters = "packetization-mode=1;sprop-parameter-sets=Z0I=,aM4=";
        let expected = Track {
            media: "video".into(),
            encoding: "h264".into(),
            payload_type: 96,
            clock_rate: 90_000,
            channels: None,
            parameters: Some(parameters.into()),
            dimensions: None,
            control: Some("track1".into()),
        };
        assert_eq!(*video, expected);
    }

    #[test]
    fn errors_in_unused_lines_are_ignored() {
        let text = "\u{FEFF}v=0\no=-\nc=IN \nc=IN IP4 '&…\nb=AS:\nt=0\njunk\n=\na\n\
            m=video -1 RTP/AVP 97 300 96 96\nc=IN\na=rtpmap:96  H265/0\na=rtpmap:97 x-odd/90000\n\
            a=rtpmap\na=fmtp:96\na=rtpmap:300 H264/90000\na = control : t\n";
        let description = Description::read(text.as_bytes());
        let [track] = &description.tracks[..] else {
            panic!("{description:?}");
        };
        assert_eq!(
            (&*track.encoding, track.payload_type, track.clock_rate),
            ("h265", 96, 90_000)
        );
        assert_eq!(track.control.as_deref(), Some("t"));
        assert_eq!(track.parameters, None);
        assert!(Description::read(b"").tracks.is_empty());
        assert!(Description::read(b"m=video 0 RTP/AVP\n").tracks.is_empty());
    }

    #[test]
    fn a_codec_without_its_name_is_recognized_by_its_parameters() {
        for (lines, encoding) in [
            (
                "a=fmtp:96 packetization-mode=1;sprop-parameter-sets=Z0I=,aM4=\n",
                "h264",
            ),
            ("a=fmtp:96 sprop-vps=QAE=;sprop-sps=QgE=\n", "h265"),
            ("a=rtpmap:96 HEVC/90000\n", "h265"),
            (
                "a=rtpmap:96 MP4V-ES/90000\na=fmtp:96 sprop-sps=1\n",
                "mp4v-es",
            ),
        ] {
            let description =
                Description::read(format!("m=video 0 RTP/AVP 96\n{lines}").as_bytes());
            assert_eq!(description.tracks[0].encoding, encoding, "{lines}");
        }
    }

    #[test]
    fn the_size_of_the_pictures_is_parsed() {
        for (line, expected) in [
            ("a=x-dimensions:2592,1944", Some((2592, 1944))),
            ("a=x-dimensions: 2592, 1944", Some((2592, 1944))),
            ("a=framesize:26 2592-1944", Some((2592, 1944))),
            ("a=framesize:26 0-1944", None),
            ("a=x-dimensions:big", None),
        ] {
            let text = format!("m=video 0 RTP/AVP 26\n{line}\n");
            let description = Description::read(text.as_bytes());
            assert_eq!(description.tracks[0].dimensions, expected, "{line}");
        }
    }

    #[test]
    fn the_line_that_matters_is_quoted() {
        for (text, line) in [
            (
                "v=0\nm=audio 0 RTP/AVP 0\nm=video 0 RTP/AVP x\n",
                "only \"m=video 0 RTP/AVP x\"",
            ),
            ("v=0\nm=audio 0 RTP/AVP 0\n", "only \"m=audio 0 RTP/AVP 0\""),
            ("\u{FEFF}\n <html>\n<body>", "only \"<html>\""),
            ("\n", "is empty"),
        ] {
            let reason = Description::read(text.as_bytes()).without_video();
            assert!(reason.ends_with(line), "{reason}");
        }
    }

    #[test]
    fn the_number_of_tracks_is_limited() {
        let text = "m=video 0 RTP/AVP 26\n".repeat(12_000);
        assert_eq!(Description::read(text.as_bytes()).tracks.len(), MAX_TRACKS);
    }
}
