//! The one port: accepts connections, checks whom they mean, and hands them to
//! the routes. `run` ends when it is told to, whatever connections stay open.

use crate::answer::plain;
use crate::connection::Connection;
use crate::site::Site;
use crate::visitor::rounds;
use crate::{api, sinks, telemetry, ui};
use axum::Router;
use axum::body::Body;
use http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use http::{Request, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use ocelli_core::State;
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tower_service::Service;

/// A request's header must be whole in this time.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest request header.
const HEADER_LIMIT: usize = 32 * 1024;
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
    let (connection, peer) = match Connection::new(stream) {
        Ok(accepted) => accepted,
        Err(error) => {
            tracing::debug!(%error, "a client left at once");
            return;
        }
    };
    let router = router.clone();
    let served = site.clone();
    let service = hyper::service::service_fn(move |request: Request<hyper::body::Incoming>| {
        let (site, mut router, peer) = (served.clone(), router.clone(), peer.clone());
        async move {
            let (version, uri, headers) = (request.version(), request.uri(), request.headers());
            if let Err(reason) = site.gate.check_host(version, uri, headers, &peer) {
                tracing::warn!(peer = %peer.remote, %reason, "refused a request");
                return Ok(plain(StatusCode::FORBIDDEN, &reason));
            }
            let origin = site.gate.allowed_origin(headers, &peer).cloned();
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(peer);
            let Ok(mut response) = router.call(request).await;
            let headers = response.headers_mut();
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
        .header_read_timeout(HEADER_TIMEOUT)
        .max_header_size(HEADER_LIMIT)
        .max_buf_size(64 * 1024)
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
