//! RTSP cameras, tested with GStreamer's RTSP server and the real ffmpeg.

use crate::support::rtsp::{Camera, JPEG};
use crate::support::{Viewer, Watched, eventually, ffmpegs, shades};
use ocelli_core::Codec;
use ocelli_testkit::{RtspAuth, RtspServer, RtspServerOptions};
use rustix::process::Signal;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

fn server() -> RtspServer {
    RtspServer::start(RtspServerOptions::default())
}

fn with_password(auth: RtspAuth) -> RtspServer {
    RtspServer::start(RtspServerOptions {
        auth: Some(("viewer".into(), "p@ss:w/rd".into(), auth)),
        ..Default::default()
    })
}

/// The password of [`with_password`], encoded for an address.
const PASSWORD: &str = "p%40ss%3Aw%2Frd";

#[tokio::test]
async fn every_codec_is_transcoded_to_jpeg_without_resizing() {
    let server = server();
    let mounts = [
        ("h264", Codec::H264),
        ("h265", Codec::H265),
        ("mjpeg", Codec::Jpeg),
        ("oob", Codec::H264),
        ("bframes", Codec::H264),
        ("av", Codec::H264),
    ];
    for (mount, codec) in mounts {
        let watched = Watched::new(&server.url(mount));
        let mut viewer = watched.watch();
        assert_eq!(viewer.size().await, (320, 240), "{mount}");
        let first = viewer.frame().await;
        let second = viewer.frame().await;
        assert!(second.captured > first.captured, "{mount}");
        assert!(
            second.captured <= second.received,
            "{mount}: a capture time in the future"
        );
        let status = watched.until(|status| status.state.name() == "live").await;
        assert_eq!((status.codec, status.size), (Some(codec), Some((320, 240))));
        let colours = shades(&second.payload());
        assert_ne!(
            colours.iter().min(),
            colours.iter().max(),
            "{mount}: a picture"
        );
    }
}

#[tokio::test]
async fn width_and_rate_are_as_configured() {
    let server = server();
    let watched = Watched::with(&server.url("h264"), "jpeg = { fps = 3, width = 160 }");
    let mut viewer = watched.watch();
    assert_eq!(viewer.size().await, (160, 120));
    let times = captures(&mut viewer, 7).await;
    let rate = 6e6 / (times[6] - times[0]) as f64;
    assert!((2.7..=3.4).contains(&rate), "{rate}");

    // Key frames only: the server sends one per second.
    let watched = Watched::with(&server.url("h264"), "jpeg = { fps = \"key\" }");
    let times = captures(&mut watched.watch(), 4).await;
    for pair in times.windows(2) {
        let apart = (pair[1] - pair[0]) as f64 / 1e6;
        assert!((0.9..=1.1).contains(&apart), "{apart}");
    }
}

async fn captures(viewer: &mut Viewer, count: usize) -> Vec<u64> {
    let mut times = Vec::new();
    for _ in 0..count {
        times.push(viewer.frame().await.captured.0);
    }
    times
}

#[tokio::test]
async fn passwords_work_and_wrong_ones_are_reported() {
    for auth in [RtspAuth::Digest, RtspAuth::Basic] {
        let server = with_password(auth);
        let watched = Watched::new(&server.url_as("viewer", PASSWORD, "h264"));
        watched.watch().frame().await;

        let watched = Watched::new(&server.url_as("viewer", "hush", "h264"));
        assert_eq!(watched.failure().await, "401: wrong user or password");

        let watched = Watched::new(&server.url("h264"));
        assert_eq!(watched.failure().await, "401: user and password required");
    }
}

#[tokio::test]
async fn each_failure_has_a_helpful_reason() {
    let server = server();
    let watched = Watched::new(&server.url("no/such/stream"));
    assert_eq!(
        watched.failure().await,
        "404: no such stream at this address"
    );

    let watched = Watched::new(&server.url("audio"));
    let reason = watched.failure().await;
    assert!(
        reason
            .starts_with("the camera offers no video; its session description has only \"m=audio"),
        "{reason}"
    );

    let free = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = free.local_addr().expect("its address");
    drop(free);
    let watched = Watched::new(&format!("rtsp://{address}/x"));
    assert_eq!(
        watched.failure().await,
        format!("connection refused: nothing listens at {address}; check the address and the port")
    );

    let watched = Watched::new("rtsp://no-such-host.invalid/x");
    assert_eq!(
        watched.failure().await,
        "can't resolve the host name in no-such-host.invalid:554; check its spelling"
    );
}

#[tokio::test]
async fn key_frames_without_parameter_sets_are_reported() {
    // The proxy corrupts the name of the SDP attribute with the parameter sets, and turns the
    // parameter sets in the stream into filler data: NAL unit type 12 instead of 7.
    let server = server();
    let corruption: Corruption = &[(b"sprop-parameter-sets=", b'x'), (b"\x67\x42\xc0", 0x6C)];
    let address = corrupting_proxy(server.port(), corruption).await;
    let watched = Watched::new(&format!("rtsp://{address}/h264"));
    assert_eq!(
        watched.failure().await,
        "it sends key frames without parameter sets"
    );
}

