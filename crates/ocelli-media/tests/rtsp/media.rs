//! Unusual packets.

use crate::support::{
    H264, JPEG, KEY, PPS, Rtp, SECOND, SPS, Script, THIRD, annexb, assert_plays, play,
};
use ocelli_testkit::rtsp_media::H265;
use ocelli_testkit::rtsp_script::interleaved;

/// Plays these bytes after PLAY.
async fn assert_stream_plays(sdp: &str, bytes: Vec<u8>, what: &str) {
    assert_plays(Script::new().describe(sdp).play().send(bytes), what).await;
}

/// Interleaves packets on channel 0.
fn stream(packets: &[Vec<u8>]) -> Vec<u8> {
    packets
        .iter()
        .flat_map(|packet| interleaved(0, packet))
        .collect()
}

#[tokio::test]
async fn stray_data_between_the_packets_is_skipped() {
    let packets = Rtp::new(96).h264();
    let mut other = Rtp::new(35);
    let mut foreign = Rtp::new(96);
    foreign.sender = 99;
    let report = [&[0x80, 200, 0, 6][..], &[0; 24]].concat();
    let junk: Vec<(&str, Vec<u8>)> = vec![
        ("another channel", interleaved(9, b"anything at all")),
        ("an empty packet on another channel", interleaved(7, &[])),
        ("an empty packet", interleaved(0, &[])),
        ("a sender report", interleaved(1, &report)),
        ("a report on the video's channel", interleaved(0, &report)),
        ("junk as a report", interleaved(1, &[0xFF; 5])),
        (
            "an unknown payload type",
            interleaved(0, &other.packet(true, KEY)),
        ),
        ("another sender", interleaved(0, &foreign.packet(true, KEY))),
        ("a version that is not RTP", interleaved(0, &[0; 40])),
        ("blank lines", b"\r\n\r\n\0\0 ".to_vec()),
        ("a line of text", b"oops, debug output\r\n".to_vec()),
        ("binary junk", vec![0xEE; 33]),
        (
            "a response to nothing",
            b"RTSP/1.0 200 OK\r\nCSeq: 9\r\n\r\n".to_vec(),
        ),
    ];
    let sdp = format!("a=tool:LIVE555 Streaming Media v2013.04.08\r\n{H264}");
    for (what, junk) in junk {
        let mut bytes = Vec::new();
        for packet in &packets {
            bytes.extend(interleaved(0, packet));
            bytes.extend(&junk);
        }
        assert_stream_plays(&sdp, bytes, what).await;
    }
}

#[tokio::test]
async fn packets_without_a_payload_are_skipped() {
    let mut rtp = Rtp::new(96);
    let mut packets = Vec::new();
    for unit in [SPS, PPS, KEY, SECOND, THIRD] {
        packets.push(rtp.packet(true, &[]));
        packets.extend(rtp.picture(&[unit]));
    }
    packets.extend(rtp.picture(&[SECOND]));
    assert_stream_plays(H264, stream(&packets), "empty payloads").await;
}

#[tokio::test]
async fn markers_that_are_wrong_or_missing_lose_no_picture() {
    for (what, mark) in [("a marker on every packet", 0x80), ("no marker", 0)] {
        let mut rtp = Rtp::new(96);
        let mut packets = rtp.h264();
        // The last picture ends with the timestamp of the next packet.
        packets.extend(rtp.picture(&[SECOND]));
        for packet in &mut packets {
            packet[1] = 96 | mark;
        }
        assert_stream_plays(H264, stream(&packets), what).await;
    }
    let mut rtp = Rtp::new(96);
    let mut packets: Vec<_> = [SPS, PPS].map(|unit| rtp.packet(true, unit)).into();
    rtp.stamp += 9;
    packets.extend(rtp.picture(&[KEY]));
    packets.extend(rtp.picture(&[SECOND]));
    packets.extend(rtp.picture(&[THIRD]));
    packets.extend(rtp.picture(&[SECOND]));
    assert_stream_plays(H264, stream(&packets), "parameter sets as pictures").await;
}

