//! Cameras that are local programs, named pipes and V4L2 devices.

#![allow(clippy::unwrap_used, reason = "a failed test setup must panic")]

use crate::support::http::get;
use crate::support::hub::OCELLI;
use crate::support::tempdir::Dir;
use crate::support::{TIMEOUT, Watched, eventually, ffmpegs, shades};
use ocelli::config::{Config, from_argument};
use ocelli_testkit::websocket::RawSocket;
use ocelli_testkit::{FAKE_PI, Hub, children_of};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

/// A camera with these lines of configuration.
fn camera(lines: &str) -> Watched {
    let text = format!("[[camera]]\nid = \"cam\"\n{lines}\n");
    Watched::of(&text)
}

/// Returns the `exec` line of this command.
fn words(program: &[&str]) -> String {
    let words: Vec<_> = program.iter().map(|word| format!("{word:?}")).collect();
    format!("exec = [{}]", words.join(", "))
}

fn pi(more: &[&str]) -> String {
    words(&[&["python3", FAKE_PI], more].concat())
}

const RAW: &str = "format = \"yuv420p\"\nsize = \"320x240\"\nfps = 24\n";

#[tokio::test]
async fn a_program_that_exits_is_restarted_and_its_last_output_is_kept() {
    let dir = Dir::new("program");
    let unplugged = dir.0.join("unplugged");
    let until = format!("until={}", unplugged.display());
    let program = pi(&["320", "240", "8", &until, "end=partial"]);
    let format = "format = \"yuv420p\"\nsize = \"320x240\"\nfps = 8";
    let watched = camera(&format!("{program}\n{format}\njpeg = {{ width = 318 }}"));
    let mut viewer = watched.watch();
    assert_eq!(viewer.size().await, (318, 238));
    fs::write(&unplugged, "").unwrap();
    let status = watched.until(|status| status.restarts >= 1).await;
    assert_eq!(
        status.state.reason(),
        Some("python3 ended with exit code 3: camera: the sensor was / unplugged")
    );
    fs::remove_file(&unplugged).unwrap();
    let again = viewer.frame_with(|frame| frame.discontinuity).await;
    // Grey at the top, and no remains of the interrupted picture before it.
    let shades = shades(&again.payload());
    assert!(
        shades[..200].iter().all(|shade| shade.abs_diff(93) < 6),
        "{shades:?}"
    );
    fs::write(&unplugged, "").unwrap();
    let status = watched
        .until(|status| status.state.name() == "failed")
        .await;
    assert!(status.restarts >= 3, "{status:?}");
}

#[tokio::test]
async fn a_program_that_stops_writing_is_killed_with_its_children() {
    let shell = format!("exec python3 {FAKE_PI} 320 240 24 frames=5 end=wedge & wait");
    let watched = camera(&format!("{}\n{RAW}", words(&["sh", "-c", &shell])));
    let mut viewer = watched.watch();
    viewer.frame().await;
    let mine = || {
        let mut all = children_of(std::process::id());
        all.retain(|child| child.command.contains("frames=5"));
        all
    };
    let first = mine();
    assert!(first.len() >= 2, "the shell and its child: {first:?}");
    let status = watched.until(|status| status.restarts >= 1).await;
    assert_eq!(status.state.reason(), Some("no picture for 10 s"));
    eventually("the process group has ended", || {
        first.iter().all(|child| !child.is_alive())
    })
    .await;
    viewer.frame_with(|frame| frame.discontinuity).await;
}

#[tokio::test]
async fn garbage_output_is_reported() {
    for (format, reason) in [
        ("mjpeg", "its output is not JPEG"),
        ("h264", "its output is not H.264"),
        ("h265", "its output is not H.265"),
    ] {
        let program = words(&["cat", "/dev/zero"]);
        let watched = camera(&format!("{program}\nformat = \"{format}\""));
        assert_eq!(watched.failure().await, reason);
    }
}

