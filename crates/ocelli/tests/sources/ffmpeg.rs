//! Sources read by ffmpeg, and files.

use crate::support::tempdir::Dir;
use crate::support::{Watched, eventually, ffmpegs, film};
use ocelli_testkit::jpeg::Picture;
use ocelli_testkit::{HttpCamera, HttpCameraOptions, RtspAuth, RtspServer, RtspServerOptions};
use rustix::process::Signal;
use std::time::Instant;

#[tokio::test]
async fn ffmpeg_test_sources_play() {
    let watched = Watched::with(
        "ffmpeg:lavfi:testsrc2=size=640x360:rate=10",
        "jpeg = { fps = 10, width = 402 }",
    );
    let mut viewer = watched.watch();
    assert_eq!(viewer.size().await, (402, 226));
    viewer.frame().await;
    let started = Instant::now();
    for _ in 0..10 {
        viewer.frame().await;
    }
    let took = started.elapsed().as_secs_f64();
    assert!((0.8..=1.4).contains(&took), "{took}");

    let child = &ffmpegs("min(iw,402)")[0];
    child.signal(Signal::KILL);
    let status = watched
        .until(|status| status.state.reason().is_some())
        .await;
    assert_eq!(
        status.state.reason(),
        Some("ffmpeg was killed (signal 9)"),
        "the reason is the kill, not the end of the stream"
    );
    viewer.frame_with(|frame| frame.discontinuity).await;
    drop(viewer);
    eventually("no ffmpeg without viewers", || {
        ffmpegs("min(iw,402)").is_empty()
    })
    .await;
}

#[tokio::test]
async fn passwords_are_not_in_the_process_list() {
    let mut server = RtspServer::start(RtspServerOptions {
        auth: Some(("viewer".into(), "hu:zq'@/%".into(), RtspAuth::Digest)),
        ..Default::default()
    });
    let url = format!("ffmpeg:{}", server.url("h264"));
    let watched = Watched::with(
        &url,
        "user = \"viewer\"\npassword = \"hu:zq'@/%\"\njpeg = { width = 312 }",
    );
    let mut viewer = watched.watch();
    assert_eq!(viewer.size().await, (312, 234));
    viewer.frame().await;
    // One copies, and one makes JPEG.
    let children = ffmpegs("");
    assert!(children.len() >= 2);
    for child in children {
        for file in ["cmdline", "environ"] {
            // Those of other tests may have ended.
            let bytes = std::fs::read(format!("/proc/{}/{file}", child.pid)).unwrap_or_default();
            let text = String::from_utf8_lossy(&bytes);
            assert!(!text.contains("zq"), "{text}");
            assert!(
                !text.contains("viewer") && !text.contains(&server.port().to_string()),
                "{text}"
            );
        }
    }
    server.kill();
    watched.until(|status| status.state.name() != "live").await;
    let status = watched
        .until(|status| status.state.name() == "failed")
        .await;
    assert_eq!(status.state.reason(), Some("connection refused"));
    server.restart();
    viewer.frame_with(|frame| frame.discontinuity).await;

    let watched = Watched::with(&url, "user = \"viewer\"\npassword = \"wrong\"");
    assert_eq!(watched.failure().await, "401: wrong user or password");
    let watched = Watched::with(
        &format!("ffmpeg:{}", server.url("nothing")),
        "user = \"viewer\"\npassword = \"hu:zq'@/%\"",
    );
    assert_eq!(
        watched.failure().await,
        "404: no such stream at this address"
    );
}

#[tokio::test]
async fn http_streams_play_through_ffmpeg() {
    let camera = HttpCamera::start(HttpCameraOptions::default()).await;
    let watched = Watched::new(&format!("ffmpeg:{}", camera.url("mjpeg")));
    let mut viewer = watched.watch();
    assert_eq!(viewer.size().await, (320, 240));
    // A stream of JPEG has no times. By ffmpeg's own count, one picture in five would be passed.
    let first = viewer.frame().await;
    for _ in 0..9 {
        viewer.frame().await;
    }
    let took = viewer.frame().await.received.micros_since(first.received);
    assert!(took < 4_000_000, "ten pictures took {took} µs");
}

