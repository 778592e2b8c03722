//! `WS /ws/cameras`: any number of cameras over one WebSocket.
//!
//! A viewer has a cursor for each camera it watches. When the socket has taken the last
//! message, the next camera in turn that has something newer provides its newest frame.
//! Nothing is prepared before that, so nothing can queue.
//!
//! [`command`] parses what viewers send, [`watch`] holds a viewer's subscriptions,
//! [`sound`] the one to a camera's sound, and [`event`] formats the additional events of the `ocelli.v2` form.

mod command;
mod event;
mod sound;
mod watch;

use crate::answer::Problem;
use crate::sinks::changes::HubChanges;
use crate::sinks::playback::refuse;
use crate::visitor::{Identity, LAPSED, Visitor};
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use axum::routing::any;
use axum::{Extension, Router};
#[cfg(fuzzing)]
pub use command::Command;
#[cfg(not(fuzzing))]
use command::Command;
use event::SentCameras;
use http::Request;
use ocelli_core::{CpuTimer, Form, Ready};
use ocelli_net::counts::Transport;
use ocelli_net::request::Peer;
use ocelli_net::websocket::{self, Delivery, FrameSender, Next, Socket, close};
use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Interval, MissedTickBehavior, interval};
use watch::Watched;

/// The subprotocol that adds events and credit to the plain form.
const V2: &str = "ocelli.v2";
/// How often a viewer of the `ocelli.v2` form is sent its counts.
const STATS_INTERVAL: Duration = Duration::from_secs(1);
/// How many errors of one command are reported.
const MAX_ERROR_EVENTS: usize = 8;

/// This sink's routes.
pub(super) fn routes() -> Router<Arc<Identity>> {
    Router::new().route("/ws/cameras", any(open))
}

async fn open(
    State(identity): State<Arc<Identity>>,
    Extension(peer): Extension<Peer>,
    visitor: Result<Visitor, Problem>,
    request: Request<Body>,
) -> Response {
    let visitor = match visitor {
        Ok(visitor) => visitor,
        Err(problem) => return refuse(&identity, &peer, request, None, problem),
    };
    let v2 = websocket::offers(request.headers(), V2);
    let served = identity.clone();
    let remote = peer.remote;
    websocket::upgrade(
        &identity.server_state,
        &peer,
        request,
        v2.then_some(V2),
        move |socket| async move {
            tracing::debug!(peer = %remote, v2, "a viewer connected");
            let (transport, form) = if v2 {
                (Transport::WallV2, Form::V2)
            } else {
                (Transport::Wall, Form::Plain)
            };
            let sender = FrameSender::new(socket, form, &served.server_state, transport);
            let mut viewer = Viewer::new(served, visitor, v2);
            sender.run(&mut viewer).await;
            let (sent, dropped) = viewer.watched.totals();
            let ignored = viewer.ignored;
            tracing::debug!(peer = %remote, sent, dropped, ignored, "a viewer disconnected");
        },
    )
}

struct Viewer {
    identity: Arc<Identity>,
    visitor: Visitor,
    watched: Watched,
    changes: HubChanges,
    ignored: u64,
    /// State of the `ocelli.v2` form; `None` in the plain form.
    v2: Option<V2State>,
}

struct V2State {
    /// Events to send, in order. Bounded, because nothing is read while it is not empty.
    events: VecDeque<String>,
    sent_cameras: SentCameras,
    stats: Interval,
}

/// The parts of a command that failed.
struct Faults {
    count: u64,
    /// The first few, as events.
    events: Vec<String>,
}

impl Faults {
    fn from_event(event: String) -> Self {
        Self {
            count: 1,
            events: vec![event],
        }
    }
}

