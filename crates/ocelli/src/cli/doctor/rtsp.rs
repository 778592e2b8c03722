//! Checks for an RTSP camera: sign-in, tracks, pictures and the number of sessions.

use super::net;
use super::report::Report;
use ocelli_core::Codec;
use ocelli_media::annexb;
use ocelli_media::jpeg;
use ocelli_media::sources::Address;
use ocelli_media::sources::rtsp::{Client, Fault as BadMessage, Session, SessionError};
use std::time::Duration;
use tokio::time::{Instant, timeout, timeout_at};
use url::Url;

/// The longest time for which pictures are watched.
const WATCH_TIME: Duration = Duration::from_secs(12);
/// Key frames to wait for, which give the interval.
const KEY_FRAMES: usize = 3;
/// A longer key frame interval in seconds is a warning.
const LONG_INTERVAL: f64 = 4.0;
/// The most sessions that are opened at once.
const MAX_SESSIONS: usize = 5;
/// Time limit for TEARDOWN of these sessions.
const TEARDOWN: Duration = Duration::from_secs(3);

/// Checks the camera at an `rtsp:` address.
pub async fn diagnose(address: &Address, report: &mut Report) {
    let url = Url::parse(address.bare()).ok();
    let Some((url, host)) = url.and_then(|url| {
        let host = url.host_str().filter(|host| !host.is_empty())?.to_owned();
        Some((url, host))
    }) else {
        return report.fail(
            "address",
            "This is not an address of an RTSP camera. Write it like rtsp://10.0.0.7/stream1.",
        );
    };
    if net::connect(&host, url.port().unwrap_or(554), report)
        .await
        .is_none()
    {
        return;
    }
    let camera = Camera {
        client: Client::new(url, address.credentials.clone(), "ocelli-doctor"),
        address,
    };
    let mut session = match camera.describe().await {
        Ok(session) => session,
        Err(fault) => return report.fail(fault.check(), camera.explain(&fault)),
    };
    report.pass(
        "sign-in",
        match address.credentials {
            Some(_) => "The camera accepts this user.",
            None => "The camera requires no user and no password.",
        },
    );
    let Some((track, codec)) = report_tracks(&session, report) else {
        return;
    };
    if let Err(fault) = session.set_up(track).await.map_err(Fault::from) {
        return report.fail(fault.check(), camera.explain(&fault));
    }
    let announced = session.parameters().is_some();
    if let Err(fault) = session.play().await.map_err(Fault::from) {
        return report.fail(fault.check(), camera.explain(&fault));
    }
    let mut watch = Watch::new(codec);
    watch.receive(&mut session).await;
    watch.report(announced, report);
    camera.count_sessions(track, report).await;
    drop(session);
    let _ = timeout(TEARDOWN, camera.client.teardowns.wait()).await;
}

/// Why the check ends early.
enum Fault {
    Silent,
    Status(u16),
    NoRtsp,
    Challenge,
    SessionError(String),
}

impl From<SessionError> for Fault {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::Silent => Self::Silent,
            SessionError::Status(status) => Self::Status(status),
            SessionError::Challenge => Self::Challenge,
            SessionError::Message(BadMessage::NotRtsp(_)) => Self::NoRtsp,
            SessionError::Message(fault) => Self::SessionError(fault.to_string()),
            SessionError::Unusable(reason) => Self::SessionError(reason),
            SessionError::Moved(_) => {
                Self::SessionError("it redirects in the middle of a session".to_owned())
            }
            SessionError::BudgetExceeded(exceeded) => Self::SessionError(exceeded.to_string()),
            SessionError::Closed | SessionError::Io(_) => {
                Self::SessionError("it closes the connection".to_owned())
            }
        }
    }
}

impl Fault {
    fn check(&self) -> &'static str {
        match self {
            Self::Status(401 | 403) | Self::Challenge => "sign-in",
            Self::Status(404 | 454) => "address",
            Self::Status(453 | 503) => "sessions",
            _ => "rtsp",
        }
    }
}

struct Camera<'a> {
    client: Client,
    address: &'a Address,
}

