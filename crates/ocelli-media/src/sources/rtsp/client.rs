//! Connecting to a camera: name resolution, TCP connection, DESCRIBE and redirects.

use super::super::{Credentials, SsrfGuard};
use super::answers;
use super::auth::Signer;
use super::connection::{Connection, SessionError};
use super::sdp::Description;
use super::session::Session;
use super::talk::{self, Exchange, TeardownOnDrop};
use ocelli_core::Budget;
use std::io;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use url::Url;

/// Timeout for connecting to one of a camera's addresses.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Timeout for name resolution.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);
/// Number of a name's addresses that are tried.
const MAX_ADDRESSES: usize = 4;
/// Timeout for the response to DESCRIBE.
const DESCRIBE_TIMEOUT: Duration = Duration::from_secs(8);
/// Number of redirects that are followed.
const MAX_REDIRECTS: usize = 5;

/// RTSP client configuration for one camera.
#[derive(Clone)]
pub struct Client {
    /// The camera's address.
    pub url: Url,
    /// Credentials, if there are any.
    pub credentials: Option<Credentials>,
    /// Guard for the addresses at which the camera may be.
    pub ssrf_guard: Option<SsrfGuard>,
    /// Value of the `User-Agent` header.
    pub agent: &'static str,
    /// TEARDOWNs in the background. The tracker is closed, so that it can be awaited.
    pub teardowns: TaskTracker,
    /// Number of redirects so far.
    redirects: usize,
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
            agent,
            teardowns,
            redirects: 0,
        }
    }

    /// Returns host and port for display.
    pub fn peer(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        format!("{host}:{}", self.port())
    }

    fn port(&self) -> u16 {
        self.url.port().unwrap_or(554)
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
            match self.describe_at_current_url(budget()).await {
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
        let target = self
            .url
            .join(target)
            .ok()
            .filter(|target| target.scheme() == "rtsp");
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
        let place = |url: &Url| (url.host_str().map(str::to_owned), url.port().unwrap_or(554));
        if place(&target) != place(&self.url) {
            self.credentials = None;
        }
        self.url = target;
        Ok(())
    }

    async fn describe_at_current_url(
        &self,
        budget: Option<Budget>,
    ) -> Result<Session, SessionError> {
        let connection = self.connect(budget).await?;
        let signer = Signer::new(self.credentials.clone());
        let mut talk = Exchange::new(connection, signer, self.agent, self.url.clone());
        let accept = [("Accept", "application/sdp".into())];
        let uri = self.url.to_string();
        let response =
            talk::with_timeout(DESCRIBE_TIMEOUT, talk.request("DESCRIBE", &uri, &accept)).await?;
        let description = Description::read(&response.body);
        talk.base = answers::base(&response, &self.url);
        talk.note_server(description.tool.as_deref());
        let control = description.control.as_deref();
        let control = control.map_or_else(|| uri, |control| answers::join(&talk.base, control));
        let talk = TeardownOnDrop::new(talk, self.teardowns.clone());
        Ok(Session::new(talk, description, control))
    }

    async fn connect(&self, budget: Option<Budget>) -> Result<Connection, SessionError> {
        let silent = || SessionError::Io(io::ErrorKind::TimedOut.into());
        let host = self.url.host_str().unwrap_or_default();
        let ssrf_guard = self.ssrf_guard.unwrap_or(SsrfGuard::disabled());
        let found = timeout(LOOKUP_TIMEOUT, ssrf_guard.resolve(host, self.port()));
        let found = found
            .await
            .map_err(|_| silent())?
            .map_err(SessionError::Io)?;
        let mut fault = silent();
        for address in found.into_iter().take(MAX_ADDRESSES) {
            match timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => return Ok(Connection::new(stream, address, budget)),
                Ok(Err(error)) => fault = SessionError::Io(error),
                Err(_) => fault = silent(),
            }
        }
        Err(fault)
    }
}
