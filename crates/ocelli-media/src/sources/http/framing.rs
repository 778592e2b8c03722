//! Framing of a response's body: by length, chunked, or up to the end of the connection. The
//! lines of a chunked body are only counted, not stored.

use super::fault::Fault;
use super::head::Head;
use http::header::{CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, TRANSFER_ENCODING};
use memchr::memchr;

/// The longest chunk size line, with its extension.
const MAX_CHUNK_LINE: usize = 8 << 10;

/// Maximum size of all trailer lines after the last chunk.
const MAX_TRAILER_BYTES: usize = 64 << 10;

/// Result of [`Framing::take`].
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// This many bytes at the end of the bytes taken belong to the body.
    Data(usize),
    /// All bytes were taken, and none of them belongs to the body.
    Nothing,
    /// The body is complete.
    End,
}

/// How a body is framed, and how much of it remains.
#[derive(Debug)]
pub(super) enum Framing {
    Length(u64),
    Chunked(Chunks),
    /// Until the connection ends.
    Close,
}

/// Position in a chunked body.
#[derive(Debug)]
pub(super) enum Chunks {
    /// In a chunk size line.
    Size(SizeLine),
    /// In a chunk.
    Data(u64),
    /// After a chunk's data, before the line end.
    DataEnd,
    /// In the trailer after the last chunk.
    Trailer {
        /// Bytes of all lines so far.
        taken: usize,
        /// Whether the line is blank so far.
        is_blank: bool,
    },
    Done,
}

/// A chunk size line as read so far.
#[derive(Debug, Default)]
pub(super) struct SizeLine {
    size: u64,
    has_digits: bool,
    /// Whether the digits have ended, so that the rest of the line is an extension.
    is_extension: bool,
    taken: usize,
}

impl Framing {
    /// Returns the framing of the body after this head.
    pub(super) fn of(head: &Head) -> Self {
        if matches!(head.status.as_u16(), 204 | 304) {
            return Self::Length(0);
        }
        if let Some(last) = words(&head.headers, TRANSFER_ENCODING).last() {
            return match last.eq_ignore_ascii_case("chunked") {
                true => Self::Chunked(Chunks::Size(SizeLine::default())),
                false => Self::Close,
            };
        }
        match content_length(&head.headers) {
            Some(length) => Self::Length(length),
            None => Self::Close,
        }
    }

    /// Returns true if another response can follow this one on the same connection.
    pub(super) fn keeps_alive(&self, head: &Head) -> bool {
        let says = |word: &str| {
            words(&head.headers, CONNECTION).any(|said| said.eq_ignore_ascii_case(word))
        };
        !matches!(self, Self::Close) && !says("close") && (head.is_1_1 || says("keep-alive"))
    }

    /// Returns true if the whole body was taken.
    pub(super) fn is_done(&self) -> bool {
        matches!(self, Self::Length(0) | Self::Chunked(Chunks::Done))
    }

    /// Returns true if the end of the connection is a valid end of the body.
    pub(super) fn ends_with_connection(&self) -> bool {
        matches!(self, Self::Close)
    }

    /// Takes bytes from `rest` up to the end of the next piece of the body.
    ///
    /// # Errors
    /// The framing is not valid HTTP, or a line is too long.
    pub(super) fn take(&mut self, rest: &mut &[u8]) -> Result<Taken, Fault> {
        match self {
            Self::Length(0) => Ok(Taken::End),
            Self::Length(left) => Ok(data(left, rest)),
            Self::Chunked(chunks) => chunks.take(rest),
            Self::Close => {
                let len = rest.len();
                *rest = &[];
                Ok(if len == 0 {
                    Taken::Nothing
                } else {
                    Taken::Data(len)
                })
            }
        }
    }
}

/// Takes up to `left` bytes from `rest`.
fn data(left: &mut u64, rest: &mut &[u8]) -> Taken {
    let len = rest.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
    *rest = &rest[len..];
    *left -= len as u64;
    if len == 0 {
        Taken::Nothing
    } else {
        Taken::Data(len)
    }
}

impl Chunks {
    fn take(&mut self, rest: &mut &[u8]) -> Result<Taken, Fault> {
        loop {
            match self {
                Self::Done => return Ok(Taken::End),
                Self::Data(left) => {
                    let taken = data(left, rest);
                    if *left == 0 {
                        *self = Self::DataEnd;
                    }
                    return Ok(taken);
                }
                _ if rest.is_empty() => return Ok(Taken::Nothing),
                Self::DataEnd => {
                    match rest {
                        [b'\n', ..] => *self = Self::Size(SizeLine::default()),
                        [b'\r', ..] => {}
                        _ => return Err(Fault::NotHttp),
                    }
                    *rest = &rest[1..];
                }
                Self::Size(line) => {
                    if let Some(size) = line.take(rest)? {
                        *self = match size {
                            0 => Self::Trailer {
                                taken: 0,
                                is_blank: true,
                            },
                            _ => Self::Data(size),
                        };
                    }
                }
                Self::Trailer { taken, is_blank } => {
                    let newline = memchr(b'\n', rest);
                    let (line, after) = rest.split_at(newline.map_or(rest.len(), |at| at + 1));
                    *rest = after;
                    *taken += line.len();
                    if *taken > MAX_TRAILER_BYTES {
                        return Err(Fault::Excess(format!(
                            "the trailer of its response is longer than {} KiB",
                            MAX_TRAILER_BYTES >> 10
                        )));
                    }
                    *is_blank &= line.iter().all(|byte| matches!(byte, b'\r' | b'\n'));
                    if newline.is_some() {
                        match *is_blank {
                            true => *self = Self::Done,
                            false => *is_blank = true,
                        }
                    }
                }
            }
        }
    }
}

