//! The server side of HTTP authentication as cameras implement it: Basic (RFC 7617), and Digest
//! (RFC 7616) with MD5 and `qop=auth`.

use md5::{Digest, Md5};

/// The nonce of every challenge. It is constant because replay does not matter in tests.
const NONCE: &str = "6f63656c6c692d746573746b6974";
const REALM: &str = "testkit";

/// Returns the value of `WWW-Authenticate` for Digest.
pub fn challenge() -> String {
    format!("Digest realm=\"{REALM}\", qop=\"auth\", algorithm=MD5, nonce=\"{NONCE}\"")
}

/// Whether `Authorization: Basic …` has this user and password.
pub fn basic_fits(authorization: &str, user: &str, password: &str) -> bool {
    let wanted = base64(format!("{user}:{password}").as_bytes());
    authorization
        .split_once(' ')
        .is_some_and(|(scheme, given)| {
            scheme.eq_ignore_ascii_case("basic") && given.trim() == wanted
        })
}

/// Whether `Authorization: Digest …` is valid for this user, password and request.
pub fn digest_fits(
    authorization: &str,
    method: &str,
    target: &str,
    user: &str,
    password: &str,
) -> bool {
    let Some((scheme, fields)) = authorization.split_once(' ') else {
        return false;
    };
    let field = |name: &str| field(fields, name).unwrap_or_default();
    if !scheme.eq_ignore_ascii_case("digest")
        || field("nonce") != NONCE
        || field("username") != user
    {
        return false;
    }
    if field("uri") != target {
        return false;
    }
    let who = hash(&format!("{user}:{REALM}:{password}"));
    let what = hash(&format!("{method}:{target}"));
    let expected = if field("qop").is_empty() {
        hash(&format!("{who}:{NONCE}:{what}"))
    } else {
        let (count, client) = (field("nc"), field("cnonce"));
        hash(&format!(
            "{who}:{NONCE}:{count}:{client}:{}:{what}",
            field("qop")
        ))
    };
    field("response").eq_ignore_ascii_case(&expected)
}

/// Returns one field of `a=b, c="d, e"`, without its quotes.
fn field(fields: &str, name: &str) -> Option<String> {
    let mut rest = fields;
    while let Some((key, after)) = rest.split_once('=') {
        let (value, left) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_once(',').unwrap_or((after, "")),
        };
        if key.trim().eq_ignore_ascii_case(name) {
            return Some(value.trim().to_owned());
        }
        rest = left.trim_start().trim_start_matches(',');
    }
    None
}

fn hash(text: &str) -> String {
    let digest = Md5::digest(text.as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let word = three
            .iter()
            .fold(0u32, |word, byte| word << 8 | u32::from(*byte))
            << (8 * (3 - three.len()));
        for place in 0..4 {
            if place <= three.len() {
                let letter = LETTERS[(word >> (18 - 6 * place) & 63) as usize];
                text.push(char::from(letter));
            } else {
                text.push('=');
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_pads() {
        assert_eq!(base64(b"viewer:s3cret"), "dmlld2VyOnMzY3JldA==");
        assert_eq!(base64(b"abc"), "YWJj");
        assert_eq!(base64(b"ab"), "YWI=");
    }

    #[test]
    fn fields_with_quoted_commas_are_parsed() {
        let fields = "a=\"1, b=2\", b = 3, c=\"x\"";
        assert_eq!(field(fields, "b").as_deref(), Some("3"));
        assert_eq!(field(fields, "c").as_deref(), Some("x"));
        assert_eq!(field(fields, "d"), None);
    }
}
