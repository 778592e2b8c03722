//! `/api/v1/apps/{app}/streams`: current and past streams of devices.

use super::apps::DeletedItem;
use super::page::{Page, Window};
use crate::answer::{Answer, Problem, ProblemBody, QueryParams};
use crate::api::state::Api;
use crate::ingest::Refusal;
use crate::store::streams::{self, Stream};
use axum::extract::{Path, State};
use serde::Serialize;
use utoipa::ToSchema;

/// A stream.
#[derive(Serialize, ToSchema)]
#[schema(as = Stream)]
#[serde(rename_all = "camelCase")]
pub struct StreamView {
    /// Never reused. A stream is stopped by this id or by `streamId`.
    id: String,
    app_id: String,
    /// Room and participant, such as `live-cam1/wscam-abc1`.
    stream_id: String,
    /// `ws-mjpeg` for a device that pushes JPEG.
    r#type: String,
    /// The full room.
    room: String,
    /// The identity of the device.
    participant: String,
    /// active or ended.
    status: &'static str,
    /// In ms since the Unix epoch.
    started_at: i64,
    /// In ms since the Unix epoch; null while the stream is active.
    ended_at: Option<i64>,
    /// Why it ended; null while the stream is active.
    end_reason: Option<String>,
    /// The device's last statistics: JSON in a string.
    last_stats_json: Option<String>,
}

fn id_of(row: i64) -> String {
    format!("str_{row}")
}

impl StreamView {
    fn of(stream: Stream, api: &Api) -> Self {
        // The store receives a device's statistics only occasionally, so read the live ones.
        let device = stream.ended.is_none().then(|| {
            let camera = api.hub.resolve(&stream.app, &stream.room).ok()?;
            let device = api.ingest.source(&camera)?.holder()?;
            (device.row == stream.number).then(|| device.stats())?
        });
        Self {
            id: id_of(stream.number),
            app_id: stream.app,
            stream_id: stream.stream_id,
            r#type: stream.kind,
            room: stream.room,
            participant: stream.participant,
            status: match stream.ended {
                None => "active",
                Some(_) => "ended",
            },
            started_at: stream.started,
            ended_at: stream.ended,
            end_reason: stream.end_reason,
            last_stats_json: device.flatten().or(stream.last_stats),
        }
    }
}

/// Lists the streams of an app, newest first, including those that have ended.
#[utoipa::path(get, path = "/api/v1/apps/{app}/streams", tag = "streams",
    operation_id = "listStreams", security(("token" = ["stream:read"])),
    params(("app" = String, Path, description = "The app's name"), Window),
    responses(
        (status = 200, description = "The streams", body = Page<StreamView>),
        (status = 404, description = "The app does not exist", body = ProblemBody)))]
pub async fn list(
    State(api): State<Api>,
    Path(app): Path<String>,
    QueryParams(window): QueryParams<Window>,
) -> Result<Page<StreamView>, Problem> {
    api.catalog.app(&app)?;
    let limit = window.limit()?;
    let read = move |connection: &mut _| streams::page(connection, &app, limit, window.offset());
    let (streams, total) = api.identity.store.call(read).await?;
    let views = streams
        .into_iter()
        .map(|stream| StreamView::of(stream, &api));
    Ok(Page::new(views.collect(), total))
}

/// Stops a stream and disconnects its device, which may reconnect.
#[utoipa::path(delete, path = "/api/v1/apps/{app}/streams/{id}", tag = "streams",
    operation_id = "stopStream", security(("token" = ["stream:stop"])),
    params(
        ("app" = String, Path, description = "The app's name"),
        ("id" = String, Path, description = "`str_…`, or the `streamId` with its `/` encoded as `%2F`")),
    responses(
        (status = 200, description = "Stopped", body = Answer<DeletedItem>),
        (status = 404, description = "No active stream has this id", body = ProblemBody)))]
pub async fn stop(
    State(api): State<Api>,
    Path((app, id)): Path<(String, String)>,
) -> Result<Answer<DeletedItem>, Problem> {
    api.catalog.app(&app)?;
    let devices = api.ingest.devices(&app);
    let device = devices
        .iter()
        .find(|device| device.stream_id == id || id_of(device.row) == id);
    let Some(device) = device else {
        let message = format!("this app has no active stream {id:?}");
        return Err(Problem::not_found(message));
    };
    device.evict(Refusal::stopped());
    Ok(Answer::new(DeletedItem { id }))
}
