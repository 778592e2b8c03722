//! Play tokens and wall links: limited to the cameras their creator may share.

use super::{ADMIN, Browser, admin, private_hub};
use crate::support::http::get;
use serde_json::{Value, json};

#[tokio::test]
async fn a_play_token_opens_only_its_camera() {
    let (hub, _dir) = private_hub();
    let made = admin(
        &hub,
        "GET /api/v1/apps/yard/play-token/field-gate?ttl=60",
        "",
    )
    .await;
    let made = made.json()["data"].clone();
    assert_eq!(
        (&made["app"], &made["room"]),
        (&json!("yard"), &json!("gate"))
    );
    let token = made["token"].as_str().expect("a token");
    let socket = format!(
        "ws://{}/live/ws?app=yard&room=gate&token={token}",
        hub.addr()
    );
    assert_eq!(made["wsUrl"], socket.as_str());
    let left = made["expiresAt"].as_i64().expect("a time")
        - get(hub.addr(), "/health").await.json()["ts"]
            .as_i64()
            .expect("a time");
    assert!((1..=60_000).contains(&left), "{left}");
    for (line, status, word) in [
        ("GET /api/v1/apps/yard/play-token/none", 404, "\"none\""),
        ("GET /api/v1/apps/none/play-token/gate", 404, "\"none\""),
        (
            "GET /api/v1/apps/yard/play-token/gate?ttl=59",
            400,
            "ttl in",
        ),
        (
            "GET /api/v1/apps/yard/play-token/gate?ttl=86401",
            400,
            "ttl in",
        ),
        ("GET /api/v1/apps/yard/play-token/gate?ttl=a", 400, "ttl"),
    ] {
        admin(&hub, line, "").await.is_problem(status, word);
    }
    let log = hub.stderr().join("\n");
    assert!(!log.contains(token), "{log}");
}

#[tokio::test]
async fn wall_links_are_created_listed_and_revoked_within_the_users_share_permissions() {
    let (hub, _dir) = private_hub();
    let operator =
        json!([{ "app": "yard", "role": "operator" }, { "app": "live", "role": "viewer" }]);
    let (bob, _) = Browser::user(&hub, "bob", operator).await;
    let make = async |cameras: Value| {
        let body = json!({ "name": "the yard", "cameras": cameras, "ttl": 60 });
        bob.call("POST /api/v1/walls", body).await
    };
    // Permission to watch does not include permission to share.
    make(json!(["yard/gate", "cam1"]))
        .await
        .is_problem(404, "\"cam1\"");
    make(json!(["none"])).await.is_problem(404, "\"none\"");
    make(json!([])).await.is_problem(400, "cameras in");
    let made = make(json!(["yard/field-gate", "yard/gate"])).await;
    assert_eq!(made.status(), 201, "{made:?}");
    let made = made.json()["data"].clone();
    assert_eq!(
        made["cameras"],
        json!(["yard/gate"]),
        "one camera by two names"
    );
    let token = made["token"].as_str().expect("a token");
    assert_eq!(made["url"], format!("http://{}/#wall={token}", hub.addr()));
    let (id, secret) = token.split_once('.').expect("a token");
    assert_eq!(made["id"], id);
    let listed = bob.get("/api/v1/walls").await;
    assert!(!listed.body.contains(secret), "{listed:?}");
    assert_eq!(listed.json()["total"], 1);

    let both = json!({ "name": "both", "cameras": ["cam1", "yard/gate"] }).to_string();
    let both = admin(&hub, "POST /api/v1/walls", &both).await.json()["data"].clone();
    assert_eq!(
        bob.get("/api/v1/walls").await.json()["total"],
        1,
        "a camera this user may not share"
    );
    let line = format!(
        "DELETE /api/v1/walls/{}",
        both["id"].as_str().expect("an id")
    );
    bob.call(&line, Value::Null)
        .await
        .is_problem(404, "no wall link");
    let seen = get(hub.addr(), &format!("/api/v1/cameras?token={token}")).await;
    let seen = seen.json()["data"].clone();
    assert_eq!(seen.as_array().map(Vec::len), Some(1), "{seen}");
    assert_eq!(seen[0]["id"], "yard/gate");
    // The wall link shows the name of its wall; other credentials do not.
    let response = get(hub.addr(), &format!("/api/v1/session?token={token}")).await;
    let response = response.json()["data"].clone();
    let wall = json!({ "name": "the yard", "expiresAt": made["expiresAt"] });
    assert_eq!(
        (&response["wall"], &response["user"]),
        (&wall, &Value::Null)
    );
    assert_eq!(
        bob.get("/api/v1/session").await.json()["data"]["wall"],
        Value::Null
    );
    let line = format!("DELETE /api/v1/walls/{id}");
    assert_eq!(bob.call(&line, Value::Null).await.status(), 200);
    let gone = get(hub.addr(), &format!("/api/v1/cameras?token={token}")).await;
    gone.is_problem(401, "revoked");
    for body in [
        json!({ "name": "", "cameras": ["cam1"] }),
        json!({ "name": "w", "cameras": ["cam1"], "ttl": 59 }),
        json!({ "name": "w", "cameras": ["cam1"], "ttl": 31_622_401 }),
    ] {
        let refused = admin(&hub, "POST /api/v1/walls", &body.to_string()).await;
        refused.is_problem(400, "in the body");
    }
    let log = hub.stderr().join("\n");
    assert!(!log.contains(secret) && !log.contains(ADMIN), "{log}");
}
