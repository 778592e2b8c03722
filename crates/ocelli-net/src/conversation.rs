//! One connection's conversation: the handshake, if there is TLS; HTTP/1.1 or HTTP/2,
//! as the client speaks; and what is settled for each request before it reaches a route:
//! who asks, for which host, from a page of which origin.
//!
//! What does not belong here: which connections there may be (`server`, `limits`).

use crate::connection::{Connection, ConnectionFacts};
use crate::counts::Refusal;
use crate::front::Front;
use crate::limits::Limits;
use crate::origin_policy::PublicUrl;
use crate::outgoing::{Flow, Outgoing, UNKNOWN};
use crate::plain::plain;
use crate::request::Peer;
use crate::tls::Opened;
use axum::body::Body;
use axum::extract::{Extension, State};
use axum::response::{IntoResponse, Response};
use axum::{Router, routing};
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, CONNECTION, CONTENT_SECURITY_POLICY,
    HeaderValue, LOCATION, REFERRER_POLICY, RETRY_AFTER, UPGRADE, VARY, X_CONTENT_TYPE_OPTIONS,
};
use http::{Method, Request, StatusCode, Version};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use ocelli_core::{Tab, Work};
use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::sleep;
use tokio_util::task::TaskTracker;
use tower_service::Service;

/// The requests of one HTTP/2 connection that are answered at once. A page of ours has a
/// dozen under way.
const STREAMS: u32 = 64;
/// What an HTTP/2 client may send ahead of being read: on one stream a whole body of the
/// usual limit, on all of a connection a few of them.
const STREAM_WINDOW: u32 = 64 * 1024;
const CONNECTION_WINDOW: u32 = 4 * STREAM_WINDOW;
/// How often an HTTP/2 client is asked whether it is still there, and how long it may
/// take to answer.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// Whom connections lead to.
#[derive(Clone)]
pub struct PortRoutes {
    /// All that there is.
    routes: Router,
    /// For who speaks plain HTTP where TLS is spoken: the way to it.
    plaintext_routes: Router,
}

impl PortRoutes {
    /// To these routes. Of them `plaintext_routes` is also reached without TLS where TLS is spoken: a
    /// device fetches the authority before it trusts it.
    pub fn new(routes: Router, plaintext_routes: Router, front: Arc<Front>) -> Self {
        Self {
            routes,
            plaintext_routes: plaintext_routes
                .fallback_service(routing::any(point).with_state(front)),
        }
    }
}

/// Points to the encrypted side of this port.
async fn point(
    State(front): State<Arc<Front>>,
    Extension(peer): Extension<Peer>,
    request: Request<Body>,
) -> Response {
    let upgrade = request.headers().contains_key(UPGRADE);
    let safe = matches!(*request.method(), Method::GET | Method::HEAD);
    let target = request.uri().path_and_query();
    let target = target.map_or("/", |target| target.as_str());
    let there = peer
        .authority
        .as_deref()
        .and_then(|authority| HeaderValue::try_from(format!("https://{authority}{target}")).ok());
    match there {
        // Not for ever: TLS may be switched off again.
        Some(there) if safe && !upgrade => {
            let words = "this port speaks TLS: use https";
            let words = plain(StatusCode::TEMPORARY_REDIRECT, words);
            ([(LOCATION, there)], words).into_response()
        }
        _ => {
            let reason = "this port speaks TLS: use https:// and wss://";
            if upgrade {
                front.refused(Refusal::Handshake, peer.remote, reason);
            }
            plain(StatusCode::BAD_REQUEST, reason)
        }
    }
}

/// Opens a connection and answers what comes over it, until it ends.
pub async fn converse(
    connection: Connection,
    mut facts: ConnectionFacts,
    front: Arc<Front>,
    port_routes: PortRoutes,
) {
    let Some(tls) = front.tls.clone() else {
        let answering = Answering::new(front, port_routes.routes, facts);
        return http1(connection, answering).await;
    };
    let opened = match tls.open(connection).await {
        Ok(opened) => opened,
        Err(error) => {
            tracing::debug!(peer = %facts.remote, %error, "no TLS handshake");
            return;
        }
    };
    facts.secure = !matches!(opened, Opened::Plain(_));
    match opened {
        Opened::Plain(connection) => {
            http1(
                connection,
                Answering::new(front, port_routes.plaintext_routes, facts),
            )
            .await;
        }
        Opened::Http1(connection) => {
            http1(connection, Answering::new(front, port_routes.routes, facts)).await;
        }
        Opened::Http2(connection) => {
            http2(connection, Answering::new(front, port_routes.routes, facts)).await;
        }
    }
}

/// HTTP/1.1 with the bounds that hold on every port.
pub fn bounded(limits: &Limits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_header_size(limits.header_size)
        .max_buf_size(limits.header_size.max(64 * 1024));
    builder
}

