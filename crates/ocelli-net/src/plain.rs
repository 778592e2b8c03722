//! Plain-text responses, and the `frame-ancestors` header.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use ocelli_core::text::shown;

/// Returns a plain-text refusal that a client can show to a user. Control characters and secrets
/// are removed.
pub fn plain(status: StatusCode, message: &str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        // Many of these responses bypass the code that adds the following headers elsewhere.
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (status, headers, format!("{}\n", shown(message))).into_response()
}

/// Returns the `frame-ancestors` policy: the hub's own pages and `embedders` may embed its pages.
/// It is sent in addition to the page's own policy; browsers enforce both.
pub fn framing(embedders: &[String]) -> HeaderValue {
    let own = HeaderValue::from_static("frame-ancestors 'self'");
    let policy = format!("frame-ancestors 'self' {}", embedders.join(" "));
    HeaderValue::try_from(policy.trim_end()).unwrap_or(own)
}
