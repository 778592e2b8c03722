//! `GET /live/<app>/<room>/mjpeg`: `multipart/x-mixed-replace`, for all clients that play
//! video over plain HTTP.
//!
//! hyper would buffer hundreds of kilobytes of body for a slow client, which is seconds of
//! stale video. So the body returns a part only after the previous one has left the
//! process, and that part is then the newest frame.
//!
//! Browsers paint a part only after the headers of the next one: the last picture before a pause
//! would not be shown. So they, and no other clients, get the newest part again in a pause
//! ([`Repeat`]).

use super::changes::ViewingPermission;
use super::playback::Playback;
use super::watching::{Encoding, Watching};
use crate::answer::{PathParams, Problem, QueryParams};
use crate::visitor::{Identity, Visitor};
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use bytes::Bytes;
use http::HeaderMap;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, USER_AGENT};
use http_body::Frame as BodyFrame;
use ocelli_core::{Frame, Timestamp};
use ocelli_net::connection::{ConnectionFacts, Flushes};
use ocelli_net::counts::{Transport, ViewerGuard};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep};

const FIRST_BOUNDARY: Bytes = Bytes::from_static(b"--frame\r\n");
/// Sent with each part, so that its end does not arrive only with the next one.
const BOUNDARY: Bytes = Bytes::from_static(b"\r\n--frame\r\n");

/// The shortest pause after which a part is repeated.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
/// The pause in the camera's intervals. Wi-Fi delays pictures by a fraction of one.
const PAUSE_IN_INTERVALS: f64 = 1.5;
/// A camera with longer intervals is treated as paused after each picture: otherwise its pictures
/// would be painted seconds late, and repeating them costs little.
const LONGEST_INTERVAL: Duration = Duration::from_secs(2);
/// Weight of a new interval in the moving average.
const INTERVAL_WEIGHT: f64 = 0.25;

pub(super) fn routes() -> Router<Arc<Identity>> {
    Router::new().route("/live/{app}/{room}/mjpeg", get(mjpeg))
}

async fn mjpeg(
    State(identity): State<Arc<Identity>>,
    Extension(connection): Extension<ConnectionFacts>,
    headers: HeaderMap,
    visitor: Visitor,
    PathParams((app, room)): PathParams<(String, String)>,
    QueryParams(playback): QueryParams<Playback>,
) -> Result<Response, Problem> {
    let camera = visitor.find(&app, &room)?;
    let parts = Parts {
        permission: ViewingPermission::new(&identity, visitor, &camera),
        watching: Watching::new(
            identity.hub.clone(),
            camera,
            playback.stream.into(),
            Encoding::Jpeg,
        ),
        repeat: is_browser(&headers).then(Repeat::new),
        flushes: connection.flushes,
        viewer_guard: identity.server_state.counts.enter(Transport::Mjpeg),
        next: Next::Opening,
    };
    let headers = [
        (CONTENT_TYPE, "multipart/x-mixed-replace; boundary=frame"),
        (CACHE_CONTROL, "no-store"),
    ];
    Ok((headers, Body::new(parts)).into_response())
}

/// Whether a browser asks for a picture or a page, by the headers that all browsers send with an
/// `<img>` and for an address that a person has entered. Scripts and recorders accept anything
/// (`*/*`), also those that claim to be a browser.
fn is_browser(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let accepts = text(ACCEPT).unwrap_or_default();
    let agent = text(USER_AGENT).unwrap_or_default();
    agent.starts_with("Mozilla/") && (accepts.contains("image/") || accepts.contains("text/html"))
}

/// Repeats the newest part when none follows.
struct Repeat {
    /// The newest frame, until it was repeated.
    frame: Option<Frame>,
    received: Timestamp,
    sequence: u32,
    /// The mean interval of the camera's frames in µs.
    interval: Option<f64>,
    timer: Pin<Box<Sleep>>,
    timing: bool,
}

impl Repeat {
    fn new() -> Self {
        Self {
            frame: None,
            received: Timestamp::UNKNOWN,
            sequence: 0,
            interval: None,
            timer: Box::pin(sleep(Duration::ZERO)),
            timing: false,
        }
    }

    /// Notes a frame that is sent.
    fn note(&mut self, frame: &Frame) {
        self.note_interval(frame.sequence, frame.received, frame.discontinuity);
        self.frame = Some(frame.clone());
        self.timing = false;
    }

    fn note_interval(&mut self, sequence: u32, received: Timestamp, discontinuity: bool) {
        let frames = sequence.wrapping_sub(self.sequence);
        if self.received.is_known() && !discontinuity && frames > 0 {
            let most = 2.0 * LONGEST_INTERVAL.as_micros() as f64;
            let since = received.micros_since(self.received) as f64 / f64::from(frames);
            let interval = self.interval.get_or_insert(since);
            *interval += INTERVAL_WEIGHT * (since.min(most) - *interval);
        }
        (self.sequence, self.received) = (sequence, received);
    }

    /// The time without a newer frame after which the newest is repeated.
    fn pause(&self) -> Duration {
        let longest = LONGEST_INTERVAL.as_micros() as f64;
        match self.interval {
            Some(interval) if interval <= longest => SHORTEST_PAUSE.max(Duration::from_micros(
                (PAUSE_IN_INTERVALS * interval) as u64,
            )),
            _ => SHORTEST_PAUSE,
        }
    }

