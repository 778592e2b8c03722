//! What a program really writes, recognized by its first bytes. A wrong `format` would show noise,
//! or fail with a reason that does not help.

use ocelli_core::{Failure, FailureKind};

/// The first bytes that are looked at: three packets of a transport stream begin in them.
const HEAD: usize = 400;
/// Length of the packets of a transport stream, and the byte with which each begins.
const TS_PACKET: usize = 188;
const TS_SYNC: u8 = 0x47;

/// A kind of content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// JPEG pictures.
    Jpeg,
    /// An H.264 elementary stream.
    H264,
    /// An H.265 elementary stream.
    H265,
    /// An MPEG transport stream.
    MpegTs,
    /// One that no format stands for.
    Other(&'static str),
}

impl Content {
    /// Recognizes content that begins with these bytes.
    fn of(head: &[u8]) -> Option<Self> {
        let known: [(usize, &[u8], Self); 9] = [
            (0, &[0xFF, 0xD8, 0xFF], Self::Jpeg),
            (4, b"ftyp", Self::Other("MP4")),
            (0, b"\x89PNG\r\n\x1A\n", Self::Other("PNG")),
            (0, &[0x1A, 0x45, 0xDF, 0xA3], Self::Other("Matroska")),
            (0, b"YUV4MPEG2 ", Self::Other("YUV4MPEG2")),
            (8, b"AVI ", Self::Other("AVI")),
            (0, b"FLV\x01", Self::Other("FLV")),
            (0, b"GIF8", Self::Other("GIF")),
            (0, b"OggS", Self::Other("Ogg")),
        ];
        let begins = |at: usize, with: &[u8]| head.get(at..).is_some_and(|it| it.starts_with(with));
        let found = known.iter().find(|(at, with, _)| begins(*at, with));
        found
            .map(|(_, _, content)| *content)
            .or_else(|| elementary(head))
            .or_else(|| is_mpegts(head).then_some(Self::MpegTs))
    }

    fn name(self) -> &'static str {
        match self {
            Self::Jpeg => "JPEG",
            Self::H264 => "H.264",
            Self::H265 => "H.265",
            Self::MpegTs => "MPEG-TS",
            Self::Other(name) => name,
        }
    }

    /// Returns the value of `format` for it.
    fn format(self) -> Option<&'static str> {
        match self {
            Self::Jpeg => Some("mjpeg"),
            Self::H264 => Some("h264"),
            Self::H265 => Some("h265"),
            Self::MpegTs => Some("mpegts"),
            Self::Other(_) => None,
        }
    }
}

/// Recognizes an elementary stream by its first unit: a delimiter or a parameter set.
fn elementary(head: &[u8]) -> Option<Content> {
    let unit = head
        .strip_prefix(&[0, 0, 0, 1])
        .or_else(|| head.strip_prefix(&[0, 0, 1]))?;
    match unit {
        [0x40 | 0x42 | 0x46, 1, ..] => Some(Content::H265),
        [0x67 | 0x27 | 0x47, ..] | [0x09, 0x10 | 0x30 | 0x50 | 0x70 | 0xF0, ..] => {
            Some(Content::H264)
        }
        _ => None,
    }
}

/// Recognizes a transport stream by the regular distance of its packets. An even surface of a raw
/// picture has the same byte everywhere.
fn is_mpegts(head: &[u8]) -> bool {
    let starts = || head.iter().step_by(TS_PACKET);
    let is_even = head.iter().take(TS_PACKET).all(|byte| *byte == TS_SYNC);
    starts().count() >= 3 && starts().all(|byte| *byte == TS_SYNC) && !is_even
}

/// The first bytes of a program's output.
#[derive(Debug)]
pub struct FirstBytes {
    expected: Content,
    head: Vec<u8>,
}

impl FirstBytes {
    /// Expects this content.
    pub fn expecting(expected: Content) -> Self {
        Self {
            expected,
            head: Vec::new(),
        }
    }

    /// Notes the next bytes.
    ///
    /// # Errors
    /// They are in another format. The reason says which, and what to write.
    pub fn note(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let room = HEAD.saturating_sub(self.head.len());
        if room == 0 || bytes.is_empty() {
            return Ok(());
        }
        self.head.extend_from_slice(&bytes[..bytes.len().min(room)]);
        let Some(content) = Content::of(&self.head).filter(|content| *content != self.expected)
        else {
            return Ok(());
        };
        let (name, expected) = (content.name(), self.expected.name());
        let reason = match content.format() {
            Some(format) => {
                format!("its output is {name}, not {expected}: write format = \"{format}\"")
            }
            None => format!(
                "its output is {name}, not {expected}: let it write MPEG-TS, with \
                 format = \"mpegts\""
            ),
        };
        Err(Failure::new(FailureKind::Unsupported, reason))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(expected: Content, bytes: &[u8]) -> Option<String> {
        // Also if they come one by one.
        let mut slowly = FirstBytes::expecting(expected);
        let one_by_one = bytes.iter().find_map(|byte| slowly.note(&[*byte]).err());
        let at_once = FirstBytes::expecting(expected).note(bytes).err();
        assert_eq!(one_by_one, at_once);
        at_once.map(|failure| failure.reason)
    }

    fn mpegts() -> Vec<u8> {
        let packet = [&[TS_SYNC, 0x40, 0x11, 0x10][..], &[0xFF; 184]].concat();
        packet.repeat(3)
    }

    #[test]
    fn another_format_is_named_with_what_to_write() {
        let raw = Content::Other("raw pictures");
        let (h264, h265) = (Content::H264, Content::H265);
        let jpeg = [0xFF, 0xD8, 0xFF, 0xE0, 0, 16];
        let annexb = [0, 0, 0, 1, 0x67, 0x42, 0xC0];
        let hevc = [0, 0, 0, 1, 0x40, 1, 0x0C];
        let write = |is: &str, not: &str, format: &str| {
            Some(format!(
                "its output is {is}, not {not}: write format = \"{format}\""
            ))
        };
        let ts = mpegts();
        for (content, bytes, expected) in [
            (h264, &ts[..], write("MPEG-TS", "H.264", "mpegts")),
            (h264, &hevc, write("H.265", "H.264", "h265")),
            (h264, &jpeg, write("JPEG", "H.264", "mjpeg")),
            (h265, &annexb, write("H.264", "H.265", "h264")),
            (Content::Jpeg, &ts, write("MPEG-TS", "JPEG", "mpegts")),
            (Content::Jpeg, &annexb, write("H.264", "JPEG", "h264")),
            (raw, &jpeg, write("JPEG", "raw pictures", "mjpeg")),
            (raw, &ts, write("MPEG-TS", "raw pictures", "mpegts")),
            (h264, &annexb, None),
            (h265, &hevc, None),
            (raw, &[TS_SYNC; 500], None),
            (raw, &[0, 0, 0, 1, 0, 0, 1], None),
            (Content::Jpeg, b"starting ...\n", None),
        ] {
            assert_eq!(reason(content, bytes), expected, "{content:?} {bytes:?}");
        }
        for (bytes, name) in [
            (&b"\0\0\0\x20ftypisom"[..], "MP4"),
            (b"\x89PNG\r\n\x1A\n", "PNG"),
        ] {
            let expected = format!("its output is {name}, not H.264: let it write MPEG-TS");
            let reason = reason(h264, bytes).expect("a reason");
            assert!(reason.starts_with(&expected), "{reason}");
        }
    }
}
