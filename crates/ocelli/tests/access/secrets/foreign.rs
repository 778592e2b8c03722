//! Text from a camera, a program, a source of samples or a request: none of its control
//! characters reach the log, the API or a viewer.

use crate::support::TIMEOUT;
use crate::support::device::ADMIN;
use crate::support::http::{call, get};
use crate::support::hub::configured;
use crate::support::tempdir::Dir;
use crate::support::wall::Wall;
use ocelli_core::text::is_control;
use serde_json::{Value, json};

const KEY: &str = "wsk_5ec4e75ec4e75ec4e75ec4e75ec4e75ec4e75ec4";

/// Collects the texts in a value.
fn texts(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => found.push(text.clone()),
        Value::Array(list) => list.iter().for_each(|value| texts(value, found)),
        Value::Object(fields) => {
            found.extend(fields.keys().cloned());
            fields.values().for_each(|value| texts(value, found));
        }
        _ => {}
    }
}

fn clean(what: &str, content: &Value) {
    let mut found = Vec::new();
    texts(content, &mut found);
    assert!(!found.is_empty(), "{what}");
    for text in found {
        assert!(!text.contains(is_control), "{what}: {text:?}");
        assert!(!text.contains(&KEY[4..]), "{what}: {text}");
    }
}

#[tokio::test]
async fn control_characters_in_foreign_text_are_removed() {
    for format in ["text", "json"] {
        assert_no_control_characters(format).await;
    }
}

async fn assert_no_control_characters(format: &str) {
    let dir = Dir::new("foreign");
    // ESC, BEL, CSI as a single C1 character, DEL, a bidirectional override, and a key.
    let bad = r"bad \033[2J\033]0;x\007 \302\2331m \177 \342\200\256gpj \342\201\246";
    let config = format!(
        "listen = \"127.0.0.1:0\"\n\
         [[camera]]\nid = \"cam1\"\nformat = \"mjpeg\"\n\
         exec = [\"sh\", \"-c\", \"printf '{} {KEY}\\\\n' >&2; exit 3\"]\n",
        bad.replace('\\', "\\\\")
    );
    let builder = configured(&dir, &config).env("OCELLI_ADMIN_TOKEN", ADMIN);
    let builder = builder.args(["--log-format", format]);
    let hub = builder.arg("--data").arg(dir.0.join("kept")).start();
    let at = hub.addr();
    let mut wall = Wall::v2(at).await;
    wall.subscribe(&["cam1"]).await;
    let event = loop {
        let event = wall.event("camera").await;
        clean("an event", &event);
        if event["camera"]["state"] == "failed" {
            break event;
        }
    };
    let reason = event["camera"]["reason"].as_str().unwrap();
    let escaped = r"bad \u{1b}[2J\u{1b}]0;x\u{7} \u{9b}1m \u{7f} \u{202e}gpj \u{2066} ***";
    assert!(reason.contains(escaped), "{reason}");
    clean("the cameras", &get(at, "/api/v1/cameras").await.json());
    let health = get(at, "/api/v1/cameras/cam1/health").await;
    clean("a camera's health", &health.json());

    let hostile = "t\u{1b}[2J\u{9b}\u{202e}\u{7}";
    let name = format!("{hostile}\n1 2\n\u{1b}[31m {KEY}\n");
    let taken = call(at, "POST /api/v1/series", ADMIN, &name).await;
    clean("samples", &taken.json());
    let field = json!({ hostile: 1 }).to_string();
    for (line, body) in [
        ("POST /api/v1/apps", field.as_str()),
        ("POST /api/v1/apps", &json!({ "name": hostile }).to_string()),
        (
            "POST /api/v1/tokens",
            &json!({ "name": "a", "scope": hostile }).to_string(),
        ),
        ("GET /api/v1/cameras/%1b%5b2J%e2%80%ae", ""),
        ("GET /api/v1/apps/live/ws-ingest/live/%1b%5b2J%c2%9b", ""),
        ("GET /live/live/%1b%5b2J/frame.jpg", ""),
        ("GET /api/v1/cameras?token=%1b%5b2J", ""),
        ("GET /api/v1/series", ""),
        ("GET /api/v1/series/sources", ""),
    ] {
        clean(line, &call(at, line, ADMIN, body).await.json());
    }
    let renamed = json!({ "name": hostile }).to_string();
    let renamed = call(at, "PATCH /api/v1/series/1", ADMIN, &renamed).await;
    clean("a series' new name", &renamed.json());
    for path in [
        "/live/ws?app=live&room=%1b%5b2J%e2%80%ae",
        "/ingest/ws?app=%1b%5b2J&room=%c2%9b",
    ] {
        let mut request = format!("GET {path} HTTP/1.1\r\nHost: {at}\r\n");
        for line in [
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Version: 13",
        ] {
            request.push_str(&format!("{line}\r\n"));
        }
        request.push_str("Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n");
        crate::support::http::ask(at, &request).await;
    }
    let refused = hub.wait_stderr("refused a device", TIMEOUT);
    assert!(refused.is_some());
    for line in hub.stderr() {
        assert!(!line.contains(is_control), "{line:?}");
        match format {
            "json" => clean(&line, &serde_json::from_str(&line).unwrap()),
            _ => assert!(!line.contains(&KEY[4..]), "{line}"),
        }
    }
}
