//! Snapshots over HTTP, and their age.

#![allow(clippy::unwrap_used, reason = "a failed test setup must panic")]

use crate::support::http::{HttpResponse, get};
use crate::support::hub::OCELLI;
use crate::support::site::Site;
use crate::support::wall::Wall;
use ocelli_core::Timestamp;
use ocelli_testkit::jpeg::{self, Picture, now_micros};
use ocelli_testkit::{HttpCamera, HttpCameraOptions, Hub};
use std::time::{Duration, Instant};
use tokio::process::Command;

#[tokio::test]
async fn a_snapshot_starts_the_camera_and_returns_its_first_frame() {
    let camera = HttpCamera::start(HttpCameraOptions::default()).await;
    let hub = Hub::serve(OCELLI, [format!("cam1={}", camera.url("mjpeg"))]);
    let started = Instant::now();
    let output = Command::new("curl")
        .args(["-sS", "-D", "-", "--fail"])
        .arg(hub.url("/live/live/cam1/frame.jpg"))
        .output()
        .await
        .unwrap();
    assert!(output.status.success());
    assert!(started.elapsed() < Duration::from_secs(5));
    let end = output.stdout.windows(4).position(|at| at == b"\r\n\r\n");
    let (head, jpeg) = output.stdout.split_at(end.unwrap() + 4);
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    assert!(head.contains("cache-control: no-store\r\n"), "{head}");
    assert!(head.contains("content-type: image/jpeg\r\n"), "{head}");
    assert_eq!(jpeg.len(), Picture::QVGA.bytes);
    assert!(jpeg::stamp(jpeg).is_some(), "the camera's own bytes");
    // It counts as a viewer for the grace period: the camera keeps running.
    for _ in 0..5 {
        let answer = get(hub.addr(), "/live/live/live-cam1/frame.jpg").await;
        assert_eq!(answer.status(), 200);
    }
    assert_eq!((camera.requests("mjpeg"), camera.open("mjpeg")), (1, 1));
}

#[tokio::test]
async fn a_snapshot_of_a_camera_that_does_not_start_is_503_after_10_s() {
    let camera = HttpCamera::start(HttpCameraOptions::default()).await;
    let sources = [
        format!("silent={}", camera.url("silent")),
        "refused=http://127.0.0.1:9/x".into(),
    ];
    let hub = Hub::serve(OCELLI, sources);
    let started = Instant::now();
    let (silent, refused) = tokio::join!(
        ask_slowly(&hub, "/live/live/silent/frame.jpg"),
        ask_slowly(&hub, "/live/live/refused/frame.jpg")
    );
    let took = started.elapsed();
    assert!(took > Duration::from_millis(9_500), "{took:?}");
    assert!(took < Duration::from_secs(13), "{took:?}");
    assert!(silent.contains("503"), "{silent}");
    assert!(
        refused.contains("503") && refused.contains("refused"),
        "{refused}"
    );
}

async fn ask_slowly(hub: &Hub, path: &str) -> String {
    let output = Command::new("curl")
        .args(["-sS", "-i", "--max-time", "15"])
        .arg(hub.url(path))
        .output()
        .await
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Returns the frame's age in seconds, as the response states it.
fn age(answer: &HttpResponse) -> f64 {
    answer.header("x-frame-age").parse().expect("an age")
}

#[tokio::test]
async fn a_snapshot_has_its_age_and_is_refused_if_it_is_too_old() {
    let (site, [cam]) = Site::with(["cam"]).await;
    let mut viewer = Wall::open(site.address, "/live/ws?app=live&room=cam", None).await;
    let taken = now_micros() - 5_000_000;
    cam.show_picture(&Picture::QVGA.encode_now(1), Timestamp(taken))
        .await;
    viewer.next(Duration::from_secs(10)).await.unwrap().unwrap();
    let path = |query: &str| format!("/live/live/cam/frame.jpg{query}");

    let fresh = get(site.address, &path("")).await;
    assert_eq!(fresh.status(), 200);
    assert_eq!(fresh.header("cache-control"), "no-store");
    let real = (now_micros() - taken) as f64 / 1e6;
    assert!((real - 2.0..=real).contains(&age(&fresh)), "{fresh:?}");
    let date = Command::new("date")
        .args(["-d", fresh.header("last-modified"), "+%s"])
        .output();
    let date = String::from_utf8(date.await.unwrap().stdout).unwrap();
    assert_eq!(date.trim(), (taken / 1_000_000).to_string(), "{fresh:?}");

    for query in [
        "?max_age=60",
        "?max_age=3600.5",
        "?max_age=1h",
        "?stream=sub&max_age=1min",
    ] {
        assert_eq!(
            get(site.address, &path(query)).await.status(),
            200,
            "{query}"
        );
    }
    for query in [
        "?max_age=0",
        "?max_age=2.5",
        "?max_age=2s",
        "?max_age=100ms",
    ] {
        let old = get(site.address, &path(query)).await;
        old.is_problem(503, "max_age");
        assert!(age(&old) >= 5.0, "{old:?}");
        assert_eq!(old.header("last-modified"), fresh.header("last-modified"));
    }
    for wrong in ["", "-1", "nan", "inf", "1e99", "soon"] {
        let refused = get(site.address, &path(&format!("?max_age={wrong}"))).await;
        refused.is_problem(400, "max_age");
    }

    // A failed camera keeps its picture.
    for starts in 1..=3 {
        cam.started(starts).await;
        cam.crash("the lens is gone");
    }
    let camera = site.hub.find_by_id("cam").unwrap();
    crate::support::eventually("it fails", || camera.status().state.name() == "failed").await;
    let kept = get(site.address, &path("")).await;
    assert_eq!(kept.status(), 200);
    assert!(age(&kept) >= age(&fresh), "{kept:?}");
    get(site.address, &path("?max_age=3"))
        .await
        .is_problem(503, "the camera is failed: the lens is gone");
}

#[tokio::test]
async fn a_capture_time_in_the_future_is_an_age_of_zero() {
    let (site, [cam]) = Site::with(["cam"]).await;
    let mut viewer = Wall::open(site.address, "/live/ws?app=live&room=cam", None).await;
    for ahead in [now_micros() + 3_600_000_000, u64::MAX] {
        cam.show_picture(&Picture::QVGA.encode_now(1), Timestamp(ahead))
            .await;
        viewer.next(Duration::from_secs(10)).await.unwrap().unwrap();
        let answer = get(site.address, "/live/live/cam/frame.jpg?max_age=1").await;
        assert_eq!(
            (answer.status(), answer.header("x-frame-age")),
            (200, "0.000")
        );
        assert!(
            answer.header("last-modified").ends_with(" GMT"),
            "{answer:?}"
        );
    }
}
