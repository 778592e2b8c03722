//! Adding, changing and deleting cameras.

use super::view::{CameraDetails, CameraPath, CameraView};
use crate::answer::{Answer, Problem, ProblemBody};
use crate::api::apps::DeletedItem;
use crate::api::body::Body;
use crate::api::state::Api;
use crate::catalog::{CameraChange, NewCamera};
use crate::visitor::Visitor;
use axum::extract::State;
use http::StatusCode;

/// Adds a camera. Walls that show all cameras include it at once.
#[utoipa::path(post, path = "/api/v1/cameras", tag = "cameras", operation_id = "createCamera",
    security(("token" = ["camera:create"])), request_body = NewCamera,
    responses(
        (status = 201, description = "Added", body = Answer<CameraDetails>),
        (status = 404, description = "The app does not exist", body = ProblemBody),
        (status = 409, description = "The id is taken, or the limit of cameras is reached",
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

/// Changes a camera. Its viewers stay connected and see the new stream.
#[utoipa::path(patch, path = "/api/v1/cameras/{camera}", tag = "cameras", operation_id = "changeCamera",
    security(("token" = ["camera:write"])), request_body = CameraChange,
    params(("camera" = String, Path, description = "Its id, with `/` encoded as `%2F`")),
    responses(
        (status = 200, description = "The changed camera", body = Answer<CameraDetails>),
        (status = 404, description = "The camera does not exist", body = ProblemBody),
        (status = 409, description = "The configuration file defines it, or it was changed in the meantime",
            body = ProblemBody)))]
pub async fn change(
    State(api): State<Api>,
    CameraPath(camera): CameraPath,
    Body(change): Body<CameraChange>,
) -> Result<Answer<CameraDetails>, Problem> {
    let id = api.catalog.camera_id(&camera)?;
    let (camera, settings) = api.catalog.change_camera(id, change).await?;
    let view = CameraView::of(&camera, &api, api.hub.clock().now());
    Ok(Answer::new(CameraDetails::added(view, settings)))
}

/// Deletes a camera and ends its connections and streams.
#[utoipa::path(delete, path = "/api/v1/cameras/{camera}", tag = "cameras", operation_id = "deleteCamera",
    security(("token" = ["camera:delete"])),
    params(("camera" = String, Path, description = "Its id, with `/` encoded as `%2F`")),
    responses(
        (status = 200, description = "Deleted", body = Answer<DeletedItem>),
        (status = 404, description = "The camera does not exist", body = ProblemBody),
        (status = 409, description = "The configuration file defines it", body = ProblemBody)))]
pub async fn delete(
    State(api): State<Api>,
    CameraPath(camera): CameraPath,
) -> Result<Answer<DeletedItem>, Problem> {
    let id = api.catalog.camera_id(&camera)?;
    api.catalog.delete_camera(id.clone()).await?;
    let id = id.as_str().to_owned();
    Ok(Answer::new(DeletedItem { id }))
}
