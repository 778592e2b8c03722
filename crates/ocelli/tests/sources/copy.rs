//! H.264 and H.265 that ffmpeg reads reach viewers as they are: what they decode is compared with
//! the original, picture by picture.

use crate::support::native::{Viewer, decoded, units};
use crate::support::tempdir::Dir;
use crate::support::{Watched, ffmpegs, film};
use ocelli_core::{Codec, Frame};
use ocelli_testkit::{HttpCamera, HttpCameraOptions, RtspServer, RtspServerOptions};
use rustix::process::Signal;
use std::process::{Child, Command, Stdio};

pub const H264: &str = "-c:v libx264 -preset ultrafast -pix_fmt yuv420p -g 10";
pub const B_FRAMES: &str = "-c:v libx264 -bf 2 -pix_fmt yuv420p -g 10";
pub const H265: &str = "-c:v libx265 -pix_fmt yuv420p -x265-params log-level=none:keyint=10";

/// The size and the checksum of each picture, from the lines of ffmpeg's `framemd5`.
pub fn pictures(lines: &[String]) -> Vec<String> {
    let last_two = |line: &String| {
        let fields: Vec<_> = line.split(',').map(str::trim).collect();
        fields[fields.len() - 2..].join(" ")
    };
    lines.iter().map(last_two).collect()
}

/// The pictures in a film.
pub fn original(film: &str) -> Vec<String> {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-i", film])
        .args(["-fps_mode", "passthrough", "-f", "framemd5", "pipe:1"])
        .output();
    let text = String::from_utf8(output.expect("ffmpeg").stdout).expect("text");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    pictures(&lines.map(str::to_owned).collect::<Vec<_>>())
}

/// Whether these pictures are a part of the others, without a gap.
pub fn is_part(pictures: &[String], others: &[String]) -> bool {
    others.windows(pictures.len()).any(|part| part == pictures)
}

fn assert_whole(frames: &[Frame], codec: Codec, what: &str) {
    for (before, after) in frames.iter().zip(&frames[1..]) {
        assert_eq!(after.sequence, before.sequence + 1, "{what}");
        assert_eq!(after.key, after.group != before.group, "{what}");
    }
    for frame in frames {
        assert_eq!(frame.codec, codec, "{what}");
        let sets: &[u8] = match codec {
            Codec::H265 => &[32, 33, 34],
            _ => &[7, 8],
        };
        let has_sets = sets.iter().all(|set| units(frame).contains(set));
        assert!(has_sets || !frame.key, "{what}: {:?}", units(frame));
    }
}

#[tokio::test]
async fn capture_times_are_as_far_apart_as_the_pictures_of_the_film() {
    let dir = Dir::new("times");
    for (name, encoder, codec) in [
        ("plain.mp4", H264, Codec::H264),
        ("b.mkv", B_FRAMES, Codec::H264),
        ("five.mp4", H265, Codec::H265),
    ] {
        let path = film(&dir, name, &format!("{encoder} -t 2"));
        let watched = Watched::new(&format!("file:{path}"));
        let frames = Viewer::new(&watched).frames(20).await;
        assert_whole(&frames, codec, name);
        assert_eq!(pictures(&decoded(&frames)), original(&path), "{name}");
        let mut captured: Vec<_> = frames.iter().map(|frame| frame.captured.0).collect();
        captured.sort_unstable();
        // The first pictures wait while ffmpeg detects the format.
        for step in captured[10..].windows(2).map(|pair| pair[1] - pair[0]) {
            assert!((80_000..=120_000).contains(&step), "{name}: {captured:?}");
        }
    }
}

/// Sends a film in an MPEG transport stream over UDP, in real time and without end.
struct Sender(Child);

