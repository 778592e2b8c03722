//! Health of the hub, readiness, health of a camera, and Prometheus metrics.

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
use ocelli_core::{
    Camera, CameraStatus, CameraSubscription, Decodable, Delivery, Hub, Quality, Ready,
    State as CameraState, Timestamp,
};
use serde::{Deserialize, Serialize};
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Poll, ready};
use std::time::Duration;
use tokio::time::timeout;
use utoipa::{IntoParams, ToSchema};

/// Time for an idle camera to deliver its first picture.
const FIRST_PICTURE_TIMEOUT: Duration = Duration::from_secs(10);
/// A picture is stale if it is older than this and than `MAX_AGE_INTERVALS` frame intervals.
const DEFAULT_MAX_AGE: Duration = Duration::from_secs(10);
const MAX_AGE_INTERVALS: f64 = 3.0;

/// The health of the hub.
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
    /// Messages of viewers that were ignored.
    ignored_messages: u64,
}

/// Reports that the hub is up.
#[utoipa::path(get, path = "/health", tag = "hub", security(()),
    responses((status = 200, description = "The hub is up", body = Health)))]
pub async fn up(State(api): State<Api>) -> Json<Health> {
    Json(Health {
        status: "ok",
        up: true,
        version: env!("CARGO_PKG_VERSION"),
        ts: api.hub.clock().now().0 / 1000,
        uptime_seconds: api.started.elapsed().as_secs(),
        ignored_messages: api.server_state.ignored.load(Ordering::Relaxed),
    })
}

/// The readiness of the hub.
#[derive(Serialize, ToSchema)]
pub struct Readiness {
    /// Whether viewers may be sent to this hub.
    ready: bool,
    /// Current faults. A hub without a usable store still runs its configured cameras and counts
    /// as ready, but shows anonymous viewers only apps that are certainly public.
    problems: Vec<String>,
}

/// Reports whether viewers may be sent to this hub.
#[utoipa::path(get, path = "/ready", tag = "hub", security(()),
    responses((status = 200, description = "The hub is ready", body = Readiness),
        (status = 503, description = "The hub is stopping", body = Readiness)))]
pub async fn ready(State(api): State<Api>) -> Response {
    let stops = api.server_state.stopping.is_cancelled();
    let mut problems = Vec::new();
    if stops {
        problems.push("the hub is stopping".to_owned());
    }
    if let Some(fault) = api.identity.store.fault() {
        problems.push(format!("the store can't be used: {fault}"));
    }
    if let Some(fault) = api.telemetry.health().file_fault {
        problems.push(format!("series are kept in memory only: {fault}"));
    }
    let status = match stops {
        true => StatusCode::SERVICE_UNAVAILABLE,
        false => StatusCode::OK,
    };
    let ready = !stops;
    (status, Json(Readiness { ready, problems })).into_response()
}

/// Parameters of a camera's health check.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// Maximum age of the newest picture, in ms or like `10s`; by default 10 s, or three frame
    /// intervals of a slower camera.
    #[param(pattern = "^([0-9]{1,9}|[0-9]{1,6}(ms|s|min|h))$")]
    max_age: Option<String>,
    /// Whether to connect to an idle camera for the check; true by default.
    wake: Option<bool>,
}

/// The health of a camera.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CameraHealth {
    /// Its id on the wall socket.
    id: String,
    /// Whether a viewer sees a fresh picture.
    healthy: bool,
    /// idle, starting, live, stalled or failed.
    state: &'static str,
    /// The reason for the state, if any.
    reason: Option<String>,
    /// The age of its newest picture; null if there is none.
    age_ms: Option<u64>,
    /// The maximum age that was applied.
    max_age_ms: u64,
}

