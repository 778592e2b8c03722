//! Reused names: credentials for a deleted app or camera, or for earlier roles, are not valid
//! for a new one with the same name.

use super::{
    ADMIN, Browser, HttpResponse, OCELLI, PASSWORD, admin, code_in, private_hub, send, token,
};
use crate::support::http::{call, get};
use crate::support::hub::configured;
use crate::support::tempdir::Dir;
use ocelli_testkit::Hub;
use serde_json::{Value, json};

/// Returns how many cameras a token in the URL shows, or the status of the refusal.
async fn seen(hub: &Hub, token: &str) -> Result<usize, u16> {
    let cameras = get(hub.addr(), &format!("/api/v1/cameras?token={token}")).await;
    match cameras.status() {
        200 => Ok(cameras.json()["data"].as_array().map_or(0, Vec::len)),
        status => Err(status),
    }
}

/// Calls the API as the administrator and returns the `data` of the response.
async fn done(hub: &Hub, line: &str, body: Value) -> Value {
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let response = admin(hub, line, &body).await;
    assert!(
        [200, 201].contains(&response.status()),
        "{line}: {response:?}"
    );
    response.json()["data"].clone()
}

fn text(of: &Value, field: &str) -> String {
    of[field]
        .as_str()
        .unwrap_or_else(|| panic!("{field} in {of}"))
        .to_owned()
}

/// Mints a key for room `cam` of app `barn`; returns its id.
async fn create_key(hub: &Hub) -> String {
    let made = done(
        hub,
        "POST /api/v1/apps/barn/ws-ingest",
        json!({ "room": "cam" }),
    )
    .await;
    text(&made, "id")
}

async fn revoke(hub: &Hub, key: &str) {
    done(
        hub,
        &format!("DELETE /api/v1/apps/barn/ws-ingest/{key}"),
        Value::Null,
    )
    .await;
}

async fn make_barn(hub: &Hub) {
    let barn = json!({ "name": "barn", "publicPlayback": false });
    done(hub, "POST /api/v1/apps", barn).await;
}

async fn play(hub: &Hub) -> String {
    let made = done(hub, "GET /api/v1/apps/barn/play-token/cam", Value::Null).await;
    text(&made, "token")
}

async fn wall(hub: &Hub) -> String {
    let body = json!({ "name": "w", "cameras": ["barn/cam"] });
    text(&done(hub, "POST /api/v1/walls", body).await, "token")
}

#[tokio::test]
async fn tokens_of_a_deleted_camera_do_not_open_a_new_one_of_the_same_name() {
    let (hub, _dir) = private_hub();
    make_barn(&hub).await;
    let first = create_key(&hub).await;
    let (played, walled) = (play(&hub).await, wall(&hub).await);
    let both = [&played, &walled];
    // A further key for the same camera changes nothing.
    let second = create_key(&hub).await;
    revoke(&hub, &first).await;
    for token in both {
        assert!(seen(&hub, token).await.is_ok_and(|seen| seen > 0));
    }
    revoke(&hub, &second).await;
    let third = create_key(&hub).await;
    assert_eq!(seen(&hub, &played).await, Err(401));
    assert_eq!(seen(&hub, &walled).await, Ok(0));
    assert_eq!(seen(&hub, &wall(&hub).await).await, Ok(1));

    // A fetched camera replaces the pushed one, and then another fetched camera replaces that.
    revoke(&hub, &third).await;
    let camera = json!({ "app": "barn", "room": "cam", "source": "rtsp://10.0.0.7/x" });
    let mut tokens: Vec<String> = Vec::new();
    for _ in 0..2 {
        done(&hub, "POST /api/v1/cameras", camera.clone()).await;
        for token in &tokens {
            assert_eq!(
                seen(&hub, token).await,
                Err(401),
                "token of a deleted camera"
            );
        }
        tokens.push(play(&hub).await);
        done(
            &hub,
            "PATCH /api/v1/cameras/barn%2Fcam",
            json!({ "name": "n" }),
        )
        .await;
        assert!(
            seen(&hub, &tokens[tokens.len() - 1]).await.is_ok(),
            "still the same camera"
        );
        done(&hub, "DELETE /api/v1/cameras/barn%2Fcam", Value::Null).await;
    }
}