#[tokio::test]
async fn a_recording_is_played_in_real_time() {
    let directory = Dir::new("recording");
    let film = film(&directory, "film.webm", "-c:v libvpx -b:v 200k -t 2");
    let watched = Watched::with(&format!("ffmpeg:{film}"), "jpeg = { fps = 10 }");
    let mut viewer = watched.watch();
    let first = viewer.frame().await;
    for _ in 0..8 {
        viewer.frame().await;
    }
    let took = viewer.frame().await.received.micros_since(first.received);
    assert!(took > 600_000, "nine intervals took {took} µs");
}

#[tokio::test]
async fn a_stream_cannot_open_local_files() {
    let directory = Dir::new("playlist");
    let film = film(&directory, "film.ts", "-c:v mpeg2video");
    let playlist =
        format!("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://{film}\n#EXT-X-ENDLIST\n");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let address = listener.local_addr().expect("its address");
    tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        while let Ok((mut socket, _)) = listener.accept().await {
            let _ = socket.read(&mut [0; 4096]).await;
            let head = "HTTP/1.0 200 OK\r\nContent-Type: application/vnd.apple.mpegurl\r\n\r\n";
            let _ = socket
                .write_all(format!("{head}{playlist}").as_bytes())
                .await;
        }
    });
    let watched = Watched::new(&format!("ffmpeg:http://{address}/live.m3u8"));
    let reason = watched.failure().await;
    assert!(!reason.is_empty());
    assert_eq!(watched.camera.status().frames, 0, "{reason}");
}

#[tokio::test]
async fn files_are_played_in_a_loop() {
    let directory = Dir::new("films");
    for (path, lines) in [
        (
            film(&directory, "one.jpg", "-frames:v 1 -update 1"),
            "fps = 20",
        ),
        (film(&directory, "many.mjpeg", "-c:v mjpeg"), "fps = 20"),
        (
            film(&directory, "film.mp4", "-c:v libx264 -pix_fmt yuv420p"),
            "jpeg = { fps = 10 }",
        ),
    ] {
        let watched = Watched::with(&format!("file:{path}"), lines);
        let mut viewer = watched.watch();
        assert_eq!(viewer.size().await, (320, 180), "{path}");
        // More than the ten pictures in the files.
        for _ in 0..15 {
            viewer.frame().await;
        }
        assert_eq!(watched.camera.status().restarts, 0, "{path}");
    }
}

#[tokio::test]
async fn each_failure_has_a_helpful_reason() {
    let directory = Dir::new("bad");
    let text = directory.write("text.mjpeg", "no picture");
    let text = text.display();
    let picture = Picture::QVGA.encode_now(1);
    let cut = directory.0.join("cut.jpg");
    std::fs::write(&cut, &picture[..picture.len() - 9]).expect("a file");
    let (cut, empty) = (cut.display(), directory.write("empty.jpg", ""));
    let empty = empty.display();
    for (source, reason) in [
        (
            "file:/no/such.jpg".to_owned(),
            "there is no file /no/such.jpg".to_owned(),
        ),
        (
            "file:/no/such.mp4".to_owned(),
            "there is no file /no/such.mp4".to_owned(),
        ),
        (
            "ffmpeg:/no/such.mp4".to_owned(),
            "there is no file /no/such.mp4".to_owned(),
        ),
        (
            "v4l2:/dev/no-such-camera".to_owned(),
            "there is no device /dev/no-such-camera".to_owned(),
        ),
        (
            format!("file:{cut}"),
            format!("{cut} is a JPEG without an end"),
        ),
        (format!("file:{empty}"), format!("{empty} is empty")),
        (
            format!("file:{text}"),
            format!("there is no JPEG picture in {text}"),
        ),
        (
            "ffmpeg:lavfi:nonsense".to_owned(),
            "ffmpeg: No such filter: 'nonsense'".to_owned(),
        ),
    ] {
        assert_eq!(Watched::new(&source).failure().await, reason, "{source}");
    }
}