#[tokio::test]
async fn start_codes_in_payloads_are_accepted() {
    let code = |unit: &[u8]| [&[0, 0, 0, 1], unit].concat();
    let mut rtp = Rtp::new(96);
    let packets = [
        rtp.picture(&[&code(SPS), &code(PPS), &[&[0, 0, 1], KEY].concat()]),
        rtp.picture(&[&code(SECOND)]),
        rtp.picture(&[&code(THIRD)]),
    ];
    assert_stream_plays(H264, stream(&packets.concat()), "before each unit").await;
    let mut rtp = Rtp::new(96);
    let whole = annexb(&[SPS, PPS, KEY]);
    let packets = [
        rtp.picture(&[&whole[4..]]),
        rtp.picture(&[SECOND]),
        rtp.picture(&[THIRD]),
        rtp.picture(&[SECOND]),
    ];
    assert_stream_plays(H264, stream(&packets.concat()), "a picture in one unit").await;
    let mut rtp = Rtp::new(96);
    rtp.stamp += 9000;
    let packets = [
        rtp.fragments(&whole[4..], 7),
        rtp.picture(&[SECOND]),
        rtp.picture(&[THIRD]),
        rtp.picture(&[SECOND]),
    ];
    assert_stream_plays(
        H264,
        stream(&packets.concat()),
        "a picture in fragments of one unit",
    )
    .await;
}

#[tokio::test]
async fn duplicate_and_swapped_packets_lose_no_picture() {
    let mut rtp = Rtp::new(96);
    let mut packets = rtp.picture(&[SPS, PPS]);
    packets.extend(rtp.fragments(KEY, 3));
    packets.extend(rtp.picture(&[SECOND]));
    packets.extend(rtp.picture(&[THIRD]));
    let double: Vec<_> = packets
        .iter()
        .flat_map(|one| [one.clone(), one.clone()])
        .collect();
    assert_stream_plays(H264, stream(&double), "duplicates").await;
    for distance in 1..4 {
        let mut swapped = packets.clone();
        for at in (1..packets.len() - distance).step_by(distance + 1) {
            swapped.swap(at, at + distance);
        }
        assert_stream_plays(H264, stream(&swapped), &format!("swapped by {distance}")).await;
    }
    let mut still = packets.clone();
    for packet in &mut still {
        packet[2..4].copy_from_slice(&[0, 9]);
    }
    // Numbers that stand still are noticed after a while.
    let many: Vec<_> = (0..80).flat_map(|_| still.clone()).collect();
    let camera = Script::new()
        .describe(H264)
        .play()
        .send(stream(&many))
        .start();
    assert_eq!(play(&camera, 3).await.unwrap().len(), 3);
}

#[tokio::test]
async fn another_payload_type_than_announced_is_accepted_after_a_while() {
    let mut rtp = Rtp::new(97);
    let packets: Vec<_> = (0..12).flat_map(|_| rtp.h264()).collect();
    let camera = Script::new()
        .describe(H264)
        .play()
        .packets(0, &packets)
        .start();
    assert_eq!(play(&camera, 3).await.unwrap().len(), 3);
}

#[tokio::test]
async fn loss_costs_one_picture() {
    let mut rtp = Rtp::new(96);
    let mut packets = rtp.picture(&[SPS, PPS]);
    packets.extend(rtp.fragments(KEY, 3));
    let lost = rtp.fragments(SECOND, 2);
    packets.extend([lost[0].clone(), lost[2].clone()]);
    packets.extend(rtp.picture(&[SECOND]));
    packets.extend(rtp.picture(&[THIRD]));
    assert_stream_plays(H264, stream(&packets), "a lost fragment").await;
}

