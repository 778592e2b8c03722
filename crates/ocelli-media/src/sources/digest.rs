//! Challenges of HTTP authentication, and answers to digest challenges (RFC 7616, RFC 2617 and
//! RFC 2069).
//!
//! Cameras deviate from the grammar: values that should be quoted are not, and the other way
//! round; commas are missing; realms are in UTF-8 or a local character set, and contain quotes.
//! The parser accepts everything that is unambiguous, and works on bytes, because a digest
//! covers the exact bytes of the realm.

use aws_lc_rs::digest::{self, SHA256, SHA512_256};
use aws_lc_rs::rand;
use md5::{Digest as _, Md5};

/// The most challenges and parameters that are parsed. Cameras send two challenges with six
/// parameters each.
const MAX_ITEMS: usize = 64;
/// The most bytes of a header that are parsed, because the time for it grows with the square.
const MAX_HEADER: usize = 2 << 10;

/// One challenge: its scheme and parameters.
#[derive(Debug, PartialEq, Eq)]
pub struct Challenge {
    /// The scheme in lower case.
    pub scheme: String,
    /// The parameters, with names in lower case.
    parameters: Vec<(String, Vec<u8>)>,
}

impl Challenge {
    /// Parses the challenges in one `WWW-Authenticate` header.
    pub fn all(header: &[u8]) -> Vec<Self> {
        let mut challenges: Vec<Self> = Vec::new();
        let mut rest = &header[..header.len().min(MAX_HEADER)];
        for _ in 0..MAX_ITEMS {
            rest = trim(rest);
            let word = word(rest);
            if word.is_empty() {
                match rest.split_first() {
                    // Not the start of anything: skipped.
                    Some((_, after)) => rest = after,
                    None => break,
                }
                continue;
            }
            let name = String::from_utf8_lossy(word).to_ascii_lowercase();
            rest = &rest[word.len()..];
            let after = rest.trim_ascii_start();
            match (after.strip_prefix(b"="), challenges.last_mut()) {
                (Some(after), Some(challenge)) => {
                    let (value, left) = value(after.trim_ascii_start());
                    challenge.parameters.push((name, value));
                    rest = left;
                }
                (Some(after), None) => rest = after,
                (None, _) => challenges.push(Self {
                    scheme: name,
                    parameters: Vec::new(),
                }),
            }
        }
        challenges
    }

    /// Returns the first parameter with this name.
    pub fn parameter(&self, name: &str) -> Option<&[u8]> {
        let mut parameters = self.parameters.iter();
        let found = parameters.find(|(own, _)| own == name);
        found.map(|(_, value)| value.as_slice())
    }

    /// Returns true if a parameter has this value, in any case.
    fn is(&self, name: &str, wanted: &str) -> bool {
        self.parameter(name)
            .is_some_and(|value| value.trim_ascii().eq_ignore_ascii_case(wanted.as_bytes()))
    }
}

/// Removes separators in front.
fn trim(bytes: &[u8]) -> &[u8] {
    let is_separator = |byte: &u8| matches!(byte, b' ' | b'\t' | b',' | b';');
    let start = bytes.iter().position(|byte| !is_separator(byte));
    &bytes[start.unwrap_or(bytes.len())..]
}

/// Returns the name in front.
fn word(bytes: &[u8]) -> &[u8] {
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    let end = bytes.iter().position(|byte| !is_name(byte));
    &bytes[..end.unwrap_or(bytes.len())]
}

/// Returns true if a value can end in front of `rest`: nothing follows, a separator, or the
/// next parameter.
fn ends(rest: &[u8]) -> bool {
    let blank = rest.first().is_some_and(u8::is_ascii_whitespace);
    let rest = rest.trim_ascii_start();
    let is_next = || {
        let name = word(rest);
        let next = rest[name.len()..].trim_ascii_start();
        !name.is_empty() && next.starts_with(b"=")
    };
    matches!(rest, [] | [b',' | b';', ..]) || (blank && is_next())
}

