//! Parser for a response's head: the status line and the headers. It does not read from the
//! socket.
//!
//! Limits are checked before bytes are stored, and each byte is scanned once while the head is
//! incomplete.

use super::fault::Fault;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use memchr::memchr;

/// Maximum size of all heads of one response together: informational ones (1xx) and the final one.
const MAX_HEAD_BYTES: usize = 64 << 10;

/// Maximum number of headers in one head.
const MAX_HEADERS: usize = 100;

/// Maximum number of informational responses (1xx) before the final one. Servers send one or two.
const MAX_INFORMATIONAL: usize = 8;

/// The beginnings of status lines, in any case. `ICY` is from Shoutcast, and curl accepts it.
const STARTS: [&[u8]; 2] = [b"HTTP/1.", b"ICY "];

/// The head of a final response.
#[derive(Debug)]
pub(super) struct Head {
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// Whether the version is HTTP/1.1.
    pub is_1_1: bool,
}

/// Collects the head of one response.
#[derive(Default)]
pub(super) struct HeadReader {
    bytes: Vec<u8>,
    /// Start of the current line.
    line_at: usize,
    /// Bytes of all heads so far.
    taken: usize,
    informational: usize,
}

impl HeadReader {
    /// Returns true if no byte of the response has arrived yet.
    pub(super) fn is_untouched(&self) -> bool {
        self.taken == 0
    }

    /// Takes the bytes of the head from `rest`. Returns the final head when it is complete, and
    /// leaves the bytes after it in `rest`.
    ///
    /// # Errors
    /// The response is not HTTP, or exceeds a limit.
    pub(super) fn take(&mut self, rest: &mut &[u8]) -> Result<Option<Head>, Fault> {
        while !rest.is_empty() {
            let newline = memchr(b'\n', rest);
            let (piece, after) = rest.split_at(newline.map_or(rest.len(), |at| at + 1));
            *rest = after;
            self.taken += piece.len();
            if self.taken > MAX_HEAD_BYTES {
                return Err(Fault::Excess(format!(
                    "the headers of its response are longer than {} KiB",
                    MAX_HEAD_BYTES >> 10
                )));
            }
            self.bytes.extend_from_slice(piece);
            if self.line_at == 0 && !begins_valid(&self.bytes) {
                return Err(match self.bytes.starts_with(&[TLS_ALERT]) {
                    true => Fault::ExpectsTls,
                    false => Fault::NotHttp,
                });
            }
            if newline.is_none() {
                return Ok(None);
            }
            let is_blank = matches!(&self.bytes[self.line_at..], b"\n" | b"\r\n");
            let is_first = self.line_at == 0;
            self.line_at = self.bytes.len();
            if !is_blank {
                continue;
            }
            if is_first {
                // HTTP ignores blank lines before the status line.
                self.clear();
                continue;
            }
            let head = parse(&self.bytes)?;
            self.clear();
            // 101 ends HTTP on the connection, although no upgrade was requested.
            if !head.status.is_informational() || head.status == StatusCode::SWITCHING_PROTOCOLS {
                return Ok(Some(head));
            }
            self.informational += 1;
            if self.informational > MAX_INFORMATIONAL {
                return Err(Fault::Excess(format!(
                    "it sends more than {MAX_INFORMATIONAL} informational responses (1xx) \
                     before the final one"
                )));
            }
        }
        Ok(None)
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.line_at = 0;
    }
}

/// The first byte of a TLS alert, with which a server that expects TLS answers a request in plain
/// text.
const TLS_ALERT: u8 = 0x15;

/// Returns true if this can be the beginning of a status line, or of a blank line before it.
fn begins_valid(line: &[u8]) -> bool {
    let begins = |with: &[u8]| {
        let len = line.len().min(with.len());
        line[..len].eq_ignore_ascii_case(&with[..len])
    };
    STARTS.into_iter().any(begins) || matches!(line, b"\r" | b"\n" | b"\r\n")
}

/// Parses a complete head. Accepts the same deviations as browsers and curl, because cameras
/// have them: any blanks in the status line and around names, lines that are not headers,
/// control characters in texts, and values that continue on the next line.
fn parse(bytes: &[u8]) -> Result<Head, Fault> {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let first = lines.next().unwrap_or_default();
    let status = status(first).ok_or(Fault::NotHttp)?;
    let mut fields: Vec<(HeaderName, Vec<u8>)> = Vec::new();
    let mut count = 0;
    for line in lines {
        let value = line.trim_ascii();
        if value.is_empty() {
            continue;
        }
        if line.starts_with(b" ") || line.starts_with(b"\t") {
            if let Some((_, before)) = fields.last_mut() {
                before.push(b' ');
                before.extend_from_slice(value);
            }
            continue;
        }
        count += 1;
        if count > MAX_HEADERS {
            let reason = format!("its response has more than {MAX_HEADERS} headers");
            return Err(Fault::Excess(reason));
        }
        let Some(colon) = memchr(b':', line) else {
            continue;
        };
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        if let Ok(name) = HeaderName::from_bytes(name.trim_ascii()) {
            fields.push((name, value.trim_ascii().to_vec()));
        }
    }
    let mut headers = HeaderMap::new();
    for (name, mut value) in fields {
        value.retain(|byte| !byte.is_ascii_control());
        if let Ok(value) = HeaderValue::from_bytes(&value) {
            headers.append(name, value);
        }
    }
    Ok(Head {
        status,
        headers,
        is_1_1: first
            .get(..8)
            .is_some_and(|version| version.eq_ignore_ascii_case(b"HTTP/1.1")),
    })
}

