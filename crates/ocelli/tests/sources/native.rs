//! Native video from GStreamer's RTSP server: what viewers get is decoded by ffmpeg.

use crate::support::native::{Viewer, decoded, units};
use crate::support::{Watched, ffmpegs};
use ocelli_core::{Codec, Frame};
use ocelli_testkit::{RtspServer, RtspServerOptions};
use std::collections::BTreeSet;

fn server() -> RtspServer {
    RtspServer::start(RtspServerOptions::default())
}

#[tokio::test]
async fn every_profile_is_passed_on_whole_and_can_be_decoded_from_any_key_frame() {
    let server = server();
    // The mount, its codec, the beginning of its type, the parameter sets of a key frame.
    let mounts: [(_, _, _, &[u8]); 6] = [
        ("baseline", Codec::H264, "avc1.42", &[7, 8]),
        ("h264", Codec::H264, "avc1.", &[7, 8]),
        ("oob", Codec::H264, "avc1.", &[7, 8]),
        ("bframes", Codec::H264, "avc1.4d", &[7, 8]),
        ("open", Codec::H264, "avc1.64", &[7, 8]),
        ("h265", Codec::H265, "hev1.1.", &[32, 33, 34]),
    ];
    for (mount, codec, kind, sets) in mounts {
        let watched = Watched::with(&server.url(mount), "jpeg = { width = 306 }");
        let mut viewer = Viewer::new(&watched);
        let frames = viewer.frames(40).await;
        assert!(frames[0].key, "{mount}");
        let groups: BTreeSet<u32> = frames.iter().map(|frame| frame.group).collect();
        assert!(groups.len() >= 2, "{mount}: {groups:?}");
        for (before, after) in frames.iter().zip(&frames[1..]) {
            assert_eq!(after.sequence, before.sequence + 1, "{mount}");
            assert_eq!(after.key, after.group != before.group, "{mount}");
        }
        for frame in &frames {
            assert_eq!(frame.codec, codec, "{mount}");
            let has_sets = sets.iter().all(|set| units(frame).contains(set));
            assert!(has_sets || !frame.key, "{mount}: {:?}", units(frame));
        }
        let listed = watched.camera.streams();
        let codec_string = listed[0].codec_string.as_deref().unwrap_or_default();
        assert!(codec_string.starts_with(kind), "{mount}: {codec_string}");
        assert_eq!(listed[0].size, Some((320, 240)), "{mount}");
        // An encoder with B-frames has sent pictures that are shown before others that are missing.
        assert!(decoded(&frames).len() >= 38, "{mount}");
        let second = frames
            .iter()
            .rposition(|frame| frame.key)
            .expect("a key frame");
        let rest = &frames[second..];
        assert!(decoded(rest).len() + 2 >= rest.len(), "{mount}");
        assert!(
            ffmpegs("min(iw,306)").is_empty(),
            "{mount}: it is not transcoded"
        );
    }
}

#[tokio::test]
async fn a_newcomer_to_a_long_group_gets_it_from_its_key_frame() {
    let server = server();
    let watched = Watched::new(&server.url("long"));
    let mut first = Viewer::new(&watched);
    let seen = first.frames(30).await;
    let mut newcomer = Viewer::new(&watched);
    let got = newcomer.frames(30).await;
    assert!(got[0].key);
    let sequences = |frames: &[Frame]| frames.iter().map(|frame| frame.sequence).collect();
    let (seen, got): (Vec<u32>, Vec<u32>) = (sequences(&seen), sequences(&got));
    assert_eq!(seen, got);
}

#[tokio::test]
async fn a_change_of_size_is_a_key_frame_with_the_discontinuity_flag() {
    let server = server();
    let watched = Watched::new(&server.url("resize"));
    let mut viewer = Viewer::new(&watched);
    let first = viewer.next().await;
    let small = loop {
        let frame = viewer.next().await;
        if frame.key && frame.size != first.size {
            break frame;
        }
        assert!(!frame.discontinuity);
    };
    assert!(small.discontinuity);
    assert_ne!(small.size, first.size);
    let mut frames = vec![small];
    frames.extend(viewer.frames(10).await);
    assert_eq!(decoded(&frames).len(), frames.len());
    assert_eq!(watched.camera.streams()[0].size, frames[0].size);
}

#[tokio::test]
async fn a_restarted_camera_continues_with_a_key_frame_and_the_flag() {
    let mut server = server();
    let watched = Watched::new(&server.url("h264"));
    let mut viewer = Viewer::new(&watched);
    viewer.frames(3).await;
    server.kill();
    server.restart();
    let frames = viewer.frames_after_interruption(11).await;
    assert_eq!(decoded(&frames).len(), frames.len());
}