impl Viewer {
    fn new(identity: Arc<Identity>, visitor: Visitor, v2: bool) -> Self {
        let state = v2.then(|| {
            let mut stats = interval(STATS_INTERVAL);
            stats.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let (sent_cameras, hello) = SentCameras::hello(&identity.hub, &visitor);
            V2State {
                events: VecDeque::from([hello]),
                sent_cameras,
                stats,
            }
        });
        identity.visitors.track(&visitor);
        Self {
            changes: HubChanges::new(&identity.hub),
            watched: Watched::new(identity.hub.clone(), visitor.clone()),
            identity,
            visitor,
            ignored: 0,
            v2: state,
        }
    }

    /// Updates the subscriptions and the events after a change.
    fn follow(&mut self, socket: &mut Socket) {
        if self.visitor.has_lapsed() {
            return socket.close(close::UNAUTHORIZED, LAPSED);
        }
        self.watched.follow_all();
        if let Some(state) = &mut self.v2 {
            let changes = state.sent_cameras.changes(&self.visitor);
            state.events.extend(changes);
        }
    }

    fn execute_text(&mut self, text: &str) {
        let faults = match Command::parse(text) {
            Ok(command) => self.execute(command),
            Err(message) => Faults::from_event(event::error("malformed_command", &message, None)),
        };
        self.ignored += faults.count;
        self.identity.server_state.ignore(faults.count);
        if let Some(state) = &mut self.v2 {
            state.events.extend(faults.events);
        }
    }

    /// Executes a command. Returns the parts that failed.
    fn execute(&mut self, command: Command) -> Faults {
        let v2 = self.v2.is_some();
        let unknown = match command {
            Command::Subscribe { cameras, options } => {
                // The plain form has no pace and no sound: only the socket limits it.
                let options = if v2 { options } else { Default::default() };
                self.watched.subscribe(&cameras, options)
            }
            Command::Unsubscribe { cameras } => {
                self.watched.unsubscribe(&cameras);
                Vec::new()
            }
            Command::Credit { add } if v2 => self.watched.add_credit(&add),
            Command::Retry { cameras } if v2 => self.watched.retry(&cameras),
            Command::Ping { t } if v2 => {
                let now = self.identity.hub.clock().now();
                if let Some(state) = &mut self.v2 {
                    state.events.push_back(event::pong(&t, now));
                }
                Vec::new()
            }
            Command::Credit { .. } | Command::Retry { .. } | Command::Ping { .. } => {
                return Faults::from_event(event::error(
                    "malformed_command",
                    "this command needs the subprotocol ocelli.v2",
                    None,
                ));
            }
        };
        let words =
            |id: &String| event::error("unknown_camera", "there is no such camera", Some(id));
        Faults {
            count: unknown.len() as u64,
            events: unknown.iter().take(MAX_ERROR_EVENTS).map(words).collect(),
        }
    }
}

impl Delivery for Viewer {
    fn ready(&self) -> &Ready {
        self.watched.ready()
    }

    fn next_text(&mut self) -> Option<String> {
        self.v2.as_mut()?.events.pop_front()
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Next> {
        // Sound is small, so it is sent ahead of the next picture.
        if let Some(message) = self.watched.sound.take() {
            return Poll::Ready(Next::Message(message));
        }
        if let Poll::Ready(frame) = self.watched.poll_frame(cx) {
            return Poll::Ready(Next::Frame(frame));
        }
        // The search for a picture may have consumed the token of a unit of sound.
        match self.watched.sound.take() {
            Some(message) => Poll::Ready(Next::Message(message)),
            None => Poll::Pending,
        }
    }

    fn poll_rare(&mut self, socket: &mut Socket, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(state) = &mut self.v2
            && state.stats.poll_tick(cx).is_ready()
        {
            let now = self.identity.hub.clock().now();
            state.events.push_back(event::stats(now, &mut self.watched));
            return Poll::Ready(());
        }
        if self.changes.any(cx) {
            self.changes.take();
            self.follow(socket);
            return Poll::Ready(());
        }
        Poll::Pending
    }

    fn text(&mut self, text: String, socket: &mut Socket) {
        let timer = CpuTimer::start();
        self.execute_text(&text);
        socket.charge(timer.elapsed());
    }
}