impl SizeLine {
    /// Takes bytes from `rest` up to the end of the line. Returns the chunk's size when the line is
    /// complete.
    fn take(&mut self, rest: &mut &[u8]) -> Result<Option<u64>, Fault> {
        while let [byte, after @ ..] = *rest {
            if self.is_extension && *byte != b'\n' {
                let len = memchr(b'\n', rest).unwrap_or(rest.len());
                self.taken += len;
                *rest = &rest[len..];
            } else {
                self.taken += 1;
                *rest = after;
                match byte {
                    b'\n' if self.has_digits => return Ok(Some(self.size)),
                    b';' | b' ' | b'\t' | b'\r' => self.is_extension = true,
                    _ => {
                        let digit = char::from(*byte).to_digit(16);
                        let size = self.size.checked_mul(16);
                        let (Some(digit), Some(size)) = (digit, size) else {
                            return Err(Fault::NotHttp);
                        };
                        self.size = size | u64::from(digit);
                        self.has_digits = true;
                    }
                }
            }
            if self.taken > MAX_CHUNK_LINE {
                return Err(Fault::Excess(format!(
                    "a chunk size line of its response is longer than {} KiB",
                    MAX_CHUNK_LINE >> 10
                )));
            }
        }
        Ok(None)
    }
}

/// Returns the elements of a comma-separated header.
fn words(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    let values = headers.get_all(name).into_iter();
    let values = values.filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

/// Parses `Content-Length`. Some cameras append a unit to the number.
fn content_length(headers: &HeaderMap) -> Option<u64> {
    let value = headers.get(CONTENT_LENGTH)?.to_str().ok()?.trim();
    let digits = value.find(|char: char| !char.is_ascii_digit());
    value[..digits.unwrap_or(value.len())].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::StatusCode;

    fn framing(headers: &[(&'static str, &'static str)]) -> (Framing, bool) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, http::HeaderValue::from_static(value));
        }
        let head = Head {
            status: StatusCode::OK,
            headers: map,
            is_1_1: true,
        };
        let framing = Framing::of(&head);
        let alive = framing.keeps_alive(&head);
        (framing, alive)
    }

    /// Returns the body in these bytes, whether it is complete, and the number of bytes after it.
    /// Asserts that the result does not depend on how the bytes are split.
    fn body(chunked: &[u8]) -> Result<(Vec<u8>, bool, usize), String> {
        let outcomes = [chunked.len().max(1), 1, 3].map(|cut| {
            let (mut framing, _) = framing(&[("transfer-encoding", "chunked")]);
            let (mut found, mut used) = (Vec::new(), 0);
            for piece in chunked.chunks(cut) {
                let mut rest = piece;
                loop {
                    let before = rest.len();
                    let taken = framing
                        .take(&mut rest)
                        .map_err(|fault| format!("{fault:?}"))?;
                    used += before - rest.len();
                    match taken {
                        Taken::Data(len) => {
                            let end = piece.len() - rest.len();
                            found.extend_from_slice(&piece[end - len..end]);
                        }
                        Taken::Nothing => break,
                        Taken::End => return Ok((found, true, chunked.len() - used)),
                    }
                }
            }
            Ok((found, false, 0))
        });
        assert_eq!(outcomes[0], outcomes[1]);
        assert_eq!(outcomes[0], outcomes[2]);
        outcomes[0].clone()
    }

    #[test]
    fn the_framing_follows_from_the_head() {
        assert!(matches!(framing(&[]), (Framing::Close, false)));
        assert!(matches!(
            framing(&[("content-length", "900 bytes")]),
            (Framing::Length(900), true)
        ));
        assert!(matches!(
            framing(&[("content-length", "7"), ("connection", "Close")]),
            (Framing::Length(7), false)
        ));
        assert!(matches!(
            framing(&[
                ("transfer-encoding", "gzip, Chunked"),
                ("content-length", "7")
            ]),
            (Framing::Chunked(_), true)
        ));
        assert!(matches!(
            framing(&[("content-length", "99999999999999999999")]),
            (Framing::Close, false)
        ));
    }

    #[test]
    fn chunks_are_joined_regardless_of_how_they_are_split() {
        let chunked =
            b"4\r\nwiki\r\n5;a=b\r\npedia\r\n00e \r\n in\r\n\r\nchunks.\r\n0\r\nX: y\r\n\r\nleft";
        let whole = (b"wikipedia in\r\n\r\nchunks.".to_vec(), true, 4);
        assert_eq!(body(chunked), Ok(whole));
        assert_eq!(body(b"2\nab\n0\n\n"), Ok((b"ab".to_vec(), true, 0)));
        assert_eq!(body(b"2\r\na"), Ok((b"a".to_vec(), false, 0)));
    }

    #[test]
    fn invalid_chunks_are_rejected() {
        for bad in [
            "\r\nab",
            "x\r\n",
            "2\r\nabc",
            "11112222333344445\r\n",
            "-1\r\n",
            ";a\r\n",
        ] {
            assert_eq!(body(bad.as_bytes()), Err("NotHttp".into()), "{bad:?}");
        }
    }

    #[test]
    fn lines_of_a_chunked_body_are_bounded() {
        for long in [
            format!("1;{}", "x".repeat(9000)),
            "0".repeat(9000),
            format!("0\r\n{}", "x".repeat(70_000)),
            format!("0\r\n{}", "a: b\r\n".repeat(20_000)),
        ] {
            let error = body(long.as_bytes()).expect_err("too long");
            assert!(error.starts_with("Excess"), "{error}");
        }
    }
}
