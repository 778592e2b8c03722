//! H.264 and H.265 that ffmpeg reads reach viewers as they are: what they decode is compared with
//! the original, picture by picture.

use crate::support::native::{Viewer, decoded, is_overtaken, units};
use crate::support::tempdir::Dir;
use crate::support::{Watched, eventually, ffmpegs, film};
use ocelli_core::{Codec, Frame};
use ocelli_testkit::{HttpCamera, HttpCameraOptions, RtspServer, RtspServerOptions};
use rustix::process::Signal;
use std::net::{TcpListener, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering::Relaxed};

pub const H264: &str = "-c:v libx264 -preset ultrafast -pix_fmt yuv420p -g 10";
pub const B_FRAMES: &str = "-c:v libx264 -bf 2 -pix_fmt yuv420p -g 10";
pub const H265: &str = "-c:v libx265 -pix_fmt yuv420p -x265-params log-level=none:keyint=10";
/// As a camera encodes it: without B-frames.
const LIVE_H265: &str = "-c:v libx265 -preset ultrafast -pix_fmt yuv420p \
                         -x265-params log-level=none:keyint=10:bframes=0";

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

/// A program that sends video, and is killed when it is dropped.
struct Peer(Child);

impl Peer {
    /// Sends a film in real time and without end.
    fn send(film: &str, output: &[&str]) -> Self {
        let child = Command::new("ffmpeg")
            .args(["-v", "error", "-re", "-stream_loop", "-1", "-i", film])
            .args(["-c", "copy", "-f"])
            .args(output)
            .stdin(Stdio::null())
            .spawn();
        Self(child.expect("ffmpeg"))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Returns a port that is free for TCP and UDP. The system gives none of these to connections, so
/// it stays free until the peer listens.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let mut ports = std::iter::repeat_with(|| {
        let number = NEXT.fetch_add(1, Relaxed);
        20_000 + (std::process::id() as u16 % 100) * 100 + number % 100
    });
    let is_free = |&port: &u16| {
        let address = ("127.0.0.1", port);
        TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok()
    };
    ports.by_ref().take(100).find(is_free).expect("a free port")
}

/// Waits until a program on this machine listens at the port.
async fn listens(table: &str, port: u16) {
    let local = format!("0100007F:{port:04X} 00000000:0000");
    eventually("a peer that listens", || {
        let sockets = std::fs::read_to_string(table).expect("the kernel's list");
        sockets.contains(&local)
    })
    .await;
}

#[tokio::test]
async fn every_protocol_delivers_native_video() {
    let dir = Dir::new("protocols");
    let four = film(&dir, "film.ts", &format!("{H264} -t 2"));
    let five = film(&dir, "five.ts", &format!("{LIVE_H265} -t 2"));
    let pair = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a pair");
    let pem = pair.cert.pem() + &pair.signing_key.serialize_pem();
    let server = RtspServer::start(RtspServerOptions {
        tls: Some(dir.write("camera.pem", &pem)),
        ..RtspServerOptions::default()
    });
    let (rtmp_port, srt_port, udp_port) = (free_port(), free_port(), free_port());
    let rtmp = format!("rtmp://127.0.0.1:{rtmp_port}/live/cam");
    let srt = format!("srt://127.0.0.1:{srt_port}");
    let udp = format!("udp://127.0.0.1:{udp_port}");
    let _peers = [
        Peer::send(&four, &["flv", "-listen", "1", &rtmp]),
        Peer::send(&five, &["mpegts", &format!("{srt}?mode=listener")]),
        Peer::send(&four, &["mpegts", &format!("{udp}?pkt_size=1316")]),
    ];
    listens("/proc/net/tcp", rtmp_port).await;
    listens("/proc/net/udp", srt_port).await;

    let cameras = [
        ("cam", server.url("h264"), Codec::H264, None),
        ("secure", server.url("h265"), Codec::H265, None),
        ("rtmp", rtmp, Codec::H264, Some(&four)),
        ("srt", srt, Codec::H265, Some(&five)),
        ("udp", udp, Codec::H264, Some(&four)),
    ];
    let sections = cameras.each_ref().map(|(id, source, ..)| {
        let options = "jpeg = { width = 304 }\n";
        let tls = match source.starts_with("rtsps:") {
            true => "verify_tls = false\n",
            false => "",
        };
        format!("[[camera]]\nid = \"{id}\"\nsource = '{source}'\n{options}{tls}")
    });
    let watched = Watched::of(&sections.concat());
    let viewers = cameras.map(|(id, _, codec, film)| {
        let camera = watched.hub.find("live", id).expect("the camera");
        let mut viewer = Viewer::of(&camera);
        let frames = tokio::spawn(async move { viewer.frames(25).await });
        (id, codec, film, frames)
    });
    // The decoding blocks this thread, so it must not begin while frames arrive.
    let mut watched_all = Vec::new();
    for (id, codec, film, frames) in viewers {
        watched_all.push((id, codec, film, frames.await.expect("25 units")));
    }
    for (id, codec, film, frames) in watched_all {
        assert_whole(&frames, codec, id);
        let found = pictures(&decoded(&frames));
        assert_eq!(found.len(), 25, "{id}");
        if let Some(film) = film {
            let original = original(film);
            let original = [&original[..]; 3].concat();
            assert!(
                is_part(&found, &original),
                "{id}: {found:?} of {original:?}"
            );
        }
    }
    assert!(ffmpegs("min(iw,304)").is_empty(), "nothing is transcoded");
}

