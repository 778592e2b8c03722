//! Fragmented MP4 in players that we did not write: what they decode is compared with the
//! original, picture by picture.

#![allow(clippy::unwrap_used, reason = "a failed test setup must panic")]

use crate::copy::{B_FRAMES, H264, H265, is_part, original, pictures};
use crate::support::hub::OCELLI;
use crate::support::tempdir::Dir;
use crate::support::{TIMEOUT, film};
use ocelli_testkit::{Hub, RtspServer, RtspServerOptions};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Runs a program that must succeed in time. Returns what it printed.
async fn run(command: &mut Command, time: Duration) -> (String, String) {
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let output = timeout(time, output)
        .await
        .expect("an end in time")
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{command:?}: {out} {err}");
    (out, err)
}

fn url(hub: &Hub, camera: &str) -> String {
    hub.url(&format!("/live/live/{camera}/stream.mp4"))
}

/// Whether ffmpeg reports only times of pictures that are not in order. There are some until the
/// clock of a camera has settled.
fn is_of_times(line: &str) -> bool {
    line.contains("onoton") || line.contains("repeated")
}

/// Plays some pictures with ffmpeg, which must report no error. Returns its lines about them.
async fn played(hub: &Hub, camera: &str, count: u32) -> Vec<String> {
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg
        .args(["-v", "warning", "-i", &url(hub, camera)])
        .args(["-frames:v", &count.to_string(), "-fps_mode", "passthrough"])
        .args([
            "-copyts",
            "-enc_time_base",
            "1:1000",
            "-f",
            "framemd5",
            "pipe:1",
        ]);
    let (out, err) = run(&mut ffmpeg, TIMEOUT).await;
    let other = err.lines().find(|line| !is_of_times(line));
    assert_eq!(other, None, "{camera}: {err}");
    let lines = out.lines().filter(|line| !line.starts_with('#'));
    lines.map(str::to_owned).collect()
}

/// The steps between the times at which pictures are shown, in ms.
fn steps(lines: &[String]) -> Vec<i64> {
    let shown = |line: &String| {
        let mut fields = line.split(',').map(str::trim);
        fields.nth(2).unwrap().parse().unwrap()
    };
    let times: Vec<i64> = lines.iter().map(shown).collect();
    times.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

#[tokio::test]
async fn ffmpeg_decodes_the_pictures_of_the_film_at_their_times() {
    let dir = Dir::new("mp4");
    let films = [
        ("plain", "plain.mp4", H264),
        ("reordered", "b.mkv", B_FRAMES),
        ("five", "five.mp4", H265),
    ];
    let films =
        films.map(|(name, file, encoder)| (name, film(&dir, file, &format!("{encoder} -t 9"))));
    let sources = films
        .iter()
        .map(|(name, film)| format!("{name}=file:{film}"));
    let hub = Hub::serve(OCELLI, sources);
    let play = async |name: &'static str| {
        fragments(hub.addr(), name, SETTLED).await;
        played(&hub, name, 25).await
    };
    let (plain, reordered, five) = tokio::join!(play("plain"), play("reordered"), play("five"));
    for ((name, film), lines) in films.iter().zip([plain, reordered, five]) {
        let found = pictures(&lines);
        assert_eq!(found.len(), 25, "{name}");
        let original = original(film);
        let twice = [&original[..], &original].concat();
        assert!(
            found.iter().all(|picture| original.contains(picture)),
            "{name}"
        );
        // On a busy machine a viewer may be overtaken.
        assert!(found.windows(12).any(|run| is_part(run, &twice)), "{name}");
        if *name == "plain" {
            let steps = steps(&lines);
            assert!(
                steps.iter().all(|step| (60..=140).contains(step)),
                "{steps:?}"
            );
        }
    }
}

