//! Cameras and programs that send endless data but no video. Each is disconnected with its reason
//! or throttled, and another camera of the same hub keeps its rate meanwhile.
//!
//! The hub is a separate process, so that only its own work is measured.

#![allow(clippy::unwrap_used, reason = "a failed test setup must panic")]

mod camera;

use super::ALONE;
use crate::support::TIMEOUT;
use crate::support::http::get;
use crate::support::hub::configured;
use crate::support::tempdir::Dir;
use crate::support::wall::Wall;
use camera::{Attack, Hostile};
use ocelli_testkit::websocket::V2;
use ocelli_testkit::{HttpCamera, HttpCameraOptions, Hub};
use serde_json::Value;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::MutexGuard;
use tokio_tungstenite::tungstenite::Message;

/// Frame rate of the camera next to the hostile one.
const FPS: u32 = 10;

/// A hub with a good camera and a bad one, both watched.
struct Beside {
    hub: Hub,
    wall: Wall,
    _camera: HttpCamera,
    _dir: Dir,
    _turn: MutexGuard<'static, ()>,
}

/// Observations of a hub under attack.
#[derive(Debug)]
struct Seen {
    /// Why the bad camera was disconnected, if it was.
    reason: Option<String>,
    took: Duration,
    /// Pictures of the good camera, and of the bad one.
    good: u32,
    bad: u32,
    /// The longest time without a picture of the good camera.
    gap: Duration,
    /// The longest response time of `/health`.
    health: Duration,
}

impl Beside {
    /// Starts a hub whose bad camera has these lines of configuration.
    async fn new(lines: &str) -> Self {
        let turn = ALONE.lock().await;
        let camera = HttpCamera::start(HttpCameraOptions {
            fps: FPS,
            ..HttpCameraOptions::default()
        });
        let camera = camera.await;
        let dir = Dir::new("hostile");
        let hub = configured(
            &dir,
            &format!(
                "listen = \"127.0.0.1:0\"\n[[camera]]\nid = \"good\"\nsource = \"{}\"\n\
                 [[camera]]\nid = \"bad\"\n{lines}\n",
                camera.url("mjpeg")
            ),
        );
        let hub = hub.arg("--data").arg(dir.0.join("kept")).start();
        let mut wall = Wall::v2(hub.addr()).await;
        wall.subscribe(&["good"]).await;
        wall.frame_v2().await;
        wall.subscribe(&["bad"]).await;
        Self {
            hub,
            wall,
            _camera: camera,
            _dir: dir,
            _turn: turn,
        }
    }

