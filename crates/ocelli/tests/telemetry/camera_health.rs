//! The health of a camera.

#![allow(clippy::unwrap_used, reason = "a failed test setup must panic")]

use crate::support::eventually;
use crate::support::http::{HttpResponse, get};
use crate::support::site::{Site, TestSource};
use ocelli_core::{
    Camera, Codec, Follower, FrameBuffer, Picture, Publisher, Rendition, Renditions, RunOnce,
    Timestamp,
};
use ocelli_testkit::jpeg;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::Instant;

async fn health(site: &Site, query: &str) -> HttpResponse {
    get(site.address, &format!("/api/v1/cameras/cam/health{query}")).await
}

#[tokio::test]
async fn a_camera_is_healthy_only_while_its_picture_is_fresh() {
    let (site, [cam]) = Site::with(["cam"]).await;
    let asleep = health(&site, "?wake=false").await;
    assert_eq!(asleep.status(), 503, "{asleep:?}");
    assert_eq!(asleep.json()["data"]["state"], "idle");
    assert_eq!(cam.starts(), 0, "it stays idle");

    // An idle camera is started, and its first picture is awaited.
    let (awake, _) = tokio::join!(health(&site, ""), cam.show());
    assert_eq!(awake.status(), 200, "{awake:?}");
    let body = &awake.json()["data"];
    assert_eq!(
        (&body["healthy"], &body["id"]),
        (&true.into(), &"cam".into())
    );
    assert_eq!(body["maxAgeMs"], 10_000);

    // A picture captured long ago is not fresh, whenever it arrives.
    let past = site.hub.clock().now().0 - 11_000_000;
    let old = jpeg::Picture::QVGA.encode_now(1);
    cam.show_picture(&old, Timestamp(past)).await;
    let stale = health(&site, "").await;
    assert_eq!(stale.status(), 503, "{stale:?}");
    assert!(stale.json()["data"]["ageMs"].as_u64().unwrap() >= 11_000);
    assert_eq!(health(&site, "?maxAge=1h").await.status(), 200);
    assert_eq!(health(&site, "?maxAge=5000").await.status(), 503);
    health(&site, "?maxAge=soon")
        .await
        .is_problem(400, "maxAge");
    let nobody = get(site.address, "/api/v1/cameras/missing/health").await;
    nobody.is_problem(404, "missing");
}

#[tokio::test]
async fn a_camera_that_does_not_start_is_reported_after_ten_seconds() {
    let (site, [_cam]) = Site::with(["cam"]).await;
    let started = Instant::now();
    let url = format!("http://{}/api/v1/cameras/cam/health", site.address);
    let response = tokio::process::Command::new("curl")
        .args(["-sS", "-w", "\n%{http_code}", &url])
        .output();
    let response = String::from_utf8(response.await.unwrap().stdout).unwrap();
    let (body, status) = response.rsplit_once('\n').unwrap();
    assert_eq!(status, "503", "{body}");
    assert!(body.contains("\"state\":\"starting\""), "{body}");
    let waited = started.elapsed().as_secs_f64();
    assert!((9.9..15.0).contains(&waited), "{waited}");
}

#[tokio::test]
async fn a_camera_that_fails_to_start_is_reported_at_once() {
    let (site, [cam]) = Site::with(["cam"]).await;
    let start_time = Instant::now();
    let breaks = async {
        for attempt in 1..=3 {
            cam.started(attempt).await;
            cam.crash("the cable is out");
        }
    };
    let (response, ()) = tokio::join!(health(&site, ""), breaks);
    assert_eq!(response.status(), 503, "{response:?}");
    let body = &response.json()["data"];
    assert_eq!(body["state"], "failed", "{body}");
    assert_eq!(body["reason"], "the cable is out");
    assert!(
        start_time.elapsed() < Duration::from_secs(9),
        "it does not wait ten seconds"
    );
}

#[tokio::test]
async fn camera_health_requires_permission_to_watch() {
    let site = Site::start().await;
    site.app("inside", "inside", false);
    site.add("inside", "safe", false);
    let response = get(site.address, "/api/v1/cameras/inside%2Fsafe/health").await;
    response.is_problem(401, "not public");
}

/// A rendition that counts how often it is started.
#[derive(Default)]
struct Counted(AtomicUsize);

impl Counted {
    fn starts(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Rendition for Counted {
    fn run_once(self: Arc<Self>, mut input: Follower, publisher: Publisher) -> RunOnce {
        self.0.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            loop {
                input.next().await;
                let picture = jpeg::Picture::QVGA.encode_now(0);
                publisher.publish(Picture::jpeg(FrameBuffer::copy_from(&picture), None));
            }
        })
    }
}

/// Adds the camera `cam`, whose JPEG rendition is counted.
fn transcoded(site: &Site, keep: bool) -> (Arc<TestSource>, Arc<Counted>) {
    let (source, rendition) = (Arc::<TestSource>::default(), Arc::<Counted>::default());
    let id = site.hub.resolve("live", "cam").unwrap();
    let renditions = Renditions {
        jpeg: Some(rendition.clone()),
        mpeg1: None,
    };
    let upstream = site.hub.upstream(&id, source.clone(), renditions);
    let camera = Camera::new(id, String::new(), "hand", upstream, None, keep);
    site.hub.add(camera).unwrap();
    (source, rendition)
}

fn unit(codec: Codec, captured: Timestamp) -> Picture {
    let mut picture = Picture::jpeg(FrameBuffer::copy_from(&[0, 0, 0, 1, 0x65, 0x88]), None);
    (picture.codec, picture.captured) = (codec, captured);
    picture
}

#[tokio::test]
async fn a_check_of_native_video_starts_no_rendition() {
    for codec in [Codec::H264, Codec::H265] {
        let site = Site::start().await;
        let (source, rendition) = transcoded(&site, false);
        let picture = unit(codec, Timestamp::UNKNOWN);
        let (awake, ()) = tokio::join!(health(&site, ""), source.publish(picture));
        assert_eq!(awake.status(), 200, "{awake:?}");
        assert_eq!(awake.json()["data"]["state"], "live");
        assert!(awake.json()["data"]["ageMs"].as_u64().unwrap() < 10_000);

        let past = Timestamp(site.hub.clock().now().0 - 11_000_000);
        source.publish(unit(codec, past)).await;
        let stale = health(&site, "").await;
        assert_eq!(stale.status(), 503, "{stale:?}");
        assert_eq!(rendition.starts(), 0, "{codec:?}");
    }
}

#[tokio::test]
async fn a_camera_that_only_stays_connected_is_judged_without_waking_it() {
    let site = Site::start().await;
    let (source, rendition) = transcoded(&site, true);
    source.publish(unit(Codec::H264, Timestamp::UNKNOWN)).await;
    let response = health(&site, "?wake=false").await;
    assert_eq!(response.status(), 200, "{response:?}");
    assert_eq!(rendition.starts(), 0);
}

#[tokio::test]
async fn a_check_of_raw_video_waits_for_its_rendition() {
    let site = Site::start().await;
    let (source, rendition) = transcoded(&site, false);
    let picture = unit(Codec::Yuv420p, Timestamp::UNKNOWN);
    let (awake, ()) = tokio::join!(health(&site, ""), source.publish(picture));
    assert_eq!(awake.status(), 200, "{awake:?}");
    eventually("the rendition runs", || rendition.starts() == 1).await;
}
