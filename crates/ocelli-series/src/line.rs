//! Parser for the format of sources: a line with the series name, then lines `x y`.

use crate::Sample;

/// Maximum length of a name in bytes of UTF-8.
pub const NAME_LIMIT: usize = 255;
/// Maximum length of a line; a source that sends a longer one is invalid.
pub const LINE_LIMIT: usize = 4096;

/// Range of x values that are times: ms since the Unix epoch, from the years 2000 to 2099.
pub(crate) const TIMES: std::ops::RangeInclusive<f64> = 946_684_800_000.0..=4_102_444_800_000.0;

/// Whether an x value is a time.
pub(crate) fn is_time(x: f64) -> bool {
    TIMES.contains(&x)
}

/// Reads the line with the series name. Spaces are part of the name; a byte order mark, which
/// some programs write in front of UTF-8, is not.
///
/// # Errors
/// Returns an error that describes a valid name.
pub fn name(line: &[u8]) -> Result<&str, &'static str> {
    let line = without_return(line);
    let line = line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line);
    if line.is_empty() {
        return Err("the first line is the series' name; it is empty");
    }
    if line.len() > NAME_LIMIT {
        return Err("the first line is the series' name; it has more than 255 bytes");
    }
    let name = std::str::from_utf8(line)
        .map_err(|_| "the first line is the series' name; it is not valid UTF-8")?;
    if is_request(name) {
        // A web page can make a browser send a request to this port; it must not create a
        // series.
        return Err("this port takes lines of samples, not HTTP");
    }
    Ok(name)
}

/// Whether a line is an HTTP request line.
fn is_request(line: &str) -> bool {
    let mut words = line.split(' ');
    let method = words.next().unwrap_or_default();
    let version = words.next_back().unwrap_or_default();
    let upper = |c: char| c.is_ascii_uppercase();
    !method.is_empty() && method.chars().all(upper) && version.starts_with("HTTP/")
}

/// Reads a line `x y`: two finite numbers separated by spaces or tabs. Returns `None` if it
/// is malformed.
pub fn sample(line: &[u8]) -> Option<Sample> {
    let line = line.trim_ascii();
    let split = line.iter().position(|byte| matches!(byte, b' ' | b'\t'))?;
    let (x, y) = (number(&line[..split])?, number(line[split..].trim_ascii())?);
    Some((x, y))
}

/// Reads a finite number. Whole numbers of up to 15 digits, which most times are, are
/// parsed by a fast path.
fn number(text: &[u8]) -> Option<f64> {
    if !text.is_empty() && text.len() <= 15 && text.iter().all(u8::is_ascii_digit) {
        let whole = text
            .iter()
            .fold(0_u64, |sum, digit| sum * 10 + u64::from(digit - b'0'));
        return Some(whole as f64);
    }
    let number: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    number.is_finite().then_some(number)
}

/// Returns a line without its trailing carriage return, which some programs send.
fn without_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Splits a byte stream into lines. It stores only the incomplete last line.
#[derive(Debug, Default)]
pub struct Lines {
    rest: Vec<u8>,
}

/// A line was longer than [`LINE_LIMIT`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

impl Lines {
    /// Passes each line completed by `bytes` to `each`, without its newline.
    ///
    /// # Errors
    /// Returns an error if a line is too long. The lines before it have been passed on.
    pub fn feed(&mut self, mut bytes: &[u8], mut each: impl FnMut(&[u8])) -> Result<(), TooLong> {
        if !self.rest.is_empty() {
            let Some(end) = memchr::memchr(b'\n', bytes) else {
                return self.keep(bytes);
            };
            self.keep(&bytes[..end])?;
            each(&self.rest);
            self.rest.clear();
            bytes = &bytes[end + 1..];
        }
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', bytes) {
            let line = &bytes[start..end];
            if line.len() > LINE_LIMIT {
                return Err(TooLong);
            }
            each(line);
            start = end + 1;
        }
        self.keep(&bytes[start..])
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<(), TooLong> {
        if self.rest.len() + bytes.len() > LINE_LIMIT {
            return Err(TooLong);
        }
        self.rest.extend_from_slice(bytes);
        Ok(())
    }

