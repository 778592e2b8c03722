//! Sanitizes external text for display in logs, responses and pages.
//!
//! Much of the text that the hub repeats comes from cameras, programs, devices and
//! requests. A control character in it could rewrite a terminal or forge a log line, and a
//! key entered in the wrong place would be visible to everyone who reads the message.

use std::borrow::Cow;

/// Prefixes of secrets, and how many characters must follow for a word to count as a secret. The
/// program's `auth` creates these secrets and tests that each is hidden here.
const MARKS: [(&str, usize); 3] = [("sk_", 20), ("wsk_", 20), ("pt_", 40)];
/// Prefixes of secrets of the form: prefix, 16 hexadecimal digits, a dot, the secret. The part
/// before the dot is an id, not a secret.
const NAMED: [&str; 2] = ["wall_", "ses_"];
/// Number of digits of such an id.
const ID_DIGITS: usize = 16;
/// Minimum length of such a secret if it is truncated.
const NAMED_SECRET: usize = 20;
/// This many consecutive hexadecimal digits are a one-time code or the secret part of a
/// key.
const HEX_DIGITS: usize = 40;
/// Replacement for a secret.
const HIDDEN: &str = "***";

/// Returns a text that is safe to display: printable and without secrets.
pub fn shown(text: &str) -> String {
    let text = without_secrets(text);
    match printable(&text) {
        Cow::Borrowed(_) => text.into_owned(),
        Cow::Owned(text) => text,
    }
}

/// Returns a text without control characters. Line breaks and tabs become spaces, the
/// others `\u{1b}` and the like. Characters that change the writing direction count as
/// control characters.
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_control) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\t' | '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}' => shown.push(' '),
            c if is_control(c) => shown.extend(c.escape_unicode()),
            c => shown.push(c),
        }
    }
    Cow::Owned(shown)
}

/// Whether a character controls the display of others (C0, C1, line separators, and the
/// marks of Unicode's bidirectional algorithm).
pub fn is_control(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}'
            | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Returns a text with `***` in place of everything that has the form of one of the hub's
/// secrets, including percent-encoded ones.
pub fn without_secrets(text: &str) -> Cow<'_, str> {
    if text.len() <= NAMED_SECRET {
        return Cow::Borrowed(text);
    }
    let units = decoded(text);
    let spans = secrets(&units);
    if spans.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    let mut copied = 0;
    for (first, end) in spans {
        shown.push_str(&text[copied..units[first].start]);
        shown.push_str(HIDDEN);
        copied = units[end - 1].end;
    }
    shown.push_str(&text[copied..]);
    Cow::Owned(shown)
}

/// Whether a text contains anything that has the form of one of the hub's secrets.
pub fn has_secret(text: &str) -> bool {
    matches!(without_secrets(text), Cow::Owned(_))
}

/// A character and its range in the text, in any encoding.
struct Unit {
    c: char,
    start: usize,
    end: usize,
}

/// Returns the characters of a text with percent-encoding resolved, however often it was
/// applied. This takes one pass: an escape is resolved when its last digit is reached.
fn decoded(text: &str) -> Vec<Unit> {
    let mut units: Vec<Unit> = Vec::with_capacity(text.len());
    for (start, c) in text.char_indices() {
        let end = start + c.len_utf8();
        units.push(Unit { c, start, end });
        while let [.., sign, high, low] = units.as_slice()
            && let Some(c) = escaped(sign.c, high.c, low.c)
        {
            let start = sign.start;
            units.truncate(units.len() - 3);
            units.push(Unit { c, start, end });
        }
    }
    units
}

/// Returns the ASCII character that an escape such as `%41` encodes.
fn escaped(sign: char, high: char, low: char) -> Option<char> {
    if sign != '%' {
        return None;
    }
    let byte = high.to_digit(16)? * 16 + low.to_digit(16)?;
    char::from_u32(byte).filter(char::is_ascii)
}

/// Returns the secrets as ranges of units, in order.
fn secrets(units: &[Unit]) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut begin = 0;
    let mut after_id = false;
    while begin < units.len() {
        let rest = &units[begin..];
        let length = rest.iter().take_while(|unit| in_token(unit.c)).count();
        let word = &rest[..length];
        let end = begin + length;
        if after_id && length >= NAMED_SECRET {
            found.push((begin, end));
        } else if let Some(at) = marked(word) {
            found.push((begin + at, end));
        } else {
            found.extend(hexadecimal(word).map(|(first, end)| (begin + first, begin + end)));
        }
        after_id = is_id(word) && units.get(end).is_some_and(|unit| unit.c == '.');
        begin = end + 1;
    }
    found
}

/// Whether a character can be part of a token.
fn in_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}

