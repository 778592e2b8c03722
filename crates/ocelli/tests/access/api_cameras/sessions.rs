//! A camera that allows one session never gets two, whatever changes are made over HTTP.

use super::{ADMIN, add, admin, camera, open_hub};
use crate::support::tempdir::Dir;
use crate::support::wall::Wall;
use crate::support::{TIMEOUT, eventually};
use ocelli_testkit::{Hub, RtspServer, RtspServerOptions};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;

/// How long the camera takes to answer a TEARDOWN.
const TEARDOWN: Duration = Duration::from_millis(200);

/// A real RTSP server behind a proxy that acts like a slow camera: it counts the sessions, and
/// delays their end.
struct SlowCamera {
    _server: RtspServer,
    address: SocketAddr,
    counts: watch::Receiver<Sessions>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Sessions {
    open: usize,
    most: usize,
    opened: usize,
}

/// One session, from its SETUP to the end of its TEARDOWN or of its connection.
struct Session<'a>(&'a watch::Sender<Sessions>);

impl<'a> Session<'a> {
    fn begin(counts: &'a watch::Sender<Sessions>) -> Self {
        counts.send_modify(|counts| {
            counts.open += 1;
            counts.opened += 1;
            counts.most = counts.most.max(counts.open);
        });
        Self(counts)
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|counts| counts.open -= 1);
    }
}

impl SlowCamera {
    async fn start() -> Self {
        let server = RtspServer::start(RtspServerOptions::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, counts) = watch::channel(Sessions::default());
        let (port, sender) = (server.port(), Arc::new(sender));
        tokio::spawn(async move {
            while let Ok((hub, _)) = listener.accept().await {
                tokio::spawn(serve(hub, port, sender.clone()));
            }
        });
        Self {
            _server: server,
            address,
            counts,
        }
    }

    fn url(&self, mount: &str) -> String {
        format!("rtsp://{}/{mount}", self.address)
    }

    fn counts(&self) -> Sessions {
        *self.counts.borrow()
    }

    /// Waits until there have been this many sessions.
    async fn opened(&mut self, times: usize) {
        let more = self.counts.wait_for(|counts| counts.opened >= times);
        timeout(TIMEOUT, more).await.expect("a session").unwrap();
    }
}

/// Forwards one connection.
async fn serve(hub: TcpStream, port: u16, counts: Arc<watch::Sender<Sessions>>) {
    let server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let (mut from_server, mut to_server) = server.into_split();
    let (mut from_hub, mut to_hub) = hub.into_split();
    tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_hub).await });
    let (mut session, mut bytes) = (None, vec![0; 4096]);
    while let Ok(len @ 1..) = from_hub.read(&mut bytes).await {
        let text = &bytes[..len];
        let says = |word: &[u8]| text.windows(word.len()).any(|part| part == word);
        if says(b"SETUP ") && session.is_none() {
            session = Some(Session::begin(&counts));
        }
        if says(b"TEARDOWN ") {
            tokio::time::sleep(TEARDOWN).await;
            session = None;
        }
        if to_server.write_all(text).await.is_err() {
            break;
        }
    }
}

async fn change(hub: &Hub, body: Value) {
    let changed = admin(hub, "PATCH /api/v1/cameras/door", body).await;
    assert_eq!(changed.status(), 200, "{changed:?}");
}

#[tokio::test]
async fn an_rtsp_camera_is_changed_twenty_times_in_a_row() {
    let mut slow = SlowCamera::start().await;
    let dir = Dir::new("sessions");
    let hub = open_hub(&dir);
    let source = slow.url("h264");
    let kept = json!({ "room": "door", "source": source, "keep": true });
    add(&hub, kept.clone()).await;
    slow.opened(1).await;
    for number in 0..20 {
        let before = slow.counts().opened;
        change(&hub, json!({ "jpeg": { "width": 100 + number } })).await;
        // Sometimes the next change comes while the previous one is still being applied.
        if number % 4 != 3 {
            slow.opened(before + 1).await;
        }
    }
    // Watched, without `keep`.
    let mut wall = Wall::plain(hub.addr()).await;
    wall.subscribe(&["door"]).await;
    for (mount, keep) in [("small", false), ("h264", false), ("small", true)] {
        let before = slow.counts().opened;
        change(&hub, json!({ "source": slow.url(mount), "keep": keep })).await;
        slow.opened(before + 1).await;
        wall.frame().await;
    }
    // Deleted and added again at once.
    for _ in 0..3 {
        let gone = admin(&hub, "DELETE /api/v1/cameras/door", Value::Null).await;
        assert_eq!(gone.status(), 200, "{gone:?}");
        let before = slow.counts().opened;
        add(&hub, kept.clone()).await;
        slow.opened(before + 1).await;
    }
    assert_eq!(slow.counts().most, 1, "{:?}", slow.counts());
}