/// Returns the value in front, without quotes, and the rest.
fn value(bytes: &[u8]) -> (Vec<u8>, &[u8]) {
    let Some(quoted) = bytes.strip_prefix(b"\"") else {
        let end = (0..bytes.len()).find(|at| ends(&bytes[*at..]));
        let (value, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
        return (value.trim_ascii().to_vec(), rest);
    };
    let mut value = Vec::new();
    let mut rest = quoted;
    loop {
        match rest {
            [] => return (value, rest),
            [b'\\', byte, after @ ..] => {
                value.push(*byte);
                rest = after;
            }
            // A quote that is part of the value is followed by more of it.
            [b'"', after @ ..] if ends(after) => return (value, after),
            [byte, after @ ..] => {
                value.push(*byte);
                rest = after;
            }
        }
    }
}

/// Hash function of a digest challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hash {
    Md5,
    Sha256,
    Sha512_256,
}

impl Hash {
    /// Returns the hash of the parts, with colons between them, in hexadecimal.
    fn of(self, parts: &[&[u8]]) -> String {
        let joined = parts.join(&b':');
        match self {
            Self::Md5 => hex(&Md5::digest(&joined)),
            Self::Sha256 => hex(digest::digest(&SHA256, &joined).as_ref()),
            Self::Sha512_256 => hex(digest::digest(&SHA512_256, &joined).as_ref()),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Digest challenge, answered in each request.
#[derive(Debug)]
pub struct Digest {
    hash: Hash,
    /// The algorithm as the camera wrote it, if it did.
    algorithm: Option<Vec<u8>>,
    /// Whether the hash of user and password depends on the nonces.
    is_session: bool,
    realm: Vec<u8>,
    nonce: Vec<u8>,
    opaque: Option<Vec<u8>>,
    /// The quality of protection; `None` for RFC 2069.
    qop: Option<&'static str>,
    /// Whether the camera requires a hash in place of the user name.
    hides_user: bool,
    /// Whether the camera says that the password is right but the nonce was too old.
    pub is_stale: bool,
    /// Number of requests with this nonce.
    count: u32,
}

impl Digest {
    /// Returns the digest of a challenge, or `None` if that is another scheme or needs a hash
    /// function that is not supported.
    pub fn new(challenge: &Challenge) -> Option<Self> {
        if challenge.scheme != "digest" {
            return None;
        }
        let given = |name: &str| challenge.parameter(name).map(<[u8]>::to_vec);
        let algorithm = given("algorithm").filter(|name| !name.is_empty());
        let name = String::from_utf8_lossy(algorithm.as_deref().unwrap_or(b"MD5"));
        let name = name.trim().to_ascii_lowercase();
        let (name, is_session) = match name.strip_suffix("-sess") {
            Some(name) => (name, true),
            None => (name.as_str(), false),
        };
        let hash = match name {
            "md5" => Hash::Md5,
            "sha-256" | "sha256" => Hash::Sha256,
            "sha-512-256" => Hash::Sha512_256,
            _ => return None,
        };
        let offered = String::from_utf8_lossy(challenge.parameter("qop").unwrap_or_default());
        let offers = |wanted: &str| {
            let mut offered = offered.split([',', ' ', ';']);
            offered.any(|qop| qop.trim().eq_ignore_ascii_case(wanted))
        };
        // Few of the cameras that offer `auth-int` support it.
        let qop = ["auth", "auth-int"].into_iter().find(|qop| offers(qop));
        Some(Self {
            hash,
            algorithm,
            is_session,
            realm: given("realm").unwrap_or_default(),
            nonce: given("nonce").unwrap_or_default(),
            opaque: given("opaque").filter(|opaque| !opaque.is_empty()),
            qop,
            hides_user: challenge.is("userhash", "true"),
            is_stale: challenge.is("stale", "true"),
            count: 0,
        })
    }

    /// Switches to the nonce that the camera announces for the next request.
    pub fn renew(&mut self, authentication_info: &[u8]) {
        // The header has the form of a challenge without a scheme.
        let whole = [b"digest ", authentication_info].concat();
        let announced = Challenge::all(&whole);
        let nonce = announced
            .first()
            .and_then(|info| info.parameter("nextnonce"));
        if let Some(nonce) = nonce.filter(|nonce| !nonce.is_empty()) {
            self.nonce = nonce.to_vec();
            self.count = 0;
        }
    }

    /// Returns the `Authorization` header of a request without a body.
    pub fn answer(&mut self, user: &str, password: &str, method: &str, uri: &str) -> Vec<u8> {
        let mut random = [0; 8];
        // Without randomness the answer is still right; only replay is easier to detect.
        let _ = rand::fill(&mut random);
        self.answer_with(user, password, method, uri, &hex(&random))
    }

    fn answer_with(
        &mut self,
        user: &str,
        password: &str,
        method: &str,
        uri: &str,
        own_nonce: &str,
    ) -> Vec<u8> {
        let hash = |parts: &[&[u8]]| self.hash.of(parts);
        let mut who = hash(&[user.as_bytes(), &self.realm, password.as_bytes()]);
        if self.is_session {
            who = hash(&[who.as_bytes(), &self.nonce, own_nonce.as_bytes()]);
        }
        let what = match self.qop {
            Some("auth-int") => {
                let body = hash(&[]);
                hash(&[method.as_bytes(), uri.as_bytes(), body.as_bytes()])
            }
            _ => hash(&[method.as_bytes(), uri.as_bytes()]),
        };
        self.count = self.count.saturating_add(1);
        let count = format!("{:08x}", self.count);
        let response = match self.qop {
            Some(qop) => hash(&[
                who.as_bytes(),
                &self.nonce,
                count.as_bytes(),
                own_nonce.as_bytes(),
                qop.as_bytes(),
                what.as_bytes(),
            ]),
            None => hash(&[who.as_bytes(), &self.nonce, what.as_bytes()]),
        };
        let user = match self.hides_user {
            true => hash(&[user.as_bytes(), &self.realm]),
            false => user.to_owned(),
        };
        let mut out = Vec::from("Digest ");
        quote(&mut out, "username", user.as_bytes());
        for (name, value) in [("realm", &*self.realm), ("nonce", &*self.nonce)] {
            out.extend_from_slice(b", ");
            quote(&mut out, name, value);
        }
        for (name, value) in [("uri", uri), ("response", &response)] {
            out.extend_from_slice(b", ");
            quote(&mut out, name, value.as_bytes());
        }
        if let Some(algorithm) = &self.algorithm {
            out.extend_from_slice(b", algorithm=");
            out.extend_from_slice(algorithm);
        }
        if let Some(opaque) = &self.opaque {
            out.extend_from_slice(b", ");
            quote(&mut out, "opaque", opaque);
        }
        if let Some(qop) = self.qop {
            out.extend(format!(", qop={qop}, nc={count}, cnonce=\"{own_nonce}\"").bytes());
        } else if self.is_session {
            out.extend(format!(", cnonce=\"{own_nonce}\"").bytes());
        }
        if self.hides_user {
            out.extend_from_slice(b", userhash=true");
        }
        out
    }
}

fn quote(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"=\"");
    for byte in value {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(*byte);
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(header: &str) -> Vec<(String, Vec<(String, String)>)> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let challenges = Challenge::all(header.as_bytes()).into_iter();
        let each = challenges.map(|challenge| {
            let parameters = challenge.parameters.iter();
            let parameters = parameters.map(|(name, value)| (name.clone(), text(value)));
            (challenge.scheme, parameters.collect())
        });
        each.collect()
    }

    #[test]
    fn unusual_challenges_are_parsed() {
        for (header, realm, nonce) in [
            ("Digest realm=\"a b\", nonce=\"1\"", "a b", "1"),
            ("Digest realm=\"a\" nonce=\"1\"", "a", "1"),
            ("digest  REALM = \"a\" ; Nonce = 1==", "a", "1=="),
            ("Digest realm=IP Camera, nonce=1", "IP Camera", "1"),
            ("Digest realm=IP Camera nonce=1", "IP Camera", "1"),
            (
                "Digest nonce=\"1\",realm=\"my \"cam\"\",",
                "my \"cam\"",
                "1",
            ),
            (
                "Digest realm=\"a\\\"b\", nonce=\"1, realm=2\"",
                "a\"b",
                "1, realm=2",
            ),
            ("Digest realm=\"Гараж\", nonce=\"1\"", "Гараж", "1"),
            ("Digest realm=\"\", nonce=\"1", "", "1"),
        ] {
            let challenges = Challenge::all(header.as_bytes());
            let [challenge] = &challenges[..] else {
                panic!("{header}: {challenges:?}");
            };
            assert_eq!(
                challenge.parameter("realm"),
                Some(realm.as_bytes()),
                "{header}"
            );
            assert_eq!(
                challenge.parameter("nonce"),
                Some(nonce.as_bytes()),
                "{header}"
            );
        }
        let both =
            parsed("Basic realm=\"x\", Digest realm=\"y\", nonce=\"1\", stale=FALSE, Bearer");
        let schemes: Vec<_> = both.iter().map(|(scheme, _)| scheme.as_str()).collect();
        assert_eq!(schemes, ["basic", "digest", "bearer"]);
        assert!(parsed("").is_empty() && parsed(",=,\"").is_empty());
        assert!(parsed(&"a ".repeat(100_000)).len() <= MAX_ITEMS);
    }

    fn digest(header: &str) -> Digest {
        let challenges = Challenge::all(header.as_bytes());
        Digest::new(challenges.first().expect("a challenge")).expect("a digest")
    }

    fn response(digest: &mut Digest, user: &str, password: &str, uri: &str, own: &str) -> String {
        let answer = digest.answer_with(user, password, "GET", uri, own);
        let challenges = Challenge::all(&answer);
        let response = challenges[0].parameter("response").expect("a response");
        String::from_utf8_lossy(response).into_owned()
    }

    #[test]
    fn the_examples_of_the_standards_are_answered() {
        let mut md5 = digest(
            "Digest realm=\"testrealm@host.com\", qop=\"auth,auth-int\", \
             nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"",
        );
        assert_eq!(
            response(
                &mut md5,
                "Mufasa",
                "Circle Of Life",
                "/dir/index.html",
                "0a4f113b"
            ),
            "6629fae49393a05397450978507c4ef1"
        );
        let nonce = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v";
        let own = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
        let header = format!(
            "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm=SHA-256, \
             nonce=\"{nonce}\", opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
        );
        assert_eq!(
            response(
                &mut digest(&header),
                "Mufasa",
                "Circle of Life",
                "/dir/index.html",
                own
            ),
            "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"
        );
    }

    #[test]
    fn each_form_is_answered_in_kind() {
        let answer = |header: &str| {
            let mut digest = digest(header);
            let answer = digest.answer_with("ü", "p", "PLAY", "rtsp://cam/", "c");
            String::from_utf8(answer).expect("text")
        };
        let old = answer("Digest realm=\"x\", nonce=\"1\"");
        assert!(!old.contains("qop") && !old.contains("algorithm"), "{old}");
        let bare = answer("Digest realm=\"x\", nonce=\"1\", algorithm=\"SHA-256\"");
        assert!(
            bare.contains("algorithm=SHA-256") && !bare.contains("qop"),
            "{bare}"
        );
        let own = Hash::Sha256;
        let who = own.of(&["ü".as_bytes(), b"x", b"p"]);
        let what = own.of(&[b"PLAY", b"rtsp://cam/"]);
        let expected = own.of(&[who.as_bytes(), b"1", what.as_bytes()]);
        assert!(bare.contains(&format!("response=\"{expected}\"")), "{bare}");
        let both = answer("Digest realm=\"x\", nonce=\"1\", qop=\"auth-int, auth\"");
        assert!(
            both.contains("qop=auth,") && both.contains("nc=00000001"),
            "{both}"
        );
        let whole = answer("Digest realm=\"x\", nonce=\"1\", qop=auth-int");
        assert!(whole.contains("qop=auth-int,"), "{whole}");
        let session = answer("Digest realm=\"x\", nonce=\"1\", algorithm=MD5-sess, qop=auth");
        assert!(session.contains("algorithm=MD5-sess"), "{session}");
        let odd = answer("Digest realm=\"a\\\"b\", nonce=\"1\", opaque=\"o\", userhash=true");
        assert!(
            odd.contains("realm=\"a\\\"b\"") && odd.contains("opaque=\"o\""),
            "{odd}"
        );
        assert!(
            !odd.contains('ü') && odd.ends_with("userhash=true"),
            "{odd}"
        );
        let unknown = Challenge::all(b"Digest realm=\"x\", nonce=\"1\", algorithm=SHA3-256");
        assert!(Digest::new(&unknown[0]).is_none());
    }

    #[test]
    fn the_next_nonce_is_used() {
        let mut digest = digest("Digest realm=\"x\", nonce=\"1\", qop=auth");
        digest.answer("u", "p", "PLAY", "rtsp://cam/");
        digest.renew(b"rspauth=\"0\", nextnonce=\"2\", qop=auth");
        let answer = digest.answer("u", "p", "PLAY", "rtsp://cam/");
        let answer = String::from_utf8(answer).expect("text");
        assert!(
            answer.contains("nonce=\"2\"") && answer.contains("nc=00000001"),
            "{answer}"
        );
    }
}
