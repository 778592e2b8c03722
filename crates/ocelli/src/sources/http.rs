//! HTTP cameras: a multipart stream of JPEGs, or one JPEG fetched again and again.
//! Which of them an address gives is told by the content type of its answer.
//!
//! Cameras take liberties with multipart: see [`multipart`].

mod multipart;

use super::reach::{no_answer, refused, unreachable};
use super::{Address, Credentials, Fence, Kind, authorities};
use crate::config::{ConfigError, Section};
use crate::jpeg;
use http_auth::{PasswordClient, PasswordParams};
use multipart::Multipart;
use ocelli_core::{Failure, FailureKind, FrameBuffer, Picture, Publisher, RunOnce, Source};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, LOCATION, WWW_AUTHENTICATE};
use reqwest::{Client, Response, StatusCode, Url};
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval, timeout};

/// The kind `http`.
pub const KIND: Kind = Kind {
    name: "http",
    schemes: &["http", "https"],
    about: "A camera that sends MJPEG over HTTP, or a picture that is fetched again and again.",
    example: "http://viewer:password@10.0.0.8/mjpeg",
    options: &[
        (
            "interval",
            "how often a single picture is fetched, \"1s\" by default",
        ),
        (
            "verify_tls",
            "false accepts any certificate, as a camera's own needs it; true by default",
        ),
    ],
    open,
};

const CONNECT: Duration = Duration::from_secs(5);
/// For an answer's headers, and for the whole of a single picture.
const ANSWER: Duration = Duration::from_secs(8);
const REDIRECTS: usize = 5;
/// Parts in a row that are no pictures before it is no camera.
const HOPELESS_PARTS: usize = 10;

/// How many parts a multipart stream in these pieces has.
#[cfg(fuzzing)]
pub fn multipart_parts(content_type: &str, pieces: &[&[u8]]) -> usize {
    let mut parts = Multipart::new(multipart::boundary(content_type).as_deref());
    let mut count = 0;
    for piece in pieces {
        let mut rest = *piece;
        while parts.next_part(&mut rest).is_some() {
            count += 1;
        }
    }
    count
}

struct Http {
    url: Url,
    credentials: Option<Credentials>,
    fence: Option<Fence>,
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
        ConfigError::new(format!("{shown:?} is no address of a page: {error}"))
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
        fence: address.fence,
        interval,
        patience,
        verify_tls,
    }))
}

impl Source for Http {
    fn run_once(self: Arc<Self>, publisher: Publisher) -> RunOnce {
        Box::pin(async move { Visit::new(&self).await?.run(&publisher).await })
    }

    fn patience(&self) -> Duration {
        self.patience
    }
}

/// One attempt.
struct Visit<'a> {
    camera: &'a Http,
    client: Client,
    /// Of the request that is being made.
    port: Arc<AtomicU16>,
    /// Answers the camera's challenge, once it has made one.
    signer: Option<PasswordClient>,
    /// Where redirections have led.
    url: Url,
}

