//! An RTSP camera: who may in, what it sends, and to how many.

use super::net;
use super::report::Report;
use crate::annexb;
use crate::jpeg;
use crate::sources::Address;
use futures_util::StreamExt;
use ocelli_core::Codec;
use retina::client::{
    Credentials, Demuxed, Described, PlayOptions, Playing, Session, SessionGroup, SessionOptions,
    SetupOptions, TcpTransportOptions, Transport,
};
use retina::codec::{CodecItem, FrameFormat, ParameterSetInsertion, ParametersRef, h26x};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout, timeout_at};
use url::Url;

/// For each answer.
const ANSWER: Duration = Duration::from_secs(8);
/// As long as the pictures are watched, at most.
const WATCH: Duration = Duration::from_secs(12);
/// Key frames that are waited for: they tell the interval.
const KEYS: usize = 3;
/// A longer wait for a picture is worth a word.
const LONG_INTERVAL: f64 = 4.0;
/// Sessions that are tried at once.
const SESSIONS: usize = 5;
/// For taking leave of them.
const FAREWELL: Duration = Duration::from_secs(3);

/// Annex B, with nothing added to what the camera sends.
const FORMAT: FrameFormat = {
    let mut format = FrameFormat::SIMPLE;
    format.h26x_framing = h26x::Framing::AnnexB;
    format.parameter_set_insertion = ParameterSetInsertion::Never;
    format
};

/// Examines the camera at an `rtsp:` address.
pub async fn examine(address: &Address, report: &mut Report) {
    let url = Url::parse(address.bare()).ok();
    let Some((url, host)) = url.and_then(|url| {
        let host = url.host_str().filter(|host| !host.is_empty())?.to_owned();
        Some((url, host))
    }) else {
        return report.fail(
            "address",
            "This is no address of an RTSP camera. It looks like rtsp://10.0.0.7/stream1.",
        );
    };
    if net::connect(&host, url.port().unwrap_or(554), report)
        .await
        .is_none()
    {
        return;
    }
    let camera = Camera {
        url,
        address,
        sessions: Arc::default(),
    };
    let session = match camera.describe().await {
        Ok(session) => session,
        Err(fault) => return report.fail(fault.check(), camera.explain(&fault)),
    };
    report.pass(
        "sign-in",
        match address.credentials {
            Some(_) => "The camera lets this user in.",
            None => "The camera asks for no user and no password.",
        },
    );
    let Some((stream, codec)) = tracks(&session, report) else {
        return;
    };
    let announced = session.streams()[stream].parameters().is_some();
    let playing = match camera.play(session, stream).await {
        Ok(playing) => playing,
        Err(fault) => return report.fail(fault.check(), camera.explain(&fault)),
    };
    let pictures = match playing.demuxed() {
        Ok(pictures) => pictures,
        Err(error) => {
            let fault = Fault::of(&error);
            return report.fail("pictures", camera.explain(&fault));
        }
    };
    let mut watch = Watch::new(codec, stream);
    let pictures = watch.look(pictures).await;
    watch.tell(announced, report);
    camera.count_sessions(stream, report).await;
    drop(pictures);
    let _ = timeout(FAREWELL, camera.sessions.await_teardown()).await;
}

/// Why it does not go on.
enum Fault {
    Silent,
    Status(u16),
    NoRtsp,
    Broken,
}

impl Fault {
    fn of(error: &retina::Error) -> Self {
        match error.status_code() {
            Some(status) if status != 200 => Self::Status(status),
            _ if error.to_string().contains("framing error") => Self::NoRtsp,
            _ => Self::Broken,
        }
    }

    fn check(&self) -> &'static str {
        match self {
            Self::Status(401 | 403) => "sign-in",
            Self::Status(404 | 454) => "address",
            Self::Status(453 | 503) => "sessions",
            _ => "rtsp",
        }
    }
}

struct Camera<'a> {
    url: Url,
    address: &'a Address,
    sessions: Arc<SessionGroup>,
}

