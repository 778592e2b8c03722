//! Each role against each API call, with the calls taken from the OpenAPI document.

use super::{Browser, admin, hub, token};
use crate::support::http::{call, get};
use ocelli::auth::PERMISSIONS;
use ocelli_testkit::Hub;
use serde_json::{Value, json};

/// What a call requires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Need {
    /// Nothing.
    Nothing,
    /// A signed-in user.
    SignedIn,
    /// A permission in the app that the path names.
    In(&'static str),
    /// A permission for all apps and the hub.
    HubWide(&'static str),
    /// The same, or a signed-in user.
    OwnOr(&'static str),
}
use Need::{HubWide, In, Nothing, OwnOr, SignedIn};

/// An API call of the document.
pub struct Call {
    /// Method and path, as in the document.
    pub template: String,
    /// The same with all parameters filled in.
    line: String,
    need: Need,
}

fn known(permission: &Value) -> &'static str {
    let found = PERMISSIONS.iter().find(|known| permission == **known);
    found.unwrap_or_else(|| panic!("unknown permission {permission}"))
}

/// Returns the calls of the document with the requirements it declares.
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
            assert!(!line.contains('{'), "{line}: fill in the new parameter");
            calls.push(Call {
                template,
                line,
                need,
            });
        }
    }
    // This call ends the caller's session, so it comes last.
    calls.sort_by_key(|call| call.template == "DELETE /api/v1/session");
    calls
}

/// The intended requirement of each call. A new call must be added here too.
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

/// A caller, and the permissions intended for it.
struct Caller {
    name: String,
    /// The token it sends, if it uses one.
    token: String,
    /// The browser it uses, if it is signed in.
    browser: Option<Browser>,
    permissions: Vec<String>,
    app: Option<&'static str>,
}

impl Caller {
    /// Whether it may make a call.
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
                // Series are visible to callers that may see app `live`.
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
            let response = match &self.browser {
                Some(browser) => browser.call(&one.line, Value::Null).await,
                None => call(hub.addr(), &one.line, &self.token, "").await,
            };
            let what = format!("{}: {}: {response:?}", self.name, one.line);
            if self.may(one) {
                // The hub may reject the body or the state, but not the caller.
                assert!(![401, 403].contains(&response.status()), "{what}");
                continue;
            }
            let nobody = self.token.is_empty() && self.browser.is_none();
            match one.need {
                _ if nobody => {
                    assert_eq!(response.status(), 401, "{what}");
                    assert_eq!(response.header("www-authenticate"), "Bearer");
                }
                SignedIn => response.is_problem(401, "signed in"),
                In(permission) | HubWide(permission) | OwnOr(permission) => {
                    assert_eq!(response.status(), 403, "{what}");
                    response.is_problem(403, permission);
                }
                Nothing => unreachable!("{what}"),
            }
        }
    }
}

fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(ToString::to_string).collect()
}

async fn with_token(hub: &Hub, permissions: Vec<String>, app: Option<&'static str>) -> Caller {
    let scope = if app.is_some() { "app" } else { "global" };
    let name = format!("a token of {app:?} with {permissions:?}");
    let mut body = json!({ "name": "n", "scope": scope, "permissions": permissions });
    if let Some(app) = app {
        body["appId"] = app.into();
    }
    Caller {
        name,
        token: token(hub, body).await,
        browser: None,
        permissions,
        app,
    }
}

#[tokio::test]
async fn each_call_requires_the_intended_permission() {
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
async fn each_role_may_make_exactly_the_calls_its_permissions_allow() {
    let (hub, _dir) = hub();
    let document = get(hub.addr(), "/api/v1/openapi.json").await.json();
    let calls = calls(&document);
    let mut everybody = vec![Caller {
        name: "an anonymous client".to_owned(),
        token: String::new(),
        browser: None,
        permissions: Vec::new(),
        app: None,
    }];

    // Tokens: each permission by itself, all others together, each kind, all permissions, and
    // the same in the right app and in another.
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

    // Users: each role for all apps, in the right app, and in another.
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
            everybody.push(Caller {
                name,
                token: String::new(),
                browser: Some(browser),
                permissions: texts(permissions),
                app,
            });
        }
    }

    // Links: they permit watching and nothing else.
    let played = admin(&hub, "GET /api/v1/apps/yard/play-token/gate", "").await;
    let wall = json!({ "name": "w", "cameras": ["yard/gate"] }).to_string();
    let wall = admin(&hub, "POST /api/v1/walls", &wall).await;
    for (name, response) in [("a play token", played), ("a wall link", wall)] {
        let token = response.json()["data"]["token"].clone();
        everybody.push(Caller {
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
    // The calls above must not have changed anything.
    assert_eq!(admin(&hub, "GET /api/v1/apps/yard", "").await.status(), 200);
}
