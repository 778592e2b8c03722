//! Parts of a multipart stream, as cameras write it.
//!
//! They quote the boundary or not, put its leading dashes into the parameter or
//! not, end lines with LF alone, leave out lengths. So a boundary is recognized
//! by its core; and a part without a length is not ended by the next boundary,
//! which would hold every picture back until the next, but by its own end of
//! image: from the first such part on only JPEG's markers are believed.

use crate::jpeg::{MAX_BYTES, Splitter};
use ocelli_core::FrameBuffer;

/// A line of text longer than this is none.
const MAX_LINE: usize = 8 << 10;

enum Place {
    /// Before a boundary.
    Between,
    /// In a part's headers; its length, once they told.
    Headers(Option<usize>),
    /// In a part of known length.
    Body { left: usize, buffer: FrameBuffer },
    /// Following the pictures' own markers.
    Markers(Splitter),
}

/// Takes a multipart stream apart.
pub(super) struct Multipart {
    /// The boundary without its dashes; empty if the camera named none.
    core: Vec<u8>,
    line: Vec<u8>,
    place: Place,
}

/// The boundary that a content type names.
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
        Self {
            core: core.as_bytes().to_vec(),
            line: Vec::new(),
            place: Place::Between,
        }
    }

    /// The next whole part; takes of `rest` what it needs. With none, all of
    /// `rest` is taken.
    pub(super) fn next_part(&mut self, rest: &mut &[u8]) -> Option<FrameBuffer> {
        loop {
            match &mut self.place {
                Place::Markers(splitter) => {
                    splitter.push(rest);
                    *rest = &[];
                    return splitter.next_picture();
                }
                Place::Body { left, buffer } => {
                    let (taken, after) = rest.split_at(rest.len().min(*left));
                    buffer.extend_from_slice(taken);
                    *left -= taken.len();
                    *rest = after;
                    if *left > 0 {
                        return None;
                    }
                    let part = std::mem::replace(&mut self.place, Place::Between);
                    if let Place::Body { buffer, .. } = part {
                        return Some(buffer);
                    }
                }
                Place::Between | Place::Headers(_) => {
                    let line_end = rest.iter().position(|&byte| byte == b'\n');
                    let taken = line_end.map_or(rest.len(), |end| end + 1);
                    self.line.extend_from_slice(&rest[..taken]);
                    *rest = &rest[taken..];
                    if line_end.is_none() {
                        if self.line.len() > MAX_LINE {
                            self.follow_markers();
                            continue;
                        }
                        return None;
                    }
                    self.take_line();
                }
            }
        }
    }

    fn take_line(&mut self) {
        let line = self.line.trim_ascii();
        if self.is_boundary(line) {
            self.place = Place::Headers(None);
        } else if let Place::Headers(length) = &mut self.place {
            if line.is_empty() {
                match *length {
                    Some(length) if length <= MAX_BYTES => {
                        self.place = Place::Body {
                            left: length,
                            buffer: FrameBuffer::with_capacity(length),
                        };
                    }
                    _ => {
                        self.line.clear();
                        return self.follow_markers();
                    }
                }
            } else if let Some(told) = content_length(line) {
                *length = Some(told);
            }
        }
        self.line.clear();
    }

    fn is_boundary(&self, line: &[u8]) -> bool {
        line.starts_with(b"--")
            && line
                .windows(self.core.len().max(1))
                .any(|part| part == self.core || self.core.is_empty())
    }

    fn follow_markers(&mut self) {
        let mut splitter = Splitter::default();
        splitter.push(&self.line);
        self.line.clear();
        self.place = Place::Markers(splitter);
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

    /// The parts found in a stream, however it is cut.
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
            "the same however cut"
        );
        all.swap_remove(0)
    }

    #[test]
    fn boundaries_as_cameras_write_them() {
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
    fn a_length_that_is_no_length_is_not_believed() {
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
    fn text_without_end_is_bounded() {
        let mut multipart = Multipart::new(Some("frame"));
        for _ in 0..100 {
            assert!(multipart.next_part(&mut &[b'a'; 1000][..]).is_none());
        }
        assert!(multipart.line.len() <= MAX_LINE + 1000);
        assert!(multipart.next_part(&mut &picture(16)[..]).is_some());
    }
}
