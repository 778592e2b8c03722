//! The one port: accepts connections, checks whom they mean, and hands them to
//! the routes. `run` ends when it is told to, whatever connections stay open.

use crate::answer::plain;
use crate::connection::{Connection, Peer};
use crate::gate::PublicUrl;
use crate::site::Site;
use crate::tls::{self, Opened};
use crate::visitor::rounds;
use crate::{api, sinks, ui};
use axum::body::Body;
use axum::extract::Extension;
use axum::response::{IntoResponse, Response};
use axum::{Router, routing};
use http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_SECURITY_POLICY, HeaderValue, LOCATION, REFERRER_POLICY,
    UPGRADE, VARY, X_CONTENT_TYPE_OPTIONS,
};
use http::{Method, Request, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use ocelli_core::State;
use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio_util::task::TaskTracker;
use tower_service::Service;

/// A request's header must be whole in this time.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest request header.
const HEADER_LIMIT: usize = 32 * 1024;
/// The requests of one HTTP/2 connection that are answered at once.
const STREAMS: u32 = 128;
/// How often an HTTP/2 client is asked whether it is still there, and how long it may
/// take to answer.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// For the cameras to be taken leave of: one that is not told keeps its session
/// for a minute, and may allow no more than one.
const FAREWELL: Duration = Duration::from_millis(200);
/// How long connections may take to say goodbye.
const GOODBYE: Duration = Duration::from_millis(500);

/// All routes.
fn routes(site: Arc<Site>) -> Router {
    Router::new()
        .merge(sinks::routes())
        .merge(api::routes(&site))
        .merge(tls::routes())
        .fallback(ui::serve)
        .with_state(site)
}

/// What is answered to plain HTTP where TLS is spoken: the certificate authority, which
/// a device fetches before it trusts it, and for all else the way.
fn signpost(site: Arc<Site>) -> Router {
    tls::routes().fallback(routing::any(point)).with_state(site)
}

async fn point(Extension(peer): Extension<Peer>, request: Request<Body>) -> Response {
    let upgrade = request.headers().contains_key(UPGRADE);
    let safe = matches!(*request.method(), Method::GET | Method::HEAD);
    let target = request
        .uri()
        .path_and_query()
        .map_or("/", |target| target.as_str());
    let there = peer
        .authority
        .as_deref()
        .and_then(|authority| HeaderValue::try_from(format!("https://{authority}{target}")).ok());
    match there {
        Some(there) if safe && !upgrade => {
            let words = plain(
                StatusCode::TEMPORARY_REDIRECT,
                "this port speaks TLS: use https",
            );
            ([(LOCATION, there)], words).into_response()
        }
        _ => {
            let reason = "this port speaks TLS: use https:// and wss://";
            tracing::warn!(peer = %peer.remote, path = request.uri().path(), reason, "refused a request");
            plain(StatusCode::BAD_REQUEST, reason)
        }
    }
}

/// Serves `site` on `listener` until `shutdown` is ready, then ends every source
/// and every connection.
pub async fn run(listener: TcpListener, site: Arc<Site>, shutdown: impl Future<Output = ()>) {
    let doors = Doors {
        routes: routes(site.clone()),
        signpost: signpost(site.clone()),
    };
    site.tasks.spawn(rounds(site.clone()));
    tokio::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => accept(stream, &site, &doors),
            Err(error) => wait_out(&error).await,
        }
    }
    drop(listener);
    site.stopping.cancel();
    let awake = site
        .hub
        .cameras()
        .iter()
        .any(|camera| camera.status().state != State::Idle);
    site.hub.stop();
    site.tasks.close();
    let farewell = async {
        if awake {
            tokio::time::sleep(FAREWELL).await;
        }
    };
    // Tasks that don't end by then end with the runtime.
    let goodbye = tokio::time::timeout(GOODBYE, site.tasks.wait());
    let _ = tokio::join!(goodbye, farewell);
}