/// Runs a command line that writes an MPEG transport stream.
fn program(command: &str) -> Watched {
    Watched::of(&format!(
        "[[camera]]\nid = \"cam\"\nexec = [\"sh\", \"-c\", {command:?}]\nformat = \"mpegts\"\n\
         jpeg = {{ width = 308 }}\n"
    ))
}

/// Makes GStreamer write each NAL unit in a packet of its own.
const NAL_UNITS: &str = "video/x-h264,stream-format=byte-stream,alignment=nal";

/// A GStreamer pipeline that writes to standard output.
fn gstreamer(pipeline: &str) -> String {
    let script = "import gi, sys; gi.require_version('Gst', '1.0'); \
                  from gi.repository import Gst; Gst.init(None); \
                  pipeline = Gst.parse_launch(sys.argv[1] + ' ! mpegtsmux ! fdsink'); \
                  pipeline.set_state(Gst.State.PLAYING); \
                  pipeline.get_bus().timed_pop_filtered(Gst.CLOCK_TIME_NONE, Gst.MessageType.ERROR)";
    format!("exec /usr/bin/python3 -c \"{script}\" '{pipeline}'")
}

#[tokio::test]
async fn a_transport_stream_from_a_program_is_passed_on() {
    let dir = Dir::new("program");
    let four = film(&dir, "film.mp4", &format!("{H264} -t 3"));
    let five = film(&dir, "five.mp4", &format!("{LIVE_H265} -t 3"));
    let ffmpeg = |film| format!("exec ffmpeg -v error -re -i {film} -c copy -f mpegts pipe:1");
    let source = "videotestsrc is-live=true ! video/x-raw,width=320,height=180,framerate=15/1 ! \
                  x264enc tune=zerolatency threads=1 key-int-max=10 ! h264parse";
    let programs = [
        // Parameter sets are in packets of their own.
        (
            gstreamer(&format!("{source} ! {NAL_UNITS}")),
            Codec::H264,
            None,
        ),
        (ffmpeg(&four), Codec::H264, Some(&four)),
        (ffmpeg(&five), Codec::H265, Some(&five)),
        (gstreamer(source), Codec::H264, None),
    ];
    let watched = programs.map(|(command, codec, film)| (program(&command), codec, film));
    let viewers = watched.each_ref().map(|(watched, codec, film)| {
        let mut viewer = Viewer::new(watched);
        let frames = tokio::spawn(async move { viewer.frames(20).await });
        (codec, film, frames)
    });
    let mut watched_all = Vec::new();
    for (codec, film, frames) in viewers {
        watched_all.push((codec, film, frames.await.expect("20 units")));
    }
    for (codec, film, frames) in watched_all {
        assert_whole(&frames, *codec, "program");
        let found = pictures(&decoded(&frames));
        assert_eq!(found.len(), 20);
        for (before, after) in frames[10..].iter().zip(&frames[11..]) {
            let step = after.captured.micros_since(before.captured);
            assert!((50_000..=120_000).contains(&step), "{step}");
        }
        if let Some(film) = film {
            assert!(is_part(&found, &original(film)), "{found:?}");
        }
    }
    assert!(ffmpegs("min(iw,308)").is_empty(), "nothing is transcoded");
}

#[tokio::test]
async fn pictures_in_parts_in_a_programs_transport_stream_become_jpeg() {
    let source = "videotestsrc is-live=true ! video/x-raw,width=320,height=180,framerate=15/1 ! \
                  x264enc tune=zerolatency threads=3 key-int-max=10 ! h264parse";
    let watched = program(&gstreamer(&format!("{source} ! {NAL_UNITS}")));
    assert_eq!(watched.watch().size().await, (308, 174));
    assert_eq!(watched.camera.status().restarts, 0);
}

#[tokio::test]
async fn another_codec_in_a_programs_transport_stream_becomes_jpeg_without_loss() {
    let pictures = "ffmpeg -v error -f lavfi -i testsrc2=size=320x180:rate=15";
    // The only key frame is the first picture.
    let short = "-frames:v 5 -c:v mpeg2video -f mpegts pipe:1";
    let watched = program(&format!("exec {pictures} {short}"));
    assert_eq!(watched.watch().size().await, (308, 174));
    drop(watched);

    let pictures = pictures.replace("-f lavfi", "-re -f lavfi");
    let native = format!("{pictures} -t 1 {H264} -f mpegts pipe:1");
    let other = format!("{pictures} -c:v mpeg2video -f mpegts pipe:1");
    let watched = program(&format!("{native}; exec {other}"));
    let mut viewer = Viewer::new(&watched);
    assert_eq!(viewer.next().await.codec, Codec::H264);
    let status = watched
        .until(|status| status.codec == Some(Codec::Jpeg))
        .await;
    assert_eq!(status.restarts, 0);
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
            let (frame, is_original) = tokio::select! {
                frame = viewer.next() => (frame, true),
                frame = other.next() => (frame, false),
            };
            if is_overtaken(if is_original { &original } else { &frames }, &frame) {
                // The two are compared from another group on.
                original.clear();
                frames.clear();
            }
            match is_original {
                true if frame.key || !original.is_empty() => original.push(frame),
                false if !original.is_empty() && (frame.key || !frames.is_empty()) => {
                    frames.push(frame);
                }
                _ => {}
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
    let frames = viewer.frames_after_interruption(11).await;
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
