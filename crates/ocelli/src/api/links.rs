//! Play tokens for one camera, and links to a wall of chosen ones: for people who have
//! no account here.

use super::apps::Gone;
use super::body::Body;
use super::page::{Page, Window};
use crate::answer::{Answer, Asked, Problem, ProblemBody};
use crate::auth::{Grant, Named, PlayToken};
use crate::site::Site;
use crate::store::walls::{self, SHARE, Wall};
use crate::store::{StoreError, incarnation};
use crate::visitor::Visitor;
use axum::Extension;
use axum::extract::{Path, State};
use http::StatusCode;
use http::request::Parts;
use ocelli_config::number::whole;
use ocelli_core::name::split_id;
use ocelli_core::text::is_control;
use ocelli_net::connection::Peer;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// How long a play token may last, in s. Nothing ends it before.
const PLAY_TTL: RangeInclusive<u32> = 60..=24 * 3600;
/// How long one lasts when nobody says.
const USUAL_PLAY_TTL: u32 = 3600;
/// How long a wall link may last, in s.
const WALL_TTL: RangeInclusive<u32> = 60..=366 * 24 * 3600;
/// How long one lasts when nobody says.
const USUAL_WALL_TTL: u32 = 7 * 24 * 3600;
/// The most cameras of a wall link.
const MOST_CAMERAS: usize = 500;
/// The longest name.
const NAME_LIMIT: usize = 120;

fn bad(place: &str, fault: impl std::fmt::Display) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, format!("{place}: {fault}"))
}

/// When something ends that begins now.
fn expires(
    site: &Site,
    place: &str,
    ttl: u32,
    range: &RangeInclusive<u32>,
) -> Result<i64, Problem> {
    if range.contains(&ttl) {
        return Ok(site.identity.now() + i64::from(ttl) * 1000);
    }
    let fault = format!("it takes {} to {} seconds", range.start(), range.end());
    Err(bad(place, fault))
}

/// How long.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Lifetime {
    /// How long the token lasts, in seconds; 3600 by default.
    #[param(minimum = 60, maximum = 86400)]
    ttl: Option<u32>,
}

/// A play token.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Play {
    /// It goes behind `?token=`.
    token: String,
    app: String,
    room: String,
    /// The socket that plays the camera, with the token.
    ws_url: String,
    /// When it ends, in ms since the Unix epoch.
    expires_at: i64,
}

/// A token by which anybody watches this one camera for a while.
#[utoipa::path(get, path = "/api/v1/apps/{app}/play-token/{room}", tag = "links",
    operation_id = "playToken", security(("token" = ["camera:share"])),
    params(("app" = String, Path, description = "Its app"),
        ("room" = String, Path, description = "Its room"), Lifetime),
    responses(
        (status = 200, description = "The token", body = Answer<Play>),
        (status = 404, description = "There is no such camera", body = ProblemBody)))]
pub async fn play(
    State(site): State<Arc<Site>>,
    Extension(peer): Extension<Peer>,
    Path((app, room)): Path<(String, String)>,
    Asked(lifetime): Asked<Lifetime>,
    parts: Parts,
) -> Result<Answer<Play>, Problem> {
    let ttl = lifetime.ttl.unwrap_or(USUAL_PLAY_TTL);
    let expires = expires(&site, "ttl in the address", ttl, &PLAY_TTL)?;
    let hub = site.hub.clone();
    let find = move |connection: &mut rusqlite::Connection| {
        // Cameras come and go on the store's thread, so this is the one of that name.
        let camera = hub.find(&app, &room).ok_or_else(|| {
            StoreError::Missing(format!("there is no camera {room:?} in app {app:?}"))
        })?;
        let id = camera.id().clone();
        let incarnation = incarnation::of(connection, &id)?;
        Ok((id, incarnation))
    };
    let (id, incarnation) = site.identity.store.call(find).await?;
    let cameras = BTreeMap::from([(id.as_str().to_owned(), incarnation)]);
    let token = PlayToken::new(cameras, expires).sign(site.identity.store.key()?);
    let origin = site
        .front
        .gate
        .own_address(&parts.uri, &parts.headers, &peer);
    let socket = origin.replacen("http", "ws", 1);
    let (app, room) = (id.app().to_owned(), id.room().to_owned());
    Ok(Answer::new(Play {
        ws_url: format!("{socket}/live/ws?app={app}&room={room}&token={token}"),
        token,
        app,
        room,
        expires_at: expires,
    }))
}

/// A link that opens a chosen wall, without its secret.
#[derive(Serialize, ToSchema)]
#[schema(as = Wall)]
#[serde(rename_all = "camelCase")]
pub struct View {
    /// By this it is revoked.
    id: String,
    name: String,
    /// The ids of its cameras.
    cameras: BTreeSet<String>,
    /// In ms since the Unix epoch.
    created_at: i64,
    /// When it ends, in ms since the Unix epoch.
    expires_at: i64,
}

impl From<Wall> for View {
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

/// A new wall link, the one time that it is shown.
#[derive(Serialize, ToSchema)]
#[schema(as = ShownWall)]
pub struct Shown {
    /// What the link has in it.
    token: String,
    /// The link, to be handed on.
    url: String,
    #[serde(flatten)]
    view: View,
}

/// A wall link to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewWall {
    /// What it is for, in your words.
    #[schema(pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]{1,120}$")]
    name: String,
    /// The ids of its cameras, as on the wall socket.
    #[schema(min_items = 1, max_items = 500)]
    cameras: BTreeSet<String>,
    /// How long it lasts, in seconds; a week by default.
    #[schema(minimum = 60, maximum = 31622400)]
    #[serde(default, deserialize_with = "whole")]
    ttl: Option<u32>,
}

