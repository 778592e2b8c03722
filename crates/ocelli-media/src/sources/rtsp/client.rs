//! Opening a session at a camera: name resolution, connection, DESCRIBE, redirects, SETUP, and
//! RTP over UDP or multicast if the camera does not send it over TCP.

use super::super::{Credentials, SoundRequest, SsrfGuard, tls_trust};
use super::answers;
use super::auth::Signer;
use super::connection::Connection;
use super::error::SessionError;
use super::message::{Message, value};
use super::sdp::Description;
use super::session::{Delivery, Session};
use super::talk::{self, Exchange, TeardownOnDrop};
use super::wire::Tls;
use ocelli_core::Budget;
use rustls::pki_types::ServerName;
use std::io;
use std::time::Duration;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use url::Url;

/// Timeout for name resolution.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);
/// Number of a name's addresses that are tried.
const MAX_ADDRESSES: usize = 4;
/// Timeout for the response to OPTIONS. It is short, because cameras that do not answer it are
/// asked again without it.
const OPTIONS_TIMEOUT: Duration = Duration::from_millis(1500);
/// Timeout for the response to DESCRIBE.
const DESCRIBE_TIMEOUT: Duration = Duration::from_secs(8);
/// The same after OPTIONS was not answered. The hub ends an attempt without a picture after 10 s,
/// and the reason for the silence must be known before.
const DESCRIBE_TIMEOUT_AFTER_SILENCE: Duration = Duration::from_secs(7);
/// Number of redirects that are followed.
const MAX_REDIRECTS: usize = 5;
/// Timeout for the end of a session that is replaced by one over UDP.
const TEARDOWN_TIMEOUT: Duration = Duration::from_secs(3);
/// Statuses with which cameras refuse RTP over TCP. The right one is 461.
const REFUSES_TCP: [u16; 8] = [400, 406, 451, 459, 461, 500, 501, 551];

/// RTSP client configuration for one camera.
#[derive(Clone)]
pub struct Client {
    /// The camera's address.
    pub url: Url,
    /// Credentials, if there are any.
    pub credentials: Option<Credentials>,
    /// Guard for the addresses at which the camera may be.
    pub ssrf_guard: Option<SsrfGuard>,
    /// Whether the certificate of an `rtsps` camera must be valid.
    pub verify_tls: bool,
    /// Value of the `User-Agent` header.
    pub agent: &'static str,
    /// TEARDOWNs in the background. The tracker is closed, so that it can be awaited.
    pub teardowns: TaskTracker,
    /// Whether OPTIONS is left out, because the camera does not answer it.
    skips_options: bool,
    /// Number of redirects so far.
    redirects: usize,
    /// Whether to ask for sound. Not by default.
    pub sound: SoundRequest,
    /// Address of a redirect to which the password is not sent.
    pub redirected: Option<String>,
}

/// Default port of a scheme, `rtsp` or `rtsps`.
pub fn default_port(scheme: &str) -> u16 {
    if scheme == "rtsps" { 322 } else { 554 }
}

impl Client {
    /// Creates a client for the camera at `url`.
    pub fn new(url: Url, credentials: Option<Credentials>, agent: &'static str) -> Self {
        let teardowns = TaskTracker::new();
        teardowns.close();
        Self {
            url,
            credentials,
            ssrf_guard: None,
            verify_tls: true,
            agent,
            teardowns,
            skips_options: false,
            redirects: 0,
            sound: SoundRequest::default(),
            redirected: None,
        }
    }

    /// Returns host and port for display.
    pub fn peer(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        format!("{host}:{}", self.port())
    }

    fn port(&self) -> u16 {
        port(&self.url)
    }

    /// Opens a session and starts playback, see [`Self::open`]. A camera that can't play its
    /// pictures together with its sound is played without sound.
    ///
    /// # Errors
    /// The camera can't be reached, refuses the session, or has no video.
    pub async fn play(
        &mut self,
        budget: impl Fn() -> Option<Budget>,
    ) -> Result<Session, SessionError> {
        let mut session = self.open(&budget).await?;
        match session.play().await {
            Ok(()) => return Ok(session),
            Err(fault) if session.sound_format().is_none() => return Err(fault),
            Err(fault) => self.leave_out_sound(session, &fault).await,
        }
        let mut session = self.open(&budget).await?;
        session.play().await?;
        Ok(session)
    }