/// Byte sequences to corrupt, and the replacement of their first byte.
type Corruption = &'static [(&'static [u8], u8)];

/// Forwards connections to `port` and corrupts its responses.
async fn corrupting_proxy(port: u16, corruption: Corruption) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let address = listener.local_addr().expect("its address");
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(("127.0.0.1", port)).await;
            let (mut from_server, mut to_server) = server.expect("the server").into_split();
            let (mut from_client, mut to_client) = client.into_split();
            tokio::spawn(async move {
                let _ = tokio::io::copy(&mut from_client, &mut to_server).await;
            });
            tokio::spawn(async move {
                let mut bytes = vec![0; 65536];
                while let Ok(len @ 1..) = from_server.read(&mut bytes).await {
                    for at in 0..len {
                        for (word, instead) in corruption {
                            if bytes[at..len].starts_with(word) {
                                bytes[at] = *instead;
                            }
                        }
                    }
                    if to_client.write_all(&bytes[..len]).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

#[tokio::test]
async fn a_server_that_does_not_speak_rtsp_is_reported() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let address = listener.local_addr().expect("its address");
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let _ = socket.read(&mut [0; 1024]).await;
                let _ = socket
                    .write_all(b"HTTP/1.0 200 OK\r\n\r\nhello\r\n\r\n")
                    .await;
            });
        }
    });
    let watched = Watched::new(&format!("rtsp://{address}/x"));
    assert_eq!(
        watched.failure().await,
        "the server at this address does not speak RTSP; it answers \"HTTP/1.0 200 OK\""
    );
}

#[tokio::test]
async fn a_restarted_camera_recovers_by_itself() {
    let mut server = server();
    let watched = Watched::new(&server.url("h264"));
    let mut viewer = watched.watch();
    viewer.frame().await;
    server.kill();
    let status = watched.until(|status| status.state.name() != "live").await;
    let reason = status.state.reason().map(str::to_owned);
    assert_eq!(reason.as_deref(), Some("the camera closed the connection"));
    server.restart();
    watched.until(|status| status.state.name() == "live").await;
    viewer.frame_with(|frame| frame.discontinuity).await;
    viewer.frame().await;
}

#[tokio::test]
async fn a_frozen_camera_is_stalled_and_then_reconnected() {
    let server = server();
    let watched = Watched::new(&server.url("h264"));
    let mut viewer = watched.watch();
    // After a single picture the hub waits longer, because it does not know the interval yet.
    for _ in 0..3 {
        viewer.frame().await;
    }
    server.suspend();
    watched
        .until(|status| status.state.name() == "stalled")
        .await;
    let status = watched.until(|status| status.restarts > 0).await;
    assert_eq!(status.state.reason(), Some("no picture for 10 s"));
    server.resume();
    viewer.frame_with(|frame| frame.discontinuity).await;
    watched.until(|status| status.state.name() == "live").await;
}

#[tokio::test]
async fn viewers_share_one_session_that_ends_after_the_grace_period() {
    let mut server = server();
    let watched = Watched::new(&server.url("h264"));
    let (mut one, mut other) = (watched.watch(), watched.watch());
    one.frame().await;
    other.frame().await;
    assert_eq!((server.sessions(), server.opened()), (1, 1));
    drop((one, other));
    // A page reload.
    watched.watch().frame().await;
    assert_eq!((server.sessions(), server.opened()), (1, 1));
    let left = Instant::now();
    eventually("the session ends", || server.sessions() == 0).await;
    let outlived = left.elapsed().as_secs_f64();
    assert!((9.5..=12.0).contains(&outlived), "{outlived}");
    assert_eq!(watched.camera.status().state.name(), "idle");
}

#[tokio::test]
async fn a_session_ends_with_the_camera() {
    let mut server = server();
    let watched = Watched::with(&server.url("h264"), "jpeg = { width = 302 }");
    watched.watch().frame().await;
    let children = ffmpegs("min(iw,302)");
    assert_eq!(children.len(), 1);
    watched.hub.stop();
    eventually("the session ends", || server.sessions() == 0).await;
    eventually("ffmpeg exits", || !children[0].is_alive()).await;
}

#[tokio::test]
async fn a_killed_ffmpeg_causes_only_a_gap() {
    let mut server = server();
    let watched = Watched::with(&server.url("h264"), "jpeg = { fps = 15, width = 304 }");
    let mut viewer = watched.watch();
    for _ in 0..3 {
        viewer.frame().await;
        let before = ffmpegs("min(iw,304)");
        assert_eq!(before.len(), 1, "{before:?}");
        before[0].signal(Signal::KILL);
        let killed = Instant::now();
        viewer.frame_with(|frame| frame.discontinuity).await;
        assert!(
            killed.elapsed() < Duration::from_secs(5),
            "{:?}",
            killed.elapsed()
        );
        let after = ffmpegs("min(iw,304)");
        assert!(after.len() == 1 && after != before, "{after:?}");
    }
    assert_eq!((server.opened(), watched.camera.status().restarts), (1, 0));
    drop(viewer);
    eventually("no ffmpeg without viewers", || {
        ffmpegs("min(iw,304)").is_empty()
    })
    .await;
}