#[tokio::test]
async fn an_app_inherits_nothing_from_a_deleted_app_of_the_same_name() {
    let (hub, _dir) = private_hub();
    make_barn(&hub).await;
    let key = create_key(&hub).await;
    let (played, walled) = (play(&hub).await, wall(&hub).await);
    let scoped = token(
        &hub,
        json!({ "name": "t", "scope": "app", "appId": "barn" }),
    )
    .await;
    let body = json!({ "name": "w", "cameras": ["barn/cam"] }).to_string();
    let made = call(hub.addr(), "POST /api/v1/walls", &scoped, &body).await;
    assert_eq!(made.status(), 201);
    let role = json!([{ "app": "barn", "role": "operator" }]);
    let (bob, _) = Browser::user(&hub, "bob", role).await;
    assert_eq!(seen(&hub, &played).await, Ok(2), "including the public one");
    revoke(&hub, &key).await;
    done(&hub, "DELETE /api/v1/apps/barn", Value::Null).await;
    assert_eq!(seen(&hub, &played).await, Err(401));
    make_barn(&hub).await;
    create_key(&hub).await;
    assert_eq!(seen(&hub, &played).await, Err(401));
    assert_eq!(seen(&hub, &walled).await, Err(401));
    let listed = call(hub.addr(), "GET /api/v1/apps", &scoped, "").await;
    assert_eq!(listed.status(), 401, "{listed:?}");
    let apps = bob.get("/api/v1/apps").await;
    apps.is_problem(403, "app:read");
    let walls = done(&hub, "GET /api/v1/walls", Value::Null).await;
    assert_eq!(walls, json!([]));
    let streams = done(&hub, "GET /api/v1/apps/barn/streams", Value::Null).await;
    assert_eq!(streams, json!([]));
}

#[tokio::test]
async fn an_app_inherits_nothing_from_an_app_removed_from_the_configuration() {
    let dir = Dir::new("again");
    let start = |lines: &str| {
        let builder = configured(&dir, &format!("listen = \"127.0.0.1:0\"\n{lines}"));
        let builder = builder.env("OCELLI_ADMIN_TOKEN", ADMIN);
        builder.arg("--data").arg(dir.0.join("kept")).start()
    };
    let hub = start("[app.barn]\npublic_playback = false\n");
    create_key(&hub).await;
    let (played, walled) = (play(&hub).await, wall(&hub).await);
    let scoped = token(
        &hub,
        json!({ "name": "t", "scope": "app", "appId": "barn" }),
    )
    .await;
    assert!(seen(&hub, &played).await.is_ok_and(|seen| seen == 1));
    drop(hub);
    let hub = start("");
    make_barn(&hub).await;
    let keys = done(&hub, "GET /api/v1/apps/barn/ws-ingest", Value::Null).await;
    assert_eq!(keys, json!([]));
    create_key(&hub).await;
    assert_eq!(seen(&hub, &played).await, Err(401));
    assert_eq!(seen(&hub, &walled).await, Err(401));
    let listed = call(hub.addr(), "GET /api/v1/apps", &scoped, "").await;
    assert_eq!(listed.status(), 401, "{listed:?}");
}

#[tokio::test]
async fn tokens_survive_a_restart_of_the_hub() {
    let dir = Dir::new("again");
    let start = || {
        let builder = Hub::builder(OCELLI).env("OCELLI_ADMIN_TOKEN", ADMIN);
        let builder = builder.args(["serve", "--listen", "127.0.0.1:0", "cam1=pattern:"]);
        builder.arg("--data").arg(dir.0.join("kept")).start()
    };
    let hub = start();
    make_barn(&hub).await;
    create_key(&hub).await;
    let tokens = [
        play(&hub).await,
        wall(&hub).await,
        text(
            &done(&hub, "GET /api/v1/apps/live/play-token/cam1", Value::Null).await,
            "token",
        ),
    ];
    drop(hub);
    let hub = start();
    for token in &tokens {
        assert!(seen(&hub, token).await.is_ok_and(|seen| seen > 0));
    }
}

async fn set_up(hub: &Hub, link: &Value, password: &str) -> HttpResponse {
    let code = code_in(&text(link, "link"));
    let body = json!({ "code": code, "password": password });
    send(hub.addr(), "POST /api/v1/setup", &[], &body).await
}

