//! Checks for an `http:` address: a camera, or a page with a WebSocket.

use super::handshake::report_no_response;
use super::http::{self, Head, HttpResponse};
use super::report::Report;
use super::route::Route;
use super::{camera, socket};
use crate::config::from_argument;
use url::Url;

/// The path of a hub's wall socket.
const WALL: &str = "/ws/cameras";

/// Checks the server at an address.
pub async fn diagnose(written: &str, url: &Url, protocol: Option<&str>, report: &mut Report) {
    let Some(mut route) = Route::of(url) else {
        return report.fail("address", "This address has no host.");
    };
    let has_credentials = !url.username().is_empty() || url.password().is_some();
    let Some(mut stream) = route.open(report).await else {
        return;
    };
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nAccept: */*\r\nConnection: close\r\n\
         User-Agent: ocelli-doctor/{}\r\n\r\n",
        route.target,
        route.authority(),
        env!("CARGO_PKG_VERSION")
    );
    let head = match http::send_request(stream.as_mut(), &request).await {
        HttpResponse::Head(head, _) => head,
        response => return report_no_response(&response, &route, report),
    };
    drop(stream);
    if has_credentials || is_camera(&head) {
        report.pass("page", format!("The server answers ({}).", head.status));
        return match from_argument(written, 1) {
            Ok(camera) => camera::diagnose(camera, report).await,
            Err(error) => report.fail("address", format!("{error}.")),
        };
    }
    match head.status {
        200..=399 | 426 => report.pass(
            "page",
            format!(
                "The server answers ({}). The next checks are for its WebSocket.",
                head.status
            ),
        ),
        401 => {
            return report.fail(
                "page",
                "The server requires a user and a password (401). For a camera: \
                 http://user:password@host/…",
            );
        }
        // A server with only a WebSocket need not have a front page.
        status if url.path() == "/" => {
            report.pass("page", format!("The server answers ({status})."));
        }
        status => report.warn(
            "page",
            format!("The server answers with status {status}. Check the path of the address."),
        ),
    }
    if url.path() == "/" {
        route.target = WALL.to_owned();
        report.pass(
            "path",
            format!("The address has no path, so the socket {WALL} is checked."),
        );
    }
    // The connection steps were already reported.
    if let Some(stream) = route.open(&mut Report::default()).await {
        socket::check_socket(stream, &route, protocol, report).await;
    }
}

fn is_camera(head: &Head) -> bool {
    let kind = head.first("content-type").unwrap_or_default();
    let kind = kind.to_ascii_lowercase();
    head.status == 200 && (kind.starts_with("multipart/") || kind.starts_with("image/"))
}
