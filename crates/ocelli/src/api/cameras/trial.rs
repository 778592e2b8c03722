//! `POST /api/v1/cameras/test`: a camera looked at before it is saved. It connects
//! once, the way the camera would, and shows what came.
//!
//! A camera may allow one session, and the hub may have it. So a stream that the hub
//! shows anyway is not opened again: its picture is the answer. A camera that is being
//! changed and is connected is not tried beside that, for its viewers would lose their
//! picture. Another stream at the same address, such as another channel of a recorder,
//! is tried: nobody knows whether it is the same camera.

use crate::answer::{Answer, Problem, ProblemBody};
use crate::api::body::Body;
use crate::api::state::{Api, TRIALS};
use crate::auth::Grant;
use crate::catalog::{CameraChange, Jpeg, Settings, present};
use crate::visitor::Visitor;
use axum::extract::State;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use ocelli_core::name::{DEFAULT_APP, split_id};
use ocelli_core::{Busy, Camera, CameraId, Codec, Endpoint, Frame, Quality};
use ocelli_media::jpeg;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tokio::time::{Instant, timeout};
use utoipa::ToSchema;

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
    State(api): State<Api>,
    visitor: Visitor,
    Body(body): Body<TestCamera>,
) -> Result<Answer<Trial>, Problem> {
    let (old, named) = match &body.camera {
        None => (Settings::default(), None),
        Some(camera) => {
            visitor
                .grant()
                .check("camera:write", Some(split_id(camera).0))?;
            let id = api.catalog.place(camera)?;
            (api.catalog.changeable_settings(&id).await?, Some(id))
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
    api.catalog.check_sources(&settings).await?;
    let Ok(_turn) = api.trials.try_acquire() else {
        let message = format!("{TRIALS} cameras are being looked at; try again in a moment");
        return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, message));
    };
    let begun = Instant::now();
    let looking = Looking {
        api: &api,
        grant: &visitor.grant(),
        as_it_is: named
            .as_ref()
            .filter(|_| settings.verify_tls == old.verify_tls),
    };
    let mut trial = looking.look(&settings, named.as_ref()).await;
    if let Some(substream) = settings.substream.clone().filter(|_| trial.ok) {
        let small = Settings {
            source: substream,
            substream: None,
            ..settings
        };
        if let Some(reason) = looking.look(&small, None).await.reason {
            trial = Trial {
                reason: Some(format!("the substream: {reason}")),
                ..Trial::default()
            };
        }
    }
    trial.took_ms = begun.elapsed().as_millis().try_into().unwrap_or(u64::MAX);
    Ok(Answer::new(trial))
}

/// What is told of a camera that is being changed while the hub is connected to it.
const CONNECTED: &str = "it is in use: the hub is connected to this camera, and a second \
    session might end the first. Save the change to try it, or test it while nobody watches";
/// And while somebody else tests it.
const TESTED: &str = "it is in use: somebody else is testing it; try again in a moment";

/// One call that looks at cameras.
struct Looking<'a> {
    api: &'a Api,
    grant: &'a Grant,
    /// The camera that is looked at, if it accepts the certificates that it is to accept.
    as_it_is: Option<&'a CameraId>,
}

impl Looking<'_> {
    /// Looks at a camera: the one of this id, where it is to be changed.
    async fn look(&self, settings: &Settings, id: Option<&CameraId>) -> Trial {
        let hub = self.api.hub.for_test();
        let opened = self.api.catalog.open(&hub, (DEFAULT_APP, "test"), settings);
        let (camera, config) = match opened {
            Ok(opened) => opened,
            Err(error) => return failed(error.to_string()),
        };
        let Some(endpoint) = config.address.endpoint() else {
            return connect(&camera).await;
        };
        if let Some(trial) = self.share(settings, &endpoint).await {
            return trial;
        }
        let sessions = self.api.hub.sessions();
        let _hold = match sessions.hold(&endpoint, id.map(CameraId::as_str)) {
            Ok(hold) => hold,
            Err(Busy::Connected) => return failed(CONNECTED.to_owned()),
            Err(Busy::Tested) => return failed(TESTED.to_owned()),
        };
        let others = sessions.open_at(&endpoint);
        let mut trial = connect(&camera).await;
        if let Some(reason) = trial.reason.as_mut().filter(|_| others > 0) {
            reason.push_str(
                " (the hub has another session at this address, and the camera may allow no more)",
            );
        }
        trial
    }

    /// The picture of a camera that the hub has there already, for who may see it.
    async fn share(&self, settings: &Settings, endpoint: &Endpoint) -> Option<Trial> {
        let (camera, quality) = self.api.hub.camera_at(endpoint)?;
        let id = camera.id();
        // Another camera may accept any certificate there.
        let verified = !settings.source.starts_with("https:") || self.as_it_is == Some(id);
        if !verified || self.grant.check("camera:read", Some(id.app())).is_err() {
            return None;
        }
        Some(match timeout(FIRST, camera.look(quality)).await {
            Ok(Ok(frame)) => seen(&frame, camera.codec(quality)),
            Ok(Err(reason)) => failed(reason),
            Err(_) => none_in_time(&camera),
        })
    }
}

/// Connects once to a camera that is in no hub.
async fn connect(camera: &Camera) -> Trial {
    match timeout(FIRST, camera.try_once()).await {
        Ok(Ok(frame)) => seen(&frame, camera.codec(Quality::Main)),
        Ok(Err(failure)) => failed(failure.reason),
        Err(_) => none_in_time(camera),
    }
}

fn seen(frame: &Frame, codec: Option<Codec>) -> Trial {
    let (width, height) = jpeg::size(&frame.payload()).unzip();
    Trial {
        ok: true,
        codec: codec.map(Codec::name),
        width,
        height,
        still: Some(still(frame)),
        ..Trial::default()
    }
}

fn failed(reason: String) -> Trial {
    Trial {
        reason: Some(reason),
        ..Trial::default()
    }
}

fn none_in_time(camera: &Camera) -> Trial {
    let state = camera.status().state;
    let reason = state.reason().map(str::to_owned);
    failed(reason.unwrap_or_else(|| format!("no picture within {} s", FIRST.as_secs())))
}

fn still(frame: &Frame) -> String {
    let mut still = "data:image/jpeg;base64,".to_owned();
    STANDARD.encode_string(frame.payload(), &mut still);
    still
}