/// Parses the status from a status line.
fn status(line: &[u8]) -> Option<StatusCode> {
    let blank = line.iter().position(u8::is_ascii_whitespace)?;
    let code = line[blank..].trim_ascii_start();
    let digits = code.iter().position(|byte| !byte.is_ascii_digit());
    StatusCode::from_bytes(&code[..digits.unwrap_or(code.len())]).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the status and the bytes after the head. Asserts that they do not depend on how the
    /// response is split.
    fn read(response: &[u8]) -> Result<Option<(u16, Vec<u8>)>, String> {
        let outcomes = [response.len().max(1), 1, 7].map(|cut| {
            let mut reader = HeadReader::default();
            let mut at = 0;
            for piece in response.chunks(cut) {
                let mut rest = piece;
                let head = reader.take(&mut rest);
                at += piece.len() - rest.len();
                match head.map_err(|fault| format!("{fault:?}"))? {
                    Some(head) => return Ok(Some((head.status.as_u16(), response[at..].to_vec()))),
                    None => assert!(rest.is_empty()),
                }
            }
            Ok(None)
        });
        assert_eq!(outcomes[0], outcomes[1], "split into single bytes");
        assert_eq!(outcomes[0], outcomes[2], "split into pieces of seven bytes");
        outcomes[0].clone()
    }

    #[test]
    fn heads_with_common_deviations_are_accepted() {
        for head in [
            "HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\n\r\n",
            "\r\n\r\nHTTP/1.0 200 OK\nServer: x\n\n",
            "HTTP/1.1  200  OK\r\nno header at all\r\nContent-Type : image/jpeg\r\n\r\n",
            "HTTP/1.1 200\r\n\r\n",
            "http/1.1\t200 \x01\r\nX: a\r\n b\r\n\r\n",
            "ICY 200 OK\r\n: x\r\n\r\n",
            "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        ] {
            let response = [head.as_bytes(), b"body"].concat();
            assert_eq!(
                read(&response),
                Ok(Some((200, b"body".to_vec()))),
                "{head:?}"
            );
        }
        assert_eq!(
            read(b"HTTP/1.1 101 Switching\r\n\r\n"),
            Ok(Some((101, Vec::new())))
        );
        assert_eq!(read(b"HTTP/1.1 200 OK\r\nServer: x\r\n"), Ok(None));
    }

    #[test]
    fn headers_with_common_deviations_are_read() {
        let mut reader = HeadReader::default();
        let response = b"HTTP/1.1 302 Found\r\nno header\r\nLocation : /a\r\n b\r\n\tc \r\n\
                         X-Name:\x01a\x7fb\nServer:\r\n: x\r\n\r\n";
        let head = reader.take(&mut &response[..]).expect("HTTP");
        let headers = head.expect("a head").headers;
        let read = ["location", "x-name", "server"].map(|name| headers.get(name));
        let values = ["/a b c", "ab", ""].map(HeaderValue::from_static);
        assert_eq!(read, values.each_ref().map(Some));
        assert_eq!(headers.len(), 3);
    }

    #[test]
    fn invalid_http_is_rejected_at_once() {
        for bad in [
            "SSH-2.0-x",
            "RTSP/1.0 200 OK",
            "HTTP/2 200",
            "\r\n\r\nx",
            "\0",
        ] {
            assert_eq!(read(bad.as_bytes()), Err("NotHttp".into()), "{bad:?}");
        }
        assert_eq!(read(b"HTTP/1.1 OK\r\n\r\n"), Err("NotHttp".into()));
    }

    #[test]
    fn every_limit_of_a_head_is_enforced() {
        let informational = "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(MAX_INFORMATIONAL + 1);
        let long_informational = format!("HTTP/1.1 103 X\r\nLink: {}\r\n\r\n", "x".repeat(20_000));
        for (what, response) in [
            (
                "header lines",
                format!("HTTP/1.1 200 OK\r\n{}", "a: b\r\n".repeat(20_000)),
            ),
            (
                "a header",
                format!("HTTP/1.1 200 OK\r\na: {}", "b".repeat(100_000)),
            ),
            (
                "a status line",
                format!("HTTP/1.1 200 {}", "b".repeat(100_000)),
            ),
            ("blank lines", "\r\n".repeat(50_000)),
            (
                "headers",
                format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(10_000)),
            ),
            (
                "one header too many",
                format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(101)),
            ),
            ("informational answers", informational),
            ("informational headers", long_informational.repeat(5)),
        ] {
            let error = read(response.as_bytes()).expect_err(what);
            assert!(error.starts_with("Excess"), "{what}: {error}");
        }
    }
}