async fn http1(connection: Connection, answering: Answering) {
    let (front, remote) = (answering.front.clone(), answering.connection.remote);
    let asked = answering.asked.clone();
    let http = bounded(&front.limits)
        .serve_connection(TokioIo::new(connection), answering)
        .with_upgrades();
    if let Err(error) = http.await {
        front.broke_off(remote, asked.count.load(Relaxed) > 0, &error);
    }
}

async fn http2(connection: Connection, answering: Answering) {
    let (front, remote) = (answering.front.clone(), answering.connection.remote);
    let (limits, asked) = (&front.limits, answering.asked.clone());
    let header_size = u32::try_from(limits.header_size).unwrap_or(u32::MAX);
    let streams = Streams::new(front.tasks.clone());
    let answering = OverHttp2 {
        answering,
        streams: streams.clone(),
    };
    // h2 bounds the rest by itself: streams that are reset before they are taken up, frames
    // of one header, and answers to PING and SETTINGS, of which one is held at a time.
    let http = hyper::server::conn::http2::Builder::new(streams)
        .timer(TokioTimer::new())
        .max_header_list_size(header_size)
        .max_concurrent_streams(STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        // An answer's next piece is asked for when the last has left the stream's
        // buffer, so that a picture is chosen late; hyper's own 400 KB are seconds.
        .max_send_buf_size(1)
        .keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE)
        .serve_connection(TokioIo::new(connection), answering);
    let mut http = pin!(http);
    // hyper times no header here; who asks nothing in that time has nothing to ask.
    let (mut silent, mut silence) = (true, pin!(sleep(limits.header_timeout)));
    loop {
        tokio::select! {
            ended = http.as_mut() => {
                if let Err(error) = ended {
                    front.broke_off(remote, asked.count.load(Relaxed) > 0, &error);
                }
                return;
            }
            () = asked.told.notified() => {
                silent = false;
                if asked.count.load(Relaxed) >= limits.requests_per_connection {
                    http.as_mut().graceful_shutdown();
                }
            }
            () = silence.as_mut(), if silent => return,
        }
    }
}

/// Starts the streams of HTTP/2 connections as tasks that the server's end waits for, and
/// ends those whose client takes nothing: a stream is reset when its task is dropped.
#[derive(Clone)]
struct Streams {
    tasks: TaskTracker,
    /// The flow of the request that was taken up last: hyper starts the task of each
    /// before it takes up the next.
    taken_up: Arc<Mutex<Option<Arc<Flow>>>>,
}

impl Streams {
    fn new(tasks: TaskTracker) -> Self {
        Self {
            tasks,
            taken_up: Arc::default(),
        }
    }

    fn taken_up(&self) -> MutexGuard<'_, Option<Arc<Flow>>> {
        self.taken_up.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<F: Future<Output: Send> + Send + 'static> hyper::rt::Executor<F> for Streams {
    fn execute(&self, stream: F) {
        let Some(flow) = self.taken_up().take() else {
            self.tasks.spawn(async move { drop(stream.await) });
            return;
        };
        self.tasks.spawn(async move {
            tokio::select! {
                _ = stream => {}
                () = flow.stalled() => tracing::debug!("an HTTP/2 stream takes nothing"),
            }
        });
    }
}

/// The requests that came over one connection.
#[derive(Default)]
struct Asked {
    count: AtomicU64,
    told: Notify,
}

/// Answers the requests of one connection.
#[derive(Clone)]
struct Answering {
    front: Arc<Front>,
    router: Router,
    connection: ConnectionFacts,
    asked: Arc<Asked>,
}

impl Answering {
    fn new(front: Arc<Front>, router: Router, connection: ConnectionFacts) -> Self {
        Self {
            front,
            router,
            connection,
            asked: Arc::default(),
        }
    }

    /// Settles who asks, for which host, from which page.
    fn settle(&self, request: &Request<Incoming>) -> Result<Peer, (StatusCode, String)> {
        let (front, mut peer) = (&self.front, Peer::over(&self.connection));
        let (version, uri, headers) = (request.version(), request.uri(), request.headers());
        let usually = front.origin_policy.public().map(PublicUrl::is_secure);
        front.proxies.look_behind(&mut peer, headers, usually);
        match front.origin_policy.settle(version, uri, headers, &mut peer) {
            Ok(()) => Ok(peer),
            Err((status, reason)) => {
                front.refused(Refusal::Host, peer.remote, &reason);
                Err((status, reason))
            }
        }
    }

