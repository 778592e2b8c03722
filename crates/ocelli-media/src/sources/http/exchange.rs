//! Requests to a camera: connecting, signing in, redirects, and the reasons why they fail.

use super::connection::Connection;
use super::cookies::Cookies;
use super::fault::{CLOSED, Fault, NOT_HTTP};
use super::head::Head;
use super::sign_in::{self, Signer};
use crate::sources::{Credentials, SsrfGuard, redact, tls_trust};
use http::StatusCode;
use http::header::LOCATION;
use ocelli_core::{Budget, Failure, FailureKind, PeerKind, Publisher};
use std::time::Duration;
use tokio::time::timeout;
use url::{Position, Url};

/// Timeout for a response's headers, and for a whole still picture.
pub(super) const RESPONSE_TIMEOUT: Duration = Duration::from_secs(8);
const MAX_REDIRECTS: usize = 5;

/// The longest address that a reason repeats.
const MAX_ADDRESS: usize = 200;

/// How a camera is reached.
pub(super) struct Access {
    pub(super) url: Url,
    pub(super) credentials: Option<Credentials>,
    pub(super) ssrf_guard: Option<SsrfGuard>,
    pub(super) verify_tls: bool,
}

/// The exchange of one connection attempt.
pub(super) struct Exchange<'a> {
    access: &'a Access,
    publisher: &'a Publisher,
    /// The current connection. There is never more than one.
    connection: Option<Connection>,
    /// Answers the camera's authentication challenge, once it has sent one.
    signer: Option<Signer>,
    cookies: Cookies,
    /// The current URL, after redirects.
    url: Url,
}

impl<'a> Exchange<'a> {
    pub(super) fn new(access: &'a Access, publisher: &'a Publisher) -> Self {
        Self {
            access,
            publisher,
            connection: None,
            signer: None,
            cookies: Cookies::default(),
            url: access.url.clone(),
        }
    }

    /// Returns the connection with the last response.
    pub(super) fn connection(&mut self) -> Option<&mut Connection> {
        self.connection.as_mut()
    }

    /// Requests the stream or the picture. Signs in and follows redirects.
    pub(super) async fn get(&mut self) -> Result<Head, Failure> {
        let mut redirects = 0;
        let mut is_renewed = false;
        loop {
            let head = self.get_response().await?;
            let status = head.status;
            if status.is_redirection() && status != StatusCode::NOT_MODIFIED {
                redirects += 1;
                if redirects > MAX_REDIRECTS {
                    let reason = "too many redirects";
                    return Err(Failure::new(FailureKind::Unsupported, reason));
                }
                self.skip().await;
                self.follow_redirect(&head)?;
            } else if status == StatusCode::UNAUTHORIZED {
                self.signer = Some(self.challenged(&head, &mut is_renewed)?);
                self.skip().await;
            } else if status.is_success() {
                if let Some(signer) = &mut self.signer {
                    signer.accept(&head.headers);
                }
                return Ok(head);
            } else {
                return Err(refused(status));
            }
        }
    }

    /// Returns the signer for the next request after a 401 response.
    fn challenged(&self, head: &Head, is_renewed: &mut bool) -> Result<Signer, Failure> {
        let unauthorized = |reason| Failure::new(FailureKind::Unauthorized, reason);
        let has_credentials = self.access.credentials.is_some();
        if !self.is_own_origin() {
            let address = shown(&self.url);
            return Err(unauthorized(match has_credentials {
                true => redirect_reason(&address, true),
                false => format!(
                    "401: it redirects to {address}, which requires a user and a password: \
                     enter that address, with both"
                ),
            }));
        }
        let refused = || unauthorized(sign_in::refusal(&head.headers, has_credentials));
        let signer = match &self.signer {
            None => Signer::new(&head.headers).map_err(unauthorized)?,
            Some(_) if *is_renewed => return Err(refused()),
            Some(signer) => {
                *is_renewed = true;
                signer.renewed(&head.headers).ok_or_else(refused)?
            }
        };
        match has_credentials {
            true => Ok(signer),
            false => Err(refused()),
        }
    }

    async fn get_response(&mut self) -> Result<Head, Failure> {
        match timeout(RESPONSE_TIMEOUT, self.send_request()).await {
            Ok(Ok(head)) => {
                self.cookies.note(&self.url, &head.headers);
                Ok(head)
            }
            Ok(Err(failure)) => Err(failure),
            Err(_) => Err(self.no_response()),
        }
    }

    async fn send_request(&mut self) -> Result<Head, Failure> {
        let request = self.request_text();
        let url = &self.url;
        if let Some(open) = self.connection.as_mut().filter(|open| open.serves(url)) {
            match open.request(&request).await {
                Ok(head) => return Ok(head),
                // The camera may have closed the connection while it was idle.
                Err(Fault::Closed | Fault::Io(_)) if open.has_no_response() => {}
                Err(fault) => return Err(self.explain(fault)),
            }
        }
        let tls = match self.url.scheme() {
            "https" => {
                let missing = |reason| Failure::new(FailureKind::Missing, reason);
                let client = tls_trust::client_config(self.access.verify_tls).await;
                Some(client.map_err(missing)?)
            }
            _ => None,
        };
        let ssrf_guard = self.access.ssrf_guard.unwrap_or_else(SsrfGuard::disabled);
        let budget = self.take_budget();
        let opened = Connection::open(&self.url, ssrf_guard, tls, budget).await;
        let connection = self
            .connection
            .insert(opened.map_err(|fault| self.explain(fault))?);
        let head = connection.request(&request).await;
        head.map_err(|fault| self.explain(fault))
    }