/// Whether a word begins with `mark`, ignoring case.
fn begins(word: &[Unit], mark: &str) -> bool {
    let mut units = word.iter();
    mark.chars().all(|c| {
        units
            .next()
            .is_some_and(|unit| unit.c.eq_ignore_ascii_case(&c))
    })
}

/// Returns where a marked secret begins in a word: at its start, or after `-` or `_`,
/// because the full name of a room has a prefix.
fn marked(word: &[Unit]) -> Option<usize> {
    (0..word.len()).find(|&at| {
        let starts = at == 0 || !word[at - 1].c.is_ascii_alphanumeric();
        starts
            && MARKS.iter().any(|(mark, least)| {
                begins(&word[at..], mark) && word.len() - at - mark.len() >= *least
            })
    })
}

/// Whether a word ends in an id that precedes a secret.
fn is_id(word: &[Unit]) -> bool {
    NAMED.iter().any(|mark| {
        let Some(at) = word.len().checked_sub(mark.len() + ID_DIGITS) else {
            return false;
        };
        let digits = &word[at + mark.len()..];
        begins(&word[at..], mark) && digits.iter().all(|unit| unit.c.is_ascii_hexdigit())
    })
}

/// Returns the long runs of hexadecimal digits in a word.
fn hexadecimal(word: &[Unit]) -> impl Iterator<Item = (usize, usize)> {
    let mut begin = 0;
    let rows = word.chunk_by(|one, next| one.c.is_ascii_hexdigit() && next.c.is_ascii_hexdigit());
    rows.map(move |row| {
        let first = begin;
        begin += row.len();
        (first, begin)
    })
    .filter(|(first, end)| end - first >= HEX_DIGITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn control_characters_are_escaped() {
        for (text, right) in [
            ("plain, ä, 日本", "plain, ä, 日本"),
            ("a\x1b[2Jb", "a\\u{1b}[2Jb"),
            ("a\r\nb\tc", "a  b c"),
            ("\u{9b}31m\u{7f}\0", "\\u{9b}31m\\u{7f}\\u{0}"),
            ("abc\u{202e}gpj.exe\u{2069}", "abc\\u{202e}gpj.exe\\u{2069}"),
            ("one\u{2028}two", "one two"),
        ] {
            assert_eq!(printable(text), right);
            assert_eq!(printable(right), right, "sanitizing again changes nothing");
        }
    }

    #[test]
    fn secrets_are_hidden_in_any_position_and_encoding() {
        let play = format!("pt_{}", "AQzZ-_09".repeat(10));
        let wall = format!("wall_0123456789abcdef.{HEX}");
        for (text, right) in [
            (format!("room \"sk_{HEX}\" x"), "room \"***\" x".to_owned()),
            (format!("live-wsk_{HEX}"), "live-***".to_owned()),
            (
                format!("/live/live/wsk%5F{HEX}/mjpeg"),
                "/live/live/***/mjpeg".to_owned(),
            ),
            (format!("%2577%73k_{HEX}?"), "***?".to_owned()),
            (format!("a?token={play}&b"), "a?token=***&b".to_owned()),
            (
                format!("a?token={}&b", play.replace('_', "%5f")),
                "a?token=***&b".to_owned(),
            ),
            (
                format!("#wall={wall}"),
                "#wall=wall_0123456789abcdef.***".to_owned(),
            ),
            (
                format!("ses_0123456789ABCDEF%2E{}.", &HEX[..30]),
                "ses_0123456789ABCDEF%2E***.".to_owned(),
            ),
            (format!("#code={}", &HEX[..40]), "#code=***".to_owned()),
            (format!("deskwsk_{HEX}"), "deskwsk_***".to_owned()),
            (format!("SK_{}", HEX.to_uppercase()), "***".to_owned()),
            (format!("sk_{HEX}é{HEX}"), "***é***".to_owned()),
        ] {
            assert_eq!(without_secrets(&text), right, "{text}");
            assert_eq!(without_secrets(&right), right, "{right}");
        }
    }

    #[test]
    fn other_text_is_unchanged() {
        for text in [
            "room \"sk_1\" of desk_0123456789012345678901234567",
            "wall_0123456789abcdef is no wall link. ses_0123456789abcdef.html",
            "tok_0123456789abcdef, usr_0123456789abcdef, wsi_0123456789abcdef",
            "script_the-quick-brown-fox-jumps-over-the-lazy-dog-at-noon",
            "0123456789abcdef0123456789abcdef",
            "100%, %zz, %4, %ff%fe, pt_the_camera_at_the_door",
        ] {
            assert_eq!(without_secrets(text), text);
        }
    }

    #[test]
    fn nested_encoding_takes_one_pass() {
        let text = format!("%{}73k_{HEX}", "25".repeat(100_000));
        assert_eq!(without_secrets(&text), "***");
    }
}
