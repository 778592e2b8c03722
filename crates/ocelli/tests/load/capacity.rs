//! Limits on media processing, with real devices, programs and ffmpeg: small pictures that are
//! expensive to decode, and child processes.

#![allow(clippy::unwrap_used, reason = "a failed test setup must panic")]

use super::ALONE;
use crate::support::device::{ADMIN, Device, Key, picture};
use crate::support::http::get;
use crate::support::hub::OCELLI;
use crate::support::tempdir::Dir;
use crate::support::wall::Wall;
use crate::support::{TIMEOUT, Watched, eventually, ffmpegs};
use bytes::Bytes;
use futures_util::StreamExt;
use ocelli::config::Config;
use ocelli::launch;
use ocelli_core::{Camera, Quality, State};
use ocelli_testkit::{Child, Hub, RtspServer, RtspServerOptions, children_of};
use rustix::process::Signal;
use serde_json::Value;
use std::collections::HashMap;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

const TOO_LARGE: &str =
    "its picture is 16000x16000, and the limit is 8192x8192: picture_size in [limits]";

fn segment(marker: u8, content: &[u8]) -> Vec<u8> {
    let len = (content.len() as u16 + 2).to_be_bytes();
    [&[0xFF, marker], &len[..], content].concat()
}

/// Returns a grey progressive JPEG with `bits` for each block, and `scans` additional scans without
/// changes.
fn progressive(side: u16, bits: &[u8], scans: usize) -> Vec<u8> {
    let [high, low] = side.to_be_bytes();
    let one_code = |class: u8, symbol: u8| [&[class, 1][..], &[0; 15], &[symbol]].concat();
    let mut jpeg = vec![0xFF, 0xD8];
    jpeg.extend(segment(0xDB, &[&[0][..], &[16; 64]].concat()));
    jpeg.extend(segment(0xC2, &[8, high, low, high, low, 1, 1, 0x11, 0]));
    jpeg.extend(segment(0xC4, &one_code(0x00, 0)));
    jpeg.extend(segment(0xC4, &one_code(0x10, 0xE0)));
    jpeg.extend(segment(0xDA, &[1, 1, 0, 0, 0, 0]));
    jpeg.extend(bits);
    // The code for "no more coefficients in the next 32,767 blocks" has fifteen bits: a 0 and
    // fourteen 1s.
    let blocks = usize::from(side).div_ceil(8).pow(2);
    let mut runs = format!("0{}", "1".repeat(14)).repeat(blocks.div_ceil(32_767));
    runs += &"1".repeat(runs.len().next_multiple_of(8) - runs.len());
    let mut scan = segment(0xDA, &[1, 1, 0, 1, 63, 0]);
    for at in (0..runs.len()).step_by(8) {
        let byte = u8::from_str_radix(&runs[at..at + 8], 2).unwrap();
        scan.push(byte);
        // A byte of 255 that is not part of a marker is followed by a 0.
        if byte == 0xFF {
            scan.push(0);
        }
    }
    for _ in 0..scans {
        jpeg.extend(&scan);
    }
    jpeg.extend([0xFF, 0xD9]);
    jpeg
}

/// 141 bytes for which ffmpeg allocates 790 MB.
fn memory_bomb() -> Vec<u8> {
    progressive(16_000, &[0], 0)
}

/// 250 kB that take ffmpeg seconds to decode.
fn time_bomb() -> Vec<u8> {
    progressive(6_000, &vec![0; 70_400], 2_000)
}

/// The beginning of an H.264 elementary stream of 16,384 × 16,384.
fn large_h264() -> Vec<u8> {
    let set = [
        0x67, 0x42, 0x00, 0x28, 0xF4, 0x00, 0x20, 0x00, 0x01, 0x00, 0x34,
    ];
    let mut stream = Vec::new();
    for unit in [&set[..], &[0x68, 0xCE, 0x38, 0x80]] {
        stream.extend([0, 0, 0, 1]);
        stream.extend(unit);
    }
    for _ in 0..3 {
        stream.extend([0, 0, 0, 1, 0x65, 0x88, 0x84, 0, 0x33, 0xFF]);
    }
    stream
}

fn in_process(text: &str) -> Arc<ocelli_core::Hub> {
    let config = Config::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    launch::hub(&config).unwrap()
}