    /// Opens a session with the track to play set up, and the sound if it is requested. Follows
    /// redirects. Uses RTP over UDP if the camera does not send it over TCP. The work for each
    /// connection is charged to a budget from `budget`.
    ///
    /// # Errors
    /// The camera can't be reached, refuses the session, or has no video.
    pub async fn open(
        &mut self,
        budget: impl Fn() -> Option<Budget>,
    ) -> Result<Session, SessionError> {
        loop {
            let mut session = self.open_pictures(&budget).await?;
            if !self.sound.is_on() {
                return Ok(session);
            }
            match session.set_up_sound().await {
                Ok(()) => return Ok(session),
                Err(fault) => self.leave_out_sound(session, &fault).await,
            }
        }
    }

    /// Ends a session that failed with sound.
    async fn leave_out_sound(&self, session: Session, fault: &SessionError) {
        tracing::debug!(camera = %self.peer(), ?fault, "playing it without sound");
        self.sound.suspect();
        drop(session);
        // Many cameras have only one session.
        let _ = timeout(TEARDOWN_TIMEOUT, self.teardowns.wait()).await;
    }

    async fn open_pictures(
        &mut self,
        budget: impl Fn() -> Option<Budget>,
    ) -> Result<Session, SessionError> {
        let mut refusal = None;
        loop {
            let mut session = self.describe(&budget).await?;
            let set_up = match refusal {
                None => session.set_up(Delivery::Tcp).await,
                Some(_) => set_up_datagrams(&mut session).await,
            };
            let fault = match (set_up, &refusal) {
                (Ok(()), _) => return Ok(session),
                (Err(SessionError::Moved(target)), _) => {
                    self.follow(&target.0)?;
                    continue;
                }
                (Err(fault @ SessionError::Unusable(_)), Some(_)) => return Err(fault),
                // If UDP is refused too, the reason for the first refusal is the better one.
                (Err(_), Some(_)) => break,
                (Err(fault), None) => fault,
            };
            if !refuses_tcp(&fault) {
                return Err(fault);
            }
            // A camera that has chosen another transport has begun a session with it.
            if matches!(fault, SessionError::Status(..)) {
                match set_up_datagrams(&mut session).await {
                    Ok(()) => return Ok(session),
                    Err(SessionError::Closed | SessionError::Io(_)) => {}
                    Err(other @ SessionError::Unusable(_)) => return Err(other),
                    Err(_) => return Err(fault),
                }
            }
            refusal = Some(fault);
            drop(session);
            // Many cameras have only one session.
            let _ = timeout(TEARDOWN_TIMEOUT, self.teardowns.wait()).await;
        }
        Err(refusal.unwrap_or(SessionError::NotTcp))
    }

    /// Sends DESCRIBE and follows redirects. The work for each connection is charged to a
    /// budget from `budget`.
    ///
    /// # Errors
    /// The camera can't be reached, or its response is not valid.
    pub async fn describe(
        &mut self,
        budget: impl Fn() -> Option<Budget>,
    ) -> Result<Session, SessionError> {
        loop {
            match self.describe_at_current_url(&budget).await {
                Err(SessionError::Moved(target)) => self.follow(&target.0)?,
                other => return other,
            }
        }
    }

    /// Switches to the target of a redirect, without the password if that is another host.
    ///
    /// # Errors
    /// The target is not an RTSP address, or there were too many redirects.
    pub fn follow(&mut self, target: &str) -> Result<(), SessionError> {
        self.redirects += 1;
        if self.redirects > MAX_REDIRECTS {
            return Err(SessionError::Unusable("too many redirects".to_owned()));
        }
        let is_rtsp = |target: &Url| matches!(target.scheme(), "rtsp" | "rtsps");
        let target = self.url.join(target).ok().filter(is_rtsp);
        let Some(mut target) =
            target.filter(|target| target.host_str().is_some_and(|host| !host.is_empty()))
        else {
            return Err(SessionError::Unusable(
                "it redirects to an address that is not an RTSP address".to_owned(),
            ));
        };
        // Credentials in a redirect are not used.
        if target.set_username("").is_err() || target.set_password(None).is_err() {
            return Err(SessionError::Unusable(
                "its redirect has no valid address".to_owned(),
            ));
        }
        // The password stays at this host, and encrypted if it was.
        let is_same = target.host_str() == self.url.host_str();
        let exposes = self.url.scheme() == "rtsps" && target.scheme() != "rtsps";
        if (!is_same || exposes) && self.credentials.take().is_some() {
            self.redirected = Some(target.to_string());
        }
        self.url = target;
        self.skips_options = false;
        Ok(())
    }

