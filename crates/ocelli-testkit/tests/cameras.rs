//! The cameras, tested with independent viewers: ffprobe, ffmpeg, curl.

use ocelli_testkit::jpeg::{self, Picture};
use ocelli_testkit::{
    HttpCamera, HttpCameraOptions, RtspAuth, RtspServer, RtspServerOptions, children_of,
};
use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

fn run(program: &str, arguments: &[&str]) -> Output {
    Command::new("timeout")
        .args(["--kill-after=1", "15", program])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("the tests' programs are installed (make setup-test)")
}

fn codecs(url: &str) -> Result<String, String> {
    let output = run(
        "ffprobe",
        &[
            "-v",
            "error",
            "-rtsp_transport",
            "tcp",
            "-analyzeduration",
            "1000000",
            "-show_entries",
            "stream=codec_name",
            "-of",
            "csv=p=0",
            url,
        ],
    );
    let text = |bytes: &[u8]| {
        String::from_utf8_lossy(bytes)
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    };
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(text(&output.stderr))
    }
}

/// Returns the luma of the first picture, decoded by ffmpeg.
fn brightness(arguments: &[&str]) -> Vec<u8> {
    let tail = [
        "-frames:v",
        "1",
        "-vf",
        "crop=2:2",
        "-f",
        "rawvideo",
        "-pix_fmt",
        "gray",
        "-",
    ];
    let output = run("ffmpeg", &[&["-v", "error"], arguments, &tail[..]].concat());
    output.stdout
}

#[test]
fn rtsp_mounts_have_the_documented_content() {
    let mut server = RtspServer::start(RtspServerOptions::default());
    for (mount, expected) in [
        ("h264", "h264"),
        ("h265", "hevc"),
        ("mjpeg", "mjpeg"),
        ("av", "h264 pcm_alaw"),
        ("audio", "pcm_alaw"),
    ] {
        assert_eq!(
            codecs(&server.url(mount)).as_deref(),
            Ok(expected),
            "{mount}"
        );
    }
    let missing = codecs(&server.url("nothing")).expect_err("there is no such mount");
    assert!(missing.contains("404"), "{missing}");
    assert_eq!(server.opened_of("h265"), 1);
    assert!(server.wait_sessions(0, Duration::from_secs(5)));
}

#[test]
fn an_rtsp_camera_requires_its_password() {
    for auth in [RtspAuth::Basic, RtspAuth::Digest] {
        let server = RtspServer::start(RtspServerOptions {
            auth: Some(("viewer".into(), "s3cret".into(), auth)),
            ..RtspServerOptions::default()
        });
        assert_eq!(
            codecs(&server.url_as("viewer", "s3cret", "h264")).as_deref(),
            Ok("h264")
        );
        for url in [server.url("h264"), server.url_as("viewer", "wrong", "h264")] {
            let refused = codecs(&url).expect_err("the password is wrong");
            assert!(refused.contains("401"), "{refused}");
        }
    }
}

#[test]
fn an_rtsp_camera_can_be_killed_and_restarted_and_counts_sessions() {
    let mut server = RtspServer::start(RtspServerOptions::default());
    let (port, url) = (server.port(), server.url("h264"));
    let mut viewer = Command::new("ffmpeg")
        .args([
            "-v",
            "error",
            "-rtsp_transport",
            "tcp",
            "-i",
            &url,
            "-f",
            "null",
            "-",
        ])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("ffmpeg is installed");
    assert!(server.wait_sessions(1, Duration::from_secs(10)));
    server.kill();
    viewer.wait().expect("the viewer ends with its camera");
    server.restart();
    assert_eq!(server.port(), port);
    assert_eq!(server.sessions(), 0);
    assert_eq!(codecs(&url).as_deref(), Ok("h264"));
}

#[test]
fn dropping_an_rtsp_camera_leaves_no_process() {
    let server = RtspServer::start(RtspServerOptions::default());
    let children = children_of(std::process::id());
    let process = children.into_iter().find(|child| child.pid == server.pid());
    let process = process.expect("the server is a child of this process");
    assert!(process.is_alive());
    drop(server);
    assert!(!process.is_alive());
}

#[tokio::test]
async fn http_streams_play_in_ffmpeg() {
    let camera = HttpCamera::start(HttpCameraOptions::default()).await;
    for path in ["mjpeg", "quoted", "nolength", "chunked", "slow"] {
        let url = camera.url(path);
        let pixels =
            tokio::task::spawn_blocking(move || brightness(&["-f", "mpjpeg", "-i", &url])).await;
        let pixels = pixels.expect("ffmpeg runs");
        assert_eq!(pixels.len(), 4, "{path}");
        assert_eq!(camera.requests(path), 1);
    }
}

#[tokio::test]
async fn http_cameras_require_their_password_and_work_with_curl() {
    let camera = HttpCamera::start(HttpCameraOptions::default()).await;
    let get = async |arguments: &[&str], path: &str| {
        let mut command = tokio::process::Command::new("curl");
        command.args([
            "-s",
            "-m",
            "10",
            "-w",
            "%{stderr}%{http_code} %{content_type}",
        ]);
        let output = command.args(arguments).arg(camera.url(path)).output().await;
        let output = output.expect("curl is installed");
        (
            String::from_utf8_lossy(&output.stderr).into_owned(),
            output.stdout,
        )
    };
    for (arguments, path, expected) in [
        (&[][..], "still.jpg", "200 image/jpeg"),
        (&[], "basic/still.jpg", "401 "),
        (
            &["--basic", "-u", "viewer:s3cret"],
            "basic/still.jpg",
            "200 image/jpeg",
        ),
        (
            &["--basic", "-u", "viewer:wrong"],
            "basic/still.jpg",
            "401 ",
        ),
        (
            &["--digest", "-u", "viewer:s3cret"],
            "digest/still.jpg?x=1&y=2",
            "200 image/jpeg",
        ),
        (
            &["--digest", "-u", "viewer:wrong"],
            "digest/still.jpg",
            "401 ",
        ),
        (&[], "html", "200 text/html"),
        (&[], "error", "500 text/plain"),
        (&[], "moved", "302 "),
        (&[], "nothing", "404 text/plain"),
        (&[], "slow.jpg", "200 image/jpeg"),
    ] {
        let (status, body) = get(arguments, path).await;
        assert_eq!(status, expected, "{path}");
        if expected.ends_with("jpeg") {
            let stamp = jpeg::stamp(&body).expect("a whole stamped picture");
            assert!(jpeg::now_micros() - stamp.micros < 5_000_000);
        }
    }
}

#[test]
fn ffmpeg_decodes_the_shade_of_a_picture() {
    let directory = std::env::temp_dir().join(format!("ocelli-testkit-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory for the picture");
    let path = directory.join("picture.jpg");
    for shade in [0, 1, 63, 127, 128, 129, 200, 255] {
        for picture in [Picture::QVGA, Picture::VGA] {
            let bytes = Picture { shade, ..picture }.encode_now(7);
            let mut file = std::fs::File::create(&path).expect("a file for the picture");
            file.write_all(&bytes).expect("the picture is written");
            let pixels = brightness(&["-i", path.to_str().expect("a plain path")]);
            assert!(
                pixels.iter().all(|pixel| pixel.abs_diff(shade) <= 1),
                "{shade}: {pixels:?}"
            );
        }
    }
    std::fs::remove_dir_all(&directory).expect("the directory is removed");
}
