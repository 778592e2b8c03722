//! The session cookie: its name, and when it is accepted.
//!
//! Browsers send a cookie to every port of a host, so a page on another port of this host can
//! send this hub's cookie; `SameSite` treats it as the same site. Therefore the cookie is
//! accepted only if the request comes from the hub's own page, port included.

use crate::auth::Key;
use http::header::{HeaderMap, UPGRADE};
use http::request::Parts;
use http::{HeaderName, Method};
use ocelli_net::request::Origin;
use std::fmt::Write;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Whether the session cookie is accepted for this request: from the hub's own page, or, for
/// requests that change nothing and open no socket, from the address bar. Over plain HTTP
/// browsers send no `Sec-Fetch-Site`; a foreign page can then send the cookie but cannot read
/// the response.
pub fn accepts_cookie(origin: &Origin, parts: &Parts) -> bool {
    match origin.is_own() {
        Some(own) => own,
        None => {
            let safe = matches!(parts.method, Method::GET | Method::HEAD);
            let socket = parts.headers.contains_key(UPGRADE);
            safe && !socket && !is_cross_site(&parts.headers)
        }
    }
}

fn is_cross_site(headers: &HeaderMap) -> bool {
    let site = headers.get(SEC_FETCH_SITE).map(|site| site.as_bytes());
    !matches!(site, None | Some(b"same-origin" | b"none"))
}

/// The name of the session cookie. Hubs on two ports of one host share a cookie jar, so the name
/// is derived from the hub's key. Under TLS the prefix also binds the cookie to this host
/// (RFC 6265bis, 4.1.3.2).
pub fn cookie_name(key: &Key, secure: bool) -> String {
    let own = key.derive("ocelli 2026-11 names the session cookie");
    let mut name = String::from(if secure { "__Host-ocelli_" } else { "ocelli_" });
    for byte in &own.bytes()[..4] {
        // Writing to a string cannot fail.
        let _ = write!(name, "{byte:02x}");
    }
    name
}

/// The `Set-Cookie` value of a session that lasts `seconds`; 0 deletes the cookie. Scripts cannot
/// read it, and browsers do not send it with requests that another site initiates: pages load
/// without a cookie, and their own requests are same-site.
pub fn cookie(key: &Key, secure: bool, value: &str, seconds: i64) -> String {
    let name = cookie_name(key, secure);
    let secure = if secure { "; Secure" } else { "" };
    format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use ocelli_net::origin_policy::OriginPolicy;
    use ocelli_net::request::Peer;

    fn is_accepted(method: Method, lines: &[(&'static str, &str)]) -> bool {
        let mut request = http::Request::builder().method(method).uri("/");
        request = request.header("host", "localhost:8080");
        for (name, value) in lines {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).expect("a request").into_parts();
        let address = "127.0.0.1:8080".parse().expect("an address");
        let mut peer = Peer {
            remote: address,
            local: address,
            secure: false,
            authority: None,
            origin: Origin::Absent,
        };
        let result = OriginPolicy::new(&[], &[]).identify(
            parts.version,
            &parts.uri,
            &parts.headers,
            &mut peer,
        );
        result.expect("a request to this hub");
        accepts_cookie(&peer.origin, &parts)
    }

    #[test]
    fn a_cookie_is_accepted_only_from_the_hubs_own_page() {
        let own = ("origin", "http://localhost:8080");
        for method in [Method::GET, Method::POST, Method::DELETE] {
            assert!(is_accepted(method.clone(), &[own]), "{method}");
            for foreign in [
                "http://localhost:8081",
                "https://localhost:8080",
                "http://127.0.0.1:8080",
                "http://localhost",
                "http://localhost:8080.evil.example",
                "null",
                "",
            ] {
                assert!(
                    !is_accepted(method.clone(), &[("origin", foreign)]),
                    "{foreign}"
                );
            }
            assert!(!is_accepted(
                method,
                &[own, ("origin", "http://localhost:8081")]
            ));
        }
        assert!(is_accepted(Method::GET, &[own, ("upgrade", "websocket")]));
    }

    #[test]
    fn without_an_origin_a_cookie_is_accepted_for_reading_only() {
        assert!(is_accepted(Method::GET, &[]) && is_accepted(Method::HEAD, &[]));
        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            assert!(!is_accepted(method, &[]));
        }
        for (site, good) in [
            ("same-origin", true),
            ("none", true),
            ("same-site", false),
            ("cross-site", false),
            ("", false),
        ] {
            assert_eq!(
                is_accepted(Method::GET, &[("sec-fetch-site", site)]),
                good,
                "{site}"
            );
        }
        assert!(!is_accepted(Method::GET, &[("upgrade", "websocket")]));
    }

    #[test]
    fn each_hub_has_its_own_cookie_name() {
        let (one, other) = (Key::random(), Key::random());
        assert_ne!(cookie_name(&one, false), cookie_name(&other, false));
        assert_eq!(cookie_name(&one, false), cookie_name(&one, false));
        let plain = cookie(&one, false, "v", 60);
        assert!(plain.ends_with("=v; Path=/; Max-Age=60; HttpOnly; SameSite=Strict"));
        let secure = cookie(&one, true, "v", 60);
        assert!(secure.starts_with("__Host-ocelli_") && secure.ends_with("; Secure"));
    }
}
