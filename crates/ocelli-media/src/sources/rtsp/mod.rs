//! RTSP cameras: H.264, H.265 and MJPEG over TCP, as the camera encodes them.
//!
//! # Layout
//!
//! | module | holds |
//! |---|---|
//! | [`message`] | requests and answers, read line by line |
//! | [`connection`] | the TCP connection, with messages and packets in one stream |
//! | [`auth`] | signing in |
//! | [`sdp`], [`answers`] | what the description and the answers' headers mean |
//! | [`caller`] | the connection, DESCRIBE, redirections |
//! | [`talk`] | requests and answers in both directions, TEARDOWN |
//! | [`session`] | SETUP, PLAY, keeping it alive, its pictures |
//! | [`unpacker`] | from packets to pictures, by the library `retina` |
//! | [`reception`] | what becomes of the pictures |
//!
//! Whatever a camera sends has a bound: in bytes before they are kept, and in time by
//! a [`Budget`]. What exceeds it ends the attempt, with its reason.
//!
//! What is not taken here (`rtsps`, other codecs, RTP over UDP) is for the kind
//! `ffmpeg`.

mod answers;
mod auth;
mod caller;
mod connection;
#[cfg(fuzzing)]
mod fuzzing;
mod message;
mod reception;
mod sdp;
mod session;
mod talk;
mod unpacker;

pub use caller::Caller;
pub use connection::Broken;
#[cfg(fuzzing)]
pub use fuzzing::{items, pictures};
pub use message::Fault;
pub use session::Session;

use super::reach::{no_answer, refused, unreachable};
use super::{Address, Kind, REFUSED};
use ocelli_config::{ConfigError, Section};
use ocelli_core::{
    Budget, Codec, Failure, FailureKind, Left, PeerKind, Publisher, RunOnce, Source,
};
use reception::{Reception, Shown};
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
    caller: Caller,
}

fn open(address: Address, _: &mut Section<'_>) -> Result<Arc<dyn Source>, ConfigError> {
    let url = Url::parse(address.bare())
        .ok()
        .filter(|url| url.host_str().is_some_and(|host| !host.is_empty()));
    let Some(url) = url else {
        return Err(ConfigError::new(format!(
            "{:?} is no address of an RTSP camera; write it like {:?}",
            address.redacted(),
            "rtsp://10.0.0.7/stream1"
        )));
    };
    let mut caller = Caller::new(url, address.credentials, "ocelli");
    caller.ssrf_guard = address.ssrf_guard;
    Ok(Arc::new(Rtsp { caller }))
}

impl Source for Rtsp {
    fn run_once(self: Arc<Self>, publisher: Publisher) -> RunOnce {
        Box::pin(async move { self.run(&publisher).await })
    }

    fn left(self: Arc<Self>) -> Left {
        Box::pin(async move { self.caller.teardowns.wait().await })
    }
}

impl Rtsp {
    async fn run(&self, publisher: &Publisher) -> Result<(), Failure> {
        let mut caller = self.caller.clone();
        let explained = |caller: &Caller, broken: Broken| explain(&broken, caller);
        let (mut session, shown) = loop {
            let budget = || -> Option<Budget> { Some(publisher.budget(PeerKind::Camera)) };
            let mut session = match caller.describe(budget).await {
                Ok(session) => session,
                Err(broken) => return Err(explained(&caller, broken)),
            };
            let (track, shown) = choose(&session)?;
            match session.set_up(track).await {
                Ok(()) => break (session, shown),
                Err(Broken::Moved(target)) => {
                    let followed = caller.follow(&target.0);
                    followed.map_err(|broken| explained(&caller, broken))?;
                }
                Err(broken) => return Err(explained(&caller, broken)),
            }
        };
        let played = session.play().await;
        played.map_err(|broken| explained(&caller, broken))?;
        let mut reception = Reception::new(shown, publisher);
        // Silence is for the watchdog to end.
        loop {
            let picture = session.picture().await;
            let picture = picture.map_err(|broken| explained(&caller, broken))?;
            reception.take(&picture, session.parameters())?;
        }
    }
}

/// A fault in words for people.
fn explain(broken: &Broken, caller: &Caller) -> Failure {
    let peer = caller.peer();
    tracing::debug!(camera = %peer, ?broken, "the attempt failed");
    let unsupported = |reason: String| Failure::new(FailureKind::Unsupported, reason);
    let closed = || Failure::new(FailureKind::Ended, "the camera closed the connection");
    match broken {
        Broken::Io(error) if error.to_string() == REFUSED => refused(),
        Broken::Io(error) if error.kind() == std::io::ErrorKind::TimedOut => {
            Failure::new(FailureKind::Unreachable, no_answer(&peer))
        }
        Broken::Io(error) => unreachable(&error.to_string(), &peer).unwrap_or_else(|| {
            let reason = format!("the connection to {peer} failed: {error}");
            Failure::new(FailureKind::Unreachable, reason)
        }),
        Broken::Closed => closed(),
        Broken::Silent => Failure::new(
            FailureKind::Unreachable,
            format!("{peer} takes the connection, but does not answer as an RTSP camera"),
        ),
        Broken::Status(status) => explain_status(*status, caller),
        Broken::Moved(_) => unsupported("it redirects while it plays".to_owned()),
        Broken::Challenge => Failure::new(
            FailureKind::Unauthorized,
            "401: it wants a kind of sign-in that is not known here; it should be basic or digest",
        ),
        Broken::Message(fault) => unsupported(fault.to_string()),
        Broken::Unusable(reason) => unsupported(reason.clone()),
        Broken::Overspent(overspent) => (*overspent).into(),
    }
}

fn explain_status(status: u16, caller: &Caller) -> Failure {
    let (kind, reason) = match status {
        300..=399 => (FailureKind::Unsupported, "it redirects to nowhere"),
        401 if caller.credentials.is_none() => {
            (FailureKind::Unauthorized, "it wants a user and a password")
        }
        401 => (FailureKind::Unauthorized, "wrong user or password"),
        403 => (FailureKind::Unauthorized, "this user may not see it"),
        404 | 454 => (FailureKind::NotFound, "no such stream at this address"),
        453 | 503 => (
            FailureKind::Ended,
            "the camera is busy; perhaps it has as many viewers as it allows",
        ),
        461 => (
            FailureKind::Unsupported,
            "it does not send RTP over TCP; perhaps ffmpeg:rtsp://… can read it",
        ),
        _ => (FailureKind::Unsupported, "the camera refuses"),
    };
    Failure::new(kind, format!("{status}: {reason}"))
}

/// The stream to play: the first video that can be shown.
fn choose(session: &Session) -> Result<(usize, Shown), Failure> {
    let mut other = None;
    for (at, track) in session.tracks().iter().enumerate() {
        if track.media != "video" {
            continue;
        }
        match &*track.encoding {
            "h264" => return Ok((at, Shown::Decoded(Codec::H264))),
            "h265" => return Ok((at, Shown::Decoded(Codec::H265))),
            "jpeg" => return Ok((at, Shown::AsItIs)),
            name => other = Some(message::quoted(&name.to_uppercase())),
        }
    }
    let reason = match other {
        Some(name) => format!("its video is {name}; it should be H.264, H.265 or MJPEG"),
        None => "the camera offers no video".to_owned(),
    };
    Err(Failure::new(FailureKind::Unsupported, reason))
}
