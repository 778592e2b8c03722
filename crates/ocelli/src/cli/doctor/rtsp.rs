//! Checks for an RTSP camera: sign-in, tracks, pictures and the number of sessions.

use super::net;
use super::report::{Report, sentence};
use ocelli_core::Codec;
use ocelli_media::jpeg;
use ocelli_media::sources::Address;
use ocelli_media::sources::rtsp::{
    Client, Delivery, Fault as BadMessage, Session, SessionError, Track, default_port,
};
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

/// What [`diagnose`] found about the codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codecs {
    /// Nothing more has to be checked.
    Known,
    /// The hub plays the camera with ffmpeg.
    NeedsFfmpeg,
}

/// Checks the camera at an `rtsp:` or `rtsps:` address that the hub accepts.
pub async fn diagnose(address: &Address, report: &mut Report) -> Codecs {
    let url = Url::parse(address.bare()).ok();
    let Some((url, host)) = url.and_then(|url| {
        let host = url.host_str().filter(|host| !host.is_empty())?.to_owned();
        Some((url, host))
    }) else {
        let message =
            "This is not an address of an RTSP camera. Write it like rtsp://10.0.0.7/stream1.";
        report.fail("address", message);
        return Codecs::Known;
    };
    let port = url.port().unwrap_or_else(|| default_port(url.scheme()));
    if net::connect(&host, port, report).await.is_none() {
        return Codecs::Known;
    }
    let mut camera = Camera {
        client: Client::new(url, address.credentials.clone(), "ocelli-doctor"),
    };
    let mut session = match camera.client.open(|| None).await {
        Ok(session) => session,
        Err(SessionError::Codec(name)) => {
            let message = format!(
                "The camera's video is {name}, which the hub can't pass on; ffmpeg transcodes it. \
                 H.264 (a setting of the camera) needs less CPU."
            );
            report.warn("codec", message);
            return Codecs::NeedsFfmpeg;
        }
        Err(fault) => {
            camera.fail(&fault, report);
            return Codecs::Known;
        }
    };
    report.pass(
        "sign-in",
        match address.credentials {
            Some(_) => "The camera accepts this user.",
            None => "The camera requires no user and no password.",
        },
    );
    let codec = report_tracks(&session, report);
    if session.delivery() != Delivery::Tcp {
        report.warn(
            "transport",
            "The camera does not send RTP over TCP, so the hub receives it over UDP. Lost packets \
             damage pictures then; TCP may be a setting of the camera.",
        );
    }
    let announced = session.is_decodable();
    if let Err(fault) = session.play().await {
        camera.fail(&fault, report);
        return Codecs::Known;
    }
    let mut watch = Watch::new(codec);
    watch.receive(&mut session).await;
    watch.report(&camera.client, announced, report);
    camera.count_sessions(report).await;
    drop(session);
    let _ = timeout(TEARDOWN, camera.client.teardowns.wait()).await;
    Codecs::Known
}

/// Returns the check to which a failure belongs.
fn check(fault: &SessionError) -> &'static str {
    match fault {
        SessionError::Status(401 | 403, _) | SessionError::Challenge(_) => "sign-in",
        SessionError::Status(404 | 454, _) => "address",
        SessionError::Status(453 | 503, _) => "sessions",
        fault if fault.is_tls() => "tls",
        SessionError::Unusable(reason) if reason.contains("offers no video") => "tracks",
        _ => "rtsp",
    }
}

/// Returns advice for a failure, in addition to its reason.
fn advice(fault: &SessionError, has_password: bool) -> &'static str {
    match fault {
        SessionError::Silent => {
            "Is this its RTSP port (usually 554)? The camera may hang: turn it off and on."
        }
        SessionError::Status(401, _) if !has_password => {
            "Write rtsp://user:password@host/… on the command line, or set `user` and \
             `password_file` in the configuration."
        }
        SessionError::Status(401, _) => {
            "Many cameras have separate users for RTSP or ONVIF, different from their app's user; \
             in an address, write @ in a password as %40."
        }
        SessionError::Status(403, _) => "Allow the user to view live pictures.",
        SessionError::Status(404 | 454, _) => {
            "Look up the path in its manual: /stream1, /h264Preview_01_main, \
             /Streaming/Channels/101 and /live/ch0 are common."
        }
        SessionError::Status(453 | 503, _) => "Close other apps and recorders that watch it.",
        SessionError::Challenge(_) => "Set it to basic or digest.",
        SessionError::Message(BadMessage::NotRtsp(_)) => {
            "Is this the camera's RTSP port (usually 554)? http:// addresses are for its web pages."
        }
        SessionError::Unusable(reason) if reason.contains("offers no video") => {
            "Check the path of the address."
        }
        SessionError::Message(BadMessage::Tls) => "",
        fault if fault.is_tls() => "",
        _ => "Try ffmpeg:rtsp://…, or update the camera's firmware.",
    }
}

struct Camera {
    client: Client,
}