#[tokio::test]
async fn packets_around_the_response_to_play_are_accepted() {
    let packets = Rtp::new(96).h264();
    let early = interleaved(0, &Rtp::new(96).packet(false, SECOND));
    let script = Script::new()
        .describe(H264)
        .answer(
            "SETUP",
            "RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\nSession: 7\r\n\
             Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n\r\n",
        )
        .expect("PLAY")
        .send(early)
        .reply("RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\nRTP-Info: url=x;seq=1004;rtptime=999999\r\n\r\n")
        .packets(0, &packets);
    assert_plays(script, "RTP-Info ahead of the first packet").await;
}

#[tokio::test]
async fn sizes_that_change_and_several_parameter_sets_are_passed_on() {
    let other: Vec<u8> = [0x68, 0x4A, 0x83].into();
    let mut rtp = Rtp::new(96);
    let packets = rtp.picture(&[SPS, PPS, &other, KEY]);
    let camera = Script::new().describe(H264).play().packets(0, &packets);
    let camera = camera.packets(0, &rtp.picture(&[SECOND])).start();
    let played = play(&camera, 1).await.unwrap();
    assert_eq!(played[0], annexb(&[SPS, PPS, &other, KEY]));
}

#[tokio::test]
async fn h265_and_jpeg_play() {
    let sdp = H264.replace("H264", "H265");
    let mut rtp = Rtp::new(96);
    let mut packets = rtp.h265();
    packets.extend(rtp.picture(&H265[4..]));
    let camera = Script::new()
        .describe(&sdp)
        .play()
        .packets(0, &packets)
        .start();
    let played = play(&camera, 2).await.unwrap();
    assert_eq!(played, [annexb(&H265[..4]), annexb(&H265[4..])]);

    let mut rtp = Rtp::new(26);
    let packets = rtp.picture(&[JPEG]);
    let script = Script::new().describe("m=video 0 RTP/AVP 26\r\n").play();
    let played = play(&script.packets(0, &packets).start(), 1).await.unwrap();
    assert_eq!(ocelli_media::jpeg::size(&played[0]), Some((320, 240)));
}

#[tokio::test]
async fn a_sender_that_changes_with_every_picture_is_accepted() {
    let mut rtp = Rtp::new(96);
    let mut packets = rtp.h264();
    for _ in 0..6 {
        rtp.sender += 1;
        rtp.sequence = rtp.sequence.wrapping_add(5000);
        rtp.stamp = rtp.stamp.wrapping_add(12_345_678);
        packets.extend(rtp.h264());
    }
    let script = Script::new().describe(H264).play().packets(0, &packets);
    let played = play(&script.start(), 15).await.unwrap();
    let key = annexb(&[SPS, PPS, KEY]);
    assert_eq!(played.iter().filter(|picture| **picture == key).count(), 5);
}

#[tokio::test]
async fn the_size_of_large_jpegs_comes_from_the_session_description() {
    for (line, width, height, expected) in [
        ("a=x-dimensions:2592,1944\r\n", 0, 243, Some((2592, 1944))),
        ("a=framesize:26 2592-2048\r\n", 0, 0, Some((2592, 2048))),
        ("a=x-dimensions:2592,1944\r\n", 40, 30, Some((320, 240))),
        ("", 0, 243, None),
    ] {
        let mut payload = JPEG.to_vec();
        (payload[6], payload[7]) = (width, height);
        let packets = Rtp::new(26).picture(&[&payload]);
        let sdp = format!("m=video 0 RTP/AVP 26\r\n{line}");
        let camera = Script::new()
            .describe(&sdp)
            .play()
            .packets(0, &packets)
            .start();
        let played = play(&camera, 1).await;
        match expected {
            Some(size) => {
                let picture = &played.unwrap()[0];
                assert_eq!(ocelli_media::jpeg::size(picture), Some(size), "{line}");
            }
            None => {
                let reason = played.unwrap_err();
                assert!(
                    reason.contains("wider or higher than 2040 pixels"),
                    "{reason}"
                );
            }
        }
    }
}
