//! MPEG-1 over WebSocket, received by an independent client and decoded by ffmpeg; and the
//! JSMpeg-compatible ports.

#![allow(clippy::unwrap_used, reason = "a failed test setup must panic")]

use crate::support::http::{HttpResponse, UPGRADE, ask, get, request};
use crate::support::hub::OCELLI;
use crate::support::tempdir::Dir;
use crate::support::{TIMEOUT, eventually};
use futures_util::StreamExt;
use ocelli_testkit::websocket::RawSocket;
use ocelli_testkit::{Child, FAKE_PI, Hub, RtspServer, RtspServerOptions, clock_of};
use rustix::process::Signal;
use std::io::Write;
use std::net::SocketAddr;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{WebSocketStream, client_async};

/// The longest message that JSMpeg players expect.
const LONGEST: usize = 32 << 10;

/// Maximum age of a picture and gap between pictures, in ms. On a busy machine a viewer may miss
/// one group, which is half a second, but not more.
const BUSY: u32 = 1_000;

fn exec(words: &[&str]) -> String {
    let program = ["python3", FAKE_PI].iter().chain(words);
    let words: Vec<_> = program.map(|word| format!("{word:?}")).collect();
    format!("exec = [{}]\nformat = \"yuv420p\"\n", words.join(", "))
}

/// Starts a hub with these lines of configuration.
pub(super) fn serve(dir: &Dir, lines: &str) -> Hub {
    let config = dir.write("ocelli.toml", lines);
    Hub::builder(OCELLI)
        .args(["serve", "--listen", "127.0.0.1:0", "--config"])
        .arg(config)
        .start()
}

/// Starts a hub with a fake Pi.
fn serve_pi(dir: &Dir, words: &[&str], more: &str) -> Hub {
    let exec = exec(&[&["640", "480", "24"], words].concat());
    serve(
        dir,
        &format!("[[camera]]\nid = \"pi\"\n{exec}size = \"640x480\"\nfps = 24\n{more}\n"),
    )
}

/// A viewer.
pub(super) struct Player(pub(super) WebSocketStream<TcpStream>);

impl Player {
    pub(super) async fn open(address: SocketAddr, path: &str) -> Self {
        Self::open_with(address, path, None, None).await
    }

