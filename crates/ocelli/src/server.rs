//! The one port: accepts connections, checks whom they mean, and hands them to
//! the routes. `run` ends when it is told to, whatever connections stay open.

use crate::answer::plain;
use crate::connection::Connection;
use crate::counts::Refusal;
use crate::limits::Full;
use crate::site::Site;
use crate::visitor::rounds;
use crate::{api, sinks, telemetry, ui};
use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, CONNECTION, HeaderValue,
    REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use http::{Method, Request, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use ocelli_core::State;
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tower_service::Service;

/// For the cameras to be taken leave of: one that is not told keeps its session
/// for a minute, and may allow no more than one.
const FAREWELL: Duration = Duration::from_millis(200);
/// How long connections may take to say goodbye.
const GOODBYE: Duration = Duration::from_millis(500);

/// All routes.
fn routes(site: Arc<Site>) -> Router {
    Router::new()
        .merge(sinks::routes())
        .merge(telemetry::routes())
        .merge(api::routes(&site))
        .fallback(ui::serve)
        .with_state(site)
}

/// Serves `site` on `listener` until `shutdown` is ready, then ends every source
/// and every connection.
pub async fn run(listener: TcpListener, site: Arc<Site>, shutdown: impl Future<Output = ()>) {
    let router = routes(site.clone());
    site.tasks.spawn(rounds(site.clone()));
    tokio::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => accept(stream, &site, &router),
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
    site.telemetry.stop().await;
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

/// A connection that failed before it was accepted says nothing about the next;
/// a lack of descriptors needs time to pass.
pub async fn wait_out(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    if !matches!(
        error.kind(),
        ConnectionAborted | ConnectionReset | Interrupted
    ) {
        tracing::error!(%error, "can't accept connections; trying again");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Serves one connection, in a task of its own on the runtime that calls.
pub fn accept(stream: TcpStream, site: &Arc<Site>, router: &Router) {
    let (mut connection, peer) = match Connection::new(stream) {
        Ok(accepted) => accepted,
        Err(error) => {
            tracing::debug!(%error, "a client left at once");
            return;
        }
    };
    match site.doorkeeper.enter(peer.remote.ip()) {
        Ok(place) => connection.keep(place),
        Err(full) => {
            site.refused(Refusal::Connections, &peer, full.message());
            return turn_away(connection, full, site);
        }
    }
    let router = router.clone();
    let served = site.clone();
    let asked = Arc::new(AtomicU64::new(0));
    let service = hyper::service::service_fn(move |request: Request<hyper::body::Incoming>| {
        let (site, mut router, peer) = (served.clone(), router.clone(), peer.clone());
        let last = asked.fetch_add(1, Relaxed) + 1 >= site.limits.requests_per_connection;
        async move {
            let (version, uri, headers) = (request.version(), request.uri(), request.headers());
            if let Err(reason) = site.gate.check_host(version, uri, headers, &peer) {
                site.refused(Refusal::Host, &peer, &reason);
                return Ok(plain(StatusCode::FORBIDDEN, &reason));
            }
            let origin = site.gate.allowed_origin(headers, &peer).cloned();
            let asks_first = request.method() == Method::OPTIONS
                && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(peer);
            let mut response = if asks_first {
                preflight(origin.is_some())
            } else {
                let Ok(response) = router.call(request).await;
                response
            };
            let upgrades = response.status() == StatusCode::SWITCHING_PROTOCOLS;
            let headers = response.headers_mut();
            if last && !upgrades {
                headers.insert(CONNECTION, HeaderValue::from_static("close"));
            }
            if let Some(origin) = origin {
                // Whoever may open sockets here may read what they would be told.
                headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
                headers.append(VARY, HeaderValue::from_static("Origin"));
            }
            headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
            headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
            Ok::<_, Infallible>(response)
        }
    });
    let http = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(site.limits.header_timeout)
        .max_header_size(site.limits.header_size)
        .max_buf_size(site.limits.header_size.max(64 * 1024))
        .serve_connection(TokioIo::new(connection), service)
        .with_upgrades();
    let stopping = site.stopping.clone();
    site.tasks.spawn(async move {
        tokio::select! {
            ended = http => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "a connection broke off");
                }
            }
            () = stopping.cancelled() => {}
        }
    });
}

/// Tells a client that it is one too many. It has a moment to take it; the task ends
/// with it, so those who are turned away are not many at a time.
fn turn_away(mut connection: Connection, full: Full, site: &Site) {
    let words = full.message();
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Length: {}\r\nRetry-After: 10\r\nConnection: close\r\n\r\n{words}\n",
        words.len() + 1
    );
    site.tasks.spawn(async move {
        let told = async {
            connection.write_all(answer.as_bytes()).await?;
            connection.shutdown().await
        };
        let _ = tokio::time::timeout(FAREWELL, told).await;
    });
}
