//! RTSP authentication: basic and digest, with renewed challenges.

use super::super::Credentials;
use super::super::auth_scheme::{Scheme, names};
use super::super::digest::Challenge;
use super::error::SessionError;
use super::message::Message;

/// Signs requests in answer to a camera's challenges.
pub struct Signer {
    credentials: Option<Credentials>,
    /// The current scheme, used for each request.
    scheme: Option<Scheme>,
    /// Whether the camera has accepted the password.
    accepted: bool,
}

impl Signer {
    /// Creates a signer for these credentials, if there are any.
    pub fn new(credentials: Option<Credentials>) -> Self {
        Self {
            credentials,
            scheme: None,
            accepted: false,
        }
    }

    /// Returns true if requests are signed, because the camera has sent a challenge.
    pub fn signs(&self) -> bool {
        self.scheme.is_some()
    }

    /// Returns the `Authorization` header of a request, once the camera has sent a challenge.
    pub fn authorization(&mut self, method: &str, uri: &str) -> Option<Vec<u8>> {
        let credentials = self.credentials.as_ref()?;
        self.scheme
            .as_mut()?
            .authorization(credentials, method, uri)
    }

    /// Handles a 401 response; `signed` states whether the request was signed. If this returns
    /// `Ok`, the caller may sign and send the request again.
    ///
    /// Cameras lock accounts, so a password that has not been accepted yet is sent once, and
    /// once more only if the camera marks the challenge as stale.
    pub fn challenged(&mut self, unauthorized: &Message, signed: bool) -> Result<(), SessionError> {
        let refused = Err(SessionError::Status(401, "the request"));
        if self.credentials.is_none() {
            return refused;
        }
        let challenges: Vec<_> = unauthorized
            .raw_headers("WWW-Authenticate")
            .flat_map(Challenge::all)
            .collect();
        let Some(scheme) = Scheme::offered(&challenges) else {
            return if signed {
                refused
            } else {
                Err(SessionError::Challenge(names(&challenges).join(", ")))
            };
        };
        if signed && !scheme.renews(self.accepted) {
            return refused;
        }
        self.scheme = Some(scheme);
        Ok(())
    }

    /// Notes a successful response to a request.
    pub fn accepted(&mut self, answer: &Message) {
        self.accepted = self.scheme.is_some();
        if let Some(scheme) = &mut self.scheme {
            answer
                .raw_headers("Authentication-Info")
                .for_each(|info| scheme.note_info(info));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::message::Head;
    use super::*;

    fn unauthorized(challenges: &[&str]) -> Message {
        let mut head = Head::default();
        let mut take = |line: &str| head.line(line.as_bytes()).expect("RTSP");
        take("RTSP/1.0 401 Unauthorized");
        for challenge in challenges {
            take(&format!("WWW-Authenticate: {challenge}"));
        }
        take("").expect("a whole message")
    }

    fn signer() -> Signer {
        Signer::new(Some(Credentials {
            user: "viewer".into(),
            password: "p@ss:w/rd".into(),
        }))
    }

    fn authorization_for(challenges: &[&str]) -> String {
        let mut signer = signer();
        signer
            .challenged(&unauthorized(challenges), false)
            .expect("a challenge");
        let answer = signer.authorization("DESCRIBE", "rtsp://cam/x");
        String::from_utf8(answer.expect("an answer")).expect("text")
    }

    #[test]
    fn the_strongest_challenge_is_answered() {
        let answer = authorization_for(&["Basic realm=\"x\"", "Digest realm=\"x\", nonce=\"1\""]);
        assert!(
            answer.starts_with("Digest ") && !answer.contains("qop"),
            "{answer}"
        );
        assert_eq!(
            authorization_for(&["Basic realm=\"x\""]),
            "Basic dmlld2VyOnBAc3M6dy9yZA=="
        );
        let answer = authorization_for(&["Digest realm=\"x\", nonce=\"1\", qop=\"auth,auth-int\""]);
        assert!(answer.contains("qop=auth,"), "{answer}");
        let answer = authorization_for(&["Digest realm=\"x\", nonce=\"1\", qop=\"auth-int\""]);
        assert!(answer.contains("qop=auth-int"), "{answer}");
        let answer = authorization_for(&["Digest realm=\"x\", nonce=\"1\", algorithm=SHA-256"]);
        let response = answer
            .split("response=\"")
            .nth(1)
            .and_then(|rest| rest.split('"').next());
        assert_eq!(response.map(str::len), Some(64), "{answer}");
    }

    #[test]
    fn a_wrong_password_is_sent_once_and_an_accepted_one_is_sent_for_new_challenges() {
        let fresh = |nonce: u32| unauthorized(&[&format!("Digest realm=\"x\", nonce=\"{nonce}\"")]);
        let stale = unauthorized(&["Digest realm=\"x\", nonce=\"9\", stale=TRUE"]);
        let mut wrong = signer();
        assert!(wrong.challenged(&fresh(1), false).is_ok());
        assert!(wrong.challenged(&fresh(2), true).is_err());
        assert!(wrong.challenged(&stale, true).is_ok());

        let mut right = signer();
        assert!(right.challenged(&fresh(1), false).is_ok());
        right.accepted(&unauthorized(&[]));
        assert!(right.challenged(&fresh(2), true).is_ok());

        assert!(matches!(
            Signer::new(None).challenged(&fresh(1), false),
            Err(SessionError::Status(401, _))
        ));
        assert!(matches!(
            signer().challenged(&unauthorized(&["Negotiate"]), false),
            Err(SessionError::Challenge(_))
        ));
        assert!(matches!(
            signer().challenged(&unauthorized(&[]), false),
            Err(SessionError::Challenge(_))
        ));
    }
}