impl Camera {
    /// Reports a failure with the reason that the hub shows, and with advice.
    fn fail(&self, fault: &SessionError, report: &mut Report) {
        let reason = self.client.explain(fault).reason;
        let mut letters = reason.chars();
        let first = letters
            .next()
            .map(|letter| letter.to_uppercase().to_string());
        let advice = advice(fault, self.client.credentials.is_some());
        let message = format!(
            "{}{} {advice}",
            first.unwrap_or_default(),
            sentence(letters.as_str())
        );
        report.fail(check(fault), message.trim_end());
    }

    async fn play(&self) -> Result<Session, SessionError> {
        let mut session = self.client.clone().open(|| None).await?;
        session.play().await?;
        Ok(session)
    }

    /// Opens more sessions in addition to the one that plays.
    async fn count_sessions(&self, report: &mut Report) {
        let mut others = Vec::new();
        let mut stopped = None;
        while others.len() + 1 < MAX_SESSIONS && stopped.is_none() {
            match self.play().await {
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
            SessionError::Status(status, _) => format!("it answered {status}"),
            SessionError::Silent => "it gave no answer".to_owned(),
            _ => "it closed the connection".to_owned(),
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
}

/// Reports the camera's tracks. Returns the codec of the one that is played.
fn report_tracks(session: &Session, report: &mut Report) -> Codec {
    let names: Vec<_> = session
        .tracks()
        .iter()
        .map(|track| format!("{} ({})", track.media, track.encoding.to_uppercase()))
        .collect();
    report.pass("tracks", format!("The camera offers {}.", names.join(", ")));
    let codec = session.track().ok().and_then(Track::codec);
    match codec {
        Some(Codec::H265) => report.warn(
            "codec",
            "H.265: Safari plays it, Chrome and Edge only if the machine's hardware decodes \
             it, Firefox seldom. The hub transcodes it to JPEG for every browser, which needs CPU; \
             H.264 (a setting of the camera) needs less.",
        ),
        Some(Codec::H264) => report.pass(
            "codec",
            "H.264: every browser can play it, and the hub transcodes it to JPEG for the wall.",
        ),
        _ => report.pass(
            "codec",
            "MJPEG: every browser shows it, and the hub passes it on unchanged.",
        ),
    }
    codec.unwrap_or(Codec::Jpeg)
}

/// Statistics of the received pictures.
struct Watch {
    codec: Codec,
    /// When each picture was taken, in seconds.
    times: Vec<f64>,
    /// When the first and the last one arrived.
    arrivals: Option<(Instant, Instant)>,
    key_frames: Vec<f64>,
    /// Whether a key frame came with its parameter sets.
    has_parameter_sets: bool,
    size: Option<(u16, u16)>,
    lost: u64,
    bytes: usize,
    error: Option<SessionError>,
}

impl Watch {
    fn new(codec: Codec) -> Self {
        Self {
            codec,
            times: Vec::new(),
            arrivals: None,
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
            let picture = match timeout_at(until, session.picture()).await {
                Ok(Ok(picture)) => picture,
                Ok(Err(error)) => {
                    self.error = Some(error);
                    break;
                }
                Err(_) => break,
            };
            let now = Instant::now();
            self.arrivals = Some((self.arrivals.map_or(now, |(first, _)| first), now));
            let at = picture.elapsed as f64 / f64::from(picture.clock_rate);
            self.times.push(at);
            self.bytes += picture.unit.buffer.len();
            let key = match self.codec {
                Codec::Jpeg => {
                    self.size = jpeg::size(picture.unit.buffer.payload());
                    // JPEG has no key frame interval; one second of pictures is enough.
                    at - self.times[0] >= 1.0 || self.arrivals_span() >= 2.0
                }
                _ => {
                    self.size = session.size();
                    self.has_parameter_sets |= picture.unit.key && picture.unit.has_sets;
                    picture.unit.key
                }
            };
            if key {
                self.key_frames.push(at);
            }
        }
        self.lost = session.lost();
    }

    fn arrivals_span(&self) -> f64 {
        let span = self.arrivals.map(|(first, last)| last - first);
        span.unwrap_or_default().as_secs_f64()
    }

    fn report(&self, client: &Client, announced: bool, report: &mut Report) {
        if let Some(fault) = &self.error {
            let reason = client.explain(fault).reason;
            let reason = sentence(&reason);
            let message = format!("The camera ended the stream during the check: {reason}");
            report.fail("pictures", message);
        }
        let count = self.times.len();
        let stamped = match (self.times.first(), self.times.last()) {
            (Some(first), Some(last)) => last - first,
            _ => 0.0,
        };
        // The timestamps of some cameras stand still.
        let span = if stamped > 0.0 {
            stamped
        } else {
            self.arrivals_span()
        };
        if count < 2 || span <= 0.0 {
            if self.error.is_none() {
                report.fail(
                    "pictures",
                    "The camera accepts PLAY but sends no pictures. Turn it off and on.",
                );
            }
            return;
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
        if self.codec != Codec::Jpeg {
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
        if self.key_frames.is_empty() {
            report.warn(
                "key frames",
                format!(
                    "It sends video, but no key frame came in {} seconds, and a viewer sees \
                     nothing until one comes: {advice}. If none ever comes, its video may be in \
                     another codec than it announces.",
                    WATCH_TIME.as_secs()
                ),
            );
        } else if self.key_frames.len() < 2 {
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
