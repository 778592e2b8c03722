//! The HTTP interface: who may call what, apps, tokens, and the document.

mod support;

use ocelli::auth::PERMISSIONS;
use ocelli_testkit::Hub;
use serde_json::{Value, json};
use support::http::{Answer, call, get, request};
use support::tempdir::Dir;
use support::wall::Wall;

const OCELLI: &str = env!("CARGO_BIN_EXE_ocelli");
const ADMIN: &str = "sk_of-the-administrator-of-tests";

fn hub() -> (Hub, Dir) {
    let dir = Dir::new("api");
    let config = dir.write(
        "ocelli.toml",
        "listen = \"127.0.0.1:0\"\n[app.yard]\nroom_prefix = \"field\"\n\
         [[camera]]\nid = \"cam1\"\nsource = \"pattern:?size=64x48&fps=20\"\n\
         [[camera]]\nid = \"gate\"\napp = \"yard\"\nsource = \"pattern:?size=64x48&fps=20\"\n",
    );
    let builder = Hub::builder(OCELLI).env("OCELLI_ADMIN_TOKEN", ADMIN);
    (builder.args(["serve", "--config"]).arg(config).start(), dir)
}

async fn admin(hub: &Hub, line: &str, body: &str) -> Answer {
    call(hub.addr(), line, ADMIN, body).await
}

/// Makes a token; its secret.
async fn token(hub: &Hub, body: Value) -> String {
    let made = admin(hub, "POST /api/v1/tokens", &body.to_string()).await;
    assert_eq!(made.status(), 201, "{made:?}");
    let made = made.json();
    assert!(made["error"].is_null());
    made["data"]["token"].as_str().expect("a token").to_owned()
}

/// Each call of the document: method, address with everything filled in, and the
/// permission that it declares; none where it is for anybody.
fn calls(document: &Value) -> Vec<(String, String, Option<String>)> {
    let mut calls = Vec::new();
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for (method, call) in methods.as_object().expect("methods") {
            let name = format!("{} {path}", method.to_uppercase());
            let need = call["security"].as_array();
            let need = need.unwrap_or_else(|| panic!("{name} declares no permission"));
            let permission = need[0].get("token").map(|permissions| {
                let permission = permissions[0].as_str().expect("a permission").to_owned();
                assert!(
                    PERMISSIONS.contains(&permission.as_str()),
                    "{name}: {permission}"
                );
                permission
            });
            let filled = path.replace("{app}", "yard").replace("{id}", "tok_none");
            assert!(!filled.contains('{'), "{name}: fill in what is new");
            calls.push((method.to_uppercase(), filled, permission));
        }
    }
    calls
}

/// What each call needs, as it was decided; a new call is to be decided here too.
const DECIDED: [(&str, Option<&str>); 17] = [
    ("DELETE /api/v1/apps/yard", Some("app:delete")),
    ("DELETE /api/v1/series/tok_none", Some("series:delete")),
    ("DELETE /api/v1/tokens/tok_none", Some("token:delete")),
    ("GET /api/v1/apps", Some("app:read")),
    ("GET /api/v1/apps/yard", Some("app:read")),
    ("GET /api/v1/cameras", None),
    ("GET /api/v1/docs", None),
    ("GET /api/v1/openapi.json", None),
    ("GET /api/v1/series", Some("series:read")),
    ("GET /api/v1/series/sources", Some("series:read")),
    ("GET /api/v1/tokens", Some("token:read")),
    ("GET /health", None),
    ("PATCH /api/v1/apps/yard", Some("app:write")),
    ("PATCH /api/v1/series/tok_none", Some("series:write")),
    ("POST /api/v1/apps", Some("app:create")),
    ("POST /api/v1/series", Some("series:write")),
    ("POST /api/v1/tokens", Some("token:create")),
];

