//! A camera's two own ports, on which a page written for JSMpeg's usual pair of servers
//! runs unmodified: one for the page and its decoder, one for the video.

use super::stream::Form;
use super::viewer::{self, ViewerOptions};
use crate::config::JsmpegPorts;
use crate::pages;
use crate::sinks::changes::ViewingPermission;
use crate::visitor::{Identity, Visitor};
use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::response::Response;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HOST, LOCATION, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use ocelli_core::{Camera, Quality};
use ocelli_net::accept::{back_off_after, into_connection};
use ocelli_net::counts::Refusal;
use ocelli_net::http_server::{Charged, bounded};
use ocelli_net::plain::plain;
use ocelli_net::request::Peer;
use ocelli_net::websocket::{self, CLOSE_TIMEOUT, ReadLimits, close};
use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn_blocking;

/// The page that is served if the user has none.
const INDEX: &str = include_str!("index.html");
/// The default colours of the pages.
const COLOR: &str = "#444";
const BACKGROUND: &str = "#333";
/// The picture size before the first picture is known.
const DEFAULT_SIZE: (u16, u16) = (640, 480);

/// One camera's ports.
pub struct Ports {
    /// The camera.
    pub camera: Arc<Camera>,
    /// Its configuration.
    pub options: JsmpegPorts,
    /// The port of the video.
    pub ws_port: u16,
}

/// The kind of a listener.
#[derive(Clone, Copy)]
enum Port {
    Page,
    Video,
}

/// Serves both ports until the hub stops.
pub fn serve(identity: &Arc<Identity>, ports: Ports, http: TcpListener, ws: TcpListener) {
    let ports = Arc::new(ports);
    for (port, listener) in [(Port::Page, http), (Port::Video, ws)] {
        let (identity, ports) = (identity.clone(), ports.clone());
        let tasks = identity.server_state.tasks.clone();
        tasks.spawn(async move {
            let accepting = accept_all(&listener, port, &identity, &ports);
            tokio::select! {
                () = accepting => {}
                () = identity.server_state.stopping.cancelled() => {}
            }
        });
    }
}

async fn accept_all(
    listener: &TcpListener,
    port: Port,
    identity: &Arc<Identity>,
    ports: &Arc<Ports>,
) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => accept(stream, port, identity, ports),
            Err(error) => back_off_after(&error).await,
        }
    }
}

fn accept(stream: TcpStream, port: Port, identity: &Arc<Identity>, ports: &Arc<Ports>) {
    let Ok((mut connection, facts, proxy)) = into_connection(stream, &identity.server_state) else {
        return;
    };
    match identity
        .server_state
        .connection_limiter
        .enter(facts.remote.ip(), proxy)
    {
        Ok(slot) => connection.hold_slot(slot),
        Err(full) => {
            return identity.server_state.refused(
                Refusal::Connections,
                facts.remote,
                full.message(),
            );
        }
    }
    let (served, ports) = (identity.clone(), ports.clone());
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let (identity, ports, mut peer) = (served.clone(), ports.clone(), Peer::over(&facts));
        let answer = async move {
            let (version, uri, headers) = (request.version(), request.uri(), request.headers());
            let server_state = &identity.server_state;
            let result = server_state
                .origin_policy
                .identify(version, uri, headers, &mut peer);
            if let Err((status, reason)) = result {
                server_state.refused(Refusal::Host, peer.remote, &reason);
                return Ok(plain(status, &reason));
            }
            Ok::<_, Infallible>(match port {
                Port::Page => ports.page(&request, &peer).await,
                Port::Video => ports.video(request.map(Body::new), &peer, &identity).await,
            })
        };
        Charged::new(answer, facts.charge_handle.clone())
    });
    let http = bounded(&identity.server_state.limits)
        .serve_connection(TokioIo::new(connection), service)
        .with_upgrades();
    let stopping = identity.server_state.stopping.clone();
    identity.server_state.tasks.spawn(async move {
        tokio::select! {
            ended = http => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "a connection failed");
                }
            }
            () = stopping.cancelled() => {}
        }
    });
}

impl Ports {
    /// Serves the video on any path; a viewer that needs a token sends it as `?token=`.
    async fn video(
        &self,
        request: Request<Body>,
        peer: &Peer,
        identity: &Arc<Identity>,
    ) -> Response {
        let (mut parts, body) = request.into_parts();
        parts.extensions.insert(peer.clone());
        let visitor = Visitor::from_request_parts(&mut parts, identity).await;
        let request = Request::from_parts(parts, body);
        let protocol = super::protocol(request.headers());
        let id = self.camera.id();
        let found = visitor.and_then(|visitor| {
            let camera = visitor.find(id.app(), id.room())?;
            Ok((ViewingPermission::new(identity, visitor, &camera), camera))
        });
        let found = found.map_err(|problem| (close::UNAUTHORIZED, problem.message().to_owned()));
        let found =
            found.and_then(
                |(permission, camera)| match camera.mpeg1_refusal(Quality::Main) {
                    Some(reason) => {
                        identity
                            .server_state
                            .refused(Refusal::Capacity, peer.remote, &reason);
                        Err((close::TRY_AGAIN_LATER, reason))
                    }
                    None => Ok((permission, camera)),
                },
            );
        let (permission, camera) = match found {
            Ok(found) => found,
            Err((code, why)) => {
                let why = why[..why.floor_char_boundary(close::REASON_LIMIT)].to_owned();
                return websocket::upgrade_any_origin(
                    &identity.server_state,
                    peer,
                    request,
                    protocol,
                    ReadLimits::VIEWER,
                    move |mut socket| async move {
                        socket.close(code, &why);
                        socket.finish(CLOSE_TIMEOUT).await;
                    },
                );
            }
        };
        let served = identity.clone();
        websocket::upgrade_any_origin(
            &identity.server_state,
            peer,
            request,
            protocol,
            ReadLimits::VIEWER,
            move |socket| async move {
                let options = ViewerOptions {
                    form: Form::Es,
                    quality: Quality::Main,
                    info: false,
                };
                viewer::serve(socket, served, permission, camera, options).await;
            },
        )
    }

