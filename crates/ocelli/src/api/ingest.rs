//! `/api/v1/apps/{app}/ws-ingest`: the keys of cameras that push.

use super::apps::Gone;
use super::body::Body;
use super::page::{Page, Window};
use crate::answer::{Answer, Asked, Problem, ProblemBody};
use crate::auth::{new_id, new_stream_key};
use crate::ingest::{Device, is_identity};
use crate::site::Site;
use crate::store::StoreError;
use crate::store::keys::{self, StreamKey};
use crate::urls::Urls;
use crate::visitor::Visitor;
use axum::extract::{Path, State};
use http::StatusCode;
use ocelli_core::text::has_secret;
use ocelli_core::{CameraId, HubError};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use tokio::runtime::Handle;
use utoipa::ToSchema;

/// What an identity begins with that nobody chose; the end of the key follows.
const IDENTITY: &str = "wscam-";

/// A key to be made.
#[derive(Deserialize, ToSchema)]
#[schema(as = NewStreamKey)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct New {
    /// The camera's room, in the short or the full form.
    #[schema(pattern = r"^(?!\.{1,2}$)[A-Za-z0-9._-]{1,120}$")]
    room: String,
    /// Who pushes; `wscam-` and the key's last 4 characters by default.
    #[schema(pattern = r"^(?!\.{1,2}$)[A-Za-z0-9._-]{1,120}$")]
    identity: Option<String>,
}

/// A new key, the one time that it is shown.
#[derive(Serialize, ToSchema)]
#[schema(as = ShownStreamKey)]
#[serde(rename_all = "camelCase")]
pub struct Shown {
    /// By this it is revoked.
    id: String,
    /// The key itself. The hub keeps no copy.
    stream_key: String,
    /// The full room.
    room: String,
    identity: String,
    /// Where the device pushes, with this key.
    ws_url: String,
    mjpeg_url: String,
    frame_url: String,
    /// A page that plays the camera.
    player_url: String,
    /// The same, for a frame in a page of yours.
    embed_url: String,
}

/// A key, without its secret.
#[derive(Serialize, ToSchema)]
#[schema(as = StreamKey)]
#[serde(rename_all = "camelCase")]
pub struct View {
    /// By this it is revoked.
    id: String,
    /// The full room.
    room: String,
    identity: String,
    /// In ms since the Unix epoch.
    created_at: i64,
    /// Whether its device is connected.
    active: bool,
    /// What its device does; null while it is not connected.
    device: Option<DeviceView>,
    ws_url: String,
}

/// A device that is connected.
#[derive(Serialize, ToSchema)]
#[schema(as = Device)]
#[serde(rename_all = "camelCase")]
struct DeviceView {
    stream_id: String,
    /// When it connected, in ms since the Unix epoch.
    connected_at: i64,
    /// JPEGs that were shown.
    frames: u64,
    /// JPEGs above the app's rate, which were passed over.
    above_rate: u64,
    /// Messages that were no JPEG.
    not_jpeg: u64,
    /// What it told last of itself: JSON in a string.
    last_stats_json: Option<String>,
}

impl DeviceView {
    fn of(device: &Device) -> Self {
        let counts = &device.counts;
        Self {
            stream_id: device.stream_id.clone(),
            connected_at: device.since,
            frames: counts.shown.load(Relaxed),
            above_rate: counts.above_rate.load(Relaxed),
            not_jpeg: counts.not_jpeg.load(Relaxed),
            last_stats_json: device.stats(),
        }
    }
}

/// Where a camera that pushes is seen.
#[derive(Serialize, ToSchema)]
#[schema(as = LiveUrls)]
#[serde(rename_all = "camelCase")]
pub struct Live {
    mjpeg_url: String,
    frame_url: String,
    /// JPEGs over a WebSocket.
    ws_url: String,
}

fn place(site: &Site, app: &str, room: &str) -> Result<CameraId, Problem> {
    site.hub.resolve(app, room).map_err(|error| match error {
        HubError::UnknownApp(_) => Problem::not_found(error.to_string()),
        _ => Problem::new(
            StatusCode::BAD_REQUEST,
            format!("room in the body: {error}"),
        ),
    })
}

/// Makes a key, and the camera that goes with it.
#[utoipa::path(post, path = "/api/v1/apps/{app}/ws-ingest", tag = "cameras that push",
    operation_id = "createStreamKey", security(("token" = ["ingress:create"])), request_body = New,
    params(("app" = String, Path, description = "The app's name")),
    responses(
        (status = 201, description = "The key, shown this once", body = Answer<Shown>),
        (status = 404, description = "There is no such app", body = ProblemBody),
        (status = 409, description = "The room has a source of its own", body = ProblemBody)))]
