//! Adding, changing and deleting cameras.

use super::view::{CameraDetails, CameraPath, CameraView};
use crate::answer::{Answer, Problem, ProblemBody};
use crate::api::apps::Gone;
use crate::api::body::Body;
use crate::api::state::Api;
use crate::catalog::{CameraChange, NewCamera};
use crate::visitor::Visitor;
use axum::extract::State;
use http::StatusCode;

/// Adds a camera; walls that show all cameras show it at once.
#[utoipa::path(post, path = "/api/v1/cameras", tag = "cameras", operation_id = "createCamera",
    security(("token" = ["camera:create"])), request_body = NewCamera,
    responses(
        (status = 201, description = "It is there", body = Answer<CameraDetails>),
        (status = 404, description = "There is no such app", body = ProblemBody),
        (status = 409, description = "There is a camera of its id, or there are as many as may be",
            body = ProblemBody)))]
pub async fn create(
    State(api): State<Api>,
    visitor: Visitor,
    Body(new): Body<NewCamera>,
) -> Result<(StatusCode, Answer<CameraDetails>), Problem> {
    visitor.grant().check("camera:create", Some(new.app()?))?;
    let (camera, settings) = api.catalog.add_camera(new).await?;
    let view = CameraView::of(&camera, &api, api.hub.clock().now());
    Ok((
        StatusCode::CREATED,
        Answer::new(CameraDetails::added(view, settings)),
    ))
}

/// Changes a camera. Whoever watches it stays connected, and sees what it shows
/// from then on.
#[utoipa::path(patch, path = "/api/v1/cameras/{camera}", tag = "cameras", operation_id = "changeCamera",
    security(("token" = ["camera:write"])), request_body = CameraChange,
    params(("camera" = String, Path, description = "Its id, `/` written as `%2F`")),
    responses(
        (status = 200, description = "As it is now", body = Answer<CameraDetails>),
        (status = 404, description = "There is none", body = ProblemBody),
        (status = 409, description = "It stands in the configuration file, or was changed meanwhile",
            body = ProblemBody)))]
pub async fn change(
    State(api): State<Api>,
    CameraPath(camera): CameraPath,
    Body(change): Body<CameraChange>,
) -> Result<Answer<CameraDetails>, Problem> {
    let id = api.catalog.place(&camera)?;
    let (camera, settings) = api.catalog.change_camera(id, change).await?;
    let view = CameraView::of(&camera, &api, api.hub.clock().now());
    Ok(Answer::new(CameraDetails::added(view, settings)))
}

/// Deletes a camera: its connection ends, and so do its streams.
#[utoipa::path(delete, path = "/api/v1/cameras/{camera}", tag = "cameras", operation_id = "deleteCamera",
    security(("token" = ["camera:delete"])),
    params(("camera" = String, Path, description = "Its id, `/` written as `%2F`")),
    responses(
        (status = 200, description = "It is gone", body = Answer<Gone>),
        (status = 404, description = "There is none", body = ProblemBody),
        (status = 409, description = "It stands in the configuration file", body = ProblemBody)))]
pub async fn delete(
    State(api): State<Api>,
    CameraPath(camera): CameraPath,
) -> Result<Answer<Gone>, Problem> {
    let id = api.catalog.place(&camera)?;
    api.catalog.delete_camera(id.clone()).await?;
    let id = id.as_str().to_owned();
    Ok(Answer::new(Gone { id }))
}