/// A program that writes a file's contents and then keeps running.
fn writes(file: &Path, format: &str) -> String {
    let script = format!("cat {}; exec sleep 60", file.display());
    format!("exec = [\"sh\", \"-c\", \"{script}\"]\nformat = \"{format}\"\n")
}

/// A program that writes H.264 endlessly.
const H264: &str = "exec = [\"ffmpeg\", \"-v\", \"error\", \"-re\", \"-f\", \"lavfi\", \"-i\", \
     \"testsrc2=size=320x240:rate=10\", \"-c:v\", \"libx264\", \"-preset\", \"ultrafast\", \"-g\", \
     \"10\", \"-f\", \"h264\", \"-\"]\nformat = \"h264\"\n";

async fn until(hub: &ocelli_core::Hub, camera: &Camera, wanted: impl Fn(&State) -> bool) -> State {
    let deadline = Instant::now() + TIMEOUT;
    let mut changes = hub.changes();
    loop {
        let state = camera.status().state;
        if wanted(&state) {
            return state;
        }
        let changed = timeout_at(deadline, changes.changed()).await;
        assert!(changed.is_ok(), "timed out; last state: {state:?}");
    }
}

/// Returns a process's address space limit, in bytes, and its niceness.
fn confinement(pid: u32) -> (String, i32) {
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max address space"));
    let words: Vec<_> = line.unwrap().split_whitespace().collect();
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let niceness = stat.rsplit_once(')').unwrap().1.split_whitespace().nth(16);
    (words[3].to_owned(), niceness.unwrap().parse().unwrap())
}

/// Returns the peak memory of a process, in MiB.
fn peak(child: &Child) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", child.pid)).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or_default() / 1024
}

fn serve(dir: &Dir, text: &str) -> Hub {
    Hub::builder(OCELLI)
        .env("OCELLI_ADMIN_TOKEN", ADMIN)
        .args(["serve", "--listen", "127.0.0.1:0", "--data"])
        .arg(dir.0.join("kept"))
        .arg("--config")
        .arg(dir.write("ocelli.toml", text))
        .start()
}

async fn metric(hub: SocketAddr, row: &str) -> Option<f64> {
    let text = get(hub, "/metrics").await.body;
    let line = text.lines().find_map(|line| line.strip_prefix(row));
    line.and_then(|rest| rest.trim().parse().ok())
}

type Socket =
    tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

/// A JSMpeg viewer.
async fn jsmpeg(hub: &Hub, room: &str) -> Socket {
    let url = hub.ws_url(&format!("/live/jsmpeg?app=live&room={room}"));
    connect_async(url).await.unwrap().0
}

