//! RTSP exchange with a camera: requests and responses in both directions, and TEARDOWN.

use super::answers::{SESSION, session_and_timeout};
use super::auth::Signer;
use super::connection::Connection;
use super::error::{SessionError, Target};
use super::input::Item;
use super::message::{self, Message, Start, value};
use std::borrow::Cow;
use std::ops::{Deref, DerefMut};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use url::Url;

/// Timeout for TEARDOWN, over either connection.
const TEARDOWN_TIMEOUT: Duration = Duration::from_secs(5);
/// Maximum number of interim responses (1xx) to one request.
const MAX_INTERIM: usize = 16;
/// The most bytes of packets that are skipped while waiting for a response.
const MAX_SKIPPED_BYTES: usize = 4 << 20;
/// Number of challenges that are answered for one request.
const MAX_CHALLENGES: usize = 3;
/// Server software and version. Earlier versions keep sending to a closed connection until TEARDOWN
/// arrives over another connection.
const NEEDS_SECOND_TEARDOWN: (&str, &str) = ("LIVE555 Streaming Media v", "2017.06.04");

type Headers<'a> = &'a [(&'a str, Cow<'a, [u8]>)];

/// Waits for a response for at most `limit`.
pub async fn with_timeout<T>(
    limit: Duration,
    next_response: impl Future<Output = Result<T, SessionError>>,
) -> Result<T, SessionError> {
    timeout(limit, next_response)
        .await
        .unwrap_or(Err(SessionError::Silent))
}

/// State of the exchange with one camera.
pub struct Exchange {
    /// The connection.
    pub connection: Connection,
    /// Signs the requests.
    pub signer: Signer,
    agent: &'static str,
    sequence: u32,
    /// Session identifier, once there is one.
    pub session: Option<String>,
    /// Session timeout without a request, in seconds.
    pub timeout: u64,
    /// Base of relative addresses in the SDP.
    pub base: Url,
    /// Whether the camera needs TEARDOWN over another connection if this one breaks.
    needs_second_teardown: bool,
    /// Whether a response is still outstanding because the future that sent the request was
    /// dropped.
    pending: bool,
    /// Number of the keep-alive request whose response is outstanding.
    pub unanswered: Option<u32>,
}

impl Exchange {
    /// Creates an exchange over `connection`.
    pub fn new(connection: Connection, signer: Signer, agent: &'static str, base: Url) -> Self {
        Self {
            connection,
            signer,
            agent,
            sequence: 0,
            session: None,
            timeout: SESSION,
            base,
            needs_second_teardown: false,
            pending: false,
            unanswered: None,
        }
    }

    /// Notes the camera's software.
    pub fn note_server(&mut self, tool: Option<&str>) {
        let version = tool.and_then(|tool| tool.strip_prefix(NEEDS_SECOND_TEARDOWN.0));
        self.needs_second_teardown =
            version.is_some_and(|version| version < NEEDS_SECOND_TEARDOWN.1);
    }

    /// Sends a request. Returns its sequence number, and whether it was signed.
    ///
    /// # Errors
    /// The connection is broken, or the camera does not read.
    pub fn send(
        &mut self,
        method: &str,
        uri: &str,
        headers: Headers<'_>,
    ) -> Result<(u32, bool), SessionError> {
        self.sequence += 1;
        let authorization = self.signer.authorization(method, uri);
        let signed = authorization.is_some();
        let mut lines = vec![
            ("CSeq", value(self.sequence.to_string())),
            ("User-Agent", value(self.agent)),
        ];
        lines.extend(authorization.map(|next_response| ("Authorization", next_response.into())));
        lines.extend(
            self.session
                .clone()
                .map(|session| ("Session", value(session))),
        );
        lines.extend_from_slice(headers);
        self.connection
            .send(&message::write(&format!("{method} {uri} RTSP/1.0"), &lines))?;
        Ok((self.sequence, signed))
    }

    /// Sends OPTIONS and waits for its response. A challenge in it is answered by the next
    /// request; whatever else the camera answers does not matter.
    ///
    /// # Errors
    /// The connection breaks, or the response is not RTSP.
    pub async fn options(&mut self, uri: &str) -> Result<(), SessionError> {
        self.send("OPTIONS", uri, &[])?;
        let (status, response) = self.next_response().await?;
        if status == 401 {
            // What it lacks is told after DESCRIBE.
            let _ = self.signer.challenged(&response, false);
        }
        Ok(())
    }

    /// Sends a request and waits for its response. Authenticates if the camera requires it.
    ///
    /// # Errors
    /// The camera refuses the request, or its response is not valid.
    pub async fn request(
        &mut self,
        method: &'static str,
        uri: &str,
        headers: Headers<'_>,
    ) -> Result<Message, SessionError> {
        for _ in 0..=MAX_CHALLENGES {
            let (_, signed) = self.send(method, uri, headers)?;
            self.pending = true;
            let (status, next_response) = self.next_response().await?;
            self.pending = false;
            match status {
                200..=299 => {
                    self.signer.accepted(&next_response);
                    return Ok(next_response);
                }
                300..=399 => {
                    return Err(match next_response.header("Location") {
                        Some(target) => SessionError::Moved(Target(target.to_owned())),
                        None => SessionError::Status(status, method),
                    });
                }
                401 => self.signer.challenged(&next_response, signed)?,
                _ => return Err(SessionError::Status(status, method)),
            }
        }
        Err(SessionError::Status(401, method))
    }

