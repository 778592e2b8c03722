//! Viewers of series: `WS /ws/series`, and telemetry's own port.
//!
//! The viewer pulls. It gets the history, then one batch for each empty message it sends:
//! at once if there is something new, else as soon as there is. History and batches are
//! made in pieces as the viewer's socket takes them, so a viewer that does not read costs
//! one cursor and one piece.

use super::handle::{Next, Telemetry};
use super::shared::Shared;
use crate::answer::{Problem, QueryParams};
use crate::sinks::refuse;
use crate::visitor::{Identity, LAPSED, NOT_ON_WALL, Visitor};
use axum::body::Body;
use axum::extract::{FromRef, State};
use axum::response::Response;
use axum::routing::any;
use axum::{Extension, Router};
use http::{Request, StatusCode};
use ocelli_net::request::Peer;
use ocelli_net::server_state::ServerState;
use ocelli_net::websocket::{self, CLOSE_TIMEOUT, Incoming, Socket, close};
use ocelli_series::cursor::Piece;
use ocelli_series::{Cursor, Selection};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;
use tokio::time::{Interval, MissedTickBehavior, interval};
use tokio_util::task::AbortOnDropHandle;

/// How often a viewer's permission is checked.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);
/// The reason for a viewer who may not, or no longer, watch series.
const PRIVATE: &str = "playback in app \"live\" is not public, so its series are not public either";

/// The route on the main port.
pub fn routes(identity: Arc<Identity>, telemetry: Telemetry) -> Router {
    let state = ViewerState {
        identity,
        telemetry,
    };
    Router::new()
        .route("/ws/series", any(open))
        .with_state(state)
}

/// The router of the port for series only: any path is a viewer of the samples from the TCP
/// port.
pub fn port(identity: Arc<Identity>, telemetry: Telemetry) -> Router {
    let state = ViewerState {
        identity,
        telemetry,
    };
    Router::new().fallback(open_tcp).with_state(state)
}

/// Shared state of the viewers of series.
#[derive(Clone)]
struct ViewerState {
    identity: Arc<Identity>,
    telemetry: Telemetry,
}

impl FromRef<ViewerState> for Arc<Identity> {
    fn from_ref(state: &ViewerState) -> Self {
        state.identity.clone()
    }
}

/// The query parameters; each may be repeated.
type Parameters = Vec<(String, String)>;

fn wanted(parameters: Parameters, tcp_only: bool) -> Selection {
    let mut wanted = Selection {
        tcp_only,
        ..Selection::default()
    };
    for (key, value) in parameters {
        match key.as_str() {
            "series" => {
                wanted.names.get_or_insert_default().insert(value);
            }
            "since" => wanted.since = value.parse().ok().filter(|since: &f64| since.is_finite()),
            _ => {}
        }
    }
    wanted
}

async fn open(
    State(state): State<ViewerState>,
    Extension(peer): Extension<Peer>,
    visitor: Result<Visitor, Problem>,
    QueryParams(parameters): QueryParams<Parameters>,
    request: Request<Body>,
) -> Response {
    begin(state, &peer, visitor, wanted(parameters, false), request)
}

async fn open_tcp(
    State(state): State<ViewerState>,
    Extension(peer): Extension<Peer>,
    visitor: Result<Visitor, Problem>,
    QueryParams(parameters): QueryParams<Parameters>,
    request: Request<Body>,
) -> Response {
    begin(state, &peer, visitor, wanted(parameters, true), request)
}

fn begin(
    state: ViewerState,
    peer: &Peer,
    visitor: Result<Visitor, Problem>,
    wanted: Selection,
    request: Request<Body>,
) -> Response {
    let visitor = visitor.and_then(|visitor| match visitor.may_read_series() {
        true => Ok(visitor),
        false if visitor.wall().is_some() => {
            Err(Problem::new(StatusCode::UNAUTHORIZED, NOT_ON_WALL))
        }
        false => Err(Problem::new(StatusCode::UNAUTHORIZED, PRIVATE)),
    });
    let visitor = match visitor {
        Ok(visitor) => visitor,
        Err(problem) => return refuse(&state.identity, peer, request, None, problem),
    };
    let ViewerState {
        identity,
        telemetry,
    } = state;
    identity.visitors.track(&visitor);
    let server_state = identity.server_state.clone();
    let serve = move |socket| async move {
        let looks = ViewerCount::begin(&telemetry, !wanted.tcp_only);
        let mut checks = interval(CHECK_INTERVAL);
        checks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let viewer = Viewer {
            socket,
            visitor,
            telemetry,
            cursor: Some(Cursor::new(wanted)),
            piece: None,
            next: Next::History,
            requested: true,
            checks,
        };
        viewer.run(&identity.server_state).await;
        drop(looks);
    };
    websocket::upgrade(&server_state, peer, request, None, serve)
}

