//! Source for RTSP cameras: H.264, H.265 and MJPEG over TCP, passed on without transcoding.
//! `rtsps`, other codecs and RTP over UDP are left to the kind `ffmpeg`.
//!
//! # Layout
//!
//! | module | holds |
//! |---|---|
//! | [`message`] | requests and responses, parsed line by line |
//! | [`connection`] | the TCP connection, with messages and packets in one stream |
//! | [`auth`] | authentication |
//! | [`sdp`], [`answers`] | parsing of the SDP and of response headers |
//! | [`client`] | connecting, DESCRIBE, redirects |
//! | [`talk`] | requests and responses in both directions, TEARDOWN |
//! | [`session`] | SETUP, PLAY, keep-alive, pictures |
//! | [`unpacker`] | depacketization, with the library `retina` |
//! | [`reception`] | publishing of the pictures |
//!
//! Everything that a camera sends is limited: in bytes before they are stored, and in time by
//! a [`Budget`]. Exceeding a limit ends the attempt with a reason.

mod answers;
mod auth;
mod client;
mod connection;
#[cfg(fuzzing)]
mod fuzzing;
mod message;
mod reception;
mod sdp;
mod session;
mod talk;
mod unpacker;

pub use client::Client;
pub use connection::SessionError;
#[cfg(fuzzing)]
pub use fuzzing::{items, pictures};
pub use message::Fault;
pub use session::Session;

use super::network_failure::{no_answer, refused, unreachable};
use super::{Address, Kind, REFUSED};
use ocelli_config::{ConfigError, Section};
use ocelli_core::{
    Budget, Closed, Codec, Failure, FailureKind, PeerKind, Publisher, RunOnce, Source,
};
use reception::{Reception, TrackFormat};
use std::sync::Arc;
use url::Url;

/// The kind `rtsp`.
pub const KIND: Kind = Kind {
    name: "rtsp",
    schemes: &["rtsp"],
    about: "An RTSP camera: H.264, H.265 or MJPEG over TCP.",
    example: "rtsp://viewer:password@10.0.0.7/stream1",
    options: &[],
    open,
};

struct Rtsp {
    client: Client,
}

fn open(address: Address, _: &mut Section<'_>) -> Result<Arc<dyn Source>, ConfigError> {
    let url = Url::parse(address.bare())
        .ok()
        .filter(|url| url.host_str().is_some_and(|host| !host.is_empty()));
    let Some(url) = url else {
        return Err(ConfigError::new(format!(
            "{:?} is not an RTSP address; write it like {:?}",
            address.redacted(),
            "rtsp://10.0.0.7/stream1"
        )));
    };
    let mut client = Client::new(url, address.credentials, "ocelli");
    client.ssrf_guard = address.ssrf_guard;
    Ok(Arc::new(Rtsp { client }))
}

impl Source for Rtsp {
    fn run_once(self: Arc<Self>, publisher: Publisher) -> RunOnce {
        Box::pin(async move { self.run(&publisher).await })
    }

    fn closed(self: Arc<Self>) -> Closed {
        Box::pin(async move { self.client.teardowns.wait().await })
    }
}

impl Rtsp {
    async fn run(&self, publisher: &Publisher) -> Result<(), Failure> {
        let mut client = self.client.clone();
        let explained = |client: &Client, error: SessionError| explain(&error, client);
        let (mut session, format) = loop {
            let budget = || -> Option<Budget> { Some(publisher.budget(PeerKind::Camera)) };
            let mut session = match client.describe(budget).await {
                Ok(session) => session,
                Err(error) => return Err(explained(&client, error)),
            };
            let (track, format) = choose_track(&session)?;
            match session.set_up(track).await {
                Ok(()) => break (session, format),
                Err(SessionError::Moved(target)) => {
                    let followed = client.follow(&target.0);
                    followed.map_err(|error| explained(&client, error))?;
                }
                Err(error) => return Err(explained(&client, error)),
            }
        };
        let played = session.play().await;
        played.map_err(|error| explained(&client, error))?;
        let mut reception = Reception::new(format, publisher);
        // The watchdog ends a silent stream.
        loop {
            let picture = session.picture().await;
            let picture = picture.map_err(|error| explained(&client, error))?;
            reception.publish_picture(&picture, session.parameters())?;
        }
    }
}

/// Converts a fault to a failure for the user.
fn explain(error: &SessionError, client: &Client) -> Failure {
    let peer = client.peer();
    tracing::debug!(camera = %peer, ?error, "the attempt failed");
    let unsupported = |reason: String| Failure::new(FailureKind::Unsupported, reason);
    let closed = || Failure::new(FailureKind::Ended, "the camera closed the connection");
    match error {
        SessionError::Io(error) if error.to_string() == REFUSED => refused(),
        SessionError::Io(error) if error.kind() == std::io::ErrorKind::TimedOut => {
            Failure::new(FailureKind::Unreachable, no_answer(&peer))
        }
        SessionError::Io(error) => unreachable(&error.to_string(), &peer).unwrap_or_else(|| {
            let reason = format!("the connection to {peer} failed: {error}");
            Failure::new(FailureKind::Unreachable, reason)
        }),
        SessionError::Closed => closed(),
        SessionError::Silent => Failure::new(
            FailureKind::Unreachable,
            format!("{peer} accepts the connection but does not answer as an RTSP camera"),
        ),
        SessionError::Status(status) => explain_status(*status, client),
        SessionError::Moved(_) => unsupported("it redirects during playback".to_owned()),
        SessionError::Challenge => Failure::new(
            FailureKind::Unauthorized,
            "401: its authentication scheme is not supported; it should be basic or digest",
        ),
        SessionError::Message(fault) => unsupported(fault.to_string()),
        SessionError::Unusable(reason) => unsupported(reason.clone()),
        SessionError::BudgetExceeded(exceeded) => (*exceeded).into(),
    }
}

fn explain_status(status: u16, client: &Client) -> Failure {
    let (kind, reason) = match status {
        300..=399 => (FailureKind::Unsupported, "its redirect has no address"),
        401 if client.credentials.is_none() => {
            (FailureKind::Unauthorized, "user and password required")
        }
        401 => (FailureKind::Unauthorized, "wrong user or password"),
        403 => (
            FailureKind::Unauthorized,
            "this user is not allowed to view the stream",
        ),
        404 | 454 => (FailureKind::NotFound, "no such stream at this address"),
        453 | 503 => (
            FailureKind::Ended,
            "the camera is busy; it may have reached its limit of viewers",
        ),
        461 => (
            FailureKind::Unsupported,
            "it does not send RTP over TCP; try ffmpeg:rtsp://…",
        ),
        _ => (FailureKind::Unsupported, "the camera rejected the request"),
    };
    Failure::new(kind, format!("{status}: {reason}"))
}

/// Returns the track to play: the first video track with a supported codec.
fn choose_track(session: &Session) -> Result<(usize, TrackFormat), Failure> {
    let mut other = None;
    for (at, track) in session.tracks().iter().enumerate() {
        if track.media != "video" {
            continue;
        }
        match &*track.encoding {
            "h264" => return Ok((at, TrackFormat::Decoded(Codec::H264))),
            "h265" => return Ok((at, TrackFormat::Decoded(Codec::H265))),
            "jpeg" => return Ok((at, TrackFormat::Unchanged)),
            name => other = Some(message::quoted(&name.to_uppercase())),
        }
    }
    let reason = match other {
        Some(name) => format!("its video is {name}; it should be H.264, H.265 or MJPEG"),
        None => "the camera offers no video".to_owned(),
    };
    Err(Failure::new(FailureKind::Unsupported, reason))
}
