//! Delivery of pages and scripts, in the shortest encoding that the client accepts.

#![allow(clippy::unwrap_used, reason = "a failed test setup must panic")]

use crate::support::http::{get, request};
use crate::support::site::Site;
use std::net::SocketAddr;
use std::process::Command;
use tokio::task::spawn_blocking;

/// Fetches and decodes a file with curl, which accepts these encodings.
async fn curl(address: SocketAddr, path: &str, accepts: &str) -> Vec<u8> {
    let mut curl = Command::new("curl");
    curl.args(["-sS", "--compressed", "-H"]);
    curl.arg(format!("Accept-Encoding: {accepts}"));
    curl.arg(format!("http://{address}{path}"));
    let output = spawn_blocking(move || curl.output()).await.unwrap();
    let output = output.expect("curl");
    assert!(output.status.success(), "{output:?}");
    output.stdout
}

#[tokio::test]
async fn a_file_is_sent_in_the_shortest_encoding_the_client_accepts() {
    let site = Site::start().await;
    for path in ["/", "/ocelli.js", "/plot.js"] {
        let plain = get(site.address, path).await;
        assert_eq!(plain.header("content-encoding"), "");
        assert_eq!(plain.header("vary"), "accept-encoding");
        let mut seen = vec![plain.header("etag").to_owned()];
        let mut length = plain.body.len();
        for (accepts, coding) in [("gzip, deflate", "gzip"), ("gzip, deflate, br, zstd", "br")] {
            let name = format!("Accept-Encoding: {accepts}");
            let response = request(site.address, "HEAD", path, &[&name]).await;
            assert_eq!(response.status(), 200);
            assert_eq!(response.header("content-encoding"), coding, "{path}");
            assert_eq!(response.header("vary"), "accept-encoding");
            assert_eq!(
                response.header("content-type"),
                plain.header("content-type")
            );
            let shorter: usize = response.header("content-length").parse().unwrap();
            assert!(shorter < length, "{path}: {shorter} of {length}");
            length = shorter;
            let tag = response.header("etag").to_owned();
            assert!(!seen.contains(&tag), "{path}: two encodings share one ETag");
            let fresh = format!("If-None-Match: {tag}");
            let again = request(site.address, "GET", path, &[&name, &fresh]).await;
            assert_eq!(again.status(), 304, "{path}");
            seen.push(tag);
            let decoded = curl(site.address, path, accepts).await;
            assert!(decoded == plain.body.as_bytes(), "{path}: {coding} differs");
        }
    }
}

#[tokio::test]
async fn refused_and_unknown_encodings_are_not_sent() {
    let site = Site::start().await;
    for (accepts, coding) in [
        ("identity", ""),
        ("zstd, x-gzip", ""),
        ("br;q=0, gzip; q=0", ""),
        ("br;q=0, gzip;q=0.5", "gzip"),
        ("GZIP", "gzip"),
    ] {
        let accepts = format!("Accept-Encoding: {accepts}");
        let response = request(site.address, "HEAD", "/ocelli.js", &[&accepts]).await;
        assert_eq!(response.header("content-encoding"), coding, "{accepts}");
    }
    get(site.address, "/ocelli.js.br")
        .await
        .is_problem(404, "ocelli.js.br");
}
