//! Adding, changing and deleting cameras.
//!
//! As with apps a change is made on the store's thread, in the store and then in
//! the hub, so two changes cannot overtake each other.

use super::{Shown, View, place, unknown};
use crate::added::{Jpeg, Settings};
use crate::answer::{Answer, Problem, ProblemBody};
use crate::api::access::check;
use crate::api::apps::Gone;
use crate::api::body::Body;
use crate::auth::Grant;
use crate::launch;
use crate::site::Site;
use crate::sources::{Address, Credentials, REFUSED};
use crate::store::{StoreError, cameras};
use axum::Extension;
use axum::extract::{Path, State};
use http::StatusCode;
use ocelli_core::name::{DEFAULT_APP, check_app, check_room};
use ocelli_core::{Camera, CameraId};
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use url::Url;
use utoipa::ToSchema;

/// The longest name, user and password in characters, and the longest address.
const TEXT_LIMIT: usize = 120;
const ADDRESS_LIMIT: usize = 2000;
/// How long the meaning of a name is waited for when a camera is added.
const LOOKUP: Duration = Duration::from_secs(2);

/// A new camera.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewCamera {
    /// The app it belongs to, `live` by default.
    app: Option<String>,
    /// Its place in the app, in the short or the full form.
    #[schema(pattern = r"^(?!\.{1,2}$)[A-Za-z0-9._-]{1,120}$")]
    room: String,
    /// Its name for people; the room by default.
    #[schema(pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]{1,120}$")]
    name: Option<String>,
    /// The address of its stream, which begins with `rtsp:`, `http:` or `https:`.
    source: String,
    /// The user to sign in as, in place of one in the address.
    user: Option<String>,
    /// The user's password. It is kept sealed and shown to nobody.
    password: Option<String>,
    /// The address of a smaller stream for tiles.
    substream: Option<String>,
    jpeg: Option<Jpeg>,
    /// True keeps it connected without viewers.
    keep: Option<bool>,
    /// How often a single picture is fetched where there is no stream, like `500ms`.
    interval: Option<String>,
    /// False accepts any certificate, as a camera's own needs it.
    verify_tls: Option<bool>,
}

/// A fault of a field in the body.
pub(super) fn bad(field: &str, error: impl std::fmt::Display) -> Problem {
    let message = format!("{field} in the body: {error}");
    Problem::new(StatusCode::BAD_REQUEST, message)
}

fn check_text(field: &str, text: Option<&String>, least: usize) -> Result<(), Problem> {
    let fits = |text: &String| {
        (least..=TEXT_LIMIT).contains(&text.chars().count()) && !text.chars().any(char::is_control)
    };
    if text.is_none_or(fits) {
        return Ok(());
    }
    let message = format!("it takes {least} to {TEXT_LIMIT} characters, none of them control ones");
    Err(bad(field, message))
}

/// Checks what people wrote into settings, before anything is made of them.
fn check_settings(settings: &Settings) -> Result<(), Problem> {
    check_text("name", settings.name.as_ref(), 1)?;
    check_text("user", settings.user.as_ref(), 0)?;
    check_text("password", settings.password.as_ref(), 0)?;
    if settings.user.is_none() && settings.password.is_some() {
        return Err(bad("password", "there is no user that it belongs to"));
    }
    Ok(())
}

/// An address as a person wrote it: bare, and what it signs in with.
fn read_address(field: &str, written: &str) -> Result<(String, Option<Credentials>), Problem> {
    if written.len() > ADDRESS_LIMIT || written.chars().any(char::is_control) {
        let message = format!("it takes up to {ADDRESS_LIMIT} bytes, none of them control ones");
        return Err(bad(field, message));
    }
    let address = Address::new(written);
    Ok((address.bare().to_owned(), address.credentials))
}

impl NewCamera {
    fn settings(self) -> Result<Settings, Problem> {
        let (source, signed_in) = read_address("source", &self.source)?;
        let substream = self
            .substream
            .map(|written| read_address("substream", &written));
        let (substream, beside) = substream.transpose()?.unzip();
        // One sign-in serves both streams.
        let signed_in = signed_in.or(beside.flatten());
        let mut settings = Settings {
            name: self.name,
            source,
            substream,
            user: self.user,
            password: self.password,
            jpeg: self.jpeg.unwrap_or_default(),
            keep: self.keep.unwrap_or_default(),
            interval: self.interval,
            verify_tls: self.verify_tls,
        };
        if let (None, Some(found)) = (&settings.user, signed_in) {
            settings.user = Some(found.user);
            settings.password.get_or_insert(found.password);
        }
        check_settings(&settings)?;
        Ok(settings)
    }
}

/// Makes the camera of settings, which is not in the hub yet.
fn make(site: &Site, id: &CameraId, settings: &Settings) -> Result<Camera, StoreError> {
    let config = settings.open(id.app(), id.room(), site.fence);
    let config = config.map_err(|error| StoreError::Conflict(error.to_string()))?;
    launch::make(&site.hub, &config).map_err(|error| StoreError::Missing(error.to_string()))
}

