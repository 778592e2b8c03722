//! Tokens: created, shown once, revoked.

use super::{ADMIN, admin, hub, token};
use crate::support::http::{call, request};
use serde_json::{Value, json};

#[tokio::test]
async fn a_bad_authorization_header_gets_an_explanation() {
    let (hub, _dir) = hub();
    let ask = async |lines: &[&str]| request(hub.addr(), "GET", "/api/v1/apps", lines).await;
    let good = format!("Authorization: bearer {ADMIN}");
    assert_eq!(ask(&[&good]).await.status(), 200);
    ask(&[&good, &good]).await.is_problem(401, "one header");
    for bad in [
        "Authorization: Basic YTpi",
        "Authorization: Bearer",
        "Authorization: Bearer wsk_1",
        &format!("Authorization: {ADMIN}"),
    ] {
        ask(&[bad]).await.is_problem(401, "Bearer sk_");
    }
    let almost = &ADMIN[..ADMIN.len() - 1];
    let response = ask(&[&format!("Authorization: Bearer {almost}")]).await;
    response.is_problem(401, "no such token");
    assert!(!response.body.contains(almost));
}

#[tokio::test]
async fn tokens_are_shown_once_listed_and_revoked() {
    let (hub, _dir) = hub();
    let secret = token(&hub, json!({ "name": "usual", "scope": "global" })).await;
    assert!(secret.starts_with("sk_") && secret.len() > 40);
    let listed = admin(&hub, "GET /api/v1/tokens", "").await;
    assert!(!listed.body.contains("sk_"), "{listed:?}");
    let listed = listed.json()["data"][0].clone();
    assert_eq!(
        (&listed["scope"], &listed["appId"]),
        (&json!("global"), &json!(null))
    );
    assert_eq!(
        listed["permissions"],
        json!(["app:*", "camera:*", "ingress:*", "series:*", "stream:*"])
    );
    assert!(listed["createdAt"].as_i64() > Some(1_600_000_000_000));
    let line = format!(
        "DELETE /api/v1/tokens/{}",
        listed["id"].as_str().expect("an id")
    );
    assert_eq!(
        call(hub.addr(), "GET /api/v1/apps", &secret, "")
            .await
            .status(),
        200
    );
    assert_eq!(admin(&hub, &line, "").await.status(), 200);
    let revoked = call(hub.addr(), "GET /api/v1/apps", &secret, "").await;
    revoked.is_problem(401, "revoked");
    admin(&hub, &line, "").await.is_problem(404, "no token");
    let log = hub.stderr().join("\n");
    assert!(!log.contains(&secret) && !log.contains(ADMIN), "{log}");
}

#[tokio::test]
async fn a_token_cannot_grant_permissions_it_does_not_have() {
    let (hub, _dir) = hub();
    let own = json!(["app:read", "token:create", "token:read", "token:delete"]);
    let global = token(
        &hub,
        json!({ "name": "g", "scope": "global", "permissions": own }),
    )
    .await;
    let yard = json!({ "name": "y", "scope": "app", "appId": "yard", "permissions": own });
    let yard = token(&hub, yard).await;
    let create = async |token: &str, body: Value| {
        call(hub.addr(), "POST /api/v1/tokens", token, &body.to_string()).await
    };
    let read = json!(["app:read"]);
    for (token, body, word) in [
        (&global, json!({ "name": "a", "scope": "global" }), "app:*"),
        (
            &global,
            json!({ "name": "a", "scope": "global", "permissions": ["*"] }),
            "\"*\"",
        ),
        (
            &yard,
            json!({ "name": "a", "scope": "global", "permissions": read }),
            "all apps",
        ),
        (
            &yard,
            json!({ "name": "a", "scope": "app", "appId": "live", "permissions": read }),
            "app \"live\"",
        ),
        (
            &yard,
            json!({ "name": "a", "scope": "app", "appId": "yard", "permissions": ["app:write"] }),
            "app:write",
        ),
    ] {
        create(token, body).await.is_problem(403, word);
    }
    let inside = json!({ "name": "inside", "scope": "app", "appId": "yard", "permissions": read });
    assert_eq!(create(&yard, inside).await.status(), 201);
    // It lists and revokes only tokens of its own app.
    let all = admin(&hub, "GET /api/v1/tokens", "").await.json()["data"].clone();
    let seen = call(hub.addr(), "GET /api/v1/tokens", &yard, "")
        .await
        .json()["data"]
        .clone();
    let seen = seen.as_array().expect("a list");
    assert!(
        seen.len() == 2 && seen.iter().all(|token| token["appId"] == "yard"),
        "{seen:?}"
    );
    let others = all.as_array().expect("a list").iter();
    let other = others.rev().find(|token| token["appId"].is_null());
    let id = other.and_then(|other| other["id"].as_str()).expect("an id");
    let line = format!("DELETE /api/v1/tokens/{id}");
    call(hub.addr(), &line, &yard, "")
        .await
        .is_problem(404, "no token");
    // The app is recognized in every spelling of the path.
    for live in [
        "/api/v1/apps/live",
        "/api/v1/apps/%6Cive",
        "/api/v1/apps/live?app=yard",
    ] {
        let line = format!("GET {live}");
        let response = call(hub.addr(), &line, &yard, "").await;
        response.is_problem(403, "in app \"live\"");
    }
    // Only its own app is listed, and it cannot create others.
    let apps = call(hub.addr(), "GET /api/v1/apps", &yard, "").await.json()["data"].clone();
    assert_eq!(apps.as_array().map(Vec::len), Some(1));
    let creator = json!({ "name": "c", "scope": "app", "appId": "yard", "permissions": ["app:*"] });
    let creator = super::token(&hub, creator).await;
    let made = call(
        hub.addr(),
        "POST /api/v1/apps",
        &creator,
        r#"{"name":"new"}"#,
    )
    .await;
    made.is_problem(403, "global");
}