#[tokio::test]
async fn a_password_link_is_void_when_the_roles_change() {
    let (hub, _dir) = private_hub();
    // There must be an administrator.
    Browser::user(&hub, "ann", json!([{ "role": "admin" }])).await;
    let viewer = json!([{ "app": "yard", "role": "viewer" }]);
    let made = done(
        &hub,
        "POST /api/v1/users",
        json!({ "name": "vic", "roles": viewer }),
    )
    .await;
    let line = format!("PATCH /api/v1/users/{}", text(&made, "id"));
    // A user who creates links for viewers must not gain an administrator's access through one.
    done(&hub, &line, json!({ "roles": [{ "role": "admin" }] })).await;
    set_up(&hub, &made, PASSWORD)
        .await
        .is_problem(401, "its code");
    // A link created together with a change of roles is for the new roles.
    let both = json!({ "roles": viewer, "resetPassword": true });
    let made = done(&hub, &line, both).await;
    done(&hub, &line, json!({ "name": "victor" })).await;
    done(&hub, &line, json!({ "roles": viewer })).await;
    let vic = set_up(&hub, &made, PASSWORD).await;
    let vic = Browser::of(hub.addr(), &vic);
    assert_eq!(vic.name().await, "victor", "another name, the same roles");
    // Changing the password also voids the link.
    let made = done(&hub, &line, json!({ "resetPassword": true })).await;
    let change = json!({ "old": PASSWORD, "new": "another horse" });
    let changed = vic.call("POST /api/v1/session/password", change).await;
    assert_eq!(changed.status(), 200, "{changed:?}");
    set_up(&hub, &made, PASSWORD)
        .await
        .is_problem(401, "its code");
    // Deleting the account also voids the link.
    let made = done(&hub, &line, json!({ "resetPassword": true })).await;
    done(&hub, &line.replace("PATCH", "DELETE"), Value::Null).await;
    set_up(&hub, &made, PASSWORD)
        .await
        .is_problem(401, "its code");
}

#[tokio::test]
async fn a_wall_without_cameras_still_belongs_to_its_app() {
    let (hub, _dir) = private_hub();
    let scoped = async |app: &str| {
        let body = json!({ "name": app, "scope": "app", "appId": app });
        token(&hub, body).await
    };
    let (own, colleague, other) = (
        scoped("yard").await,
        scoped("yard").await,
        scoped("live").await,
    );
    let camera = json!({ "app": "yard", "room": "shed", "source": "rtsp://10.0.0.7/x" });
    done(&hub, "POST /api/v1/cameras", camera).await;
    let body = json!({ "name": "the shed", "cameras": ["yard/shed"] }).to_string();
    let made = call(hub.addr(), "POST /api/v1/walls", &own, &body).await;
    let id = text(&made.json()["data"], "id");
    done(&hub, "DELETE /api/v1/cameras/yard%2Fshed", Value::Null).await;
    let listed = async |token: &str| {
        let listed = call(hub.addr(), "GET /api/v1/walls", token, "").await;
        listed.json()["total"].as_u64()
    };
    let line = format!("DELETE /api/v1/walls/{id}");
    assert_eq!(listed(&other).await, Some(0));
    call(hub.addr(), &line, &other, "")
        .await
        .is_problem(404, "no wall link");
    assert_eq!(
        (listed(&own).await, listed(&colleague).await),
        (Some(1), Some(1))
    );
    assert_eq!(call(hub.addr(), &line, &colleague, "").await.status(), 200);
    assert_eq!(listed(&own).await, Some(0));
}

#[tokio::test]
async fn names_of_private_apps_are_hidden_from_unauthorized_clients() {
    let (hub, _dir) = private_hub();
    let viewer = json!([{ "app": "live", "role": "viewer" }]);
    let (vic, _) = Browser::user(&hub, "vic", viewer).await;
    let played = done(&hub, "GET /api/v1/apps/live/play-token/cam1", Value::Null).await;
    let played = text(&played, "token");
    for path in [
        "/api/v1/session",
        "/api/v1/cameras",
        "/api/v1/series",
        "/health",
        "/ready",
        "/metrics",
        "/",
        "/sign-in",
    ] {
        let response = [
            get(hub.addr(), path).await,
            get(hub.addr(), &format!("{path}?token={played}")).await,
            vic.get(path).await,
        ];
        for response in response {
            assert!(
                !response.body.contains("yard") && !response.body.contains("field-"),
                "{path}: {response:?}"
            );
        }
    }
    let response = vic.get("/api/v1/session").await.json();
    let apps = response["data"]["permissions"]["apps"]
        .as_object()
        .expect("apps")
        .clone();
    assert_eq!(apps.keys().collect::<Vec<_>>(), ["live"]);
    let bob = json!([{ "app": "yard", "role": "viewer" }]);
    let (bob, _) = Browser::user(&hub, "bob", bob).await;
    let response = bob.get("/api/v1/session").await.json();
    assert!(
        response["data"]["permissions"]["apps"]["yard"].is_array(),
        "{response}"
    );
}
