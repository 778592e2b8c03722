//! Source for HTTP cameras: a multipart stream of JPEGs, or a JPEG that is polled. The
//! response's content type selects between the two.
//!
//! All reading is charged to the camera's budget. Many cameras deviate from the multipart
//! format: see [`multipart`].

mod connection;
mod fault;
mod framing;
#[cfg(fuzzing)]
mod fuzzing;
mod head;
mod multipart;
mod wire;

use super::pace::{MAX_FPS, Pace, WithoutPicture};
use super::{Address, Credentials, Kind, SsrfGuard, tls_trust};
use crate::jpeg;
use connection::Connection;
use fault::{CLOSED, Fault, NOT_HTTP};
#[cfg(fuzzing)]
pub use fuzzing::{multipart_parts, read_answer};
use head::Head;
use http::header::{CONTENT_TYPE, HeaderValue, LOCATION, WWW_AUTHENTICATE};
use http::{HeaderMap, StatusCode};
use http_auth::{PasswordClient, PasswordParams};
use multipart::Multipart;
use ocelli_config::{ConfigError, Section};
use ocelli_core::{
    Budget, Failure, FailureKind, FrameBuffer, PeerKind, Picture, Publisher, RunOnce, Source,
};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval, timeout};
use url::{Position, Url};

/// The kind `http`.
pub const KIND: Kind = Kind {
    name: "http",
    schemes: &["http", "https"],
    about: "A camera that sends MJPEG over HTTP, or a still picture that is fetched repeatedly.",
    example: "http://viewer:password@10.0.0.8/mjpeg",
    options: &[
        (
            "interval",
            "the interval at which a still picture is fetched, \"1s\" by default",
        ),
        (
            "verify_tls",
            "false accepts any certificate, including self-signed ones; true by default",
        ),
    ],
    open,
};

/// Timeout for a response's headers, and for a whole still picture.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(8);
const MAX_REDIRECTS: usize = 5;
/// Number of consecutive parts without a picture after which the stream is given up.
const MAX_INVALID_PARTS: usize = 10;

struct Http {
    url: Url,
    credentials: Option<Credentials>,
    ssrf_guard: Option<SsrfGuard>,
    interval: Duration,
    patience: Duration,
    verify_tls: bool,
}

fn open(address: Address, options: &mut Section<'_>) -> Result<Arc<dyn Source>, ConfigError> {
    let every = options.duration("interval")?;
    let every_span = options.span("interval");
    let verify_tls = options.boolean("verify_tls")?.unwrap_or(true);
    let url = Url::parse(address.bare()).map_err(|error| {
        let shown = address.redacted();
        ConfigError::new(format!("{shown:?} is not a valid URL: {error}"))
    })?;
    let interval = every.unwrap_or(Duration::from_secs(1));
    if !(Duration::from_millis(50)..=Duration::from_secs(3600)).contains(&interval) {
        let message = "`interval` takes a duration from \"50ms\" to \"1h\"";
        return Err(ConfigError::new(message).at(every_span));
    }
    let patience = Duration::from_secs(10) + every.unwrap_or_default() * 2;
    Ok(Arc::new(Http {
        url,
        credentials: address.credentials,
        ssrf_guard: address.ssrf_guard,
        interval,
        patience,
        verify_tls,
    }))
}

impl Source for Http {
    fn run_once(self: Arc<Self>, publisher: Publisher) -> RunOnce {
        Box::pin(async move { Attempt::new(&self, &publisher).run().await })
    }

    fn patience(&self) -> Duration {
        self.patience
    }
}

/// One connection attempt.
struct Attempt<'a> {
    camera: &'a Http,
    publisher: &'a Publisher,
    /// The current connection. There is never more than one.
    connection: Option<Connection>,
    /// Answers the camera's authentication challenge, once it has sent one.
    signer: Option<PasswordClient>,
    /// The current URL, after redirects.
    url: Url,
    pace: Pace,
    without: WithoutPicture,
}

impl<'a> Attempt<'a> {
    fn new(camera: &'a Http, publisher: &'a Publisher) -> Self {
        Self {
            camera,
            publisher,
            connection: None,
            signer: None,
            url: camera.url.clone(),
            pace: Pace::new(MAX_FPS),
            without: WithoutPicture::default(),
        }
    }