/// Checks settings as far as that can be done without connecting: each address, and
/// what its name stands for now. It is checked again whenever it is connected to.
pub(super) async fn check_sources(site: &Site, settings: &Settings) -> Result<(), Problem> {
    let opened = settings.open(DEFAULT_APP, "camera", site.fence);
    opened.map_err(|error| Problem::new(StatusCode::BAD_REQUEST, error.to_string()))?;
    let addresses = [
        ("source", Some(&settings.source)),
        ("substream", settings.substream.as_ref()),
    ];
    for (field, address) in addresses {
        let Some(url) = address.and_then(|address| Url::parse(address).ok()) else {
            continue;
        };
        let host = url.host_str().unwrap_or_default();
        let port = url.port_or_known_default().unwrap_or(554);
        let found = timeout(LOOKUP, site.fence.resolve(host, port)).await;
        // A name that nobody knows may be one tomorrow.
        if let Ok(Err(error)) = found
            && error.to_string() == REFUSED
        {
            return Err(bad(field, error));
        }
    }
    Ok(())
}

/// Checks that a camera does not stand in the configuration.
fn changeable(site: &Site, id: &CameraId) -> Result<(), Problem> {
    if !site.configured_cameras.contains_key(id) {
        return Ok(());
    }
    let message = format!(
        "camera {id:?} stands in the configuration; change it there",
        id = id.as_str()
    );
    Err(Problem::new(StatusCode::CONFLICT, message))
}

/// Adds a camera; walls that show all cameras show it at once.
#[utoipa::path(post, path = "/api/v1/cameras", tag = "cameras", operation_id = "createCamera",
    security(("token" = ["camera:create"])), request_body = NewCamera,
    responses(
        (status = 201, description = "It is there", body = Answer<Shown>),
        (status = 404, description = "There is no such app", body = ProblemBody),
        (status = 409, description = "There is a camera of its id, or there are as many as may be",
            body = ProblemBody)))]
pub async fn create(
    State(site): State<Arc<Site>>,
    Extension(grant): Extension<Grant>,
    Body(new): Body<NewCamera>,
) -> Result<(StatusCode, Answer<Shown>), Problem> {
    let app = new.app.clone().unwrap_or_else(|| DEFAULT_APP.to_owned());
    check_app(&app).map_err(|error| bad("app", error))?;
    check(&grant, "camera:create", Some(&app))?;
    check_room(&new.room).map_err(|error| bad("room", error))?;
    let id = site.hub.resolve(&app, &new.room);
    let id = id.map_err(|error| Problem::not_found(format!("app in the body: {error}")))?;
    changeable(&site, &id)?;
    let settings = new.settings()?;
    check_sources(&site, &settings).await?;
    let kept = settings.seal(&site.store.seal()?, id.app(), id.room())?;
    let (served, of) = (site.clone(), settings.clone());
    let runtime = tokio::runtime::Handle::current();
    let create = move |connection: &mut rusqlite::Connection| {
        // A camera that stays connected begins to be so at once.
        let _within = runtime.enter();
        if served.hub.find(id.app(), id.room()).is_some() {
            let message = format!("there is a camera {:?} already", id.as_str());
            return Err(StoreError::Conflict(message));
        }
        let most = served.max_added_cameras;
        if cameras::count(connection)? >= most {
            return Err(StoreError::Conflict(format!(
                "there are {most} cameras that were added over HTTP, as many as \
                 max_added_cameras in the configuration allows"
            )));
        }
        let transaction = connection.transaction()?;
        cameras::insert(&transaction, &kept)?;
        let camera = make(&served, &id, &of)?;
        transaction.commit()?;
        let added = served.hub.add(camera);
        added.map_err(|error| StoreError::Conflict(error.to_string()))
    };
    let camera = site.store.call(create).await?;
    let view = View::of(&camera, &site, site.hub.clock().now());
    Ok((
        StatusCode::CREATED,
        Answer::new(Shown::added(view, settings)),
    ))
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
    State(site): State<Arc<Site>>,
    Path(camera): Path<String>,
) -> Result<Answer<Gone>, Problem> {
    let id = place(&site, &camera)?;
    changeable(&site, &id)?;
    let (hub, sought) = (site.hub.clone(), id.clone());
    // One that could not be shown is kept all the same, so the store is asked first.
    let delete = move |connection: &mut rusqlite::Connection| {
        let kept = cameras::delete(connection, sought.app(), sought.room())?;
        if kept {
            hub.remove(&sought);
        }
        Ok(kept)
    };
    if site.store.call(delete).await? {
        let id = id.as_str().to_owned();
        return Ok(Answer::new(Gone { id }));
    }
    Err(unknown(&camera))
}
