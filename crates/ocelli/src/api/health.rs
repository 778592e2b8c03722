//! Whether the hub is up, whether it is ready, whether a camera shows a fresh picture,
//! and all of it in numbers.

use crate::answer::{Answer, Problem, ProblemBody, QueryParams};
use crate::api::state::Api;
use crate::metrics::{self, Form};
use crate::visitor::{Visitor, bearer};
use axum::Json;
use axum::extract::{FromRequestParts, Path, Request, State};
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use ocelli_config::parse_duration;
use ocelli_core::name::split_id;
use ocelli_core::{Camera, CameraStatus, Quality, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::timeout;
use utoipa::{IntoParams, ToSchema};

/// How long a sleeping camera may take to wake.
const WAKING: Duration = Duration::from_secs(10);
/// A picture older than this is stale, and than so many of its camera's intervals.
const FRESH: Duration = Duration::from_secs(10);
const FRESH_INTERVALS: f64 = 3.0;

/// Whether the hub is up.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    #[schema(example = "ok")]
    status: &'static str,
    up: bool,
    version: &'static str,
    /// The hub's time in ms since the Unix epoch.
    ts: u64,
    uptime_seconds: u64,
    /// Messages of viewers that were passed over.
    ignored_messages: u64,
}

/// That the hub is up.
#[utoipa::path(get, path = "/health", tag = "hub", security(()),
    responses((status = 200, description = "It is up", body = Health)))]
pub async fn up(State(api): State<Api>) -> Json<Health> {
    Json(Health {
        status: "ok",
        up: true,
        version: env!("CARGO_PKG_VERSION"),
        ts: api.hub.clock().now().0 / 1000,
        uptime_seconds: api.started.elapsed().as_secs(),
        ignored_messages: api.front.ignored.load(Ordering::Relaxed),
    })
}

/// Whether the hub is ready for viewers.
#[derive(Serialize, ToSchema)]
pub struct Readiness {
    /// Whether viewers may be sent here.
    ready: bool,
    /// What is wrong. A hub that can't use its store still shows the cameras of its
    /// configuration, and is ready.
    problems: Vec<String>,
}

/// Whether viewers may be sent here.
#[utoipa::path(get, path = "/ready", tag = "hub", security(()),
    responses((status = 200, description = "They may", body = Readiness),
        (status = 503, description = "The hub stops", body = Readiness)))]
pub async fn ready(State(api): State<Api>) -> Response {
    let stops = api.front.stopping.is_cancelled();
    let mut problems = Vec::new();
    if stops {
        problems.push("the hub stops".to_owned());
    }
    if let Some(fault) = api.identity.store.fault() {
        problems.push(format!("the store can't be used: {fault}"));
    }
    if let Some(fault) = api.telemetry.health().file_fault {
        problems.push(format!("series are kept in memory alone: {fault}"));
    }
    let status = match stops {
        true => StatusCode::SERVICE_UNAVAILABLE,
        false => StatusCode::OK,
    };
    let ready = !stops;
    (status, Json(Readiness { ready, problems })).into_response()
}

/// What a check of a camera asks.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// How old its newest picture may be, in ms or like `10s`; by default 10 s, or three
    /// intervals of a camera that is slower.
    #[param(pattern = "^([0-9]{1,9}|[0-9]{1,6}(ms|s|min|h))$")]
    max_age: Option<String>,
    /// Whether a camera that sleeps is woken to find out; true by default.
    wake: Option<bool>,
}

/// How a camera is.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CameraHealth {
    /// Its id on the wall socket.
    id: String,
    /// Whether a viewer sees a fresh picture.
    healthy: bool,
    /// idle, starting, live, stalled or failed.
    state: &'static str,
    /// Why it is in that state, if there is a reason.
    reason: Option<String>,
    /// The age of its newest picture; null when there is none.
    age_ms: Option<u64>,
    /// How old it may be.
    max_age_ms: u64,
}

impl CameraHealth {
    fn of(camera: &Camera, now: Timestamp, max_age: Option<Duration>) -> Self {
        let status = camera.status();
        let max_age = max_age.unwrap_or_else(|| usual_age(&status));
        let known = status.taken.is_known();
        let age = known.then(|| Duration::from_micros(now.micros_since(status.taken)));
        Self {
            id: camera.id().as_str().to_owned(),
            healthy: age.is_some_and(|age| age <= max_age),
            state: status.state.name(),
            reason: status.state.reason().map(str::to_owned),
            age_ms: age.map(millis),
            max_age_ms: millis(max_age),
        }
    }
}

