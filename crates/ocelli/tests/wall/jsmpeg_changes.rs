//! MPEG-1 viewers while their camera fails, changes its picture's size or is reconfigured; and
//! the subprotocol of old players.

#![allow(clippy::unwrap_used, reason = "a failed test setup must panic")]

use super::jsmpeg::{PORTS, Player, decode, own_ports, pipe_through, serve};
use crate::support::TIMEOUT;
use crate::support::device::ADMIN;
use crate::support::http::{UPGRADE, call, get, request};
use crate::support::hub::configured;
use crate::support::tempdir::Dir;
use futures_util::StreamExt;
use jpeg_encoder::{ColorType, Encoder};
use ocelli_testkit::jpeg::Picture;
use ocelli_testkit::websocket::RawSocket;
use ocelli_testkit::{HttpCamera, HttpCameraOptions, Hub};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{interval, timeout};
use tokio_tungstenite::tungstenite::Message;

/// An HTTP camera that sends its current picture ten times a second. Without a picture it ends
/// every connection.
struct Camera {
    url: String,
    picture: watch::Sender<Option<Vec<u8>>>,
}

impl Camera {
    async fn start(picture: Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let picture = watch::Sender::new(Some(picture));
        let current = picture.subscribe();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(Self::send(stream, current.clone()));
            }
        });
        Self { url, picture }
    }

    async fn send(
        mut stream: TcpStream,
        current: watch::Receiver<Option<Vec<u8>>>,
    ) -> std::io::Result<()> {
        // The request, of which nothing matters here.
        let _length = stream.read(&mut [0; 4096]).await?;
        let head = "HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=b\r\n\r\n";
        let mut ticks = interval(Duration::from_millis(100));
        let mut begun = false;
        loop {
            ticks.tick().await;
            let Some(jpeg) = current.borrow().clone() else {
                return Ok(());
            };
            if !begun {
                stream.write_all(head.as_bytes()).await?;
                begun = true;
            }
            let part = format!(
                "--b\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n",
                jpeg.len()
            );
            stream.write_all(part.as_bytes()).await?;
            stream.write_all(&jpeg).await?;
            stream.write_all(b"\r\n").await?;
        }
    }

    fn show(&self, picture: Option<Vec<u8>>) {
        self.picture.send_replace(picture);
    }
}

/// A JPEG whose left half is black and whose right half is white.
fn halves(width: u16, height: u16) -> Vec<u8> {
    let row: Vec<u8> = (0..width)
        .flat_map(|x| [if x < width / 2 { 0 } else { 255 }; 3])
        .collect();
    let mut jpeg = Vec::new();
    let encoder = Encoder::new(&mut jpeg, 90);
    let pixels = row.repeat(height.into());
    encoder
        .encode(&pixels, width, height, ColorType::Rgb)
        .unwrap();
    jpeg
}

/// Returns the different sizes of the pictures in a transport stream.
fn sizes(stream: Vec<u8>) -> Vec<String> {
    let arguments = "-v error -f mpegts -select_streams v -show_entries frame=width,height \
                     -of csv=p=0 -i pipe:0";
    let output = pipe_through("ffprobe", arguments.split_whitespace(), stream);
    let listed = String::from_utf8(output.stdout).unwrap();
    let lines = listed.lines().filter(|line| !line.is_empty());
    let mut sizes: Vec<_> = lines
        .map(|line| line.trim_end_matches(',').to_owned())
        .collect();
    assert!(sizes.len() > 50, "{listed}");
    sizes.dedup();
    sizes
}

/// Checks a 640 × 480 picture of [`halves`] with black bars of these heights and widths.
fn shows_halves(luma: &[u8], bars: (usize, usize), what: &str) {
    let (across, down) = bars;
    for (y, row) in luma.chunks_exact(640).enumerate().step_by(9) {
        let inside = y >= across + 4 && y < 480 - across - 4;
        let outside = y + 4 < across || y >= 480 - across + 4;
        for (x, &pixel) in row.iter().enumerate().step_by(7) {
            let white = x > 332 && x < 640 - down - 4;
            let black = x < 308 || x >= 640 - down + 4;
            if outside || black {
                assert!(pixel < 60, "{what}: {pixel} at {x}, {y}");
            } else if inside && white {
                assert!(pixel > 190, "{what}: {pixel} at {x}, {y}");
            }
        }
    }
}

async fn wait_for_state(hub: &Hub, state: &str) {
    let known = async {
        while get(hub.addr(), "/api/v1/cameras").await.json()["data"][0]["state"] != state {
            tokio::task::yield_now().await;
        }
    };
    timeout(TIMEOUT, known).await.expect(state);
}

