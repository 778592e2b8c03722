//! The OpenAPI document, and request bodies that do not match it.

use super::matrix::calls;
use super::{ADMIN, admin, hub};
use crate::support::http::{get, request};
use serde_json::json;

#[tokio::test]
async fn bodies_are_checked_field_by_field() {
    let (hub, _dir) = hub();
    for (line, body, word) in [
        ("POST /api/v1/apps", "{", "the body"),
        ("POST /api/v1/apps", "{}", "`name`"),
        ("POST /api/v1/apps", "[]", "JSON object"),
        ("PATCH /api/v1/apps/live", "[null, null]", "JSON object"),
        ("POST /api/v1/apps", r#"{"name":"barn"} x"#, "trailing"),
        ("POST /api/v1/apps", r#"{"name":5}"#, "name in the body"),
        ("POST /api/v1/apps", r#"{"name":"A"}"#, "name in the body"),
        (
            "POST /api/v1/apps",
            r#"{"name":"barn","roomPrefix":"a/b"}"#,
            "roomPrefix",
        ),
        (
            "POST /api/v1/apps",
            r#"{"name":"barn","public":true}"#,
            "`publicPlayback`",
        ),
        (
            "PATCH /api/v1/apps/live",
            r#"{"publicPlayback":"no"}"#,
            "publicPlayback in the body",
        ),
        ("PATCH /api/v1/apps/live", r#"{"name":"other"}"#, "`name`"),
        (
            "POST /api/v1/tokens",
            r#"{"name":"a","scope":"all"}"#,
            "scope in the body",
        ),
        (
            "POST /api/v1/tokens",
            r#"{"name":"","scope":"global"}"#,
            "name in the body",
        ),
        (
            "POST /api/v1/tokens",
            r#"{"name":"a","scope":"app"}"#,
            "appId in the body",
        ),
        (
            "POST /api/v1/tokens",
            r#"{"name":"a","scope":"global","appId":"live"}"#,
            "appId in",
        ),
        (
            "POST /api/v1/tokens",
            r#"{"name":"a","scope":"global","permissions":["app:raed"]}"#,
            "\"app:read\"",
        ),
        (
            "POST /api/v1/tokens",
            r#"{"name":"a","scope":"global","permissions":[1]}"#,
            "permissions[0]",
        ),
        (
            "POST /api/v1/tokens",
            r#"{"name":"a","scope":"global","permissions":[]}"#,
            "permissions in",
        ),
    ] {
        admin(&hub, line, body).await.is_problem(400, word);
    }
    let long = json!({ "name": "a".repeat(70_000) }).to_string();
    admin(&hub, "POST /api/v1/apps", &long)
        .await
        .is_problem(413, "65536");
    let bearer = format!("Authorization: Bearer {ADMIN}");
    let untyped = request(hub.addr(), "POST", "/api/v1/apps", &[&bearer]).await;
    untyped.is_problem(415, "application/json");
    let method = admin(&hub, "PUT /api/v1/apps/live", "{}").await;
    method.is_problem(405, "PATCH");
    assert_eq!(method.header("allow"), "DELETE, GET, PATCH");
    let letters = admin(&hub, "GET /api/v1/apps/%ff", "").await;
    letters.is_problem(400, "UTF-8");
    admin(&hub, "GET /api/v1/nothing", "")
        .await
        .is_problem(404, "docs");
}

#[tokio::test]
async fn the_api_serves_its_own_description() {
    let (hub, _dir) = hub();
    let document = get(hub.addr(), "/api/v1/openapi.json").await.json();
    assert!(
        document["openapi"]
            .as_str()
            .is_some_and(|version| version.starts_with("3.1"))
    );
    let scheme = &document["components"]["securitySchemes"]["token"];
    assert_eq!(
        (&scheme["type"], &scheme["scheme"]),
        (&json!("http"), &json!("bearer"))
    );
    // Each reference can be resolved.
    let text = document.to_string();
    for (at, _) in text.match_indices("\"$ref\":\"#") {
        let reference = &text[at + 9..];
        let reference = &reference[..reference.find('"').expect("a closing quote")];
        assert!(document.pointer(reference).is_some(), "{reference}");
    }
    let page = get(hub.addr(), "/api/v1/docs").await;
    assert_eq!(page.status(), 200);
    assert!(!page.body.contains("<script") && !page.body.contains("http://"));
    for call in calls(&document) {
        assert!(page.body.contains(&call.template), "{}", call.template);
    }
    let head = request(hub.addr(), "HEAD", "/api/v1/docs", &[]).await;
    assert_eq!(head.status(), 200);
}
