//! A conversation with a camera: requests and answers in both directions, and its end.

use super::answers::{SESSION, session_and_timeout};
use super::auth::Signer;
use super::connection::{Broken, Connection, Item, Target};
use super::message::{self, Message, Start};
use std::borrow::Cow;
use std::ops::{Deref, DerefMut};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use url::Url;

/// For TEARDOWN, by whatever connection.
const TEARDOWN: Duration = Duration::from_secs(5);
/// Interim answers (1xx) to one request.
const MAX_INTERIM: usize = 16;
/// The most bytes of packets that are passed over while an answer is waited for.
const MAX_AHEAD: usize = 4 << 20;
/// Challenges that are answered for one request.
const MAX_CHALLENGES: usize = 3;
/// Versions of this server before this one keep sending to a connection that is
/// closed, until TEARDOWN comes by another.
const FORGETFUL: (&str, &str) = ("LIVE555 Streaming Media v", "2017.06.04");

type Headers<'a> = &'a [(&'a str, Cow<'a, str>)];

/// Waits for an answer no longer than `limit`.
pub async fn in_time<T>(
    limit: Duration,
    answer: impl Future<Output = Result<T, Broken>>,
) -> Result<T, Broken> {
    timeout(limit, answer).await.unwrap_or(Err(Broken::Silent))
}

/// One camera's answers and requests, in their order.
pub struct Talk {
    /// What it goes by.
    pub connection: Connection,
    /// What signs its requests.
    pub signer: Signer,
    agent: &'static str,
    sequence: u32,
    /// The session's name, once there is one.
    pub session: Option<String>,
    /// How long it lasts without a request, in seconds.
    pub timeout: u64,
    /// What addresses in the description are relative to.
    pub base: Url,
    /// It has to be told of the end by another connection if this one breaks.
    forgetful: bool,
    /// Whether a request was sent whose answer is missing, because whoever asked was dropped.
    pending: bool,
    /// The request that keeps it alive, while its answer is missing.
    pub unanswered: Option<u32>,
}

impl Talk {
    /// Begins by `connection`.
    pub fn new(connection: Connection, signer: Signer, agent: &'static str, base: Url) -> Self {
        Self {
            connection,
            signer,
            agent,
            sequence: 0,
            session: None,
            timeout: SESSION,
            base,
            forgetful: false,
            pending: false,
            unanswered: None,
        }
    }

    /// Notes what software the camera runs.
    pub fn served_by(&mut self, tool: Option<&str>) {
        let version = tool.and_then(|tool| tool.strip_prefix(FORGETFUL.0));
        self.forgetful = version.is_some_and(|version| version < FORGETFUL.1);
    }

    /// Sends a request; its number, and whether it was signed.
    ///
    /// # Errors
    /// The connection is gone, or the camera reads nothing.
    pub fn send(
        &mut self,
        method: &str,
        uri: &str,
        headers: Headers<'_>,
    ) -> Result<(u32, bool), Broken> {
        self.sequence += 1;
        let authorization = self.signer.authorization(method, uri);
        let signed = authorization.is_some();
        let mut lines = vec![
            ("CSeq", Cow::from(self.sequence.to_string())),
            ("User-Agent", self.agent.into()),
        ];
        lines.extend(authorization.map(|answer| ("Authorization", answer.into())));
        lines.extend(
            self.session
                .clone()
                .map(|session| ("Session", session.into())),
        );
        lines.extend_from_slice(headers);
        self.connection
            .send(&message::write(&format!("{method} {uri} RTSP/1.0"), &lines))?;
        Ok((self.sequence, signed))
    }

    /// Sends a request and waits for its answer, signing in where that is asked for.
    ///
    /// # Errors
    /// The camera refuses, or does not answer as it should.
    pub async fn ask(
        &mut self,
        method: &str,
        uri: &str,
        headers: Headers<'_>,
    ) -> Result<Message, Broken> {
        for _ in 0..=MAX_CHALLENGES {
            let (_, signed) = self.send(method, uri, headers)?;
            self.pending = true;
            let (status, answer) = self.answer().await?;
            self.pending = false;
            match status {
                200..=299 => {
                    self.signer.accepted();
                    return Ok(answer);
                }
                300..=399 => {
                    return Err(match answer.header("Location") {
                        Some(target) => Broken::Moved(Target(target.to_owned())),
                        None => Broken::Status(status),
                    });
                }
                401 => self.signer.challenged(&answer, signed)?,
                _ => return Err(Broken::Status(status)),
            }
        }
        Err(Broken::Status(401))
    }