#[tokio::test]
async fn pictures_of_another_size_are_scaled_to_the_announced_one() {
    let camera = Camera::start(halves(640, 480)).await;
    let dir = Dir::new("jsmpeg");
    let hub = serve(
        &dir,
        &format!("[[camera]]\nid = \"cam\"\nsource = \"{}\"\n", camera.url),
    );
    let mut bare = Player::open(hub.addr(), "/live/jsmpeg?app=live&room=cam").await;
    assert_eq!(bare.message().await, b"jsmp\x02\x80\x01\xe0");
    let mut packed = Player::open(hub.addr(), "/live/jsmpeg?app=live&room=cam&format=ts").await;
    let mut stream = packed.take(30).await;
    let mut phases = vec![(25, (0, 0), "640x480".to_owned())];
    for (width, height, bars) in [
        (320, 240, (0, 0)),
        (640, 360, (60, 0)),
        (300, 600, (0, 200)),
        (1280, 958, (0, 0)),
        (160, 120, (0, 0)),
    ] {
        camera.show(Some(halves(width, height)));
        stream.extend(packed.take(30).await);
        phases.push((phases.len() * 30 + 25, bars, format!("{width}x{height}")));
    }
    assert_eq!(sizes(stream.clone()), ["640,480"]);
    let luma = decode("mpegts", stream);
    let pictures: Vec<_> = luma.chunks_exact(640 * 480).collect();
    for (number, bars, what) in phases {
        shows_halves(pictures[number], bars, &what);
    }
    // A viewer that comes now is told the same size.
    let mut later = Player::open(hub.addr(), "/live/jsmpeg?app=live&room=cam").await;
    assert_eq!(later.message().await, b"jsmp\x02\x80\x01\xe0");
    let cameras = get(hub.addr(), "/api/v1/cameras").await.json();
    assert_eq!(cameras["data"][0]["lastFailure"], Value::Null, "{cameras}");
    // After the viewers have left, the next one is told the current size.
    drop((bare, packed, later));
    let quiet = async { while !hub.children().is_empty() {} };
    timeout(TIMEOUT, quiet).await.expect("no encoder");
    let mut fresh = Player::open(hub.addr(), "/live/jsmpeg?app=live&room=cam").await;
    assert_eq!(fresh.message().await, b"jsmp\0\xa0\0\x78");
}

#[tokio::test]
async fn h264_of_another_size_is_scaled_to_the_announced_one() {
    let part = |size: &str| {
        format!(
            "ffmpeg -v error -re -f lavfi -i color=white:s={size}:r=10 -t 3 -c:v libx264 \
             -tune zerolatency -g 10 -pix_fmt yuv420p -f h264 -"
        )
    };
    let script = format!(
        "{}; {}; {}",
        part("640x480"),
        part("640x360"),
        part("320x240")
    );
    let dir = Dir::new("jsmpeg");
    let hub = serve(
        &dir,
        &format!(
            "[[camera]]\nid = \"cam\"\nexec = [\"sh\", \"-c\", {script:?}]\nformat = \"h264\"\n"
        ),
    );
    let mut packed = Player::open(hub.addr(), "/live/jsmpeg?app=live&room=cam&format=ts").await;
    let stream = packed.take(190).await;
    assert_eq!(sizes(stream.clone()), ["640,480"]);
    let luma = decode("mpegts", stream);
    let pictures: Vec<_> = luma.chunks_exact(640 * 480).collect();
    let rows = |number: usize| [2, 240, 477].map(|row| pictures[number][row * 640 + 320] > 190);
    assert_eq!(rows(30), [true; 3], "640x480");
    assert!(
        (90..140).any(|number| rows(number) == [false, true, false]),
        "640x360 has bars"
    );
    assert_eq!(rows(185), [true; 3], "320x240");
}

#[tokio::test]
async fn a_socket_stays_open_while_its_camera_fails_and_goes_on_with_it() {
    let camera = Camera::start(halves(640, 480)).await;
    let dir = Dir::new("jsmpeg");
    let hub = serve(
        &dir,
        &format!(
            "[[camera]]\nid = \"cam\"\nsource = \"{}\"\n{PORTS} }}\n",
            camera.url
        ),
    );
    let (_, ws) = own_ports(&hub);
    let path = "/live/jsmpeg?app=live&room=cam";
    let mut players = Vec::new();
    for (address, path) in [(hub.addr(), path), (ws, "/")] {
        let mut player = Player::open(address, path).await;
        player.message().await;
        player.take(5).await;
        players.push(player);
    }
    let mut informed = Player::open(hub.addr(), &format!("{path}&info=1")).await;
    camera.show(None);
    wait_for_state(&hub, "failed").await;
    // Only a viewer that requests information is sent the reason.
    let reason = async {
        loop {
            match informed.0.next().await.unwrap().unwrap() {
                Message::Text(text) if text.contains("failure") => {
                    let info: Value = serde_json::from_str(&text).unwrap();
                    return info["failure"].as_str().unwrap().to_owned();
                }
                Message::Close(close) => panic!("{close:?}"),
                _ => {}
            }
        }
    };
    let reason = timeout(TIMEOUT, reason).await.expect("a reason");
    let cameras = get(hub.addr(), "/api/v1/cameras").await.json();
    assert_eq!(cameras["data"][0]["reason"], reason, "{cameras}");
    // It is back with another size.
    camera.show(Some(halves(320, 240)));
    for player in &mut players {
        let mut stream = player.take(60).await;
        let start = stream
            .windows(4)
            .position(|at| at == [0, 0, 1, 0xB3])
            .unwrap();
        let luma = decode("mpegvideo", stream.split_off(start));
        let last = luma.chunks_exact(640 * 480).next_back().unwrap();
        shows_halves(last, (0, 0), "the camera is back");
    }
}