/// Returns the next message, or the code and the reason of the close.
async fn next(socket: &mut Socket) -> Result<Vec<u8>, (u16, String)> {
    loop {
        let message = timeout(TIMEOUT, socket.next())
            .await
            .expect("a message in time");
        match message.expect("an open socket").unwrap() {
            Message::Binary(bytes) => return Ok(bytes.to_vec()),
            Message::Close(Some(frame)) => {
                return Err((frame.code.into(), frame.reason.to_string()));
            }
            Message::Ping(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_pushed_decompression_bomb_is_counted_reported_and_not_decoded() {
    let _alone = ALONE.lock().await;
    let dir = Dir::new("bomb");
    let hub = serve(&dir, "");
    let address = hub.addr();
    let key = Key::create(address, "live", "cam1").await;
    let (mut device, _) = Device::ready(address, &key).await;
    let mut viewer = jsmpeg(&hub, "cam1").await;
    let good = picture(1);
    device.show(good.clone()).await;
    next(&mut viewer).await.expect("the stream header");
    next(&mut viewer).await.expect("a picture");
    let bomb = Bytes::from(memory_bomb());
    for _ in 0..10 {
        device.try_send(Message::binary(bomb.clone())).await;
    }
    let received: Value = device.text().await;
    assert_eq!(received["code"], "not_jpeg", "{received}");
    let message = received["message"].as_str().unwrap();
    assert!(message.contains(TOO_LARGE), "{message}");
    assert_eq!(device.refused(TIMEOUT).await.1, 1003);
    let shown = get(address, "/live/live/cam1/frame.jpg").await;
    assert_eq!(shown.header("content-length"), good.len().to_string());
    let children = hub.children();
    assert_eq!(children.len(), 1, "{children:?}");
    assert!(peak(&children[0]) < 150, "{} MiB", peak(&children[0]));
    assert_eq!(
        metric(address, "ocelli_oversized_pictures_total").await,
        Some(10.0)
    );
}

#[tokio::test]
async fn a_camera_with_too_large_pictures_fails_with_size_and_limit() {
    let _alone = ALONE.lock().await;
    let dir = Dir::new("large");
    let (jpeg, h264) = (dir.0.join("large.jpg"), dir.0.join("large.h264"));
    fs::write(&jpeg, memory_bomb()).unwrap();
    fs::write(&h264, large_h264()).unwrap();
    let of = |lines: String| Watched::of(&format!("[[camera]]\nid = \"cam\"\n{lines}"));
    let (mjpeg, file, bare, decoded) = (
        of(writes(&jpeg, "mjpeg")),
        of(format!("source = \"file:{}\"\n", jpeg.display())),
        of(writes(&h264, "h264")),
        of(format!("source = \"ffmpeg:{}\"\n", jpeg.display())),
    );
    let other = of("source = \"pattern:?size=320x240&fps=10\"\n".to_owned());
    let mut sees = other.watch();
    let reasons = tokio::join!(
        mjpeg.failure(),
        file.failure(),
        bare.failure(),
        decoded.failure()
    );
    assert_eq!(reasons.0, TOO_LARGE);
    assert_eq!(reasons.1, TOO_LARGE);
    assert_eq!(reasons.2, TOO_LARGE.replace("16000", "16384"));
    assert_eq!(reasons.3, TOO_LARGE);
    sees.frame().await;
    // Configured limits.
    let text = "[limits]\npicture_size = \"640x480\"\n[[camera]]\nid = \"cam\"\n";
    let small = Watched::of(&format!("{text}{H264}"));
    small.watch().frame().await;
    let large = Watched::of(&format!("{text}{}", H264.replace("320x240", "640x482")));
    let expected = "its picture is 640x482, and the limit is 640x480: picture_size in [limits]";
    assert_eq!(large.failure().await, expected);
}

#[test]
fn configured_limits_apply() {
    let raw = "[[camera]]\nid = \"pi\"\nexec = [\"pi\"]\nformat = \"yuv420p\"\n";
    for (text, part) in [
        ("[limits]\npicture_size = \"8192\"\n", "like \"8192x8192\""),
        ("[limits]\npicture_size = \"8x99999\"\n", "from 16 to 65535"),
        ("[limits]\npicture_megapixels = 0\n", "picture_megapixels"),
        (
            "[limits]\npicture_time = \"1ms\"\n",
            "from \"100ms\" to \"10min\"",
        ),
        ("[limits]\njpeg_renditions = -1\n", "jpeg_renditions"),
        (
            format!("{raw}size = \"8192x8192\"\n").as_str(),
            "40 megapixels",
        ),
        (
            format!("[limits]\npicture_size = \"640x480\"\n{raw}size = \"800x600\"\n").as_str(),
            "its picture is 800x600, and the limit is 640x480",
        ),
    ] {
        let error = Config::parse(text).err().expect(text).to_string();
        assert!(error.contains(part), "{text}: {error}");
    }
    let text = "[limits]\npicture_size = \"16384x8192\"\npicture_megapixels = 130\n\
                picture_time = \"30s\"\njpeg_renditions = 4\nmpeg1_renditions = 0\n";
    let limits = Config::parse(text).unwrap().limits.media;
    assert!(limits.picture.check((16_000, 8_000)).is_ok());
    assert!(limits.picture.check((8_000, 8_200)).is_err());
    assert_eq!((limits.jpeg_renditions, limits.mpeg1_renditions), (4, 0));
    assert_eq!(limits.picture_time.as_secs(), 30);
    // Enough for a large wall.
    let usual = Config::parse("").unwrap().limits.media;
    assert!(usual.jpeg_renditions >= 64);
}

#[tokio::test]
async fn ffmpeg_is_killed_when_a_picture_takes_too_long() {
    let _alone = ALONE.lock().await;
    let dir = Dir::new("busy");
    let jpeg = dir.0.join("busy.jpg");
    fs::write(&jpeg, time_bomb()).unwrap();
    let hub = in_process(&format!(
        "[limits]\npicture_time = \"300ms\"\n[[camera]]\nid = \"cam\"\n{}\
         mpeg1 = {{ bitrate = \"801k\" }}\n",
        writes(&jpeg, "mjpeg")
    ));
    let camera = hub.find("live", "cam").unwrap();
    let _viewer = camera.follow_mpeg1(Quality::Main);
    let mut changes = hub.changes();
    let reason = timeout(TIMEOUT, async {
        loop {
            if let Some(reason) = camera.mpeg1_failure(Quality::Main) {
                return reason;
            }
            changes.changed().await.unwrap();
        }
    });
    let reason = reason.await.expect("a failure in time");
    let expected = "ffmpeg made no picture from the camera's stream within 0.3 s \
                    (picture_time in [limits])";
    assert_eq!(reason, expected);
    eventually("ffmpeg is killed", || ffmpegs("801000").is_empty()).await;
    assert_eq!(hub.capacity().mpeg1_renditions().running(), 0);
    let failed = matches!(camera.status().state, State::Failed(_));
    assert!(!failed, "its JPEG still works");
    hub.stop();
}

#[tokio::test]
async fn ffmpeg_is_confined_and_a_program_of_the_user_is_not() {
    let _alone = ALONE.lock().await;
    let watched = Watched::of(&format!(
        "[[camera]]\nid = \"cam\"\n{H264}jpeg = {{ width = 318 }}\n"
    ));
    let mut viewer = watched.watch();
    viewer.frame().await;
    let renditions = ffmpegs("min(iw,318)");
    assert_eq!(renditions.len(), 1, "{renditions:?}");
    // 768 MiB, and 40 bytes for each of 40 million pixels and the padding of blocks.
    let expected = (768 << 20) + 40 * (40_000_000 + 64 * (8192 + 8192 + 64));
    let own = confinement(std::process::id());
    let niceness = (own.1 + 5).min(19);
    assert_eq!(
        confinement(renditions[0].pid),
        (u64::to_string(&expected), niceness)
    );
    let children = children_of(std::process::id());
    let program = children
        .iter()
        .find(|child| child.command.ends_with("-f h264 -"));
    assert_eq!(confinement(program.expect("the program").pid), own);
}

#[tokio::test]
async fn a_killed_child_frees_its_place_for_a_waiting_camera() {
    let _alone = ALONE.lock().await;
    let hub = in_process(&format!(
        "[limits]\njpeg_renditions = 1\n\
         [[camera]]\nid = \"one\"\n{H264}jpeg = {{ width = 312 }}\n\
         [[camera]]\nid = \"two\"\n{H264}jpeg = {{ width = 314 }}\n"
    ));
    let [one, two] = ["one", "two"].map(|room| hub.find("live", room).unwrap());
    let mut first = one.follow(Quality::Main);
    timeout(TIMEOUT, first.next()).await.expect("a picture");
    let mut second = two.follow(Quality::Main);
    let refused = |state: &State| matches!(state, State::Failed(_));
    let state = until(&hub, &two, refused).await;
    let reason = state.reason().unwrap();
    assert!(
        reason.contains("limit of 1 JPEG renditions is reached (jpeg_renditions in [limits])"),
        "{reason}"
    );
    assert!(ffmpegs("min(iw,314)").is_empty());
    let permits = hub.capacity().jpeg_renditions();
    assert_eq!((permits.running(), permits.refused()), (1, 1));
    ffmpegs("min(iw,312)")[0].signal(Signal::KILL);
    timeout(TIMEOUT, second.next()).await.expect("a picture");
    assert_eq!(
        until(&hub, &two, |state| !refused(state)).await,
        State::Live
    );
    // Now the other one waits, and gets its rendition when the first camera is removed.
    until(&hub, &one, refused).await;
    hub.remove(two.id());
    while first.try_next().is_some() {}
    timeout(TIMEOUT, first.next()).await.expect("a picture");
    assert_eq!(permits.running(), 1);
    hub.stop();
    eventually("all permits are released", || permits.running() == 0).await;
}

#[tokio::test]
async fn a_jsmpeg_viewer_above_the_limit_gets_the_reason_and_can_join_later() {
    let _alone = ALONE.lock().await;
    let dir = Dir::new("jsmpeg");
    let cameras = ["one", "two", "three"].map(|room| {
        format!("[[camera]]\nid = \"{room}\"\nsource = \"pattern:?size=160x120&fps=10\"\n")
    });
    let hub = serve(
        &dir,
        &format!("[limits]\nmpeg1_renditions = 2\n{}", cameras.concat()),
    );
    let mut viewers = Vec::new();
    for room in ["one", "two", "one"] {
        let mut viewer = jsmpeg(&hub, room).await;
        next(&mut viewer).await.expect("the stream header");
        next(&mut viewer).await.expect("a picture");
        viewers.push(viewer);
    }
    let mut late = jsmpeg(&hub, "three").await;
    let (code, reason) = next(&mut late).await.expect_err("a close");
    assert_eq!(code, 1013, "{reason}");
    assert_eq!(
        reason,
        "the limit of 2 MPEG-1 renditions is reached (mpeg1_renditions in [limits]); one must end first"
    );
    let address = hub.addr();
    for (row, value) in [
        ("ocelli_renditions{codec=\"mpeg1\"}", 2.0),
        ("ocelli_max_renditions{codec=\"mpeg1\"}", 2.0),
        ("ocelli_refused_renditions_total{codec=\"mpeg1\"}", 1.0),
        ("ocelli_refused_total{reason=\"capacity\"}", 1.0),
        ("ocelli_renditions{codec=\"jpeg\"}", 0.0),
        ("ocelli_max_renditions{codec=\"jpeg\"}", 128.0),
    ] {
        assert_eq!(metric(address, row).await, Some(value), "{row}");
    }
    assert_eq!(hub.children().len(), 2);
    // A second viewer of a running rendition needs no further one.
    drop(viewers);
    let started = Instant::now();
    loop {
        let mut again = jsmpeg(&hub, "three").await;
        match next(&mut again).await {
            Ok(_) => break,
            Err((code, reason)) => assert_eq!(code, 1013, "{reason}"),
        }
        // A refused viewer must retry, because no event announces a free place.
        assert!(started.elapsed() < TIMEOUT, "timed out");
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }
}

/// Ordinary use stays within every limit of a hub whose configuration has only cameras.
#[tokio::test]
async fn sixty_four_h264_cameras_play_as_jpeg_to_anonymous_viewers() {
    let _alone = ALONE.lock().await;
    const CAMERAS: usize = 64;
    let server = RtspServer::start(RtspServerOptions::default());
    let url = server.url("h264");
    let ids: Vec<_> = (0..CAMERAS).map(|number| format!("cam{number}")).collect();
    let camera = |id| format!("[[camera]]\nid = \"{id}\"\nsource = \"{url}\"\n");
    let dir = Dir::new("sixty-four");
    let hub = serve(&dir, &ids.iter().map(camera).collect::<String>());
    let mut viewers = [Wall::plain(hub.addr()).await, Wall::plain(hub.addr()).await];
    for viewer in &mut viewers {
        let ids: Vec<_> = ids.iter().map(String::as_str).collect();
        viewer.subscribe(&ids).await;
    }
    for mut viewer in viewers {
        let mut seen = HashMap::new();
        let all = async {
            while seen.len() < CAMERAS || seen.values().any(|&pictures| pictures < 2) {
                let (id, _) = viewer.frame().await;
                *seen.entry(id).or_insert(0) += 1;
            }
        };
        let received = timeout(TIMEOUT * 4, all).await;
        assert!(received.is_ok(), "two pictures of each: {seen:?}");
    }
    let address = hub.addr();
    for (row, value) in [
        ("ocelli_renditions{codec=\"jpeg\"}", 64.0),
        ("ocelli_refused_renditions_total{codec=\"jpeg\"}", 0.0),
        ("ocelli_budget_waits_total{peer=\"viewer\"}", 0.0),
        ("ocelli_budget_waits_total{peer=\"camera\"}", 0.0),
    ] {
        assert_eq!(metric(address, row).await, Some(value), "{row}");
    }
}