/// Whether somebody may share the cameras of all apps that a wall was made for, or made
/// it themselves. Its apps count and not its cameras, which may all be gone.
fn reaches(grant: &Grant, maker: Option<&String>, wall: &Wall) -> bool {
    let own = maker.is_some() && wall.maker.as_ref() == maker;
    let mut apps = wall.apps.iter();
    own || (!wall.apps.is_empty() && apps.all(|app| grant.allows(SHARE, Some(app))))
}

/// The wall links that are good, of cameras that one may share, the oldest first.
#[utoipa::path(get, path = "/api/v1/walls", tag = "links", operation_id = "listWalls",
    security(("token" = ["camera:share"])), params(Window),
    responses((status = 200, description = "The links", body = Page<View>)))]
pub async fn list(
    State(site): State<Arc<Site>>,
    Extension(visitor): Extension<Visitor>,
    Asked(window): Asked<Window>,
) -> Result<Page<View>, Problem> {
    let now = site.identity.now();
    let all = move |connection: &mut rusqlite::Connection| walls::all(connection, now);
    let mut walls = site.identity.store.call(all).await?;
    let (grant, maker) = (visitor.grant(), visitor.maker());
    walls.retain(|wall| reaches(&grant, maker.as_ref(), wall));
    window.of(walls.into_iter().map(View::from).collect())
}

/// Makes a link that opens a wall of just these cameras, to watch only.
#[utoipa::path(post, path = "/api/v1/walls", tag = "links", operation_id = "createWall",
    security(("token" = ["camera:share"])), request_body = NewWall,
    responses(
        (status = 201, description = "The link, shown this once", body = Answer<Shown>),
        (status = 404, description = "There is no such camera that one may share",
            body = ProblemBody)))]
pub async fn create(
    State(site): State<Arc<Site>>,
    Extension(visitor): Extension<Visitor>,
    Extension(peer): Extension<Peer>,
    parts: Parts,
    Body(new): Body<NewWall>,
) -> Result<(StatusCode, Answer<Shown>), Problem> {
    let length = new.name.chars().count();
    if !(1..=NAME_LIMIT).contains(&length) || new.name.chars().any(is_control) {
        return Err(bad("name in the body", "it takes 1 to 120 characters"));
    }
    if !(1..=MOST_CAMERAS).contains(&new.cameras.len()) {
        return Err(bad("cameras in the body", "it takes 1 to 500 ids"));
    }
    let ttl = new.ttl.unwrap_or(USUAL_WALL_TTL);
    let expires = expires(&site, "ttl in the body", ttl, &WALL_TTL)?;
    let grant = visitor.grant();
    let mut cameras = BTreeSet::new();
    for id in &new.cameras {
        let camera = site.hub.find_by_id(id);
        let camera = camera.filter(|camera| grant.allows(SHARE, Some(camera.id().app())));
        let camera = camera.ok_or_else(|| {
            let message = format!("cameras in the body: there is no camera {id:?} to share");
            Problem::not_found(message)
        })?;
        cameras.insert(camera.id().as_str().to_owned());
    }
    let named = Named::new("wall");
    let wall = Wall {
        id: named.id.clone(),
        name: new.name,
        maker: visitor.maker(),
        apps: cameras.iter().map(|id| split_id(id).0.to_owned()).collect(),
        cameras,
        created: site.identity.now(),
        expires,
    };
    let (kept, hash) = (wall.clone(), site.identity.store.key()?.hash(&named.secret));
    let insert =
        move |connection: &mut rusqlite::Connection| walls::insert(connection, &kept, &hash);
    site.identity.store.call(insert).await?;
    let token = named.text();
    let origin = site
        .front
        .gate
        .own_address(&parts.uri, &parts.headers, &peer);
    let shown = Shown {
        url: format!("{origin}/#wall={token}"),
        token,
        view: wall.into(),
    };
    Ok((StatusCode::CREATED, Answer::new(shown)))
}

/// Revokes a wall link; whoever watches by it is cut off.
#[utoipa::path(delete, path = "/api/v1/walls/{id}", tag = "links", operation_id = "revokeWall",
    security(("token" = ["camera:share"])),
    params(("id" = String, Path, description = "`wall_…`")),
    responses(
        (status = 200, description = "It is revoked", body = Answer<Gone>),
        (status = 404, description = "There is none", body = ProblemBody)))]
pub async fn revoke(
    State(site): State<Arc<Site>>,
    Extension(visitor): Extension<Visitor>,
    Path(id): Path<String>,
) -> Result<Answer<Gone>, Problem> {
    let (grant, maker, sought) = (visitor.grant(), visitor.maker(), id.clone());
    let delete = move |connection: &mut rusqlite::Connection| {
        let wall = walls::by_id(connection, &sought)?;
        let reached = wall.is_some_and(|wall| reaches(&grant, maker.as_ref(), &wall));
        Ok(reached && walls::delete(connection, &sought)?)
    };
    if site.identity.store.call(delete).await? {
        site.identity.visitors.look_again();
        return Ok(Answer::new(Gone { id }));
    }
    Err(Problem::not_found("there is no wall link of that id"))
}
