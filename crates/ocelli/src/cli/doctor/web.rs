//! Checks for an `http:` address: a page with a WebSocket if the server opens one, otherwise a
//! camera.

use super::http::{self, Head, HttpResponse};
use super::report::Report;
use super::route::Route;
use super::tls::CLIENT_CERTIFICATE;
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
    let response = http::send_request(stream.as_mut(), &request).await;
    drop(stream);
    let head = match response {
        HttpResponse::Head(head, _) => head,
        HttpResponse::NeedsCertificate => return report.fail("tls", CLIENT_CERTIFICATE),
        // The hub accepts responses that are not quite HTTP.
        _ => return diagnose_camera(written, report).await,
    };
    if has_credentials || is_camera(&head) {
        report.pass("page", format!("The server answers ({}).", head.status));
        return diagnose_camera(written, report).await;
    }
    let has_path = url.path() != "/";
    if !has_path {
        route.target = WALL.to_owned();
    }
    if head.status != 426 && !socket::is_opened(&route, protocol).await {
        let status = head.status;
        report.pass(
            "page",
            format!(
                "The server answers ({status}) and opens no WebSocket, so it is checked as a camera."
            ),
        );
        return diagnose_camera(written, report).await;
    }
    report.pass(
        "page",
        format!(
            "The server answers ({}). The next checks are for its WebSocket.",
            head.status
        ),
    );
    if !has_path {
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

/// Reads the address as the hub does.
async fn diagnose_camera(written: &str, report: &mut Report) {
    match from_argument(written, 1) {
        Ok(camera) => camera::diagnose(camera, report).await,
        Err(error) => report.fail("address", format!("{error}.")),
    }
}

fn is_camera(head: &Head) -> bool {
    let kind = head.first("content-type").unwrap_or_default();
    let kind = kind.to_ascii_lowercase();
    head.status == 200 && (kind.starts_with("multipart/") || kind.starts_with("image/"))
}
