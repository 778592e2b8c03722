//! Authentication: which challenges of a camera are answered, and how.

use crate::sources::Credentials;
use crate::sources::digest::{Challenge, Digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::{HeaderValue, WWW_AUTHENTICATE};

/// The longest name of a scheme or algorithm that a reason repeats, and their number.
const MAX_NAME: usize = 24;
const MAX_NAMES: usize = 4;

/// The scheme in which requests are signed.
enum Scheme {
    Basic,
    Digest(Digest),
}

/// Signs requests in answer to a camera's challenge.
pub(super) struct Signer {
    scheme: Scheme,
    /// Whether the camera has accepted a request with this password.
    is_accepted: bool,
}

impl Signer {
    /// Creates a signer for the challenges in a 401 response: the first digest with a supported
    /// hash function, or else Basic. A camera that sends no challenge gets Basic, as from curl.
    ///
    /// # Errors
    /// None of the challenges is supported. The error is the reason.
    pub(super) fn new(headers: &HeaderMap) -> Result<Self, String> {
        let challenges = challenges(headers);
        let digest = challenges.iter().find_map(Digest::new);
        let has_basic = challenges.iter().any(|offer| offer.scheme == "basic");
        let scheme = match digest {
            Some(digest) => Scheme::Digest(digest),
            None if has_basic || challenges.is_empty() => Scheme::Basic,
            None => {
                return Err(format!(
                    "401: the camera offers only {} to sign in, which is not supported; \
                     supported are Basic, and Digest with MD5 or SHA-256",
                    offers(&challenges)
                ));
            }
        };
        Ok(Self {
            scheme,
            is_accepted: false,
        })
    }

    /// Notes a successful response to a signed request.
    pub(super) fn accept(&mut self, headers: &HeaderMap) {
        self.is_accepted = true;
        if let Scheme::Digest(digest) = &mut self.scheme {
            for info in headers.get_all("authentication-info") {
                digest.renew(info.as_bytes());
            }
        }
    }

    /// Returns the signer that replaces this one after a signed request was answered with
    /// a challenge, or `None` if the password is wrong. Cameras lock accounts, so a password is
    /// sent again only if the camera says that the nonce is stale, or if it has accepted the
    /// password before.
    pub(super) fn renewed(&self, headers: &HeaderMap) -> Option<Self> {
        let fresh = Self::new(headers).ok()?;
        match &fresh.scheme {
            Scheme::Digest(digest) if digest.is_stale || self.is_accepted => Some(fresh),
            _ => None,
        }
    }

    /// Returns the `Authorization` header of a GET request, or `None` if user and password
    /// contain characters that are not allowed in a header.
    pub(super) fn authorization(
        &mut self,
        credentials: &Credentials,
        uri: &str,
    ) -> Option<Vec<u8>> {
        let Credentials { user, password } = credentials;
        let answer = match &mut self.scheme {
            Scheme::Basic => {
                let encoded = STANDARD.encode(format!("{user}:{password}"));
                format!("Basic {encoded}").into_bytes()
            }
            Scheme::Digest(digest) => digest.answer(user, password, "GET", uri),
        };
        HeaderValue::from_bytes(&answer).is_ok().then_some(answer)
    }
}

/// Returns the reason for a 401 response to a request with these credentials.
pub(super) fn refusal(headers: &HeaderMap, has_credentials: bool) -> String {
    let is_silent = challenges(headers).is_empty();
    let reason = match (has_credentials, is_silent) {
        (false, false) => "user and password required",
        (false, true) => {
            "user and password required, although the camera offers no way to sign in \
             (it sends no WWW-Authenticate header)"
        }
        (true, false) => "wrong user or password",
        (true, true) => {
            "wrong user or password, or another way to sign in: the camera offers none (it \
             sends no WWW-Authenticate header) and refuses Basic"
        }
    };
    format!("401: {reason}")
}

fn challenges(headers: &HeaderMap) -> Vec<Challenge> {
    let values = headers.get_all(WWW_AUTHENTICATE).iter();
    values
        .flat_map(|value| Challenge::all(value.as_bytes()))
        .collect()
}

/// Returns the schemes that a camera offers, with the algorithm of each.
fn offers(challenges: &[Challenge]) -> String {
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
    names.collect::<Vec<_>>().join(" and ")
}