    /// Waits for the next final response. Only one request is outstanding at a time, so the
    /// sequence number is not checked; some cameras send a wrong one.
    async fn next_response(&mut self) -> Result<(u16, Message), SessionError> {
        let (mut interim, mut ahead) = (0, 0);
        loop {
            let message = match self.connection.next().await? {
                Item::Message(message) => message,
                // Its limit is the budget.
                Item::Datagram(..) => continue,
                // Packets before the response to PLAY, or after TEARDOWN.
                Item::Packet(_, packet) => {
                    ahead += packet.len();
                    if ahead > MAX_SKIPPED_BYTES {
                        return Err(SessionError::Unusable(format!(
                            "it sends more than {} MiB of packets before its response",
                            MAX_SKIPPED_BYTES >> 20
                        )));
                    }
                    continue;
                }
            };
            match message.start {
                Start::Request(_) => self.reply(&message)?,
                Start::Answer(100..=199) => {
                    interim += 1;
                    if interim > MAX_INTERIM {
                        return Err(SessionError::Unusable(format!(
                            "it sends more than {MAX_INTERIM} interim responses (1xx) to one \
                             request, without a final one"
                        )));
                    }
                }
                Start::Answer(_)
                    if self.unanswered.is_some() && message.sequence() == self.unanswered =>
                {
                    self.unanswered = None;
                }
                Start::Answer(status) => return Ok((status, message)),
            }
        }
    }

    /// Answers a request from the camera.
    ///
    /// # Errors
    /// The connection is broken, or the camera does not read.
    pub fn reply(&mut self, request: &Message) -> Result<(), SessionError> {
        let Start::Request(method) = &request.start else {
            return Ok(());
        };
        let known = ["OPTIONS", "ANNOUNCE", "GET_PARAMETER", "SET_PARAMETER"];
        let first = match known.contains(&method.as_str()) {
            true => "RTSP/1.0 200 OK",
            false => "RTSP/1.0 501 Not Implemented",
        };
        let sequence = request.header("CSeq").unwrap_or("0");
        let mut lines = vec![("CSeq", value(sequence))];
        if method == "OPTIONS" {
            lines.push(("Public", value(known.join(", "))));
        }
        lines.extend(
            self.session
                .as_deref()
                .map(|session| ("Session", value(session))),
        );
        self.connection.send(&message::write(first, &lines))
    }

    /// Ends the session with TEARDOWN.
    async fn teardown(mut self) -> Result<(), SessionError> {
        if self.pending && !self.connection.unreadable {
            // The outstanding response precedes the one to TEARDOWN, and may contain the session
            // identifier.
            if let Ok((_, next_response)) = self.next_response().await
                && let Some(session) = next_response.header("Session")
            {
                self.session = Some(session_and_timeout(session).0.to_owned());
            }
        }
        if self.session.is_none() {
            return Ok(());
        }
        let uri = self.base.to_string();
        if self.connection.unreadable {
            return self.send("TEARDOWN", &uri, &[]).map(|_| ());
        }
        let Err(fault) = self.request("TEARDOWN", &uri, &[]).await else {
            return Ok(());
        };
        if matches!(fault, SessionError::Closed | SessionError::Io(_)) && self.needs_second_teardown
        {
            // Connects to the address that the SSRF guard has checked, not to the one in the
            // camera's base URL.
            self.connection.reopen().await?;
            self.request("TEARDOWN", &uri, &[]).await?;
        }
        Ok(())
    }
}

/// An [`Exchange`] that ends its session in the background when it is dropped.
pub struct TeardownOnDrop {
    talk: Option<Exchange>,
    teardowns: TaskTracker,
}

impl TeardownOnDrop {
    /// Creates a wrapper that runs TEARDOWN on `teardowns`.
    pub fn new(talk: Exchange, teardowns: TaskTracker) -> Self {
        Self {
            talk: Some(talk),
            teardowns,
        }
    }
}

impl Deref for TeardownOnDrop {
    type Target = Exchange;

    fn deref(&self) -> &Exchange {
        self.talk.as_ref().expect("taken only when it is dropped")
    }
}

impl DerefMut for TeardownOnDrop {
    fn deref_mut(&mut self) -> &mut Exchange {
        self.talk.as_mut().expect("taken only when it is dropped")
    }
}

impl Drop for TeardownOnDrop {
    fn drop(&mut self) {
        let (Some(mut talk), Ok(runtime)) = (self.talk.take(), Handle::try_current()) else {
            return;
        };
        talk.connection.datagrams = None;
        talk.connection.sound_datagrams = None;
        let teardown = async {
            if let Ok(Err(fault)) = timeout(TEARDOWN_TIMEOUT, talk.teardown()).await {
                tracing::debug!(?fault, "the session was not ended");
            }
        };
        self.teardowns.spawn_on(teardown, &runtime);
    }
}
