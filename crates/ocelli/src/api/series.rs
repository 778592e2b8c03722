//! `/api/v1/series`: series of samples, and those who write them.
//!
//! Series are seen by whoever sees app `live`, so a token for that app alone reaches
//! them, and one for another app does not (`access`).

use super::apps::Gone;
use super::body::{Body, Lines};
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
use ocelli_series::{Refused, Registry, Series};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use utoipa::ToSchema;

/// The longest unit, in bytes.
const UNIT_LIMIT: usize = 32;

impl From<Stopped> for Problem {
    fn from(stopped: Stopped) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, stopped.to_string())
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let status = match refused {
            Refused::Unknown(_) => StatusCode::NOT_FOUND,
            Refused::Taken(_) | Refused::Full(_) => StatusCode::CONFLICT,
            Refused::Name(_) => StatusCode::BAD_REQUEST,
        };
        Self::new(status, refused.to_string())
    }
}

/// A series.
#[derive(Serialize, ToSchema)]
#[schema(as = Series)]
#[serde(rename_all = "camelCase")]
pub struct SeriesView {
    /// Its number; it is never another's.
    id: u32,
    name: String,
    unit: Option<String>,
    /// Whether its x are times, in ms since the Unix epoch; else they are any numbers.
    timed: bool,
    /// Whether any of it came over the TCP port.
    over_tcp: bool,
    /// How many samples ever came.
    points: u64,
    /// How many of them are held; of the oldest only the extremes.
    kept: usize,
    /// The newest sample.
    newest: Option<[f64; 2]>,
    /// When that came, in ms since the Unix epoch.
    last_at: Option<u64>,
    /// How far its x, if it is a time, is from when it came: a source whose clock is
    /// off, or that sends late, shows here.
    clock_offset_ms: Option<f64>,
    /// How many sources write into it now.
    sources: usize,
    /// How many malformed lines came since the hub began.
    malformed: u64,
    /// The beginning of the last of those.
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
            kept: history.kept(),
            newest: newest.map(|(x, y)| [x, y]),
            clock_offset_ms: series.clock_offset(),
            last_at: (history.end() > 0).then(|| history.received()),
            sources,
            malformed,
            last_malformed: last.map(str::to_owned),
        }
    }

    fn find(registry: &Registry, id: u32) -> Result<Self, Refused> {
        let series = registry.get(id)?;
        Ok(Self::of(series, registry.sources.of(id)))
    }
}

/// Who writes into a series, or did.
#[derive(Serialize, ToSchema)]
#[schema(as = Source)]
#[serde(rename_all = "camelCase")]
pub struct SourceView {
    id: u64,
    /// The series that it writes into.
    series: u32,
    /// That one's name; null when it was deleted.
    name: Option<String>,
    /// Where it comes from.
    from: String,
    /// Since when, in ms since the Unix epoch.
    since: u64,
    points: u64,
    malformed: u64,
    /// The beginning of the last malformed line.
    last_malformed: Option<String>,
    /// When it ended; null while it is there.
    ended_at: Option<u64>,
    /// Why it ended.
    ended: Option<String>,
}

impl SourceView {
    fn of(source: &Source, registry: &Registry) -> Self {
        let series = registry.get(source.series).ok();
        let ended = source.ended.as_ref();
        Self {
            id: source.id,
            series: source.series,
            name: series.map(|series| series.name().to_owned()),
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

/// All series.
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

/// Who writes into series now, and the last of those who did.
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

/// What of telemetry works, and what does not.
#[derive(Serialize, ToSchema)]
#[schema(as = SeriesStatus)]
#[serde(rename_all = "camelCase")]
pub struct StatusView {
    /// How many series there are.
    series: usize,
    /// How many there may be.
    max_series: usize,
    /// How many sources are connected over TCP.
    sources: usize,
    /// How many samples of the hub and of devices that push found no place, since the
    /// hub began.
    dropped: u64,
    /// The ports that are not turned off.
    ports: Vec<PortView>,
    /// Why series are kept in memory alone, and end with the hub; null if they are not.
    file_fault: Option<String>,
}

/// A port of telemetry.
#[derive(Serialize, ToSchema)]
#[schema(as = SeriesPort)]
#[serde(rename_all = "camelCase")]
pub struct PortView {
    /// Its key in `[telemetry]` of the configuration: `tcp` for sources, `ws` for viewers.
    key: &'static str,
    /// Where it is, or was to be.
    address: String,
    /// Why nobody can come there; null if they can.
    fault: Option<String>,
}

/// What of telemetry works, and what does not: ports, file, room for series.
#[utoipa::path(get, path = "/api/v1/series/status", tag = "series", operation_id = "showSeriesStatus",
    security(("token" = ["series:read"])),
    responses((status = 200, description = "How it stands", body = Answer<StatusView>)))]
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

/// What came of a request's samples.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Taken {
    /// The series that they are in.
    id: u32,
    /// How many samples there were.
    points: u64,
    /// How many lines were none.
    malformed: u64,
    /// The beginning of the last of those.
    last_malformed: Option<String>,
}