impl Camera<'_> {
    async fn describe(&self) -> Result<Session<Described>, Fault> {
        let credentials = self.address.credentials.as_ref();
        let credentials = credentials.map(|known| Credentials {
            username: known.user.clone(),
            password: known.password.clone(),
        });
        let options = SessionOptions::default()
            .creds(credentials)
            .user_agent("ocelli-doctor".to_owned())
            .session_group(self.sessions.clone());
        in_time(Session::describe(self.url.clone(), options)).await
    }

    async fn play(
        &self,
        mut session: Session<Described>,
        stream: usize,
    ) -> Result<Session<Playing>, Fault> {
        let setup = SetupOptions::default()
            .transport(Transport::Tcp(TcpTransportOptions::default()))
            .frame_format(FORMAT);
        in_time(session.setup(stream, setup)).await?;
        in_time(session.play(PlayOptions::default())).await
    }

    /// Opens more sessions beside the one that plays.
    async fn count_sessions(&self, stream: usize, report: &mut Report) {
        let mut others = Vec::new();
        let mut stopped = None;
        while others.len() + 1 < SESSIONS && stopped.is_none() {
            let opened = match self.describe().await {
                Ok(session) => self.play(session, stream).await,
                Err(fault) => Err(fault),
            };
            match opened {
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
            Fault::NoRtsp | Fault::Broken => "it broke off".to_owned(),
        };
        if count == 1 {
            report.warn(
                "sessions",
                format!(
                    "The camera serves one viewer at a time, those of other programs counted. The \
                     hub needs that one, so close apps and recorders that watch the camera. \
                     (To the second, {then}.)"
                ),
            );
        } else {
            report.pass(
                "sessions",
                format!(
                    "The camera serves {count} viewers at once, those of other programs not \
                     counted; the hub needs one, and one more for a substream. (To the next, \
                     {then}.)"
                ),
            );
        }
    }

    fn explain(&self, fault: &Fault) -> String {
        match fault {
            Fault::Silent => "The camera takes the connection and does not answer as an RTSP \
                              camera. Is this its RTSP port (usually 554)? Perhaps it hangs: \
                              switch it off and on."
                .to_owned(),
            Fault::Status(401) if self.address.credentials.is_none() => {
                "The camera wants a user and a password (401): rtsp://user:password@host/… on the \
                 command line, or `user` and `password_file` in the configuration."
                    .to_owned()
            }
            Fault::Status(401) => {
                "Wrong user or password (401). Many cameras keep users for RTSP or ONVIF apart \
                 from the one of their app; in an address, write @ in a password as %40."
                    .to_owned()
            }
            Fault::Status(403) => "The camera knows this user and does not let it see the stream \
                                   (403). Give it the right to view live pictures."
                .to_owned(),
            Fault::Status(404 | 454) => {
                "The camera is there and has no such stream (404). Look the path up in its manual: \
                 /stream1, /h264Preview_01_main, /Streaming/Channels/101 and /live/ch0 are common."
                    .to_owned()
            }
            Fault::Status(453 | 503) => "The camera is busy: it has as many viewers as it allows. \
                                         Close other apps and recorders that watch it."
                .to_owned(),
            Fault::Status(461) => "The camera does not send over TCP. The kind ffmpeg can take it \
                                   over UDP: ffmpeg:rtsp://…"
                .to_owned(),
            Fault::Status(status) => format!("The camera refuses with {status}."),
            Fault::NoRtsp => "What answers there does not speak RTSP. Is this the camera's RTSP \
                              port (usually 554)? http:// addresses are for its web pages."
                .to_owned(),
            Fault::Broken => "The camera breaks off or sends something that is no valid RTSP. \
                              Perhaps ffmpeg:rtsp://… can read it; new firmware may help."
                .to_owned(),
        }
    }
}

async fn in_time<T>(answer: impl Future<Output = Result<T, retina::Error>>) -> Result<T, Fault> {
    match timeout(ANSWER, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(Fault::of(&error)),
        Err(_) => Err(Fault::Silent),
    }
}

/// What the camera offers, and the first video that the hub can show; no codec
/// for JPEG, which needs none.
fn tracks(session: &Session<Described>, report: &mut Report) -> Option<(usize, Option<Codec>)> {
    let streams = session.streams();
    let names: Vec<_> = streams
        .iter()
        .map(|stream| {
            format!(
                "{} ({})",
                stream.media(),
                stream.encoding_name().to_uppercase()
            )
        })
        .collect();
    let video = streams
        .iter()
        .enumerate()
        .filter(|(_, stream)| stream.media() == "video");
    let chosen = video
        .clone()
        .find_map(|(at, stream)| match stream.encoding_name() {
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
            "There is no video in it; check the path of the address."
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
            "H.265: Safari plays it, Chrome and Edge only where the machine's hardware decodes \
             it, Firefox seldom. The hub turns it into JPEG for every browser, which costs CPU; \
             H.264 (a setting of the camera) costs less.",
        ),
        Some(_) => report.pass(
            "codec",
            "H.264: every browser can play it, and the hub turns it into JPEG for the wall.",
        ),
        None => report.pass(
            "codec",
            "MJPEG: every browser shows it, and the hub passes it on as it is.",
        ),
    }
    Some((at, codec))
}

