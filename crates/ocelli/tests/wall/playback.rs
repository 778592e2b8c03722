//! Playback over plain HTTP: MJPEG and snapshots.

#![allow(clippy::unwrap_used, reason = "a failed test setup must panic")]

use crate::support::device::{Device, Key, picture};
use crate::support::http::{ask, get, narrow, request};
use crate::support::hub::{OCELLI, keeping};
use crate::support::site::Site;
use crate::support::tempdir::Dir;
use crate::support::{TIMEOUT, eventually};
use ocelli_core::Timestamp;
use ocelli_testkit::Hub;
use ocelli_testkit::jpeg::{self, Picture};
use ocelli_testkit::websocket::RawSocket;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::timeout;

/// A raw viewer of an MJPEG stream. It uses HTTP/1.0, so that the body is not chunked.
struct Mjpeg {
    stream: BufReader<TcpStream>,
    head: String,
}

impl Mjpeg {
    async fn open(stream: TcpStream, path: &str) -> Self {
        Self::open_as(stream, path, &[]).await
    }

    /// Opens it with these header lines.
    async fn open_as(stream: TcpStream, path: &str, lines: &[&str]) -> Self {
        let mut stream = BufReader::new(stream);
        let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
        let request = format!("GET {path} HTTP/1.0\r\n{lines}\r\n");
        let all = tokio::io::AsyncWriteExt::write_all(&mut stream, request.as_bytes()).await;
        all.unwrap();
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            let line = timeout(TIMEOUT, stream.read_line(&mut head)).await;
            assert_ne!(line.expect("a head in time").unwrap(), 0, "{head}");
        }
        Self {
            stream,
            head: head.to_ascii_lowercase(),
        }
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        let read = timeout(TIMEOUT, self.stream.read_line(&mut line)).await;
        assert_ne!(read.expect("a line in time").unwrap(), 0);
        line
    }

    /// Returns the JPEG of the next part, which the testkit made. Also reads the boundary after
    /// it.
    async fn part(&mut self) -> Vec<u8> {
        let jpeg = self.jpeg().await;
        assert!(jpeg::is_whole(&jpeg), "Content-Length is exact");
        jpeg
    }

    /// Returns any JPEG of the next part, and also reads the boundary after it.
    async fn jpeg(&mut self) -> Vec<u8> {
        let mut length = None;
        loop {
            let line = self.line().await;
            match line.split_once(": ") {
                Some(("Content-Length", value)) => length = value.trim_end().parse().ok(),
                Some(("Content-Type", value)) => assert_eq!(value, "image/jpeg\r\n"),
                _ => {
                    assert_eq!(line, "\r\n");
                    break;
                }
            }
        }
        let mut jpeg = vec![0; length.expect("a Content-Length")];
        let read = timeout(TIMEOUT, self.stream.read_exact(&mut jpeg)).await;
        read.expect("a picture in time").unwrap();
        assert_eq!(self.line().await, "\r\n");
        assert_eq!(self.line().await, "--frame\r\n");
        jpeg
    }

    async fn number(&mut self) -> u64 {
        jpeg::stamp(&self.part().await).expect("a stamp").sequence
    }
}

async fn mjpeg(site: &Site) -> Mjpeg {
    let stream = TcpStream::connect(site.address).await.unwrap();
    let mut viewer = Mjpeg::open(stream, "/live/live/cam/mjpeg").await;
    assert_eq!(viewer.line().await, "--frame\r\n");
    viewer
}

/// The header lines of Chromium's request for an `<img>`.
const BROWSER: [&str; 2] = [
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
     Chrome/131.0.0.0 Safari/537.36",
    "Accept: image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8",
];

/// A browser's `<img>`.
async fn image(address: SocketAddr) -> Mjpeg {
    let stream = TcpStream::connect(address).await.unwrap();
    let mut viewer = Mjpeg::open_as(stream, "/live/live/cam/mjpeg", &BROWSER).await;
    assert_eq!(viewer.line().await, "--frame\r\n");
    viewer
}

#[tokio::test]
async fn a_browser_gets_the_newest_part_again_in_a_pause_and_a_recorder_does_not() {
    let (site, [cam]) = Site::with(["cam"]).await;
    let (mut browser, mut recorder) = (image(site.address).await, mjpeg(&site).await);
    for number in 0..4 {
        cam.show().await;
        assert_eq!(browser.number().await, number);
        assert_eq!(browser.number().await, number, "once more");
        assert_eq!(recorder.number().await, number, "once");
    }
    // A newcomer gets the stored picture twice, too.
    let mut newcomer = image(site.address).await;
    assert_eq!((newcomer.number().await, newcomer.number().await), (3, 3));
}