#[tokio::test]
async fn the_size_of_the_pictures_changes_and_the_times_go_on() {
    let server = RtspServer::start(RtspServerOptions::default());
    let mounts = ["resize", "open"];
    let sources = mounts.map(|mount| format!("{mount}={}", server.url(mount)));
    let hub = Hub::serve(OCELLI, sources);
    let mut probe = Command::new("ffprobe");
    probe
        .args(["-v", "warning", "-read_intervals", "%+7", "-show_entries"])
        .args(["frame=pts_time,width", "-of", "csv=p=0"])
        .arg(url(&hub, "resize"));
    for mount in mounts {
        fragments(hub.addr(), mount, SETTLED).await;
    }
    let (probed, open) = tokio::join!(run(&mut probe, TIMEOUT), played(&hub, "open", 40));
    assert_eq!(probed.1, "");
    let rows: Vec<(f64, u32)> = probed
        .0
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(',');
            let time = fields.next()?.parse().ok()?;
            Some((time, fields.next()?.parse().ok()?))
        })
        .collect();
    for width in [160, 320] {
        let count = rows.iter().filter(|row| row.1 == width).count();
        assert!(count > 10, "{width}: {rows:?}");
    }
    let step = |pair: &[(f64, u32)]| pair[1].0 - pair[0].0;
    assert!(
        rows.windows(2)
            .all(|pair| (0.02..0.2).contains(&step(pair))),
        "{rows:?}"
    );
    let open = steps(&open);
    assert!(
        open.iter().all(|step| (30..=120).contains(step)),
        "{open:?}"
    );
}

#[tokio::test]
async fn aac_is_heard_with_the_pictures() {
    let server = RtspServer::start(RtspServerOptions::default());
    let cameras = ["aac", "av"].map(|mount| format!("{mount}={}", server.url(mount)));
    let hub = Hub::serve(OCELLI, cameras);
    // The second camera sends G.711, which MP4 can't carry.
    for (camera, expected) in [("aac", "h264\naac\n"), ("av", "h264\n")] {
        fragments(hub.addr(), camera, SETTLED).await;
        let mut probe = Command::new("ffprobe");
        probe.args(["-v", "error", "-show_entries", "stream=codec_name"]);
        let (found, _) = run(probe.args(["-of", "csv=p=0", &url(&hub, camera)]), TIMEOUT).await;
        assert_eq!(found, expected, "{camera}");
    }
    let dir = Dir::new("mp4-sound");
    let recording = dir.0.join("recording.mp4").display().to_string();
    let samples = dir.0.join("samples").display().to_string();
    let mut record = Command::new("ffmpeg");
    record.args(["-v", "error", "-i", &url(&hub, "aac")]);
    run(record.args(["-c", "copy", "-t", "4", &recording]), TIMEOUT).await;
    let mut decode = Command::new("ffmpeg");
    decode.args(["-v", "warning", "-i", &recording, "-ac", "1", "-ar", "8000"]);
    let (_, err) = run(decode.args(["-f", "s16le", &samples]), TIMEOUT).await;
    assert_eq!(err, "");
    let bytes = std::fs::read(samples).unwrap();
    let (samples, _) = bytes.as_chunks::<2>();
    let samples: Vec<_> = samples.iter().map(|two| i16::from_le_bytes(*two)).collect();
    let seconds = samples.len() as f64 / 8000.0;
    assert!((3.0..5.0).contains(&seconds), "{seconds} s");
    let rising = samples.windows(2).filter(|two| two[0] < 0 && two[1] >= 0);
    let tone = rising.count() as f64 / seconds;
    assert!((tone - 1000.0).abs() < 30.0, "{tone} Hz");
}

/// The number of pictures after which the clock of a camera has settled.
const SETTLED: u32 = 20;

/// How long the players play: this many seconds of `OCELLI_PLAY_SECONDS`, or a few.
fn play_seconds() -> u32 {
    let seconds = std::env::var("OCELLI_PLAY_SECONDS").ok();
    seconds.map_or(6, |text| text.parse().expect("a number of seconds"))
}

