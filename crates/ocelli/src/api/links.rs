//! Play tokens for one camera, and links to a wall of chosen cameras, for people without an
//! account.

use super::apps::DeletedItem;
use super::body::Body;
use super::page::{Page, Window};
use crate::answer::{Answer, Problem, ProblemBody, QueryParams};
use crate::api::state::Api;
use crate::catalog::{NewWall, WallLink};
use crate::store::walls::Wall;
use crate::urls::Urls;
use crate::visitor::Visitor;
use axum::extract::{Path, State};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use utoipa::{IntoParams, ToSchema};

/// The lifetime of a play token.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Lifetime {
    /// Lifetime in seconds; 3600 by default.
    #[param(minimum = 60, maximum = 86400)]
    ttl: Option<u32>,
}

/// A play token.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Play {
    /// Append it to a URL as `?token=`.
    token: String,
    app: String,
    room: String,
    /// The WebSocket URL of the camera, including the token.
    ws_url: String,
    /// Expiry in ms since the Unix epoch.
    expires_at: i64,
}

/// Creates a token that lets its holder watch one camera for a limited time.
#[utoipa::path(get, path = "/api/v1/apps/{app}/play-token/{room}", tag = "links",
    operation_id = "playToken", security(("token" = ["camera:share"])),
    params(("app" = String, Path, description = "Its app"),
        ("room" = String, Path, description = "Its room"), Lifetime),
    responses(
        (status = 200, description = "The token", body = Answer<Play>),
        (status = 404, description = "The camera does not exist", body = ProblemBody)))]
pub async fn play(
    State(api): State<Api>,
    urls: Urls,
    Path((app, room)): Path<(String, String)>,
    QueryParams(lifetime): QueryParams<Lifetime>,
) -> Result<Answer<Play>, Problem> {
    let play = api.catalog.play_token((app, room), lifetime.ttl).await?;
    Ok(Answer::new(Play {
        ws_url: urls.play(&play.camera, &play.token),
        token: play.token,
        app: play.camera.app().to_owned(),
        room: play.camera.room().to_owned(),
        expires_at: play.expires,
    }))
}

/// A wall link without its secret.
#[derive(Serialize, ToSchema)]
#[schema(as = Wall)]
#[serde(rename_all = "camelCase")]
pub struct WallView {
    /// The id for revoking it.
    id: String,
    name: String,
    /// The ids of its cameras.
    cameras: BTreeSet<String>,
    /// In ms since the Unix epoch.
    created_at: i64,
    /// Expiry in ms since the Unix epoch.
    expires_at: i64,
}

impl From<Wall> for WallView {
    fn from(wall: Wall) -> Self {
        Self {
            id: wall.id,
            name: wall.name,
            cameras: wall.cameras,
            created_at: wall.created,
            expires_at: wall.expires,
        }
    }
}

/// A new wall link with its token, which is returned only here.
#[derive(Serialize, ToSchema)]
#[schema(as = ShownWall)]
pub struct CreatedWall {
    /// The token in the link.
    token: String,
    /// The link to share.
    url: String,
    #[serde(flatten)]
    view: WallView,
}

/// Lists the valid wall links of cameras that the client may share, oldest first.
#[utoipa::path(get, path = "/api/v1/walls", tag = "links", operation_id = "listWalls",
    security(("token" = ["camera:share"])), params(Window),
    responses((status = 200, description = "The links", body = Page<WallView>)))]
pub async fn list(
    State(api): State<Api>,
    visitor: Visitor,
    QueryParams(window): QueryParams<Window>,
) -> Result<Page<WallView>, Problem> {
    let walls = api.catalog.walls(&visitor).await?;
    window.of(walls.into_iter().map(WallView::from).collect())
}

/// Creates a link to a read-only wall of exactly these cameras.
#[utoipa::path(post, path = "/api/v1/walls", tag = "links", operation_id = "createWall",
    security(("token" = ["camera:share"])), request_body = NewWall,
    responses(
        (status = 201, description = "The link; its token is returned only here", body = Answer<CreatedWall>),
        (status = 404, description = "The client may share no such camera",
            body = ProblemBody)))]
pub async fn create(
    State(api): State<Api>,
    visitor: Visitor,
    urls: Urls,
    Body(new): Body<NewWall>,
) -> Result<(StatusCode, Answer<CreatedWall>), Problem> {
    let WallLink { wall, token } = api.catalog.add_wall(new, &visitor).await?;
    let shown = CreatedWall {
        url: urls.wall(&token),
        token,
        view: wall.into(),
    };
    Ok((StatusCode::CREATED, Answer::new(shown)))
}

/// Revokes a wall link and disconnects its viewers.
#[utoipa::path(delete, path = "/api/v1/walls/{id}", tag = "links", operation_id = "revokeWall",
    security(("token" = ["camera:share"])),
    params(("id" = String, Path, description = "`wall_…`")),
    responses(
        (status = 200, description = "Revoked", body = Answer<DeletedItem>),
        (status = 404, description = "There is no such link", body = ProblemBody)))]
pub async fn revoke(
    State(api): State<Api>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Answer<DeletedItem>, Problem> {
    api.catalog.revoke_wall(id.clone(), &visitor).await?;
    Ok(Answer::new(DeletedItem { id }))
}
