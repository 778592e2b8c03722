//! A minimal HTTP/1.1 client, as strict as a browser but with more detailed errors.

use super::route::Stream;
use ocelli_media::sources::TlsFault;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

const RESPONSE_TIMEOUT: Duration = Duration::from_secs(8);
const BODY_TIMEOUT: Duration = Duration::from_secs(1);
const HEAD_LIMIT: usize = 64 * 1024;
/// The most characters of an error response that are quoted.
const EXCERPT_LIMIT: usize = 160;

/// The head of a response.
#[derive(Clone, Debug, Default)]
pub struct Head {
    /// The version, such as `HTTP/1.1`.
    pub version: String,
    /// The status code.
    pub status: u16,
    /// The headers, names in lower case.
    headers: Vec<(String, String)>,
}

impl Head {
    /// All values of a header.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let same = self.headers.iter().filter(|(known, _)| known == name);
        same.map(|(_, value)| value.as_str()).collect()
    }

    /// The first value of a header.
    pub fn first(&self, name: &str) -> Option<&str> {
        self.all(name).first().copied()
    }
}

/// The response to a request.
pub enum HttpResponse {
    /// A head, and the bytes received after it so far.
    Head(Head, Vec<u8>),
    /// Bytes that are not HTTP.
    Other(Vec<u8>),
    /// The server ended the TLS connection because it requires a client certificate.
    NeedsCertificate,
    /// The connection ended after this many bytes.
    Closed(usize),
    /// The head was not complete within the time limit, after this many bytes.
    Silent(usize),
}

/// Sends a request and reads the head of the response.
pub async fn send_request(stream: &mut dyn Stream, request: &str) -> HttpResponse {
    let sent = async {
        stream.write_all(request.as_bytes()).await?;
        stream.flush().await
    };
    match timeout(RESPONSE_TIMEOUT, sent).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) if needs_certificate(&error) => return HttpResponse::NeedsCertificate,
        Ok(Err(_)) => return HttpResponse::Closed(0),
        Err(_) => return HttpResponse::Silent(0),
    }
    let mut read = Vec::new();
    let mut is_refused = false;
    let head = async {
        loop {
            let started = &read[..read.len().min(5)];
            if !b"HTTP/".starts_with(started) || read.len() > HEAD_LIMIT {
                return None;
            }
            if let Some(end) = end_of_head(&read) {
                return Some(end);
            }
            match stream.read_buf(&mut read).await {
                Ok(0) => return None,
                Ok(_) => {}
                Err(error) => {
                    is_refused = needs_certificate(&error);
                    return None;
                }
            }
        }
    };
    match timeout(RESPONSE_TIMEOUT, head).await {
        Ok(Some((head, body))) => {
            let parsed = parse(&read[..head]);
            match parsed {
                Some(parsed) => HttpResponse::Head(parsed, read.split_off(body)),
                None => HttpResponse::Other(read),
            }
        }
        Ok(None) if is_refused => HttpResponse::NeedsCertificate,
        Ok(None) if read.starts_with(b"HTTP/") || read.is_empty() => {
            HttpResponse::Closed(read.len())
        }
        Ok(None) => HttpResponse::Other(read),
        Err(_) => HttpResponse::Silent(read.len()),
    }
}

fn needs_certificate(error: &io::Error) -> bool {
    TlsFault::of(error) == Some(TlsFault::ClientCertificate)
}

/// The end of the head and the start of the body. Browsers accept bare line feeds.
fn end_of_head(read: &[u8]) -> Option<(usize, usize)> {
    let proper = read.windows(4).position(|four| four == b"\r\n\r\n");
    let bare = read.windows(2).position(|two| two == b"\n\n");
    match (proper, bare) {
        (Some(at), Some(bare)) if bare < at => Some((bare, bare + 2)),
        (Some(at), _) => Some((at, at + 4)),
        (None, Some(at)) => Some((at, at + 2)),
        (None, None) => None,
    }
}

fn parse(head: &[u8]) -> Option<Head> {
    let text = String::from_utf8_lossy(head);
    let mut lines = text.lines();
    let mut first = lines.next()?.split_whitespace();
    let version = first.next()?.to_owned();
    let status = first.next()?.parse().ok()?;
    let headers = lines.filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        Some((name.trim().to_ascii_lowercase(), value.trim().to_owned()))
    });
    Some(Head {
        version,
        status,
        headers: headers.collect(),
    })
}

/// The beginning of an error response's body, if it is readable text.
pub async fn read_excerpt(
    stream: &mut dyn Stream,
    head: &Head,
    mut body: Vec<u8>,
) -> Option<String> {
    let kind = head.first("content-type").unwrap_or("text/plain");
    if kind.contains("html") || !(kind.starts_with("text/") || kind.contains("json")) {
        return None;
    }
    let more = async {
        while body.len() < EXCERPT_LIMIT && matches!(stream.read_buf(&mut body).await, Ok(1..)) {
            let length = head
                .first("content-length")
                .and_then(|text| text.parse().ok());
            if length.is_some_and(|length: usize| body.len() >= length) {
                break;
            }
        }
    };
    // After the time limit, the bytes received so far are quoted.
    let _ = timeout(BODY_TIMEOUT, more).await;
    let text = String::from_utf8_lossy(&body);
    let line = text.lines().find(|line| !line.trim().is_empty())?.trim();
    Some(line.chars().take(EXCERPT_LIMIT).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_with_crlf_or_lf_are_parsed() {
        for text in [
            "HTTP/1.1 101 Sw\r\nUpgrade:  a \r\nUpgrade: b\r\n\r\nrest",
            "HTTP/1.1 101 Sw\nupgrade: a\nUPGRADE:b\n\nrest",
        ] {
            let (head, body) = end_of_head(text.as_bytes()).expect("an end");
            assert_eq!(&text[body..], "rest");
            let head = parse(&text.as_bytes()[..head]).expect("a head");
            assert_eq!((head.version.as_str(), head.status), ("HTTP/1.1", 101));
            assert_eq!(head.all("upgrade"), ["a", "b"]);
        }
        assert!(end_of_head(b"HTTP/1.1 101\r\n").is_none());
        assert!(parse(b"HTTP/1.1 what").is_none());
    }
}
