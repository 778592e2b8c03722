//! A page of another hub on the same host. For browsers this is the same site, with the same
//! cookie jar. Tested here with raw requests, and with Chromium in `web/e2e`.

use super::{Browser, hub, private_hub, send};
use crate::support::http::request;
use crate::support::wall::{WALL, Wall};
use serde_json::{Value, json};

#[tokio::test]
async fn a_page_of_another_port_cannot_use_the_session() {
    let (hub, _dir) = private_hub();
    let at = hub.addr();
    let (ann, _) = Browser::user(&hub, "ann", json!([{ "role": "admin" }])).await;
    let cookie = format!("Cookie: {}", ann.cookie);
    let from = |origin: &str| vec![cookie.clone(), format!("Origin: {origin}")];
    let another = format!("http://127.0.0.1:{}", at.port().wrapping_add(1));
    let body = json!({ "name": "w", "cameras": ["cam1"] });
    for (origin, why) in [
        (another.as_str(), "another port"),
        ("http://127.0.0.1", "no port"),
        (&format!("https://{at}"), "another scheme"),
        (
            &format!("http://localhost:{}", at.port()),
            "another name of the host",
        ),
        ("null", "a sandboxed page"),
        ("http://evil.example", "a foreign page"),
    ] {
        let made = send(at, "POST /api/v1/walls", &from(origin), &body).await;
        assert_eq!(made.status(), 401, "{why}: {made:?}");
        let read = send(at, "GET /api/v1/users", &from(origin), &Value::Null).await;
        assert_eq!(read.status(), 401, "{why}: {read:?}");
        let frame = send(
            at,
            "GET /live/yard/gate/frame.jpg",
            &from(origin),
            &Value::Null,
        )
        .await;
        assert_eq!(frame.status(), 401, "{why}");
        let sign_in = json!({ "name": "ann", "password": super::PASSWORD });
        let planted = send(at, "POST /api/v1/session", &from(origin), &sign_in).await;
        planted.is_problem(403, "Origin");
        assert!(planted.head.get("set-cookie").is_none());
        assert!(
            planted
                .head
                .get("access-control-allow-credentials")
                .is_none()
        );
    }
    let alone = [cookie.clone()];
    // A request without an Origin changes nothing, and a socket without one is not the user's.
    let made = send(at, "POST /api/v1/walls", &alone, &body).await;
    assert_eq!(made.status(), 401);
    let read = send(at, "GET /api/v1/users", &alone, &Value::Null).await;
    assert_eq!(read.status(), 200, "the address bar");
    for (site, status) in [("same-site", 401), ("cross-site", 401), ("none", 200)] {
        let lines = [cookie.clone(), format!("Sec-Fetch-Site: {site}")];
        let read = send(at, "GET /api/v1/users", &lines, &Value::Null).await;
        assert_eq!(read.status(), status, "{site}");
    }
    let seen = async |lines: &[String]| {
        let mut wall = Wall::with(at, WALL, Some("ocelli.v2"), lines).await;
        let hello = wall.event("hello").await;
        hello["cameras"].as_array().map(Vec::len)
    };
    assert_eq!(seen(&ann.lines()).await, Some(2));
    assert_eq!(seen(&alone).await, Some(1), "no origin");
    assert_eq!(seen(&from(&another)).await, Some(1), "a public wall only");
}

#[tokio::test]
async fn hubs_on_two_ports_keep_their_cookies_apart() {
    let ((one, _a), (other, _b)) = (hub(), hub());
    let role = json!([{ "role": "admin" }]);
    let (ann, _) = Browser::user(&one, "ann", role.clone()).await;
    let (bob, _) = Browser::user(&other, "bob", role).await;
    let name = |browser: &Browser| browser.cookie.split('=').next().map(str::to_owned);
    assert_ne!(name(&ann), name(&bob));
    // A browser sends both cookies to both hubs.
    let both = format!("{}; {}", ann.cookie, bob.cookie);
    for (hub, name) in [(&one, "ann"), (&other, "bob")] {
        let browser = Browser {
            address: hub.addr(),
            cookie: both.clone(),
        };
        assert_eq!(browser.name().await, name);
    }
    // One hub's cookie is not valid for the other hub, under either name.
    let value = ann.cookie.split_once('=').expect("a cookie").1;
    let renamed = Browser {
        address: other.addr(),
        cookie: format!("{}={value}", name(&bob).expect("a name")),
    };
    assert_eq!(renamed.name().await, Value::Null);
}

#[tokio::test]
async fn pages_of_allowed_origins_may_call_with_a_token_but_never_with_cookies() {
    let (hub, _dir) = hub();
    let ask = async |origin: &str| {
        let lines = [
            format!("Origin: {origin}"),
            "Access-Control-Request-Method: PATCH".to_owned(),
            "Access-Control-Request-Headers: authorization".to_owned(),
        ];
        let lines: Vec<_> = lines.iter().map(String::as_str).collect();
        request(hub.addr(), "OPTIONS", "/api/v1/apps/live", &lines).await
    };
    let own = format!("http://127.0.0.1:{}", hub.addr().port().wrapping_add(1));
    let allowed = ask(&own).await;
    assert_eq!(allowed.status(), 204, "{allowed:?}");
    assert_eq!(allowed.header("access-control-allow-origin"), own);
    assert!(
        allowed
            .header("access-control-allow-methods")
            .contains("PATCH")
    );
    assert!(
        allowed
            .header("access-control-allow-headers")
            .contains("authorization")
    );
    assert!(
        allowed
            .head
            .get("access-control-allow-credentials")
            .is_none()
    );
    let refused = ask("http://evil.example").await;
    assert_eq!(refused.status(), 403);
    assert!(refused.head.get("access-control-allow-origin").is_none());
}
