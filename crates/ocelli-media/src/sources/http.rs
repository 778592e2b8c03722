//! Source for HTTP cameras: a multipart stream of JPEGs, or a JPEG that is polled. The
//! response's content type selects between the two.
//!
//! All reading is charged to the camera's budget. Pictures are found by their own structure;
//! types, boundaries and lengths are only hints.

mod coding;
mod connection;
mod cookies;
mod exchange;
mod fault;
mod framing;
#[cfg(fuzzing)]
mod fuzzing;
mod head;
mod multipart;
mod sign_in;
mod wire;

use super::pace::{MAX_FPS, Pace, WithoutPicture};
use super::{Address, Kind};
use crate::jpeg::Splitter;
use coding::Coding;
use exchange::{Access, Exchange, RESPONSE_TIMEOUT};
use fault::{CLOSED, Fault};
#[cfg(fuzzing)]
pub use fuzzing::{multipart_pictures, read_response};
use head::Head;
use http::header::CONTENT_TYPE;
use multipart::Multipart;
use ocelli_config::{ConfigError, Section};
use ocelli_core::{Failure, FailureKind, Picture, Publisher, RunOnce, Source};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};
use url::Url;

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

/// How long the rest of a response is awaited after a whole still picture.
const REST: Duration = Duration::from_secs(2);
/// Number of consecutive still pictures that are not whole after which the attempt fails.
const MAX_FLAWED_STILLS: u32 = 3;

/// The first byte of an MPEG transport stream.
const TRANSPORT_STREAM: u8 = 0x47;

/// The reason for a still picture in another format.
const NOT_JPEG: &str = "the picture it sends is not a JPEG";

struct Http {
    access: Access,
    interval: Duration,
    patience: Duration,
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
        access: Access {
            url,
            credentials: address.credentials,
            ssrf_guard: address.ssrf_guard,
            verify_tls,
        },
        interval,
        patience,
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

/// What a response contains.
enum Content {
    /// A multipart stream with this boundary.
    Parts(Option<String>),
    /// A JPEG, or several without anything between them.
    Pictures,
    /// No picture, although the camera calls it one: the reason.
    Flawed(&'static str),
}

/// One connection attempt.
struct Attempt<'a> {
    camera: &'a Http,
    publisher: &'a Publisher,
    exchange: Exchange<'a>,
    pace: Pace,
    without: WithoutPicture,
}

impl<'a> Attempt<'a> {
    fn new(camera: &'a Http, publisher: &'a Publisher) -> Self {
        Self {
            camera,
            publisher,
            exchange: Exchange::new(&camera.access, publisher),
            pace: Pace::new(MAX_FPS),
            without: WithoutPicture::default(),
        }
    }

