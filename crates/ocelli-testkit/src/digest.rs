//! The server side of HTTP authentication as cameras implement it: Basic (RFC 7617), and Digest
//! (RFC 7616).

use aws_lc_rs::digest::{SHA256, digest};
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
    let check = DigestCheck {
        realm: REALM.as_bytes(),
        nonce: NONCE,
        algorithm: "MD5",
    };
    let Some((_, fields)) = authorization.split_once(' ') else {
        return false;
    };
    field(fields, "uri").as_deref() == Some(target)
        && check.fits(authorization, method, user, password)
}

/// A digest challenge of a camera, to check the response to it.
#[derive(Clone, Copy, Debug)]
pub struct DigestCheck<'a> {
    /// The realm, in any character set.
    pub realm: &'a [u8],
    /// The nonce.
    pub nonce: &'a str,
    /// `MD5`, `SHA-256`, or one of them with `-sess`.
    pub algorithm: &'a str,
}

impl DigestCheck<'_> {
    /// Whether `Authorization: Digest …` is valid for this user, password and method.
    pub fn fits(&self, authorization: &str, method: &str, user: &str, password: &str) -> bool {
        let Some((scheme, fields)) = authorization.split_once(' ') else {
            return false;
        };
        let field = |name: &str| field(fields, name).unwrap_or_default();
        let known = (field("nonce"), field("username"));
        if !scheme.eq_ignore_ascii_case("digest") || known != (self.nonce.into(), user.into()) {
            return false;
        }
        let (nonce, own) = (self.nonce.as_bytes(), field("cnonce"));
        let mut who = self.hash(&[user.as_bytes(), self.realm, password.as_bytes()]);
        if self.algorithm.ends_with("-sess") {
            who = self.hash(&[who.as_bytes(), nonce, own.as_bytes()]);
        }
        let (uri, qop, count) = (field("uri"), field("qop"), field("nc"));
        let body = self.hash(&[]);
        let mut what = vec![method.as_bytes(), uri.as_bytes()];
        if qop == "auth-int" {
            what.push(body.as_bytes());
        }
        let what = self.hash(&what);
        let expected = match &*qop {
            "" => self.hash(&[who.as_bytes(), nonce, what.as_bytes()]),
            qop => self.hash(&[
                who.as_bytes(),
                nonce,
                count.as_bytes(),
                own.as_bytes(),
                qop.as_bytes(),
                what.as_bytes(),
            ]),
        };
        field("response").eq_ignore_ascii_case(&expected)
    }

    fn hash(&self, parts: &[&[u8]]) -> String {
        let joined = parts.join(&b':');
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        match self.algorithm.starts_with("SHA-256") {
            true => hex(digest(&SHA256, &joined).as_ref()),
            false => hex(&Md5::digest(&joined)),
        }
    }
}

/// Returns one field of `a=b, c="d, \"e\""`, without its quotes.
fn field(fields: &str, name: &str) -> Option<String> {
    let mut rest = fields;
    while let Some((key, after)) = rest.split_once('=') {
        let mut value = String::new();
        let mut characters = after.chars();
        if after.starts_with('"') {
            characters.next();
            while let Some(character) = characters.next() {
                match character {
                    '"' => break,
                    '\\' => value.extend(characters.next()),
                    other => value.push(other),
                }
            }
        } else {
            value.extend(
                characters
                    .by_ref()
                    .take_while(|character| *character != ','),
            );
        }
        if key.trim().eq_ignore_ascii_case(name) {
            return Some(value.trim().to_owned());
        }
        rest = characters.as_str().trim_start().trim_start_matches(',');
    }
    None
}

pub(crate) fn base64(bytes: &[u8]) -> String {
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
