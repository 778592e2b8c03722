//! Serves one connection: the TLS handshake if TLS is on, then HTTP/1.1 or HTTP/2 as the client
//! chooses. The client address, host and page origin of each request are determined before routing.
//!
//! It does not decide which connections are accepted (`accept`, `limits`).

use crate::connection::{Connection, ConnectionFacts};
use crate::counts::Refusal;
use crate::limits::Limits;
use crate::origin_policy::PublicUrl;
use crate::outgoing::{Flow, Outgoing, UNKNOWN};
use crate::plain::plain;
use crate::request::Peer;
use crate::server_state::ServerState;
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
use ocelli_core::{ChargeHandle, CpuTimer};
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

/// Concurrent requests on one HTTP/2 connection. One of the hub's pages has about a dozen in
/// flight.
const STREAMS: u32 = 64;
/// HTTP/2 flow-control windows: one stream may send a whole body of the default limit before it is
/// read, and one connection may send four such bodies.
const STREAM_WINDOW: u32 = 64 * 1024;
const CONNECTION_WINDOW: u32 = 4 * STREAM_WINDOW;
/// Interval of HTTP/2 keep-alive pings, and the time a client has to answer one.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// The routes of one port.
#[derive(Clone)]
pub struct PortRoutes {
    /// All routes.
    routes: Router,
    /// Routes for plain HTTP on a TLS port. Requests to other paths are redirected to HTTPS or
    /// refused.
    plaintext_routes: Router,
}

impl PortRoutes {
    /// Creates the routes of a port. `plaintext_routes` are also reachable without TLS on a TLS
    /// port, because a device fetches the authority's certificate before it trusts it.
    pub fn new(routes: Router, plaintext_routes: Router, server_state: Arc<ServerState>) -> Self {
        Self {
            routes,
            plaintext_routes: plaintext_routes
                .fallback_service(routing::any(redirect_to_https).with_state(server_state)),
        }
    }
}

/// Redirects a plain HTTP request on a TLS port to HTTPS. Upgrades and methods other than GET and
/// HEAD are refused.
async fn redirect_to_https(
    State(server_state): State<Arc<ServerState>>,
    Extension(peer): Extension<Peer>,
    request: Request<Body>,
) -> Response {
    let upgrade = request.headers().contains_key(UPGRADE);
    let safe = matches!(*request.method(), Method::GET | Method::HEAD);
    let target = request.uri().path_and_query();
    let target = target.map_or("/", |target| target.as_str());
    let location = peer
        .authority
        .as_deref()
        .and_then(|authority| HeaderValue::try_from(format!("https://{authority}{target}")).ok());
    match location {
        // A temporary redirect, because TLS may be switched off again.
        Some(location) if safe && !upgrade => {
            let message = "this port speaks TLS: use https";
            let response = plain(StatusCode::TEMPORARY_REDIRECT, message);
            ([(LOCATION, location)], response).into_response()
        }
        _ => {
            let reason = "this port speaks TLS: use https:// and wss://";
            if upgrade {
                server_state.refused(Refusal::Handshake, peer.remote, reason);
            }
            plain(StatusCode::BAD_REQUEST, reason)
        }
    }
}

/// Performs the TLS handshake if TLS is on, then serves HTTP until the connection ends.
pub async fn serve(
    connection: Connection,
    mut facts: ConnectionFacts,
    server_state: Arc<ServerState>,
    port_routes: PortRoutes,
) {
    let Some(tls) = server_state.tls.clone() else {
        let handler = RequestHandler::new(server_state, port_routes.routes, facts);
        return http1(connection, handler).await;
    };
    let opened = match tls.open(connection).await {
        Ok(opened) => opened,
        Err(error) => {
            tracing::debug!(peer = %facts.remote, %error, "the TLS handshake failed");
            return;
        }
    };
    facts.secure = !matches!(opened, Opened::Plain(_));
    match opened {
        Opened::Plain(connection) => {
            http1(
                connection,
                RequestHandler::new(server_state, port_routes.plaintext_routes, facts),
            )
            .await;
        }
        Opened::Http1(connection) => {
            http1(
                connection,
                RequestHandler::new(server_state, port_routes.routes, facts),
            )
            .await;
        }
        Opened::Http2(connection) => {
            http2(
                connection,
                RequestHandler::new(server_state, port_routes.routes, facts),
            )
            .await;
        }
    }
}

/// Returns an HTTP/1.1 server builder with the limits that apply on every port.
pub fn bounded(limits: &Limits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_header_size(limits.header_size)
        .max_buf_size(limits.header_size.max(64 * 1024));
    builder
}