#[tokio::test]
async fn each_role_may_call_what_its_permissions_say_and_no_more() {
    let (hub, _dir) = hub();
    let document = get(hub.addr(), "/api/v1/openapi.json").await.json();
    let calls = calls(&document);
    let mut declared: Vec<_> = calls
        .iter()
        .map(|(method, path, need)| (format!("{method} {path}"), need.as_deref()))
        .collect();
    declared.sort();
    let decided = DECIDED.map(|(call, need)| (call.to_owned(), need));
    assert_eq!(declared, decided);

    // A role for each permission alone, for all others together, for each kind,
    // for everything, for the same in the right app and in another.
    let mut roles: Vec<(String, Vec<String>, Option<&str>)> = Vec::new();
    for permission in PERMISSIONS {
        let all: Vec<_> = PERMISSIONS.iter().map(ToString::to_string).collect();
        let others = all
            .into_iter()
            .filter(|other| other != permission)
            .collect();
        roles.push((
            format!("only {permission}"),
            vec![permission.to_string()],
            None,
        ));
        roles.push((format!("all but {permission}"), others, None));
    }
    roles.push(("all".into(), vec!["*".into()], None));
    roles.push(("all apps".into(), vec!["app:*".into()], None));
    roles.push(("all tokens".into(), vec!["token:*".into()], None));
    roles.push(("all of yard".into(), vec!["*".into()], Some("yard")));
    roles.push(("all of live".into(), vec!["*".into()], Some("live")));

    for (role, permissions, app) in roles {
        let scope = if app.is_some() { "app" } else { "global" };
        let mut body = json!({ "name": role, "scope": scope, "permissions": permissions });
        if let Some(app) = app {
            body["appId"] = app.into();
        }
        let secret = token(&hub, body).await;
        for (method, path, need) in &calls {
            let Some(need) = need else { continue };
            let kind = need.split(':').next().unwrap_or_default();
            let has = permissions
                .iter()
                .any(|own| own == "*" || own == need || *own == format!("{kind}:*"));
            let home = match path {
                path if path.contains("/yard") => Some("yard"),
                path if path.starts_with("/api/v1/series") => Some("live"),
                _ => None,
            };
            let elsewhere = home.is_some() && app.is_some() && app != home;
            let line = format!("{method} {path}");
            let answer = call(hub.addr(), &line, &secret, "").await;
            if has && !elsewhere {
                // It may be told that the body or the state is not right, but not who it is.
                assert!(
                    ![401, 403].contains(&answer.status()),
                    "{role}: {line}: {answer:?}"
                );
            } else {
                answer.is_problem(403, need);
            }
        }
    }
    for (method, path, need) in &calls {
        let line = format!("{method} {path}");
        let answer = call(hub.addr(), &line, "", "").await;
        match need {
            None => assert_eq!(answer.status(), 200, "{line}"),
            Some(_) => {
                answer.is_problem(401, "Bearer sk_");
                assert_eq!(answer.header("www-authenticate"), "Bearer");
            }
        }
    }
    // Nothing was harmed by all of that.
    assert_eq!(admin(&hub, "GET /api/v1/apps/yard", "").await.status(), 200);
}

#[tokio::test]
async fn a_bad_authorization_is_told_what_is_missing() {
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
    let answer = ask(&[&format!("Authorization: Bearer {almost}")]).await;
    answer.is_problem(401, "no such token");
    assert!(!answer.body.contains(almost));
}

