//! `WS /ws/cameras`: any number of cameras over one WebSocket.
//!
//! A viewer holds a cursor for each camera it watches. When the socket has taken
//! the last message, the next camera in turn that has something newer gives its
//! newest; nothing is made ready before that, so nothing can queue.
//!
//! [`command`] reads what viewers send, [`watch`] is what one viewer watches,
//! [`event`] words what the `ocelli.v2` form adds.

mod command;
mod event;
mod watch;

use crate::answer::Problem;
use crate::sinks::news::News;
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
use event::Announced;
use http::Request;
use ocelli_core::{Form, Work};
use ocelli_net::bell::Bell;
use ocelli_net::connection::Peer;
use ocelli_net::counts::{Viewing, Way};
use ocelli_net::websocket::{self, Incoming, Socket, close};
use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Interval, MissedTickBehavior, interval};
use tokio_websockets::Message;
use watch::Watched;

/// The subprotocol that adds what the plain form lacks.
const V2: &str = "ocelli.v2";
/// How often a viewer of the `ocelli.v2` form is told its counts.
const STATS_INTERVAL: Duration = Duration::from_secs(1);
/// How long a viewer may take to answer a close.
const GOODBYE: Duration = Duration::from_millis(400);
/// How many faults of one command are told.
const ERRORS_TOLD: usize = 8;

/// This sink's addresses.
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
        Err(problem) => return refuse(&identity, &peer, request, problem),
    };
    let v2 = websocket::offers(request.headers(), V2);
    let served = identity.clone();
    let remote = peer.remote;
    websocket::upgrade(
        &identity.front,
        &peer,
        request,
        v2.then_some(V2),
        move |socket| async move {
            tracing::debug!(peer = %remote, v2, "a viewer came");
            let viewer = Viewer::new(served, visitor, socket, v2);
            let (ignored, watched) = viewer.run().await;
            let (sent, dropped) = watched.totals();
            tracing::debug!(peer = %remote, sent, dropped, ignored, "a viewer left");
        },
    )
}

struct Viewer {
    identity: Arc<Identity>,
    visitor: Visitor,
    socket: Socket,
    form: Form,
    watched: Watched,
    news: News,
    ignored: u64,
    viewing: Viewing,
    /// Rings for whatever is not a frame.
    bell: Bell,
    /// What only the `ocelli.v2` form has.
    v2: Option<Extras>,
}

struct Extras {
    /// Events to be told, in order; bounded, for while it is not empty nothing is read.
    events: VecDeque<String>,
    announced: Announced,
    stats: Interval,
}

/// What of a command could not be carried out.
struct Faults {
    count: u64,
    /// The first few, as events.
    told: Vec<String>,
}

impl Faults {
    fn one(event: String) -> Self {
        Self {
            count: 1,
            told: vec![event],
        }
    }
}

/// What interrupts the sending of frames.
enum Turn {
    Came(Incoming),
    CamerasChanged,
    StatsDue,
    Stopped,
}

impl Viewer {
    fn new(identity: Arc<Identity>, visitor: Visitor, socket: Socket, v2: bool) -> Self {
        let extras = v2.then(|| {
            let mut stats = interval(STATS_INTERVAL);
            stats.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let (announced, hello) = Announced::hello(&identity.hub, &visitor);
            Extras {
                events: VecDeque::from([hello]),
                announced,
                stats,
            }
        });
        identity.visitors.stay(&visitor);
        let (way, form) = if v2 {
            (Way::WallV2, Form::V2)
        } else {
            (Way::Wall, Form::Plain)
        };
        Self {
            viewing: identity.front.counts.enter(way),
            news: News::new(&identity.hub),
            watched: Watched::new(identity.hub.clone(), visitor.clone()),
            identity,
            visitor,
            socket,
            form,
            ignored: 0,
            bell: Bell::default(),
            v2: extras,
        }
    }

    async fn run(mut self) -> (u64, Watched) {
        loop {
            match std::future::poll_fn(|cx| self.poll_turn(cx)).await {
                Turn::CamerasChanged if self.visitor.has_lapsed() => {
                    self.socket.close(close::UNAUTHORIZED, LAPSED);
                }
                Turn::CamerasChanged => {
                    self.watched.follow_all();
                    if let Some(extras) = &mut self.v2 {
                        let news = extras.announced.news(&self.visitor);
                        extras.events.extend(news);
                    }
                }
                Turn::StatsDue => {
                    if let Some(extras) = &mut self.v2 {
                        let now = self.identity.hub.clock().now();
                        extras.events.push_back(event::stats(now, &self.watched));
                    }
                }
                Turn::Came(Incoming::Text(text)) => self.obey(&text),
                Turn::Came(Incoming::Binary(_) | Incoming::TooLong) => {
                    self.socket.close(1003, "a viewer sends no binary messages");
                }
                Turn::Came(Incoming::Closed) => break,
                Turn::Stopped => {
                    self.socket.close(1001, "the hub stops");
                    self.socket.finish(GOODBYE).await;
                    break;
                }
            }
        }
        (self.ignored, self.watched)
    }

