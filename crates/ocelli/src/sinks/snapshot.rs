//! `GET /live/<app>/<room>/frame.jpg`: a camera's last frame and its age.

use super::playback::Stream;
use crate::answer::{PathParams, Problem, QueryParams};
use crate::visitor::{Identity, Visitor};
use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use headers::{HeaderMapExt, LastModified};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use ocelli_config::parse_duration;
use ocelli_core::{Camera, Follower, Frame, Timestamp};
use ocelli_media::sources::push;
use ocelli_net::counts::Transport;
use serde::Deserialize;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};
use tokio::time::timeout;

/// How long an idle camera may take to deliver its first picture.
pub(super) const FIRST_PICTURE_TIMEOUT: Duration = Duration::from_secs(10);

/// The age of the frame in seconds, to the millisecond. `Last-Modified` only has seconds, by the
/// hub's clock.
const AGE: HeaderName = HeaderName::from_static("x-frame-age");

pub(super) fn routes() -> Router<Arc<Identity>> {
    Router::new().route("/live/{app}/{room}/frame.jpg", get(snapshot))
}

#[derive(Deserialize)]
struct Query {
    #[serde(default)]
    stream: Stream,
    /// The greatest age: seconds as in `Cache-Control`, or a duration such as `500ms`.
    max_age: Option<String>,
}

async fn snapshot(
    State(identity): State<Arc<Identity>>,
    visitor: Visitor,
    PathParams((app, room)): PathParams<(String, String)>,
    QueryParams(query): QueryParams<Query>,
) -> Result<Response, Problem> {
    let max_age = query.max_age.as_deref().map(read_age).transpose()?;
    let camera = visitor.find(&app, &room)?;
    let viewer_guard = identity.server_state.counts.enter(Transport::Snapshot);
    // The follower starts the camera and keeps it running for the grace period.
    let mut follower = camera.follow(query.stream.into());
    let frame = match follower.try_next() {
        Some(frame) => frame,
        // The hub can't start it: its device opens the connection.
        None if camera.kind() == push::KIND => {
            let message =
                format!("no picture of camera {room:?} yet; its device must push one first");
            return Err(Problem::not_found(message));
        }
        None => first_frame(&camera, follower).await?,
    };
    let now = identity.hub.clock().now();
    let age = age(&frame, now);
    let stale = max_age.filter(|most| age.is_none_or(|age| age > *most));
    let mut response = match stale {
        Some(most) => too_old(&camera, age, most).into_response(),
        None => {
            viewer_guard.tally().sent(frame.payload_len());
            let kind = [(CONTENT_TYPE, "image/jpeg")];
            (kind, frame.payload()).into_response()
        }
    };
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    add_time(headers, &frame, age, now);
    Ok(response)
}

fn read_age(text: &str) -> Result<Duration, Problem> {
    let seconds = text.parse().ok().map(Duration::try_from_secs_f64);
    let age = seconds.and_then(Result::ok);
    age.or_else(|| parse_duration(text)).ok_or_else(|| {
        let message = "max_age in the URL must be seconds, like 5, or a duration, like 500ms";
        Problem::new(StatusCode::BAD_REQUEST, message)
    })
}

/// The time since the frame was taken; `None` if the hub's clock was not set then.
fn age(frame: &Frame, now: Timestamp) -> Option<Duration> {
    let taken = frame.taken();
    taken
        .is_known()
        .then(|| Duration::from_micros(now.micros_since(taken)))
}

fn add_time(headers: &mut HeaderMap, frame: &Frame, age: Option<Duration>, now: Timestamp) {
    let Some(age) = age else {
        return;
    };
    // Cameras' clocks may be ahead, by any time.
    let taken = Duration::from_micros(frame.taken().min(now).0);
    if let Some(taken) = UNIX_EPOCH.checked_add(taken) {
        headers.typed_insert(LastModified::from(taken));
    }
    if let Ok(age) = HeaderValue::try_from(format!("{:.3}", age.as_secs_f64())) {
        headers.insert(AGE, age);
    }
}

/// The error for a frame that is older than the request allows.
fn too_old(camera: &Camera, age: Option<Duration>, most: Duration) -> Problem {
    let age = age.map_or("of unknown age".to_owned(), |age| {
        format!("{:.1} s old", age.as_secs_f64())
    });
    let message = format!(
        "the last picture is {age}, and max_age allows {} s; {}",
        most.as_secs_f64(),
        state(camera)
    );
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, message)
}

/// The first picture of a camera that was idle.
async fn first_frame(camera: &Camera, mut follower: Follower) -> Result<Frame, Problem> {
    timeout(FIRST_PICTURE_TIMEOUT, follower.next())
        .await
        .map_err(|_| no_picture(camera))
}

/// The error for a camera that has not delivered its first picture in time.
pub(super) fn no_picture(camera: &Camera) -> Problem {
    let seconds = FIRST_PICTURE_TIMEOUT.as_secs();
    let message = format!("no picture within {seconds} s; {}", state(camera));
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, message)
}

/// The state of the camera and the reason, for errors.
fn state(camera: &Camera) -> String {
    let status = camera.status();
    let why = status.state.reason().map(|reason| format!(": {reason}"));
    let state = status.state.name();
    format!("the camera is {state}{}", why.unwrap_or_default())
}