#[tokio::test]
async fn a_flooding_program_is_throttled_without_affecting_others() {
    let program = pi(&["320", "240", "24", "frames=100", "flood", "end=exit"]);
    let flood = camera(&format!("{program}\n{RAW}"));
    let mut viewer = flood.watch();
    let other = Watched::new("pattern:?size=320x240&fps=20");
    let mut beside = other.watch();
    viewer.frame().await;
    let started = Instant::now();
    for _ in 0..20 {
        beside.frame().await;
    }
    flood.until(|status| status.restarts >= 1).await;
    // The camera announced 24 fps and may send twice that: of 100 pictures all but the first
    // few are delayed.
    let took = started.elapsed().as_secs_f64();
    assert!(took > 1.4, "{took}");
}

#[tokio::test]
async fn row_padding_is_not_part_of_the_picture() {
    let program = pi(&["600", "240", "24", "stride=640"]);
    let lines = "format = \"yuv420p\"\nsize = \"600x240\"\nstride = 640\n";
    let watched = camera(&format!("{program}\n{lines}"));
    let mut viewer = watched.watch();
    assert_eq!(viewer.size().await, (600, 240));
    // The padding is noise; above the clock, the picture is uniformly grey.
    let shades = shades(&viewer.frame().await.payload());
    assert!(
        shades[..200].iter().all(|shade| shade.abs_diff(93) < 6),
        "{shades:?}"
    );
    let mut mpeg1 = watched.camera.follow_mpeg1(ocelli_core::Quality::Main);
    let frame = tokio::time::timeout(TIMEOUT, mpeg1.next()).await.unwrap();
    assert_eq!(frame.size, Some((600, 240)));
}

#[tokio::test]
async fn a_program_that_pads_its_pictures_is_reported_with_the_size_to_write() {
    let line = "ffmpeg -v error -re -f lavfi -i testsrc2=size=1312x736:rate=15 -pix_fmt yuv420p \
                -f rawvideo pipe:1";
    let program = words(&line.split_whitespace().collect::<Vec<_>>());
    let lines = "format = \"yuv420p\"\nsize = \"1296x730\"\nfps = 15\n";
    let watched = camera(&format!("{program}\n{lines}"));
    let reason = watched.failure().await;
    assert!(
        reason.contains("736 padded rows of 1312 bytes") && reason.contains("write 1312x736"),
        "{reason}"
    );
}

#[tokio::test]
async fn encoded_formats_play() {
    let film = "-v error -re -f lavfi -i testsrc2=size=320x180:rate=15 -threads 1";
    for (format, codec, encode) in [
        ("mjpeg", "jpeg", "-c:v mjpeg -f mjpeg"),
        (
            "h264",
            "h264",
            "-c:v libx264 -preset ultrafast -tune zerolatency -g 15 -f h264",
        ),
        (
            "h265",
            "h265",
            "-c:v libx265 -preset ultrafast -tune zerolatency -g 15 -x265-params log-level=error -f hevc",
        ),
        ("mpegts", "jpeg", "-c:v mpeg2video -g 15 -f mpegts"),
    ] {
        let line = format!("ffmpeg {film} {encode} pipe:1");
        let program = words(&line.split_whitespace().collect::<Vec<_>>());
        let watched = camera(&format!("{program}\nformat = \"{format}\""));
        let mut viewer = watched.watch();
        assert_eq!(viewer.size().await, (320, 180), "{format}");
        for _ in 0..5 {
            viewer.frame().await;
        }
        let status = watched.camera.status();
        assert_eq!(status.codec.map(|codec| codec.name()), Some(codec));
    }
}