    /// Ready with the newest frame, once, after the pause. The pause begins with the first call
    /// after [`Repeat::note`].
    fn poll_due(&mut self, cx: &mut Context<'_>) -> Poll<Frame> {
        if self.frame.is_some() && !self.timing {
            self.timing = true;
            let due = Instant::now() + self.pause();
            self.timer.as_mut().reset(due);
        }
        if self.frame.is_some() {
            ready!(self.timer.as_mut().poll(cx));
        }
        self.frame.take().map_or(Poll::Pending, Poll::Ready)
    }
}

/// What the body returns next.
enum Next {
    Opening,
    /// The newest frame, as soon as there have been more flushes than this.
    Head(u64),
    Picture(Frame),
    Boundary,
}

struct Parts {
    permission: ViewingPermission,
    watching: Watching,
    flushes: Arc<Flushes>,
    viewer_guard: ViewerGuard,
    /// For browsers.
    repeat: Option<Repeat>,
    next: Next,
}

impl http_body::Body for Parts {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<BodyFrame<Bytes>, Infallible>>> {
        let this = &mut *self;
        let (bytes, next) = match std::mem::replace(&mut this.next, Next::Boundary) {
            Next::Opening => (FIRST_BOUNDARY, Next::Head(this.flushes.count())),
            Next::Head(seen) => {
                this.next = Next::Head(seen);
                if this.permission.poll_revoked(cx).is_ready() {
                    return Poll::Ready(None);
                }
                ready!(this.flushes.poll_beyond(seen, cx));
                let frame = match this.watching.poll_next(cx) {
                    Poll::Ready(Some(frame)) => {
                        if let Some(repeat) = &mut this.repeat {
                            repeat.note(&frame);
                        }
                        frame
                    }
                    Poll::Ready(None) => return Poll::Ready(None),
                    Poll::Pending => match &mut this.repeat {
                        Some(repeat) => ready!(repeat.poll_due(cx)),
                        None => return Poll::Pending,
                    },
                };
                this.viewer_guard.tally().sent(frame.payload_len());
                let head = format!(
                    "Content-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n",
                    frame.payload_len()
                );
                (Bytes::from(head), Next::Picture(frame))
            }
            Next::Picture(frame) => (frame.payload(), Next::Boundary),
            Next::Boundary => (BOUNDARY, Next::Head(this.flushes.count())),
        };
        this.next = next;
        Poll::Ready(Some(Ok(BodyFrame::data(bytes))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_are_recognised_and_recorders_are_not() {
        const CHROMIUM: &str = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like \
                                Gecko) Chrome/131.0.0.0 Safari/537.36";
        const FIREFOX: &str =
            "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0";
        const SAFARI: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 12_5 like Mac OS X) \
                              AppleWebKit/605.1.15 (KHTML, like Gecko) Version/12.1.2 Safari/604.1";
        const ANYTHING: &str = "*/*";
        for (agent, accept, browser) in [
            (
                CHROMIUM,
                "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8",
                true,
            ),
            (
                CHROMIUM,
                "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
                true,
            ),
            (
                FIREFOX,
                "image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5",
                true,
            ),
            (
                SAFARI,
                "image/png,image/svg+xml,image/*;q=0.8,video/*;q=0.8,*/*;q=0.5",
                true,
            ),
            // A script in a page, and a recorder that poses as a browser.
            (CHROMIUM, ANYTHING, false),
            (CHROMIUM, "", false),
            ("curl/7.88.1", ANYTHING, false),
            ("Lavf/59.27.100", ANYTHING, false),
            ("VLC/3.0.21 LibVLC/3.0.21", ANYTHING, false),
            ("Python/3.11 aiohttp/3.8", ANYTHING, false),
            ("recorder", "image/jpeg, multipart/x-mixed-replace", false),
            ("", "", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(USER_AGENT, agent.parse().expect("a value"));
            headers.insert(ACCEPT, accept.parse().expect("a value"));
            assert_eq!(is_browser(&headers), browser, "{agent} {accept}");
        }
        assert!(!is_browser(&HeaderMap::new()));
    }

    #[tokio::test]
    async fn the_pause_before_a_repeat_follows_the_cameras_interval() {
        let pause_at = |millis: u64, jitter: u64| {
            let mut repeat = Repeat::new();
            for number in 0..60 {
                let late = number * 37 % (jitter + 1);
                let received = Timestamp(1_000_000 + (number * millis + late) * 1000);
                repeat.note_interval(number as u32, received, false);
            }
            repeat.pause().as_millis() as u64
        };
        assert_eq!(Repeat::new().pause(), SHORTEST_PAUSE, "one picture");
        assert_eq!(pause_at(40, 0), 100);
        assert_eq!(pause_at(200, 0), 300);
        assert_eq!(pause_at(1000, 0), 1500);
        // A picture of a camera that sends five a second, each up to 60 ms late, is not repeated.
        let jittery = pause_at(200, 60);
        assert!((260..340).contains(&jittery), "{jittery}");
        // A camera that sends one every 10 s would be painted 10 s late.
        assert_eq!(pause_at(10_000, 0), 100);
    }

    #[tokio::test]
    async fn skipped_frames_and_interruptions_do_not_lengthen_the_pause() {
        let mut repeat = Repeat::new();
        repeat.note_interval(0, Timestamp(1_000_000), false);
        // A slow viewer gets every fifth frame of ten a second.
        repeat.note_interval(5, Timestamp(1_500_000), false);
        repeat.note_interval(10, Timestamp(2_000_000), false);
        assert_eq!(repeat.pause().as_millis(), 150);
        repeat.note_interval(11, Timestamp(90_000_000), true);
        assert_eq!(repeat.pause().as_millis(), 150);
    }
}