impl CameraHealth {
    fn of(camera: &Camera, now: Timestamp, max_age: Option<Duration>) -> Self {
        let status = camera.status();
        let max_age = max_age.unwrap_or_else(|| default_max_age(&status));
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

/// A health check's subscription to a camera. H.264 and H.265 are not transcoded for it.
struct Watching {
    ready: Arc<Ready>,
    subscription: CameraSubscription,
}

impl Watching {
    fn new(camera: &Camera) -> Self {
        let ready = Arc::<Ready>::default();
        let delivery = Delivery {
            decodable: Decodable {
                h264: true,
                h265: true,
                jpeg: false,
            },
            ..Delivery::default()
        };
        Self {
            subscription: camera.subscribe(Quality::Main, delivery, ready.clone(), 0),
            ready,
        }
    }

    /// Waits for a picture, or until the camera fails: its source retries on its own.
    async fn picture_or_failure(&mut self, hub: &Hub, camera: &Camera) {
        let mut changes = hub.changes();
        loop {
            self.subscription.follow_camera();
            match camera.status().state {
                CameraState::Failed(_) => return,
                // A newcomer to a long group may have to wait for the next key frame, but the
                // camera has a picture.
                CameraState::Live if self.subscription.is_native() => return,
                _ => {}
            }
            tokio::select! {
                () = self.picture() => return,
                // The sender lives as long as the hub.
                _ = changes.changed() => {}
            }
        }
    }

    async fn picture(&mut self) {
        poll_fn(|cx| {
            loop {
                ready!(self.ready.poll_next(cx));
                if self.subscription.take().is_some() {
                    return Poll::Ready(());
                }
            }
        })
        .await;
    }
}

fn millis(time: Duration) -> u64 {
    time.as_millis().try_into().unwrap_or(u64::MAX)
}

fn default_max_age(status: &CameraStatus) -> Duration {
    let intervals = Duration::try_from_secs_f64(MAX_AGE_INTERVALS / status.fps);
    intervals.map_or(DEFAULT_MAX_AGE, |intervals| intervals.max(DEFAULT_MAX_AGE))
}

fn parse_max_age(text: &str) -> Result<Duration, Problem> {
    let millis = text.parse().map(Duration::from_millis).ok();
    millis.or_else(|| parse_duration(text)).ok_or_else(|| {
        let message = "maxAge in the URL: it must be ms, like 10000, or a duration, like 10s";
        Problem::new(StatusCode::BAD_REQUEST, message)
    })
}

/// Reports whether a camera shows a fresh picture. For monitoring: the status is 200 only if it
/// does.
///
/// The check counts as a viewer for the grace period, so an idle camera connects and has 10 s for
/// its first picture.
#[utoipa::path(get, path = "/api/v1/cameras/{camera}/health", tag = "cameras", security(()),
    params(("camera" = String, Path, description = "Its id on the wall socket, with `/` encoded as `%2F`"), Check),
    responses((status = 200, description = "The picture is fresh", body = Answer<CameraHealth>),
        (status = 401, description = "The client may not watch it", body = ProblemBody),
        (status = 404, description = "The camera does not exist", body = ProblemBody),
        (status = 503, description = "There is no fresh picture", body = Answer<CameraHealth>)))]
pub async fn camera(
    State(api): State<Api>,
    visitor: Visitor,
    Path(id): Path<String>,
    QueryParams(check): QueryParams<Check>,
) -> Result<Response, Problem> {
    let max_age = check.max_age.as_deref().map(parse_max_age).transpose()?;
    let (app, room) = split_id(&id);
    let camera = visitor.find(app, room)?;
    let mut watching = check.wake.unwrap_or(true).then(|| Watching::new(&camera));
    if let Some(watching) = &mut watching {
        let picture = watching.picture_or_failure(&api.hub, &camera);
        // After a timeout the picture's age gives the result.
        let _ = timeout(FIRST_PICTURE_TIMEOUT, picture).await;
    }
    let health = CameraHealth::of(&camera, api.hub.clock().now(), max_age);
    // The status depends on which of its streams has viewers.
    drop(watching);
    let status = match health.healthy {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    let mut response = (status, Answer::new(health)).into_response();
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// Returns the metrics in the Prometheus text format, or as OpenMetrics 1.0 if the client accepts
/// it. Only cameras that the client may watch are included.
#[utoipa::path(get, path = "/metrics", tag = "hub", security(()),
    responses((status = 200, description = "The metrics", body = String,
            content_type = "text/plain"),
        (status = 401, description = "The configuration requires a token", body = ProblemBody),
        (status = 404, description = "Metrics are turned off in the configuration", body = ProblemBody)))]
pub async fn numbers(State(api): State<Api>, request: Request) -> Result<Response, Problem> {
    if !api.metrics.enabled {
        let message = "metrics are turned off; set `enabled` in [metrics] to turn them on";
        return Err(Problem::not_found(message));
    }
    let form = Form::accepted(request.headers());
    let cameras = match &api.metrics.token {
        Some(token) if bearer(request.headers()).is_some_and(|brought| token.matches(brought)) => {
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
    fn a_maximum_age_is_ms_or_a_duration() {
        assert_eq!(
            parse_max_age("1500").ok(),
            Some(Duration::from_millis(1500))
        );
        assert_eq!(parse_max_age("2min").ok(), Some(Duration::from_secs(120)));
        for bad in ["", "-1", "soon", "1e99s"] {
            assert!(parse_max_age(bad).is_err(), "{bad}");
        }
    }
}
