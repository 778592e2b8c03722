//! Sources that cannot be added over HTTP, and cameras that a token does not cover.

use super::{add, admin, camera, ids, open_hub};
use crate::support::http::call;
use crate::support::tempdir::Dir;
use serde_json::{Value, json};

#[tokio::test]
async fn settings_reserved_for_the_configuration_are_refused() {
    let dir = Dir::new("refused");
    let hub = open_hub(&dir);
    for source in [
        "pattern:",
        "file:/etc/passwd",
        "ffmpeg:lavfi:testsrc2",
        "FILE:/etc/passwd",
        "exec:sh",
        "v4l2:/dev/video0",
        "rtmps://10.0.0.7/",
        "10.0.0.7/stream",
        "",
    ] {
        for body in [
            json!({ "room": "x", "source": source }),
            json!({ "room": "x", "source": "http://10.0.0.7/", "substream": source }),
        ] {
            let response = admin(&hub, "POST /api/v1/cameras", body).await;
            response.is_problem(400, "configuration file");
        }
        let body = json!({ "source": source });
        let response = admin(&hub, "POST /api/v1/cameras/test", body).await;
        response.is_problem(400, "configuration file");
    }
    for (field, value) in [
        ("name", json!("")),
        ("name", json!("a\u{7}b")),
        ("user", json!("a\r\nb")),
        ("password", json!("x".repeat(200))),
        (
            "source",
            json!(format!("http://10.0.0.7/{}", "x".repeat(3000))),
        ),
        ("jpeg", json!({ "fps": 0 })),
        ("jpeg", json!({ "fps": "often" })),
        ("jpeg", json!({ "width": 1 })),
        ("jpeg", json!({ "quality": 101 })),
        ("jpeg", json!({ "colour": 1 })),
        ("interval", json!("never")),
        ("verifyTls", json!("no")),
    ] {
        let mut body = json!({ "room": "x", "source": "http://10.0.0.7/", "user": "viewer" });
        body[field] = value;
        let response = admin(&hub, "POST /api/v1/cameras", body).await;
        response.is_problem(400, field);
    }
    let body = json!({ "room": "x", "source": "rtsp://10.0.0.7/", "interval": "never" });
    let response = admin(&hub, "POST /api/v1/cameras", body).await;
    response.is_problem(400, "interval");
    // Cameras of the configuration can only be changed there.
    for (line, body) in [
        ("PATCH /api/v1/cameras/fixed", json!({ "name": "x" })),
        ("DELETE /api/v1/cameras/live-fixed", Value::Null),
        ("POST /api/v1/cameras/test", json!({ "camera": "fixed" })),
    ] {
        admin(&hub, line, body)
            .await
            .is_problem(409, "configuration");
    }
    let fixed = admin(&hub, "GET /api/v1/cameras/fixed", Value::Null).await;
    let fixed = fixed.json()["data"].clone();
    assert_eq!(fixed["readOnly"], true);
    assert_eq!(fixed["name"], "Fixed");
    assert_eq!(fixed["source"], "pattern:?size=64x48&fps=20");
    assert_eq!(ids(&hub).await, ["fixed"]);
}

#[tokio::test]
async fn a_token_of_one_app_cannot_reach_cameras_of_another() {
    let camera = camera().await;
    let dir = Dir::new("reach");
    let hub = open_hub(&dir);
    let source = camera.url("mjpeg");
    add(
        &hub,
        json!({ "room": "barn", "app": "yard", "source": source }),
    )
    .await;
    add(&hub, json!({ "room": "door", "source": source })).await;
    let body =
        json!({ "name": "yard", "scope": "app", "appId": "yard", "permissions": ["camera:*"] });
    let made = admin(&hub, "POST /api/v1/tokens", body).await.json();
    let token = made["data"]["token"].as_str().unwrap();
    let ask = async |line: &str, body: Value| {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        call(hub.addr(), line, token, &body).await
    };
    for (line, body) in [
        ("GET /api/v1/cameras/door", Value::Null),
        ("GET /api/v1/cameras/live-door", Value::Null),
        ("GET /api/v1/cameras/live%2Fdoor", Value::Null),
        ("GET /api/v1/cameras/test", Value::Null),
        ("PATCH /api/v1/cameras/door", json!({ "name": "x" })),
        ("DELETE /api/v1/cameras/door", Value::Null),
        (
            "POST /api/v1/cameras",
            json!({ "room": "new", "source": source }),
        ),
        (
            "POST /api/v1/cameras",
            json!({ "room": "new", "app": "live", "source": source }),
        ),
        ("POST /api/v1/cameras/test", json!({ "camera": "door" })),
    ] {
        ask(line, body).await.is_problem(403, "only in another app");
    }
    for (line, body, status) in [
        ("GET /api/v1/cameras/yard%2Fbarn", Value::Null, 200),
        ("GET /api/v1/cameras/yard%2Fyard-barn", Value::Null, 200),
        (
            "POST /api/v1/cameras",
            json!({ "room": "new", "app": "yard", "source": source }),
            201,
        ),
        (
            "PATCH /api/v1/cameras/yard%2Fnew",
            json!({ "name": "x" }),
            200,
        ),
        (
            "POST /api/v1/cameras/test",
            json!({ "camera": "yard/new" }),
            200,
        ),
        ("DELETE /api/v1/cameras/yard%2Fnew", Value::Null, 200),
    ] {
        let response = ask(line, body).await;
        assert_eq!(response.status(), status, "{line}: {response:?}");
    }
}