    /// Returns the text after the last newline: it counts as a line if the stream ended
    /// normally.
    pub fn last(&mut self) -> Option<Vec<u8>> {
        let rest = std::mem::take(&mut self.rest);
        (!rest.is_empty()).then_some(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_two_finite_numbers() {
        for (line, read) in [
            ("1 2", (1.0, 2.0)),
            ("1700000000000 21.5", (1.7e12, 21.5)),
            ("  -1.5e3\t +2  \r", (-1500.0, 2.0)),
            ("0   .5", (0.0, 0.5)),
            ("123456789012345 1", (123_456_789_012_345.0, 1.0)),
            ("9007199254740993 -0", (9_007_199_254_740_992.0, 0.0)),
        ] {
            assert_eq!(sample(line.as_bytes()), Some(read), "{line}");
        }
        for line in [
            "",
            "1",
            "1 ",
            " 1",
            "1,2",
            "1 2 3",
            "x y",
            "1 nan",
            "NaN 1",
            "inf 1",
            "1 -inf",
            "1 1e999",
            "0x10 1",
            "1 2;",
            "1_000 2",
            "1 \u{a0}2",
        ] {
            assert_eq!(sample(line.as_bytes()), None, "{line}");
        }
        assert_eq!(sample(&[0xff, b' ', b'1']), None);
    }

    #[test]
    fn times_are_of_this_century() {
        for (x, time) in [
            (946_684_799_999.0, false),
            (946_684_800_000.0, true),
            (4_102_444_800_000.0, true),
            (4_102_444_800_001.0, false),
            (0.0, false),
            (-1.7e12, false),
        ] {
            assert_eq!(is_time(x), time, "{x}");
        }
    }

    #[test]
    fn names_are_any_text_except_http_requests() {
        for (line, read) in [
            ("temp", "temp"),
            (" Küche oben \r", " Küche oben "),
            ("GET up", "GET up"),
            ("\u{feff}temp\r", "temp"),
        ] {
            assert_eq!(name(line.as_bytes()), Ok(read));
        }
        assert!(name(&[b'a'; 255]).is_ok());
        for line in [
            &b""[..],
            b"\r",
            &[b'a'; 256],
            b"\xff\xfe",
            b"GET / HTTP/1.1\r",
            b"POST /x HTTP/1.0",
        ] {
            assert!(name(line).is_err(), "{line:?}");
        }
    }

    #[test]
    fn lines_do_not_depend_on_how_the_stream_is_split() {
        let text = b"temp\n1 2\r\n\n3 4\nhalf";
        for size in 1..text.len() {
            let (mut lines, mut seen) = (Lines::default(), Vec::new());
            for piece in text.chunks(size) {
                let fed = lines.feed(piece, |line| seen.push(line.to_vec()));
                assert_eq!(fed, Ok(()));
            }
            assert_eq!(seen, [&b"temp"[..], b"1 2\r", b"", b"3 4"], "cut at {size}");
            assert_eq!(lines.last().as_deref(), Some(&b"half"[..]));
            assert_eq!(lines.last(), None);
        }
    }

    #[test]
    fn a_line_has_at_most_4096_bytes() {
        for (length, good) in [(LINE_LIMIT, true), (LINE_LIMIT + 1, false)] {
            let line = vec![b'a'; length];
            let whole = [&line[..], b"\n"].concat();
            let (mut count, mut lines) = (0, Lines::default());
            assert_eq!(lines.feed(&whole, |_| count += 1).is_ok(), good);
            assert_eq!(count, usize::from(good));
            let mut lines = Lines::default();
            let fed = whole
                .chunks(1000)
                .try_for_each(|piece| lines.feed(piece, |_| ()));
            assert_eq!(fed.is_ok(), good);
        }
    }
}
