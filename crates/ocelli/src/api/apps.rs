//! `/api/v1/apps`: the namespaces of cameras.

use super::body::Body;
use crate::answer::{Answer, Problem, ProblemBody};
use crate::api::state::Api;
use crate::catalog::{AppChange, Limits, NewApp};
use crate::visitor::Visitor;
use axum::extract::{Path, State};
use http::StatusCode;
use ocelli_core::App;
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// An app.
#[derive(Serialize, ToSchema)]
#[schema(as = App)]
#[serde(rename_all = "camelCase")]
pub struct AppView {
    /// Its name, which is also its id in other calls.
    id: String,
    /// The same as `id`.
    name: String,
    /// The prefix of its rooms' full names.
    room_prefix: String,
    /// Whether anonymous viewers may watch its cameras.
    public_playback: bool,
    /// Limits for devices that push.
    ws_ingest: Limits,
    /// Whether the configuration file defines it; it can then be changed only there.
    read_only: bool,
    /// The number of its cameras.
    cameras: usize,
}

impl AppView {
    fn of(app: App, api: &Api) -> Self {
        Self {
            read_only: api.catalog.is_configured_app(&app.name),
            cameras: api.catalog.cameras_of(&app.name),
            id: app.name.clone(),
            name: app.name,
            room_prefix: app.room_prefix,
            public_playback: app.public_playback,
            ws_ingest: app.ingest.into(),
        }
    }
}

/// Lists the apps that the token or the user may read.
#[utoipa::path(get, path = "/api/v1/apps", tag = "apps", operation_id = "listApps",
    security(("token" = ["app:read"])),
    responses((status = 200, description = "The apps", body = Answer<Vec<AppView>>)))]
pub async fn list(State(api): State<Api>, visitor: Visitor) -> Answer<Vec<AppView>> {
    let apps = api.hub.apps().into_iter();
    let grant = visitor.grant();
    let reached = apps.filter(|app| grant.allows("app:read", Some(&app.name)));
    Answer::new(
        reached
            .map(|app| AppView::of(Arc::unwrap_or_clone(app), &api))
            .collect(),
    )
}

/// Creates an app. Needs a global token or a role for all apps.
#[utoipa::path(post, path = "/api/v1/apps", tag = "apps", operation_id = "createApp",
    security(("token" = ["app:create", "global"])), request_body = NewApp,
    responses(
        (status = 201, description = "Created", body = Answer<AppView>),
        (status = 409, description = "The name or the prefix is taken", body = ProblemBody)))]
pub async fn create(
    State(api): State<Api>,
    Body(new): Body<NewApp>,
) -> Result<(StatusCode, Answer<AppView>), Problem> {
    let app = api.catalog.add_app(new).await?;
    Ok((StatusCode::CREATED, Answer::new(AppView::of(app, &api))))
}

/// Returns one app.
#[utoipa::path(get, path = "/api/v1/apps/{app}", tag = "apps", operation_id = "showApp",
    security(("token" = ["app:read"])), params(("app" = String, Path, description = "Its name")),
    responses(
        (status = 200, description = "The app", body = Answer<AppView>),
        (status = 404, description = "The app does not exist", body = ProblemBody)))]
pub async fn show(
    State(api): State<Api>,
    Path(name): Path<String>,
) -> Result<Answer<AppView>, Problem> {
    let app = api.catalog.app(&name)?;
    Ok(Answer::new(AppView::of(app, &api)))
}

/// Changes an app. Current viewers are affected at once.
#[utoipa::path(patch, path = "/api/v1/apps/{app}", tag = "apps", operation_id = "changeApp",
    security(("token" = ["app:write"])), request_body = AppChange,
    params(("app" = String, Path, description = "Its name")),
    responses(
        (status = 200, description = "The changed app", body = Answer<AppView>),
        (status = 404, description = "The app does not exist", body = ProblemBody),
        (status = 409, description = "The configuration file defines it, or the prefix can't be used",
            body = ProblemBody)))]
pub async fn change(
    State(api): State<Api>,
    Path(name): Path<String>,
    Body(change): Body<AppChange>,
) -> Result<Answer<AppView>, Problem> {
    let app = api.catalog.change_app(name, change).await?;
    Ok(Answer::new(AppView::of(app, &api)))
}

/// A deleted item.
#[derive(Serialize, ToSchema)]
#[schema(as = Gone)]
pub struct DeletedItem {
    /// Its id.
    pub id: String,
}

/// Deletes an app and its tokens. `live` can't be deleted.
#[utoipa::path(delete, path = "/api/v1/apps/{app}", tag = "apps", operation_id = "deleteApp",
    security(("token" = ["app:delete"])), params(("app" = String, Path, description = "Its name")),
    responses(
        (status = 200, description = "Deleted", body = Answer<DeletedItem>),
        (status = 404, description = "The app does not exist", body = ProblemBody),
        (status = 409, description = "It is `live`, is defined in the configuration file, or has cameras",
            body = ProblemBody)))]
pub async fn delete(
    State(api): State<Api>,
    Path(name): Path<String>,
) -> Result<Answer<DeletedItem>, Problem> {
    api.catalog.delete_app(name.clone()).await?;
    Ok(Answer::new(DeletedItem { id: name }))
}
