//! The first user, signing in and out, sessions, and password guessing.

use super::{
    ADMIN, Browser, OCELLI, PASSWORD, admin, code_in, configuration, fresh_hub, hub, send,
};
use crate::support::http::get;
use crate::support::tempdir::Dir;
use ocelli_testkit::Hub;
use serde_json::{Value, json};
use std::process::Command;
use std::time::Duration;

/// Returns the setup code that a hub printed at its start.
fn printed_code(hub: &Hub) -> String {
    let link = hub.wait_stderr("/sign-in#code=", Duration::from_secs(20));
    let link = link.expect("a link for the first user");
    assert!(link.contains(&hub.addr().to_string()), "{link}");
    code_in(&link)
}

async fn set_up(hub: &Hub, body: Value) -> super::HttpResponse {
    send(hub.addr(), "POST /api/v1/setup", &[], &body).await
}

#[tokio::test]
async fn the_printed_link_creates_the_first_user_once() {
    let dir = Dir::new("first");
    let hub = fresh_hub(&dir, &dir.0);
    let code = printed_code(&hub);
    let open = get(hub.addr(), "/api/v1/session").await;
    assert_eq!(open.json()["data"]["setupOpen"], true);
    assert_eq!(open.header("cache-control"), "no-store");
    let ask = |code: &str, name: &str, password: &str| {
        set_up(
            &hub,
            json!({ "code": code, "name": name, "password": password }),
        )
    };
    let wrong = format!("{}{}", &code[1..], "0");
    ask(&wrong, "ann", PASSWORD)
        .await
        .is_problem(401, "admin link");
    ask(&code, "ann", "short")
        .await
        .is_problem(400, "password in");
    ask(&code, " ann", PASSWORD)
        .await
        .is_problem(400, "name in");
    let nameless = set_up(&hub, json!({ "code": code, "password": PASSWORD })).await;
    nameless.is_problem(400, "name in");
    let ann = Browser::of(hub.addr(), &ask(&code, "ann", PASSWORD).await);
    let me = ann.get("/api/v1/session").await.json()["data"].clone();
    assert_eq!(me["user"]["name"], "ann");
    assert_eq!(
        me["user"]["roles"],
        json!([{ "app": null, "role": "admin" }])
    );
    assert_eq!(me["setupOpen"], false);
    let own = me["permissions"]["apps"]["yard"]
        .as_array()
        .expect("a list");
    assert!(own.contains(&json!("camera:share")), "{me}");
    ask(&code, "eve", PASSWORD)
        .await
        .is_problem(401, "was already used");
    // The code, the password and the cookie do not appear in the log. Once there is a user, the
    // next start prints no link.
    let log = hub.stderr().join("\n");
    let (_, secret) = ann.cookie.split_once('.').expect("a cookie");
    assert!(!log.contains(PASSWORD) && !log.contains(secret), "{log}");
    assert_eq!(log.matches(&code).count(), 1);
    drop(hub);
    let hub = fresh_hub(&dir, &dir.0);
    let again = Browser::sign_in(hub.addr(), "ANN", PASSWORD).await;
    assert_eq!(Browser::of(hub.addr(), &again).name().await, "ann");
    assert!(!hub.stderr().join("\n").contains("sign-in#"));
    // The session survives a restart of the hub.
    let kept = Browser {
        address: hub.addr(),
        cookie: ann.cookie,
    };
    assert_eq!(kept.name().await, "ann");
}