#[tokio::test]
async fn an_http_camera_is_changed_twenty_times_in_a_row() {
    let camera = camera().await;
    let dir = Dir::new("http-sessions");
    let hub = open_hub(&dir);
    let source = camera.url("mjpeg");
    // Two uses of the same address are one stream.
    let made = json!({ "room": "door", "source": source, "substream": source, "keep": true });
    let made = add(&hub, made).await;
    let mut wall = Wall::v2(hub.addr()).await;
    wall.event("hello").await;
    for stream in ["main", "sub"] {
        let subscribe = json!({ "cmd": "subscribe", "cameras": ["door"], "stream": stream });
        wall.send_command(subscribe).await;
        wall.frame_v2().await;
    }
    for number in 1..=20 {
        let requests_before = camera.requests("/mjpeg");
        change(&hub, json!({ "jpeg": { "width": 100 + number } })).await;
        if number % 4 != 3 {
            eventually("the next session begins", || {
                camera.requests("/mjpeg") > requests_before
            })
            .await;
        }
    }
    wall.frame_v2().await;
    assert_eq!(camera.most("/mjpeg"), 1);
    assert_eq!(made["hasSubstream"], false, "{made}");
}

#[tokio::test]
async fn a_camera_that_is_watched_is_not_opened_for_a_test() {
    let mut server = RtspServer::start(RtspServerOptions::default());
    let dir = Dir::new("tested");
    let hub = open_hub(&dir);
    let look = async |token: &str, body: Value| {
        let line = "POST /api/v1/cameras/test";
        let looked = super::call(hub.addr(), line, token, &body.to_string()).await;
        assert_eq!(looked.status(), 200, "{looked:?}");
        looked.json()["data"].clone()
    };
    let source = server.url("h264");
    add(
        &hub,
        json!({ "room": "door", "source": source, "keep": true }),
    )
    .await;
    eventually("the hub opens a session", || server.opened() == 1).await;
    // The running stream is shown, both to a change and to an attempt to add the camera again.
    for body in [
        json!({ "camera": "door" }),
        json!({ "camera": "door", "jpeg": { "width": 160 } }),
        json!({ "source": source }),
    ] {
        let seen = look(ADMIN, body).await;
        assert_eq!(seen["ok"], true, "{seen}");
        assert_eq!(
            (&seen["codec"], &seen["width"]),
            (&json!("h264"), &json!(320))
        );
    }
    // A different path or password on the same camera would be a second session.
    for body in [
        json!({ "camera": "door", "source": server.url("small") }),
        json!({ "camera": "door", "user": "viewer", "password": "hush" }),
    ] {
        let seen = look(ADMIN, body).await;
        assert_eq!(seen["ok"], false, "{seen}");
        let reason = seen["reason"].as_str().unwrap();
        assert!(reason.contains("it is in use"), "{reason}");
    }
    // A client that may not see that camera does not get its picture.
    let wanted = json!({ "name": "adds", "scope": "global", "permissions": ["camera:create"] });
    let token = admin(&hub, "POST /api/v1/tokens", wanted).await.json();
    let token = token["data"]["token"].as_str().expect("a token").to_owned();
    let seen = look(&token, json!({ "source": source })).await;
    assert!(
        seen["reason"].as_str().unwrap().contains("it is in use"),
        "{seen}"
    );
    assert_eq!(server.opened(), 1);

    // Another channel of a recorder can be tested while the first is watched.
    let seen = look(ADMIN, json!({ "source": server.url("small") })).await;
    assert_eq!(
        (&seen["ok"], &seen["width"]),
        (&json!(true), &json!(160)),
        "{seen}"
    );
    let seen = look(ADMIN, json!({ "source": server.url("none") })).await;
    let reason = seen["reason"].as_str().unwrap();
    assert!(reason.starts_with("404"), "{reason}");
    assert!(reason.contains("another session"), "{reason}");
}
