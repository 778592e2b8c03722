//! `Sec-WebSocket-Accept`: the expected value, and the known mistakes that lead to another
//! value.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use md5::Md5;
use sha1::{Digest, Sha1};
use std::fmt::Write;

/// The GUID that RFC 6455 appends to the key.
pub const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The expected value for a key.
pub fn expected(key: &str) -> String {
    STANDARD.encode(Sha1::digest(format!("{key}{GUID}")))
}

/// One variant of a step, with its description if it is a mistake.
struct Variant<T> {
    value: T,
    explanation: Option<String>,
}

fn correct<T>(value: T) -> Variant<T> {
    Variant {
        value,
        explanation: None,
    }
}

fn mistake<T>(value: T, explanation: impl Into<String>) -> Variant<T> {
    Variant {
        value,
        explanation: Some(explanation.into()),
    }
}

/// Wrong GUIDs that have been seen: misremembered, mistyped, or made up by language
/// models.
const WRONG_GUIDS: [&str; 4] = [
    "258EAFA5-E914-47DA-95CA-5AB5F43F86A2",
    "258EAFA5-E914-47DA-95CA-5AB0DC85B11",
    "258EAFA5-E914-47DA-95CA-C5AB0DC85B1",
    "258EAFA5-E914-47DA-95CA-C5AB5DC85B11",
];

fn guids() -> Vec<Variant<Vec<u8>>> {
    let mut ways = vec![correct(GUID.into())];
    for guid in WRONG_GUIDS {
        let explanation = format!("it appends the wrong GUID {guid}; the right one is {GUID}");
        ways.push(mistake(guid.into(), explanation));
    }
    let lower = GUID.to_lowercase();
    ways.push(mistake(
        lower.into(),
        "it appends the GUID in lower case; it must be in upper case",
    ));
    let bare = GUID.replace('-', "");
    ways.push(mistake(
        bare.clone().into(),
        "it appends the GUID without its hyphens",
    ));
    ways.push(mistake(
        format!("{{{GUID}}}").into(),
        "it appends the GUID in braces",
    ));
    for (end, name) in [
        ("\0", "a zero byte"),
        ("\n", "a line feed"),
        ("\r\n", "a line ending"),
        (" ", "a space"),
    ] {
        ways.push(mistake(
            format!("{GUID}{end}").into(),
            format!("it also hashes {name} after the GUID"),
        ));
    }
    let octets = (0..bare.len()).step_by(2);
    let octets = octets.filter_map(|at| u8::from_str_radix(&bare[at..at + 2], 16).ok());
    ways.push(mistake(
        octets.collect(),
        "it appends the GUID as 16 bytes; it must be text",
    ));
    ways.push(mistake(Vec::new(), "it leaves the GUID out"));
    ways
}

/// The key of RFC 6455's example.
const EXAMPLE_KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

fn keys(key: &str) -> Vec<Variant<Vec<u8>>> {
    let mut ways = vec![correct(key.into())];
    if let Ok(decoded) = STANDARD.decode(key) {
        ways.push(mistake(
            decoded,
            "it decodes the key from base64 before hashing; it must hash the key as text",
        ));
    }
    for (before, after, name) in [
        (" ", "", "the space before the key"),
        ("", " ", "a space after the key"),
        ("", "\r", "a carriage return after the key"),
        ("", "\n", "a line feed after the key"),
        ("", "\r\n", "the line ending after the key"),
        ("\"", "\"", "quotes around the key"),
        (
            "Sec-WebSocket-Key: ",
            "",
            "the header's name before the key",
        ),
    ] {
        ways.push(mistake(
            format!("{before}{key}{after}").into(),
            format!("it also hashes {name}"),
        ));
    }
    ways.push(mistake(
        key.to_lowercase().into(),
        "it hashes the key in lower case",
    ));
    ways.push(mistake(
        key.to_uppercase().into(),
        "it hashes the key in upper case",
    ));
    ways.push(mistake(
        key.trim_end_matches('=').into(),
        "it hashes the key without the = at its end",
    ));
    ways.push(mistake(
        EXAMPLE_KEY.into(),
        "it hashes the example key of the standard instead of the key of the request",
    ));
    ways.push(mistake(Vec::new(), "it hashes the GUID without the key"));
    ways
}

fn digests(text: &[u8]) -> [Variant<Vec<u8>>; 2] {
    [
        correct(Sha1::digest(text).to_vec()),
        mistake(
            Md5::digest(text).to_vec(),
            "it hashes with MD5; it must use SHA-1",
        ),
    ]
}

