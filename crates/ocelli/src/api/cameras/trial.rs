//! `POST /api/v1/cameras/test`: tests a camera before it is saved. The hub connects once, as it
//! would to the saved camera, and returns a picture.
//!
//! A camera may allow only one session, which the hub may already have. If the hub shows the same
//! stream, its picture is the result and no second session is opened. A camera that is being
//! changed is not tested while the hub is connected to it, because its viewers could lose their
//! picture. Another stream at the same address, such as another channel of a recorder, is tested:
//! it may be a different camera.

use crate::answer::{Answer, Problem, ProblemBody};
use crate::api::body::Body;
use crate::api::state::{Api, MAX_CONCURRENT_TESTS};
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

/// Time limit for the first picture of a stream.
const FIRST_PICTURE: Duration = Duration::from_secs(15);

/// A camera to test.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TestCamera {
    /// The id of the camera that is being changed, if any. Omitted fields keep its values,
    /// including the password while the host stays the same. Also needs `camera:write`.
    camera: Option<String>,
    /// The URL of its stream; required unless `camera` is given.
    source: Option<String>,
    /// The user name for signing in to the camera; replaces one in the URL. Null means no user.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    user: Option<Option<String>>,
    /// The password for that user.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    password: Option<Option<String>>,
    /// The URL of a smaller stream for tiles, which is tested too.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    substream: Option<Option<String>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Jpeg>)]
    jpeg: Option<Option<Jpeg>>,
    /// The interval between single pictures, such as `500ms`, for a source that is not a stream.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    interval: Option<Option<String>>,
    /// False accepts any certificate, which cameras with a self-signed one need.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<bool>)]
    verify_tls: Option<Option<bool>>,
}

/// The result of a test.
#[derive(Default, Serialize, ToSchema)]
#[schema(as = Trial)]
#[serde(rename_all = "camelCase")]
pub struct TestResult {
    /// Whether a picture arrived.
    ok: bool,
    /// Why no picture arrived.
    reason: Option<String>,
    /// The codec of the camera's stream.
    codec: Option<&'static str>,
    width: Option<u16>,
    height: Option<u16>,
    /// The picture, as `data:image/jpeg;base64,…`.
    still: Option<String>,
    /// Duration of the test.
    took_ms: u64,
}

/// Tests a camera without adding it.
#[utoipa::path(post, path = "/api/v1/cameras/test", tag = "cameras", operation_id = "testCamera",
    security(("token" = ["camera:create"])), request_body = TestCamera,
    responses(
        (status = 200, description = "The result: a picture, or the reason why none arrived", body = Answer<TestResult>),
        (status = 404, description = "The camera does not exist", body = ProblemBody),
        (status = 409, description = "The configuration file defines it", body = ProblemBody),
        (status = 429, description = "The limit of concurrent tests is reached", body = ProblemBody)))]
pub async fn test(
    State(api): State<Api>,
    visitor: Visitor,
    Body(body): Body<TestCamera>,
) -> Result<Answer<TestResult>, Problem> {
    let (old, named) = match &body.camera {
        None => (Settings::default(), None),
        Some(camera) => {
            visitor
                .grant()
                .check("camera:write", Some(split_id(camera).0))?;
            let id = api.catalog.camera_id(camera)?;
            (api.catalog.changeable_settings(&id).await?, Some(id))
        }
    };
    if body.camera.is_none() && body.source.is_none() {
        let message = "source in the body: it is required unless `camera` is given";
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
        // The test needs only one connection.
        keep: Some(false),
        name: None,
    };
    let settings = change.apply(&old)?;
    api.catalog.check_sources(&settings).await?;
    let Ok(_turn) = api.trials.try_acquire() else {
        let message =
            format!("{MAX_CONCURRENT_TESTS} cameras are being tested; try again in a moment");
        return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, message));
    };
    let started = Instant::now();
    let tester = CameraTester {
        api: &api,
        grant: &visitor.grant(),
        as_it_is: named
            .as_ref()
            .filter(|_| settings.verify_tls == old.verify_tls),
    };
    let mut trial = tester.test(&settings, named.as_ref()).await;
    if let Some(substream) = settings.substream.clone().filter(|_| trial.ok) {
        let small = Settings {
            source: substream,
            substream: None,
            ..settings
        };
        if let Some(reason) = tester.test(&small, None).await.reason {
            trial = TestResult {
                reason: Some(format!("the substream: {reason}")),
                ..TestResult::default()
            };
        }
    }
    trial.took_ms = started.elapsed().as_millis().try_into().unwrap_or(u64::MAX);
    Ok(Answer::new(trial))
}

