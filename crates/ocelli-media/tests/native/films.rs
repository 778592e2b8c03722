//! Films through the kinds `ffmpeg` and `file`.

use super::support::{Dir, Native, checksums, file_checksums};
use ocelli_core::Codec;
use ocelli_media::annexb;

/// Asserts that a decoder can start at this key frame with nothing else.
fn assert_begins_a_stream(codec: Codec, payload: &[u8]) {
    let sets: Vec<_> = annexb::all_parameter_sets(codec, payload).collect();
    let needed = if codec == Codec::H264 { 2 } else { 3 };
    assert!(sets.len() >= needed, "{} parameter sets", sets.len());
}

#[tokio::test]
async fn films_are_passed_on_as_they_were_encoded_in_a_loop() {
    let dir = Dir::new("films");
    for (name, format, codec, arguments) in [
        ("plain.mp4", "h264", Codec::H264, "-c:v libx264 -bf 0 -g 10"),
        ("b.mkv", "h264", Codec::H264, "-c:v libx264 -bf 2 -g 10"),
        (
            "large.mp4",
            "h264",
            Codec::H264,
            "-vf scale=1280:720 -c:v libx264 -qp 1 -bf 0 -g 10",
        ),
        (
            "b.ts",
            "hevc",
            Codec::H265,
            "-c:v libx265 -x265-params log-level=error:keyint=10:open-gop=0",
        ),
        (
            "open.mp4",
            "hevc",
            Codec::H265,
            "-c:v libx265 -x265-params log-level=error:keyint=10:open-gop=1",
        ),
    ] {
        let path = dir.film(name, arguments);
        let film = file_checksums(&path);
        assert_eq!(film.len(), 20, "{name}");
        let mut native = Native::watch(&format!("file:{path}"));
        let mut stream = Vec::new();
        let mut keys = 0;
        // Twice and a little more, because decoders hold the last pictures back.
        for at in 0..45 {
            let frame = native.frame().await;
            assert_eq!(frame.codec, codec, "{name}");
            assert_eq!(frame.discontinuity, at % 20 == 0, "{name}: {at}");
            assert!(frame.key || at % 20 != 0, "{name}: {at}");
            if frame.key {
                keys += 1;
                assert_begins_a_stream(codec, &frame.payload());
                let expected = if name == "large.mp4" {
                    (1280, 720)
                } else {
                    (320, 180)
                };
                assert_eq!(frame.size, Some(expected), "{name}");
            }
            stream.extend_from_slice(&frame.payload());
        }
        assert!(keys >= 4, "{name}: {keys}");
        let played = checksums(format, &stream);
        assert_eq!(played[..20], film, "{name}");
        assert_eq!(played[20..40], film, "{name}: the second time");
        assert_eq!(native.camera.status().restarts, 0, "{name}");
    }
}

#[tokio::test]
async fn files_without_an_index_are_repeated_without_a_failure() {
    let dir = Dir::new("bare");
    for (name, arguments) in [
        ("bare.h264", "-c:v libx264 -bf 0 -g 10"),
        ("parts.mpjpeg", "-c:v mjpeg -f mpjpeg"),
    ] {
        let path = dir.film(name, arguments);
        let mut native = Native::watch(&format!("file:{path}"));
        // Twice and a little more.
        for _ in 0..45 {
            // JPEG reaches viewers without a rendition.
            match name {
                "bare.h264" => native.frame().await,
                _ => native.viewed().await,
            };
        }
        let status = native.camera.status();
        assert_eq!(status.restarts, 0, "{name}: {:?}", status.last_failure);
        assert!(status.last_failure.is_none(), "{name}");
    }
}

#[tokio::test]
async fn a_decoder_can_start_at_any_key_frame() {
    let dir = Dir::new("start");
    for (name, format, codec, arguments) in [
        ("plain.mp4", "h264", Codec::H264, "-c:v libx264 -bf 0 -g 5"),
        (
            "plain.mkv",
            "hevc",
            Codec::H265,
            "-c:v libx265 -x265-params log-level=error:keyint=5:open-gop=0:bframes=0",
        ),
    ] {
        let path = dir.film(name, arguments);
        let film = file_checksums(&path);
        let mut native = Native::watch(&format!("file:{path}"));
        let mut groups: Vec<Vec<u8>> = Vec::new();
        while groups.len() < 5 {
            let frame = native.frame().await;
            if frame.key {
                assert_begins_a_stream(codec, &frame.payload());
                groups.push(Vec::new());
            }
            groups
                .last_mut()
                .unwrap()
                .extend_from_slice(&frame.payload());
        }
        for (at, group) in groups[..4].iter().enumerate() {
            let played = checksums(format, group);
            assert_eq!(played, film[at * 5..at * 5 + 5], "{name}: group {at}");
        }
    }
}

#[tokio::test]
async fn a_film_in_another_codec_is_not_passed_on() {
    let dir = Dir::new("other");
    for (name, arguments) in [("film.mpg", "-c:v mpeg2video"), ("film.avi", "-c:v mjpeg")] {
        let path = dir.film(name, arguments);
        let native = Native::watch(&format!("file:{path}"));
        let mut changes = native.changes();
        while native.camera.status().codec.is_none() {
            changes.changed().await.unwrap();
        }
        assert_eq!(native.camera.status().codec, Some(Codec::Jpeg), "{name}");
        assert_eq!(native.camera.status().size, Some((320, 180)), "{name}");
        assert_eq!(native.camera.status().restarts, 0, "{name}");
    }
}