#[tokio::test]
async fn frames_have_the_capture_time_not_the_encoding_time() {
    let server = server();
    let watched = Watched::with(&server.url("clock"), "jpeg = { fps = 15, width = 306 }");
    let mut viewer = watched.watch();
    for _ in 0..5 {
        viewer.frame().await;
    }
    // While ffmpeg is stopped, the pictures in it age. When it resumes, a viewer sees only the
    // newest of those it outputs, so this may take a few tries.
    for _ in 0..8 {
        let ffmpeg = &ffmpegs("min(iw,306)")[0];
        ffmpeg.signal(Signal::STOP);
        let stopped = watched.hub.clock().now();
        let enough = || watched.hub.clock().now().micros_since(stopped) > 700_000;
        eventually("0.7 s have passed", enough).await;
        ffmpeg.signal(Signal::CONT);
        let mut frames = Vec::new();
        while frames.len() < 12 {
            frames.push(viewer.frame_with(|frame| frame.received > stopped).await);
        }
        let mut most = 0;
        for frame in frames {
            let shade = shades(&frame.payload())[100];
            let shown = RtspServer::clock_age(shade, frame.captured.0);
            let held = frame.received.micros_since(frame.captured) / 1000;
            assert!(
                shown <= Duration::from_millis(300),
                "held for {held} ms; its capture time is {shown:?} after the time in the picture"
            );
            most = most.max(held);
        }
        if most > 400 {
            return;
        }
    }
    panic!("no picture was delayed");
}

#[tokio::test]
async fn a_late_viewer_gets_the_live_picture_without_replaying_the_group() {
    let server = RtspServer::start(RtspServerOptions {
        keys: 150,
        ..Default::default()
    });
    let watched = Watched::with(&server.url("h264"), "keep = true\njpeg = { fps = 15 }");
    watched.until(|status| status.state.name() == "live").await;
    let started = Instant::now();
    eventually("the group is three seconds long", || {
        started.elapsed() > Duration::from_secs(3)
    })
    .await;
    let joined = watched.hub.clock().now();
    let mut viewer = watched.watch();
    let first = viewer.frame().await;
    let behind = joined.micros_since(first.captured);
    assert!(behind < 300_000, "{behind} µs behind");
    assert!(
        first.received.micros_since(joined) < 2_000_000,
        "without waiting for the next key frame"
    );
}

#[tokio::test]
async fn every_attempt_ends_its_session() {
    let ended = Arc::new(AtomicUsize::new(0));
    let started = Arc::new(AtomicUsize::new(0));
    let at_once = Arc::new(AtomicBool::new(false));
    let (count, open, both) = (ended.clone(), started.clone(), at_once.clone());
    let camera = Camera::start(move |peer| {
        peer.play(JPEG)?;
        // Records whether a previous session has not ended yet.
        both.fetch_or(
            open.fetch_add(1, Ordering::SeqCst) > count.load(Ordering::SeqCst),
            Ordering::SeqCst,
        );
        // Several, so that the hub knows the interval and does not wait long for the next one.
        for _ in 0..3 {
            peer.picture()?;
        }
        let request = peer.request()?;
        assert!(
            request.starts_with("TEARDOWN ") && request.contains("Session: 7\r\n"),
            "{request}"
        );
        count.fetch_add(1, Ordering::SeqCst);
        peer.answer(&request, "", "")
    });
    let watched = Watched::new(&format!("rtsp://{}/x", camera.address));
    watched.watch().frame().await;
    watched.hub.stop();
    eventually("the camera gets TEARDOWN", || {
        ended.load(Ordering::SeqCst) == 1
    })
    .await;

    let watched = Watched::new(&format!("rtsp://{}/x", camera.address));
    let mut viewer = watched.watch();
    viewer.frame().await;
    // Nothing more arrives, so the attempt is given up and retried.
    watched.until(|status| status.restarts > 0).await;
    viewer.frame_with(|frame| frame.discontinuity).await;
    assert!(!at_once.load(Ordering::SeqCst), "two sessions at once");
}

#[tokio::test]
async fn a_codec_that_only_ffmpeg_supports_is_transcoded() {
    let server = server();
    let watched = Watched::new(&server.url("vp8"));
    let mut viewer = watched.watch();
    assert_eq!(viewer.size().await, (320, 240));
    let status = watched.until(|status| status.state.name() == "live").await;
    assert_eq!(status.codec, Some(Codec::Jpeg));
    // ffmpeg gets the address on its standard input.
    assert!(ffmpegs(&format!(":{}/vp8", server.port())).is_empty());
}

#[tokio::test]
async fn a_codec_that_only_ffmpeg_supports_plays_from_a_camera_that_refuses_tcp() {
    let server = RtspServer::start(RtspServerOptions {
        udp: true,
        ..Default::default()
    });
    let watched = Watched::new(&server.url("vp8"));
    assert_eq!(watched.watch().size().await, (320, 240));
}