    async fn run(mut self) -> Result<(), Failure> {
        let head = self.get().await?;
        let content_type = head.headers.get(CONTENT_TYPE);
        let content_type = content_type.and_then(|value| value.to_str().ok());
        let content_type = content_type.unwrap_or_default().to_owned();
        let kind = content_type.split(';').next().unwrap_or_default().trim();
        match kind.to_ascii_lowercase().as_str() {
            multipart if multipart.starts_with("multipart/") => {
                let parts = Multipart::new(multipart::boundary(&content_type).as_deref());
                self.stream(parts).await
            }
            "image/jpeg" | "image/jpg" | "image/pjpeg" | "application/octet-stream" => {
                self.poll().await
            }
            other => {
                // Show the type to viewers only if it is short and has no unusual
                // characters.
                let odd = |byte: u8| !(byte.is_ascii_alphanumeric() || b"/+-._".contains(&byte));
                let what = match other {
                    "" => "data of unknown type",
                    _ if other.len() > 60 || other.bytes().any(odd) => "data of an invalid type",
                    _ => other,
                };
                Err(Failure::new(
                    FailureKind::Unsupported,
                    format!(
                        "it answers with {what}, not with pictures: \
                         is this the address of the stream itself?"
                    ),
                ))
            }
        }
    }

    async fn stream(mut self, mut parts: Multipart) -> Result<(), Failure> {
        let mut without_picture = 0;
        // The watchdog ends a silent stream.
        while let Some(buffer) = self.next_part(&mut parts).await? {
            if self.publish(buffer).await? {
                without_picture = 0;
                continue;
            }
            without_picture += 1;
            if without_picture == MAX_INVALID_PARTS {
                let reason = "the parts of its stream are not JPEG pictures";
                return Err(Failure::new(FailureKind::Unsupported, reason));
            }
        }
        Err(Failure::new(FailureKind::Ended, CLOSED))
    }

    /// Returns the next part of the stream, or `None` at its end.
    async fn next_part(&mut self, parts: &mut Multipart) -> Result<Option<FrameBuffer>, Failure> {
        // The bytes received so far may hold more than one part.
        let mut part = parts.next_part(&mut &[][..]);
        while part.is_none() {
            let Some(connection) = &mut self.connection else {
                return Ok(None);
            };
            let bytes = match connection.body().await {
                Ok(Some(bytes)) => bytes,
                Ok(None) => return Ok(None),
                Err(fault) => return Err(self.explain_body(fault)),
            };
            let mut rest = bytes;
            part = parts.next_part(&mut rest);
            let taken = bytes.len() - rest.len();
            connection.consume(taken);
            if self.without.add(taken) {
                let reason = "it sends a lot of data but no JPEG pictures";
                return Err(Failure::new(FailureKind::Unsupported, reason));
            }
        }
        Ok(part)
    }

    /// Publishes a JPEG and waits until the next one is accepted. Returns false if `buffer` is not
    /// a JPEG.
    async fn publish(&mut self, buffer: FrameBuffer) -> Result<bool, Failure> {
        let size = jpeg::size(buffer.payload());
        if size.is_some() {
            self.without.reset();
            self.publisher.publish(Picture::jpeg(buffer, size));
            self.pace.wait().await;
        }
        if let Some(connection) = &mut self.connection {
            let budget = connection.budget();
            budget.charge_messages(1);
            budget.ready().await?;
        }
        Ok(size.is_some())
    }