pub async fn mint(
    State(site): State<Arc<Site>>,
    urls: Urls,
    Path(app): Path<String>,
    Body(new): Body<New>,
) -> Result<(StatusCode, Answer<Shown>), Problem> {
    let camera = place(&site, &app, &new.room)?;
    if has_secret(&new.room) {
        let message = "room in the body: it has the form of a key, and is shown to everybody";
        return Err(Problem::new(StatusCode::BAD_REQUEST, message));
    }
    if let Some(identity) = &new.identity
        && !is_identity(identity)
    {
        let message = "identity in the body: it takes 1 to 120 of A-Z, a-z, 0-9, '.', '_' and \
                       '-', and has not the form of a key";
        return Err(Problem::new(StatusCode::BAD_REQUEST, message));
    }
    let secret = new_stream_key();
    let hash = site.identity.store.key()?.hash(&secret);
    let key = StreamKey {
        id: new_id("wsi"),
        app,
        room: camera.room().to_owned(),
        identity: new
            .identity
            .unwrap_or_else(|| format!("{IDENTITY}{}", &secret[secret.len() - 4..])),
        created: site.identity.now(),
    };
    let shown = Shown {
        id: key.id.clone(),
        stream_key: secret,
        room: camera.full_room().to_owned(),
        identity: key.identity.clone(),
        ws_url: urls.ingest(&camera),
        mjpeg_url: urls.mjpeg(&camera),
        frame_url: urls.frame(&camera),
        player_url: urls.player(&camera),
        embed_url: urls.player(&camera),
    };
    let (served, runtime) = (site.clone(), Handle::current());
    let keep = move |connection: &mut rusqlite::Connection| {
        let taken = |error: HubError| match error {
            HubError::Taken(_) => StoreError::Conflict(format!(
                "room {:?} has a source of its own; a camera that pushes needs another room",
                camera.full_room()
            )),
            error => StoreError::Missing(error.to_string()),
        };
        // Its app may have gone since it was looked for.
        if served.hub.app(&key.app).is_none() {
            let error = HubError::UnknownApp(key.app.clone());
            return Err(taken(error));
        }
        let _runtime = runtime.enter();
        served
            .ingest
            .make_place(&served.hub, &camera)
            .map_err(taken)?;
        keys::insert(connection, &key, &hash)
    };
    site.identity.store.call(keep).await?;
    Ok((StatusCode::CREATED, Answer::new(shown)))
}

/// The keys of an app, the oldest first, without their secrets.
#[utoipa::path(get, path = "/api/v1/apps/{app}/ws-ingest", tag = "cameras that push",
    operation_id = "listStreamKeys", security(("token" = ["ingress:read"])),
    params(("app" = String, Path, description = "The app's name"), Window),
    responses(
        (status = 200, description = "The keys", body = Page<View>),
        (status = 404, description = "There is no such app", body = ProblemBody)))]
pub async fn list(
    State(site): State<Arc<Site>>,
    urls: Urls,
    Path(app): Path<String>,
    Asked(window): Asked<Window>,
) -> Result<Page<View>, Problem> {
    known(&site, &app)?;
    let limit = window.limit()?;
    let sought = app.clone();
    let read = move |connection: &mut _| keys::page(connection, &sought, limit, window.offset());
    let (keys, total) = site.identity.store.call(read).await?;
    let views = keys.into_iter().filter_map(|key| {
        let camera = site.hub.resolve(&app, &key.room).ok()?;
        let device = site.ingest.place(&camera).and_then(|place| place.holder());
        let device = device.filter(|device| device.key == key.id);
        Some(View {
            id: key.id,
            room: camera.full_room().to_owned(),
            identity: key.identity,
            created_at: key.created,
            active: device.is_some(),
            device: device.map(|device| DeviceView::of(&device)),
            ws_url: urls.ingest(&camera),
        })
    });
    Ok(Page::new(views.collect(), total))
}

/// Checks that there is such an app.
pub fn known(site: &Site, app: &str) -> Result<(), Problem> {
    let known = site.hub.app(app).map(drop);
    known.ok_or_else(|| Problem::not_found(format!("there is no app {app:?}")))
}

/// Revokes a key and sends its device away, with the close code 4401.
#[utoipa::path(delete, path = "/api/v1/apps/{app}/ws-ingest/{id}", tag = "cameras that push",
    operation_id = "revokeStreamKey", security(("token" = ["ingress:delete"])),
    params(
        ("app" = String, Path, description = "The app's name"),
        ("id" = String, Path, description = "`wsi_…`")),
    responses(
        (status = 200, description = "It is revoked", body = Answer<Gone>),
        (status = 404, description = "There is none", body = ProblemBody)))]
pub async fn revoke(
    State(site): State<Arc<Site>>,
    Path((app, id)): Path<(String, String)>,
) -> Result<Answer<Gone>, Problem> {
    known(&site, &app)?;
    let (served, sought) = (site.clone(), id.clone());
    let revoke = move |connection: &mut _| {
        let hub = &served.hub;
        served.ingest.revoke(hub, connection, &sought, Some(&app))
    };
    match site.identity.store.call(revoke).await? {
        Some(_) => Ok(Answer::new(Gone { id })),
        None => Err(Problem::not_found("there is no key of that id in this app")),
    }
}

/// Where a camera that pushes is seen, while anybody may watch.
#[utoipa::path(get, path = "/api/v1/apps/{app}/ws-ingest/live/{room}", tag = "cameras that push",
    operation_id = "findLive", security(()),
    params(
        ("app" = String, Path, description = "The app's name"),
        ("room" = String, Path, description = "The room, in the short or the full form")),
    responses(
        (status = 200, description = "Its addresses", body = Answer<Live>),
        (status = 404, description = "There is none, or not anybody may watch", body = ProblemBody)))]
pub async fn live(
    State(site): State<Arc<Site>>,
    visitor: Visitor,
    urls: Urls,
    Path((app, room)): Path<(String, String)>,
) -> Result<Answer<Live>, Problem> {
    let none = || Problem::not_found(format!("nobody pushes to room {room:?} of app {app:?}"));
    let camera = site.hub.resolve(&app, &room).map_err(|_| none())?;
    if !visitor.may_watch(&camera) {
        return Err(none());
    }
    site.ingest.place(&camera).ok_or_else(none)?;
    Ok(Answer::new(Live {
        mjpeg_url: urls.mjpeg(&camera),
        frame_url: urls.frame(&camera),
        ws_url: urls.socket(&camera),
    }))
}