/// A connection that failed before it was accepted says nothing about the next;
/// a lack of descriptors needs time to pass.
async fn wait_out(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    if !matches!(
        error.kind(),
        ConnectionAborted | ConnectionReset | Interrupted
    ) {
        tracing::error!(%error, "can't accept connections; trying again");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn accept(stream: TcpStream, site: &Arc<Site>, doors: &Doors) {
    let (connection, peer) = match Connection::new(stream) {
        Ok(accepted) => accepted,
        Err(error) => {
            tracing::debug!(%error, "a client left at once");
            return;
        }
    };
    let conversation = converse(connection, peer, site.clone(), doors.clone());
    let stopping = site.stopping.clone();
    site.tasks.spawn(async move {
        tokio::select! {
            () = conversation => {}
            () = stopping.cancelled() => {}
        }
    });
}

/// Whom connections lead to.
#[derive(Clone)]
struct Doors {
    /// All that there is.
    routes: Router,
    /// For who speaks plain HTTP where TLS is spoken: the way to it.
    signpost: Router,
}

/// Opens a connection and answers what comes over it, until it ends.
async fn converse(connection: Connection, mut peer: Peer, site: Arc<Site>, doors: Doors) {
    let Some(tls) = site.tls.clone() else {
        let service = Answering::new(site, doors.routes, peer);
        return http1(connection, service).await;
    };
    let remote = peer.remote;
    match tls.open(connection).await {
        Ok(Opened::Plain(connection)) => {
            http1(connection, Answering::new(site, doors.signpost, peer)).await;
        }
        Ok(Opened::Http1(connection)) => {
            peer.secure = true;
            http1(connection, Answering::new(site, doors.routes, peer)).await;
        }
        Ok(Opened::Http2(connection)) => {
            peer.secure = true;
            http2(connection, Answering::new(site, doors.routes, peer)).await;
        }
        Err(error) => tracing::debug!(peer = %remote, %error, "no TLS handshake"),
    }
}

async fn http1(connection: Connection, service: Answering) {
    let http = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_header_size(HEADER_LIMIT)
        .max_buf_size(64 * 1024)
        .serve_connection(TokioIo::new(connection), service)
        .with_upgrades();
    if let Err(error) = http.await {
        tracing::debug!(%error, "a connection broke off");
    }
}

async fn http2(connection: Connection, service: Answering) {
    let asked = service.asked.clone();
    let streams = Tracked(service.site.tasks.clone());
    let http = hyper::server::conn::http2::Builder::new(streams)
        .timer(TokioTimer::new())
        .max_header_list_size(HEADER_LIMIT as u32)
        .max_concurrent_streams(STREAMS)
        // An answer's next piece is asked for when the last has left the stream's
        // buffer, so that a picture is chosen late; hyper's own 400 KB are seconds.
        .max_send_buf_size(1)
        .keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE)
        .serve_connection(TokioIo::new(connection), service);
    // hyper times no header here; who asks nothing in that time has nothing to ask.
    let silence = async {
        if tokio::time::timeout(HEADER_TIMEOUT, asked.notified())
            .await
            .is_ok()
        {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        ended = http => {
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection broke off");
            }
        }
        () = silence => {}
    }
}

/// Starts the streams of HTTP/2 connections as tasks that the server's end waits for.
#[derive(Clone)]
struct Tracked(TaskTracker);

impl<F: Future<Output: Send> + Send + 'static> hyper::rt::Executor<F> for Tracked {
    fn execute(&self, stream: F) {
        self.0.spawn(stream);
    }
}

/// Answers the requests of one connection.
#[derive(Clone)]
struct Answering {
    site: Arc<Site>,
    router: Router,
    peer: Peer,
    /// Told at each request.
    asked: Arc<Notify>,
}

impl Answering {
    fn new(site: Arc<Site>, router: Router, peer: Peer) -> Self {
        Self {
            site,
            router,
            peer,
            asked: Arc::default(),
        }
    }

    async fn answer(mut self, request: Request<hyper::body::Incoming>) -> Response {
        let (site, mut peer) = (self.site, self.peer);
        let (version, uri, headers) = (request.version(), request.uri(), request.headers());
        let usually = site.gate.public().map(PublicUrl::is_secure);
        site.proxies.look_behind(&mut peer, headers, usually);
        let authority = match site.gate.check_host(version, uri, headers, &peer) {
            Ok(authority) => authority.map(Arc::from),
            Err(reason) => {
                tracing::warn!(peer = %peer.remote, %reason, "refused a request");
                return plain(StatusCode::FORBIDDEN, &reason);
            }
        };
        peer.authority = authority;
        let origin = site.gate.allowed_origin(headers, &peer).cloned();
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(peer);
        let Ok(mut response) = self.router.call(request).await;
        let headers = response.headers_mut();
        if let Some(origin) = origin {
            // Whoever may open sockets here may read what they would be told.
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.append(VARY, HeaderValue::from_static("Origin"));
        }
        if headers.contains_key(CONTENT_SECURITY_POLICY) {
            headers.append(CONTENT_SECURITY_POLICY, site.framing.clone());
        }
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        response
    }
}

impl hyper::service::Service<Request<hyper::body::Incoming>> for Answering {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn call(&self, request: Request<hyper::body::Incoming>) -> Self::Future {
        self.asked.notify_one();
        let answering = self.clone();
        Box::pin(async move { Ok(answering.answer(request).await) })
    }
}
