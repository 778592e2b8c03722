//! RTSP authentication: basic and digest, with renewed challenges.

use super::super::Credentials;
use super::connection::SessionError;
use super::message::Message;
use http_auth::{PasswordClient, PasswordParams};

/// Signs requests in answer to a camera's challenges.
pub struct Signer {
    credentials: Option<Credentials>,
    /// The current challenge, answered in each request.
    challenge: Option<PasswordClient>,
    /// Whether the camera has accepted the password.
    accepted: bool,
}

impl Signer {
    /// Creates a signer for these credentials, if there are any.
    pub fn new(credentials: Option<Credentials>) -> Self {
        Self {
            credentials,
            challenge: None,
            accepted: false,
        }
    }

    /// Returns the `Authorization` header of a request, once the camera has sent a challenge.
    pub fn authorization(&mut self, method: &str, uri: &str) -> Option<String> {
        let credentials = self.credentials.as_ref()?;
        let challenge = self.challenge.as_mut()?;
        let mut response = |body| {
            challenge.respond(&PasswordParams {
                username: &credentials.user,
                password: &credentials.password,
                uri,
                method,
                body,
            })
        };
        // With a body the library prefers `auth-int`, which few of the cameras that
        // offer it support.
        response(None).or_else(|_| response(Some(&[]))).ok()
    }

    /// Handles a 401 response; `signed` states whether the request was signed. If this returns
    /// `Ok`, the caller may sign and send the request again.
    ///
    /// Cameras lock accounts, so a password that has not been accepted yet is sent once, and
    /// once more only if the camera marks the challenge as stale.
    pub fn challenged(&mut self, unauthorized: &Message, signed: bool) -> Result<(), SessionError> {
        let refused = Err(SessionError::Status(401));
        if self.credentials.is_none() {
            return refused;
        }
        let challenges = unauthorized.headers("WWW-Authenticate");
        let builder = challenges.fold(PasswordClient::builder(), |builder, challenge| {
            builder.challenges(challenge)
        });
        let Ok(challenge) = builder.build() else {
            return if signed {
                refused
            } else {
                Err(SessionError::Challenge)
            };
        };
        let renewed = match &challenge {
            PasswordClient::Digest(digest) => digest.stale() || self.accepted,
            _ => false,
        };
        if signed && !renewed {
            return refused;
        }
        self.challenge = Some(challenge);
        Ok(())
    }

    /// Notes that a request was successful.
    pub fn accepted(&mut self) {
        self.accepted = self.challenge.is_some();
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
        signer
            .authorization("DESCRIBE", "rtsp://cam/x")
            .expect("an answer")
    }

    #[test]
    fn the_strongest_challenge_is_answered() {
        let response = authorization_for(&["Basic realm=\"x\"", "Digest realm=\"x\", nonce=\"1\""]);
        assert!(
            response.starts_with("Digest ") && !response.contains("qop"),
            "{response}"
        );
        assert_eq!(
            authorization_for(&["Basic realm=\"x\""]),
            "Basic dmlld2VyOnBAc3M6dy9yZA=="
        );
        let response =
            authorization_for(&["Digest realm=\"x\", nonce=\"1\", qop=\"auth,auth-int\""]);
        assert!(response.contains("qop=auth,"), "{response}");
        let response = authorization_for(&["Digest realm=\"x\", nonce=\"1\", qop=\"auth-int\""]);
        assert!(response.contains("qop=auth-int"), "{response}");
        let response = authorization_for(&["Digest realm=\"x\", nonce=\"1\", algorithm=SHA-256"]);
        let digest = response
            .split("response=\"")
            .nth(1)
            .and_then(|rest| rest.split('"').next());
        assert_eq!(digest.map(str::len), Some(64), "{response}");
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
        right.accepted();
        assert!(right.challenged(&fresh(2), true).is_ok());

        assert!(matches!(
            Signer::new(None).challenged(&fresh(1), false),
            Err(SessionError::Status(401))
        ));
        assert!(matches!(
            signer().challenged(&unauthorized(&["Negotiate"]), false),
            Err(SessionError::Challenge)
        ));
        assert!(matches!(
            signer().challenged(&unauthorized(&[]), false),
            Err(SessionError::Challenge)
        ));
    }
}