    /// Answers a request once what its client has not taken leaves room for it.
    async fn answer(
        self,
        request: Request<Incoming>,
        last: bool,
        flow: Option<Arc<Flow>>,
    ) -> http::Response<Outgoing> {
        let settled = self.settle(&request);
        let client = settled
            .as_ref()
            .map_or(self.connection.remote, |peer| peer.remote);
        let account = self.front.outgoing.of(client.ip());
        // What becomes a socket has no body: a fleet may come at once.
        let expected = match request.headers().contains_key(UPGRADE) {
            true => 0,
            false => UNKNOWN,
        };
        let (response, entered) = match (settled, account.enter(expected).await) {
            (_, Err(_)) => (untaken(), account.hold_nothing()),
            (Err((status, reason)), Ok(entered)) => (plain(status, &reason), entered),
            (Ok(peer), Ok(entered)) => (self.route(request, peer, last).await, entered),
        };
        Outgoing::of(response, entered, flow)
    }

    async fn route(mut self, request: Request<Incoming>, peer: Peer, last: bool) -> Response {
        let origin = peer.origin.allowed().cloned();
        let asks_first = request.method() == Method::OPTIONS
            && request
                .headers()
                .contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        // HTTP/2 says it otherwise.
        let says_last = last && request.version() <= Version::HTTP_11;
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(peer);
        request.extensions_mut().insert(self.connection);
        let mut response = if asks_first {
            preflight(origin.is_some())
        } else {
            let Ok(response) = self.router.call(request).await;
            response
        };
        let upgrades = response.status() == StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        if says_last && !upgrades {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if let Some(origin) = origin {
            // Whoever may open sockets here may read what they would be told.
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.append(VARY, HeaderValue::from_static("Origin"));
        }
        if headers.contains_key(CONTENT_SECURITY_POLICY) {
            headers.append(CONTENT_SECURITY_POLICY, self.front.framing.clone());
        }
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        response
    }
}

type Answered = Charged<Result<http::Response<Outgoing>, Infallible>>;

impl Answering {
    fn begin(&self, request: Request<Incoming>, flow: Option<Arc<Flow>>) -> Answered {
        let count = self.asked.count.fetch_add(1, Relaxed) + 1;
        let last = count >= self.front.limits.requests_per_connection;
        self.asked.told.notify_one();
        let (answering, tab) = (self.clone(), self.connection.tab.clone());
        Charged::new(
            async move { Ok(answering.answer(request, last, flow).await) },
            tab,
        )
    }
}

/// The answer to a request, charged to the budget of its connection for the time it takes.
pub struct Charged<T> {
    answer: Pin<Box<dyn Future<Output = T> + Send>>,
    tab: Tab,
}

impl<T> Charged<T> {
    /// Charges what `answer` takes.
    pub fn new(answer: impl Future<Output = T> + Send + 'static, tab: Tab) -> Self {
        Self {
            answer: Box::pin(answer),
            tab,
        }
    }
}

impl<T> Future for Charged<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let work = Work::begin();
        let polled = self.answer.as_mut().poll(cx);
        self.tab.charge(work.took());
        polled
    }
}

impl hyper::service::Service<Request<Incoming>> for Answering {
    type Response = http::Response<Outgoing>;
    type Error = Infallible;
    type Future = Answered;

    fn call(&self, request: Request<Incoming>) -> Answered {
        self.begin(request, None)
    }
}

/// Answers the requests of one HTTP/2 connection, whose streams are timed.
struct OverHttp2 {
    answering: Answering,
    streams: Streams,
}

impl hyper::service::Service<Request<Incoming>> for OverHttp2 {
    type Response = http::Response<Outgoing>;
    type Error = Infallible;
    type Future = Answered;

    fn call(&self, request: Request<Incoming>) -> Answered {
        let flow = Arc::<Flow>::default();
        *self.streams.taken_up() = Some(flow.clone());
        self.answering.begin(request, Some(flow))
    }
}

/// What a client is told that leaves its earlier answers where they are.
fn untaken() -> Response {
    let message = "this address has not taken its earlier answers, and more would fill the \
                   hub's memory; read those first";
    let headers = [(RETRY_AFTER, "10")];
    (headers, plain(StatusCode::SERVICE_UNAVAILABLE, message)).into_response()
}

/// What a browser is told that asks, before a page's request to another origin,
/// whether it may send it (CORS). With cookies it may not, from wherever.
fn preflight(allowed: bool) -> Response {
    if !allowed {
        let message = "pages of this origin may not call this hub";
        return plain(StatusCode::FORBIDDEN, message);
    }
    let headers = [
        (
            ACCESS_CONTROL_ALLOW_METHODS,
            "GET, POST, PUT, PATCH, DELETE",
        ),
        (ACCESS_CONTROL_ALLOW_HEADERS, "authorization, content-type"),
        (ACCESS_CONTROL_MAX_AGE, "600"),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}
