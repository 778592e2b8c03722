//! RTSP cameras that send endlessly or read nothing: each attempt ends with its reason after
//! a bounded number of bytes, and another camera of the hub continues.

use super::ALONE;
use crate::support::rtsp::{Camera, H264, H265, JPEG, Peer};
use crate::support::{TIMEOUT, Watched, eventually};
use futures_util::future::join_all;
use ocelli_core::CameraStatus;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;
use tokio::time::{Instant, timeout};

const MIB: u64 = 1 << 20;
/// The most bytes that are skipped while waiting for the response to TEARDOWN.
const AFTER: u64 = 5 * MIB;
/// The longest acceptable gap of the other camera, on a busy machine.
const LONGEST: Duration = Duration::from_secs(2);
/// Frame rate of the other camera.
const FPS: u64 = 10;

/// Returns how much the kernel accepts from a writer before the peer reads: the maximum size of
/// both socket buffers, which differs between versions of Linux.
fn kernel() -> u64 {
    let most = |name: &str| {
        let path = format!("/proc/sys/net/ipv4/{name}");
        let text = std::fs::read_to_string(path).expect("the kernel's limits");
        let most = text.split_whitespace().last().map(str::parse::<u64>);
        most.expect("three numbers").expect("a number")
    };
    most("tcp_rmem") + most("tcp_wmem")
}

/// The result for one hostile camera, and for the other camera meanwhile.
struct Outcome {
    reason: String,
    taken: u64,
    longest: Duration,
}

/// Watches the hostile camera until it counts as failed.
async fn until_failed(
    attack: impl Fn(&mut Peer) -> std::io::Result<()> + Send + Sync + 'static,
) -> Outcome {
    let _alone = ALONE.lock().await;
    until(attack, |status| status.state.name() == "failed").await
}

/// Watches the hostile camera until its first attempt has failed.
async fn until_first_failure(
    attack: impl Fn(&mut Peer) -> std::io::Result<()> + Send + Sync + 'static,
) -> Outcome {
    until(attack, |status| status.restarts > 0).await
}

/// Watches the hostile camera, with another camera running.
async fn until(
    attack: impl Fn(&mut Peer) -> std::io::Result<()> + Send + Sync + 'static,
    ended: impl Fn(&CameraStatus) -> bool,
) -> Outcome {
    let hostile = Camera::start(attack);
    let watched = Watched::of(&format!(
        "[[camera]]\nid = \"cam\"\nsource = 'rtsp://{}/x'\n\
         [[camera]]\nid = \"other\"\nsource = 'pattern:?size=64x48&fps={FPS}'\n",
        hostile.address
    ));
    let other = watched.hub.find("live", "other").expect("the other camera");
    let mut other = other.follow(ocelli_core::Quality::Main);
    timeout(TIMEOUT, other.next())
        .await
        .expect("a picture of the other camera");
    let _viewer = watched.watch();
    let mut changes = watched.hub.changes();
    let deadline = Instant::now() + TIMEOUT;
    let (mut last, mut longest) = (Instant::now(), Duration::ZERO);
    let reason = loop {
        tokio::select! {
            _ = other.next() => {
                longest = longest.max(last.elapsed());
                last = Instant::now();
            }
            _ = changes.changed() => {}
            () = tokio::time::sleep_until(deadline) => panic!("the attempt did not end: {:?}", watched.camera.status()),
        }
        let status = watched.camera.status();
        if ended(&status) {
            break status.state.reason().unwrap_or_default().to_owned();
        }
    };
    longest = longest.max(last.elapsed());
    drop(watched);
    // The connection is closed by now; the camera notices at its next write.
    eventually("the connection ends", || {
        hostile.most.load(Ordering::Relaxed) > 0
    })
    .await;
    let taken = hostile.most.load(Ordering::Relaxed);
    Outcome {
        reason,
        taken,
        longest,
    }
}

impl Outcome {
    /// Checks that it failed with this reason after at most this many bytes, and that the other
    /// camera was not delayed.
    #[track_caller]
    fn is(&self, words: &str, most: u64) {
        let Self {
            reason,
            taken,
            longest,
        } = self;
        println!("{reason}: {taken} bytes, {longest:?}");
        assert!(reason.contains(words), "{words:?} in: {reason}");
        assert!(
            *taken <= most + kernel() + AFTER,
            "{taken} bytes were accepted: {reason}"
        );
        assert!(*longest < LONGEST, "the other camera waited {longest:?}");
    }
}

/// Sends the flood in place of the response to the first request.
async fn described(lines: &'static str, flood: &'static [u8]) -> Outcome {
    until_failed(move |peer| {
        peer.request()?;
        peer.write(lines.as_bytes())?;
        peer.flood(flood)
    })
    .await
}

#[tokio::test]
async fn an_endless_line_is_cut_off() {
    described("RTSP/1.0 200 OK\r\nServer: ", b"x")
        .await
        .is("longer than 8 KiB", 0);
    described("", b"x").await.is("longer than 8 KiB", 0);
}

#[tokio::test]
async fn endless_headers_are_cut_off() {
    let outcome = described("RTSP/1.0 200 OK\r\n", b"Server: camera\r\n").await;
    outcome.is("100 header lines", 0);
    let wide: &'static [u8] = format!("Server: {}\r\n", "x".repeat(4000))
        .leak()
        .as_bytes();
    described("RTSP/1.0 200 OK\r\n", wide)
        .await
        .is("64 KiB of headers", 0);
}