    /// Closes the current connection and returns its budget for the next one, so that costs
    /// accumulate.
    fn take_budget(&mut self) -> Budget {
        let fresh = self.publisher.budget(PeerKind::Camera);
        match self.connection.take() {
            Some(mut connection) => std::mem::replace(connection.budget(), fresh),
            None => fresh,
        }
    }

    /// Reads a response to its end, so that the connection can be used again.
    async fn skip(&mut self) {
        if let Some(connection) = &mut self.connection
            && !matches!(
                timeout(RESPONSE_TIMEOUT, connection.skip()).await,
                Ok(Ok(()))
            )
        {
            connection.close_after_response();
        }
    }

    /// Returns the request's text.
    fn request_text(&mut self) -> Vec<u8> {
        let host = &self.url[Position::BeforeHost..Position::AfterPort];
        let target = &self.url[Position::BeforePath..Position::AfterQuery];
        let mut request = format!(
            "GET {target} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: ocelli\r\nAccept: */*\r\n"
        )
        .into_bytes();
        if let Some(authorization) = self.authorization() {
            request.extend_from_slice(b"Authorization: ");
            request.extend_from_slice(&authorization);
            request.extend_from_slice(b"\r\n");
        }
        if let Some(cookies) = self.cookies.header(&self.url) {
            request.extend_from_slice(format!("Cookie: {cookies}\r\n").as_bytes());
        }
        request.extend_from_slice(b"\r\n");
        request
    }

    /// Returns true if the current URL has the camera's own origin. The credentials are not sent
    /// to any other.
    fn is_own_origin(&self) -> bool {
        self.url.origin() == self.access.url.origin()
    }

    fn authorization(&mut self) -> Option<Vec<u8>> {
        if !self.is_own_origin() {
            return None;
        }
        let credentials = self.access.credentials.as_ref()?;
        let uri = &self.url[Position::BeforePath..Position::AfterQuery];
        self.signer.as_mut()?.authorization(credentials, uri)
    }

    fn follow_redirect(&mut self, head: &Head) -> Result<(), Failure> {
        let location = head.headers.get(LOCATION);
        let location = location.map(|value| String::from_utf8_lossy(value.as_bytes()));
        let location = location.filter(|value| !value.trim().is_empty());
        let target = location.and_then(|value| self.url.join(value.trim()).ok());
        let reason = match target {
            Some(target) if matches!(target.scheme(), "http" | "https") => {
                self.url = target;
                return Ok(());
            }
            Some(target) => redirect_reason(&shown(&target), self.access.credentials.is_some()),
            None => {
                let status = head.status.as_u16();
                format!("{status}: its redirect has no valid address")
            }
        };
        Err(Failure::new(FailureKind::Unsupported, reason))
    }

    fn peer(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        format!("{host}:{}", self.url.port_or_known_default().unwrap_or(80))
    }

    pub(super) fn no_response(&self) -> Failure {
        let reason = format!("{} accepts the connection but does not answer", self.peer());
        Failure::new(FailureKind::Unreachable, reason)
    }

    /// Returns the failure for a fault before the response's body.
    fn explain(&self, fault: Fault) -> Failure {
        fault.explain(&self.peer(), NOT_HTTP)
    }

    /// Returns the failure for a fault in the response's body.
    pub(super) fn explain_body(&self, fault: Fault) -> Failure {
        fault.explain(&self.peer(), CLOSED)
    }
}

/// Returns the reason for a redirect that is not followed any further.
fn redirect_reason(address: &str, has_credentials: bool) -> String {
    match has_credentials {
        true => {
            format!("it redirects to {address}; the password is not sent there: enter that address")
        }
        false => format!("it redirects to {address}: enter that address"),
    }
}

/// Returns an address for display.
fn shown(url: &Url) -> String {
    let shown = redact(url.as_str());
    match shown.char_indices().nth(MAX_ADDRESS) {
        Some((end, _)) => format!("{}…", &shown[..end]),
        None => shown,
    }
}

fn refused(status: StatusCode) -> Failure {
    let (kind, reason) = match status.as_u16() {
        403 => (
            FailureKind::Unauthorized,
            "this user is not allowed to view the stream",
        ),
        404 | 410 => (FailureKind::NotFound, "no such stream at this address"),
        500..=599 => (FailureKind::Ended, "the camera reports an error or is busy"),
        _ => (FailureKind::Unsupported, "the camera rejected the request"),
    };
    Failure::new(kind, format!("{}: {reason}", status.as_u16()))
}
