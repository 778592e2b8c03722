//! RTSP messages: a line-by-line parser with limits, and a writer.
//!
//! Cameras deviate from the grammar, so the parser accepts everything that is unambiguous:
//! lines that end with LF only, headers without a value or a colon, any number of blanks, and
//! text that is not ASCII.

use std::borrow::Cow;
use std::fmt;

/// The longest line. Cameras send lines of a few hundred bytes.
pub const MAX_LINE: usize = 8 << 10;
/// The most bytes in the start line and headers of one message.
pub const MAX_HEAD: usize = 64 << 10;
/// The most header lines of one message.
pub const MAX_HEADERS: usize = 100;
/// The largest body. An SDP has a few kilobytes.
pub const MAX_BODY: usize = 256 << 10;
/// The most bytes in a row that are skipped in a stream because they are neither packets nor
/// messages.
pub const MAX_JUNK: usize = 1 << 20;
/// The most characters of a camera's text that are quoted in a reason.
const MAX_QUOTED: usize = 60;

/// Fault in a camera's message. Its text names the limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A line longer than [`MAX_LINE`].
    LongLine,
    /// More headers than [`MAX_HEADERS`].
    ManyHeaders,
    /// Headers longer than [`MAX_HEAD`].
    LongHead,
    /// A body longer than [`MAX_BODY`], with the announced length.
    LongBody(String),
    /// A message that is not RTSP, with its beginning.
    NotRtsp(String),
    /// A TLS alert.
    Tls,
    /// Too much data in a stream that is neither packets nor messages.
    Junk,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LongLine => write!(
                f,
                "it sends an RTSP line that is longer than {} KiB, which is the limit",
                MAX_LINE >> 10
            ),
            Self::ManyHeaders => write!(
                f,
                "it sends more than {MAX_HEADERS} header lines in one message, which is the limit"
            ),
            Self::LongHead => write!(
                f,
                "it sends more than {} KiB of headers in one message, which is the limit",
                MAX_HEAD >> 10
            ),
            Self::LongBody(length) => write!(
                f,
                "it announces a message body of {length} bytes; it should be at most {} KiB",
                MAX_BODY >> 10
            ),
            Self::NotRtsp(said) if said.is_empty() => {
                f.write_str("the server at this address does not speak RTSP")
            }
            Self::NotRtsp(said) => write!(
                f,
                "the server at this address does not speak RTSP; it answers {said:?}"
            ),
            Self::Tls => f.write_str(
                "the server at this address requires TLS; write rtsps:// instead of rtsp://",
            ),
            Self::Junk => write!(
                f,
                "its stream contains more than {} KiB in a row that are neither packets nor RTSP \
                 messages",
                MAX_JUNK >> 10
            ),
        }
    }
}

/// The first line of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// A response, with its status.
    Answer(u16),
    /// A request from the camera, with its method.
    Request(String),
}

/// One header line.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Header {
    name: String,
    value: String,
    /// The value as it was sent, if it is not UTF-8.
    raw: Option<Vec<u8>>,
}

/// A complete message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The first line.
    pub start: Start,
    headers: Vec<Header>,
    /// The body.
    pub body: Vec<u8>,
}

