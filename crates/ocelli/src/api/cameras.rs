//! `/api/v1/cameras`: the state and the settings of cameras. [`edit`] adds, changes and deletes
//! cameras, [`trial`] tests one before it is saved.

pub mod edit;
pub mod trial;
mod view;

use crate::answer::{Answer, Problem, ProblemBody};
use crate::api::state::Api;
use crate::visitor::Visitor;
use axum::extract::State;
use axum::routing::{MethodRouter, get};
use serde_json::{Value, json};
use view::{CameraDetails, CameraPath, CameraView};

/// The calls for the camera in room `test`, whose path [`CAMERA_TEST`] takes.
pub fn room_named_test() -> MethodRouter<Api> {
    get(show).patch(edit::change).delete(edit::delete)
}

/// Lists the cameras that the client may watch: those of apps with public playback, and those that
/// its session or token opens.
#[utoipa::path(get, path = "/api/v1/cameras", tag = "cameras", security(()),
    responses(
        (status = 200, description = "The cameras", body = Answer<Vec<CameraView>>),
        (status = 401, description = "The token is invalid", body = ProblemBody)))]
pub async fn list(State(api): State<Api>, visitor: Visitor) -> Answer<Vec<CameraView>> {
    let now = api.hub.clock().now();
    let cameras = visitor.cameras();
    let cameras = cameras
        .iter()
        .map(|camera| CameraView::of(camera, &api, now));
    Answer::new(cameras.collect())
}

/// Adds to the schema of [`Jpeg`] what the Rust types don't express.
pub fn describe(schema: &mut Value) {
    schema["properties"]["fps"] = json!({
        "description": schema["properties"]["fps"]["description"],
        "oneOf": [
            { "type": "number", "minimum": 0.1, "maximum": 60 },
            { "const": "key" },
            { "type": "null" },
        ],
    });
}

/// Returns one camera with its settings.
#[utoipa::path(get, path = "/api/v1/cameras/{camera}", tag = "cameras", operation_id = "showCamera",
    security(("token" = ["camera:read"])),
    params(("camera" = String, Path, description = "Its id, with `/` encoded as `%2F`")),
    responses(
        (status = 200, description = "The camera", body = Answer<CameraDetails>),
        (status = 404, description = "The camera does not exist", body = ProblemBody)))]
pub async fn show(
    State(api): State<Api>,
    CameraPath(camera): CameraPath,
) -> Result<Answer<CameraDetails>, Problem> {
    let id = api.catalog.camera_id(&camera)?;
    let found = api.catalog.camera(&id)?;
    let view = CameraView::of(&found, &api, api.hub.clock().now());
    let shown = match api.catalog.configured_camera(&id) {
        Some(configured) => CameraDetails::configured(view, configured),
        None => match api.catalog.settings(&id).await? {
            Some(settings) => CameraDetails::added(view, settings),
            None => CameraDetails::bare(view),
        },
    };
    Ok(Answer::new(shown))
}
