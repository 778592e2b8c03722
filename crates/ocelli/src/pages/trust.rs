//! Serves the hub's own certificate authority (CA), with instructions for installing it.
//!
//! Everything here is public and is also served without TLS, because a device that does not trust
//! the hub yet could not fetch it otherwise.

use crate::answer::Problem;
use crate::pages::{POLICY, error_page};
use aws_lc_rs::digest::{SHA256, digest};
use axum::Router;
use axum::extract::State;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use http::HeaderMap;
use http::header::{CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use ocelli_net::tls::authority::Certificate;
use rustls::pki_types::CertificateDer;
use std::sync::Arc;

/// The page with instructions; `@PRINT@` is replaced with the fingerprint.
const PAGE: &str = include_str!("trust.html");

/// The hub's own CA certificate, if it has one.
pub type Authority = Option<Arc<Certificate>>;

/// The routes that serve the CA.
pub fn routes(authority: Authority) -> Router {
    Router::new()
        .route("/ca", get(page))
        .route("/ca.pem", get(pem))
        .route("/ca.crt", get(der))
        .route("/ca.h", get(header))
        .with_state(authority)
}

/// The SHA-256 fingerprint of a certificate, formatted as devices show it: `AB:CD:…`.
pub fn fingerprint(certificate: &CertificateDer<'_>) -> String {
    let digest = digest(&SHA256, certificate);
    let bytes: Vec<_> = digest
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02X}"))
        .collect();
    bytes.join(":")
}

fn of(authority: &Authority) -> Result<&Certificate, Problem> {
    authority.as_deref().ok_or_else(|| {
        Problem::not_found(
            "this hub has no certificate authority; start it with --tls local or set \
             mode = \"local\" in [tls]",
        )
    })
}

async fn pem(State(authority): State<Authority>) -> Result<Response, Problem> {
    let pem = of(&authority)?.pem.clone();
    let kind = [
        (CONTENT_TYPE, "application/x-pem-file"),
        (
            CONTENT_DISPOSITION,
            "attachment; filename=\"ocelli-ca.pem\"",
        ),
    ];
    Ok((kind, pem).into_response())
}

/// The format that Windows and phones open with their certificate installer.
async fn der(State(authority): State<Authority>) -> Result<Response, Problem> {
    let der = of(&authority)?.der.to_vec();
    let kind = [
        (CONTENT_TYPE, "application/x-x509-ca-cert"),
        (
            CONTENT_DISPOSITION,
            "attachment; filename=\"ocelli-ca.crt\"",
        ),
    ];
    Ok((kind, der).into_response())
}

/// A C header for firmware.
async fn header(State(authority): State<Authority>) -> Result<Response, Problem> {
    let mut text = String::from(
        "// The CA certificate of an Ocelli hub. It is not a secret.\n\
         #pragma once\n\nstatic const char OCELLI_CA[] =\n",
    );
    for line in of(&authority)?.pem.lines() {
        text.push_str(&format!("    \"{line}\\n\"\n"));
    }
    let end = text.trim_end().len();
    text.replace_range(end.., ";\n");
    let kind = [
        (CONTENT_TYPE, "text/x-c; charset=utf-8"),
        (CONTENT_DISPOSITION, "attachment; filename=\"ocelli_ca.h\""),
    ];
    Ok((kind, text).into_response())
}

async fn page(State(authority): State<Authority>, headers: HeaderMap) -> Response {
    match of(&authority) {
        Ok(certificate) => {
            let page = PAGE.replace("@PRINT@", &fingerprint(&certificate.der));
            ([(CONTENT_SECURITY_POLICY, POLICY)], Html(page)).into_response()
        }
        Err(problem) => error_page::respond(problem, &headers, "No certificate to install", ""),
    }
}