/// The reason if the hub is connected to the camera that is being changed.
const CONNECTED: &str = "it is in use: the hub is connected to this camera, and a second \
    session might end the first. Save the change to try it, or test it while it has no viewers";
/// The reason if another test of the camera is running.
const TESTED: &str = "it is in use: another test of it is running; try again in a moment";

/// One call of the camera test.
struct CameraTester<'a> {
    api: &'a Api,
    grant: &'a Grant,
    /// The camera being changed, if the change does not affect certificate verification.
    as_it_is: Option<&'a CameraId>,
}

impl CameraTester<'_> {
    /// Tests a camera; `id` is the camera that is being changed, if any.
    async fn test(&self, settings: &Settings, id: Option<&CameraId>) -> TestResult {
        let hub = self.api.hub.for_test();
        let opened = self.api.catalog.open(&hub, (DEFAULT_APP, "test"), settings);
        let (camera, config) = match opened {
            Ok(opened) => opened,
            Err(error) => return failed_result(error.to_string()),
        };
        let Some(endpoint) = config.address.endpoint() else {
            return connect(&camera).await;
        };
        if let Some(trial) = self.existing_picture(settings, &endpoint).await {
            return trial;
        }
        let sessions = self.api.hub.sessions();
        let _hold = match sessions.hold(&endpoint, id.map(CameraId::as_str)) {
            Ok(hold) => hold,
            Err(Busy::Connected) => return failed_result(CONNECTED.to_owned()),
            Err(Busy::Tested) => return failed_result(TESTED.to_owned()),
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

    /// Returns the picture of a camera that the hub already shows, if the client may read it.
    async fn existing_picture(
        &self,
        settings: &Settings,
        endpoint: &Endpoint,
    ) -> Option<TestResult> {
        let (camera, quality) = self.api.hub.camera_at(endpoint)?;
        let id = camera.id();
        // The other camera may be configured to accept any certificate.
        let verified = !settings.source.starts_with("https:") || self.as_it_is == Some(id);
        if !verified || self.grant.check("camera:read", Some(id.app())).is_err() {
            return None;
        }
        Some(
            match timeout(FIRST_PICTURE, camera.current_frame(quality)).await {
                Ok(Ok(frame)) => successful_result(&frame, camera.codec(quality)),
                Ok(Err(reason)) => failed_result(reason),
                Err(_) => timed_out(&camera),
            },
        )
    }
}

/// Connects once to a camera that is not in the hub.
async fn connect(camera: &Camera) -> TestResult {
    match timeout(FIRST_PICTURE, camera.try_once()).await {
        Ok(Ok(frame)) => successful_result(&frame, camera.codec(Quality::Main)),
        Ok(Err(failure)) => failed_result(failure.reason),
        Err(_) => timed_out(camera),
    }
}

fn successful_result(frame: &Frame, codec: Option<Codec>) -> TestResult {
    let (width, height) = jpeg::size(&frame.payload()).unzip();
    TestResult {
        ok: true,
        codec: codec.map(Codec::name),
        width,
        height,
        still: Some(data_url(frame)),
        ..TestResult::default()
    }
}

fn failed_result(reason: String) -> TestResult {
    TestResult {
        reason: Some(reason),
        ..TestResult::default()
    }
}

fn timed_out(camera: &Camera) -> TestResult {
    let state = camera.status().state;
    let reason = state.reason().map(str::to_owned);
    failed_result(
        reason.unwrap_or_else(|| format!("no picture within {} s", FIRST_PICTURE.as_secs())),
    )
}

fn data_url(frame: &Frame) -> String {
    let mut data_url = "data:image/jpeg;base64,".to_owned();
    STANDARD.encode_string(frame.payload(), &mut data_url);
    data_url
}
