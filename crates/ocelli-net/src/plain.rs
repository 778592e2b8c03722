//! Plain-text answers, and the header that says who may embed a page.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use ocelli_core::text::shown;

/// A refusal in plain text, for clients that show a person what they got; without control
/// characters and secrets.
pub fn plain(status: StatusCode, message: &str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        // Many of these go out where nothing else adds what follows.
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (status, headers, format!("{}\n", shown(message))).into_response()
}

/// Who may show a page of ours in a frame: the hub's own pages and these. It goes out
/// beside the page's own policy, and browsers hold a page to both.
pub fn framing(embedders: &[String]) -> HeaderValue {
    let own = HeaderValue::from_static("frame-ancestors 'self'");
    let words = format!("frame-ancestors 'self' {}", embedders.join(" "));
    HeaderValue::try_from(words.trim_end()).unwrap_or(own)
}
