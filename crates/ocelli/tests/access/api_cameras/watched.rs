//! Cameras that are changed while they are watched.

use super::{Dir, HttpCamera, HttpCameraOptions, Wall, add, admin, open_hub};
use serde_json::json;
use std::time::Duration;
use tokio::time::timeout;

/// Shorter than the interval of the hub's pings, which also wake a viewer.
const SOON: Duration = Duration::from_secs(10);
/// More frames than a socket's buffers can hold from before a change.
const AFTER: usize = 8;

/// Regression test: viewers were not woken by a change until the hub's next ping.
#[tokio::test]
async fn every_viewer_follows_each_change() {
    let camera = HttpCamera::start(HttpCameraOptions::default()).await;
    let dir = Dir::new("changes");
    let hub = open_hub(&dir);
    add(
        &hub,
        json!({ "room": "door", "source": camera.url("mjpeg") }),
    )
    .await;
    let mut walls = Vec::new();
    for _ in 0..8 {
        let mut wall = Wall::plain(hub.addr()).await;
        wall.subscribe(&["door"]).await;
        assert_eq!(wall.frame().await.0, "door");
        walls.push(wall);
    }
    for fps in 1..=6 {
        let changed = admin(
            &hub,
            "PATCH /api/v1/cameras/door",
            json!({ "jpeg": { "fps": fps } }),
        )
        .await;
        assert_eq!(changed.status(), 200, "{changed:?}");
        for wall in &mut walls {
            for _ in 0..AFTER {
                let frame = timeout(SOON, wall.frame()).await;
                let (id, _) = frame.unwrap_or_else(|_| panic!("nothing after change {fps}"));
                assert_eq!(id, "door");
            }
        }
    }
}