    async fn open_with(
        address: SocketAddr,
        path: &str,
        origin: Option<&str>,
        buffer: Option<u32>,
    ) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        if let Some(buffer) = buffer {
            socket.set_recv_buffer_size(buffer).unwrap();
        }
        let stream = socket.connect(address).await.unwrap();
        let mut request = format!("ws://{address}{path}")
            .into_client_request()
            .unwrap();
        if let Some(origin) = origin {
            request
                .headers_mut()
                .insert("Origin", origin.parse().unwrap());
        }
        Self(client_async(request, stream).await.unwrap().0)
    }

    pub(super) async fn message(&mut self) -> Vec<u8> {
        loop {
            let message = timeout(TIMEOUT, self.0.next()).await.expect("a message");
            match message.expect("an open socket").unwrap() {
                Message::Binary(bytes) => {
                    assert!(bytes.len() <= LONGEST, "{}", bytes.len());
                    return bytes.to_vec();
                }
                Message::Ping(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// Reads the messages of at least this many pictures.
    pub(super) async fn take(&mut self, pictures: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut whole = 0;
        while whole < pictures {
            let message = self.message().await;
            whole += usize::from(message.len() < LONGEST);
            bytes.extend(message);
        }
        bytes
    }
}

/// Runs a program with these bytes as its input.
pub(super) fn pipe_through<'a>(
    program: &str,
    arguments: impl IntoIterator<Item = &'a str>,
    input: Vec<u8>,
) -> Output {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let writing = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    writing.join().unwrap().unwrap();
    output
}

/// Decodes with ffmpeg and returns the luma. ffmpeg must report no errors.
pub(super) fn decode(format: &str, stream: Vec<u8>) -> Vec<u8> {
    let arguments = format!(
        "-v warning -xerror -probesize 100000 -f {format} -i pipe:0 -fps_mode passthrough \
         -pix_fmt gray -f rawvideo pipe:1"
    );
    let output = pipe_through("ffmpeg", arguments.split_whitespace(), stream);
    let stderr_text = String::from_utf8_lossy(&output.stderr);
    assert!(
        stderr_text.is_empty() && output.status.success(),
        "{stderr_text}"
    );
    output.stdout
}

/// Returns the clocks in pictures of 640 × 480.
fn clocks(luma: &[u8]) -> Vec<u32> {
    let pictures = luma.chunks_exact(640 * 480);
    pictures.map(|picture| clock_of(picture, 640)).collect()
}

fn now() -> u32 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    since.as_millis() as u32
}

/// Checks that the clocks increase, by at most `most` ms from one picture to the next.
fn run_on(clocks: &[u32], most: u32) {
    for pair in clocks.windows(2) {
        let step = pair[1].wrapping_sub(pair[0]);
        assert!(step <= most, "{step} ms in {clocks:?}");
    }
}

fn encoders(hub: &Hub) -> Vec<Child> {
    let mut children = hub.children();
    children.retain(|child| child.command.contains("mpeg1video"));
    children
}

#[tokio::test]
async fn both_forms_decode_without_errors() {
    let dir = Dir::new("jsmpeg");
    let hub = serve_pi(&dir, &[], "");
    let mut bare = Player::open(hub.addr(), "/live/jsmpeg?app=live&room=pi").await;
    assert_eq!(bare.message().await, b"jsmp\x02\x80\x01\xe0");
    let first = bare.message().await;
    // The sequence header: 640 × 480 with frame rate code 2, which is 24.
    assert_eq!(first[..8], [0, 0, 1, 0xB3, 0x28, 1, 0xE0, 0x12]);
    let stream = [first, bare.take(60).await].concat();
    let taken = now();
    let clocks = clocks(&decode("mpegvideo", stream));
    assert_eq!(clocks.len(), 61);
    run_on(&clocks, BUSY);
    // The browser's test requires a median of at most 300 ms.
    let age = taken.wrapping_sub(clocks[60]);
    assert!(age < BUSY, "{age} ms");

    // A later viewer, which uses the full name of the room, gets a clean start at once.
    let path = "/live/jsmpeg?app=live&room=live-pi&format=ts";
    let mut packed = Player::open(hub.addr(), path).await;
    let stream = packed.take(60).await;
    assert_eq!((stream[0], stream.len() % 188), (0x47, 0));
    let pictures = self::clocks(&decode("mpegts", stream));
    assert!(pictures.len() >= 59, "{}", pictures.len());
    run_on(&pictures, BUSY);
    assert_eq!(encoders(&hub).len(), 1, "one encoder for all viewers");

    drop((bare, packed));
    eventually("no encoder without viewers", || hub.children().is_empty()).await;
}

#[tokio::test]
async fn every_camera_has_mpeg_1_at_a_standard_rate() {
    let server = RtspServer::start(RtspServerOptions::default());
    let dir = Dir::new("jsmpeg");
    let slow = exec(&["320", "240", "10"]);
    let hub = serve(
        &dir,
        &format!(
            "[[camera]]\nid = \"slow\"\n{slow}size = \"320x240\"\nfps = 10\n\
             [[camera]]\nid = \"drawn\"\nsource = \"pattern:?size=640x360&fps=12\"\n\
             mpeg1 = {{ bitrate = \"300k\", fps = 12, width = 320 }}\n\
             [[camera]]\nid = \"rtsp\"\nsource = \"{}\"\nmpeg1 = {{ fps = 30 }}\n",
            server.url("h264")
        ),
    );
    for (room, width, height, code) in [
        ("slow", 320u16, 240u16, 3),
        ("drawn", 320, 180, 2),
        ("rtsp", 320, 240, 5),
    ] {
        let path = format!("/live/jsmpeg?app=live&room={room}");
        let mut player = Player::open(hub.addr(), &path).await;
        let started = Instant::now();
        let header = player.message().await;
        let size = [width.to_be_bytes(), height.to_be_bytes()].concat();
        assert_eq!(header, [b"jsmp", &size[..]].concat(), "{room}");
        let first = player.message().await;
        assert_eq!(first[7] & 0x0F, code, "{room}");
        let pictures = 75;
        let stream = [first, player.take(pictures).await].concat();
        let rate = pictures as f64 / started.elapsed().as_secs_f64();
        assert!((10.0..45.0).contains(&rate), "{room}: {rate}");
        let luma = decode("mpegvideo", stream);
        let picture = usize::from(width) * usize::from(height);
        assert_eq!(luma.len(), (pictures + 1) * picture, "{room}");
    }
    let response = request(
        hub.addr(),
        "GET",
        "/live/jsmpeg?app=live&room=none",
        &UPGRADE,
    )
    .await;
    response.is_problem(404, "none");
}

#[tokio::test]
async fn a_slow_viewer_skips_to_the_newest_complete_group() {
    let dir = Dir::new("jsmpeg");
    let hub = serve_pi(&dir, &[], "mpeg1 = { bitrate = \"20M\" }");
    let path = "/live/jsmpeg?app=live&room=pi";
    let mut slow = Player::open_with(hub.addr(), path, None, Some(4096)).await;
    slow.message().await;
    let mut stream = slow.message().await;
    // Meanwhile another viewer reads five seconds of it.
    let mut quick = Player::open(hub.addr(), path).await;
    quick.take(120).await;
    stream.extend(slow.take(100).await);
    let clocks = clocks(&decode("mpegvideo", stream));
    let leap = clocks.windows(2).map(|pair| pair[1].wrapping_sub(pair[0]));
    assert!(leap.max() > Some(500), "it skipped nothing: {clocks:?}");
    run_on(&clocks, 20_000);
    let age = now().wrapping_sub(clocks[clocks.len() - 1]);
    assert!(age < 3_000, "{age} ms behind");
    let cameras = get(hub.addr(), "/api/v1/cameras").await.json();
    assert!(
        cameras["data"][0]["dropped"].as_u64() > Some(10),
        "{cameras}"
    );
    assert_eq!(cameras["data"][0]["viewers"], 2);
    let metrics = get(hub.addr(), "/metrics").await.body;
    let viewers = r#"ocelli_sink_viewers{sink="jsmpeg"} 2"#;
    assert!(metrics.contains(viewers), "{metrics}");
    let sent = r#"ocelli_sink_frames_total{sink="jsmpeg"} "#;
    let sent = metrics.split_once(sent).expect("the metric exists").1;
    let sent: u64 = sent.lines().next().unwrap().parse().unwrap();
    // Each of them read pictures that the other did not.
    assert!(sent > 120, "{sent}");
}

#[tokio::test]
async fn viewers_survive_a_killed_or_stopped_source_or_encoder() {
    let dir = Dir::new("jsmpeg");
    let hub = serve_pi(&dir, &[], "");
    let mut player = Player::open(hub.addr(), "/live/jsmpeg?app=live&room=pi").await;
    player.message().await;
    let mut stream = player.take(10).await;
    encoders(&hub)[0].signal(Signal::KILL);
    stream.extend(player.take(40).await);
    let children = hub.children();
    let source = children
        .iter()
        .find(|child| child.command.contains("fake_pi"));
    source.unwrap().signal(Signal::KILL);
    stream.extend(player.take(40).await);
    // A stopped encoder is killed after ten seconds.
    let stuck = encoders(&hub).remove(0);
    stuck.signal(Signal::STOP);
    stream.extend(player.take(40).await);
    assert!(!stuck.is_alive(), "the stopped encoder was not killed");
    let clocks = clocks(&decode("mpegvideo", stream));
    run_on(&clocks, 15_000);
    assert!(now().wrapping_sub(clocks[clocks.len() - 1]) < 1_000);
}

#[tokio::test]
async fn unauthorized_viewers_get_the_reason() {
    let dir = Dir::new("jsmpeg");
    let hub = serve(
        &dir,
        "[app.live]\npublic_playback = false\n[[camera]]\nid = \"cam\"\nsource = \"pattern:\"\n\
         jsmpeg_ports = { http = \"127.0.0.1:0\", ws = \"127.0.0.1:0\" }\n",
    );
    let (_, ws) = own_ports(&hub);
    for (address, path) in [
        (hub.addr(), "/live/jsmpeg?app=live&room=cam"),
        (hub.addr(), "/live/jsmpeg?app=live&room=none"),
        (ws, "/"),
        (ws, "/?token=wrong"),
    ] {
        let mut socket = RawSocket::open(address, path, None).await;
        assert_eq!(socket.close_code(TIMEOUT).await, Some(4401), "{path}");
    }
}

/// Returns the camera's own two ports from the hub's log.
pub(super) fn own_ports(hub: &Hub) -> (SocketAddr, SocketAddr) {
    let line = hub
        .wait_stderr("the camera's JSMpeg ports", TIMEOUT)
        .unwrap();
    let address = |name: &str| {
        let (_, rest) = line.split_once(name).unwrap();
        rest.split_whitespace().next().unwrap().parse().unwrap()
    };
    (address(" http="), address(" ws="))
}

pub(super) const PORTS: &str = "jsmpeg_ports = { http = \"127.0.0.1:0\", ws = \"127.0.0.1:0\"";

#[tokio::test]
async fn the_jsmpeg_page_is_served() {
    let dir = Dir::new("jsmpeg");
    let hub = serve_pi(&dir, &[], &format!("{PORTS} }}"));
    let (http, ws) = own_ports(&hub);

    let reply = get(http, "/").await;
    assert_eq!(
        (reply.status(), reply.header("location")),
        (301, "/index.html")
    );
    let page = get(http, "/index.html").await;
    assert_eq!(page.status(), 200);
    assert!(page.header("content-type").starts_with("text/html"));
    assert!(
        page.body.contains(&format!("'ws://{ws}/'")),
        "{}",
        page.body
    );
    assert!(page.body.contains(r#"width="640" height="480""#));
    assert!(!page.body.contains(['$', '@']), "{}", page.body);
    let named = format!(
        "GET /index.html HTTP/1.1\r\nHost: localhost:{}\r\nConnection: close\r\n\r\n",
        http.port()
    );
    let page = ask(http, &named).await;
    let expected = format!("'ws://localhost:{}/'", ws.port());
    assert!(page.body.contains(&expected), "{}", page.body);
    let old = ask(http, "GET /index.html HTTP/1.0\r\n\r\n").await;
    assert!(old.body.contains(&format!("'ws://{ws}/'")), "{}", old.body);
    let script = get(http, "/jsmpg.js").await;
    assert!(script.header("content-type").contains("javascript"));
    assert!(script.body.contains("jsmpeg"));

    for path in [
        "/index",
        "/favicon.ico",
        "/live/live/pi/mjpeg",
        "/jsmpeg.js",
    ] {
        get(http, path).await.is_plain(404, "/index.html");
    }
    for path in ["/", "/index.html", "/jsmpg.js", "/none"] {
        let (with, without) = (
            get(http, path).await,
            request(http, "HEAD", path, &[]).await,
        );
        let response = |reply: &HttpResponse| {
            let names = ["content-type", "content-length", "location"];
            (
                reply.status(),
                names.map(|name| reply.header(name).to_owned()),
            )
        };
        assert_eq!(response(&with), response(&without), "{path}");
        for method in ["POST", "PUT", "DELETE", "OPTIONS", "BREW"] {
            let reply = request(http, method, path, &["Content-Length: 0"]).await;
            assert_eq!(reply.status(), 501, "{method} {path}");
        }
    }
    let foreign = "GET /index.html HTTP/1.1\r\nHost: evil.example\r\n\r\n";
    ask(http, foreign).await.is_plain(403, "evil.example");
}

#[tokio::test]
async fn a_custom_page_and_script_are_served() {
    let dir = Dir::new("jsmpeg");
    let template = "@ADDRESS@ ${WS_PORT} ${WIDTH} ${HEIGHT} ${COLOR} ${BGCOLOR} ${OTHER} @ADDRESS@";
    let index = dir.write("own.html", template);
    let script = dir.write("own.js", "// @ADDRESS@ ${WS_PORT} stays as it is\n");
    let files = format!("{PORTS}, index = {index:?}, script = {script:?} }}");
    let hub = serve_pi(&dir, &[], &files);
    let (http, ws) = own_ports(&hub);
    let page = get(http, "/index.html").await;
    let port = ws.port();
    assert_eq!(
        page.body,
        format!("{ws} {port} 640 480 #444 #333 ${{OTHER}} {ws}")
    );
    let script = get(http, "/jsmpg.js").await;
    assert_eq!(script.body, "// @ADDRESS@ ${WS_PORT} stays as it is\n");
    // Changes to the page are visible at once.
    dir.write("own.html", "other");
    assert_eq!(get(http, "/index.html").await.body, "other");
    std::fs::remove_file(&index).unwrap();
    get(http, "/index.html").await.is_plain(500, "log");
}

#[tokio::test]
async fn the_jsmpeg_video_port_sends_its_header_and_video() {
    let dir = Dir::new("jsmpeg");
    // The header is sent at once, before any picture.
    let words = "exec = [\"sleep\", \"1000\"]\nformat = \"yuv420p\"\nsize = \"800x600\"";
    let mute = format!("[[camera]]\nid = \"mute\"\n{words}\n{PORTS} }}\n");
    let hub = serve(&dir, &mute);
    let (_, ws) = own_ports(&hub);
    let mut player = Player::open(ws, "/").await;
    assert_eq!(player.message().await, b"jsmp\x03\x20\x02\x58");
    drop(hub);

    let hub = serve_pi(
        &dir,
        &[],
        &format!("{PORTS} }}\nmpeg1 = {{ bitrate = \"20M\" }}"),
    );
    let (_, ws) = own_ports(&hub);
    let anywhere = ["/", "/any/path?at=all"];
    for (path, origin) in anywhere.iter().zip(["http://evil.example", "null"]) {
        let mut player = Player::open_with(ws, path, Some(origin), None).await;
        assert_eq!(player.message().await, b"jsmp\x02\x80\x01\xe0");
        let clocks = clocks(&decode("mpegvideo", player.take(30).await));
        assert_eq!(clocks.len(), 30);
    }
    let plain = get(ws, "/").await;
    plain.is_plain(426, "WebSocket");
}

#[tokio::test]
async fn two_seconds_after_a_stop_request_nothing_is_left() {
    let dir = Dir::new("jsmpeg");
    let mut hub = serve_pi(&dir, &[], &format!("{PORTS} }}"));
    let (http, ws) = own_ports(&hub);
    let mut players = Vec::new();
    for (address, path) in [(hub.addr(), "/live/jsmpeg?app=live&room=pi"), (ws, "/")] {
        let mut player = Player::open(address, path).await;
        player.take(5).await;
        players.push(player);
    }
    // An idle connection, an unfinished request, an unfinished handshake, and one that does not
    // read.
    let mut kept = RawSocket::connect(http).await;
    kept.send_raw(format!("GET /index.html HTTP/1.1\r\nHost: {http}\r\n\r\n").as_bytes())
        .await;
    kept.head().await.expect("an answer");
    let mut half = RawSocket::connect(http).await;
    half.send_raw(b"GET /index.html HT").await;
    let silent = RawSocket::connect(ws).await;
    let mut stalled = Player::open_with(ws, "/", None, Some(4096)).await;
    stalled.message().await;
    let children = hub.children();
    assert!(children.len() >= 2, "{children:?}");
    let lines_before = hub.stderr().len();
    let (status, took) = hub
        .terminate(Duration::from_secs(5))
        .expect("the hub exits");
    assert_eq!(status.code(), Some(0));
    assert!(took < Duration::from_secs(2), "{took:?}");
    for child in children {
        assert!(!child.is_alive(), "still running: {child:?}");
    }
    assert_eq!(hub.stderr()[lines_before..], [""; 0], "no new log lines");
    drop((players, kept, half, silent, stalled));
}