/// Adds samples: a line with the series' name, then lines `x y`, as a source by TCP
/// writes them.
#[utoipa::path(post, path = "/api/v1/series", tag = "series", operation_id = "addSamples",
    security(("token" = ["series:write"])),
    request_body(content = String, content_type = "text/plain", example = "temp\n1700000000000 21.5\n"),
    responses(
        (status = 200, description = "They are in their series", body = Answer<Taken>),
        (status = 400, description = "The first line is no name, or a line is too long", body = ProblemBody)))]
pub async fn add(
    State(api): State<Api>,
    Extension(peer): Extension<Peer>,
    Lines(text): Lines,
) -> Result<Answer<Taken>, Problem> {
    let writer = Writer::new(peer.remote.to_string(), false);
    let taken = api
        .telemetry
        .call(move |registry| writer.take_all(&text, registry));
    let taken = taken.await?;
    let refuse = |reason| Problem::new(StatusCode::BAD_REQUEST, format!("the body: {reason}"));
    let (id, points, malformed, last_malformed) = taken.map_err(refuse)?;
    Ok(Answer::new(Taken {
        id,
        points,
        malformed,
        last_malformed,
    }))
}

/// What is to be changed; the rest stays.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SeriesChange {
    /// Another name, of 1 to 255 bytes. Sources that say the old one begin a new series.
    #[schema(min_length = 1, max_length = 255)]
    name: Option<String>,
    /// In what its y are measured, of at most 32 bytes; "" for nothing.
    #[schema(max_length = 32)]
    unit: Option<String>,
}

/// Renames a series, or says in what it is measured.
#[utoipa::path(patch, path = "/api/v1/series/{id}", tag = "series", operation_id = "changeSeries",
    security(("token" = ["series:write"])), request_body = SeriesChange,
    params(("id" = u32, Path, description = "Its number")),
    responses(
        (status = 200, description = "As it is now", body = Answer<SeriesView>),
        (status = 404, description = "There is none", body = ProblemBody),
        (status = 409, description = "There is another of that name", body = ProblemBody)))]
pub async fn change(
    State(api): State<Api>,
    Path(id): Path<String>,
    Body(change): Body<SeriesChange>,
) -> Result<Answer<SeriesView>, Problem> {
    let id = number(&id)?;
    let unit = change.unit.as_deref().unwrap_or_default();
    if unit.len() > UNIT_LIMIT || unit.chars().any(is_control) {
        let message = "unit in the body: it is a word of at most 32 bytes, like \"°C\"";
        return Err(Problem::new(StatusCode::BAD_REQUEST, message));
    }
    // As it was written: to hide a secret in it makes it shorter.
    let name = change.name.as_deref().unwrap_or_default();
    if name.len() > NAME_LIMIT {
        let message = "name in the body: it is a text of 1 to 255 bytes";
        return Err(Problem::new(StatusCode::BAD_REQUEST, message));
    }
    let change = move |registry: &mut Registry| {
        if let Some(name) = &change.name {
            // As a source's own name is taken.
            registry.rename(id, &shown(name))?;
        }
        if let Some(unit) = &change.unit {
            registry.set_unit(id, Some(unit))?;
        }
        SeriesView::find(registry, id)
    };
    Ok(Answer::new(api.telemetry.call(change).await??))
}

/// Deletes a series with all its samples.
#[utoipa::path(delete, path = "/api/v1/series/{id}", tag = "series", operation_id = "deleteSeries",
    security(("token" = ["series:delete"])),
    params(("id" = u32, Path, description = "Its number")),
    responses(
        (status = 200, description = "It is gone", body = Answer<Gone>),
        (status = 404, description = "There is none", body = ProblemBody)))]
pub async fn delete(
    State(api): State<Api>,
    Path(id): Path<String>,
) -> Result<Answer<Gone>, Problem> {
    let number = number(&id)?;
    api.telemetry
        .call(move |registry| registry.delete(number))
        .await??;
    Ok(Answer::new(Gone { id }))
}

fn number(id: &str) -> Result<u32, Problem> {
    let unknown = || Problem::not_found(format!("there is no series {id:?}; a series is a number"));
    id.parse().map_err(|_| unknown())
}
