//! The HTTP API: permissions, apps, tokens, users, links, the OpenAPI document.

#![allow(clippy::unwrap_used, reason = "a failed test setup must panic")]

mod again;
mod apps;
mod document;
mod links;
mod matrix;
mod sign_in;
mod tokens;
mod two_hubs;
mod users;
mod watching;

use crate::support::device::ADMIN;
use crate::support::http::{HttpResponse, ask, call};
use crate::support::hub::OCELLI;
use crate::support::tempdir::Dir;
use ocelli_testkit::Hub;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::Path;

const PASSWORD: &str = "correct horse battery";

/// Writes a configuration: `cam1` in app `live`, `gate` in app `yard`, which is public or
/// private.
fn configuration(dir: &Dir, yard_is_public: bool) -> std::path::PathBuf {
    dir.write(
        "ocelli.toml",
        &format!(
            "listen = \"127.0.0.1:0\"\n\
             [app.yard]\nroom_prefix = \"field\"\npublic_playback = {yard_is_public}\n\
             [[camera]]\nid = \"cam1\"\nsource = \"pattern:?size=64x48&fps=20\"\n\
             [[camera]]\nid = \"gate\"\napp = \"yard\"\nsource = \"pattern:?size=64x48&fps=20\"\n"
        ),
    )
}

/// Starts a hub with an administrator's token.
fn hub() -> (Hub, Dir) {
    started(true)
}

/// The same, with a private app `yard`.
fn private_hub() -> (Hub, Dir) {
    started(false)
}

fn started(yard_is_public: bool) -> (Hub, Dir) {
    let dir = Dir::new("api");
    let config = configuration(&dir, yard_is_public);
    let builder = Hub::builder(OCELLI).env("OCELLI_ADMIN_TOKEN", ADMIN);
    (builder.args(["serve", "--config"]).arg(config).start(), dir)
}

/// Starts a hub without an administrator's token, with its data in `data`.
fn fresh_hub(dir: &Dir, data: &Path) -> Hub {
    let config = configuration(dir, true);
    let builder = Hub::builder(OCELLI).args(["serve", "--config"]).arg(config);
    builder.arg("--data").arg(data).start()
}

async fn admin(hub: &Hub, line: &str, body: &str) -> HttpResponse {
    call(hub.addr(), line, ADMIN, body).await
}

/// Creates a token and returns its secret.
async fn token(hub: &Hub, body: Value) -> String {
    let made = admin(hub, "POST /api/v1/tokens", &body.to_string()).await;
    assert_eq!(made.status(), 201, "{made:?}");
    let made = made.json();
    assert!(made["error"].is_null());
    made["data"]["token"].as_str().expect("a token").to_owned()
}

/// Returns the code in a link that sets a password.
fn code_in(link: &str) -> String {
    let (_, code) = link.trim().split_once("/sign-in#code=").expect("a link");
    assert_eq!(code.len(), 40, "{link}");
    code.to_owned()
}

/// Sends a request with these header lines, and with a JSON body unless it is null.
async fn send(address: SocketAddr, line: &str, lines: &[String], body: &Value) -> HttpResponse {
    let mut text = format!("{line} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    for line in lines {
        text.push_str(&format!("{line}\r\n"));
    }
    let body = if body.is_null() {
        String::new()
    } else {
        text.push_str("Content-Type: application/json\r\n");
        body.to_string()
    };
    text.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
    ask(address, &text).await
}

/// A signed-in browser: it sends its cookie, and the origin of the hub's page.
struct Browser {
    address: SocketAddr,
    cookie: String,
}

impl Browser {
    /// The browser that this response signed in.
    fn of(address: SocketAddr, response: &HttpResponse) -> Self {
        assert_eq!(response.status(), 200, "{response:?}");
        let set = response.header("set-cookie");
        let (cookie, attributes) = set.split_once(';').expect("a cookie");
        for attribute in ["HttpOnly", "SameSite=Strict", "Path=/"] {
            assert!(attributes.contains(attribute), "{set}");
        }
        Self {
            address,
            cookie: cookie.to_owned(),
        }
    }

    async fn sign_in(address: SocketAddr, name: &str, password: &str) -> HttpResponse {
        let body = json!({ "name": name, "password": password });
        send(address, "POST /api/v1/session", &[], &body).await
    }

    /// Adds a user with these roles and signs in; also returns the user's id.
    async fn user(hub: &Hub, name: &str, roles: Value) -> (Self, String) {
        let body = json!({ "name": name, "roles": roles }).to_string();
        let made = admin(hub, "POST /api/v1/users", &body).await;
        assert_eq!(made.status(), 201, "{made:?}");
        let made = made.json()["data"].clone();
        let code = code_in(made["link"].as_str().expect("a link"));
        let body = json!({ "code": code, "password": PASSWORD });
        let set = send(hub.addr(), "POST /api/v1/setup", &[], &body).await;
        let id = made["id"].as_str().expect("an id").to_owned();
        (Self::of(hub.addr(), &set), id)
    }

    fn lines(&self) -> Vec<String> {
        vec![
            format!("Cookie: other=1; {}; more=2", self.cookie),
            format!("Origin: http://{}", self.address),
        ]
    }

    async fn call(&self, line: &str, body: Value) -> HttpResponse {
        send(self.address, line, &self.lines(), &body).await
    }

    async fn get(&self, path: &str) -> HttpResponse {
        self.call(&format!("GET {path}"), Value::Null).await
    }

    /// Returns the name of the signed-in user.
    async fn name(&self) -> Value {
        let session = self.get("/api/v1/session").await;
        session.json()["data"]["user"]["name"].clone()
    }
}
