//! Users: added, changed, deleted, and never given more rights than their creator has.

use super::{Browser, PASSWORD, admin, call, code_in, hub, send, token};
use serde_json::{Value, json};

#[tokio::test]
async fn users_are_added_changed_and_deleted() {
    let (hub, _dir) = hub();
    let (ann, ann_id) = Browser::user(&hub, "ann", json!([{ "role": "admin" }])).await;
    let viewer = json!([{ "app": "yard", "role": "viewer" }]);
    let (bob, bob_id) = Browser::user(&hub, "bob", viewer.clone()).await;
    let bob_line = |method: &str| format!("{method} /api/v1/users/{bob_id}");
    let listed = ann.get("/api/v1/users").await.json();
    assert_eq!(listed["total"], 2);
    let names: Vec<_> = (0..2)
        .map(|at| listed["data"][at]["name"].clone())
        .collect();
    assert_eq!(names, ["ann", "bob"]);
    assert!(!listed.to_string().contains("argon2"));
    for (body, status, word) in [
        (json!({ "name": "Bob", "roles": viewer }), 409, "already"),
        (json!({ "name": "", "roles": viewer }), 400, "name"),
        (json!({ "name": "c", "roles": [] }), 400, "roles"),
        (
            json!({ "name": "c", "roles": [{ "role": "king" }] }),
            400,
            "roles[0]",
        ),
        (
            json!({ "name": "c", "roles": [{ "app": "none", "role": "viewer" }] }),
            404,
            "\"none\"",
        ),
        (
            json!({ "name": "c", "roles": [{ "role": "viewer" }, { "role": "admin" }] }),
            409,
            "one role",
        ),
    ] {
        ann.call("POST /api/v1/users", body)
            .await
            .is_problem(status, word);
    }

    // A change applies to existing sessions.
    let sees = bob.get("/api/v1/apps").await.json()["data"].clone();
    assert_eq!(sees.as_array().map(Vec::len), Some(1), "{sees}");
    let share = "GET /api/v1/apps/yard/play-token/gate";
    bob.call(share, Value::Null)
        .await
        .is_problem(403, "camera:share");
    let more = json!({ "roles": [{ "app": "yard", "role": "operator" }], "name": "rob" });
    assert_eq!(ann.call(&bob_line("PATCH"), more).await.status(), 200);
    assert_eq!(bob.call(share, Value::Null).await.status(), 200);
    assert_eq!(bob.name().await, "rob");

    // A link for a new password.
    let reset = json!({ "resetPassword": true });
    let reset = ann.call(&bob_line("PATCH"), reset).await.json()["data"].clone();
    let code = code_in(reset["link"].as_str().expect("a link"));
    let body = json!({ "code": code, "password": "another horse" });
    let set = send(hub.addr(), "POST /api/v1/setup", &[], &body).await;
    let rob = Browser::of(hub.addr(), &set);
    assert_eq!(bob.name().await, Value::Null, "sessions before it end");
    assert_eq!(rob.name().await, "rob");
    let role = &rob.get("/api/v1/session").await.json()["data"]["user"]["roles"][0]["role"];
    assert_eq!(role, "operator", "a link does not change the role");

    // The last administrator cannot be deleted.
    let line = format!("/api/v1/users/{ann_id}");
    let last = ann.call(&format!("DELETE {line}"), Value::Null).await;
    last.is_problem(409, "last administrator");
    let body = json!({ "roles": [{ "app": "yard", "role": "admin" }] });
    let last = ann.call(&format!("PATCH {line}"), body).await;
    last.is_problem(409, "last administrator");
    assert_eq!(ann.name().await, "ann");

    // A user's walls are deleted with the user.
    let wall = json!({ "name": "w", "cameras": ["yard/gate"] });
    let made = rob.call("POST /api/v1/walls", wall).await;
    assert_eq!(made.status(), 201, "{made:?}");
    assert_eq!(
        ann.call(&bob_line("DELETE"), Value::Null).await.status(),
        200
    );
    assert_eq!(rob.name().await, Value::Null);
    assert_eq!(ann.get("/api/v1/walls").await.json()["total"], 0);
    let gone = Browser::sign_in(hub.addr(), "rob", "another horse").await;
    gone.is_problem(401, "password is wrong");
    ann.call(&bob_line("DELETE"), Value::Null)
        .await
        .is_problem(404, "no user");
}

#[tokio::test]
async fn users_cannot_gain_rights_through_other_users() {
    let (hub, _dir) = hub();
    let (ann, ann_id) = Browser::user(&hub, "ann", json!([{ "role": "admin" }])).await;
    let clerk = json!({ "name": "c", "scope": "global", "permissions": ["user:*", "app:read"] });
    let clerk = token(&hub, clerk).await;
    let ask =
        async |line: &str, body: Value| call(hub.addr(), line, &clerk, &body.to_string()).await;
    let admin_role = json!([{ "role": "admin" }]);
    let made = ask(
        "POST /api/v1/users",
        json!({ "name": "x", "roles": admin_role }),
    )
    .await;
    made.is_problem(403, "\"*\"");
    let line = format!("PATCH /api/v1/users/{ann_id}");
    ask(&line, json!({ "resetPassword": true }))
        .await
        .is_problem(403, "\"*\"");
    let line = format!("DELETE /api/v1/users/{ann_id}");
    call(hub.addr(), &line, &clerk, "")
        .await
        .is_problem(403, "\"*\"");
    assert_eq!(ann.name().await, "ann");
    // An administrator of one app does not manage the hub's users.
    let yard = json!([{ "app": "yard", "role": "admin" }]);
    let (yard, _) = Browser::user(&hub, "yard", yard).await;
    let all = yard.get("/api/v1/users").await;
    all.is_problem(403, "user:read");
    // Such an administrator may create tokens of that app.
    let inside = json!({ "name": "t", "scope": "app", "appId": "yard" });
    assert_eq!(yard.call("POST /api/v1/tokens", inside).await.status(), 201);
    let outside = json!({ "name": "t", "scope": "app", "appId": "live" });
    yard.call("POST /api/v1/tokens", outside)
        .await
        .is_problem(403, "\"live\"");
    let again = Browser::sign_in(hub.addr(), "yard", PASSWORD).await;
    assert_eq!(again.status(), 200);
    assert_eq!(
        admin(&hub, "GET /api/v1/tokens", "").await.json()["total"],
        2
    );
}