fn encodings(digest: &[u8]) -> Vec<Variant<String>> {
    let mut hex = String::new();
    for byte in digest {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    let upper = hex.to_uppercase();
    let of_hex = "it encodes the hash's hexadecimal text; it must encode the 20 raw bytes";
    vec![
        correct(STANDARD.encode(digest)),
        mistake(
            STANDARD_NO_PAD.encode(digest),
            "it leaves out the = at the end",
        ),
        mistake(
            URL_SAFE.encode(digest),
            "it writes base64 with - and _; it must use + and /",
        ),
        mistake(
            URL_SAFE_NO_PAD.encode(digest),
            "it writes base64 for URLs; it must use standard base64 with = at the end",
        ),
        mistake(STANDARD.encode(&hex), of_hex),
        mistake(STANDARD.encode(&upper), of_hex),
        mistake(hex, "it writes the hash in hexadecimal; it must use base64"),
        mistake(
            upper,
            "it writes the hash in hexadecimal; it must use base64",
        ),
    ]
}

/// The smallest set of known mistakes that turns `key` into `received`; `None` if there is
/// no such set.
pub fn mistakes(key: &str, received: &str) -> Option<Vec<String>> {
    if received == key {
        return Some(vec!["it sends the key back unchanged".to_owned()]);
    }
    if received.eq_ignore_ascii_case(&expected(key)) {
        let explanation = "it changes the case of the result, but base64 is case-sensitive";
        return Some(vec![explanation.to_owned()]);
    }
    let mut found: Option<Vec<String>> = None;
    let (keys, guids) = (keys(key), guids());
    for (key, guid) in keys
        .iter()
        .flat_map(|key| guids.iter().map(move |guid| (key, guid)))
    {
        for order in [
            correct([&key.value[..], &guid.value].concat()),
            mistake(
                [&guid.value[..], &key.value].concat(),
                "it puts the GUID before the key; the GUID must come after it",
            ),
        ] {
            for digest in digests(&order.value) {
                for encoding in encodings(&digest.value) {
                    if encoding.value != received {
                        continue;
                    }
                    let explanation = [
                        &key.explanation,
                        &guid.explanation,
                        &order.explanation,
                        &digest.explanation,
                        &encoding.explanation,
                    ];
                    let explanation: Vec<_> = explanation.into_iter().flatten().cloned().collect();
                    if found
                        .as_ref()
                        .is_none_or(|best| explanation.len() < best.len())
                    {
                        found = Some(explanation);
                    }
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = EXAMPLE_KEY;

    #[test]
    fn the_example_of_rfc_6455() {
        assert_eq!(expected(KEY), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    fn description(received: &str) -> String {
        mistakes("x3JJHMbDL1EzLkh9GBhXDw==", received)
            .unwrap_or_default()
            .join(" and ")
    }

    fn sha1(text: &str) -> Vec<u8> {
        Sha1::digest(text).to_vec()
    }

    #[test]
    fn known_mistakes_are_distinguished() {
        let key = "x3JJHMbDL1EzLkh9GBhXDw==";
        let cases = [
            (
                STANDARD.encode(sha1(&format!("{key}{}", WRONG_GUIDS[0]))),
                "wrong GUID 258EAFA5-E914-47DA-95CA-5AB5F43F86A2",
            ),
            (
                STANDARD.encode(sha1(&format!("{key}{}", GUID.to_lowercase()))),
                "lower case",
            ),
            (STANDARD.encode(sha1(GUID)), "without the key"),
            (STANDARD.encode(sha1(key)), "leaves the GUID out"),
            (
                STANDARD.encode(sha1(&format!("{GUID}{key}"))),
                "before the key",
            ),
            (STANDARD.encode(Md5::digest(format!("{key}{GUID}"))), "MD5"),
            (key.to_owned(), "unchanged"),
            (expected(key).to_lowercase(), "changes the case"),
            (expected(KEY), "example key"),
            (
                expected(key).trim_end_matches('=').to_owned(),
                "leaves out the =",
            ),
        ];
        for (received, explanation) in cases {
            assert!(
                description(&received).contains(explanation),
                "{explanation}: {}",
                description(&received)
            );
        }
        let decoded = [&STANDARD.decode(key).expect("base64")[..], GUID.as_bytes()].concat();
        assert!(description(&STANDARD.encode(Sha1::digest(decoded))).contains("decodes the key"));
        assert!(description("AAAAAAAAAAAAAAAAAAAAAAAAAAA=").is_empty());
    }
}