#[tokio::test]
async fn a_programs_environment_is_clean_and_its_arguments_are_not_shell_expanded() {
    let dir = Dir::new("program");
    let file = dir.0.join("seen");
    let script = format!(
        "(env | cut -d= -f1; echo; printf '%s\\n' \"$@\") > {}; exec cat /dev/zero",
        file.display()
    );
    let program = words(&["sh", "-c", &script, "name", "$HOME `id` ; *", "a b"]);
    let watched = camera(&format!("{program}\n{RAW}"));
    watched.watch().frame().await;
    let seen = fs::read_to_string(&file).unwrap();
    let (names, output_text) = seen.split_once("\n\n").unwrap();
    assert_eq!(output_text, "$HOME `id` ; *\na b\n");
    for name in names.lines() {
        let known = ["HOME", "LANG", "PATH", "PWD", "OLDPWD", "SHLVL", "_"];
        assert!(known.contains(&name), "{names}");
    }
}

#[test]
fn invalid_configurations_are_refused_with_an_explanation() {
    for (lines, reason) in [
        ("exec = [\"x\"]", "`format` must be"),
        ("exec = [\"x\"]\nformat = \"yuv\"", "`format` must be"),
        ("exec = []\nformat = \"mjpeg\"", "a program is named"),
        (
            "exec = \"rpicam-vid -t 0\"\nformat = \"mjpeg\"",
            "a list of strings",
        ),
        ("exec = [\"x\"]\nformat = \"yuv420p\"", "need a `size`"),
        (
            "exec = [\"x\"]\nformat = \"yuv420p\"\nsize = \"641x480\"",
            "both sides even",
        ),
        (
            "exec = [\"x\"]\nformat = \"yuv420p\"\nsize = \"640x480\"\nstride = 600",
            "at least the width",
        ),
        (
            "exec = [\"x\"]\nformat = \"mjpeg\"\nstride = 640",
            "only for format = \"yuv420p\"",
        ),
        (
            "exec = [\"/usr/bin/rpicam-vid\"]\nformat = \"yuv420p\"\nsize = \"600x480\"",
            "add stride = 640",
        ),
        (
            "source = \"exec:rpicam-vid\"",
            "a program is named in the configuration file",
        ),
        (
            "source = \"exec:x\"\nexec = [\"x\"]\nformat = \"mjpeg\"",
            "a program is named",
        ),
        (
            "source = \"pipe:fifo\"\nformat = \"mjpeg\"",
            "pipe:/run/camera.fifo",
        ),
        ("source = \"v4l2:video0\"", "v4l2:/dev/video0"),
        (
            "source = \"pattern:\"\nmpeg1 = { bitrate = \"fast\" }",
            "like \"800k\"",
        ),
        (
            "source = \"pattern:\"\njsmpeg_ports = { http = \"127.0.0.1:0\" }",
            "needs `ws`",
        ),
        (
            "source = \"pattern:\"\njsmpeg_ports = { http = \"127.0.0.1:0\", ws = \"127.0.0.1:0\", index = \"/none\" }",
            "can't be read",
        ),
    ] {
        let fault = Config::parse(&format!("[[camera]]\nid = \"cam\"\n{lines}\n")).err();
        let fault = fault.unwrap_or_else(|| panic!("{lines} is accepted"));
        assert!(fault.to_string().contains(reason), "{lines}: {fault}");
    }
    let fault = from_argument("exec:rpicam-vid", 1).err().expect("an error");
    assert!(fault.to_string().contains("configuration file"), "{fault}");
}

/// `config/pi.toml` and the examples in the Pi camera guide are valid configurations.
#[test]
fn configurations_in_the_documents_are_valid() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let config =
        Config::load(&root.join("config/pi.toml")).unwrap_or_else(|fault| panic!("{fault}"));
    assert_eq!((config.cameras.len(), config.cameras[0].kind), (1, "exec"));
    let guide = fs::read_to_string(root.join("docs/guide/pi-camera.md")).unwrap();
    let mut blocks = guide.split("```toml\n").skip(1);
    let programs = blocks.next().unwrap().split("```").next().unwrap();
    let config = Config::parse(programs).unwrap_or_else(|fault| panic!("{fault}"));
    assert_eq!(config.cameras.len(), 4);
}