impl Camera<'_> {
    async fn describe(&self) -> Result<Session, Fault> {
        Ok(self.client.clone().describe(|| None).await?)
    }

    async fn play(&self, track: usize) -> Result<Session, Fault> {
        let mut session = self.describe().await?;
        session.set_up(track).await?;
        session.play().await?;
        Ok(session)
    }

    /// Opens more sessions in addition to the one that plays.
    async fn count_sessions(&self, track: usize, report: &mut Report) {
        let mut others = Vec::new();
        let mut stopped = None;
        while others.len() + 1 < MAX_SESSIONS && stopped.is_none() {
            match self.play(track).await {
                Ok(session) => others.push(session),
                Err(fault) => stopped = Some(fault),
            }
        }
        let count = others.len() + 1;
        let Some(fault) = stopped else {
            return report.pass(
                "sessions",
                format!("The camera serves at least {count} viewers at once; the hub needs one."),
            );
        };
        let then = match fault {
            Fault::Status(status) => format!("it answered {status}"),
            Fault::Silent => "it gave no answer".to_owned(),
            Fault::NoRtsp | Fault::Challenge | Fault::SessionError(_) => {
                "it closed the connection".to_owned()
            }
        };
        if count == 1 {
            report.warn(
                "sessions",
                format!(
                    "The camera serves one viewer at a time, including viewers in other programs. The \
                     hub needs this one, so close apps and recorders that watch the camera. \
                     (With the second viewer, {then}.)"
                ),
            );
        } else {
            report.pass(
                "sessions",
                format!(
                    "The camera serves {count} viewers at once, in addition to viewers in other \
                     programs; the hub needs one, and one more for a substream. (With the next viewer, \
                     {then}.)"
                ),
            );
        }
    }

    fn explain(&self, fault: &Fault) -> String {
        match fault {
            Fault::Silent => "The server accepts the connection but does not respond like an RTSP \
                              camera. Is this its RTSP port (usually 554)? The camera may hang: \
                              turn it off and on."
                .to_owned(),
            Fault::Status(401) if self.address.credentials.is_none() => {
                "The camera requires a user and a password (401): write rtsp://user:password@host/… on the \
                 command line, or set `user` and `password_file` in the configuration."
                    .to_owned()
            }
            Fault::Status(401) => {
                "Wrong user or password (401). Many cameras have separate users for RTSP or ONVIF, \
                 different from their app's user; in an address, write @ in a password as %40."
                    .to_owned()
            }
            Fault::Status(403) => "The camera accepts this user but does not let it watch the stream \
                                   (403). Allow the user to view live pictures."
                .to_owned(),
            Fault::Status(404 | 454) => {
                "The camera responds but has no such stream (404). Look up the path in its manual: \
                 /stream1, /h264Preview_01_main, /Streaming/Channels/101 and /live/ch0 are common."
                    .to_owned()
            }
            Fault::Status(453 | 503) => "The camera is busy: it has reached its limit of viewers. \
                                         Close other apps and recorders that watch it."
                .to_owned(),
            Fault::Status(461) => "The camera does not send over TCP. The kind ffmpeg can receive it \
                                   over UDP: ffmpeg:rtsp://…"
                .to_owned(),
            Fault::Status(status) => format!("The camera refuses the request with status {status}."),
            Fault::NoRtsp => "The server at this address does not speak RTSP. Is this the camera's RTSP \
                              port (usually 554)? http:// addresses are for its web pages."
                .to_owned(),
            Fault::Challenge => "The camera requires an authentication method that Ocelli does not support (401). \
                                 Set it to basic or digest."
                .to_owned(),
            Fault::SessionError(reason) => format!(
                "The camera closes the connection or sends invalid RTSP: {reason}. \
                 Try ffmpeg:rtsp://…, or update the camera's firmware."
            ),
        }
    }
}

/// Reports the camera's tracks. Returns the first video track that the hub supports. Its codec is
/// `None` for JPEG, which is not decoded.
fn report_tracks(session: &Session, report: &mut Report) -> Option<(usize, Option<Codec>)> {
    let tracks = session.tracks();
    let names: Vec<_> = tracks
        .iter()
        .map(|track| format!("{} ({})", track.media, track.encoding.to_uppercase()))
        .collect();
    let video = tracks
        .iter()
        .enumerate()
        .filter(|(_, track)| track.media == "video");
    let chosen = video
        .clone()
        .find_map(|(at, track)| match &*track.encoding {
            "h264" => Some((at, Some(Codec::H264))),
            "h265" => Some((at, Some(Codec::H265))),
            "jpeg" => Some((at, None)),
            _ => None,
        });
    let listed = if names.is_empty() {
        "nothing".to_owned()
    } else {
        names.join(", ")
    };
    let Some((at, codec)) = chosen else {
        let advice = if video.count() == 0 {
            "There is no video; check the path of the address."
        } else {
            "Set the camera to H.264, H.265 or MJPEG, or let ffmpeg read it: ffmpeg:rtsp://…"
        };
        report.fail("tracks", format!("The camera offers {listed}. {advice}"));
        return None;
    };
    report.pass("tracks", format!("The camera offers {listed}."));
    match codec {
        Some(Codec::H265) => report.warn(
            "codec",
            "H.265: Safari plays it, Chrome and Edge only if the machine's hardware decodes \
             it, Firefox seldom. The hub transcodes it to JPEG for every browser, which needs CPU; \
             H.264 (a setting of the camera) needs less.",
        ),
        Some(_) => report.pass(
            "codec",
            "H.264: every browser can play it, and the hub transcodes it to JPEG for the wall.",
        ),
        None => report.pass(
            "codec",
            "MJPEG: every browser shows it, and the hub passes it on unchanged.",
        ),
    }
    Some((at, codec))
}

