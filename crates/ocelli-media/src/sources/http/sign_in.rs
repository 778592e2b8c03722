//! Authentication: which challenges of a camera are answered, and how.

use crate::sources::Credentials;
use crate::sources::auth_scheme::{Scheme, names};
use crate::sources::digest::Challenge;
use http::HeaderMap;
use http::header::WWW_AUTHENTICATE;

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
        let scheme = match Scheme::offered(&challenges) {
            Some(scheme) => scheme,
            None if challenges.is_empty() => Scheme::Basic,
            None => {
                return Err(format!(
                    "401: the camera offers only {} to sign in, which is not supported; \
                     supported are Basic, and Digest with MD5 or SHA-256",
                    names(&challenges).join(" and ")
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
        for info in headers.get_all("authentication-info") {
            self.scheme.note_info(info.as_bytes());
        }
    }

    /// Returns the signer that replaces this one after a signed request was answered with
    /// a challenge, or `None` if the password is wrong.
    pub(super) fn renewed(&self, headers: &HeaderMap) -> Option<Self> {
        let fresh = Self::new(headers).ok()?;
        fresh.scheme.renews(self.is_accepted).then_some(fresh)
    }

    /// Returns the `Authorization` header of a GET request, or `None` if user and password
    /// contain characters that are not allowed in a header.
    pub(super) fn authorization(
        &mut self,
        credentials: &Credentials,
        uri: &str,
    ) -> Option<Vec<u8>> {
        self.scheme.authorization(credentials, "GET", uri)
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