#[tokio::test]
async fn a_named_pipe_accepts_one_writer_after_another() {
    let dir = Dir::new("program");
    let path = dir.0.join("fifo");
    let missing = camera(&format!("source = \"pipe:{}\"\n{RAW}", path.display()));
    let reason = missing.failure().await;
    assert!(reason.starts_with("there is no pipe"), "{reason}");
    drop(missing);
    assert!(
        Command::new("mkfifo")
            .arg(&path)
            .status()
            .unwrap()
            .success()
    );
    let watched = camera(&format!("source = \"pipe:{}\"\n{RAW}", path.display()));
    let mut viewer = watched.watch();
    for round in 0..2 {
        let output = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .unwrap();
        let mut writer = Command::new("python3")
            .args([FAKE_PI, "320", "240", "24"])
            .stdout(Stdio::from(output))
            .spawn()
            .unwrap();
        viewer
            .frame_with(|frame| frame.discontinuity || round == 0)
            .await;
        viewer.frame().await;
        writer.kill().unwrap();
        writer.wait().unwrap();
        watched.until(|status| status.restarts > round).await;
    }
}

/// Writes a substitute for ffmpeg that accepts one device and checks its arguments.
fn ffmpeg_substitute(dir: &Path, makes_jpeg: bool) {
    let script = format!(
        r#"#!/bin/sh
case " $* " in
*" -f v4l2 -input_format mjpeg -video_size 320x180 -framerate 10 -i /dev/video7 -an -c:v copy "*" -f smjpeg pipe:1 ")
    {makes_jpeg} || {{ echo "[video4linux2,v4l2 @ 0x5] Cannot find a proper format for codec 'mjpeg' (id 7), pixel format 'none' (id -1)" >&2; exit 1; }};;
*" -f v4l2 -video_size 320x180 -framerate 10 -i /dev/video7 -vf "*" -c:v mjpeg "*" -f smjpeg pipe:1 ")
    {makes_jpeg} && {{ echo "it makes JPEG" >&2; exit 1; }};;
*) echo "unexpected arguments: $*" >&2; exit 1;;
esac
PATH=$REAL_PATH exec ffmpeg -v error -re -f lavfi -i testsrc2=size=320x180:rate=10 -c:v mjpeg -flush_packets 1 -f smjpeg pipe:1
"#
    );
    let script = script.replace("$REAL_PATH", &std::env::var("PATH").unwrap());
    let path = dir.join("ffmpeg");
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Virtual devices are not available everywhere, so this tests only how ffmpeg is called.
#[tokio::test]
async fn a_device_delivers_its_own_jpeg_or_is_encoded() {
    for makes_jpeg in [true, false] {
        let dir = Dir::new("program");
        ffmpeg_substitute(&dir.0, makes_jpeg);
        let lines = "[[camera]]\nid = \"usb\"\nsource = \"v4l2:/dev/video7\"\nsize = \"320x180\"\nfps = 10\n";
        let config = dir.write("ocelli.toml", lines);
        let path = format!("{}:{}", dir.0.display(), std::env::var("PATH").unwrap());
        let hub = Hub::builder(OCELLI)
            .args(["serve", "--listen", "127.0.0.1:0", "--config"])
            .arg(config)
            .env("PATH", path)
            .start();
        let mut viewer = RawSocket::open(hub.addr(), "/live/ws?app=live&room=usb", None).await;
        let picture = viewer
            .binary(TIMEOUT)
            .await
            .unwrap_or_else(|| panic!("{:?}", hub.stderr()));
        assert_eq!(ocelli_media::jpeg::size(&picture), Some((320, 180)));
        let cameras = get(hub.addr(), "/api/v1/cameras").await.json();
        let camera = &cameras["data"][0];
        assert_eq!(
            (camera["kind"].as_str(), camera["restarts"].as_u64()),
            (Some("v4l2"), Some(0))
        );
    }
    assert!(ffmpegs("/dev/video7").is_empty());
}
