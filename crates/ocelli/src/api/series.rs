//! `/api/v1/series`: series of samples, and their sources.
//!
//! Series belong to app `live`: a token for this app reaches them, a token for another app does
//! not (`access`).

use super::apps::DeletedItem;
use super::body::{Body, RawBody};
use crate::answer::{Answer, Problem, ProblemBody};
use crate::api::state::Api;
use crate::telemetry::{Stopped, Writer};
use axum::Extension;
use axum::extract::{Path, State};
use http::StatusCode;
use ocelli_core::text::{is_control, shown};
use ocelli_net::request::Peer;
use ocelli_series::line::NAME_LIMIT;
use ocelli_series::source::Source;
use ocelli_series::{Registry, RegistryError, Series};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use utoipa::ToSchema;

/// Maximum length of a unit, in bytes.
const UNIT_LIMIT: usize = 32;

impl From<Stopped> for Problem {
    fn from(stopped: Stopped) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, stopped.to_string())
    }
}

impl From<RegistryError> for Problem {
    fn from(refused: RegistryError) -> Self {
        let status = match refused {
            RegistryError::Unknown(_) => StatusCode::NOT_FOUND,
            RegistryError::Taken(_) | RegistryError::Full(_) => StatusCode::CONFLICT,
            RegistryError::Name(_) => StatusCode::BAD_REQUEST,
        };
        Self::new(status, refused.to_string())
    }
}

/// A series.
#[derive(Serialize, ToSchema)]
#[schema(as = Series)]
#[serde(rename_all = "camelCase")]
pub struct SeriesView {
    /// Its number, which is never reused.
    id: u32,
    name: String,
    unit: Option<String>,
    /// Whether its x values are times in ms since the Unix epoch; otherwise they are plain numbers.
    timed: bool,
    /// Whether any sample came over the TCP port.
    over_tcp: bool,
    /// Total number of samples received.
    points: u64,
    /// Number of samples kept; of the oldest ones only the extremes are kept.
    kept: usize,
    /// The newest sample.
    newest: Option<[f64; 2]>,
    /// When the newest sample arrived, in ms since the Unix epoch.
    last_at: Option<u64>,
    /// For times: the difference between the newest x and its arrival. It reveals a source with a
    /// wrong clock or with late samples.
    clock_offset_ms: Option<f64>,
    /// Number of sources currently writing to it.
    sources: usize,
    /// Number of malformed lines since the hub started.
    malformed: u64,
    /// The beginning of the last malformed line.
    last_malformed: Option<String>,
}

impl SeriesView {
    fn of(series: &Series, sources: usize) -> Self {
        let history = series.history();
        let (malformed, last) = series.malformed();
        let newest = history.newest();
        Self {
            id: series.id(),
            name: series.name().to_owned(),
            unit: series.unit().map(str::to_owned),
            timed: series.is_timed(),
            over_tcp: series.is_tcp(),
            points: history.end(),
            kept: history.held(),
            newest: newest.map(|(x, y)| [x, y]),
            clock_offset_ms: series.clock_offset(),
            last_at: (history.end() > 0).then(|| history.received()),
            sources,
            malformed,
            last_malformed: last.map(str::to_owned),
        }
    }

    fn find(registry: &Registry, id: u32) -> Result<Self, RegistryError> {
        let series = registry.get(id)?;
        Ok(Self::of(series, registry.sources.of(id)))
    }
}

/// A current or past source of a series.
#[derive(Serialize, ToSchema)]
#[schema(as = Source)]
#[serde(rename_all = "camelCase")]
pub struct SourceView {
    id: u64,
    /// The id of the series that it writes to.
    series: u32,
    /// The name of that series; null if it was deleted. The name that the source sent if it
    /// has sent no sample, because a series without samples is not kept.
    name: Option<String>,
    /// The address of the source.
    from: String,
    /// When it connected, in ms since the Unix epoch.
    since: u64,
    points: u64,
    malformed: u64,
    /// The beginning of the last malformed line.
    last_malformed: Option<String>,
    /// When it disconnected, in ms since the Unix epoch; null while it is connected.
    ended_at: Option<u64>,
    /// Why it disconnected.
    ended: Option<String>,
}