async fn http1(connection: Connection, handler: RequestHandler) {
    let (server_state, remote) = (handler.server_state.clone(), handler.connection.remote);
    let requests = handler.requests.clone();
    let http = bounded(&server_state.limits)
        .serve_connection(TokioIo::new(connection), handler)
        .with_upgrades();
    if let Err(error) = http.await {
        server_state.connection_failed(remote, requests.count.load(Relaxed) > 0, &error);
    }
}

async fn http2(connection: Connection, handler: RequestHandler) {
    let (server_state, remote) = (handler.server_state.clone(), handler.connection.remote);
    let (limits, requests) = (&server_state.limits, handler.requests.clone());
    let header_size = u32::try_from(limits.header_size).unwrap_or(u32::MAX);
    let streams = Streams::new(server_state.tasks.clone());
    let handler = Http2Handler {
        handler,
        streams: streams.clone(),
    };
    // h2 limits the rest itself: streams that are reset before they are accepted, frames of one
    // header, and replies to PING and SETTINGS, of which it holds one at a time.
    let http = hyper::server::conn::http2::Builder::new(streams)
        .timer(TokioTimer::new())
        .max_header_list_size(header_size)
        .max_concurrent_streams(STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        // With this, a body is polled for its next chunk only after the last one has left the
        // stream's buffer, so that a frame is chosen late. hyper's default of 400 KB is seconds
        // of video.
        .max_send_buf_size(1)
        .keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE)
        .serve_connection(TokioIo::new(connection), handler);
    let mut http = pin!(http);
    // hyper has no header timeout for HTTP/2. A client that sends no request within the timeout
    // is disconnected.
    let (mut waiting, mut timeout) = (true, pin!(sleep(limits.header_timeout)));
    loop {
        tokio::select! {
            ended = http.as_mut() => {
                if let Err(error) = ended {
                    server_state.connection_failed(remote, requests.count.load(Relaxed) > 0, &error);
                }
                return;
            }
            () = requests.received.notified() => {
                waiting = false;
                if requests.count.load(Relaxed) >= limits.requests_per_connection {
                    http.as_mut().graceful_shutdown();
                }
            }
            () = timeout.as_mut(), if waiting => return,
        }
    }
}

/// Runs the streams of HTTP/2 connections as tasks that server shutdown waits for. Ends a stream
/// whose client reads nothing: dropping the task resets the stream.
#[derive(Clone)]
struct Streams {
    tasks: TaskTracker,
    /// The flow of the request that was accepted last. hyper starts the task of each request
    /// before it accepts the next.
    last_accepted: Arc<Mutex<Option<Arc<Flow>>>>,
}

impl Streams {
    fn new(tasks: TaskTracker) -> Self {
        Self {
            tasks,
            last_accepted: Arc::default(),
        }
    }

    fn last_accepted(&self) -> MutexGuard<'_, Option<Arc<Flow>>> {
        self.last_accepted
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl<F: Future<Output: Send> + Send + 'static> hyper::rt::Executor<F> for Streams {
    fn execute(&self, stream: F) {
        let Some(flow) = self.last_accepted().take() else {
            self.tasks.spawn(async move { drop(stream.await) });
            return;
        };
        self.tasks.spawn(async move {
            tokio::select! {
                _ = stream => {}
                () = flow.stalled() => tracing::debug!("reset a stalled HTTP/2 stream"),
            }
        });
    }
}

/// The requests on one connection: their number, and a notification of each.
#[derive(Default)]
struct Requests {
    count: AtomicU64,
    received: Notify,
}

/// Answers the requests of one connection.
#[derive(Clone)]
struct RequestHandler {
    server_state: Arc<ServerState>,
    router: Router,
    connection: ConnectionFacts,
    requests: Arc<Requests>,
}

impl RequestHandler {
    fn new(server_state: Arc<ServerState>, router: Router, connection: ConnectionFacts) -> Self {
        Self {
            server_state,
            router,
            connection,
            requests: Arc::default(),
        }
    }

    /// Determines the client address, the host and the page origin of a request.
    fn identify(&self, request: &Request<Incoming>) -> Result<Peer, (StatusCode, String)> {
        let (server_state, mut peer) = (&self.server_state, Peer::over(&self.connection));
        let (version, uri, headers) = (request.version(), request.uri(), request.headers());
        let default_secure = server_state
            .origin_policy
            .public()
            .map(PublicUrl::is_secure);
        server_state
            .proxies
            .apply(&mut peer, headers, default_secure);
        match server_state
            .origin_policy
            .identify(version, uri, headers, &mut peer)
        {
            Ok(()) => Ok(peer),
            Err((status, reason)) => {
                server_state.refused(Refusal::Host, peer.remote, &reason);
                Err((status, reason))
            }
        }
    }

