//! `POST /api/v1/cameras/test`: a camera looked at before it is saved. It connects
//! once, the way the camera would, and shows what came.

use super::edit::{CameraChange, changeable, check_sources, present};
use super::{kept, place, unknown};
use crate::added::{Jpeg, Settings};
use crate::answer::{Answer, Problem, ProblemBody};
use crate::api::access::check;
use crate::api::body::Body;
use crate::auth::Grant;
use crate::launch;
use crate::site::Site;
use axum::Extension;
use axum::extract::State;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use ocelli_core::name::{DEFAULT_APP, split_id};
use ocelli_core::{Frame, Hub};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout};
use utoipa::ToSchema;

/// How many may be looked at side by side.
pub const TRIALS: usize = 4;
/// How long the first picture of a stream may take.
const FIRST: Duration = Duration::from_secs(15);

/// A camera to be looked at.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TestCamera {
    /// The camera that is to be changed, if it is one: what is left out is as it has
    /// it, its password included as long as its host stays. Needs `camera:write` too.
    camera: Option<String>,
    /// The address of its stream; needed unless `camera` is given.
    source: Option<String>,
    /// The user to sign in as, in place of one in the address; null for none.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    user: Option<Option<String>>,
    /// The user's password.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    password: Option<Option<String>>,
    /// The address of a smaller stream for tiles, which is then looked at too.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    substream: Option<Option<String>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Jpeg>)]
    jpeg: Option<Option<Jpeg>>,
    /// How often a single picture is fetched where there is no stream, like `500ms`.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    interval: Option<Option<String>>,
    /// False accepts any certificate, as a camera's own needs it.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<bool>)]
    verify_tls: Option<Option<bool>>,
}

/// What came of it.
#[derive(Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Trial {
    /// Whether a picture came.
    ok: bool,
    /// Why none came.
    reason: Option<String>,
    /// How the camera encodes it.
    codec: Option<&'static str>,
    width: Option<u16>,
    height: Option<u16>,
    /// The picture, as `data:image/jpeg;base64,…`.
    still: Option<String>,
    /// How long that took.
    took_ms: u64,
}

/// Looks at a camera without adding it.
#[utoipa::path(post, path = "/api/v1/cameras/test", tag = "cameras", operation_id = "testCamera",
    security(("token" = ["camera:create"])), request_body = TestCamera,
    responses(
        (status = 200, description = "What came: a picture, or why none", body = Answer<Trial>),
        (status = 404, description = "There is no such camera", body = ProblemBody),
        (status = 409, description = "It stands in the configuration file", body = ProblemBody),
        (status = 429, description = "As many as may be are being looked at", body = ProblemBody)))]
pub async fn test(
    State(site): State<Arc<Site>>,
    Extension(grant): Extension<Grant>,
    Body(body): Body<TestCamera>,
) -> Result<Answer<Trial>, Problem> {
    let old = match &body.camera {
        None => Settings::default(),
        Some(camera) => {
            check(&grant, "camera:write", Some(split_id(camera).0))?;
            let id = place(&site, camera)?;
            changeable(&site, &id)?;
            let kept = kept(&site, &id).await?;
            kept.ok_or_else(|| unknown(camera))?
        }
    };
    if body.camera.is_none() && body.source.is_none() {
        let message = "source in the body: it is needed, unless `camera` is given";
        return Err(Problem::new(StatusCode::BAD_REQUEST, message));
    }
    let change = CameraChange {
        source: body.source,
        user: body.user,
        password: body.password,
        substream: body.substream,
        jpeg: body.jpeg,
        interval: body.interval,
        verify_tls: body.verify_tls,
        // It is looked at once.
        keep: Some(false),
        name: None,
    };
    let settings = change.apply(&old)?;
    check_sources(&site, &settings).await?;
    let Ok(_turn) = site.trials.try_acquire() else {
        let message = format!("{TRIALS} cameras are being looked at; try again in a moment");
        return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, message));
    };
    let begun = Instant::now();
    let mut trial = look(&site, &settings).await;
    if let Some(substream) = settings.substream.clone().filter(|_| trial.ok) {
        let small = Settings {
            source: substream,
            substream: None,
            ..settings
        };
        if let Some(reason) = look(&site, &small).await.reason {
            trial = Trial {
                reason: Some(format!("the substream: {reason}")),
                ..Trial::default()
            };
        }
    }
    trial.took_ms = begun.elapsed().as_millis().try_into().unwrap_or(u64::MAX);
    Ok(Answer::new(trial))
}

/// Connects once, from a hub of its own that is gone with its answer.
async fn look(site: &Site, settings: &Settings) -> Trial {
    let failed = |reason: String| Trial {
        reason: Some(reason),
        ..Trial::default()
    };
    // What it costs counts with what the hub's own cameras do.
    let hub = Hub::with(site.hub.clock().clone(), site.hub.capacity().clone());
    let config = match settings.open(DEFAULT_APP, "test", site.fence) {
        Ok(config) => config,
        Err(error) => return failed(error.to_string()),
    };
    let camera = match launch::make(&hub, &config) {
        Ok(camera) => camera,
        Err(error) => return failed(error.to_string()),
    };
    match timeout(FIRST, camera.try_once()).await {
        Ok(Ok(frame)) => {
            let status = camera.status();
            let (width, height) = status.size.unzip();
            Trial {
                ok: true,
                codec: status.codec.map(ocelli_core::Codec::name),
                width,
                height,
                still: Some(still(&frame)),
                ..Trial::default()
            }
        }
        Ok(Err(failure)) => failed(failure.reason),
        Err(_) => {
            let state = camera.status().state;
            let reason = state.reason().map(str::to_owned);
            failed(reason.unwrap_or_else(|| format!("no picture within {} s", FIRST.as_secs())))
        }
    }
}

fn still(frame: &Frame) -> String {
    let mut still = "data:image/jpeg;base64,".to_owned();
    STANDARD.encode_string(frame.payload(), &mut still);
    still
}