fn millis(time: Duration) -> u64 {
    time.as_millis().try_into().unwrap_or(u64::MAX)
}

fn usual_age(status: &CameraStatus) -> Duration {
    let intervals = Duration::try_from_secs_f64(FRESH_INTERVALS / status.fps);
    intervals.map_or(FRESH, |intervals| intervals.max(FRESH))
}

fn read_age(text: &str) -> Result<Duration, Problem> {
    let millis = text.parse().map(Duration::from_millis).ok();
    millis.or_else(|| parse_duration(text)).ok_or_else(|| {
        let message = "maxAge in the address: it takes ms, like 10000, or a duration, like 10s";
        Problem::new(StatusCode::BAD_REQUEST, message)
    })
}

/// Whether a camera shows a fresh picture: for monitors, which a 200 that shows nothing
/// has misled often enough.
///
/// It counts as a viewer for the grace period, so a camera that sleeps is woken, and has
/// 10 s for its first picture.
#[utoipa::path(get, path = "/api/v1/cameras/{camera}/health", tag = "cameras", security(()),
    params(("camera" = String, Path, description = "Its id on the wall socket, `/` as `%2F`"), Check),
    responses((status = 200, description = "It does", body = Answer<CameraHealth>),
        (status = 401, description = "Whoever asks may not watch it", body = ProblemBody),
        (status = 404, description = "There is none", body = ProblemBody),
        (status = 503, description = "It does not", body = Answer<CameraHealth>)))]
pub async fn camera(
    State(api): State<Api>,
    visitor: Visitor,
    Path(id): Path<String>,
    QueryParams(check): QueryParams<Check>,
) -> Result<Response, Problem> {
    let max_age = check.max_age.as_deref().map(read_age).transpose()?;
    let (app, room) = split_id(&id);
    let camera = visitor.find(app, room)?;
    if check.wake.unwrap_or(true) {
        let mut changes = api.hub.changes();
        let mut follower = camera.follow(Quality::Main);
        // One that fails is known to have no picture, and is tried by itself.
        let fails = async {
            while !matches!(camera.status().state, ocelli_core::State::Failed(_)) {
                // The sender lives as long as the hub.
                let _ = changes.changed().await;
            }
        };
        let picture = async {
            tokio::select! {
                _ = follower.next() => {}
                () = fails => {}
            }
        };
        // Whether it came in time is told by its age.
        let _ = timeout(WAKING, picture).await;
    }
    let health = CameraHealth::of(&camera, api.hub.clock().now(), max_age);
    let status = match health.healthy {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    let mut response = (status, Answer::new(health)).into_response();
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// The hub in numbers, in the text that Prometheus reads (and as OpenMetrics 1.0 for who
/// accepts that): of the cameras those that whoever asks may watch.
#[utoipa::path(get, path = "/metrics", tag = "hub", security(()),
    responses((status = 200, description = "The numbers", body = String,
            content_type = "text/plain"),
        (status = 401, description = "The configuration asks for a token", body = ProblemBody),
        (status = 404, description = "The configuration wants none", body = ProblemBody)))]
pub async fn numbers(State(api): State<Api>, request: Request) -> Result<Response, Problem> {
    if !api.metrics.enabled {
        let message = "metrics are turned off; `enabled` in [metrics] turns them on";
        return Err(Problem::not_found(message));
    }
    let form = Form::accepted(request.headers());
    let cameras = match &api.metrics.token {
        Some(token) if bearer(request.headers()).is_some_and(|brought| token.is(brought)) => {
            api.hub.cameras()
        }
        token => {
            let (mut parts, _) = request.into_parts();
            let visitor = Visitor::from_request_parts(&mut parts, &api).await?;
            if token.is_some() && !visitor.grant().allows("camera:read", None) {
                return Err(Problem::new(
                    StatusCode::UNAUTHORIZED,
                    "this needs the token of [metrics] in the configuration, as \
                     `Authorization: Bearer sk_…`",
                ));
            }
            visitor.cameras()
        }
    };
    let headers = [
        (CONTENT_TYPE, form.media_type()),
        (CACHE_CONTROL, "no-store"),
    ];
    Ok((
        headers,
        metrics::text(&api.identity, api.started, &cameras, form),
    )
        .into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_ms_or_a_duration() {
        assert_eq!(read_age("1500").ok(), Some(Duration::from_millis(1500)));
        assert_eq!(read_age("2min").ok(), Some(Duration::from_secs(120)));
        for bad in ["", "-1", "soon", "1e99s"] {
            assert!(read_age(bad).is_err(), "{bad}");
        }
    }
}
