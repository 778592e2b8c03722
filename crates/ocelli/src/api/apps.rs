//! `/api/v1/apps`: the namespaces of cameras.
//!
//! A change is made on the store's thread, in the store and then in the hub, so
//! two changes cannot overtake each other, and a client that goes away in the
//! middle leaves nothing half done.

use super::body::Body;
use super::limits::{Limits, LimitsChange};
use crate::answer::{Answer, Problem, ProblemBody};
use crate::auth::Grant;
use crate::site::Site;
use crate::store::{StoreError, apps};
use axum::Extension;
use axum::extract::{Path, State};
use http::StatusCode;
use ocelli_core::name::{DEFAULT_APP, check_app, check_room};
use ocelli_core::{App, Hub, IngestLimits};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// An app.
#[derive(Serialize, ToSchema)]
#[schema(as = App)]
#[serde(rename_all = "camelCase")]
pub struct View {
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

impl View {
    fn of(app: App, site: &Site) -> Self {
        Self {
            read_only: site.configured_apps.contains(&app.name),
            cameras: cameras(&site.hub, &app.name),
            id: app.name.clone(),
            name: app.name,
            room_prefix: app.room_prefix,
            public_playback: app.public_playback,
            ws_ingest: app.ingest.into(),
        }
    }
}

fn cameras(hub: &Hub, app: &str) -> usize {
    let cameras = hub.cameras();
    cameras.iter().filter(|c| c.id().app() == app).count()
}

/// A new app.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewApp {
    /// 3 to 32 of a-z, 0-9 and '-', not '-' at either end.
    #[schema(pattern = "^[a-z0-9][a-z0-9-]{1,30}[a-z0-9]$")]
    name: String,
    /// What its rooms' full names start with, no other app's; its name by default.
    #[schema(pattern = r"^(?!\.{1,2}$)[A-Za-z0-9._-]{1,120}$")]
    room_prefix: Option<String>,
    /// Whether anybody may watch its cameras; true by default.
    public_playback: Option<bool>,
    /// What cameras that push may do.
    #[serde(alias = "ws_ingest")]
    ws_ingest: Option<LimitsChange>,
}

/// What is to be changed; the rest stays.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AppChange {
    /// Only while it has no cameras, and never of `live`: it is part of their names.
    #[schema(pattern = r"^(?!\.{1,2}$)[A-Za-z0-9._-]{1,120}$")]
    room_prefix: Option<String>,
    /// Whether anybody may watch its cameras.
    public_playback: Option<bool>,
    /// What cameras that push may do; it counts at once for those that are connected.
    #[serde(alias = "ws_ingest")]
    ws_ingest: Option<LimitsChange>,
}

fn bad(field: &str, error: impl std::fmt::Display) -> Problem {
    Problem::new(
        StatusCode::BAD_REQUEST,
        format!("{field} in the body: {error}"),
    )
}

/// Limits with a change, if it is one that can be had.
fn changed_limits(
    change: Option<&LimitsChange>,
    limits: IngestLimits,
) -> Result<IngestLimits, Problem> {
    let Some(change) = change else {
        return Ok(limits);
    };
    change.check().map_err(|error| bad("wsIngest", error))?;
    Ok(change.apply(limits))
}

fn check_prefix(prefix: Option<&String>) -> Result<(), Problem> {
    let checked = prefix.map_or(Ok(()), |prefix| check_room(prefix));
    checked.map_err(|error| bad("roomPrefix", error))
}

/// Checks that no other app has this prefix.
fn prefix_is_free(hub: &Hub, app: &App) -> Result<(), StoreError> {
    let apps = hub.apps();
    let mut others = apps.iter().filter(|other| other.name != app.name);
    match others.find(|other| other.room_prefix == app.room_prefix) {
        None => Ok(()),
        Some(other) => Err(StoreError::Conflict(format!(
            "roomPrefix {:?} belongs to app {:?} already",
            app.room_prefix, other.name
        ))),
    }
}

fn known(hub: &Hub, name: &str) -> Result<App, StoreError> {
    let app = hub.app(name).map(Arc::unwrap_or_clone);
    app.ok_or_else(|| StoreError::Missing(format!("there is no app {name:?}")))
}

/// Checks that an app may be changed here.
fn changeable(site: &Site, name: &str) -> Result<App, StoreError> {
    let app = known(&site.hub, name)?;
    if site.configured_apps.contains(name) {
        return Err(StoreError::Conflict(format!(
            "app {name:?} stands in the configuration file as [app.{name}]; change it there"
        )));
    }
    Ok(app)
}

/// The apps that the token or the role reaches.
#[utoipa::path(get, path = "/api/v1/apps", tag = "apps", operation_id = "listApps",
    security(("token" = ["app:read"])),
    responses((status = 200, description = "The apps", body = Answer<Vec<View>>)))]