impl Sender {
    fn start(film: &str, port: u16) -> Self {
        let child = Command::new("ffmpeg")
            .args(["-v", "error", "-re", "-stream_loop", "-1", "-i", film])
            .args(["-c", "copy", "-f", "mpegts"])
            .arg(format!("udp://127.0.0.1:{port}?pkt_size=1316"))
            .stdin(Stdio::null())
            .spawn();
        Self(child.expect("ffmpeg"))
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn a_transport_stream_over_udp_is_passed_on() {
    let dir = Dir::new("udp");
    let film = film(&dir, "film.ts", &format!("{H264} -t 2"));
    let original = [original(&film), original(&film), original(&film)].concat();
    let free = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
    let port = free.local_addr().expect("its address").port();
    drop(free);
    let watched = Watched::new(&format!("udp://127.0.0.1:{port}"));
    let mut viewer = Viewer::new(&watched);
    let _sender = Sender::start(&film, port);
    let frames = viewer.frames(25).await;
    assert_whole(&frames, Codec::H264, "udp");
    let found = pictures(&decoded(&frames));
    assert_eq!(found.len(), 25);
    assert!(is_part(&found, &original), "{found:?} of {original:?}");
}

#[tokio::test]
async fn rtsp_through_ffmpeg_has_the_same_pictures_as_without() {
    let server = RtspServer::start(RtspServerOptions::default());
    for mount in ["h264", "bframes", "oob", "h265"] {
        let url = server.url(mount);
        let direct = Watched::new(&url);
        let copied = Watched::new(&format!("ffmpeg:{url}"));
        let mut viewer = Viewer::new(&direct);
        let mut original = vec![viewer.next().await];
        let mut other = Viewer::new(&copied);
        let mut frames = Vec::new();
        while frames.len() < 30 {
            tokio::select! {
                frame = viewer.next() => original.push(frame),
                frame = other.next() => frames.push(frame),
            }
        }
        let codec = match mount {
            "h265" => Codec::H265,
            _ => Codec::H264,
        };
        assert_whole(&frames, codec, mount);
        original.extend(viewer.frames(10).await);
        let found = pictures(&decoded(&frames));
        let original = pictures(&decoded(&original));
        assert!(found.len() >= 28, "{mount}: {}", found.len());
        assert!(is_part(&found[..28], &original), "{mount}");
    }
}

#[tokio::test]
async fn other_codecs_become_jpeg_and_that_is_remembered() {
    let dir = Dir::new("others");
    for (name, encoder) in [
        ("film.webm", "-c:v libvpx -deadline realtime"),
        ("film.avi", "-c:v mjpeg"),
    ] {
        let film = film(&dir, name, encoder);
        let watched = Watched::with(&format!("file:{film}"), "jpeg = { fps = 10 }");
        let mut viewer = watched.watch();
        for _ in 0..15 {
            viewer.frame().await;
        }
        assert_eq!(watched.camera.status().codec, Some(Codec::Jpeg), "{name}");
        assert_eq!(watched.camera.status().restarts, 0, "{name}");
    }

    let camera = HttpCamera::start(HttpCameraOptions::default()).await;
    let watched = Watched::with(
        &format!("ffmpeg:{}", camera.url("mjpeg")),
        "jpeg = { width = 310 }",
    );
    let mut viewer = watched.watch();
    viewer.frame().await;
    assert_eq!(camera.requests("/mjpeg"), 2);
    assert_eq!(camera.most("/mjpeg"), 1, "one connection after the other");
    ffmpegs("min(iw,310)")[0].signal(Signal::KILL);
    viewer.frame_with(|frame| frame.discontinuity).await;
    assert_eq!(camera.requests("/mjpeg"), 3);
}

#[tokio::test]
async fn a_killed_ffmpeg_is_replaced_and_the_next_picture_is_marked() {
    let dir = Dir::new("killed");
    let path = film(&dir, "a killed film.mp4", &format!("{H264} -t 3"));
    let watched = Watched::new(&format!("file:{path}"));
    let mut viewer = Viewer::new(&watched);
    viewer.frames(3).await;
    ffmpegs("a killed film.mp4")[0].signal(Signal::KILL);
    let status = watched
        .until(|status| status.state.reason().is_some())
        .await;
    assert_eq!(status.state.reason(), Some("ffmpeg was killed (signal 9)"));
    let next = loop {
        let frame = viewer.next().await;
        if frame.discontinuity {
            break frame;
        }
    };
    assert!(next.key);
    let mut frames = vec![next];
    frames.extend(viewer.frames(10).await);
    assert_eq!(pictures(&decoded(&frames)), original(&path)[..11]);
}

#[tokio::test]
async fn viewers_of_jpeg_get_the_rendition_with_the_cameras_options() {
    let dir = Dir::new("rendition");
    let path = film(&dir, "film.mp4", &format!("{H264} -t 8"));
    let lines = "jpeg = { fps = \"key\", width = 202 }";
    let watched = Watched::with(&format!("file:{path}"), lines);
    let mut viewer = watched.watch();
    assert_eq!(viewer.size().await, (202, 114));
    let (first, second) = (viewer.frame().await, viewer.frame().await);
    let step = second.captured.micros_since(first.captured);
    assert!((900_000..=1_100_000).contains(&step), "{step}");
}