    /// Sends OPTIONS and DESCRIBE. Some cameras want OPTIONS first, and others hang up or fall
    /// silent after it: these are asked once more without it.
    async fn describe_at_current_url(
        &mut self,
        budget: impl Fn() -> Option<Budget>,
    ) -> Result<Session, SessionError> {
        let mut talk = self.talk(&budget).await?;
        let uri = self.url.to_string();
        let mut limit = DESCRIBE_TIMEOUT;
        if !self.skips_options {
            let options = talk::with_timeout(OPTIONS_TIMEOUT, talk.options(&uri)).await;
            match options {
                Ok(()) => {}
                Err(
                    fault @ (SessionError::Closed | SessionError::Io(_) | SessionError::Silent),
                ) => {
                    self.skips_options = true;
                    if matches!(fault, SessionError::Silent) {
                        limit = DESCRIBE_TIMEOUT_AFTER_SILENCE;
                    }
                    talk = self.talk(&budget).await?;
                }
                Err(fault) => return Err(fault),
            }
        }
        let described = describe(&mut talk, &uri, limit).await;
        let response = match described {
            // A password is not sent twice to a camera that may have refused it.
            Err(SessionError::Closed | SessionError::Io(_))
                if !self.skips_options && !talk.signer.signs() =>
            {
                self.skips_options = true;
                talk = self.talk(&budget).await?;
                describe(&mut talk, &uri, limit).await?
            }
            described => described?,
        };
        let description = Description::read(&response.body);
        talk.base = answers::base(&response, &self.url);
        talk.note_server(description.tool.as_deref());
        let control = description.control.as_deref();
        let control = control.map_or_else(|| uri, |control| answers::join(&talk.base, control));
        let talk = TeardownOnDrop::new(talk, self.teardowns.clone());
        let ssrf_guard = self.ssrf_guard.unwrap_or_else(SsrfGuard::disabled);
        let mut session = Session::new(talk, description, control);
        session.restrict(ssrf_guard);
        Ok(session)
    }

    /// Connects for an exchange at the current URL.
    async fn talk(&self, budget: &impl Fn() -> Option<Budget>) -> Result<Exchange, SessionError> {
        let connection = self.connect(budget).await?;
        let signer = Signer::new(self.credentials.clone());
        Ok(Exchange::new(
            connection,
            signer,
            self.agent,
            self.url.clone(),
        ))
    }

    async fn connect(
        &self,
        budget: &impl Fn() -> Option<Budget>,
    ) -> Result<Connection, SessionError> {
        let silent = || SessionError::Io(io::ErrorKind::TimedOut.into());
        let host = self.url.host_str().unwrap_or_default();
        let tls = match self.url.scheme() {
            "rtsps" => Some(self.tls(host).await?),
            _ => None,
        };
        let ssrf_guard = self.ssrf_guard.unwrap_or(SsrfGuard::disabled());
        let found = timeout(LOOKUP_TIMEOUT, ssrf_guard.resolve(host, self.port()));
        let found = found
            .await
            .map_err(|_| silent())?
            .map_err(SessionError::Io)?;
        let mut fault = silent();
        for address in found.into_iter().take(MAX_ADDRESSES) {
            match Connection::open(address, tls.clone(), budget()).await {
                Ok(connection) => return Ok(connection),
                Err(broken) => fault = broken,
            }
        }
        Err(fault)
    }

    async fn tls(&self, host: &str) -> Result<Tls, SessionError> {
        let config = tls_trust::client_config(self.verify_tls).await;
        let name = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(name.to_owned());
        Ok(Tls {
            config: config.map_err(SessionError::Roots)?,
            name: name.map_err(|_| {
                SessionError::Unusable(format!("{host:?} is not a host name that TLS allows"))
            })?,
        })
    }
}

/// Requests the session description.
async fn describe(
    talk: &mut Exchange,
    uri: &str,
    limit: Duration,
) -> Result<Message, SessionError> {
    let accept = [("Accept", value("application/sdp"))];
    talk::with_timeout(limit, talk.request("DESCRIBE", uri, &accept)).await
}

/// Sets up delivery in datagrams: to the hub, or to a group that it joins if the camera has
/// only that. The reason for the first refusal is the better one.
async fn set_up_datagrams(session: &mut Session) -> Result<(), SessionError> {
    match session.set_up(Delivery::Udp).await {
        Err(fault @ SessionError::Status(..)) if refuses_tcp(&fault) => {
            let joined = session.set_up(Delivery::Multicast).await;
            match joined {
                Err(SessionError::Unusable(reason)) => Err(SessionError::Unusable(reason)),
                joined => joined.map_err(|_| fault),
            }
        }
        other => other,
    }
}

fn port(url: &Url) -> u16 {
    url.port().unwrap_or_else(|| default_port(url.scheme()))
}

/// Returns true if a response to SETUP means that the camera does not send over TCP.
fn refuses_tcp(fault: &SessionError) -> bool {
    match fault {
        SessionError::Status(status, _) => REFUSES_TCP.contains(status),
        SessionError::NotTcp | SessionError::Closed => true,
        _ => false,
    }
}