#[tokio::test]
async fn viewers_follow_a_changed_camera_at_their_size_until_it_is_deleted() {
    let small = HttpCamera::start(HttpCameraOptions::default()).await;
    let large = HttpCamera::start(HttpCameraOptions {
        picture: Picture::VGA,
        ..HttpCameraOptions::default()
    })
    .await;
    let dir = Dir::new("jsmpeg");
    let hub = configured(
        &dir,
        "listen = \"127.0.0.1:0\"\nallow_local_sources = true\n",
    )
    .env("OCELLI_ADMIN_TOKEN", ADMIN)
    .arg("--data")
    .arg(dir.0.join("data"))
    .start();
    let admin = async |line: &str, body: Value| {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let answer = call(hub.addr(), line, ADMIN, &body).await;
        assert!(answer.status() < 300, "{answer:?}");
    };
    admin(
        "POST /api/v1/cameras",
        json!({ "room": "cam", "source": small.url("mjpeg") }),
    )
    .await;
    let mut player = Player::open(hub.addr(), "/live/jsmpeg?app=live&room=cam").await;
    assert_eq!(player.message().await, b"jsmp\x01\x40\0\xf0");
    player.take(5).await;
    admin(
        "PATCH /api/v1/cameras/cam",
        json!({ "source": large.url("mjpeg") }),
    )
    .await;
    let moved = async {
        while large.open("mjpeg") == 0 {
            player.message().await;
        }
    };
    timeout(TIMEOUT, moved).await.expect("the viewer moves");
    let mut stream = player.take(60).await;
    let start = stream
        .windows(4)
        .position(|at| at == [0, 0, 1, 0xB3])
        .unwrap();
    let luma = decode("mpegvideo", stream.split_off(start));
    assert_eq!(luma.len() % (320 * 240), 0);
    let headers = |stream: &[u8]| {
        let starts = stream.windows(7).filter(|at| at[..4] == [0, 0, 1, 0xB3]);
        starts.map(|at| at[4..].to_vec()).collect::<Vec<_>>()
    };
    let stream = player.take(60).await;
    assert!(headers(&stream).iter().all(|size| size == &[0x14, 0, 0xF0]));
    admin("DELETE /api/v1/cameras/cam", Value::Null).await;
    let closed = async {
        loop {
            if let Message::Close(Some(close)) = player.0.next().await.unwrap().unwrap() {
                return u16::from(close.code);
            }
        }
    };
    timeout(TIMEOUT, closed).await.expect("it is closed");
}

#[tokio::test]
async fn the_subprotocol_null_is_confirmed_only_where_jsmpeg_players_connect() {
    let dir = Dir::new("jsmpeg");
    let hub = serve(
        &dir,
        &format!(
            "[app.live]\npublic_playback = true\n[app.shut]\npublic_playback = false\n\
             [[camera]]\nid = \"cam\"\nsource = \"pattern:\"\n{PORTS} }}\n\
             [[camera]]\napp = \"shut\"\nid = \"cam\"\nsource = \"pattern:\"\n"
        ),
    );
    let (_, ws) = own_ports(&hub);
    for (address, path) in [
        (hub.addr(), "/live/jsmpeg?app=live&room=cam"),
        (hub.addr(), "/live/jsmpeg?app=live&room=cam&format=ts"),
        (ws, "/"),
        (ws, "/any"),
    ] {
        let mut player = RawSocket::open(address, path, Some("null")).await;
        assert!(player.binary(TIMEOUT).await.is_some(), "{path}");
        RawSocket::open(address, path, None).await;
    }
    // Without it, the browser would not read the code.
    let mut refused =
        RawSocket::open(hub.addr(), "/live/jsmpeg?app=shut&room=cam", Some("null")).await;
    assert_eq!(refused.close_code(TIMEOUT).await, Some(4401));
    let offer = [&UPGRADE[..], &["Sec-WebSocket-Protocol: null"]].concat();
    for path in [
        "/live/ws?app=live&room=cam",
        "/ws/cameras",
        "/ws/series",
        "/ingest/ws?app=live&room=cam",
    ] {
        let answer = request(hub.addr(), "GET", path, &offer).await;
        assert_eq!(
            (answer.status(), answer.header("sec-websocket-protocol")),
            (101, ""),
            "{path}"
        );
    }
    let other = [&UPGRADE[..], &["Sec-WebSocket-Protocol: chat, nullify"]].concat();
    let answer = request(hub.addr(), "GET", "/live/jsmpeg?app=live&room=cam", &other).await;
    assert_eq!(
        (answer.status(), answer.header("sec-websocket-protocol")),
        (101, "")
    );
}
