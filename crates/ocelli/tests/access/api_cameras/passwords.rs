//! A camera's password: sent only to its host, and never shown.

use super::{SECRET, add, admin, bytes_in, camera, open_hub};
use crate::support::tempdir::Dir;
use serde_json::{Value, json};

#[tokio::test]
async fn a_stored_password_is_not_sent_to_another_host() {
    let (own, other) = (camera().await, camera().await);
    let dir = Dir::new("other");
    let hub = open_hub(&dir);
    let source = own.url("basic/mjpeg");
    add(
        &hub,
        json!({ "room": "door", "source": source, "user": "viewer", "password": SECRET }),
    )
    .await;
    let (patch, test) = ("PATCH /api/v1/cameras/door", "POST /api/v1/cameras/test");

    // It is sent to its own host, for any path.
    let body = json!({ "camera": "door", "source": own.url("digest/still.jpg") });
    let looked = admin(&hub, test, body).await.json();
    assert_eq!(looked["data"]["ok"], true, "{looked}");
    let moved = json!({ "source": own.url("digest/mjpeg") });
    let moved = admin(&hub, patch, moved).await.json();
    assert_eq!(moved["data"]["hasPassword"], true);

    // The other host would accept a request with the right password.
    let body = json!({ "camera": "door", "source": other.url("basic/mjpeg") });
    let looked = admin(&hub, test, body).await.json();
    assert_eq!(looked["data"]["ok"], false);
    assert_eq!(looked["data"]["reason"], "401: wrong user or password");
    let body = json!({ "camera": "door", "substream": other.url("basic/mjpeg") });
    let looked = admin(&hub, test, body).await.json();
    assert_eq!(looked["data"]["ok"], false, "{looked}");
    for change in [
        json!({ "substream": other.url("basic/mjpeg") }),
        json!({ "source": other.url("basic/mjpeg") }),
    ] {
        let changed = admin(&hub, patch, change).await.json();
        assert_eq!(changed["data"]["hasPassword"], false, "{changed}");
        let back = json!({ "source": source, "substream": null, "password": SECRET });
        let back = admin(&hub, patch, back).await.json();
        assert_eq!(back["data"]["hasPassword"], true);
    }
    let nobody = admin(&hub, patch, json!({ "user": null })).await.json();
    assert_eq!(nobody["data"]["hasPassword"], false);
    assert_eq!(nobody["data"]["user"], Value::Null);
    admin(&hub, patch, json!({ "password": SECRET }))
        .await
        .is_problem(400, "needs a user");
}

#[tokio::test]
async fn secrets_in_an_address_are_masked_and_kept() {
    let own = camera().await;
    let dir = Dir::new("query");
    let hub = open_hub(&dir);
    let source = format!("{}?pwd={SECRET}&channel=1", own.url("mjpeg"));
    let made = add(&hub, json!({ "room": "door", "source": source })).await;
    let shown = format!("{}?pwd=***&channel=1", own.url("mjpeg"));
    assert_eq!(made["source"], shown);
    // The address as shown, with its mask, keeps the password. A changed address with the mask in
    // it is refused.
    let patch = "PATCH /api/v1/cameras/door";
    let same = admin(&hub, patch, json!({ "source": shown, "keep": true })).await;
    assert_eq!(same.status(), 200, "{same:?}");
    let half = format!("{}?pwd=***&channel=2", own.url("mjpeg"));
    let half = admin(&hub, patch, json!({ "source": half })).await;
    half.is_problem(400, "complete address");
    for response in [same, half] {
        assert!(!response.body.contains(SECRET));
    }
    assert!(!hub.stderr().join("\n").contains(SECRET));
    let kept = bytes_in(&dir.0.join("data"));
    assert!(
        !kept
            .windows(SECRET.len())
            .any(|part| part == SECRET.as_bytes())
    );
}

#[tokio::test]
async fn equivalent_spellings_of_a_password_are_the_same_password() {
    let dir = Dir::new("odd");
    let hub = open_hub(&dir);
    for (number, source, shown, user) in [
        (
            1,
            "http://u:hush hush@10.0.0.7:81/x",
            "http://10.0.0.7:81/x",
            Some("u"),
        ),
        (
            2,
            "rtsp://us er:hush@10.0.0.7/x",
            "rtsp://10.0.0.7/x",
            Some("us er"),
        ),
        (
            3,
            "http:////u:hush@10.0.0.7/x",
            "http://10.0.0.7/x",
            Some("u"),
        ),
        (
            4,
            "http:\\\\u:hush@10.0.0.7/x",
            "http://10.0.0.7/x",
            Some("u"),
        ),
        (
            5,
            "rtsp://10.0.0.7/user=admin&password=hush&channel=1",
            "rtsp://10.0.0.7/user=admin&password=***&channel=1",
            None,
        ),
    ] {
        let room = format!("cam{number}");
        let made = add(&hub, json!({ "room": room, "source": source })).await;
        assert_eq!(made["source"], shown);
        assert_eq!(made["user"].as_str(), user, "{made}");
        assert_eq!(made["hasPassword"], user.is_some());
        assert!(!made.to_string().contains("hush"), "{made}");
    }
    let odd = json!({ "source": "http://u:pa ss@h:99999/" });
    let response = admin(&hub, "POST /api/v1/cameras/test", odd).await;
    assert_eq!(response.status(), 400);
    assert!(!response.body.contains("ss@"), "{response:?}");
}
