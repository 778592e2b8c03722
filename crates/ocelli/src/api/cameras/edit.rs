//! Adding, changing and deleting cameras.
//!
//! As with apps a change is made on the store's thread, in the store and then in
//! the hub, so two changes cannot overtake each other.

use super::{Named, Shown, View, kept, place, shown, unknown};
use crate::added::{Jpeg, Settings};
use crate::answer::{Answer, Problem, ProblemBody};
use crate::api::access::check;
use crate::api::apps::Gone;
use crate::api::body::Body;
use crate::auth::Grant;
use crate::launch;
use crate::site::Site;
use crate::store::{StoreError, cameras};
use axum::Extension;
use axum::extract::State;
use http::StatusCode;
use ocelli_config::parse_duration;
use ocelli_core::name::{DEFAULT_APP, check_app, check_room};
use ocelli_core::text::is_control;
use ocelli_core::{Camera, CameraId};
use ocelli_media::sources::{Address, Credentials, REFUSED};
use serde::{Deserialize, Deserializer};
use std::collections::BTreeSet;
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
        (least..=TEXT_LIMIT).contains(&text.chars().count()) && !text.chars().any(is_control)
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
    let interval = settings.interval.as_deref();
    if interval.is_some_and(|interval| parse_duration(interval).is_none()) {
        return Err(bad("interval", "it takes a duration such as \"500ms\""));
    }
    Ok(())
}

/// An address as a person wrote it: bare, and what it signs in with.
fn read_address(field: &str, written: &str) -> Result<(String, Option<Credentials>), Problem> {
    if written.len() > ADDRESS_LIMIT || written.chars().any(is_control) {
        let message = format!("it takes up to {ADDRESS_LIMIT} bytes, none of them control ones");
        return Err(bad(field, message));
    }
    if written.contains("***") {
        let message = "*** stands for what is not shown; write the address in whole";
        return Err(bad(field, message));
    }
    let address = Address::new(written);
    let signs_in = |url: &Url| !url.username().is_empty() || url.password().is_some();
    if Url::parse(address.bare()).is_ok_and(|url| signs_in(&url)) {
        let message = "its user and password can't be told from the rest; write them in \
             `user` and `password`";
        return Err(bad(field, message));
    }
    Ok((address.bare().to_owned(), address.credentials))
}

/// A field that may be left out, which leaves it as it is, or null, which clears it.
pub(super) fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    field: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(field).map(Some)
}

/// What is to be changed; the rest stays, and null takes back what was said.
///
/// A kept password stays with its host: with another scheme, host or port in an
/// address it is forgotten, unless the same call gives one.
#[derive(Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CameraChange {
    /// Its name for people; null for the room. A change of this alone reconnects nothing.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>, pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]{1,120}$")]
    pub(super) name: Option<Option<String>>,
    /// The address of its stream. As it was shown, with `***` for secrets, it stays.
    pub(super) source: Option<String>,
    /// The user to sign in as; null takes the password with it.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    pub(super) user: Option<Option<String>>,
    /// The user's password. It is kept sealed and shown to nobody.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    pub(super) password: Option<Option<String>>,
    /// The address of a smaller stream for tiles.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    pub(super) substream: Option<Option<String>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Jpeg>)]
    pub(super) jpeg: Option<Option<Jpeg>>,
    /// True keeps it connected without viewers.
    pub(super) keep: Option<bool>,
    /// How often a single picture is fetched where there is no stream, like `500ms`.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    pub(super) interval: Option<Option<String>>,
    /// False accepts any certificate, as a camera's own needs it.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<bool>)]
    pub(super) verify_tls: Option<Option<bool>>,
}

impl From<NewCamera> for CameraChange {
    fn from(new: NewCamera) -> Self {
        Self {
            name: Some(new.name),
            source: Some(new.source),
            user: new.user.map(Some),
            password: new.password.map(Some),
            substream: Some(new.substream),
            jpeg: Some(new.jpeg),
            keep: new.keep,
            interval: Some(new.interval),
            verify_tls: Some(new.verify_tls),
        }
    }
}

/// Where a password is sent: the scheme, host and port of each address.
fn peers(settings: &Settings) -> BTreeSet<(String, String, Option<u16>)> {
    let addresses = std::iter::once(&settings.source).chain(&settings.substream);
    let peer = |address: &String| match Url::parse(address) {
        Ok(url) => {
            let host = url.host_str().unwrap_or_default().to_ascii_lowercase();
            (url.scheme().to_owned(), host, url.port_or_known_default())
        }
        // What is no address is only like itself.
        Err(_) => (address.clone(), String::new(), None),
    };
    addresses.map(peer).collect()
}