impl SourceView {
    fn of(source: &Source, registry: &Registry) -> Self {
        let series = registry.get(source.series).ok();
        let name = series.map(|series| series.name().to_owned());
        let sent = || (source.samples == 0).then(|| source.name.to_string());
        let ended = source.ended.as_ref();
        Self {
            id: source.id,
            series: source.series,
            name: name.or_else(sent),
            from: source.from.clone(),
            since: source.since,
            points: source.samples,
            malformed: source.malformed,
            last_malformed: source.last_malformed.clone(),
            ended_at: ended.map(|(when, _)| *when),
            ended: ended.map(|(_, reason)| reason.clone()),
        }
    }
}

/// Lists all series.
#[utoipa::path(get, path = "/api/v1/series", tag = "series", operation_id = "listSeries",
    security(("token" = ["series:read"])),
    responses((status = 200, description = "The series", body = Answer<Vec<SeriesView>>)))]
pub async fn list(State(api): State<Api>) -> Result<Answer<Vec<SeriesView>>, Problem> {
    let list = |registry: &mut Registry| {
        let mut sources: HashMap<u32, usize> = HashMap::new();
        let present = registry
            .sources
            .all()
            .filter(|source| source.ended.is_none());
        for source in present {
            *sources.entry(source.series).or_default() += 1;
        }
        let count = |id| sources.get(&id).copied().unwrap_or_default();
        let views = registry
            .all()
            .map(|series| SeriesView::of(series, count(series.id())));
        views.collect()
    };
    Ok(Answer::new(api.telemetry.call(list).await?))
}

/// Lists the current sources and the most recent past ones.
#[utoipa::path(get, path = "/api/v1/series/sources", tag = "series", operation_id = "listSources",
    security(("token" = ["series:read"])),
    responses((status = 200, description = "The sources", body = Answer<Vec<SourceView>>)))]
pub async fn sources(State(api): State<Api>) -> Result<Answer<Vec<SourceView>>, Problem> {
    let list = |registry: &mut Registry| {
        let sources = registry.sources.all();
        sources
            .map(|source| SourceView::of(source, registry))
            .collect()
    };
    Ok(Answer::new(api.telemetry.call(list).await?))
}

/// The status of telemetry.
#[derive(Serialize, ToSchema)]
#[schema(as = SeriesStatus)]
#[serde(rename_all = "camelCase")]
pub struct StatusView {
    /// Number of series.
    series: usize,
    /// Maximum number of series.
    max_series: usize,
    /// Number of sources connected over TCP.
    sources: usize,
    /// Number of samples from the hub and from devices that were dropped because of limits, since
    /// the hub started.
    dropped: u64,
    /// The ports that are not turned off.
    ports: Vec<PortView>,
    /// Why series are kept in memory only and are lost when the hub stops; null if they are saved.
    file_fault: Option<String>,
}

/// A port of telemetry.
#[derive(Serialize, ToSchema)]
#[schema(as = SeriesPort)]
#[serde(rename_all = "camelCase")]
pub struct PortView {
    /// Its key in `[telemetry]` of the configuration: `tcp` for sources, `ws` for viewers.
    key: &'static str,
    /// Its listen address.
    address: String,
    /// Why it does not accept connections; null if it does.
    fault: Option<String>,
}

/// Reports the status of telemetry: ports, file and number of series.
#[utoipa::path(get, path = "/api/v1/series/status", tag = "series", operation_id = "showSeriesStatus",
    security(("token" = ["series:read"])),
    responses((status = 200, description = "The status", body = Answer<StatusView>)))]
pub async fn status(State(api): State<Api>) -> Result<Answer<StatusView>, Problem> {
    let count = |registry: &mut Registry| (registry.all().len(), registry.bounds().series);
    let (series, max_series) = api.telemetry.call(count).await?;
    let health = api.telemetry.health();
    let ports = health.ports.into_iter().map(|port| PortView {
        key: port.key,
        address: port.address.to_string(),
        fault: port.fault,
    });
    Ok(Answer::new(StatusView {
        series,
        max_series,
        sources: api.telemetry.connected(),
        dropped: api.telemetry.dropped(),
        ports: ports.collect(),
        file_fault: health.file_fault,
    }))
}

/// The result of adding samples.
#[derive(Serialize, ToSchema)]
#[schema(as = Taken)]
#[serde(rename_all = "camelCase")]
pub struct AddedSamples {
    /// The id of the series.
    id: u32,
    /// Number of samples added.
    points: u64,
    /// Number of malformed lines.
    malformed: u64,
    /// The beginning of the last malformed line.
    last_malformed: Option<String>,
}

