//! Errors as pages, for browsers that navigate. Other clients get the JSON of the HTTP API.

use crate::answer::Problem;
use crate::pages::policy::POLICY;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};

const PAGE: &str = include_str!("error.html");

/// Whether the client is a browser that navigates to a page.
pub fn is_navigation(headers: &HeaderMap) -> bool {
    let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}

/// The response for `problem` to a request with these headers. A page shows its message as a
/// sentence, followed by `advice`.
pub fn respond(problem: Problem, headers: &HeaderMap, title: &str, advice: &str) -> Response {
    if !is_navigation(headers) {
        return problem.into_response();
    }
    let text = format!("{} {advice}", sentence(problem.message()));
    let page = PAGE
        .replace("@TITLE@", title)
        .replace("@TEXT@", &escape(text.trim_end()));
    // Keeps the status and the other headers of the error.
    let mut response = problem.into_response();
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CACHE_CONTROL, "no-store"),
        (CONTENT_SECURITY_POLICY, POLICY),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    *response.body_mut() = Body::from(page);
    response
}

/// An error message as a sentence. It starts with a lowercase letter, has straight quotation marks
/// and no full stop.
fn sentence(message: &str) -> String {
    let mut rest = message.chars();
    let first = rest.next().map(char::to_uppercase);
    let mut open = false;
    let text: String = first
        .into_iter()
        .flatten()
        .chain(rest)
        .map(|letter| match letter {
            '"' => {
                open = !open;
                if open { '“' } else { '”' }
            }
            letter => letter,
        })
        .collect();
    match text.ends_with(['.', '!', '?']) {
        true => text,
        false => format!("{text}."),
    }
}

/// Escapes text for an HTML element.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::StatusCode;

    #[test]
    fn a_message_becomes_a_sentence() {
        let camera = sentence("there is no camera \"door\"");
        assert_eq!(camera, "There is no camera “door”.");
        assert_eq!(sentence("is it on?"), "Is it on?");
        assert_eq!(sentence(""), ".");
    }

    #[tokio::test]
    async fn only_browsers_get_a_page_and_its_text_is_escaped() {
        let problem = || Problem::not_found("there is no page at </p><script>");
        let mut headers = HeaderMap::new();
        let json = respond(problem(), &headers, "Page not found", "");
        assert_eq!(json.headers()[CONTENT_TYPE], "application/json");
        headers.insert(ACCEPT, HeaderValue::from_static("text/html,*/*;q=0.8"));
        let page = respond(problem(), &headers, "Page not found", "Go back.");
        assert_eq!(page.status(), StatusCode::NOT_FOUND);
        assert_eq!(page.headers()[CONTENT_TYPE], "text/html; charset=utf-8");
        let body = axum::body::to_bytes(page.into_body(), 10_000).await;
        let body = String::from_utf8(body.unwrap_or_default().to_vec()).unwrap_or_default();
        assert!(
            body.contains("There is no page at &lt;/p>&lt;script>. Go back."),
            "{body}"
        );
    }
}
