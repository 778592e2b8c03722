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
    /// Its name, which is what other calls know it by.
    id: String,
    /// The same.
    name: String,
    /// What its rooms' full names start with.
    room_prefix: String,
    /// Whether anybody may watch its cameras.
    public_playback: bool,
    /// What cameras that push may do.
    ws_ingest: Limits,
    /// Whether it stands in the configuration file, which is then the place to change it.
    read_only: bool,
    /// How many cameras it has.
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

/// The apps that the token or the role reaches.
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

/// Makes an app. Needs a global token.
#[utoipa::path(post, path = "/api/v1/apps", tag = "apps", operation_id = "createApp",
    security(("token" = ["app:create", "global"])), request_body = NewApp,
    responses(
        (status = 201, description = "It is there", body = Answer<AppView>),
        (status = 409, description = "The name or the prefix is taken", body = ProblemBody)))]
pub async fn create(
    State(api): State<Api>,
    Body(new): Body<NewApp>,
) -> Result<(StatusCode, Answer<AppView>), Problem> {
    let app = api.catalog.add_app(new).await?;
    Ok((StatusCode::CREATED, Answer::new(AppView::of(app, &api))))
}

/// One app.
#[utoipa::path(get, path = "/api/v1/apps/{app}", tag = "apps", operation_id = "showApp",
    security(("token" = ["app:read"])), params(("app" = String, Path, description = "Its name")),
    responses(
        (status = 200, description = "The app", body = Answer<AppView>),
        (status = 404, description = "There is none", body = ProblemBody)))]
pub async fn show(
    State(api): State<Api>,
    Path(name): Path<String>,
) -> Result<Answer<AppView>, Problem> {
    let app = api.catalog.app(&name)?;
    Ok(Answer::new(AppView::of(app, &api)))
}

/// Changes an app, at once and for whoever is watching.
#[utoipa::path(patch, path = "/api/v1/apps/{app}", tag = "apps", operation_id = "changeApp",
    security(("token" = ["app:write"])), request_body = AppChange,
    params(("app" = String, Path, description = "Its name")),
    responses(
        (status = 200, description = "As it is now", body = Answer<AppView>),
        (status = 404, description = "There is none", body = ProblemBody),
        (status = 409, description = "It stands in the configuration file, or the prefix can't be had",
            body = ProblemBody)))]
pub async fn change(
    State(api): State<Api>,
    Path(name): Path<String>,
    Body(change): Body<AppChange>,
) -> Result<Answer<AppView>, Problem> {
    let app = api.catalog.change_app(name, change).await?;
    Ok(Answer::new(AppView::of(app, &api)))
}

/// What was taken out.
#[derive(Serialize, ToSchema)]
pub struct Gone {
    /// Its id.
    pub id: String,
}

/// Takes an app out, with its tokens. `live` stays.
#[utoipa::path(delete, path = "/api/v1/apps/{app}", tag = "apps", operation_id = "deleteApp",
    security(("token" = ["app:delete"])), params(("app" = String, Path, description = "Its name")),
    responses(
        (status = 200, description = "It is gone", body = Answer<Gone>),
        (status = 404, description = "There is none", body = ProblemBody),
        (status = 409, description = "It is `live`, or stands in the configuration file, or has cameras",
            body = ProblemBody)))]
pub async fn delete(
    State(api): State<Api>,
    Path(name): Path<String>,
) -> Result<Answer<Gone>, Problem> {
    api.catalog.delete_app(name.clone()).await?;
    Ok(Answer::new(Gone { id: name }))
}
