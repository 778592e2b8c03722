//! Devices that push JPEG: keys, and the ingest socket with each of its rules.

#![allow(clippy::unwrap_used, reason = "a failed test setup must panic")]

mod ended;
mod frames;
mod keys;
mod ready;
mod streams;
mod time;
mod websocat;

use crate::support::TIMEOUT;
use crate::support::device::ADMIN;
use crate::support::http::{HttpResponse, call};
use crate::support::site::Site;
use crate::support::tempdir::Dir;
use bytes::Bytes;
use serde_json::Value;
use std::net::SocketAddr;
use tokio::time::Instant;

async fn site() -> (Site, Dir) {
    let dir = Dir::new("ingest");
    let site = Site::keeping(&dir.0.join("kept"), ADMIN).await;
    (site, dir)
}

async fn admin(hub: SocketAddr, line: &str, body: Value) -> HttpResponse {
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    call(hub, line, ADMIN, &body).await
}

/// Waits until the camera shows this JPEG.
async fn shows(hub: SocketAddr, room: &str, jpeg: &Bytes) {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        assert!(
            Instant::now() < deadline,
            "the camera shows another picture"
        );
        let url = format!("http://{hub}/live/live/{room}/frame.jpg");
        let shown = tokio::process::Command::new("curl")
            .args(["-sf", &url])
            .output()
            .await
            .unwrap();
        if shown.stdout == jpeg[..] {
            return;
        }
        tokio::task::yield_now().await;
    }
}

/// Returns the status of the only key's device.
async fn device(hub: SocketAddr) -> Value {
    let listed = admin(hub, "GET /api/v1/apps/live/ws-ingest", Value::Null).await;
    listed.json()["data"][0]["device"].clone()
}

async fn streams(hub: SocketAddr) -> Vec<Value> {
    let listed = admin(hub, "GET /api/v1/apps/live/streams", Value::Null).await;
    listed.json()["data"].as_array().unwrap().clone()
}

/// Waits until the newest stream has this status.
async fn newest_stream(hub: SocketAddr, status: &str) -> Value {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        let newest = streams(hub).await.swap_remove(0);
        if newest["status"] == status {
            return newest;
        }
        assert!(Instant::now() < deadline, "{newest}");
    }
}