    /// The next final answer. One request is under way at a time, so its number need
    /// not be right; cameras get it wrong.
    async fn answer(&mut self) -> Result<(u16, Message), Broken> {
        let (mut interim, mut ahead) = (0, 0);
        loop {
            let message = match self.connection.next().await? {
                Item::Message(message) => message,
                // Before its answer to PLAY has come, or after the end.
                Item::Packet(_, packet) => {
                    ahead += packet.len();
                    if ahead > MAX_AHEAD {
                        return Err(Broken::Unusable(format!(
                            "it sends more than {} MiB of packets ahead of an answer",
                            MAX_AHEAD >> 20
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
                        return Err(Broken::Unusable(format!(
                            "it sends more than {MAX_INTERIM} interim answers (1xx) to one \
                             request; a final one should follow"
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

    /// Answers a request of the camera.
    ///
    /// # Errors
    /// The connection is gone, or the camera reads nothing.
    pub fn reply(&mut self, request: &Message) -> Result<(), Broken> {
        let Start::Request(method) = &request.start else {
            return Ok(());
        };
        let known = ["OPTIONS", "ANNOUNCE", "GET_PARAMETER", "SET_PARAMETER"];
        let first = match known.contains(&method.as_str()) {
            true => "RTSP/1.0 200 OK",
            false => "RTSP/1.0 501 Not Implemented",
        };
        let sequence = request.header("CSeq").unwrap_or("0");
        let mut lines = vec![("CSeq", Cow::from(sequence))];
        if method == "OPTIONS" {
            lines.push(("Public", known.join(", ").into()));
        }
        lines.extend(
            self.session
                .as_deref()
                .map(|session| ("Session", session.into())),
        );
        self.connection.send(&message::write(first, &lines))
    }

    /// Ends the session.
    async fn part(mut self) -> Result<(), Broken> {
        if self.pending && !self.connection.spoilt {
            // It comes before the answer to TEARDOWN, and may be the one that names the session.
            if let Ok((_, answer)) = self.answer().await
                && let Some(session) = answer.header("Session")
            {
                self.session = Some(session_and_timeout(session).0.to_owned());
            }
        }
        if self.session.is_none() {
            return Ok(());
        }
        let uri = self.base.to_string();
        if self.connection.spoilt {
            return self.send("TEARDOWN", &uri, &[]).map(|_| ());
        }
        let Err(fault) = self.ask("TEARDOWN", &uri, &[]).await else {
            return Ok(());
        };
        if matches!(fault, Broken::Closed | Broken::Io(_)) && self.forgetful {
            // To the very address that was let through before, whatever the camera
            // calls itself.
            self.connection.reopen().await?;
            self.ask("TEARDOWN", &uri, &[]).await?;
        }
        Ok(())
    }
}

/// A talk whose session is ended when it is dropped, in the background.
pub struct Polite {
    talk: Option<Talk>,
    teardowns: TaskTracker,
}

impl Polite {
    /// Has `teardowns` end the session.
    pub fn new(talk: Talk, teardowns: TaskTracker) -> Self {
        Self {
            talk: Some(talk),
            teardowns,
        }
    }
}

impl Deref for Polite {
    type Target = Talk;

    fn deref(&self) -> &Talk {
        self.talk.as_ref().expect("taken only when it is dropped")
    }
}

impl DerefMut for Polite {
    fn deref_mut(&mut self) -> &mut Talk {
        self.talk.as_mut().expect("taken only when it is dropped")
    }
}

impl Drop for Polite {
    fn drop(&mut self) {
        let (Some(talk), Ok(runtime)) = (self.talk.take(), Handle::try_current()) else {
            return;
        };
        let part = async {
            if let Ok(Err(fault)) = timeout(TEARDOWN, talk.part()).await {
                tracing::debug!(?fault, "the session was not ended");
            }
        };
        self.teardowns.spawn_on(part, &runtime);
    }
}