/// What the pictures tell.
struct Watch {
    codec: Option<Codec>,
    stream: usize,
    /// When each picture was taken, in seconds.
    taken: Vec<f64>,
    keys: Vec<f64>,
    /// A key frame came with its parameter sets, or without.
    with_sets: bool,
    size: Option<(u32, u32)>,
    lost: u64,
    bytes: usize,
    broken: bool,
}

impl Watch {
    fn new(codec: Option<Codec>, stream: usize) -> Self {
        Self {
            codec,
            stream,
            taken: Vec::new(),
            keys: Vec::new(),
            with_sets: false,
            size: None,
            lost: 0,
            bytes: 0,
            broken: false,
        }
    }

    async fn look(&mut self, mut pictures: Demuxed) -> Demuxed {
        let until = Instant::now() + WATCH;
        while self.keys.len() < KEYS {
            let frame = match timeout_at(until, pictures.next()).await {
                Ok(Some(Ok(CodecItem::VideoFrame(frame)))) => frame,
                Ok(Some(Ok(_))) => continue,
                Ok(Some(Err(_)) | None) => {
                    self.broken = true;
                    break;
                }
                Err(_) => break,
            };
            let stamp = frame.timestamp();
            let at = stamp.elapsed() as f64 / f64::from(stamp.clock_rate().get());
            self.taken.push(at);
            self.lost += u64::from(frame.loss());
            self.bytes += frame.data().len();
            let key = match self.codec {
                Some(codec) => {
                    let survey = annexb::survey(codec, frame.data());
                    self.with_sets |= survey.key && survey.parameters;
                    survey.key
                }
                None => {
                    self.size = jpeg::size(frame.data()).map(|(w, h)| (w.into(), h.into()));
                    // Each picture stands alone; a second of them is enough.
                    at - self.taken[0] >= 1.0
                }
            };
            if key {
                self.keys.push(at);
            }
            let parameters = pictures.streams()[self.stream].parameters();
            if let (Some(_), Some(ParametersRef::Video(parameters))) = (self.codec, parameters) {
                self.size = Some(parameters.pixel_dimensions());
            }
        }
        pictures
    }

    fn tell(&self, announced: bool, report: &mut Report) {
        let count = self.taken.len();
        let span = match (self.taken.first(), self.taken.last()) {
            (Some(first), Some(last)) => last - first,
            _ => 0.0,
        };
        if count < 2 || span <= 0.0 {
            return report.fail(
                "pictures",
                "The camera agrees to play and then sends no pictures. Switch it off and on; if \
                 it sends over UDP alone, ffmpeg:rtsp://… can take it.",
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
            format!("Pictures come: {size}, {fps:.1} a second, about {kbits:.0} kbit/s."),
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
        if self.broken {
            report.fail(
                "pictures",
                "The camera broke the stream off while it was watched.",
            );
        }
        if self.codec.is_some() {
            self.tell_keys(announced, report);
        }
    }

    fn tell_keys(&self, announced: bool, report: &mut Report) {
        match (self.with_sets, announced || self.size.is_some()) {
            (true, _) => report.pass("parameters", "Parameter sets come with the key frames."),
            (false, true) => report.pass(
                "parameters",
                "Parameter sets stand in the session's description; the hub adds them to the key \
                 frames.",
            ),
            (false, false) => report.fail(
                "parameters",
                "The camera sends no parameter sets (SPS and PPS), so nobody can decode its \
                 pictures. Switch it off and on, or update its firmware.",
            ),
        }
        let intervals = self.keys.windows(2).map(|pair| pair[1] - pair[0]);
        let longest = intervals.fold(0.0, f64::max);
        let advice = "set the camera's I-frame interval (GOP) to one or two seconds";
        if self.keys.len() < 2 {
            report.warn(
                "key frames",
                format!(
                    "In {} seconds there were fewer than two key frames. A viewer sees nothing \
                     until one comes: {advice}.",
                    WATCH.as_secs()
                ),
            );
        } else if longest > LONG_INTERVAL {
            report.warn(
                "key frames",
                format!(
                    "A key frame comes every {longest:.1} s, and a viewer sees nothing until one \
                     comes: {advice}."
                ),
            );
        } else {
            report.pass(
                "key frames",
                format!("A key frame comes every {longest:.1} s."),
            );
        }
    }
}
