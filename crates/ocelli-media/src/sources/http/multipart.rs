//! Lenient parser for the multipart streams of cameras.
//!
//! Some cameras quote the boundary, include its leading dashes in the parameter, end lines
//! with LF only, or leave out lengths. So a boundary is recognized without its dashes. A part
//! without a length ends at its JPEG end marker. If it ended at the next boundary, every
//! picture would be delayed until the next one arrives. From the first such part on, the
//! stream is split only by JPEG markers.

use crate::jpeg::{MAX_BYTES, Splitter};
use memchr::{memchr, memmem};
use ocelli_core::FrameBuffer;

/// The longest line of text. Longer ones are treated as binary data.
const MAX_LINE: usize = 8 << 10;

/// Maximum size of all headers of one part. If they are longer, the stream is split only by JPEG
/// markers.
const MAX_HEADER_BYTES: usize = 64 << 10;

/// The longest boundary. RFC 2046 allows 70 characters; a boundary beyond this limit is ignored.
const MAX_BOUNDARY: usize = 256;

enum State {
    /// Before a boundary.
    Between,
    /// In a part's headers.
    Headers {
        /// The part's length, if a header with it was read.
        length: Option<usize>,
        /// Bytes of all headers so far.
        header_bytes: usize,
    },
    /// In a part of known length.
    Body { left: usize, buffer: FrameBuffer },
    /// Splitting by JPEG markers.
    Markers(Splitter),
}

/// Multipart parser.
pub(super) struct Multipart {
    /// The boundary without its dashes; empty if the camera sent none.
    core: memmem::Finder<'static>,
    line: Vec<u8>,
    state: State,
}

/// Parses the boundary from a content type.
pub(super) fn boundary(content_type: &str) -> Option<String> {
    let at = content_type.to_ascii_lowercase().find("boundary=")?;
    let value = content_type[at + "boundary=".len()..].trim_start();
    let value = match value.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next(),
        None => value.split([';', ' ']).next(),
    };
    value.map(str::trim).map(str::to_owned)
}

impl Multipart {
    pub(super) fn new(boundary: Option<&str>) -> Self {
        let core = boundary.unwrap_or_default().trim_matches('-');
        let core = Some(core).filter(|core| core.len() <= MAX_BOUNDARY);
        Self {
            core: memmem::Finder::new(core.unwrap_or_default()).into_owned(),
            line: Vec::new(),
            state: State::Between,
        }
    }

    /// Returns the next complete part and takes its bytes from `rest`. If there is none, all of
    /// `rest` is taken.
    pub(super) fn next_part(&mut self, rest: &mut &[u8]) -> Option<FrameBuffer> {
        loop {
            match &mut self.state {
                State::Markers(splitter) => {
                    splitter.push(rest);
                    *rest = &[];
                    return splitter.next_picture();
                }
                State::Body { left, buffer } => {
                    let (header_bytes, after) = rest.split_at(rest.len().min(*left));
                    buffer.extend_from_slice(header_bytes);
                    *left -= header_bytes.len();
                    *rest = after;
                    if *left > 0 {
                        return None;
                    }
                    let part = std::mem::replace(&mut self.state, State::Between);
                    if let State::Body { buffer, .. } = part {
                        return Some(buffer);
                    }
                }
                State::Between | State::Headers { .. } => {
                    // Up to the end of the line, or to the first byte that makes it too long.
                    let room = MAX_LINE + 1 - self.line.len();
                    let newline = memchr(b'\n', &rest[..rest.len().min(room)]);
                    let header_bytes = newline.map_or(rest.len().min(room), |at| at + 1);
                    self.line.extend_from_slice(&rest[..header_bytes]);
                    *rest = &rest[header_bytes..];
                    if self.line.len() > MAX_LINE {
                        self.follow_markers();
                    } else if newline.is_some() {
                        self.take_line();
                    } else {
                        return None;
                    }
                }
            }
        }
    }

    fn take_line(&mut self) {
        let line = self.line.trim_ascii();
        if self.is_boundary(line) {
            self.state = State::Headers {
                length: None,
                header_bytes: 0,
            };
        } else if let State::Headers {
            length,
            header_bytes,
        } = &mut self.state
        {
            *header_bytes += self.line.len();
            let is_too_long = *header_bytes > MAX_HEADER_BYTES;
            if line.is_empty() || is_too_long {
                match *length {
                    Some(length) if length <= MAX_BYTES && !is_too_long => {
                        self.state = State::Body {
                            left: length,
                            buffer: FrameBuffer::with_capacity(length),
                        };
                    }
                    _ => {
                        self.line.clear();
                        return self.follow_markers();
                    }
                }
            } else if let Some(parsed) = content_length(line) {
                *length = Some(parsed);
            }
        }
        self.line.clear();
    }

    fn is_boundary(&self, line: &[u8]) -> bool {
        line.starts_with(b"--") && self.core.find(line).is_some()
    }

    fn follow_markers(&mut self) {
        let mut splitter = Splitter::default();
        splitter.push(&self.line);
        self.line.clear();
        self.state = State::Markers(splitter);
    }
}