    /// Sends frames until there is something else to do.
    ///
    /// While a message is being written that is only to write on. Then events go
    /// first, which bounds them, for nothing is read before they are gone; then
    /// what the viewer says; then frames. Only a frame that is published while the task
    /// is already woken for an event may be before it.
    ///
    /// Speed is in three things: nothing goes back to the runtime between a frame and the
    /// next; what else might happen is polled when its [`Bell`] has rung, and not for
    /// each frame; and while there is nothing to do the socket is lent to whoever
    /// publishes the next.
    fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<Turn> {
        self.socket.take_back(self.watched.ready(), self.form);
        self.bell.hear(cx);
        loop {
            if let Some(bell) = self.bell.due()
                && self.has_to_stop(&mut Context::from_waker(&bell))
            {
                return Poll::Ready(Turn::Stopped);
            }
            if ready!(self.socket.poll_written(cx)).is_err() {
                return Poll::Ready(Turn::Came(Incoming::Closed));
            }
            if self.socket.is_idle()
                && let Some(extras) = &mut self.v2
                && let Some(event) = extras.events.pop_front()
            {
                self.socket.send(Message::text(event));
                continue;
            }
            if let Some(bell) = self.bell.due() {
                let rare = &mut Context::from_waker(&bell);
                if let Poll::Ready(turn) = self.poll_else(rare) {
                    return Poll::Ready(turn);
                }
                // While a message is being written not all of it was polled.
                if self.socket.is_idle() {
                    self.bell.settle();
                }
            }
            if !self.socket.is_idle() {
                return Poll::Pending;
            }
            let Poll::Ready(frame) = self.watched.poll_frame(cx) else {
                let (ready, tally) = (self.watched.ready(), self.viewing.tally());
                self.socket.lend(ready, self.form, usize::MAX, tally);
                return Poll::Pending;
            };
            self.viewing.tally().sent(frame.payload_len());
            self.socket.send_binary(frame.into_message(self.form));
        }
    }

    /// Whether the hub stops, which is news.
    fn has_to_stop(&mut self, cx: &mut Context<'_>) -> bool {
        self.news.any(cx) && self.identity.front.stopping.is_cancelled()
    }

    /// Whatever is not a frame.
    fn poll_else(&mut self, cx: &mut Context<'_>) -> Poll<Turn> {
        if let Poll::Ready(incoming) = self.socket.poll(cx) {
            return Poll::Ready(Turn::Came(incoming));
        }
        if !self.socket.is_idle() {
            return Poll::Pending;
        }
        if let Some(extras) = &mut self.v2
            && extras.stats.poll_tick(cx).is_ready()
        {
            return Poll::Ready(Turn::StatsDue);
        }
        if self.news.any(cx) {
            self.news.take();
            return Poll::Ready(Turn::CamerasChanged);
        }
        Poll::Pending
    }

    fn obey(&mut self, text: &str) {
        let work = Work::begin();
        let faults = match Command::parse(text) {
            Ok(command) => self.carry_out(command),
            Err(message) => Faults::one(event::error("malformed_command", &message, None)),
        };
        self.ignored += faults.count;
        self.identity.front.ignore(faults.count);
        if let Some(extras) = &mut self.v2 {
            extras.events.extend(faults.told);
        }
        self.socket.charge(work.took());
    }

    /// Carries out a command; what of it could not be.
    fn carry_out(&mut self, command: Command) -> Faults {
        let v2 = self.v2.is_some();
        let unknown = match command {
            Command::Subscribe { cameras, wish } => {
                // The plain form knows no pace: the socket alone sets it.
                let wish = if v2 { wish } else { Default::default() };
                self.watched.subscribe(&cameras, wish)
            }
            Command::Unsubscribe { cameras } => {
                self.watched.unsubscribe(&cameras);
                Vec::new()
            }
            Command::Credit { add } if v2 => self.watched.add_credit(&add),
            Command::Retry { cameras } if v2 => self.watched.retry(&cameras),
            Command::Ping { t } if v2 => {
                let now = self.identity.hub.clock().now();
                if let Some(extras) = &mut self.v2 {
                    extras.events.push_back(event::pong(&t, now));
                }
                Vec::new()
            }
            Command::Credit { .. } | Command::Retry { .. } | Command::Ping { .. } => {
                return Faults::one(event::error(
                    "malformed_command",
                    "only ocelli.v2 has it",
                    None,
                ));
            }
        };
        let words = |id: &String| {
            event::error(
                "unknown_camera",
                "there is no such camera to watch",
                Some(id),
            )
        };
        Faults {
            count: unknown.len() as u64,
            told: unknown.iter().take(ERRORS_TOLD).map(words).collect(),
        }
    }
}
