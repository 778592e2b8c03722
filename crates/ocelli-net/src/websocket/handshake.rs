//! The WebSocket opening handshake (RFC 6455, 4) and its refusals.

use super::{ReadLimits, Socket};
use crate::counts::Refusal;
use crate::plain::plain;
use crate::request::Peer;
use crate::server_state::ServerState;
use axum::body::Body;
use axum::response::Response;
use headers::{HeaderMapExt, SecWebsocketAccept, SecWebsocketKey};
use http::header::{
    CONNECTION, HeaderMap, HeaderValue, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{Method, Request, StatusCode, Version};

/// Responds to an upgrade request from a page, and runs `serve` on the socket once it is open.
/// `protocol` is the chosen subprotocol, which is echoed to the client.
pub fn upgrade<F, S>(
    server_state: &ServerState,
    peer: &Peer,
    request: Request<Body>,
    protocol: Option<&'static str>,
    serve: S,
) -> Response
where
    F: Future<Output = ()> + Send + 'static,
    S: FnOnce(Socket) -> F + Send + 'static,
{
    let allowed = peer.origin.check();
    let allowed = allowed.map_err(|reason| (Refusal::Origin, StatusCode::FORBIDDEN, reason));
    let checked = handshake(&request).and_then(|accept| allowed.map(|()| accept));
    switch(
        server_state,
        peer,
        request,
        protocol,
        checked,
        ReadLimits::VIEWER,
        serve,
    )
}

/// Like [`upgrade`], but for any origin: for sockets that require a key, which a foreign page
/// does not have, and for sockets that are open to pages of any origin.
pub fn upgrade_any_origin<F, S>(
    server_state: &ServerState,
    peer: &Peer,
    request: Request<Body>,
    protocol: Option<&'static str>,
    read_limits: ReadLimits,
    serve: S,
) -> Response
where
    F: Future<Output = ()> + Send + 'static,
    S: FnOnce(Socket) -> F + Send + 'static,
{
    let checked = handshake(&request);
    switch(
        server_state,
        peer,
        request,
        protocol,
        checked,
        read_limits,
        serve,
    )
}

type Checked = Result<SecWebsocketAccept, (Refusal, StatusCode, String)>;

fn handshake(request: &Request<Body>) -> Checked {
    check(request).map_err(|(status, reason)| (Refusal::Handshake, status, reason))
}

fn switch<F, S>(
    server_state: &ServerState,
    peer: &Peer,
    mut request: Request<Body>,
    protocol: Option<&'static str>,
    checked: Checked,
    read_limits: ReadLimits,
    serve: S,
) -> Response
where
    F: Future<Output = ()> + Send + 'static,
    S: FnOnce(Socket) -> F + Send + 'static,
{
    let accept = match checked {
        Ok(accept) => accept,
        Err((why, status, reason)) => {
            let path = request.uri().path();
            server_state.refused(why, peer.remote, &format!("{path}: {reason}"));
            let mut response = plain(status, &reason);
            if status == StatusCode::UPGRADE_REQUIRED {
                let headers = response.headers_mut();
                headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
                headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
                headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
            }
            return response;
        }
    };
    let (remote, budgets) = (peer.remote, server_state.budgets.clone());
    let upgraded = hyper::upgrade::on(&mut request);
    server_state.tasks.spawn(async move {
        let socket = match upgraded.await {
            Ok(upgraded) => Socket::open(upgraded, read_limits, &budgets),
            Err(error) => {
                tracing::debug!(peer = %remote, %error, "the client left during the upgrade");
                return;
            }
        };
        match socket {
            Some(socket) => serve(socket).await,
            None => tracing::error!(peer = %remote, "an upgraded connection of unknown kind"),
        }
    });
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.typed_insert(accept);
    if let Some(protocol) = protocol {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocol));
    }
    response
}

