//! Each role at each call, from the document's own list of calls.

use super::{Browser, admin, hub, token};
use crate::support::http::{call, get};
use ocelli::auth::PERMISSIONS;
use ocelli_testkit::Hub;
use serde_json::{Value, json};

/// What a call needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Need {
    /// Nothing.
    Nothing,
    /// A user who is signed in.
    SignedIn,
    /// A permission, in the app that the address names.
    In(&'static str),
    /// A permission for all apps and the hub.
    HubWide(&'static str),
    /// The same, or a user who is signed in.
    OwnOr(&'static str),
}
use Need::{HubWide, In, Nothing, OwnOr, SignedIn};

/// A call of the document.
pub struct Call {
    /// Method and address as the document has them.
    pub template: String,
    /// The same with everything filled in.
    line: String,
    need: Need,
}

fn known(permission: &Value) -> &'static str {
    let found = PERMISSIONS.iter().find(|known| permission == **known);
    found.unwrap_or_else(|| panic!("{permission} is no permission"))
}

/// Each call of the document, and what it declares.
pub fn calls(document: &Value) -> Vec<Call> {
    let mut calls = Vec::new();
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for (method, call) in methods.as_object().expect("methods") {
            let template = format!("{} {path}", method.to_uppercase());
            let need = call["security"].as_array();
            let need = need.unwrap_or_else(|| panic!("{template} declares no permission"));
            let token = need.iter().find_map(|one| one.get("token"));
            let session = need.iter().any(|one| one.get("session").is_some());
            let hub_wide = token.is_some_and(|token| token[1] == "global");
            let need = match (token, session) {
                (None, false) => {
                    assert_eq!(need, &[json!({})], "{template}");
                    Nothing
                }
                (None, true) => SignedIn,
                (Some(token), true) => {
                    assert!(hub_wide, "{template}");
                    OwnOr(known(&token[0]))
                }
                (Some(token), false) if hub_wide => HubWide(known(&token[0])),
                (Some(token), false) => In(known(&token[0])),
            };
            let line = template.replace("{app}", "yard").replace("{room}", "gate");
            let line = line.replace("{id}", "none");
            let line = line.replace("{camera}", "yard%2Fgate");
            assert!(!line.contains('{'), "{line}: fill in what is new");
            calls.push(Call {
                template,
                line,
                need,
            });
        }
    }
    // It ends the session of whoever calls it, so it comes last.
    calls.sort_by_key(|call| call.template == "DELETE /api/v1/session");
    calls
}