#[tokio::test]
async fn the_command_line_on_the_hubs_machine_resets_a_lost_password() {
    let dir = Dir::new("lost");
    let hub = fresh_hub(&dir, &dir.0);
    let body = json!({ "code": printed_code(&hub), "name": "ann", "password": PASSWORD });
    let lost = Browser::of(hub.addr(), &set_up(&hub, body).await);
    let printed = Command::new(OCELLI)
        .args(["admin", "link", "--data"])
        .arg(&dir.0)
        .output()
        .unwrap();
    assert!(printed.status.success(), "{printed:?}");
    let link = String::from_utf8(printed.stdout).unwrap();
    assert!(link.starts_with(&hub.url("/sign-in#code=")), "{link}");
    let code = code_in(&link);
    let body = json!({ "code": code, "name": "ann", "password": "another horse" });
    let ann = Browser::of(hub.addr(), &set_up(&hub, body).await);
    assert_eq!(ann.name().await, "ann");
    assert_eq!(lost.name().await, Value::Null, "other sessions end");
    let old = Browser::sign_in(hub.addr(), "ann", PASSWORD).await;
    old.is_problem(401, "the name or the password is wrong");
    let new = Browser::sign_in(hub.addr(), "ann", "another horse").await;
    assert_eq!(new.status(), 200);
    let users = ann.get("/api/v1/users").await.json();
    assert_eq!(
        (&users["total"], &users["data"][0]["name"]),
        (&json!(1), &json!("ann"))
    );
}

#[tokio::test]
async fn a_private_hub_shows_its_cameras_to_signed_in_users() {
    let dir = Dir::new("private");
    let config = configuration(&dir, true);
    let hub = Hub::builder(OCELLI)
        .args(["serve", "--private", "--config"])
        .arg(config)
        .arg("--data")
        .arg(&dir.0)
        .start();
    let picture = "/live/live/cam1/frame.jpg";
    assert_eq!(get(hub.addr(), picture).await.status(), 401);
    let body = json!({ "code": printed_code(&hub), "name": "ann", "password": PASSWORD });
    let ann = Browser::of(hub.addr(), &set_up(&hub, body).await);
    assert_eq!(ann.get(picture).await.status(), 200);
    let log = hub.stderr().join("\n");
    assert!(!log.contains("anyone") && !log.contains("Anyone"), "{log}");
}

#[tokio::test]
async fn a_hub_with_an_administrators_token_prints_no_link() {
    let (hub, _dir) = hub();
    assert_eq!(admin(&hub, "GET /api/v1/users", "").await.status(), 200);
    assert!(!hub.stderr().join("\n").contains("sign-in#"));
}

#[tokio::test]
async fn sessions_are_listed_revoked_and_ended_by_a_new_password() {
    let (hub, _dir) = hub();
    let viewer = json!([{ "app": "live", "role": "viewer" }]);
    let (first, _) = Browser::user(&hub, "bob", viewer.clone()).await;
    let (other, _) = Browser::user(&hub, "eve", viewer).await;
    let lines = ["User-Agent: a browser\u{9b}2J".to_owned()];
    let body = json!({ "name": "bob", "password": PASSWORD });
    let signed = send(hub.addr(), "POST /api/v1/session", &lines, &body).await;
    let second = Browser::of(hub.addr(), &signed);
    assert_ne!(first.cookie, second.cookie);
    let listed = second.get("/api/v1/sessions").await;
    let (_, secret) = second.cookie.split_once('.').expect("a cookie");
    assert!(!listed.body.contains(secret));
    let listed = listed.json();
    assert_eq!(listed["total"], 2, "only the user's sessions: {listed}");
    let rows = listed["data"].as_array().expect("a list");
    let current = rows
        .iter()
        .find(|row| row["current"] == true)
        .expect("the current session");
    assert_eq!(current["address"], "127.0.0.1");
    assert_eq!(current["agent"], "a browser2J", "no control characters");
    let old = rows
        .iter()
        .find(|row| row["current"] == false)
        .expect("the other session");
    let line = format!(
        "DELETE /api/v1/sessions/{}",
        old["id"].as_str().expect("an id")
    );
    // Only an administrator may see other users' sessions.
    other
        .call(&line, Value::Null)
        .await
        .is_problem(404, "no session");
    let all = other.get("/api/v1/sessions?of=all").await;
    all.is_problem(403, "session:read");
    assert_eq!(first.name().await, "bob");
    assert_eq!(second.call(&line, Value::Null).await.status(), 200);
    assert_eq!(first.name().await, Value::Null);
    let all = admin(&hub, "GET /api/v1/sessions?limit=1", "").await.json();
    assert_eq!(
        (&all["total"], all["data"].as_array().map(Vec::len)),
        (&json!(2), Some(1))
    );
    admin(&hub, "GET /api/v1/sessions?limit=501", "")
        .await
        .is_problem(400, "limit");

    let again = Browser::sign_in(hub.addr(), "bob", PASSWORD).await;
    let third = Browser::of(hub.addr(), &again);
    let change = async |old: &str, new: &str| {
        let body = json!({ "old": old, "new": new });
        second.call("POST /api/v1/session/password", body).await
    };
    change("wrong", "another horse")
        .await
        .is_problem(403, "old in");
    change(PASSWORD, "short").await.is_problem(400, "new in");
    assert_eq!(change(PASSWORD, "another horse").await.status(), 200);
    assert_eq!(second.name().await, "bob");
    assert_eq!(third.name().await, Value::Null);
    let gone = Browser::sign_in(hub.addr(), "bob", PASSWORD).await;
    gone.is_problem(401, "password is wrong");

    // Signing out deletes the cookie; signing in again ends the previous session.
    let rotated = second.call(
        "POST /api/v1/session",
        json!({ "name": "bob", "password": "another horse" }),
    );
    let rotated = Browser::of(hub.addr(), &rotated.await);
    assert_eq!(second.name().await, Value::Null);
    let out = rotated.call("DELETE /api/v1/session", Value::Null).await;
    assert_eq!(out.status(), 200);
    assert!(
        out.header("set-cookie").contains("=; Path=/; Max-Age=0"),
        "{out:?}"
    );
    assert_eq!(rotated.name().await, Value::Null);
    let log = hub.stderr().join("\n");
    assert!(!log.contains(secret) && !log.contains("horse") && !log.contains(ADMIN));
}