    /// Answers a request once the unread responses of its client leave room for another.
    async fn answer(
        self,
        request: Request<Incoming>,
        last: bool,
        flow: Option<Arc<Flow>>,
    ) -> http::Response<Outgoing> {
        let peer_result = self.identify(&request);
        let client = peer_result
            .as_ref()
            .map_or(self.connection.remote, |peer| peer.remote);
        let account = self.server_state.outgoing.of(client.ip());
        // An upgrade has no response body; a whole fleet of devices may connect at once.
        let expected = match request.headers().contains_key(UPGRADE) {
            true => 0,
            false => UNKNOWN,
        };
        let (response, entered) = match (peer_result, account.enter(expected).await) {
            (_, Err(_)) => (unread_responses(), account.hold_none()),
            (Err((status, reason)), Ok(entered)) => (plain(status, &reason), entered),
            (Ok(peer), Ok(entered)) => (self.route(request, peer, last).await, entered),
        };
        Outgoing::of(response, entered, flow)
    }

    async fn route(mut self, request: Request<Incoming>, peer: Peer, last: bool) -> Response {
        let origin = peer.origin.allowed().cloned();
        let is_preflight = request.method() == Method::OPTIONS
            && request
                .headers()
                .contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        // HTTP/2 signals this with GOAWAY instead.
        let closes = last && request.version() <= Version::HTTP_11;
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(peer);
        request.extensions_mut().insert(self.connection);
        let mut response = if is_preflight {
            preflight(origin.is_some())
        } else {
            let Ok(response) = self.router.call(request).await;
            response
        };
        let upgrades = response.status() == StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        if closes && !upgrades {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if let Some(origin) = origin {
            // A page that may open sockets here may also read their responses.
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.append(VARY, HeaderValue::from_static("Origin"));
        }
        if headers.contains_key(CONTENT_SECURITY_POLICY) {
            headers.append(CONTENT_SECURITY_POLICY, self.server_state.framing.clone());
        }
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        response
    }
}

type ResponseFuture = Charged<Result<http::Response<Outgoing>, Infallible>>;

impl RequestHandler {
    fn start(&self, request: Request<Incoming>, flow: Option<Arc<Flow>>) -> ResponseFuture {
        let count = self.requests.count.fetch_add(1, Relaxed) + 1;
        let last = count >= self.server_state.limits.requests_per_connection;
        self.requests.received.notify_one();
        let (handler, charge_handle) = (self.clone(), self.connection.charge_handle.clone());
        Charged::new(
            async move { Ok(handler.answer(request, last, flow).await) },
            charge_handle,
        )
    }
}

/// The response to a request. The CPU time of producing it is charged to the budget of its
/// connection.
pub struct Charged<T> {
    response: Pin<Box<dyn Future<Output = T> + Send>>,
    charge_handle: ChargeHandle,
}

impl<T> Charged<T> {
    /// Charges the CPU time of `response` to `charge_handle`.
    pub fn new(
        response: impl Future<Output = T> + Send + 'static,
        charge_handle: ChargeHandle,
    ) -> Self {
        Self {
            response: Box::pin(response),
            charge_handle,
        }
    }
}

impl<T> Future for Charged<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let timer = CpuTimer::start();
        let polled = self.response.as_mut().poll(cx);
        self.charge_handle.charge(timer.elapsed());
        polled
    }
}

impl hyper::service::Service<Request<Incoming>> for RequestHandler {
    type Response = http::Response<Outgoing>;
    type Error = Infallible;
    type Future = ResponseFuture;

    fn call(&self, request: Request<Incoming>) -> ResponseFuture {
        self.start(request, None)
    }
}

/// Answers the requests of one HTTP/2 connection. Its streams have a stall timeout.
struct Http2Handler {
    handler: RequestHandler,
    streams: Streams,
}

impl hyper::service::Service<Request<Incoming>> for Http2Handler {
    type Response = http::Response<Outgoing>;
    type Error = Infallible;
    type Future = ResponseFuture;

    fn call(&self, request: Request<Incoming>) -> ResponseFuture {
        let flow = Arc::<Flow>::default();
        *self.streams.last_accepted() = Some(flow.clone());
        self.handler.start(request, Some(flow))
    }
}

/// The response to a client that does not read its earlier responses.
fn unread_responses() -> Response {
    let message = "too many responses to this address are unread, and more would fill the hub's \
                   memory; read those first";
    let headers = [(RETRY_AFTER, "10")];
    (headers, plain(StatusCode::SERVICE_UNAVAILABLE, message)).into_response()
}

/// The response to a CORS preflight request. Requests with cookies are never allowed.
fn preflight(allowed: bool) -> Response {
    if !allowed {
        let message = "pages from this origin may not call this hub";
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