fn content_length(line: &[u8]) -> Option<usize> {
    let line = std::str::from_utf8(line).ok()?;
    let (name, value) = line.split_once(':')?;
    name.trim()
        .eq_ignore_ascii_case("content-length")
        .then(|| value.trim().parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use jpeg_encoder::{ColorType, Encoder};

    fn picture(side: u16) -> Vec<u8> {
        let mut jpeg = Vec::new();
        let pixels = vec![77; usize::from(side) * usize::from(side)];
        Encoder::new(&mut jpeg, 80)
            .encode(&pixels, side, side, ColorType::Luma)
            .expect("encoded");
        jpeg
    }

    /// Returns the parts of a stream. Asserts that they do not depend on how the stream is split.
    fn parts(content_type: &str, stream: &[u8]) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        for cut in [stream.len(), 1, 5, 64] {
            let mut multipart = Multipart::new(boundary(content_type).as_deref());
            let mut found = Vec::new();
            for mut piece in stream.chunks(cut) {
                while let Some(part) = multipart.next_part(&mut piece) {
                    found.push(part.payload().to_vec());
                }
            }
            all.push(found);
        }
        assert!(
            all.windows(2).all(|two| two[0] == two[1]),
            "the parts depend on how the stream is split"
        );
        all.swap_remove(0)
    }

    #[test]
    fn boundaries_with_common_deviations_are_found() {
        let pictures = [picture(16), picture(24)];
        for (content_type, delimiter, newline) in [
            (
                "multipart/x-mixed-replace; boundary=frame",
                "--frame",
                "\r\n",
            ),
            (
                "multipart/x-mixed-replace;boundary=\"a b;c\"",
                "--a b;c",
                "\r\n",
            ),
            (
                "multipart/x-mixed-replace; boundary=--frame",
                "--frame",
                "\r\n",
            ),
            (
                "multipart/x-mixed-replace; boundary=--frame",
                "----frame",
                "\r\n",
            ),
            (
                "multipart/x-mixed-replace; Boundary=frame; x=y",
                "--frame",
                "\n",
            ),
            ("multipart/x-mixed-replace", "--whatever", "\n"),
        ] {
            for length in [true, false] {
                let mut stream = format!("hello{newline}").into_bytes();
                for jpeg in &pictures {
                    stream.extend(
                        format!("{delimiter}{newline}Content-Type: image/jpeg{newline}").bytes(),
                    );
                    if length {
                        stream.extend(format!("content-length:{}{newline}", jpeg.len()).bytes());
                    }
                    stream.extend(newline.bytes());
                    stream.extend(jpeg);
                    stream.extend(newline.bytes());
                }
                assert_eq!(
                    parts(content_type, &stream),
                    pictures,
                    "{content_type} {length}"
                );
            }
        }
    }

    #[test]
    fn a_part_without_length_does_not_wait_for_the_next() {
        let mut multipart = Multipart::new(Some("frame"));
        let mut stream = b"--frame\r\n\r\n".to_vec();
        stream.extend(picture(16));
        assert!(multipart.next_part(&mut &stream[..]).is_some());
    }

    #[test]
    fn an_invalid_length_is_ignored() {
        for length in ["99999999999999999999", "-1", "x", "20000000"] {
            let mut stream = format!("--f\r\nContent-Length: {length}\r\n\r\n").into_bytes();
            stream.extend(picture(16));
            assert_eq!(
                parts("multipart/x; boundary=f", &stream),
                [picture(16)],
                "{length}"
            );
        }
    }

    #[test]
    fn endless_text_is_bounded() {
        let mut multipart = Multipart::new(Some("frame"));
        for _ in 0..100 {
            assert!(multipart.next_part(&mut &[b'a'; 1000][..]).is_none());
        }
        assert!(multipart.line.len() <= MAX_LINE + 1);
        assert!(multipart.next_part(&mut &picture(16)[..]).is_some());
    }

    #[test]
    fn endless_headers_are_bounded_and_the_pictures_after_them_are_found() {
        let header = "X: y\r\n".repeat(2 * MAX_HEADER_BYTES / 6);
        let stream = [
            b"--f\r\nContent-Length: 5\r\n",
            header.as_bytes(),
            &picture(16),
        ]
        .concat();
        assert_eq!(parts("multipart/x; boundary=f", &stream), [picture(16)]);
    }

    #[test]
    fn the_line_limit_does_not_depend_on_how_the_stream_is_split() {
        for len in [MAX_LINE - 1, MAX_LINE, MAX_LINE + 1, 3 * MAX_LINE] {
            let line = [&vec![b'a'; len][..], b"\n"].concat();
            let stream = [&line, &b"--f\r\nContent-Length: 3\r\n\r\nabc"[..]].concat();
            let expected: &[&[u8]] = if len < MAX_LINE { &[b"abc"] } else { &[] };
            assert_eq!(parts("multipart/x; boundary=f", &stream), expected, "{len}");
        }
    }
}