#[tokio::test]
async fn pictures_that_follow_each_other_are_not_repeated() {
    let hub = Hub::serve(OCELLI, ["cam=pattern:?size=64x48&fps=5"]);
    let mut browser = image(hub.addr()).await;
    let mut before = browser.jpeg().await;
    let mut repeated = 0;
    for _ in 0..20 {
        let part = browser.jpeg().await;
        repeated += usize::from(part == before);
        before = part;
    }
    // The interval of the first pictures is not yet known, and a busy machine may delay one.
    assert!(repeated <= 4, "{repeated} of 20 parts");
}

#[tokio::test]
async fn curl_and_ffmpeg_get_no_part_twice() {
    let dir = Dir::new("twice");
    let hub = keeping(&dir.0.join("kept"));
    let key = Key::create(hub.addr(), "live", "cam").await;
    let (mut board, _) = Device::ready(hub.addr(), &key).await;
    board.show(picture(1)).await;
    let path = hub.url("/live/live/cam/mjpeg");
    let parts = async |lines: &[&str]| {
        let mut curl = Command::new("curl");
        curl.args(["-sSN", "--max-time", "1"]).arg(&path);
        lines.iter().for_each(|line| {
            curl.args(["-H", line]);
        });
        let output = timeout(TIMEOUT, curl.kill_on_drop(true).output()).await;
        let body = output.expect("an end").unwrap().stdout;
        body.windows(4)
            .filter(|at| *at == b"\xff\xd8\xff\xfe")
            .count()
    };
    let (alone, browser) = tokio::join!(parts(&[]), parts(&BROWSER));
    assert_eq!((alone, browser), (1, 2));

    let ffmpeg = Command::new("ffmpeg")
        .args(["-v", "error", "-f", "mpjpeg", "-i", &path])
        .args(["-frames:v", "3", "-c", "copy", "-f", "framemd5", "-"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let playing = ffmpeg.wait_with_output();
    let sending = async {
        for number in 2.. {
            board.show(picture(number)).await;
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    };
    let output = tokio::select! {
        output = timeout(TIMEOUT, playing) => output.expect("an end").unwrap(),
        () = sending => unreachable!("it goes on"),
    };
    let lines = String::from_utf8(output.stdout).unwrap();
    let frames = lines.lines().filter(|line| !line.starts_with('#'));
    let hashes: Vec<_> = frames.filter_map(|line| line.rsplit(',').next()).collect();
    assert_eq!(hashes.len(), 3, "{lines}");
    assert!(hashes[0] != hashes[1] && hashes[1] != hashes[2], "{lines}");
}

#[tokio::test]
async fn each_part_has_its_length_and_is_sent_with_its_closing_boundary() {
    let (site, [cam]) = Site::with(["cam"]).await;
    let mut viewer = mjpeg(&site).await;
    assert!(viewer.head.starts_with("http/1.0 200") || viewer.head.starts_with("http/1.1 200"));
    let kind = "content-type: multipart/x-mixed-replace; boundary=frame\r\n";
    assert!(viewer.head.contains(kind), "{}", viewer.head);
    // One picture at a time: no later data could flush a boundary.
    for size in [1_500, 9_000, 70_000, 300_000] {
        let picture = Picture {
            bytes: size,
            ..Picture::QVGA
        };
        let picture = picture.encode_now(7);
        cam.show_picture(&picture, Timestamp::UNKNOWN).await;
        assert!(viewer.part().await == picture, "{size}");
    }
}

#[tokio::test]
async fn the_last_frame_is_sent_at_once_and_then_newer_ones() {
    let (site, [cam]) = Site::with(["cam"]).await;
    let mut first = mjpeg(&site).await;
    cam.show().await;
    assert_eq!(first.number().await, 0);
    // The camera sends no further picture, and a new viewer still gets the last one.
    let mut second = mjpeg(&site).await;
    assert_eq!(second.number().await, 0);
    cam.show().await;
    assert_eq!((first.number().await, second.number().await), (1, 1));
    assert_eq!(cam.starts(), 1);
    drop((first, second));
    site.viewers("cam", 0).await;
}

#[tokio::test]
async fn a_slow_reader_skips_and_is_never_far_behind() {
    let (site, [cam]) = Site::with(["cam"]).await;
    let stream = narrow(site.address).await;
    let mut slow = Mjpeg::open(stream, "/live/live/cam/mjpeg").await;
    slow.line().await;
    let mut fast = mjpeg(&site).await;
    let picture = Picture {
        bytes: 5_000,
        ..Picture::QVGA
    };
    for sequence in 0..200 {
        cam.show_picture(&picture.encode_now(sequence), Timestamp::UNKNOWN)
            .await;
        assert_eq!(
            fast.number().await,
            sequence,
            "the fast viewer gets every picture"
        );
    }
    let mut taken = 0;
    while slow.number().await < 199 {
        taken += 1;
    }
    // Pictures in the kernel's buffers, and one in transit.
    assert!(taken <= 5, "{taken} pictures were queued");
}

#[tokio::test]
async fn a_disconnect_is_noticed_while_no_frames_are_sent() {
    let (site, [cam]) = Site::with(["cam"]).await;
    let mut viewer = mjpeg(&site).await;
    cam.show().await;
    viewer.part().await;
    site.viewers("cam", 1).await;
    drop(viewer);
    site.viewers("cam", 0).await;
}

#[tokio::test]
async fn head_returns_the_same_headers_without_a_body() {
    let hub = Hub::serve(OCELLI, ["cam1=pattern:?size=64x48&fps=20"]);
    let response = request(hub.addr(), "HEAD", "/live/live/cam1/mjpeg", &[]).await;
    assert_eq!(response.status(), 200);
    let kind = "multipart/x-mixed-replace; boundary=frame";
    assert_eq!(response.header("content-type"), kind);
    let response = request(hub.addr(), "HEAD", "/live/live/cam1/frame.jpg", &[]).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.header("content-type"), "image/jpeg");
    let mut socket = RawSocket::connect(hub.addr()).await;
    let text = format!(
        "HEAD /live/live/cam1/mjpeg HTTP/1.1\r\nHost: {}\r\n\r\n",
        hub.addr()
    );
    for _ in 0..3 {
        socket.send_raw(text.as_bytes()).await;
        assert_eq!(socket.head().await.expect("an answer").status, 200);
    }
    let post = request(hub.addr(), "POST", "/live/live/cam1/mjpeg", &[]).await;
    assert_eq!(post.status(), 405);
}

#[tokio::test]
async fn ffmpeg_plays_mjpeg() {
    let hub = Hub::serve(OCELLI, ["cam1=pattern:?size=320x240&fps=20"]);
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-f", "mpjpeg", "-i"])
        .arg(hub.url("/live/live/live-cam1/mjpeg"))
        .args(["-frames:v", "15", "-f", "rawvideo", "-pix_fmt", "gray", "-"])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = timeout(TIMEOUT, output)
        .await
        .expect("the program exits in time")
        .unwrap();
    let stderr_text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr_text}");
    assert_eq!(output.stdout.len(), 15 * 320 * 240, "{stderr_text}");
}

#[tokio::test]
async fn curl_gets_every_frame_at_ten_fps() {
    let hub = Hub::serve(OCELLI, ["cam1=pattern:?size=320x240&fps=10"]);
    let output = Command::new("curl")
        .args(["-sS", "-i", "--max-time", "3"])
        .arg(hub.url("/live/live/cam1/mjpeg"))
        .kill_on_drop(true)
        .output();
    let output = timeout(TIMEOUT, output)
        .await
        .expect("the program exits in time")
        .unwrap();
    let body = output.stdout;
    let count = |wanted: &[u8]| {
        body.windows(wanted.len())
            .filter(|at| *at == wanted)
            .count()
    };
    let boundaries = count(b"--frame\r\n");
    let ends = count(b"\xff\xd9\r\n--frame\r\n");
    assert!(
        (22..=33).contains(&ends),
        "{ends} pictures in 3 s at 10 fps"
    );
    assert_eq!(boundaries, ends + 1);
}

#[tokio::test]
async fn an_invalid_parameter_is_named() {
    let hub = Hub::serve(OCELLI, ["cam1=pattern:"]);
    for path in [
        "/live/live/cam1/mjpeg?stream=best",
        "/live/live/cam1/frame.jpg?stream=best",
        "/live/ws?app=live&room=cam1&stream=best",
    ] {
        get(hub.addr(), path).await.is_problem(400, "best");
    }
}

#[tokio::test]
async fn unknown_cameras_and_paths_are_404_in_json() {
    let hub = Hub::serve(OCELLI, ["cam1=pattern:?size=64x48&fps=20"]);
    for path in [
        "/live/live/missing/mjpeg",
        "/live/live/missing/frame.jpg",
        "/live/nowhere/cam1/mjpeg",
        "/live/nowhere/cam1/frame.jpg",
        "/live/ws?app=live&room=missing",
        "/live/ws?app=nowhere&room=cam1",
        "/live/ws",
        "/live/live/%2e%2e/mjpeg",
        "/play/live/missing",
        "/play/nowhere/cam1",
        "/play/live",
        "/play/",
        "/api/v1/nothing",
        "/nothing",
    ] {
        get(hub.addr(), path).await.is_problem(404, "");
    }
    for path in [
        "/live/live/%ff/mjpeg",
        "/live/%ff/cam1/frame.jpg",
        "/api/v1/cameras/%ff/health",
        "/api/v1/apps/%ff/ws-ingest/live/cam1",
    ] {
        get(hub.addr(), path).await.is_problem(400, "UTF-8");
    }
    let nobody = get(hub.addr(), "/live/live/missing/mjpeg").await;
    nobody.is_problem(404, "missing");
    let nowhere = get(hub.addr(), "/live/nowhere/cam1/mjpeg").await;
    nowhere.is_problem(404, "nowhere");
    for path in ["/live/live/cam1/mjpeg", "/live/live/cam1/frame.jpg"] {
        let response = get(hub.addr(), &format!("{path}?stream=huge")).await;
        assert_eq!(response.status(), 400);
        assert!(response.body.contains("huge"), "{response:?}");
    }
}

#[tokio::test]
async fn each_camera_has_a_play_page() {
    let hub = Hub::serve(OCELLI, ["cam1=pattern:?size=64x48&fps=20"]);
    for room in ["cam1", "live-cam1"] {
        let page = get(hub.addr(), &format!("/play/live/{room}")).await;
        assert_eq!(page.status(), 200);
        assert!(page.header("content-type").starts_with("text/html"));
        assert!(page.body.contains("<script"), "{}", page.body);
    }
    let old = ask(hub.addr(), "GET /live/live/cam1/frame.jpg HTTP/1.0\r\n\r\n").await;
    assert_eq!(old.status(), 200, "HTTP/1.0 clients are supported");
}

/// Runs VLC, which refuses to run as root, and records into a file in `place`.
fn vlc(url: &str, place: &Dir) -> Command {
    let home = place.0.join("home");
    std::fs::create_dir(&home).unwrap();
    std::fs::set_permissions(&home, PermissionsExt::from_mode(0o777)).unwrap();
    let mut command = if rustix::process::geteuid().is_root() {
        let mut nobody = Command::new("setpriv");
        nobody.args(["--reuid=65534", "--regid=65534", "--clear-groups", "cvlc"]);
        nobody
    } else {
        Command::new("cvlc")
    };
    let file = home.join("out");
    let out = format!("#std{{access=file,mux=mpjpeg,dst={}}}", file.display());
    command
        .env("HOME", &home)
        .args(["-I", "dummy", "--no-audio", "--sout", &out, url])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    command
}

/// Boards send whatever JPEG their camera produces, and players are strict.
#[tokio::test]
async fn vlc_and_ffmpeg_play_a_device() {
    let dir = Dir::new("players");
    let kept = dir.0.join("kept");
    let hub = keeping(&kept);
    let key = Key::create(hub.addr(), "live", "board").await;
    let _board = Command::new(OCELLI)
        .args(["simulate", "--room", "board", "--fps", "10", "--url"])
        .arg(hub.url(""))
        .env("OCELLI_KEY", &key.secret)
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let url = hub.url("/live/live/board/mjpeg");
    let ffmpeg = Command::new("ffmpeg")
        .args(["-v", "error", "-xerror", "-f", "mpjpeg", "-i", &url])
        .args(["-frames:v", "15", "-f", "framehash", "-"])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let ffmpeg = timeout(TIMEOUT, ffmpeg)
        .await
        .expect("the program exits in time")
        .unwrap();
    assert!(
        ffmpeg.status.success() && ffmpeg.stderr.is_empty(),
        "{ffmpeg:?}"
    );
    let hashes = String::from_utf8(ffmpeg.stdout).unwrap();
    let frames = hashes.lines().filter(|line| !line.starts_with('#'));
    assert_eq!(frames.count(), 15);

    let _player = vlc(&url, &dir).spawn().expect("vlc");
    let played = || {
        let bytes = std::fs::read(dir.0.join("home/out")).unwrap_or_default();
        let begins = |three: &&[u8]| *three == b"\xff\xd8\xff";
        bytes.windows(3).filter(begins).count()
    };
    eventually("VLC has played fifteen pictures", || played() >= 15).await;
}