    async fn page(&self, request: &Request<Incoming>, peer: &Peer) -> Response {
        // For HEAD, hyper leaves out the body.
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let message = "only GET and HEAD are supported here";
            return plain(StatusCode::NOT_IMPLEMENTED, message);
        }
        match request.uri().path() {
            "/" => {
                let mut response =
                    plain(StatusCode::MOVED_PERMANENTLY, "the page is at /index.html");
                let place = HeaderValue::from_static("/index.html");
                response.headers_mut().insert(LOCATION, place);
                response
            }
            "/index.html" => {
                let template = match read_custom_file(self.options.index.as_deref()).await {
                    Ok(file) => file.unwrap_or_else(|| INDEX.as_bytes().to_vec()),
                    Err(response) => return *response,
                };
                let template = String::from_utf8_lossy(&template);
                let address = self.address(request.headers(), peer);
                file(
                    self.fill(&template, &address).into(),
                    "text/html; charset=utf-8",
                )
            }
            "/jsmpg.js" => match read_custom_file(self.options.script.as_deref()).await {
                Ok(Some(script)) => file(script.into(), "application/javascript"),
                Ok(None) => match pages::embedded_file("jsmpg.js") {
                    Some(script) => file(script, "application/javascript"),
                    None => plain(StatusCode::NOT_FOUND, pages::NOT_BUILT),
                },
                Err(response) => *response,
            },
            _ => plain(
                StatusCode::NOT_FOUND,
                "not found; this port serves /index.html and /jsmpg.js",
            ),
        }
    }

    /// The URL where the page finds the video: the host name of the request, and the video's
    /// port.
    fn address(&self, headers: &HeaderMap, peer: &Peer) -> String {
        let named = headers.get(HOST).and_then(|host| host.to_str().ok());
        let host = named.and_then(host_of).map_or_else(
            || match peer.local.ip().to_canonical() {
                std::net::IpAddr::V6(address) => format!("[{address}]"),
                address => address.to_string(),
            },
            str::to_owned,
        );
        format!("{host}:{}", self.ws_port)
    }

    fn fill(&self, template: &str, address: &str) -> String {
        let (width, height) = self
            .camera
            .mpeg1_size(Quality::Main)
            .unwrap_or(DEFAULT_SIZE);
        template
            .replace("@ADDRESS@", address)
            .replace("${WS_PORT}", &self.ws_port.to_string())
            .replace("${WIDTH}", &width.to_string())
            .replace("${HEIGHT}", &height.to_string())
            .replace("${COLOR}", COLOR)
            .replace("${BGCOLOR}", BACKGROUND)
    }
}

/// The host of a Host header, without its port. It is inserted into a page and into a
/// script, so only characters of host names and addresses are accepted.
fn host_of(named: &str) -> Option<&str> {
    let end = match named.rfind(']') {
        Some(bracket) => bracket + 1,
        None => named.find(':').unwrap_or(named.len()),
    };
    let host = &named[..end];
    let harmless = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
    (!host.is_empty() && host.bytes().all(harmless)).then_some(host)
}

/// Reads the user's own file, if one is configured. It is read for every request, so that
/// edits show at once.
async fn read_custom_file(path: Option<&Path>) -> Result<Option<Vec<u8>>, Box<Response>> {
    let Some(path) = path.map(Path::to_owned) else {
        return Ok(None);
    };
    let name = path.display().to_string();
    let read = spawn_blocking(move || std::fs::read(path)).await;
    match read.map_err(std::io::Error::other).flatten() {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) => {
            tracing::error!("{name} can't be read: {error}");
            let message = "the file can't be read; see the hub's log";
            Err(Box::new(plain(StatusCode::INTERNAL_SERVER_ERROR, message)))
        }
    }
}

fn file(bytes: Bytes, media_type: &'static str) -> Response {
    let mut response = Response::new(Body::from(bytes));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_header_can_inject_nothing_into_the_page() {
        for (named, host) in [
            ("pi.lan:8082", Some("pi.lan")),
            ("[::1]:8082", Some("[::1]")),
            ("10.0.0.7", Some("10.0.0.7")),
            ("'+alert(1)+'", None),
            ("<b>", None),
            (":8082", None),
            ("", None),
        ] {
            assert_eq!(host_of(named), host, "{named}");
        }
    }
}
