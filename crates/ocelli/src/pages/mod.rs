//! Serves the web client: the files built by `web/` and embedded in the binary, including the
//! pages for the wall, its settings, sign-in and a single camera.

pub mod error_page;
mod policy;
pub mod trust;

pub use policy::POLICY;

use crate::answer::Problem;
use crate::visitor::{Identity, Visitor};
use axum::Router;
use axum::body::Body;
use axum::extract::{FromRequestParts, Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{
    ACCEPT_ENCODING, ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_ENCODING,
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use ocelli_net::outgoing::Shared;
use ocelli_net::plain::plain;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use rust_embed::{EmbeddedFile, RustEmbed};
use std::borrow::Cow;
use std::sync::Arc;

#[derive(RustEmbed)]
#[folder = "../../web/dist"]
#[allow_missing = true]
struct Dist;

/// Handles every path without another route.
pub fn routes(identity: Arc<Identity>) -> Router {
    Router::new().fallback(serve).with_state(identity)
}

async fn serve(State(identity): State<Arc<Identity>>, request: Request) -> Response {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Problem::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "only GET and HEAD are allowed here",
        )
        .into_response();
    }
    let path = request.uri().path();
    if let Some(place) = path.strip_prefix("/play/") {
        let place = percent_decode_str(place).decode_utf8_lossy();
        let Some((app, room)) = place.split_once('/') else {
            let problem = Problem::not_found("the address must be /play/<app>/<room>");
            return error_page::respond(problem, request.headers(), "Page not found", "");
        };
        let (app, room) = (app.to_owned(), room.to_owned());
        let (mut parts, body) = request.into_parts();
        let visitor = Visitor::from_request_parts(&mut parts, &identity).await;
        if let Err(problem) = visitor.and_then(|visitor| visitor.find(&app, &room)) {
            let has_token = parts.uri.query().is_some();
            let navigates = error_page::is_navigation(&parts.headers);
            let (title, advice) = match problem.status() {
                StatusCode::UNAUTHORIZED if navigates && !has_token => {
                    return sign_in_redirect(parts.uri.path());
                }
                StatusCode::UNAUTHORIZED => ("This link does not work", LINK_ADVICE),
                StatusCode::NOT_FOUND => ("Camera not found", "It may have been deleted."),
                _ => ("This camera can't be shown", ""),
            };
            return error_page::respond(problem, &parts.headers, title, advice);
        }
        return file("play.html", &Request::from_parts(parts, body));
    }
    match path.trim_start_matches('/') {
        "" => file("index.html", &request),
        page @ ("settings" | "sign-in" | "plot" | "live" | "publish") => {
            file(&format!("{page}.html"), &request)
        }
        name => file(name, &request),
    }
}

/// What to do with a link to a camera that is no longer valid.
const LINK_ADVICE: &str = "Ask the person who sent you the link for a new one, or sign in.";

/// A 401 page that redirects to sign-in and returns to `path` afterwards.
fn sign_in_redirect(path: &str) -> Response {
    let back = utf8_percent_encode(path, NON_ALPHANUMERIC);
    let sign_in = format!("/sign-in?back={back}");
    let page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
         <meta http-equiv=\"refresh\" content=\"0;url={sign_in}\">\
         <title>Sign in · Ocelli</title>\
         <p>Sign in to watch this camera. <a href=\"{sign_in}\">Sign in</a></p></html>\n"
    );
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CACHE_CONTROL, "no-store"),
        (CONTENT_SECURITY_POLICY, POLICY),
    ];
    (StatusCode::UNAUTHORIZED, headers, page).into_response()
}

/// The error if the web client is missing from the binary.
pub const NOT_BUILT: &str =
    "this binary was built without the web client; build it with `make build`";

/// A file of the web client.
pub fn embedded_file(name: &str) -> Option<Bytes> {
    Some(shared(Dist::get(name)?.data))
}

/// The embedded file as bytes, without a copy.
fn shared(data: Cow<'static, [u8]>) -> Bytes {
    match data {
        Cow::Borrowed(data) => Bytes::from_static(data),
        Cow::Owned(data) => data.into(),
    }
}

/// The compressed variants of a file, smallest first: content coding (RFC 9110, 8.4.1) and file
/// suffix.
const CODINGS: [(&str, &str); 2] = [("br", ".br"), ("gzip", ".gz")];

/// Whether the client accepts a coding, by its `Accept-Encoding` (RFC 9110, 12.5.3). A coding that
/// is not listed is not used.
fn accepts(headers: &HeaderMap, coding: &str) -> bool {
    let lines = headers.get_all(ACCEPT_ENCODING).iter();
    let lines = lines.filter_map(|line| line.to_str().ok());
    let mut codings = lines.flat_map(|line| line.split(','));
    codings.any(|item| {
        let mut parts = item.split(';').map(str::trim);
        let named = parts
            .next()
            .is_some_and(|name| name.eq_ignore_ascii_case(coding));
        let weight = parts.find_map(|part| part.strip_prefix("q=")?.parse::<f32>().ok());
        named && weight != Some(0.0)
    })
}

/// The smallest variant of a file that the client accepts, and its coding.
fn smallest_variant(
    name: &str,
    headers: &HeaderMap,
) -> Option<(EmbeddedFile, Option<&'static str>)> {
    for (coding, ending) in CODINGS {
        // Compressed variants have no separate URL.
        if name.ends_with(ending) {
            return None;
        }
        if accepts(headers, coding)
            && let Some(found) = Dist::get(&format!("{name}{ending}"))
        {
            return Some((found, Some(coding)));
        }
    }
    Some((Dist::get(name)?, None))
}

fn file(name: &str, request: &Request) -> Response {
    let Some((found, coding)) = smallest_variant(name, request.headers()) else {
        if name == "index.html" {
            return plain(StatusCode::NOT_FOUND, NOT_BUILT);
        }
        let path = request.uri().path();
        let problem = Problem::not_found(format!("there is no page or file at {path:?}"));
        let advice = "Check the address.";
        return error_page::respond(problem, request.headers(), "Page not found", advice);
    };
    let tag = entity_tag(&found);
    let fresh = request.headers().get(IF_NONE_MATCH) == Some(&tag);
    let mut response = if fresh {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        Body::from(shared(found.data)).into_response()
    };
    response.extensions_mut().insert(Shared);
    let headers = response.headers_mut();
    headers.insert(ETAG, tag);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type(name)));
    headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    if let Some(coding) = coding {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding));
    }
    // Names in `assets/` contain a hash of the content; all other files are revalidated.
    let cache = if name.starts_with("assets/") {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(cache));
    if name.ends_with(".html") {
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    }
    if name.ends_with(".js") {
        // Other sites may load the elements; their access to cameras is checked separately.
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    }
    response
}

fn entity_tag(file: &EmbeddedFile) -> HeaderValue {
    let hash = file.metadata.sha256_hash();
    let hex: String = hash[..12]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    HeaderValue::try_from(format!("\"{hex}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("json" | "map") => "application/json",
        Some("png") => "image/png",
        Some("ico") => "image/x-icon",
        Some("woff2") => "font/woff2",
        Some("webmanifest") => "application/manifest+json",
        _ => "application/octet-stream",
    }
}