#[tokio::test]
async fn guessing_is_slowed_down_without_locking_users_out() {
    let (hub, _dir) = hub();
    let roles = json!([{ "role": "operator" }]);
    Browser::user(&hub, "ann", roles).await;
    // Each of many simultaneous attempts counts.
    let tries = (0..40).map(|_| Browser::sign_in(hub.addr(), "ann", "a wrong guess"));
    let answers = futures_util::future::join_all(tries).await;
    let refused = answers.iter().filter(|response| response.status() == 429);
    assert!(refused.clone().count() >= 25, "{}", refused.count());
    let refused = answers
        .iter()
        .find(|response| response.status() == 429)
        .expect("a refused attempt");
    refused.is_problem(429, "too many");
    let wait: u64 = refused.header("retry-after").parse().expect("seconds");
    assert!((1..=60).contains(&wait), "{wait}");
    assert!(
        answers
            .iter()
            .all(|response| [401, 429].contains(&response.status()))
    );
    // The right password from another address is not affected.
    let body = json!({ "name": "ann", "password": PASSWORD });
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let mut stream = socket.connect(hub.addr()).await.expect("a connection");
    let body = body.to_string();
    let text = format!(
        "POST /api/v1/session HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        hub.addr(),
        body.len()
    );
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    assert!(response.starts_with("HTTP/1.1 200"), "{response}");
    // Codes and tokens are counted as well.
    let mut statuses = Vec::new();
    for _ in 0..25 {
        let body = json!({ "code": "0".repeat(40), "name": "eve", "password": PASSWORD });
        statuses.push(set_up(&hub, body).await.status());
    }
    assert_eq!(statuses.last(), Some(&429));
    let mut statuses = Vec::new();
    for _ in 0..70 {
        let bad = super::call(hub.addr(), "GET /api/v1/apps", "sk_guess", "").await;
        statuses.push(bad.status());
    }
    assert_eq!(
        (statuses.first(), statuses.last()),
        (Some(&401), Some(&429))
    );
    // A valid token still works.
    assert_eq!(admin(&hub, "GET /api/v1/apps", "").await.status(), 200);
}