/// Plays with ffmpeg, which must report nothing but the times of pictures right after the restart,
/// before the clock of the camera has settled.
async fn ffmpeg(url: String, frames: u32, time: Duration) {
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg
        .args(["-v", "warning", "-i", &url, "-fps_mode", "passthrough"])
        .args(["-enc_time_base", "1:1000000", "-f", "null"])
        .args(["-frames:v", &frames.to_string(), "-"]);
    let (_, err) = run(&mut ffmpeg, time).await;
    let other = err.lines().find(|line| !is_of_times(line));
    assert_eq!(other, None, "{url}: {err}");
}

/// Plays with mpv, which must report no error.
async fn mpv(url: String, frames: u32, time: Duration) {
    let mut mpv = Command::new("mpv");
    mpv.args(["--no-config", "--vo=null", "--msg-level=all=error"])
        .args([&format!("--frames={frames}"), &url]);
    let (out, err) = run(&mut mpv, time).await;
    assert_eq!(out.trim().to_owned() + err.trim(), "", "{url}");
}

/// Plays with VLC, which refuses to run as root, until it has displayed this many pictures.
async fn vlc(url: String, frames: u32, time: Duration) {
    let dir = Dir::new("vlc");
    std::fs::set_permissions(&dir.0, PermissionsExt::from_mode(0o777)).unwrap();
    let mut command = if rustix::process::geteuid().is_root() {
        let mut nobody = Command::new("setpriv");
        nobody.args(["--reuid=65534", "--regid=65534", "--clear-groups", "vlc"]);
        nobody
    } else {
        Command::new("vlc")
    };
    let mut vlc = command
        .env("HOME", &dir.0)
        .args(["-I", "rc", "--no-audio", "--vout=dummy", &url])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut commands = vlc.stdin.take().unwrap();
    let mut lines = BufReader::new(vlc.stdout.take().unwrap()).lines();
    let mut displayed = 0;
    let playing = async {
        let mut again = tokio::time::interval(Duration::from_millis(500));
        while displayed < frames {
            again.tick().await;
            commands.write_all(b"stats\n").await.unwrap();
            while let Some(line) = lines.next_line().await.unwrap() {
                if let Some((_, count)) = line.split_once("frames displayed :") {
                    displayed = count.trim().parse().unwrap();
                    break;
                }
            }
        }
    };
    let played = timeout(time, playing).await;
    assert!(played.is_ok(), "{url}: {displayed} of {frames}");
}

/// Reads a stream until it has had this many fragments.
async fn fragments(address: SocketAddr, camera: &str, wanted: u32) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET /live/live/{camera}/stream.mp4 HTTP/1.0\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let (mut bytes, mut found) = (Vec::new(), 0);
    while found < wanted {
        let read = timeout(TIMEOUT, stream.read_buf(&mut bytes)).await;
        let len = read.expect("fragments in time").unwrap();
        assert!(len > 0, "{camera}: {}", String::from_utf8_lossy(&bytes));
        found += bytes.windows(4).filter(|at| *at == b"moof").count() as u32;
        bytes.drain(..bytes.len().saturating_sub(3));
    }
}

/// `OCELLI_PLAY_SECONDS=600` plays for ten minutes.
#[tokio::test]
#[ignore = "nine players need most of a machine"]
async fn players_play_through_b_frames_changes_of_size_and_a_restart() {
    let options = RtspServerOptions::default();
    let (fps, seconds) = (options.fps, play_seconds());
    let frames = fps * seconds;
    let time = Duration::from_secs(u64::from(seconds)) + 3 * TIMEOUT;
    let mut server = RtspServer::start(options);
    let mounts = ["h264", "bframes", "resize"];
    let sources = mounts.map(|mount| format!("{mount}={}", server.url(mount)));
    let hub = Hub::serve(OCELLI, sources);
    for mount in mounts {
        fragments(hub.addr(), mount, SETTLED).await;
    }
    let mut players = JoinSet::new();
    for mount in mounts {
        players.spawn(ffmpeg(url(&hub, mount), frames, time));
        players.spawn(mpv(url(&hub, mount), frames, time));
        players.spawn(vlc(url(&hub, mount), frames, time));
    }
    fragments(hub.addr(), "h264", frames / 2).await;
    server.restart();
    while let Some(played) = players.join_next().await {
        played.unwrap();
    }
}
