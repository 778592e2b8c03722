//! RTSP cameras: H.264, H.265 and MJPEG over TCP, as the camera encodes them.
//!
//! What the library behind this can't take (`rtsps`, other codecs, RTP over UDP
//! alone) is for the kind `ffmpeg`.

use super::capture_clock::CaptureClock;
use super::reach::{no_answer, refused, unreachable};
use super::{Address, Fence, Kind};
use crate::annexb::{self, START_CODE};
use crate::config::{ConfigError, Section};
use crate::ffmpeg::NO_PARAMETER_SETS;
use crate::jpeg;
use futures_util::StreamExt;
use ocelli_core::{
    Codec, Failure, FailureKind, FrameBuffer, Left, Picture, Publisher, RunOnce, Source,
};
use retina::client::{
    Credentials, Demuxed, Described, PlayOptions, Session, SessionGroup, SessionOptions,
    SetupOptions, TcpTransportOptions, TeardownPolicy, Tool, Transport,
};
use retina::codec::{
    CodecItem, FrameFormat, ParameterSetInsertion, ParametersRef, VideoFrame, VideoParameters,
    VideoParametersCodec, h26x,
};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
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

/// The library has no time-outs of its own.
const DESCRIBE: Duration = Duration::from_secs(8);
const SETUP: Duration = Duration::from_secs(5);
const PLAY: Duration = Duration::from_secs(8);
/// For the session before this one to be taken leave of: a camera may allow no
/// more than one.
const FAREWELL: Duration = Duration::from_secs(2);
/// After a failure, whether anybody is there at all.
const KNOCK: Duration = Duration::from_secs(2);
/// Key frames without parameter sets that are waited through: the sets may come
/// a little later.
const HOPELESS_KEYS: usize = 3;

/// Annex B, and the parameter sets left to us: the library puts them before
/// fewer kinds of key frame than there are.
const FORMAT: FrameFormat = {
    let mut format = FrameFormat::SIMPLE;
    format.h26x_framing = h26x::Framing::AnnexB;
    format.parameter_set_insertion = ParameterSetInsertion::Never;
    format
};

struct Rtsp {
    url: Url,
    credentials: Option<super::Credentials>,
    fence: Option<Fence>,
    /// The sessions that are being taken leave of.
    sessions: Arc<SessionGroup>,
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
    Ok(Arc::new(Rtsp {
        url,
        credentials: address.credentials,
        fence: address.fence,
        sessions: Arc::default(),
    }))
}

impl Source for Rtsp {
    fn run_once(self: Arc<Self>, publisher: Publisher) -> RunOnce {
        Box::pin(async move { self.run(&publisher).await })
    }

    fn left(self: Arc<Self>) -> Left {
        Box::pin(async move {
            let _ = self.sessions.await_teardown().await;
        })
    }
}

impl Rtsp {
    fn peer(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        format!("{host}:{}", self.url.port().unwrap_or(554))
    }

    async fn run(&self, publisher: &Publisher) -> Result<(), Failure> {
        let _ = timeout(FAREWELL, self.sessions.await_teardown()).await;
        let mut session = self.describe().await?;
        let (stream, codec) = choose(&session)?;
        let setup = SetupOptions::default()
            .transport(Transport::Tcp(TcpTransportOptions::default()))
            .frame_format(FORMAT);
        self.in_time(SETUP, session.setup(stream, setup)).await?;
        let playing = self
            .in_time(PLAY, session.play(PlayOptions::default()))
            .await?;
        let pictures = playing.demuxed().map_err(|error| self.explain(&error))?;
        Reception::new(codec, stream, publisher)
            .run(pictures)
            .await
            .map_err(|error| match error {
                Broken::Library(error) => self.explain(&error),
                Broken::Known(failure) => failure,
            })
    }

    /// Connects, to an address that the fence lets through if there is one. The
    /// library connects to what it is given, so that is this very address.
    async fn describe(&self) -> Result<Session<Described>, Failure> {
        let Some(fence) = &self.fence else {
            return self.describe_at(&self.url, TeardownPolicy::Auto).await;
        };
        let host = self.url.host_str().unwrap_or_default();
        let found = fence.resolve(host, self.url.port().unwrap_or(554));
        let found = match timeout(SETUP, found).await {
            Ok(found) => found.map_err(|error| self.explain_io(&error))?,
            Err(_) => return Err(Failure::new(FailureKind::Unreachable, no_answer(host))),
        };
        let mut failure = Failure::new(FailureKind::Unreachable, no_answer(host));
        for address in found {
            let mut url = self.url.clone();
            if url.set_ip_host(address.ip()).is_err() {
                return Err(refused());
            }
            failure = match self.describe_fenced(&url).await {
                Ok(session) => return Ok(session),
                Err(failure) => failure,
            };
            if failure.kind != FailureKind::Unreachable {
                break;
            }
        }
        Err(failure)
    }