/// Adds samples: one line with the name of the series, then lines `x y`, as a source over TCP
/// sends them.
#[utoipa::path(post, path = "/api/v1/series", tag = "series", operation_id = "addSamples",
    security(("token" = ["series:write"])),
    request_body(content = String, content_type = "text/plain", example = "temp\n1700000000000 21.5\n"),
    responses(
        (status = 200, description = "The samples were added", body = Answer<AddedSamples>),
        (status = 400, description = "The first line is not a valid name, or a line is too long", body = ProblemBody)))]
pub async fn add(
    State(api): State<Api>,
    Extension(peer): Extension<Peer>,
    RawBody(text): RawBody,
) -> Result<Answer<AddedSamples>, Problem> {
    let writer = Writer::new(peer.remote.to_string(), false);
    let taken = api
        .telemetry
        .call(move |registry| writer.process_all(&text, registry));
    let taken = taken.await?;
    let refuse = |reason| Problem::new(StatusCode::BAD_REQUEST, format!("the body: {reason}"));
    let (id, points, malformed, last_malformed) = taken.map_err(refuse)?;
    Ok(Answer::new(AddedSamples {
        id,
        points,
        malformed,
        last_malformed,
    }))
}

/// A change of a series. Omitted fields keep their values.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SeriesChange {
    /// The new name, 1 to 255 bytes. Sources that still use the old name start a new series.
    #[schema(min_length = 1, max_length = 255)]
    name: Option<String>,
    /// The unit of the y values, at most 32 bytes; "" for none.
    #[schema(max_length = 32)]
    unit: Option<String>,
}

/// Changes the name or the unit of a series.
#[utoipa::path(patch, path = "/api/v1/series/{id}", tag = "series", operation_id = "changeSeries",
    security(("token" = ["series:write"])), request_body = SeriesChange,
    params(("id" = u32, Path, description = "Its number")),
    responses(
        (status = 200, description = "The changed series", body = Answer<SeriesView>),
        (status = 404, description = "The series does not exist", body = ProblemBody),
        (status = 409, description = "Another series has this name", body = ProblemBody)))]
pub async fn change(
    State(api): State<Api>,
    Path(id): Path<String>,
    Body(change): Body<SeriesChange>,
) -> Result<Answer<SeriesView>, Problem> {
    let id = parse_id(&id)?;
    let unit = change.unit.as_deref().unwrap_or_default();
    if unit.len() > UNIT_LIMIT || unit.chars().any(is_control) {
        let message = "unit in the body: it must be a word of at most 32 bytes, like \"°C\"";
        return Err(Problem::new(StatusCode::BAD_REQUEST, message));
    }
    // Checked before secrets are masked, because masking shortens the name.
    let name = change.name.as_deref().unwrap_or_default();
    if name.len() > NAME_LIMIT {
        let message = "name in the body: it must have 1 to 255 bytes";
        return Err(Problem::new(StatusCode::BAD_REQUEST, message));
    }
    let change = move |registry: &mut Registry| {
        if let Some(name) = &change.name {
            // The same sanitizing as for the names that sources send.
            registry.rename(id, &shown(name))?;
        }
        if let Some(unit) = &change.unit {
            registry.set_unit(id, Some(unit))?;
        }
        SeriesView::find(registry, id)
    };
    Ok(Answer::new(api.telemetry.call(change).await??))
}

/// Deletes a series and all its samples.
#[utoipa::path(delete, path = "/api/v1/series/{id}", tag = "series", operation_id = "deleteSeries",
    security(("token" = ["series:delete"])),
    params(("id" = u32, Path, description = "Its number")),
    responses(
        (status = 200, description = "Deleted", body = Answer<DeletedItem>),
        (status = 404, description = "The series does not exist", body = ProblemBody)))]
pub async fn delete(
    State(api): State<Api>,
    Path(id): Path<String>,
) -> Result<Answer<DeletedItem>, Problem> {
    let parse_id = parse_id(&id)?;
    api.telemetry
        .call(move |registry| registry.delete(parse_id))
        .await??;
    Ok(Answer::new(DeletedItem { id }))
}

fn parse_id(id: &str) -> Result<u32, Problem> {
    let unknown = || Problem::not_found(format!("there is no series {id:?}; an id is a number"));
    id.parse().map_err(|_| unknown())
}
