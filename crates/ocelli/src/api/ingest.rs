//! `/api/v1/apps/{app}/ws-ingest`: stream keys for devices that push.

use super::apps::DeletedItem;
use super::body::Body;
use super::page::{Page, Window};
use crate::answer::{Answer, Problem, ProblemBody, QueryParams};
use crate::api::state::Api;
use crate::catalog::{KeyWithSecret, NewKey};
use crate::ingest::Device;
use crate::urls::Urls;
use crate::visitor::Visitor;
use axum::extract::{Path, State};
use http::StatusCode;
use serde::Serialize;
use std::sync::atomic::Ordering::Relaxed;
use utoipa::ToSchema;

/// A new stream key with its secret, which is returned only here.
#[derive(Serialize, ToSchema)]
#[schema(as = ShownStreamKey)]
#[serde(rename_all = "camelCase")]
pub struct CreatedKey {
    /// The id for revoking it.
    id: String,
    /// The key itself. The hub stores no copy.
    stream_key: String,
    /// The full room.
    room: String,
    identity: String,
    /// The URL that the device pushes to with this key.
    ws_url: String,
    mjpeg_url: String,
    frame_url: String,
    /// The player page of the camera.
    player_url: String,
    /// The same page, for an iframe on another site.
    embed_url: String,
}

/// A stream key without its secret.
#[derive(Serialize, ToSchema)]
#[schema(as = StreamKey)]
#[serde(rename_all = "camelCase")]
pub struct KeyView {
    /// The id for revoking it.
    id: String,
    /// The full room.
    room: String,
    identity: String,
    /// In ms since the Unix epoch.
    created_at: i64,
    /// Whether its device is connected.
    active: bool,
    /// The connected device, or null.
    device: Option<DeviceView>,
    ws_url: String,
}

/// A connected device.
#[derive(Serialize, ToSchema)]
#[schema(as = Device)]
#[serde(rename_all = "camelCase")]
struct DeviceView {
    stream_id: String,
    /// When it connected, in ms since the Unix epoch.
    connected_at: i64,
    /// JPEGs that were shown.
    frames: u64,
    /// JPEGs above the app's frame rate, which were skipped.
    above_rate: u64,
    /// Messages that were not JPEGs.
    not_jpeg: u64,
    /// The device's last statistics: JSON in a string.
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

/// The playback URLs of a device's camera.
#[derive(Serialize, ToSchema)]
#[schema(as = LiveUrls)]
#[serde(rename_all = "camelCase")]
pub struct LiveUrls {
    mjpeg_url: String,
    frame_url: String,
    /// JPEGs over a WebSocket.
    ws_url: String,
}

/// Creates a stream key and its camera.
#[utoipa::path(post, path = "/api/v1/apps/{app}/ws-ingest", tag = "devices",
    operation_id = "createStreamKey", security(("token" = ["ingress:create"])), request_body = NewKey,
    params(("app" = String, Path, description = "The app's name")),
    responses(
        (status = 201, description = "The key; its secret is returned only here", body = Answer<CreatedKey>),
        (status = 404, description = "The app does not exist", body = ProblemBody),
        (status = 409, description = "The room has a configured source", body = ProblemBody)))]
pub async fn create(
    State(api): State<Api>,
    urls: Urls,
    Path(app): Path<String>,
    Body(new): Body<NewKey>,
) -> Result<(StatusCode, Answer<CreatedKey>), Problem> {
    let KeyWithSecret {
        key,
        secret,
        camera,
    } = api.catalog.add_key(app, new).await?;
    let shown = CreatedKey {
        id: key.id,
        stream_key: secret,
        room: camera.full_room().to_owned(),
        identity: key.identity,
        ws_url: urls.ingest(&camera),
        mjpeg_url: urls.mjpeg(&camera),
        frame_url: urls.frame(&camera),
        player_url: urls.player(&camera),
        embed_url: urls.player(&camera),
    };
    Ok((StatusCode::CREATED, Answer::new(shown)))
}

/// Lists the stream keys of an app, oldest first, without their secrets.
#[utoipa::path(get, path = "/api/v1/apps/{app}/ws-ingest", tag = "devices",
    operation_id = "listStreamKeys", security(("token" = ["ingress:read"])),
    params(("app" = String, Path, description = "The app's name"), Window),
    responses(
        (status = 200, description = "The keys", body = Page<KeyView>),
        (status = 404, description = "The app does not exist", body = ProblemBody)))]
pub async fn list(
    State(api): State<Api>,
    urls: Urls,
    Path(app): Path<String>,
    QueryParams(window): QueryParams<Window>,
) -> Result<Page<KeyView>, Problem> {
    api.catalog.app(&app)?;
    let keys = api
        .catalog
        .keys(app.clone(), window.limit()?, window.offset());
    let (keys, total) = keys.await?;
    let views = keys.into_iter().filter_map(|key| {
        let camera = api.hub.resolve(&app, &key.room).ok()?;
        let device = api.ingest.source(&camera).and_then(|place| place.holder());
        let device = device.filter(|device| device.key == key.id);
        Some(KeyView {
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

/// Revokes a stream key and disconnects its device with close code 4401.
#[utoipa::path(delete, path = "/api/v1/apps/{app}/ws-ingest/{id}", tag = "devices",
    operation_id = "revokeStreamKey", security(("token" = ["ingress:delete"])),
    params(
        ("app" = String, Path, description = "The app's name"),
        ("id" = String, Path, description = "`wsi_…`")),
    responses(
        (status = 200, description = "Revoked", body = Answer<DeletedItem>),
        (status = 404, description = "The app has no such key", body = ProblemBody)))]
pub async fn revoke(
    State(api): State<Api>,
    Path((app, id)): Path<(String, String)>,
) -> Result<Answer<DeletedItem>, Problem> {
    api.catalog.revoke_key(app, id.clone()).await?;
    Ok(Answer::new(DeletedItem { id }))
}

/// Returns the playback URLs of a device's camera, if the client may watch it.
#[utoipa::path(get, path = "/api/v1/apps/{app}/ws-ingest/live/{room}", tag = "devices",
    operation_id = "findLive", security(()),
    params(
        ("app" = String, Path, description = "The app's name"),
        ("room" = String, Path, description = "The room, in the short or the full form")),
    responses(
        (status = 200, description = "The URLs", body = Answer<LiveUrls>),
        (status = 404, description = "There is no such camera, or the client may not watch it", body = ProblemBody)))]
pub async fn live(
    State(api): State<Api>,
    visitor: Visitor,
    urls: Urls,
    Path((app, room)): Path<(String, String)>,
) -> Result<Answer<LiveUrls>, Problem> {
    let none = || Problem::not_found(format!("no device pushes to room {room:?} of app {app:?}"));
    let camera = api.hub.resolve(&app, &room).map_err(|_| none())?;
    if !visitor.may_watch(&camera) {
        return Err(none());
    }
    api.ingest.source(&camera).ok_or_else(none)?;
    Ok(Answer::new(LiveUrls {
        mjpeg_url: urls.mjpeg(&camera),
        frame_url: urls.frame(&camera),
        ws_url: urls.socket(&camera),
    }))
}