    /// Of a server that is known to forget sessions, the library takes leave by a
    /// new connection to whatever the server calls its own address: not here.
    async fn describe_fenced(&self, url: &Url) -> Result<Session<Described>, Failure> {
        let session = self.describe_at(url, TeardownPolicy::Auto).await?;
        if session.tool().is_some_and(Tool::has_live555_tcp_bug) {
            drop(session);
            return self.describe_at(url, TeardownPolicy::Never).await;
        }
        Ok(session)
    }

    async fn describe_at(
        &self,
        url: &Url,
        teardown: TeardownPolicy,
    ) -> Result<Session<Described>, Failure> {
        let credentials = self.credentials.as_ref().map(|known| Credentials {
            username: known.user.clone(),
            password: known.password.clone(),
        });
        let options = SessionOptions::default()
            .creds(credentials)
            .user_agent("ocelli".to_owned())
            .teardown(teardown)
            .session_group(self.sessions.clone());
        self.in_time(DESCRIBE, Session::describe(url.clone(), options))
            .await
    }

    /// Waits for an answer of the camera, in vain for no longer than `limit`.
    async fn in_time<T>(
        &self,
        limit: Duration,
        answer: impl Future<Output = Result<T, retina::Error>>,
    ) -> Result<T, Failure> {
        match timeout(limit, answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(self.explain(&error)),
            Err(_) => {
                let peer = self.peer();
                let there = matches!(timeout(KNOCK, self.knock()).await, Ok(Ok(_)));
                let reason = if there {
                    format!("{peer} takes the connection, but does not answer as an RTSP camera")
                } else {
                    no_answer(&peer)
                };
                Err(Failure::new(FailureKind::Unreachable, reason))
            }
        }
    }

    async fn knock(&self) -> io::Result<TcpStream> {
        let host = self.url.host_str().unwrap_or_default();
        let port = self.url.port().unwrap_or(554);
        match &self.fence {
            Some(fence) => TcpStream::connect(&fence.resolve(host, port).await?[..]).await,
            None => TcpStream::connect(self.peer()).await,
        }
    }

    fn explain_io(&self, error: &io::Error) -> Failure {
        let peer = self.peer();
        unreachable(&error.to_string(), &peer)
            .unwrap_or_else(|| Failure::new(FailureKind::Unreachable, no_answer(&peer)))
    }

    /// A library's error in words for people.
    fn explain(&self, error: &retina::Error) -> Failure {
        let account = error.to_string();
        tracing::debug!(camera = %self.peer(), "{account}");
        if let Some(status) = error.status_code().filter(|status| *status != 200) {
            return self.explain_status(status);
        }
        // What follows the first line is for who reads packet captures.
        let first = account.lines().next().unwrap_or_default();
        unreachable(first, &self.peer()).unwrap_or_else(|| {
            let speaks_rtsp = !first.contains("framing error");
            let reason = if speaks_rtsp {
                "it sends something that is no valid video; perhaps ffmpeg:rtsp://… can read it"
            } else {
                "what answers there does not speak RTSP"
            };
            Failure::new(FailureKind::Unsupported, reason)
        })
    }