    async fn run(mut self) -> Result<(), Failure> {
        let mut ticks = interval(self.camera.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut flawed = 0;
        loop {
            ticks.tick().await;
            let head = self.exchange.get().await?;
            let still = match self.content(&head).await? {
                Content::Parts(boundary) => {
                    return self.stream(Multipart::new(boundary.as_deref())).await;
                }
                Content::Pictures => self.pictures().await?,
                Content::Flawed(reason) => Err(reason.to_owned()),
            };
            match still {
                Ok(()) => flawed = 0,
                Err(reason) => {
                    flawed += 1;
                    if flawed == MAX_FLAWED_STILLS {
                        return Err(Failure::new(FailureKind::Unsupported, reason));
                    }
                    // The last whole picture stays.
                    self.publisher.note_failure(&reason);
                }
            }
        }
    }

    /// Determines what a response contains, from its type and its first byte.
    async fn content(&mut self, head: &Head) -> Result<Content, Failure> {
        if let Coding::Other(name) = Coding::of(&head.headers) {
            let name = match name.len() <= 20 && name.bytes().all(multipart::is_usual) {
                true => name,
                false => "an unknown method".to_owned(),
            };
            let reason = format!(
                "it compresses its pictures with {name}, which is not supported; it should send \
                 them as they are, or with gzip or deflate"
            );
            return Err(Failure::new(FailureKind::Unsupported, reason));
        }
        let content_type = head.headers.get(CONTENT_TYPE);
        let content_type = content_type.map(|value| String::from_utf8_lossy(value.as_bytes()));
        let content_type = content_type.unwrap_or_default();
        let kind = content_type.split(';').next().unwrap_or_default().trim();
        let kind = kind.to_ascii_lowercase();
        let parts = || Content::Parts(multipart::boundary(&content_type));
        if kind.starts_with("multipart/") {
            return Ok(parts());
        }
        let [first, second] =
            match timeout_at(Instant::now() + RESPONSE_TIMEOUT, self.first_bytes()).await {
                Ok(first) => first?,
                Err(_) => return Err(self.exchange.no_response()),
            };
        let types = [
            "image/jpeg",
            "image/jpg",
            "image/pjpeg",
            "application/octet-stream",
        ];
        let is_jpeg = types.contains(&kind.as_str());
        match first {
            Some(0xFF) => return Ok(Content::Pictures),
            Some(b'-') => return Ok(parts()),
            // The first byte of a GIF is the same.
            Some(TRANSPORT_STREAM) if second != Some(b'I') && !kind.starts_with("image/") => {
                let reason = "it answers with an MPEG transport stream, not with pictures: \
                              ffmpeg: in front of its address plays it";
                return Err(Failure::new(FailureKind::Unsupported, reason));
            }
            Some(_) if is_jpeg => return Ok(Content::Flawed(NOT_JPEG)),
            None if is_jpeg => return Ok(Content::Flawed("it sends an empty picture")),
            _ => {}
        }
        // Show the type to viewers only if it is short and has no unusual characters.
        let what = match kind.as_str() {
            "" => "data of unknown type",
            _ if kind.len() > 60 || !kind.bytes().all(multipart::is_usual) => {
                "data of an invalid type"
            }
            kind => kind,
        };
        let playlists = [
            "application/vnd.apple.mpegurl",
            "application/x-mpegurl",
            "audio/mpegurl",
            "audio/x-mpegurl",
            "application/dash+xml",
        ];
        let reason = if what.starts_with("image/") {
            format!("it answers with {what}, not with JPEG")
        } else if what.starts_with("video/") || playlists.contains(&what) {
            format!(
                "it answers with {what}, not with pictures: ffmpeg: in front of its address plays it"
            )
        } else {
            format!(
                "it answers with {what}, not with pictures: is this the address of the stream itself?"
            )
        };
        Err(Failure::new(FailureKind::Unsupported, reason))
    }

    /// Returns the first byte of the response's body that is not white space, without consuming
    /// it, and the second one if it came with the first. Both are `None` for an empty body.
    async fn first_bytes(&mut self) -> Result<[Option<u8>; 2], Failure> {
        loop {
            let Some(connection) = self.exchange.connection() else {
                return Ok([None; 2]);
            };
            let len = match connection.body().await {
                Ok(Some(bytes)) => match bytes.trim_ascii_start() {
                    [first, rest @ ..] => return Ok([Some(*first), rest.first().copied()]),
                    [] => bytes.len(),
                },
                Ok(None) | Err(Fault::Closed) => return Ok([None; 2]),
                Err(fault) => return Err(self.exchange.explain_body(fault)),
            };
            connection.consume(len);
            if self.without.add(len) {
                return Err(no_pictures());
            }
        }
    }

    async fn stream(mut self, mut parts: Multipart) -> Result<(), Failure> {
        // The watchdog ends a silent stream.
        loop {
            // The bytes so far may contain more than one picture.
            let mut picture = parts.next_picture(&mut &[][..]);
            let mut taken = 0;
            if picture.is_none() {
                let Some(connection) = self.exchange.connection() else {
                    break;
                };
                let bytes = match connection.body().await {
                    Ok(Some(bytes)) => bytes,
                    Ok(None) => break,
                    Err(fault) => return Err(self.exchange.explain_body(fault)),
                };
                let mut rest = bytes;
                picture = parts.next_picture(&mut rest);
                taken = bytes.len() - rest.len();
                connection.consume(taken);
            }
            self.accept(taken, picture).await?;
            if let Some(reason) = parts.fault() {
                return Err(Failure::new(FailureKind::Unsupported, reason));
            }
        }
        Err(Failure::new(FailureKind::Ended, CLOSED))
    }

    /// Publishes all pictures in a response: usually one, but some cameras send a stream
    /// without separators. Returns the reason if there is no whole picture.
    async fn pictures(&mut self) -> Result<Result<(), String>, Failure> {
        let mut splitter = Splitter::default();
        let mut count = 0;
        let mut until = Some(Instant::now() + RESPONSE_TIMEOUT);
        let mut len = 0;
        let ended = loop {
            let Some(connection) = self.exchange.connection() else {
                break Ok(());
            };
            let body = connection.body();
            let body = match until {
                Some(until) => timeout_at(until, body).await,
                None => Ok(body.await),
            };
            let bytes = match body {
                Ok(Ok(Some(bytes))) => bytes,
                Ok(Ok(None)) => break Ok(()),
                Ok(Err(Fault::Closed)) => break Err(()),
                Ok(Err(fault)) => return Err(self.exchange.explain_body(fault)),
                Err(_) if count == 0 => return Err(self.exchange.no_response()),
                // The length is too large, or the camera forgets to close the connection.
                Err(_) => {
                    connection.close_after_response();
                    break Ok(());
                }
            };
            let mut rest = bytes;
            let picture = splitter.next_picture(&mut rest);
            let taken = bytes.len() - rest.len();
            connection.consume(taken);
            len += taken;
            if picture.is_some() {
                count += 1;
                until = (count == 1).then(|| Instant::now() + REST);
            }
            self.accept(taken, picture).await?;
            if let Some(reason) = multipart::flaw_reason(&splitter) {
                return Err(Failure::new(FailureKind::Unsupported, reason));
            }
        };
        if count > 0 {
            return Ok(Ok(()));
        }
        let closed = match ended {
            Ok(()) => "",
            Err(()) => ", because the camera closed the connection",
        };
        Ok(Err(match splitter.flaws().1 {
            Some(flaw) => format!("it sends {flaw}"),
            None if splitter.is_within_picture() => {
                format!("its picture ends early, after {len} bytes{closed}")
            }
            None => NOT_JPEG.to_owned(),
        }))
    }

    /// Counts bytes of a body, and publishes the picture in them if there is one.
    async fn accept(&mut self, len: usize, picture: Option<Picture>) -> Result<(), Failure> {
        let Some(picture) = picture else {
            return match self.without.add(len) {
                true => Err(no_pictures()),
                false => Ok(()),
            };
        };
        self.without.reset();
        self.publisher.publish(picture);
        self.pace.wait().await;
        if let Some(connection) = self.exchange.connection() {
            let budget = connection.budget();
            budget.charge_messages(1);
            budget.ready().await?;
        }
        Ok(())
    }
}

fn no_pictures() -> Failure {
    let reason = "it sends a lot of data but no JPEG pictures";
    Failure::new(FailureKind::Unsupported, reason)
}
