//! The cameras for load, played by ffmpeg.

#![allow(clippy::unwrap_used, reason = "a failed set-up must fail the test")]

use ocelli_testkit::video::{Recording, Video, stamp, units};
use ocelli_testkit::video_feed::VideoCameras;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;

const VIDEO: Video = Video {
    width: 320,
    height: 240,
    fps: 25,
    kilobits: 1000,
    group: 10,
};

/// Splits a copied stream where each unit's stamp begins, and returns the sequence numbers.
fn sequences(stream: &[u8]) -> Vec<u64> {
    let marks = stream.windows(16).enumerate();
    let starts: Vec<usize> = marks
        .filter(|(_, bytes)| bytes.starts_with(b"ocelli-load-mark"))
        .map(|(at, _)| at)
        .collect();
    let whole = |start: usize| {
        // The picture ends at the start code of the next unit, wherever that is.
        (start..=stream.len()).find_map(|end| stamp(&stream[start..end]))
    };
    let stamps = starts.iter().filter_map(|start| whole(*start));
    stamps.map(|stamp| stamp.sequence).collect()
}

#[test]
fn ffmpeg_plays_every_camera_and_gets_all_units_in_order() {
    let recording = Arc::new(Recording::encode(VIDEO).unwrap());
    assert_eq!(recording.units().len(), 100);
    let cameras = VideoCameras::start(3, recording.clone()).unwrap();
    for camera in [1, 3] {
        let output = Command::new("ffmpeg")
            .args(["-v", "error", "-nostdin", "-rtsp_transport", "tcp"])
            .args(["-i", &cameras.url(camera), "-frames:v", "40", "-c", "copy"])
            .args(["-f", "h264", "pipe:1"])
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}");
        let found = sequences(&output.stdout);
        assert_eq!(found.len(), 40, "{found:?}");
        assert!(
            found.windows(2).all(|two| two[1] == two[0] + 1),
            "{found:?}"
        );
        // From the first key frame on, everything can be decoded.
        let mut decoder = Command::new("ffmpeg")
            .args(["-v", "error", "-xerror", "-f", "h264", "-i", "pipe:0"])
            .args(["-f", "null", "-"])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = decoder.stdin.take().unwrap();
        let units = units(&output.stdout);
        for unit in units.iter().skip_while(|unit| !unit.is_key) {
            for nal in &unit.nals {
                input
                    .write_all(&[&[0, 0, 0, 1], &nal[..]].concat())
                    .unwrap();
            }
        }
        drop(input);
        let decoded = decoder.wait_with_output().unwrap();
        let errors = String::from_utf8_lossy(&decoded.stderr);
        assert!(decoded.status.success() && errors.is_empty(), "{errors}");
    }
}