impl<'a> Visit<'a> {
    async fn new(camera: &'a Http) -> Result<Self, Failure> {
        // Redirections are followed here, so that a password stays with its host.
        let port = Arc::new(AtomicU16::new(0));
        let mut client = Client::builder();
        if let Some(fence) = camera.fence {
            let port = port.clone();
            client = client.dns_resolver(Arc::new(Fenced { fence, port }));
        }
        let missing = |reason: String| Failure::new(FailureKind::Missing, reason);
        // An address without TLS may lead to one with it.
        let client = match camera.verify_tls {
            true => client.tls_backend_preconfigured(authorities::client().await.map_err(missing)?),
            false => client.tls_danger_accept_invalid_certs(true),
        };
        let client = client
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT)
            .user_agent("ocelli")
            .build()
            .map_err(|error| missing(account(&error)))?;
        Ok(Self {
            camera,
            client,
            port,
            signer: None,
            url: camera.url.clone(),
        })
    }

    async fn run(mut self, publisher: &Publisher) -> Result<(), Failure> {
        let response = self.get().await?;
        let content_type = response.headers().get(CONTENT_TYPE);
        let content_type = content_type.and_then(|value| value.to_str().ok());
        let content_type = content_type.unwrap_or_default().to_owned();
        let kind = content_type.split(';').next().unwrap_or_default().trim();
        match kind.to_ascii_lowercase().as_str() {
            multipart if multipart.starts_with("multipart/") => {
                let parts = Multipart::new(multipart::boundary(&content_type).as_deref());
                self.stream(response, parts, publisher).await
            }
            "image/jpeg" | "image/jpg" | "image/pjpeg" | "application/octet-stream" => {
                self.poll(response, publisher).await
            }
            other => {
                // A type is short and plain; whatever else stands there is not
                // worth showing to every viewer.
                let odd = |byte: u8| !(byte.is_ascii_alphanumeric() || b"/+-._".contains(&byte));
                let what = match other {
                    "" => "something unnamed",
                    _ if other.len() > 60 || other.bytes().any(odd) => "something odd",
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

    async fn stream(
        self,
        mut response: Response,
        mut parts: Multipart,
        publisher: &Publisher,
    ) -> Result<(), Failure> {
        let mut hopeless = 0;
        // Silence is for the watchdog to end.
        while let Some(bytes) = response
            .chunk()
            .await
            .map_err(|error| self.explain(&error))?
        {
            let mut rest = &bytes[..];
            while let Some(buffer) = parts.next_part(&mut rest) {
                if publish(buffer, publisher) {
                    hopeless = 0;
                    continue;
                }
                hopeless += 1;
                if hopeless == HOPELESS_PARTS {
                    let reason = "the parts of its stream are no JPEG pictures";
                    return Err(Failure::new(FailureKind::Unsupported, reason));
                }
            }
        }
        let reason = "the camera closed the connection";
        Err(Failure::new(FailureKind::Ended, reason))
    }

    async fn poll(mut self, first: Response, publisher: &Publisher) -> Result<(), Failure> {
        let mut ticks = interval(self.camera.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.tick().await;
        let mut response = first;
        loop {
            let picture = match timeout(ANSWER, self.whole(response)).await {
                Ok(picture) => picture?,
                Err(_) => return Err(self.nothing_came()),
            };
            // One that has not changed is published too: it shows the camera lives.
            if !publish(picture, publisher) {
                let reason = "what it sends as a picture is no JPEG";
                return Err(Failure::new(FailureKind::Unsupported, reason));
            }
            ticks.tick().await;
            response = self.get().await?;
        }
    }

    async fn whole(&self, mut response: Response) -> Result<FrameBuffer, Failure> {
        let len = response
            .content_length()
            .unwrap_or(0)
            .min(jpeg::MAX_BYTES as u64);
        let mut buffer = FrameBuffer::with_capacity(len as usize);
        while let Some(bytes) = response
            .chunk()
            .await
            .map_err(|error| self.explain(&error))?
        {
            if buffer.len() + bytes.len() > jpeg::MAX_BYTES {
                let reason = "its picture is larger than 16 MiB";
                return Err(Failure::new(FailureKind::Unsupported, reason));
            }
            buffer.extend_from_slice(&bytes);
        }
        Ok(buffer)
    }

    /// Asks for the stream or the picture, signing in and following redirections.
    async fn get(&mut self) -> Result<Response, Failure> {
        let mut challenged = false;
        for _ in 0..=REDIRECTS + 1 {
            let response = self.request().await?;
            let status = response.status();
            if status.is_redirection() {
                self.follow(&response)?;
            } else if status == StatusCode::UNAUTHORIZED && !challenged && self.at_home() {
                challenged = true;
                self.signer = challenge(&response);
                if self.camera.credentials.is_none() || self.signer.is_none() {
                    return Err(self.refused(status));
                }
            } else if status.is_success() {
                return Ok(response);
            } else {
                return Err(self.refused(status));
            }
        }
        let reason = "it redirects in circles";
        Err(Failure::new(FailureKind::Unsupported, reason))
    }

    async fn request(&mut self) -> Result<Response, Failure> {
        // Addresses that are no names do not pass by the resolver.
        let fence = self.camera.fence;
        if fence.is_some_and(|fence| fence.refuses(&self.url, 80)) {
            return Err(refused());
        }
        let port = self.url.port_or_known_default().unwrap_or(80);
        self.port.store(port, Ordering::Relaxed);
        let mut request = self.client.get(self.url.clone());
        if let Some(authorization) = self.authorization() {
            request = request.header(AUTHORIZATION, authorization);
        }
        match timeout(ANSWER, request.send()).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(self.explain(&error)),
            Err(_) => Err(self.nothing_came()),
        }
    }

    /// The credentials are for one host, whatever it redirects to.
    fn at_home(&self) -> bool {
        self.url.origin() == self.camera.url.origin()
    }

    fn authorization(&mut self) -> Option<String> {
        if !self.at_home() {
            return None;
        }
        let credentials = self.camera.credentials.as_ref()?;
        let uri = match self.url.query() {
            Some(query) => format!("{}?{query}", self.url.path()),
            None => self.url.path().to_owned(),
        };
        let signer = self.signer.as_mut()?;
        let answer = signer.respond(&PasswordParams {
            username: &credentials.user,
            password: &credentials.password,
            uri: &uri,
            method: "GET",
            body: Some(&[]),
        });
        answer.ok()
    }

    fn follow(&mut self, response: &Response) -> Result<(), Failure> {
        let location = response.headers().get(LOCATION);
        let target = location
            .and_then(|value| value.to_str().ok())
            .and_then(|value| self.url.join(value).ok());
        match target {
            Some(target) if matches!(target.scheme(), "http" | "https") => {
                self.url = target;
                Ok(())
            }
            _ => {
                let reason = format!("{}: it redirects to nowhere", response.status().as_u16());
                Err(Failure::new(FailureKind::Unsupported, reason))
            }
        }
    }

    fn peer(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        format!("{host}:{}", self.url.port_or_known_default().unwrap_or(80))
    }

    fn nothing_came(&self) -> Failure {
        let reason = format!("{} takes the connection, but does not answer", self.peer());
        Failure::new(FailureKind::Unreachable, reason)
    }

    fn refused(&self, status: StatusCode) -> Failure {
        let (kind, reason) = match status.as_u16() {
            401 if self.camera.credentials.is_none() => {
                (FailureKind::Unauthorized, "it wants a user and a password")
            }
            401 => (FailureKind::Unauthorized, "wrong user or password"),
            403 => (FailureKind::Unauthorized, "this user may not see it"),
            404 | 410 => (FailureKind::NotFound, "no such stream at this address"),
            500..=599 => (FailureKind::Ended, "the camera has a fault or is busy"),
            _ => (FailureKind::Unsupported, "the camera refuses"),
        };
        Failure::new(kind, format!("{}: {reason}", status.as_u16()))
    }

    fn explain(&self, error: &reqwest::Error) -> Failure {
        let account = account(error);
        tracing::debug!(camera = %self.peer(), "{}", super::redact(&account));
        let peer = self.peer();
        if account.contains("certificate") {
            return Failure::new(
                FailureKind::Unsupported,
                "its certificate can't be verified; verify_tls = false accepts a camera's own",
            );
        }
        if error.is_connect() && error.is_timeout() {
            return Failure::new(FailureKind::Unreachable, no_answer(&peer));
        }
        unreachable(&account, &peer).unwrap_or_else(|| {
            let reason = if error.is_body() || error.is_decode() {
                "the camera closed the connection"
            } else {
                "what answers there does not speak HTTP as it should"
            };
            Failure::new(FailureKind::Ended, reason)
        })
    }
}

/// Resolves names within the fence. The client connects to what this answers, at
/// every connection anew.
struct Fenced {
    fence: Fence,
    /// Of the request that is being made; a visit makes one at a time.
    port: Arc<AtomicU16>,
}

impl Resolve for Fenced {
    fn resolve(&self, name: Name) -> Resolving {
        let (fence, port) = (self.fence, self.port.load(Ordering::Relaxed));
        Box::pin(async move {
            let found = fence.resolve(name.as_str(), port).await?;
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// An error with all its causes, for it is the last that tells.
fn account(error: &reqwest::Error) -> String {
    let mut account = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        account.push_str(": ");
        account.push_str(&error.to_string());
        cause = error.source();
    }
    account
}

fn challenge(response: &Response) -> Option<PasswordClient> {
    let values = response.headers().get_all(WWW_AUTHENTICATE).iter();
    let values = values.filter_map(|value| value.to_str().ok());
    let builder = values.fold(PasswordClient::builder(), |builder, value| {
        builder.challenges(value)
    });
    builder.build().ok()
}

/// Publishes what is a JPEG; says whether it was.
fn publish(buffer: FrameBuffer, publisher: &Publisher) -> bool {
    let size = jpeg::size(buffer.payload());
    if size.is_some() {
        publisher.publish(Picture::jpeg(buffer, size));
    }
    size.is_some()
}