    /// Watches until the bad camera is disconnected, or for at most `limit`.
    async fn watch(&mut self, limit: Duration) -> Seen {
        let address = self.hub.addr();
        // The longest response time, and when the last request was sent.
        let shared = Arc::new(std::sync::Mutex::new((Duration::ZERO, Instant::now())));
        let own = shared.clone();
        let asking = tokio::spawn(async move {
            loop {
                own.lock().unwrap().1 = Instant::now();
                get(address, "/health").await;
                {
                    let mut seen = own.lock().unwrap();
                    seen.0 = seen.0.max(seen.1.elapsed());
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        let started = Instant::now();
        let mut last = started;
        let mut seen = Seen {
            reason: None,
            took: Duration::ZERO,
            good: 0,
            bad: 0,
            gap: Duration::ZERO,
            health: Duration::ZERO,
        };
        while seen.reason.is_none() && started.elapsed() < limit {
            match self
                .wall
                .next(limit.saturating_sub(started.elapsed()))
                .await
            {
                Some(Ok(Message::Binary(bytes))) => match V2::parse(&bytes).unwrap().id.as_str() {
                    "good" => {
                        seen.good += 1;
                        seen.gap = seen.gap.max(last.elapsed());
                        last = Instant::now();
                    }
                    _ => seen.bad += 1,
                },
                Some(Ok(Message::Text(text))) => {
                    let event: Value = serde_json::from_str(&text).unwrap();
                    let camera = &event["camera"];
                    if camera["id"] == "bad"
                        && let Some(reason) = camera["reason"].as_str()
                        // It is late, but was not disconnected.
                        && reason != "no picture for 3 s"
                    {
                        seen.reason = Some(reason.to_owned());
                    }
                }
                Some(Ok(_)) | None => {}
                Some(Err(error)) => panic!("the hub closed the wall: {error}"),
            }
        }
        asking.abort();
        seen.took = started.elapsed();
        seen.gap = seen.gap.max(last.elapsed());
        let (longest, requested) = *shared.lock().unwrap();
        // A pending request counts with the time it has taken so far.
        seen.health = longest.max(
            requested
                .elapsed()
                .saturating_sub(Duration::from_millis(50)),
        );
        seen
    }
}

impl Seen {
    /// Checks that the other camera and `/health` were not affected.
    fn is_fair(&self, what: &str) {
        let expected = self.took.as_secs_f64() * f64::from(FPS);
        let most = expected < 10.0 || f64::from(self.good) >= expected * 0.7;
        assert!(most, "{what}: of {expected} pictures {self:?}");
        assert!(self.gap < Duration::from_secs(1), "{what}: {self:?}");
        assert!(self.health < Duration::from_secs(1), "{what}: {self:?}");
    }
}

/// Watches an attack until the camera is disconnected with this reason.
async fn cut_off(attack: Attack, secure: bool, reason: &str) {
    let what = attack.name;
    let most = attack.most;
    let hostile = Hostile::start(attack, secure);
    let verify = if secure { "verify_tls = false" } else { "" };
    let mut beside = Beside::new(&format!("source = \"{}\"\n{verify}", hostile.url())).await;
    let seen = beside.watch(TIMEOUT).await;
    println!("{what}: {seen:?}, {} bytes", hostile.sent());
    let response = seen.reason.as_deref().unwrap_or("nothing");
    assert!(response.contains(reason), "{what}: {response}");
    assert!(hostile.sent() <= most, "{what}: {} bytes", hostile.sent());
    seen.is_fair(what);
}

#[tokio::test]
async fn endless_responses_are_cut_off() {
    let cases = [
        (
            Attack::endless("informational", "", "HTTP/1.1 103 Early Hints\r\n\r\n"),
            "informational",
        ),
        (
            Attack::endless("100 Continue", "", "HTTP/1.1 100 Continue\r\nX: y\r\n\r\n"),
            "informational",
        ),
        (
            Attack::endless("a status line", "HTTP/1.1 200 ", "a"),
            "longer than 64 KiB",
        ),
        (
            Attack::endless("a header", "HTTP/1.1 200 OK\r\nX: ", "a"),
            "longer than 64 KiB",
        ),
        (
            Attack::endless("headers", "HTTP/1.1 200 OK\r\n", "a: b\r\n"),
            "longer than 64 KiB",
        ),
        (
            Attack::endless("blank lines", "", "\r\n"),
            "longer than 64 KiB",
        ),
        (
            Attack::endless("an extension", camera::CHUNKED, "1;aaaaaaaaaaaaaa"),
            "longer than 8 KiB",
        ),
        (
            Attack::endless("trailers", &format!("{}0\r\n", camera::CHUNKED), "a: b\r\n"),
            "longer than 64 KiB",
        ),
        (
            Attack::once(
                "redirections",
                "HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n",
            ),
            "too many redirects",
        ),
    ];
    for (attack, reason) in cases {
        cut_off(attack, false, reason).await;
    }
}

#[tokio::test]
async fn streams_without_pictures_are_cut_off() {
    let much = "it sends a lot of data but no JPEG pictures";
    let cases = [
        (
            "empty parts",
            "--f\r\nContent-Length: 0\r\n\r\n",
            "the parts of its stream are not JPEG",
        ),
        (
            "parts of one byte",
            "--f\r\nContent-Length: 1\r\n\r\na\r\n",
            "the parts of its stream are not JPEG",
        ),
        ("part headers", "X: y\r\n", much),
        ("boundaries", "--f\r\n", much),
        ("a line", "a", much),
    ];
    for (name, unit, reason) in cases {
        let head = format!("{}--f\r\n", camera::MULTIPART);
        cut_off(
            Attack::endless(name, &head, unit).within(80 << 20),
            false,
            reason,
        )
        .await;
    }
    let markers = Attack::endless_bytes(
        "markers",
        camera::MULTIPART.as_bytes(),
        b"--f\r\n\r\n\xFF\xD8\0",
    );
    cut_off(markers.within(80 << 20), false, much).await;
    let still = "HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\n\r\n";
    let other = Attack::endless("a still of another format", still, "a").within(40 << 20);
    cut_off(other, false, "not a JPEG").await;
    let begun = [still.as_bytes(), b"\xFF\xD8\xFF\xDA\0\x08\x01\x01\0\0\0\0"].concat();
    let endless = Attack::endless_bytes("a still", &begun, b"a").within(40 << 20);
    cut_off(endless, false, "larger than 16 MiB").await;
}

#[tokio::test]
async fn chunks_of_one_byte_are_cut_off() {
    let picture = ocelli_testkit::jpeg::Picture::QVGA.encode_now(0);
    let part = format!("--f\r\nContent-Length: {}\r\n\r\n", picture.len());
    let part = [part.as_bytes(), &picture].concat();
    let mut head = format!("{}{:x}\r\n", camera::CHUNKED, part.len()).into_bytes();
    head.extend_from_slice(&part);
    head.extend_from_slice(b"\r\n");
    // It is disconnected with one reason, whichever limit was reached first.
    let attack = Attack::endless_bytes("chunks of one byte", &head, b"1\r\na\r\n");
    cut_off(attack.within(80 << 20), false, " for 10 s").await;
}

#[tokio::test]
async fn endless_data_over_tls_is_cut_off() {
    let informational = "HTTP/1.1 103 Early Hints\r\n\r\n";
    let cases = [
        (
            Attack::endless("informational", "", informational),
            "informational",
        ),
        (
            Attack::endless("a header", "HTTP/1.1 200 OK\r\nX: ", "a"),
            "longer than 64 KiB",
        ),
        (
            Attack::endless("a line", camera::MULTIPART, "a").within(80 << 20),
            "it sends a lot of data but no JPEG pictures",
        ),
        (
            Attack::key_updates("HTTP/1.1 200 OK\r\n"),
            "does not speak valid HTTP",
        ),
    ];
    for (attack, reason) in cases {
        cut_off(attack, true, reason).await;
    }
}

#[tokio::test]
async fn endless_handshake_messages_are_cut_off() {
    let attack = Attack::tickets("tickets", 20_000, "HTTP/1.1 404 X\r\n\r\n");
    // Rustls keeps 64 KiB of them at most.
    cut_off(attack, true, "does not speak valid HTTP").await;
}

#[tokio::test]
async fn tiny_pictures_at_full_speed_are_throttled() {
    let picture = ocelli_testkit::jpeg::Picture {
        bytes: 0,
        ..ocelli_testkit::jpeg::Picture::QVGA
    };
    let picture = picture.encode_now(0);
    let mut part = format!("--f\r\nContent-Length: {}\r\n\r\n", picture.len()).into_bytes();
    part.extend_from_slice(&picture);
    part.extend_from_slice(b"\r\n");
    for secure in [false, true] {
        let hostile = Hostile::start(
            Attack::endless_bytes("pictures", camera::MULTIPART.as_bytes(), &part),
            secure,
        );
        let verify = if secure { "verify_tls = false" } else { "" };
        let mut beside = Beside::new(&format!("source = \"{}\"\n{verify}", hostile.url())).await;
        let seen = beside.watch(Duration::from_secs(3)).await;
        println!("pictures: {seen:?}, {} bytes", hostile.sent());
        assert_eq!(seen.reason, None);
        assert!((300..900).contains(&seen.bad), "{seen:?}");
        seen.is_fair("pictures");
    }
}

#[tokio::test]
async fn programs_that_write_endlessly_are_limited() {
    for (program, format, reason) in [
        ("yes", "mjpeg", Some("is not JPEG")),
        ("cat /dev/zero", "h264", Some("is not H.264")),
        ("cat /dev/zero", "yuv420p", None),
        // Only messages on standard error.
        ("yes >&2", "mjpeg", None),
    ] {
        let size = match format {
            "yuv420p" => "size = \"320x240\"",
            _ => "",
        };
        let lines =
            format!("exec = [\"sh\", \"-c\", \"{program}\"]\nformat = \"{format}\"\n{size}");
        let mut beside = Beside::new(&lines).await;
        let limit = Duration::from_secs(if reason.is_some() { 20 } else { 3 });
        let before = beside.hub.cpu_time();
        let seen = beside.watch(limit).await;
        let worked = beside.hub.cpu_time().saturating_sub(before);
        println!("{program} as {format}: {worked:?} {seen:?}");
        match reason {
            Some(reason) => {
                let response = seen.reason.as_deref().unwrap_or("nothing");
                assert!(response.contains(reason), "{response}");
            }
            None => {
                assert_eq!(seen.reason, None);
                assert!(worked < seen.took / 2, "{program}: {worked:?}");
            }
        }
        seen.is_fair(program);
    }
}