impl Message {
    /// Returns the first value of this header that is not empty.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers(name).find(|value| !value.is_empty())
    }

    /// Returns all values of this header.
    pub fn headers(&self, name: &str) -> impl Iterator<Item = &str> {
        self.named(name).map(|header| header.value.as_str())
    }

    /// Returns all values of this header as they were sent. Digest authentication needs the exact
    /// bytes, and some cameras use a local character set.
    pub fn raw_headers(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.named(name).map(|header| match &header.raw {
            Some(raw) => raw.as_slice(),
            None => header.value.as_bytes(),
        })
    }

    fn named(&self, name: &str) -> impl Iterator<Item = &Header> {
        self.headers
            .iter()
            .filter(move |header| header.name.eq_ignore_ascii_case(name))
    }

    /// Returns the sequence number, if there is one.
    pub fn sequence(&self) -> Option<u32> {
        self.headers("CSeq").find_map(|value| value.parse().ok())
    }

    /// Returns the length of the body.
    ///
    /// # Errors
    /// The length is more than [`MAX_BODY`].
    pub fn body_length(&self) -> Result<usize, Fault> {
        let Some(value) = self.header("Content-Length") else {
            return Ok(0);
        };
        let digits = value.bytes().take_while(u8::is_ascii_digit).count();
        let digits = &value[..digits];
        match digits.parse() {
            _ if digits.is_empty() => Ok(0),
            Ok(length) if length <= MAX_BODY => Ok(length),
            _ => Err(Fault::LongBody(quoted(digits))),
        }
    }
}

/// A message whose headers are being read.
#[derive(Debug, Default)]
pub struct Head {
    start: Option<Start>,
    headers: Vec<Header>,
    bytes: usize,
    lines: usize,
}

impl Head {
    /// Adds the next line, without its line end. An empty line ends the headers; then the
    /// message without its body is returned.
    ///
    /// # Errors
    /// A limit is exceeded, or the first line is not RTSP.
    pub fn line(&mut self, line: &[u8]) -> Result<Option<Message>, Fault> {
        self.bytes += line.len();
        if self.bytes > MAX_HEAD {
            return Err(Fault::LongHead);
        }
        let text = String::from_utf8_lossy(line);
        let Some(start) = &self.start else {
            self.start = Some(start(&text).ok_or_else(|| not_rtsp(&text))?);
            return Ok(None);
        };
        if text.trim().is_empty() {
            return Ok(Some(Message {
                start: start.clone(),
                headers: std::mem::take(&mut self.headers),
                body: Vec::new(),
            }));
        }
        self.lines += 1;
        if self.lines > MAX_HEADERS {
            return Err(Fault::ManyHeaders);
        }
        match (text.starts_with([' ', '\t']), self.headers.last_mut()) {
            // A continuation of the line before.
            (true, Some(header)) => {
                header.value.push(' ');
                header.value.push_str(text.trim());
                if let Some(raw) = &mut header.raw {
                    raw.push(b' ');
                    raw.extend_from_slice(line.trim_ascii());
                }
            }
            _ => {
                if let Some((name, value)) = text.split_once(':') {
                    let is_utf8 = matches!(text, Cow::Borrowed(_));
                    let colon = line.iter().position(|byte| *byte == b':').unwrap_or(0);
                    self.headers.push(Header {
                        name: name.trim().to_owned(),
                        value: value.trim().to_owned(),
                        raw: (!is_utf8).then(|| line[colon + 1..].trim_ascii().to_vec()),
                    });
                }
            }
        }
        Ok(None)
    }

    /// Returns true if the first line has been read.
    pub fn is_begun(&self) -> bool {
        self.start.is_some()
    }
}

fn start(line: &str) -> Option<Start> {
    let is_version = |word: &str| {
        let name = word.get(..5);
        name.is_some_and(|name| name.eq_ignore_ascii_case("RTSP/"))
    };
    let mut words = line.split_ascii_whitespace();
    let first = words.next()?;
    if is_version(first) {
        let status = words.next()?.parse().ok()?;
        return Some(Start::Answer(status));
    }
    let is_method = |byte: u8| byte.is_ascii_uppercase() || byte == b'_';
    let is_request = first.bytes().all(is_method) && words.last().is_some_and(is_version);
    is_request.then(|| Start::Request(first.to_owned()))
}

/// Returns the fault for a first line that is not RTSP, which is quoted if it is text.
fn not_rtsp(line: &str) -> Fault {
    let is_text = !line
        .trim()
        .contains(|c: char| c.is_control() || c == '\u{FFFD}');
    Fault::NotRtsp(if is_text { quoted(line) } else { String::new() })
}