#[tokio::test]
async fn an_oversized_body_is_refused() {
    let lines = "RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Length: 20000000000\r\n\r\n";
    described(lines, b"v=0\r\n")
        .await
        .is("20000000000 bytes", 0);
    let lines = "RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Length: 99999999999999999999999\r\n\r\n";
    described(lines, b"v=0\r\n").await.is("at most 256 KiB", 0);
    let lines = "RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Length: 262145\r\n\r\n";
    described(lines, b"a=x\r\n").await.is("262145 bytes", 0);
}

#[tokio::test]
async fn endless_interim_responses_are_cut_off() {
    let outcome = described("", b"RTSP/1.0 100 Continue\r\nCSeq: 1\r\n\r\n").await;
    outcome.is("interim responses", 0);
}

#[tokio::test]
async fn a_response_in_single_bytes_is_cut_off() {
    let outcome = until_failed(|peer| {
        peer.until("SETUP", H264)?;
        peer.stream.set_nodelay(true)?;
        peer.write(b"RTSP/1.0 200 OK\r\nServer: ")?;
        loop {
            peer.write(b"x")?;
            thread::sleep(Duration::from_millis(1));
        }
    })
    .await;
    outcome.is("does not answer as an RTSP camera", 0);
}

#[tokio::test]
async fn an_endless_fragmented_unit_is_cut_off() {
    let fragment = [&[0x7C, 0x05][..], &[0x55; 1400]].concat();
    let first = [&[0x7C, 0x85, 0x88][..], &[0x55; 1400]].concat();
    let outcome = until_failed(move |peer| {
        peer.play(H264)?;
        peer.endless(96, &first, &fragment)
    });
    outcome.await.is("16 MiB", 17 * MIB);

    let fragment = [&[49 << 1, 1, 19][..], &[0x55; 1400]].concat();
    let first = [&[49 << 1, 1, 0x80 | 19, 0x80][..], &[0x55; 1400]].concat();
    let outcome = until_failed(move |peer| {
        peer.play(H265)?;
        peer.endless(96, &first, &fragment)
    });
    outcome.await.is("16 MiB", 17 * MIB);
}

#[tokio::test]
async fn endless_units_are_cut_off() {
    // Slices of one picture: the first bit of each is zero.
    for (media, unit) in [
        (H264, vec![0x65, 0x48, 0x80]),
        (H265, vec![19 << 1, 1, 0x40]),
    ] {
        let outcome = until_failed(move |peer| {
            peer.play(media)?;
            peer.endless(96, &unit, &unit)
        });
        outcome.await.is("16384", 2 * MIB);
    }
}

#[tokio::test]
async fn endless_aggregated_units_are_cut_off() {
    // Each packet contains twenty thousand units of one byte; two bytes for H.265.
    let stap = [&[0x78][..], &[0, 1, 0x65].repeat(20_000)].concat();
    let outcome = until_failed(move |peer| {
        peer.play(H264)?;
        peer.endless(96, &stap, &stap)
    });
    outcome.await.is("16384", MIB);

    let aggregate = [&[48 << 1, 1][..], &[0, 2, 19 << 1, 1].repeat(16_000)].concat();
    let outcome = until_failed(move |peer| {
        peer.play(H265)?;
        peer.endless(96, &aggregate, &aggregate)
    });
    outcome.await.is("16384", MIB);

    // Start codes inside a unit split it into units too.
    let coded = [0x65, 0x48, 0, 0, 1].repeat(12_000);
    let outcome = until_failed(move |peer| {
        peer.play(H264)?;
        peer.endless(96, &coded, &coded)
    });
    outcome.await.is("16384", MIB);
}

#[tokio::test]
async fn an_endless_jpeg_is_cut_off() {
    let header = [0, 0, 0, 0, 1, 50, 40, 30];
    let first = [&header[..], &[0x55; 1400]].concat();
    let outcome = until_failed(move |peer| {
        peer.play(JPEG)?;
        peer.endless(
            26,
            &first,
            &[&[0, 0, 0, 9, 1, 50, 40, 30][..], &[0x55; 1400]].concat(),
        )
    });
    outcome.await.is("16 MiB", 17 * MIB);
}

#[tokio::test]
async fn packets_too_short_for_rtp_are_refused() {
    for flood in [&[b'$', 0, 0, 0][..], &[b'$', 0, 0, 1, 0x80]] {
        let outcome = until_failed(move |peer| {
            peer.play(H264)?;
            peer.flood(flood)
        });
        outcome.await.is("not valid (too short)", MIB);
    }
}

/// The watchdog or the budget ends a stream of packets without a picture.
#[tokio::test]
async fn packets_without_a_picture_are_limited() {
    let report = [&[b'$', 1, 0, 28, 0x80, 200, 0, 6][..], &[0; 24]].concat();
    let empty = [&[b'$', 0, 0, 12, 0x80, 96, 0, 1][..], &[0; 8]].concat();
    let foreign = [&[b'$', 7, 4, 0][..], &[0x55; 1024]].concat();
    let outcomes = [report, empty, foreign].map(|flood| {
        until_first_failure(move |peer| {
            peer.play(H264)?;
            peer.flood(&flood)
        })
    });
    let _alone = ALONE.lock().await;
    for outcome in join_all(outcomes).await {
        // A tenth of the thread's time, plus its accumulated budget.
        outcome.is("", 1400 * MIB);
    }
}

#[tokio::test]
async fn a_camera_that_sends_requests_and_reads_nothing_is_cut_off() {
    let outcome = until_failed(|peer| {
        peer.play(H264)?;
        peer.flood(b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n")
    });
    outcome
        .await
        .is("does not read the hub's messages", 32 * MIB);
}