impl CameraChange {
    /// The settings as they are to be.
    ///
    /// # Errors
    /// 400 that names the field.
    pub(super) fn apply(self, old: &Settings) -> Result<Settings, Problem> {
        let mut new = old.clone();
        new.name = self.name.unwrap_or(new.name);
        new.jpeg = self.jpeg.map_or(new.jpeg, Option::unwrap_or_default);
        new.keep = self.keep.unwrap_or(new.keep);
        new.interval = self.interval.unwrap_or(new.interval);
        new.verify_tls = self.verify_tls.unwrap_or(new.verify_tls);
        let mut signed_in = None;
        if let Some(written) = self.source
            && written != shown(&old.source)
        {
            (new.source, signed_in) = read_address("source", &written)?;
        }
        match self.substream {
            Some(Some(written))
                if Some(&written) != old.substream.as_deref().map(shown).as_ref() =>
            {
                let (substream, beside) = read_address("substream", &written)?;
                new.substream = Some(substream);
                // One sign-in serves both streams.
                signed_in = signed_in.or(beside);
            }
            Some(None) => new.substream = None,
            Some(Some(_)) | None => {}
        }
        // Who may write may not thereby read: a kept password goes nowhere else.
        if !peers(&new).is_subset(&peers(old)) {
            new.password = None;
        }
        match (self.user, signed_in) {
            (Some(user), _) => new.user = user,
            (None, Some(found)) => {
                new.user = Some(found.user);
                if !found.password.is_empty() {
                    new.password = Some(found.password);
                }
            }
            (None, None) => {}
        }
        if new.user.is_none() {
            new.password = None;
        }
        new.password = self.password.unwrap_or(new.password);
        check_settings(&new)?;
        Ok(new)
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
pub(super) fn changeable(site: &Site, id: &CameraId) -> Result<(), Problem> {
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
    let settings = CameraChange::from(new).apply(&Settings::default())?;
    check_sources(&site, &settings).await?;
    let kept = settings.seal(&site.identity.store.seal()?, id.app(), id.room())?;
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
    let camera = site.identity.store.call(create).await?;
    let view = View::of(&camera, &site, site.hub.clock().now());
    Ok((
        StatusCode::CREATED,
        Answer::new(Shown::added(view, settings)),
    ))
}

/// Changes a camera. Whoever watches it stays connected, and sees what it shows
/// from then on.
#[utoipa::path(patch, path = "/api/v1/cameras/{camera}", tag = "cameras", operation_id = "changeCamera",
    security(("token" = ["camera:write"])), request_body = CameraChange,
    params(("camera" = String, Path, description = "Its id, `/` written as `%2F`")),
    responses(
        (status = 200, description = "As it is now", body = Answer<Shown>),
        (status = 404, description = "There is none", body = ProblemBody),
        (status = 409, description = "It stands in the configuration file, or was changed meanwhile",
            body = ProblemBody)))]
pub async fn change(
    State(site): State<Arc<Site>>,
    Named(camera): Named,
    Body(change): Body<CameraChange>,
) -> Result<Answer<Shown>, Problem> {
    let id = place(&site, &camera)?;
    changeable(&site, &id)?;
    let old = kept(&site, &id).await?.ok_or_else(|| unknown(&camera))?;
    let new = change.apply(&old)?;
    check_sources(&site, &new).await?;
    let seal = site.identity.store.seal()?;
    let row = new.seal(&seal, id.app(), id.room())?;
    let (served, settings) = (site.clone(), new.clone());
    let runtime = tokio::runtime::Handle::current();
    let change = move |connection: &mut rusqlite::Connection| {
        let _within = runtime.enter();
        let hub = &served.hub;
        let known = hub.find(id.app(), id.room());
        let now = cameras::find(connection, id.app(), id.room())?;
        let now = now.and_then(|now| Settings::unseal(&seal, &now));
        let (Some(known), Some(now)) = (known, now) else {
            let message = format!("there is no camera {:?} any more", id.as_str());
            return Err(StoreError::Missing(message));
        };
        if now != old {
            let message = "somebody else has changed it meanwhile; look at it and try again";
            return Err(StoreError::Conflict(message.to_owned()));
        }
        let transaction = connection.transaction()?;
        cameras::update(&transaction, &row)?;
        let renamed = Settings {
            name: old.name.clone(),
            ..settings.clone()
        };
        if renamed == old {
            transaction.commit()?;
            let name = settings.name.unwrap_or_else(|| id.room().to_owned());
            hub.rename(&known, name);
            return Ok(known);
        }
        let camera = make(&served, &id, &settings)?;
        transaction.commit()?;
        let gone = || StoreError::Missing(format!("there is no camera {:?} any more", id.as_str()));
        hub.replace(camera).ok_or_else(gone)
    };
    let camera = site.identity.store.call(change).await?;
    let view = View::of(&camera, &site, site.hub.clock().now());
    Ok(Answer::new(Shown::added(view, new)))
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
    Named(camera): Named,
) -> Result<Answer<Gone>, Problem> {
    let id = place(&site, &camera)?;
    changeable(&site, &id)?;
    let (hub, sought) = (site.hub.clone(), id.clone());
    // One that could not be shown is kept all the same, so the store is asked first.
    let delete = move |connection: &mut rusqlite::Connection| {
        let kept = cameras::delete(connection, &sought)?;
        if kept {
            hub.remove(&sought);
        }
        Ok(kept)
    };
    if site.identity.store.call(delete).await? {
        let id = id.as_str().to_owned();
        return Ok(Answer::new(Gone { id }));
    }
    Err(unknown(&camera))
}