/// Counts a viewer of all series while it exists.
struct ViewerCount(Option<Arc<Shared>>);

impl ViewerCount {
    fn begin(telemetry: &Telemetry, at_all: bool) -> Self {
        let shared = at_all.then(|| telemetry.shared.clone());
        if let Some(shared) = &shared {
            shared.all_series_viewers.fetch_add(1, Ordering::Relaxed);
        }
        Self(shared)
    }
}

impl Drop for ViewerCount {
    fn drop(&mut self) {
        if let Some(shared) = &self.0 {
            shared.all_series_viewers.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

struct Viewer {
    socket: Socket,
    visitor: Visitor,
    telemetry: Telemetry,
    /// The viewer's cursor, unless a piece is being made.
    cursor: Option<Cursor>,
    /// The piece that is being made, with the cursor.
    piece: Option<AbortOnDropHandle<(Cursor, Option<Piece>)>>,
    next: Next,
    /// Whether there is an open request. A new viewer has requested the history.
    requested: bool,
    checks: Interval,
}

enum Event {
    Received(Incoming),
    CheckDue,
    /// The telemetry thread has ended.
    Over,
}

impl Viewer {
    async fn run(mut self, server_state: &ServerState) {
        let mut stopped = std::pin::pin!(server_state.stopping.cancelled());
        loop {
            let event = tokio::select! {
                event = self.next() => event,
                () = &mut stopped => Event::Over,
            };
            match event {
                Event::Over => {
                    self.socket.close(1001, "the hub is stopping");
                    return self.socket.finish(CLOSE_TIMEOUT).await;
                }
                Event::CheckDue if self.visitor.may_read_series() => {}
                Event::CheckDue => {
                    let why = if self.visitor.has_lapsed() {
                        LAPSED
                    } else {
                        PRIVATE
                    };
                    self.socket.close(close::UNAUTHORIZED, why);
                    return self.socket.finish(CLOSE_TIMEOUT).await;
                }
                Event::Received(Incoming::Text(text)) if text.is_empty() => self.requested = true,
                Event::Received(Incoming::Binary(bytes)) if bytes.is_empty() => {
                    self.requested = true
                }
                Event::Received(Incoming::Text(_) | Incoming::Binary(_) | Incoming::TooLong) => {
                    server_state.ignore(1);
                }
                Event::Received(Incoming::Closed) => return,
            }
        }
    }

    /// Makes and sends the requested data until there is another event.
    async fn next(&mut self) -> Event {
        std::future::poll_fn(|cx| {
            loop {
                // All pending requests are read before one is answered: they count as one.
                if let Poll::Ready(incoming) = self.socket.poll(cx) {
                    return Poll::Ready(Event::Received(incoming));
                }
                if !self.socket.is_idle() {
                    return Poll::Pending;
                }
                if self.checks.poll_tick(cx).is_ready() {
                    return Poll::Ready(Event::CheckDue);
                }
                if let Some(piece) = &mut self.piece {
                    let Poll::Ready(made) = std::pin::Pin::new(piece).poll(cx) else {
                        return Poll::Pending;
                    };
                    self.piece = None;
                    let Ok((cursor, Some(piece))) = made else {
                        return Poll::Ready(Event::Over);
                    };
                    self.cursor = Some(cursor);
                    let first = self.next != Next::Continue;
                    if first {
                        self.requested = false;
                    }
                    self.next = if piece.last {
                        Next::Batch
                    } else {
                        Next::Continue
                    };
                    self.socket.send_piece(piece.text.into(), first, piece.last);
                    continue;
                }
                let due = self.requested || self.next == Next::Continue;
                let cursor = if due { self.cursor.take() } else { None };
                let Some(cursor) = cursor else {
                    return Poll::Pending;
                };
                self.piece = Some(self.telemetry.piece(cursor, self.next));
            }
        })
        .await
    }
}