/// Checks an opening handshake (RFC 6455, 4.2.1).
fn check(request: &Request<Body>) -> Result<SecWebsocketAccept, (StatusCode, String)> {
    let headers = request.headers();
    let refuse = |status, reason: &str| Err((status, reason.to_owned()));
    if request.method() != Method::GET {
        return refuse(
            StatusCode::METHOD_NOT_ALLOWED,
            "a WebSocket must be opened with GET",
        );
    }
    if request.version() < Version::HTTP_11 {
        return refuse(
            StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            "a WebSocket needs HTTP/1.1; a reverse proxy may be using HTTP/1.0",
        );
    }
    if request.version() > Version::HTTP_11 {
        return refuse(
            StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            "this hub opens WebSockets over HTTP/1.1, not HTTP/2 (offer http/1.1 in ALPN)",
        );
    }
    if !has_token(headers, &UPGRADE, "websocket") {
        return refuse(
            StatusCode::UPGRADE_REQUIRED,
            "this address is a WebSocket; the request lacks \"Upgrade: websocket\" \
             (a reverse proxy must pass it on)",
        );
    }
    // With several protocols or values, a proxy could choose a different one than the hub, and
    // then parse a WebSocket message as a request.
    for (name, wrong) in [
        (
            &UPGRADE,
            "the request has several protocols in Upgrade; only websocket is allowed",
        ),
        (
            &SEC_WEBSOCKET_VERSION,
            "the request has several Sec-WebSocket-Version values; only one is allowed",
        ),
        (
            &SEC_WEBSOCKET_KEY,
            "the request has several Sec-WebSocket-Key values; only one is allowed",
        ),
    ] {
        let mut values = headers.get_all(name).iter();
        let first = values.next();
        let listed = first.is_some_and(|value| value.as_bytes().contains(&b','));
        if values.next().is_some() || listed {
            return refuse(StatusCode::BAD_REQUEST, wrong);
        }
    }
    if !has_token(headers, &CONNECTION, "upgrade") {
        return refuse(
            StatusCode::BAD_REQUEST,
            "the request lacks \"Connection: Upgrade\" (a reverse proxy must pass it on)",
        );
    }
    match headers.get(SEC_WEBSOCKET_VERSION) {
        Some(version) if version == "13" => {}
        Some(version) => {
            let reason = format!("WebSocket version {version:?} is not supported; use 13");
            return Err((StatusCode::UPGRADE_REQUIRED, reason));
        }
        None if !headers.contains_key(SEC_WEBSOCKET_KEY) => {
            return refuse(
                StatusCode::BAD_REQUEST,
                "the request lacks \"Sec-WebSocket-Version: 13\" and a Sec-WebSocket-Key: it follows \
                 a draft from 2009 or 2010 (messages between 0x00 and 0xff), which RFC 6455 \
                 superseded; use a current client",
            );
        }
        None => {
            return refuse(
                StatusCode::BAD_REQUEST,
                "the request lacks \"Sec-WebSocket-Version: 13\"",
            );
        }
    }
    let key = headers.get(SEC_WEBSOCKET_KEY);
    if !key.is_some_and(|key| is_nonce(key.as_bytes())) {
        return refuse(
            StatusCode::BAD_REQUEST,
            "the request lacks a \"Sec-WebSocket-Key\" of 16 bytes in base64",
        );
    }
    match headers.typed_get::<SecWebsocketKey>() {
        Some(key) => Ok(SecWebsocketAccept::from(key)),
        None => refuse(
            StatusCode::BAD_REQUEST,
            "the Sec-WebSocket-Key can't be read",
        ),
    }
}

/// Whether a key is 16 bytes in base64: 22 digits and two padding characters.
fn is_nonce(key: &[u8]) -> bool {
    let digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    key.len() == 24 && key.ends_with(b"==") && key[..22].iter().all(digit)
}

fn has_token(headers: &HeaderMap, name: &http::HeaderName, token: &str) -> bool {
    let values = headers.get_all(name).iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|part| part.trim().eq_ignore_ascii_case(token))
}

/// Whether a client offers a subprotocol.
pub fn offers(headers: &HeaderMap, protocol: &str) -> bool {
    let values = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|part| part.trim() == protocol)
}