#[tokio::test]
async fn apps_are_made_changed_and_deleted() {
    let (hub, _dir) = hub();
    let made = admin(
        &hub,
        "POST /api/v1/apps",
        r#"{"name":"barn","roomPrefix":"farm","publicPlayback":false}"#,
    )
    .await;
    assert_eq!(made.status(), 201, "{made:?}");
    let barn = json!({ "id": "barn", "name": "barn", "roomPrefix": "farm",
        "publicPlayback": false, "readOnly": false, "cameras": 0 });
    assert_eq!(made.json(), json!({ "data": barn, "error": null }));
    let shown = admin(&hub, "GET /api/v1/apps/barn", "").await;
    assert_eq!(shown.json()["data"], barn);
    let listed = admin(&hub, "GET /api/v1/apps", "").await.json();
    let listed: Vec<_> = listed["data"].as_array().expect("a list").clone();
    let ids: Vec<_> = listed.iter().map(|app| app["id"].clone()).collect();
    assert_eq!(ids, ["barn", "live", "yard"]);

    for (body, word) in [
        (r#"{"name":"barn"}"#, "\"barn\" already"),
        (r#"{"name":"live"}"#, "\"live\" already"),
        (r#"{"name":"yard"}"#, "\"yard\" already"),
        (r#"{"name":"farm","roomPrefix":"farm"}"#, "\"barn\" already"),
        (r#"{"name":"field"}"#, "\"yard\" already"),
    ] {
        admin(&hub, "POST /api/v1/apps", body)
            .await
            .is_problem(409, word);
    }
    let changed = admin(
        &hub,
        "PATCH /api/v1/apps/barn",
        r#"{"roomPrefix":"shed","publicPlayback":true}"#,
    )
    .await
    .json();
    assert_eq!(changed["data"]["roomPrefix"], "shed");
    assert_eq!(changed["data"]["publicPlayback"], true);
    let unchanged = admin(&hub, "PATCH /api/v1/apps/barn", "{}").await.json();
    assert_eq!(unchanged["data"], changed["data"]);

    for (line, body, status, word) in [
        (
            "PATCH /api/v1/apps/barn",
            r#"{"roomPrefix":"live"}"#,
            409,
            "\"live\" already",
        ),
        (
            "PATCH /api/v1/apps/live",
            r#"{"roomPrefix":"main"}"#,
            409,
            "cameras",
        ),
        ("PATCH /api/v1/apps/yard", "{}", 409, "[app.yard]"),
        ("DELETE /api/v1/apps/yard", "", 409, "configuration"),
        ("DELETE /api/v1/apps/live", "", 409, "\"live\""),
        ("PATCH /api/v1/apps/none", "{}", 404, "\"none\""),
        ("DELETE /api/v1/apps/none", "", 404, "\"none\""),
        ("GET /api/v1/apps/none", "", 404, "\"none\""),
        (
            "POST /api/v1/tokens",
            r#"{"name":"a","scope":"app","appId":"none"}"#,
            404,
            "appId in the body",
        ),
    ] {
        admin(&hub, line, body).await.is_problem(status, word);
    }
    // Its tokens go with it, and do not come back with another of its name.
    let inside = token(
        &hub,
        json!({ "name": "a", "scope": "app", "appId": "barn" }),
    )
    .await;
    let alive = call(hub.addr(), "GET /api/v1/apps/barn", &inside, "").await;
    assert_eq!(alive.status(), 200);
    let gone = admin(&hub, "DELETE /api/v1/apps/barn", "").await;
    assert_eq!(gone.json()["data"], json!({ "id": "barn" }));
    admin(&hub, "GET /api/v1/apps/barn", "")
        .await
        .is_problem(404, "\"barn\"");
    let again = admin(&hub, "POST /api/v1/apps", r#"{"name":"barn"}"#).await;
    assert_eq!(again.status(), 201);
    let dead = call(hub.addr(), "GET /api/v1/apps/barn", &inside, "").await;
    dead.is_problem(401, "no such token");
}

#[tokio::test]
async fn an_app_that_goes_private_is_out_of_sight_at_once() {
    let (hub, _dir) = hub();
    let mut wall = Wall::v2(hub.addr()).await;
    wall.say(json!({ "cmd": "subscribe", "cameras": ["*"] }))
        .await;
    wall.event("hello").await;
    loop {
        if wall.frame_v2().await.id == "cam1" {
            break;
        }
    }
    let change = async |public: bool| {
        let body = json!({ "publicPlayback": public }).to_string();
        let changed = admin(&hub, "PATCH /api/v1/apps/live", &body).await;
        assert_eq!(changed.status(), 200, "{changed:?}");
    };
    change(false).await;
    assert_eq!(wall.event("gone").await["id"], "cam1");
    wall.settle().await;
    assert!(wall.settle().await.iter().all(|frame| frame.id != "cam1"));
    let frame = get(hub.addr(), "/live/live/cam1/frame.jpg").await;
    frame.is_problem(401, "not public");
    let listed = get(hub.addr(), "/api/v1/cameras").await;
    assert!(!listed.body.contains("cam1"), "{listed:?}");
    change(true).await;
    assert_eq!(wall.event("camera").await["camera"]["id"], "cam1");
    loop {
        if wall.frame_v2().await.id == "cam1" {
            break;
        }
    }
}

#[tokio::test]
async fn streams_that_play_end_when_their_app_goes_private() {
    use ocelli_testkit::websocket::RawSocket;
    let (hub, _dir) = hub();
    let mut viewer = Wall::open(hub.addr(), "/live/ws?app=live&room=cam1", None).await;
    let mut mjpeg = RawSocket::connect(hub.addr()).await;
    let asked = format!(
        "GET /live/live/cam1/mjpeg HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
        hub.addr()
    );
    mjpeg.say(asked.as_bytes()).await;
    let head = mjpeg.head().await.expect("a head");
    assert_eq!(head.status, 200);
    let body = r#"{"publicPlayback":false}"#;
    let changed = admin(&hub, "PATCH /api/v1/apps/live", body).await;
    assert_eq!(changed.status(), 200);
    // The last chunk of the body: it ends as it should, and it does end.
    assert!(mjpeg.body(&head).await.ends_with("\r\n0\r\n\r\n"));
    assert_eq!(viewer.close_code().await, Some(4401));
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
    let said = hub.stderr().join("\n");
    assert!(!said.contains(&secret) && !said.contains(ADMIN), "{said}");
}

#[tokio::test]
async fn nobody_gives_out_what_they_do_not_have() {
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
            "\"yard\" alone",
        ),
        (
            &yard,
            json!({ "name": "a", "scope": "app", "appId": "live", "permissions": read }),
            "\"yard\" alone",
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
    // It sees and revokes those of its own app alone.
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
    // However an address is written, it means the app that it means.
    for live in [
        "/api/v1/apps/live",
        "/api/v1/apps/%6Cive",
        "/api/v1/apps/live?app=yard",
    ] {
        let line = format!("GET {live}");
        let answer = call(hub.addr(), &line, &yard, "").await;
        answer.is_problem(403, "\"yard\" alone");
    }
    // Only its own app is listed, and no other can be made.
    let apps = call(hub.addr(), "GET /api/v1/apps", &yard, "").await.json()["data"].clone();
    assert_eq!(apps.as_array().map(Vec::len), Some(1));
    let creator = json!({ "name": "c", "scope": "app", "appId": "yard", "permissions": ["app:*"] });
    let creator = self::token(&hub, creator).await;
    let made = call(
        hub.addr(),
        "POST /api/v1/apps",
        &creator,
        r#"{"name":"new"}"#,
    )
    .await;
    made.is_problem(403, "global");
}

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
async fn a_client_that_leaves_in_the_middle_leaves_nothing_half_done() {
    use ocelli_testkit::websocket::RawSocket;
    let (hub, _dir) = hub();
    let body = r#"{"publicPlayback":false}"#;
    let text = format!(
        "PATCH /api/v1/apps/live HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {ADMIN}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        hub.addr(),
        body.len()
    );
    let mut socket = RawSocket::connect(hub.addr()).await;
    socket.say(text.as_bytes()).await;
    drop(socket);
    // The change may have come to nothing; then neither the store nor the hub has it.
    let changed = admin(&hub, "PATCH /api/v1/apps/live", "{}").await.json();
    let frame = get(hub.addr(), "/live/live/cam1/frame.jpg").await;
    let public = changed["data"]["publicPlayback"] == true;
    assert_eq!(frame.status(), if public { 200 } else { 401 });
}

#[tokio::test]
async fn the_interface_describes_itself() {
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
    // Each reference leads somewhere.
    let text = document.to_string();
    for (at, _) in text.match_indices("\"$ref\":\"#") {
        let reference = &text[at + 9..];
        let reference = &reference[..reference.find('"').expect("an end")];
        assert!(document.pointer(reference).is_some(), "{reference}");
    }
    let page = get(hub.addr(), "/api/v1/docs").await;
    assert_eq!(page.status(), 200);
    assert!(
        page.header("content-security-policy")
            .contains("default-src 'self'")
    );
    assert!(!page.body.contains("<script") && !page.body.contains("http://"));
    for (method, path, _) in calls(&document) {
        let template = path.replace("yard", "{app}").replace("tok_none", "{id}");
        assert!(
            page.body.contains(&format!("{method} {template}")),
            "{method} {template}"
        );
    }
    let head = request(hub.addr(), "HEAD", "/api/v1/docs", &[]).await;
    assert_eq!(head.status(), 200);
}