/// What each call needs, as it was decided; a new call is to be decided here too.
const DECIDED: &[(&str, Need)] = &[
    ("DELETE /api/v1/apps/{app}", In("app:delete")),
    ("DELETE /api/v1/apps/{app}/streams/{id}", In("stream:stop")),
    (
        "DELETE /api/v1/apps/{app}/ws-ingest/{id}",
        In("ingress:delete"),
    ),
    ("DELETE /api/v1/cameras/{camera}", In("camera:delete")),
    ("DELETE /api/v1/series/{id}", In("series:delete")),
    ("DELETE /api/v1/session", SignedIn),
    ("DELETE /api/v1/sessions/{id}", OwnOr("session:delete")),
    ("DELETE /api/v1/tokens/{id}", In("token:delete")),
    ("DELETE /api/v1/users/{id}", HubWide("user:delete")),
    ("DELETE /api/v1/walls/{id}", In("camera:share")),
    ("GET /api/v1/apps", In("app:read")),
    ("GET /api/v1/apps/{app}", In("app:read")),
    (
        "GET /api/v1/apps/{app}/play-token/{room}",
        In("camera:share"),
    ),
    ("GET /api/v1/apps/{app}/streams", In("stream:read")),
    ("GET /api/v1/apps/{app}/ws-ingest", In("ingress:read")),
    ("GET /api/v1/apps/{app}/ws-ingest/live/{room}", Nothing),
    ("GET /api/v1/cameras", Nothing),
    ("GET /api/v1/cameras/{camera}", In("camera:read")),
    ("GET /api/v1/cameras/{camera}/health", Nothing),
    ("GET /api/v1/devices", HubWide("camera:create")),
    ("GET /api/v1/docs", Nothing),
    ("GET /api/v1/openapi.json", Nothing),
    ("GET /api/v1/series", In("series:read")),
    ("GET /api/v1/series/sources", In("series:read")),
    ("GET /api/v1/series/status", In("series:read")),
    ("GET /api/v1/session", Nothing),
    ("GET /api/v1/sessions", OwnOr("session:read")),
    ("GET /api/v1/tokens", In("token:read")),
    ("GET /api/v1/users", HubWide("user:read")),
    ("GET /api/v1/walls", In("camera:share")),
    ("GET /health", Nothing),
    ("GET /metrics", Nothing),
    ("GET /ready", Nothing),
    ("PATCH /api/v1/apps/{app}", In("app:write")),
    ("PATCH /api/v1/cameras/{camera}", In("camera:write")),
    ("PATCH /api/v1/users/{id}", HubWide("user:write")),
    ("POST /api/v1/apps", HubWide("app:create")),
    ("POST /api/v1/apps/{app}/ws-ingest", In("ingress:create")),
    ("POST /api/v1/cameras", In("camera:create")),
    ("POST /api/v1/cameras/test", In("camera:create")),
    ("PATCH /api/v1/series/{id}", In("series:write")),
    ("POST /api/v1/series", In("series:write")),
    ("POST /api/v1/session", Nothing),
    ("POST /api/v1/session/password", SignedIn),
    ("POST /api/v1/setup", Nothing),
    ("POST /api/v1/tokens", In("token:create")),
    ("POST /api/v1/users", HubWide("user:create")),
    ("POST /api/v1/walls", In("camera:share")),
];

/// Somebody, and what they may do as it was decided.
struct Somebody {
    name: String,
    /// The token they send, if it is one.
    token: String,
    /// The browser they use, if they are signed in.
    browser: Option<Browser>,
    permissions: Vec<String>,
    app: Option<&'static str>,
}

impl Somebody {
    /// Whether they may make a call.
    fn may(&self, call: &Call) -> bool {
        let has = |wanted: &str| {
            let kind = wanted.split(':').next().unwrap_or_default();
            let mut own = self.permissions.iter();
            own.any(|own| own == "*" || own == wanted || *own == format!("{kind}:*"))
        };
        let signed_in = self.browser.is_some();
        match call.need {
            Nothing => true,
            SignedIn => signed_in,
            In(permission) => {
                // Series are seen by whoever sees app `live`.
                let home = match &call.line {
                    line if line.contains("/yard") => Some("yard"),
                    line if line.contains("/api/v1/series") => Some("live"),
                    _ => None,
                };
                let elsewhere = home.is_some() && self.app.is_some() && self.app != home;
                has(permission) && !elsewhere
            }
            HubWide(permission) => has(permission) && self.app.is_none(),
            OwnOr(permission) => signed_in || (has(permission) && self.app.is_none()),
        }
    }

    async fn check(&self, hub: &Hub, calls: &[Call]) {
        for one in calls {
            let answer = match &self.browser {
                Some(browser) => browser.call(&one.line, Value::Null).await,
                None => call(hub.addr(), &one.line, &self.token, "").await,
            };
            let what = format!("{}: {}: {answer:?}", self.name, one.line);
            if self.may(one) {
                // They may be told that the body or the state is not right, but not
                // who they are.
                assert!(![401, 403].contains(&answer.status()), "{what}");
                continue;
            }
            let nobody = self.token.is_empty() && self.browser.is_none();
            match one.need {
                _ if nobody => {
                    assert_eq!(answer.status(), 401, "{what}");
                    assert_eq!(answer.header("www-authenticate"), "Bearer");
                }
                SignedIn => answer.is_problem(401, "signed in"),
                In(permission) | HubWide(permission) | OwnOr(permission) => {
                    assert_eq!(answer.status(), 403, "{what}");
                    answer.is_problem(403, permission);
                }
                Nothing => unreachable!("{what}"),
            }
        }
    }
}

fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(ToString::to_string).collect()
}

async fn with_token(hub: &Hub, permissions: Vec<String>, app: Option<&'static str>) -> Somebody {
    let scope = if app.is_some() { "app" } else { "global" };
    let name = format!("a token of {app:?} with {permissions:?}");
    let mut body = json!({ "name": "n", "scope": scope, "permissions": permissions });
    if let Some(app) = app {
        body["appId"] = app.into();
    }
    Somebody {
        name,
        token: token(hub, body).await,
        browser: None,
        permissions,
        app,
    }
}

#[tokio::test]
async fn each_call_needs_what_was_decided() {
    let (hub, _dir) = hub();
    let document = get(hub.addr(), "/api/v1/openapi.json").await.json();
    let mut declared: Vec<_> = calls(&document)
        .into_iter()
        .map(|call| (call.template, call.need))
        .collect();
    declared.sort();
    let decided = DECIDED.iter();
    let mut decided: Vec<_> = decided
        .map(|&(call, need)| (call.to_owned(), need))
        .collect();
    decided.sort();
    assert_eq!(declared, decided);
}

#[tokio::test]
async fn each_role_may_call_what_its_permissions_say_and_no_more() {
    let (hub, _dir) = hub();
    let document = get(hub.addr(), "/api/v1/openapi.json").await.json();
    let calls = calls(&document);
    let mut everybody = vec![Somebody {
        name: "anybody".to_owned(),
        token: String::new(),
        browser: None,
        permissions: Vec::new(),
        app: None,
    }];

    // Tokens: each permission alone, all others together, each kind, everything, the
    // same in the right app and in another.
    for permission in PERMISSIONS {
        let others = PERMISSIONS.iter().filter(|other| *other != permission);
        let others = others.map(ToString::to_string).collect();
        everybody.push(with_token(&hub, texts(&[permission]), None).await);
        everybody.push(with_token(&hub, others, None).await);
    }
    for kind in ["app:*", "token:*", "user:*", "session:*", "camera:*", "*"] {
        everybody.push(with_token(&hub, texts(&[kind]), None).await);
    }
    for app in ["yard", "live"] {
        everybody.push(with_token(&hub, texts(&["*"]), Some(app)).await);
    }

    // Users: each role for all apps, in the right one, and in another.
    for (role, permissions) in [
        ("admin", &["*"][..]),
        (
            "operator",
            &["app:read", "camera:*", "ingress:*", "series:*", "stream:*"],
        ),
        (
            "viewer",
            &["app:read", "camera:read", "series:read", "stream:read"],
        ),
    ] {
        for app in [None, Some("yard"), Some("live")] {
            let name = format!("{role} of {app:?}");
            let roles = json!([{ "app": app, "role": role }]);
            let (browser, _) = Browser::user(&hub, &name, roles).await;
            everybody.push(Somebody {
                name,
                token: String::new(),
                browser: Some(browser),
                permissions: texts(permissions),
                app,
            });
        }
    }

    // Links: to watch, and for nothing else.
    let played = admin(&hub, "GET /api/v1/apps/yard/play-token/gate", "").await;
    let wall = json!({ "name": "w", "cameras": ["yard/gate"] }).to_string();
    let wall = admin(&hub, "POST /api/v1/walls", &wall).await;
    for (name, answer) in [("a play token", played), ("a wall link", wall)] {
        let token = answer.json()["data"]["token"].clone();
        everybody.push(Somebody {
            name: name.to_owned(),
            token: token.as_str().expect("a token").to_owned(),
            browser: None,
            permissions: Vec::new(),
            app: None,
        });
    }

    for somebody in &everybody {
        somebody.check(&hub, &calls).await;
    }
    // Nothing was harmed by all of that.
    assert_eq!(admin(&hub, "GET /api/v1/apps/yard", "").await.status(), 200);
}
