//! Lenient parser for the parts of a session description (SDP) that are needed to play it. All
//! other lines are ignored, so errors in them have no effect.

use std::collections::BTreeMap;

/// The most tracks that are parsed. Cameras have two or three.
const MAX_TRACKS: usize = 32;
/// The number of payload types, which are seven-bit numbers.
const PAYLOAD_TYPES: u8 = 128;
/// The clock rate of video in RTP, and the default for tracks that state none.
const CLOCK_RATE: u32 = 90_000;

/// Parsed session description.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Description {
    /// Control address of the whole session.
    pub control: Option<String>,
    /// Software that wrote the description.
    pub tool: Option<String>,
    /// Tracks, in their order.
    pub tracks: Vec<Track>,
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
    /// Codec parameters.
    pub parameters: Option<String>,
    /// Control address for SETUP.
    pub control: Option<String>,
}

/// The lines of one track.
#[derive(Default)]
struct Media {
    media: String,
    formats: Vec<u8>,
    maps: BTreeMap<u8, (String, u32)>,
    parameters: BTreeMap<u8, String>,
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
        description.tracks = media.into_iter().filter_map(Media::track).collect();
        description
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
            media,
            formats,
            ..Self::default()
        }
    }

    fn attribute(&mut self, attribute: &str) {
        let (name, value) = name_and_value(attribute);
        if name == "control" {
            self.control = non_empty(value);
            return;
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
                let encoding = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
                let rate = parts.next().and_then(|rate| rate.trim().parse().ok());
                let rate = rate.filter(|rate| *rate > 0).unwrap_or(CLOCK_RATE);
                self.maps.insert(kind, (encoding, rate));
            }
            "fmtp" => {
                self.parameters.insert(kind, value.trim().to_owned());
            }
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
        let shown = |kind: &u8| matches!(&*map(*kind).0, "h264" | "h265" | "jpeg");
        let payload_type = self.formats.iter().copied().find(shown);
        let payload_type = payload_type.or(self.formats.first().copied())?;
        let (encoding, clock_rate) = map(payload_type);
        Some(Track {
            media: self.media,
            encoding,
            payload_type,
            clock_rate,
            parameters: self.parameters.remove(&payload_type),
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

fn payload_type(word: &str) -> Option<u8> {
    word.trim()
        .parse()
        .ok()
        .filter(|kind| *kind < PAYLOAD_TYPES)
}

/// Returns the encoding and the clock rate of a static payload type (RFC 3551).
fn static_encoding(payload_type: u8) -> (String, u32) {
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
        other => return (format!("type {other}"), CLOCK_RATE),
    };
    (name.to_owned(), rate)
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
            parameters: Some(parameters.into()),
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
    fn the_number_of_tracks_is_limited() {
        let text = "m=video 0 RTP/AVP 26\n".repeat(12_000);
        assert_eq!(Description::read(text.as_bytes()).tracks.len(), MAX_TRACKS);
    }
}