pub async fn list(
    State(site): State<Arc<Site>>,
    Extension(grant): Extension<Grant>,
) -> Answer<Vec<View>> {
    let apps = site.hub.apps().into_iter();
    let reached = apps.filter(|app| grant.allows("app:read", Some(&app.name)));
    Answer::new(
        reached
            .map(|app| View::of(Arc::unwrap_or_clone(app), &site))
            .collect(),
    )
}

/// Makes an app. Needs a global token.
#[utoipa::path(post, path = "/api/v1/apps", tag = "apps", operation_id = "createApp",
    security(("token" = ["app:create", "global"])), request_body = NewApp,
    responses(
        (status = 201, description = "It is there", body = Answer<View>),
        (status = 409, description = "The name or the prefix is taken", body = ProblemBody)))]
pub async fn create(
    State(site): State<Arc<Site>>,
    Body(new): Body<NewApp>,
) -> Result<(StatusCode, Answer<View>), Problem> {
    check_app(&new.name).map_err(|error| bad("name", error))?;
    check_prefix(new.room_prefix.as_ref())?;
    let app = App {
        room_prefix: new.room_prefix.unwrap_or_else(|| new.name.clone()),
        name: new.name,
        public_playback: new.public_playback.unwrap_or(true),
        ingest: changed_limits(new.ws_ingest.as_ref(), IngestLimits::default())?,
    };
    let (hub, made) = (site.hub.clone(), app.clone());
    let create = move |connection: &mut _| {
        if hub.app(&app.name).is_some() {
            let message = format!("there is an app {:?} already", app.name);
            return Err(StoreError::Conflict(message));
        }
        prefix_is_free(&hub, &app)?;
        apps::insert(connection, &app)?;
        hub.put_app(app);
        Ok(())
    };
    site.identity.store.call(create).await?;
    Ok((StatusCode::CREATED, Answer::new(View::of(made, &site))))
}

/// One app.
#[utoipa::path(get, path = "/api/v1/apps/{app}", tag = "apps", operation_id = "showApp",
    security(("token" = ["app:read"])), params(("app" = String, Path, description = "Its name")),
    responses(
        (status = 200, description = "The app", body = Answer<View>),
        (status = 404, description = "There is none", body = ProblemBody)))]
pub async fn show(
    State(site): State<Arc<Site>>,
    Path(name): Path<String>,
) -> Result<Answer<View>, Problem> {
    let app = known(&site.hub, &name)?;
    Ok(Answer::new(View::of(app, &site)))
}

/// Changes an app, at once and for whoever is watching.
#[utoipa::path(patch, path = "/api/v1/apps/{app}", tag = "apps", operation_id = "changeApp",
    security(("token" = ["app:write"])), request_body = AppChange,
    params(("app" = String, Path, description = "Its name")),
    responses(
        (status = 200, description = "As it is now", body = Answer<View>),
        (status = 404, description = "There is none", body = ProblemBody),
        (status = 409, description = "It stands in the configuration file, or the prefix can't be had",
            body = ProblemBody)))]
pub async fn change(
    State(site): State<Arc<Site>>,
    Path(name): Path<String>,
    Body(change): Body<AppChange>,
) -> Result<Answer<View>, Problem> {
    check_prefix(change.room_prefix.as_ref())?;
    changed_limits(change.ws_ingest.as_ref(), IngestLimits::default())?;
    let served = site.clone();
    let change = move |connection: &mut _| {
        let mut app = changeable(&served, &name)?;
        let hub = &served.hub;
        if let Some(prefix) = change.room_prefix
            && prefix != app.room_prefix
        {
            // Cameras of the configuration may come to `live` at any start.
            if name == DEFAULT_APP || cameras(hub, &name) > 0 {
                return Err(StoreError::Conflict(format!(
                    "roomPrefix of app {name:?} stays, for its cameras are named by it"
                )));
            }
            app.room_prefix = prefix;
            prefix_is_free(hub, &app)?;
        }
        app.public_playback = change.public_playback.unwrap_or(app.public_playback);
        if let Some(limits) = &change.ws_ingest {
            app.ingest = limits.apply(app.ingest);
        }
        apps::update(connection, &app)?;
        hub.put_app(app.clone());
        Ok(app)
    };
    let app = site.identity.store.call(change).await?;
    Ok(Answer::new(View::of(app, &site)))
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
    State(site): State<Arc<Site>>,
    Path(name): Path<String>,
) -> Result<Answer<Gone>, Problem> {
    let served = site.clone();
    let delete = move |connection: &mut _| {
        if name == DEFAULT_APP {
            let message = format!("app {DEFAULT_APP:?} can't be deleted; it is always there");
            return Err(StoreError::Conflict(message));
        }
        changeable(&served, &name)?;
        if cameras(&served.hub, &name) > 0 {
            let message = format!("app {name:?} has cameras; delete them first");
            return Err(StoreError::Conflict(message));
        }
        apps::delete(connection, &name)?;
        served.hub.remove_app(&name);
        served.identity.visitors.look_again();
        Ok(Gone { id: name })
    };
    Ok(Answer::new(site.identity.store.call(delete).await?))
}