/// The message for a stream that ended during the check.
fn stream_ended_message(fault: &Fault) -> String {
    match fault {
        Fault::SessionError(reason) => {
            format!("The camera ended the stream during the check: {reason}.")
        }
        _ => "The camera ended the stream during the check.".to_owned(),
    }
}

/// Statistics of the received pictures.
struct Watch {
    codec: Option<Codec>,
    /// When each picture was taken, in seconds.
    times: Vec<f64>,
    key_frames: Vec<f64>,
    /// Whether a key frame came with its parameter sets.
    has_parameter_sets: bool,
    size: Option<(u32, u32)>,
    lost: u64,
    bytes: usize,
    error: Option<Fault>,
}

impl Watch {
    fn new(codec: Option<Codec>) -> Self {
        Self {
            codec,
            times: Vec::new(),
            key_frames: Vec::new(),
            has_parameter_sets: false,
            size: None,
            lost: 0,
            bytes: 0,
            error: None,
        }
    }

    async fn receive(&mut self, session: &mut Session) {
        let until = Instant::now() + WATCH_TIME;
        while self.key_frames.len() < KEY_FRAMES {
            let frame = match timeout_at(until, session.picture()).await {
                Ok(Ok(frame)) => frame,
                Ok(Err(error)) => {
                    self.error = Some(Fault::from(error));
                    break;
                }
                Err(_) => break,
            };
            let stamp = frame.timestamp();
            let at = stamp.elapsed() as f64 / f64::from(stamp.clock_rate().get());
            self.times.push(at);
            self.bytes += frame.data().len();
            let key = match self.codec {
                Some(codec) => {
                    let survey = annexb::survey(codec, frame.data());
                    self.has_parameter_sets |= survey.key && survey.parameters;
                    survey.key
                }
                None => {
                    self.size = jpeg::size(frame.data()).map(|(w, h)| (w.into(), h.into()));
                    // JPEG has no key frame interval; one second of pictures is enough.
                    at - self.times[0] >= 1.0
                }
            };
            if key {
                self.key_frames.push(at);
            }
            if let (Some(_), Some(parameters)) = (self.codec, session.parameters()) {
                self.size = Some(parameters.pixel_dimensions());
            }
        }
        self.lost = session.lost();
    }

    fn report(&self, announced: bool, report: &mut Report) {
        let count = self.times.len();
        let span = match (self.times.first(), self.times.last()) {
            (Some(first), Some(last)) => last - first,
            _ => 0.0,
        };
        if count < 2 || span <= 0.0 {
            return report.fail(
                "pictures",
                "The camera accepts PLAY but sends no pictures. Turn it off and on; if \
                 it sends only over UDP, ffmpeg:rtsp://… can receive it.",
            );
        }
        let size = match self.size {
            Some((width, height)) => format!("{width} × {height}"),
            None => "unknown size".to_owned(),
        };
        let fps = (count - 1) as f64 / span;
        let kbits = self.bytes as f64 * 8.0 / 1000.0 / span;
        report.pass(
            "pictures",
            format!("Pictures arrive: {size}, {fps:.1} per second, about {kbits:.0} kbit/s."),
        );
        if self.lost > 0 {
            report.warn(
                "loss",
                format!(
                    "{} packets were lost on the way. Is the Wi-Fi weak?",
                    self.lost
                ),
            );
        }
        if let Some(fault) = &self.error {
            report.fail("pictures", stream_ended_message(fault));
        }
        if self.codec.is_some() {
            self.report_key_frames(announced, report);
        }
    }

    fn report_key_frames(&self, announced: bool, report: &mut Report) {
        match (self.has_parameter_sets, announced || self.size.is_some()) {
            (true, _) => report.pass("parameters", "Parameter sets come with the key frames."),
            (false, true) => report.pass(
                "parameters",
                "Parameter sets are in the session description; the hub adds them to the key \
                 frames.",
            ),
            (false, false) => report.fail(
                "parameters",
                "The camera sends no parameter sets (SPS and PPS), so no browser can decode its \
                 pictures. Turn it off and on, or update its firmware.",
            ),
        }
        let intervals = self.key_frames.windows(2).map(|pair| pair[1] - pair[0]);
        let longest = intervals.fold(0.0, f64::max);
        let advice = "set the camera's I-frame interval (GOP) to one or two seconds";
        if self.key_frames.len() < 2 {
            report.warn(
                "key frames",
                format!(
                    "There were fewer than two key frames in {} seconds. A viewer sees nothing \
                     until the next one: {advice}.",
                    WATCH_TIME.as_secs()
                ),
            );
        } else if longest > LONG_INTERVAL {
            report.warn(
                "key frames",
                format!(
                    "There is a key frame every {longest:.1} s, and a viewer sees nothing until the \
                     next one: {advice}."
                ),
            );
        } else {
            report.pass(
                "key frames",
                format!("There is a key frame every {longest:.1} s."),
            );
        }
    }
}
