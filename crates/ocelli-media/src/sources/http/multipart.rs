//! The parts of a multipart stream.
//!
//! Pictures are found by their own structure. The lengths, boundaries and headers of many
//! cameras are wrong or missing, so they only serve to explain why there are no pictures.

use crate::jpeg::{Flaw, Splitter};
use memchr::{memchr, memmem};
use ocelli_core::Picture;

/// The bytes of a line that are looked at.
const MAX_LINE: usize = 256;

/// The longest content type of a part that is repeated in a reason.
const MAX_TYPE: usize = 60;

/// Number of consecutive parts without a picture after which the stream is given up.
const MAX_INVALID_PARTS: u32 = 10;

/// Number of consecutive pictures that are not whole after which the stream is given up.
const MAX_FLAWED: u32 = 10;

/// Multipart parser.
pub(super) struct Multipart {
    splitter: Splitter,
    text: Text,
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
        Self {
            splitter: Splitter::default(),
            text: Text::new(boundary),
        }
    }

    /// Returns the next picture and takes its bytes from `rest`. If there is none, all of
    /// `rest` is taken.
    pub(super) fn next_picture(&mut self, rest: &mut &[u8]) -> Option<Picture> {
        let text = &mut self.text;
        let picture = self.splitter.next_with(rest, &mut |bytes| text.take(bytes));
        if picture.is_some() {
            text.invalid_parts = 0;
            text.state = State::Between;
        }
        picture
    }

    /// Returns the reason to give the stream up, if it has had no picture for too long.
    pub(super) fn fault(&self) -> Option<String> {
        if let Some(reason) = flaw_reason(&self.splitter) {
            return Some(reason);
        }
        if self.text.invalid_parts < MAX_INVALID_PARTS {
            return None;
        }
        if self.text.is_base64 {
            let reason = "the parts of its stream are base64 text; they should be the JPEG \
                          pictures themselves";
            return Some(reason.to_owned());
        }
        let reason = "the parts of its stream are not JPEG pictures";
        Some(match self.text.content_type.as_str() {
            "" => reason.to_owned(),
            content_type => format!("{reason}, but {content_type}"),
        })
    }
}

/// Returns the reason to give a stream up because its pictures are not whole.
pub(super) fn flaw_reason(splitter: &Splitter) -> Option<String> {
    let (flawed, flaw) = splitter.flaws();
    match flaw? {
        Flaw::TooLong if flawed > 0 => Some("its picture is larger than 16 MiB".to_owned()),
        flaw if flawed >= MAX_FLAWED => Some(format!(
            "none of the last {MAX_FLAWED} pictures in its stream is whole: the last one is {flaw}"
        )),
        _ => None,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before a boundary.
    Between,
    /// In a part's headers.
    Headers,
    /// In a part's body.
    Body,
}

/// The text between pictures.
struct Text {
    /// The boundary without its dashes; empty if the camera sent none.
    core: memmem::Finder<'static>,
    line: Vec<u8>,
    state: State,
    /// Consecutive parts without a picture.
    invalid_parts: u32,
    /// The content type of the last part.
    content_type: String,
    /// Whether the last part is written as text.
    is_base64: bool,
}

impl Text {
    fn new(boundary: Option<&str>) -> Self {
        let core = boundary.unwrap_or_default().trim_matches('-');
        Self {
            core: memmem::Finder::new(core).into_owned(),
            line: Vec::new(),
            state: State::Between,
            invalid_parts: 0,
            content_type: String::new(),
            is_base64: false,
        }
    }

    fn take(&mut self, mut rest: &[u8]) {
        while !rest.is_empty() {
            let newline = memchr(b'\n', rest);
            let (piece, after) = rest.split_at(newline.map_or(rest.len(), |at| at + 1));
            rest = after;
            let room = MAX_LINE - self.line.len();
            self.line.extend_from_slice(&piece[..piece.len().min(room)]);
            if newline.is_some() {
                self.take_line();
                self.line.clear();
            }
        }
    }

    fn take_line(&mut self) {
        let line = self.line.trim_ascii();
        if self.is_boundary(line) {
            if self.state == State::Body {
                self.invalid_parts = self.invalid_parts.saturating_add(1);
            }
            self.state = State::Headers;
            self.content_type.clear();
            self.is_base64 = false;
        } else if self.state == State::Headers {
            if line.is_empty() {
                self.state = State::Body;
            } else if let Some(content_type) = content_type(line) {
                self.content_type = content_type;
            } else {
                self.is_base64 |= is_base64(line);
            }
        }
    }

    fn is_boundary(&self, line: &[u8]) -> bool {
        let core = self.core.needle();
        line.starts_with(b"--") && self.core.find(line).is_some()
            || !core.is_empty() && line == core
    }
}

/// Parses the content type from a header line, unless it has unusual characters.
fn content_type(line: &[u8]) -> Option<String> {
    let (name, value) = std::str::from_utf8(line).ok()?.split_once(':')?;
    let value = value.split(';').next().unwrap_or_default().trim();
    let is_usual = value.len() <= MAX_TYPE && value.bytes().all(is_usual);
    (name.trim().eq_ignore_ascii_case("content-type") && is_usual).then(|| value.to_lowercase())
}

/// Returns true if a header line says that the part is written as text.
fn is_base64(line: &[u8]) -> bool {
    let line = line.to_ascii_lowercase();
    line.starts_with(b"content-transfer-encoding") && line.ends_with(b"base64")
}

/// Returns true for the characters of content types that reasons may repeat.
pub(super) fn is_usual(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"/+-._".contains(&byte)
}