/// Returns the beginning of a camera's text, without control characters, for display.
pub fn quoted(text: &str) -> String {
    let plain = |character: char| match character {
        character if character.is_control() => '\u{FFFD}',
        character => character,
    };
    let mut quoted: String = text.trim().chars().take(MAX_QUOTED).map(plain).collect();
    if text.trim().chars().nth(MAX_QUOTED).is_some() {
        quoted.push('…');
    }
    quoted
}

/// Formats a message without a body. Header values contain no line ends: they come from parsed
/// lines or from the hub, and `Scheme::authorization` checks what comes from the user.
pub fn write(first: &str, headers: &[(&str, Cow<'_, [u8]>)]) -> Vec<u8> {
    let mut text = Vec::from(first);
    for (name, value) in headers {
        text.extend_from_slice(b"\r\n");
        text.extend_from_slice(name.as_bytes());
        text.extend_from_slice(b": ");
        text.extend_from_slice(value);
    }
    text.extend_from_slice(b"\r\n\r\n");
    text
}

/// Returns a text as a header's value.
pub fn value<'a>(text: impl Into<Cow<'a, str>>) -> Cow<'a, [u8]> {
    match text.into() {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Option<Message>, Fault> {
        let mut head = Head::default();
        for line in text.lines() {
            if let Some(message) = head.line(line.as_bytes())? {
                return Ok(Some(message));
            }
        }
        Ok(None)
    }

    fn message(text: &str) -> Message {
        read(text).expect("RTSP").expect("a whole message")
    }

    #[test]
    fn common_deviations_from_the_grammar_are_accepted() {
        let response = message(
            "rtsp/1.0   200\nCSeq:\ncseq : 7  \nnonsense\nServer\nSession: 1;\n timeout=60\n\
             Überraschung: ja\nCSeq: 9\n\n",
        );
        assert_eq!(response.start, Start::Answer(200));
        assert_eq!(response.sequence(), Some(7));
        assert_eq!(response.header("Session"), Some("1; timeout=60"));
        assert_eq!(response.header("überraschung"), None);
        assert_eq!(response.header("Überraschung"), Some("ja"));
        assert_eq!(response.body_length(), Ok(0));
        let request = message("SET_PARAMETER * RTSP/1.0\nContent-Length: 12 bytes\n\n");
        assert_eq!(request.start, Start::Request("SET_PARAMETER".into()));
        assert_eq!(request.body_length(), Ok(12));
    }

    #[test]
    fn other_protocols_are_rejected() {
        for text in [
            "HTTP/1.0 200 OK",
            "GET / HTTP/1.1",
            "RTSP/1.0",
            "v=0",
            "options * RTSP/1.0",
        ] {
            assert!(matches!(read(text), Err(Fault::NotRtsp(_))), "{text}");
        }
        assert_eq!(quoted("a\x1b[31m\r\nb"), "a\u{FFFD}[31m\u{FFFD}\u{FFFD}b");
    }

    #[test]
    fn each_limit_is_enforced() {
        let with = |lines: &str, count: usize| {
            read(&format!("RTSP/1.0 200 OK\n{}\n", lines.repeat(count)))
        };
        assert!(matches!(with("a: b\n", MAX_HEADERS), Ok(Some(_))));
        assert_eq!(with("a: b\n", MAX_HEADERS + 1), Err(Fault::ManyHeaders));
        let wide = format!("a: {}\n", "b".repeat(1021));
        assert!(matches!(with(&wide, 63), Ok(Some(_))));
        assert_eq!(with(&wide, 64), Err(Fault::LongHead));
        let length = |value: &str| {
            message(&format!("RTSP/1.0 200 OK\nContent-Length: {value}\n\n")).body_length()
        };
        assert_eq!(length("262144"), Ok(MAX_BODY));
        assert_eq!(length("-5"), Ok(0));
        for long in ["262145", "20000000000", "99999999999999999999999"] {
            assert_eq!(length(long), Err(Fault::LongBody(long.into())));
        }
    }
}