    fn explain_status(&self, status: u16) -> Failure {
        let (kind, reason) = match status {
            401 if self.credentials.is_none() => {
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
}

/// The stream to play: the first video that can be shown.
fn choose(session: &Session<Described>) -> Result<(usize, Shown), Failure> {
    let mut other = None;
    for (at, stream) in session.streams().iter().enumerate() {
        if stream.media() != "video" {
            continue;
        }
        match stream.encoding_name() {
            "h264" => return Ok((at, Shown::Decoded(Codec::H264))),
            "h265" => return Ok((at, Shown::Decoded(Codec::H265))),
            "jpeg" => return Ok((at, Shown::AsItIs)),
            name => other = Some(name.to_uppercase()),
        }
    }
    let reason = match other {
        Some(name) => format!("its video is {name}; it should be H.264, H.265 or MJPEG"),
        None => "the camera offers no video".to_owned(),
    };
    Err(Failure::new(FailureKind::Unsupported, reason))
}

/// What is to be done with the camera's pictures.
#[derive(Clone, Copy)]
enum Shown {
    /// They are JPEGs.
    AsItIs,
    /// They need a decoder.
    Decoded(Codec),
}

/// Why no more pictures come.
enum Broken {
    Library(retina::Error),
    Known(Failure),
}

/// Pictures coming in.
struct Reception<'a> {
    shown: Shown,
    stream: usize,
    publisher: &'a Publisher,
    clock: CaptureClock,
    /// A decoder has had a key frame to start from.
    begun: bool,
    hopeless_keys: usize,
}

impl<'a> Reception<'a> {
    fn new(shown: Shown, stream: usize, publisher: &'a Publisher) -> Self {
        Self {
            shown,
            stream,
            publisher,
            clock: CaptureClock::default(),
            begun: false,
            hopeless_keys: 0,
        }
    }

    /// Publishes until the camera ends it. Silence is for the watchdog to end.
    async fn run(mut self, mut pictures: Demuxed) -> Result<(), Broken> {
        while let Some(item) = pictures.next().await {
            let CodecItem::VideoFrame(frame) = item.map_err(Broken::Library)? else {
                continue;
            };
            let parameters = match pictures.streams()[self.stream].parameters() {
                Some(ParametersRef::Video(parameters)) => Some(parameters),
                _ => None,
            };
            self.take(&frame, parameters).map_err(Broken::Known)?;
        }
        let reason = "the camera closed the connection";
        Err(Broken::Known(Failure::new(FailureKind::Ended, reason)))
    }

    fn take(
        &mut self,
        frame: &VideoFrame,
        parameters: Option<&VideoParameters>,
    ) -> Result<(), Failure> {
        let bytes = frame.data();
        let captured = self.captured(frame);
        let mut picture = match self.shown {
            Shown::AsItIs => {
                let Some(size) = jpeg::size(bytes) else {
                    return Ok(());
                };
                Picture::jpeg(FrameBuffer::copy_from(bytes), Some(size))
            }
            Shown::Decoded(codec) => {
                let survey = annexb::survey(codec, bytes);
                if survey.key {
                    let known = survey.parameters || parameters.is_some();
                    if !known {
                        return self.hopeless();
                    }
                    self.hopeless_keys = 0;
                    self.begun = true;
                } else if !self.begun {
                    return Ok(());
                }
                let sets = if survey.key && !survey.parameters {
                    parameters.map(parameter_sets).unwrap_or_default()
                } else {
                    Vec::new()
                };
                let len = sets
                    .iter()
                    .map(|set| START_CODE.len() + set.len())
                    .sum::<usize>();
                let mut buffer = FrameBuffer::with_capacity(len + bytes.len());
                for set in sets {
                    buffer.extend_from_slice(&START_CODE);
                    buffer.extend_from_slice(set);
                }
                buffer.extend_from_slice(bytes);
                Picture {
                    codec,
                    key: survey.key,
                    captured,
                    size: parameters.and_then(size),
                    buffer,
                }
            }
        };
        picture.captured = captured;
        self.publisher.publish(picture);
        Ok(())
    }

    fn hopeless(&mut self) -> Result<(), Failure> {
        self.hopeless_keys += 1;
        if self.hopeless_keys < HOPELESS_KEYS {
            return Ok(());
        }
        Err(Failure::new(FailureKind::Unsupported, NO_PARAMETER_SETS))
    }

    fn captured(&mut self, frame: &VideoFrame) -> ocelli_core::Timestamp {
        let timestamp = frame.timestamp();
        let micros =
            i128::from(timestamp.elapsed()) * 1_000_000 / i128::from(timestamp.clock_rate().get());
        self.clock.captured(micros as i64, self.publisher.now())
    }
}

/// The parameter sets in the order in which a decoder wants them.
fn parameter_sets(parameters: &VideoParameters) -> Vec<&[u8]> {
    match parameters.codec_params() {
        VideoParametersCodec::H264 { sps, pps } => vec![sps, pps],
        VideoParametersCodec::H265 { vps, sps, pps } => vec![vps, sps, pps],
        _ => Vec::new(),
    }
}

fn size(parameters: &VideoParameters) -> Option<(u16, u16)> {
    let (width, height) = parameters.pixel_dimensions();
    Some((width.try_into().ok()?, height.try_into().ok()?))
}