    async fn poll(mut self) -> Result<(), Failure> {
        let mut ticks = interval(self.camera.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.tick().await;
        loop {
            let picture = match timeout(RESPONSE_TIMEOUT, self.still_picture()).await {
                Ok(picture) => picture?,
                Err(_) => return Err(self.no_response()),
            };
            // An unchanged picture is published too, because it shows that the camera works.
            if !self.publish(picture).await? {
                let reason = "the picture it sends is not a JPEG";
                return Err(Failure::new(FailureKind::Unsupported, reason));
            }
            ticks.tick().await;
            self.get().await?;
        }
    }

    async fn still_picture(&mut self) -> Result<FrameBuffer, Failure> {
        let Some(connection) = &mut self.connection else {
            return Ok(FrameBuffer::with_capacity(0));
        };
        let len = connection.remaining().unwrap_or(0);
        let mut buffer = FrameBuffer::with_capacity(len.min(jpeg::MAX_BYTES as u64) as usize);
        loop {
            let bytes = match connection.body().await {
                Ok(Some(bytes)) => bytes,
                Ok(None) => return Ok(buffer),
                Err(fault) => return Err(self.explain_body(fault)),
            };
            if buffer.len() + bytes.len() > jpeg::MAX_BYTES {
                let reason = "its picture is larger than 16 MiB";
                return Err(Failure::new(FailureKind::Unsupported, reason));
            }
            buffer.extend_from_slice(bytes);
            let taken = bytes.len();
            connection.consume(taken);
        }
    }

    /// Requests the stream or the picture. Signs in and follows redirects.
    async fn get(&mut self) -> Result<Head, Failure> {
        let mut challenged = false;
        for _ in 0..=MAX_REDIRECTS + 1 {
            let head = self.request().await?;
            let status = head.status;
            if status.is_redirection() {
                self.skip().await;
                self.follow_redirect(&head)?;
            } else if status == StatusCode::UNAUTHORIZED && !challenged && self.is_own_origin() {
                challenged = true;
                self.signer = challenge(&head.headers);
                if self.camera.credentials.is_none() || self.signer.is_none() {
                    return Err(self.refused(status));
                }
                self.skip().await;
            } else if status.is_success() {
                return Ok(head);
            } else {
                return Err(self.refused(status));
            }
        }
        let reason = "too many redirects";
        Err(Failure::new(FailureKind::Unsupported, reason))
    }

    async fn request(&mut self) -> Result<Head, Failure> {
        match timeout(RESPONSE_TIMEOUT, self.send_request()).await {
            Ok(Ok(head)) => Ok(head),
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
                let client = tls_trust::client_config(self.camera.verify_tls).await;
                Some(client.map_err(missing)?)
            }
            _ => None,
        };
        let ssrf_guard = self.camera.ssrf_guard.unwrap_or_else(SsrfGuard::disabled);
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
    fn request_text(&mut self) -> String {
        let host = &self.url[Position::BeforeHost..Position::AfterPort];
        let target = &self.url[Position::BeforePath..Position::AfterQuery];
        let mut request = format!(
            "GET {target} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: ocelli\r\nAccept: */*\r\n"
        );
        if let Some(authorization) = self.authorization() {
            request.push_str(&format!("Authorization: {authorization}\r\n"));
        }
        request.push_str("\r\n");
        request
    }

    /// Returns true if the current URL has the camera's own origin. The credentials are not sent
    /// to any other.
    fn is_own_origin(&self) -> bool {
        self.url.origin() == self.camera.url.origin()
    }

    fn authorization(&mut self) -> Option<String> {
        if !self.is_own_origin() {
            return None;
        }
        let credentials = self.camera.credentials.as_ref()?;
        let uri = &self.url[Position::BeforePath..Position::AfterQuery];
        let signer = self.signer.as_mut()?;
        let response = signer.respond(&PasswordParams {
            username: &credentials.user,
            password: &credentials.password,
            uri,
            method: "GET",
            body: Some(&[]),
        });
        // User and password may contain characters that are not allowed in a header.
        response
            .ok()
            .filter(|response| HeaderValue::from_bytes(response.as_bytes()).is_ok())
    }

    fn follow_redirect(&mut self, head: &Head) -> Result<(), Failure> {
        let location = head.headers.get(LOCATION);
        let target = location
            .and_then(|value| value.to_str().ok())
            .and_then(|value| self.url.join(value).ok());
        match target {
            Some(target) if matches!(target.scheme(), "http" | "https") => {
                self.url = target;
                Ok(())
            }
            _ => {
                let reason = format!(
                    "{}: its redirect has no valid address",
                    head.status.as_u16()
                );
                Err(Failure::new(FailureKind::Unsupported, reason))
            }
        }
    }

    fn peer(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        format!("{host}:{}", self.url.port_or_known_default().unwrap_or(80))
    }

    fn no_response(&self) -> Failure {
        let reason = format!("{} accepts the connection but does not answer", self.peer());
        Failure::new(FailureKind::Unreachable, reason)
    }

    fn refused(&self, status: StatusCode) -> Failure {
        let (kind, reason) = match status.as_u16() {
            401 if self.camera.credentials.is_none() => {
                (FailureKind::Unauthorized, "user and password required")
            }
            401 => (FailureKind::Unauthorized, "wrong user or password"),
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

    /// Returns the failure for a fault before the response's body.
    fn explain(&self, fault: Fault) -> Failure {
        fault.explain(&self.peer(), NOT_HTTP)
    }

    /// Returns the failure for a fault in the response's body.
    fn explain_body(&self, fault: Fault) -> Failure {
        fault.explain(&self.peer(), CLOSED)
    }
}

fn challenge(headers: &HeaderMap) -> Option<PasswordClient> {
    let values = headers.get_all(WWW_AUTHENTICATE).iter();
    let values = values.filter_map(|value| value.to_str().ok());
    let builder = values.fold(PasswordClient::builder(), |builder, value| {
        builder.challenges(value)
    });
    builder.build().ok()
}
