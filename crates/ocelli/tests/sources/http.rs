//! HTTP cameras, correct and faulty.

use crate::support::tempdir::Dir;
use crate::support::{Watched, eventually};
use ocelli_testkit::{HttpCamera, HttpCameraOptions};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

async fn camera() -> HttpCamera {
    HttpCamera::start(HttpCameraOptions::default()).await
}

#[tokio::test]
async fn all_variants_of_multipart_are_read() {
    let camera = camera().await;
    for path in [
        "mjpeg", "quoted", "dashes", "nolength", "lf", "chunked", "preamble", "mixed", "slow",
        "moved",
    ] {
        let watched = Watched::new(&camera.url(path));
        let mut viewer = watched.watch();
        assert_eq!(viewer.size().await, (320, 240), "{path}");
        let (one, other) = (viewer.frame().await, viewer.frame().await);
        assert_ne!(
            one.payload(),
            other.payload(),
            "{path}: the picture changes"
        );
        let status = watched.until(|status| status.state.name() == "live").await;
        assert_eq!(status.restarts, 0, "{path}");
    }
}

#[tokio::test]
async fn a_jpeg_is_passed_on_unchanged() {
    let camera = camera().await;
    let watched = Watched::new(&camera.url("mjpeg"));
    let payload = watched.watch().frame().await.payload();
    assert_eq!(payload.len(), HttpCameraOptions::default().picture.bytes);
    assert!(payload.starts_with(&[0xFF, 0xD8]) && payload.ends_with(&[0xFF, 0xD9]));
}

#[tokio::test]
async fn a_still_picture_is_fetched_at_its_interval() {
    let camera = camera().await;
    let watched = Watched::with(&camera.url("still.jpg"), "interval = \"200ms\"");
    let mut viewer = watched.watch();
    viewer.frame().await;
    let started = Instant::now();
    for _ in 0..5 {
        viewer.frame().await;
    }
    let took = started.elapsed().as_secs_f64();
    assert!((0.9..=1.5).contains(&took), "{took}");
    assert!((6..=8).contains(&camera.requests("still.jpg")));
    let status = watched.until(|status| status.state.name() == "live").await;
    assert_eq!(status.restarts, 0);
}

#[tokio::test]
async fn passwords_work_and_wrong_ones_are_reported() {
    let camera = camera().await;
    for path in [
        "basic/mjpeg",
        "digest/mjpeg",
        "digest/still.jpg",
        "basic/still.jpg",
    ] {
        let watched = Watched::with(
            &camera.url_as("viewer", "s3cret", path),
            "interval = \"100ms\"",
        );
        let mut viewer = watched.watch();
        for _ in 0..3 {
            viewer.frame().await;
        }
        let watched = Watched::new(&camera.url_as("viewer", "hush", path));
        assert_eq!(
            watched.failure().await,
            "401: wrong user or password",
            "{path}"
        );
        let watched = Watched::new(&camera.url(path));
        assert_eq!(
            watched.failure().await,
            "401: user and password required",
            "{path}"
        );
    }
}

#[tokio::test]
async fn each_failure_has_a_helpful_reason() {
    let camera = camera().await;
    for (path, reason) in [
        ("nothing/here", "404: no such stream at this address"),
        (
            "html",
            "it answers with text/html, not with pictures: is this the address of the stream itself?",
        ),
        ("error", "500: the camera reports an error or is busy"),
        ("close", "the camera closed the connection"),
        ("cut", "the camera closed the connection"),
    ] {
        let watched = Watched::new(&camera.url(path));
        assert_eq!(watched.failure().await, reason, "{path}");
    }
    let address = camera.addr();
    camera.stop().await;
    let watched = Watched::new(&format!("http://{address}/mjpeg"));
    assert_eq!(
        watched.failure().await,
        format!("connection refused: nothing listens at {address}; check the address and the port")
    );
}

#[tokio::test]
async fn a_silent_camera_is_noticed() {
    let camera = camera().await;
    let frozen = Watched::new(&camera.url("freeze"));
    let dead = Watched::new(&camera.url("dead"));
    let (_viewer, _other) = (frozen.watch(), dead.watch());
    let status = frozen.until(|status| status.restarts > 0).await;
    assert_eq!(status.state.reason(), Some("no picture for 10 s"));
    dead.until(|status| status.restarts > 0).await;
}

#[tokio::test]
async fn a_self_signed_certificate_must_be_allowed_in_the_configuration() {
    let dir = Dir::new("certificate");
    let openssl = |arguments: &str| {
        let mut command = Command::new("openssl");
        command.args(arguments.split(' ')).current_dir(&dir.0);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    };
    let made = openssl(
        "req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=camera",
    )
    .status();
    assert!(made.expect("openssl").success());
    let picture = ocelli_testkit::jpeg::Picture::QVGA.encode_now(0);
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = free.local_addr().expect("its address").port();
    drop(free);
    // The server sends unknown file types as text, so this file contains a complete response
    // with its type.
    let mut response = b"HTTP/1.0 200 OK\r\nContent-Type: image/jpeg\r\n\r\n".to_vec();
    response.extend(picture);
    std::fs::write(dir.0.join("answer"), response).expect("the file is written");
    let mut server = openssl(&format!(
        "s_server -accept 127.0.0.1:{port} -cert cert.pem -key key.pem -HTTP"
    ))
    .spawn()
    .expect("openssl");
    eventually("it listens", || {
        std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
    })
    .await;

    let url = format!("https://127.0.0.1:{port}/answer");
    let reason = Watched::new(&url).failure().await;
    let watched = Watched::with(&url, "verify_tls = false");
    let size = watched.watch().size().await;
    drop(watched);
    let _ = server.kill();
    let _ = server.wait();
    assert_eq!(
        reason,
        "its certificate can't be verified; verify_tls = false accepts a self-signed one"
    );
    assert_eq!(size, (320, 240));
}

#[tokio::test]
async fn a_long_content_type_is_shortened_in_the_reason() {
    for odd in ["x".repeat(3000), "<b>hello</b>".into(), "text/a b".into()] {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let served = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await;
                let response =
                    format!("HTTP/1.1 200 OK\r\nContent-Type: {odd}\r\nContent-Length: 0\r\n\r\n");
                let _ = stream.write_all(response.as_bytes()).await;
            }
        });
        let watched = Watched::new(&format!("http://{address}/"));
        let reason = watched.failure().await;
        assert!(
            reason.starts_with("it answers with data of an invalid type,"),
            "{reason}"
        );
        served.abort();
    }
}

#[tokio::test]
async fn a_connection_is_reused_until_the_camera_closes_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = connections.clone();
    let picture = ocelli_testkit::jpeg::Picture::QVGA.encode_now(0);
    let served = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::Relaxed);
            // It announces keep-alive, and closes the connection after three responses.
            for _ in 0..3 {
                let mut request = [0; 4096];
                if !matches!(stream.read(&mut request).await, Ok(1..)) {
                    break;
                }
                let head = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n",
                    picture.len()
                );
                let _ = stream.write_all(head.as_bytes()).await;
                let _ = stream.write_all(&picture).await;
            }
        }
    });
    let watched = Watched::with(&format!("http://{address}/"), "interval = \"50ms\"");
    let mut viewer = watched.watch();
    for _ in 0..7 {
        viewer.frame().await;
    }
    let connections = connections.load(Ordering::Relaxed);
    assert!((3..=4).contains(&connections), "{connections}");
    let status = watched.until(|status| status.state.name() == "live").await;
    assert_eq!(status.restarts, 0);
    served.abort();
}
