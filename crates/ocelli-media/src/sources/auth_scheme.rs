//! Authentication scheme of a camera, for requests over HTTP and RTSP: Basic (RFC 7617) or
//! Digest. When a password is sent is decided by the protocols.

use super::Credentials;
use super::digest::{Challenge, Digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;

/// The longest name of a scheme or algorithm that a reason repeats, and their number.
const MAX_NAME: usize = 24;
const MAX_NAMES: usize = 4;

/// The scheme in which requests are signed.
pub enum Scheme {
    /// User and password in plain text.
    Basic,
    /// A hash of them.
    Digest(Digest),
}

impl Scheme {
    /// Returns the best scheme that these challenges offer: the first digest with a supported
    /// hash function, or else Basic.
    pub fn offered(challenges: &[Challenge]) -> Option<Self> {
        if let Some(digest) = challenges.iter().find_map(Digest::new) {
            return Some(Self::Digest(digest));
        }
        let has_basic = challenges.iter().any(|offer| offer.scheme == "basic");
        has_basic.then_some(Self::Basic)
    }

    /// Returns true if a password that was sent already may be sent again in answer to this
    /// offer. Cameras lock accounts, so it may only if the camera says that the nonce is stale,
    /// or if it has `accepted` the password before.
    pub fn renews(&self, accepted: bool) -> bool {
        matches!(self, Self::Digest(digest) if digest.is_stale || accepted)
    }

    /// Notes an `Authentication-Info` header of a response.
    pub fn note_info(&mut self, info: &[u8]) {
        if let Self::Digest(digest) = self {
            digest.renew(info);
        }
    }

    /// Returns the `Authorization` header of a request without a body, or `None` if user and
    /// password contain characters that are not allowed in a header, such as line ends.
    pub fn authorization(
        &mut self,
        credentials: &Credentials,
        method: &str,
        uri: &str,
    ) -> Option<Vec<u8>> {
        let Credentials { user, password } = credentials;
        let answer = match self {
            Self::Basic => {
                let encoded = STANDARD.encode(format!("{user}:{password}"));
                format!("Basic {encoded}").into_bytes()
            }
            Self::Digest(digest) => digest.answer(user, password, method, uri),
        };
        HeaderValue::from_bytes(&answer).is_ok().then_some(answer)
    }
}

/// Returns the names of the offered schemes, with the algorithm of each, for display.
pub fn names(challenges: &[Challenge]) -> Vec<String> {
    let name = |text: &str| {
        let usual = |c: &char| c.is_ascii_alphanumeric() || *c == '-';
        text.chars()
            .filter(usual)
            .take(MAX_NAME)
            .collect::<String>()
    };
    let names = challenges.iter().take(MAX_NAMES).map(|challenge| {
        let scheme = name(&challenge.scheme);
        match challenge.parameter("algorithm") {
            Some(algorithm) => {
                let algorithm = String::from_utf8_lossy(algorithm);
                format!("{scheme} with {}", name(&algorithm))
            }
            None => scheme,
        }
    });
    names.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_with_a_line_end_is_not_sent() {
        let credentials = |user: &str| Credentials {
            user: user.into(),
            password: "p".into(),
        };
        for header in ["Digest realm=\"x\", nonce=\"1\"", "Basic realm=\"x\""] {
            let mut scheme = Scheme::offered(&Challenge::all(header.as_bytes())).expect("a scheme");
            let usual = scheme.authorization(&credentials("ü"), "PLAY", "rtsp://cam/");
            assert!(usual.is_some(), "{header}");
        }
        let digest = Challenge::all(b"Digest realm=\"x\", nonce=\"1\"");
        let mut scheme = Scheme::offered(&digest).expect("a scheme");
        let user = credentials("a\r\nX: b");
        assert_eq!(scheme.authorization(&user, "PLAY", "rtsp://cam/"), None);
    }
}
