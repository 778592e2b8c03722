use super::super::sdp::Description;
use super::*;
use ocelli_testkit::rtsp_media::Rtp as Maker;

fn track(lines: &str) -> Track {
    let description = Description::read(format!("v=0\n{lines}\n").as_bytes());
    description.tracks[0].clone()
}

fn aac() -> SoundPackets {
    let lines = "m=audio 0 RTP/AVP 97\na=rtpmap:97 MPEG4-GENERIC/16000/1\na=fmtp:97 streamtype=5;\
         profile-level-id=1;mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3;\
         config=1408;";
    SoundPackets::new(&track(lines)).expect("AAC")
}

/// Returns a payload with these access units, whose headers state `sizes`.
fn payload(sizes: &[usize], data: &[u8]) -> Vec<u8> {
    let mut payload = ((sizes.len() * 16) as u16).to_be_bytes().to_vec();
    for size in sizes {
        payload.extend(((size << 3) as u16).to_be_bytes());
    }
    payload.extend(data);
    payload
}

/// Returns the units: when they begin, whether they follow a loss, and their content.
fn units(packets: &mut SoundPackets, packet: &[u8]) -> Vec<(i64, bool, String)> {
    packets.push(packet);
    let units = std::iter::from_fn(|| packets.pull());
    let text = |unit: Unit| {
        let payload = String::from_utf8(unit.payload).expect("text");
        (unit.elapsed, unit.after_loss, payload)
    };
    units.map(text).collect()
}

fn unit(elapsed: i64, after_loss: bool, payload: &str) -> (i64, bool, String) {
    (elapsed, after_loss, payload.to_owned())
}

#[test]
fn the_formats_of_cameras_are_recognized() {
    let audio = "m=audio 0 RTP/AVP";
    for (lines, expected) in [
        (format!("{audio} 0"), Some(("pcmu", "ulaw", 8000, 1, ""))),
        (format!("{audio} 8"), Some(("pcma", "alaw", 8000, 1, ""))),
        (
            format!("{audio} 8\na=rtpmap:8 PCMA/8000"),
            Some(("pcma", "alaw", 8000, 1, "")),
        ),
        (
            format!("{audio} 97 8\na=rtpmap:97 PCMU/16000/2"),
            Some(("pcmu", "ulaw", 16_000, 2, "")),
        ),
        // The supported one of several.
        (
            format!("{audio} 98 0\na=rtpmap:98 L16/16000"),
            Some(("pcmu", "ulaw", 8000, 1, "")),
        ),
        (
            format!(
                "{audio} 97\na=rtpmap:97 mpeg4-generic/48000/2\na=fmtp:97 mode=AAC-hbr; config=1190"
            ),
            Some(("aac", "mp4a.40.2", 48_000, 2, "1190")),
        ),
        // Without a configuration.
        (
            format!("{audio} 97\na=rtpmap:97 MPEG4-GENERIC/16000"),
            Some(("aac", "mp4a.40.2", 16_000, 1, "1408")),
        ),
        (
            format!("{audio} 97\na=rtpmap:97 MPEG4-GENERIC/16000\na=fmtp:97 mode=AAC-hbr;config="),
            Some(("aac", "mp4a.40.2", 16_000, 1, "1408")),
        ),
        (
            format!(
                "{audio} 97\na=rtpmap:97 MPEG4-GENERIC/16000\na=fmtp:97 mode=AAC-hbr;config=xy"
            ),
            None,
        ),
        (
            format!(
                "{audio} 97\na=rtpmap:97 MPEG4-GENERIC/8000\na=fmtp:97 mode=CELP-cbr;config=1408"
            ),
            None,
        ),
        (
            format!(
                "{audio} 97\na=rtpmap:97 MPEG4-GENERIC/16000\na=fmtp:97 sizelength=99;config=1408"
            ),
            None,
        ),
        (format!("{audio} 97\na=rtpmap:97 L16/16000"), None),
        ("m=video 0 RTP/AVP 0".to_owned(), None),
    ] {
        let packets = SoundPackets::new(&track(&lines));
        let found = packets.as_ref().map(|packets| {
            let format = packets.format();
            let config = format.config.iter().map(|byte| format!("{byte:02x}"));
            let config = config.collect::<String>();
            let name = format.codec.name();
            (
                name,
                format.codec_string.clone(),
                format.rate,
                format.channels,
                config,
            )
        });
        let expected = expected.map(
            |(name, string, rate, channels, config): (_, &str, _, _, &str)| {
                (name, string.to_owned(), rate, channels, config.to_owned())
            },
        );
        assert_eq!(found, expected, "{lines}");
    }
}

#[test]
fn a_packet_holds_one_or_several_access_units() {
    let mut packets = aac();
    let mut rtp = Maker::new(97);
    let packet = rtp.packet(true, &payload(&[3], b"one"));
    assert_eq!(units(&mut packets, &packet), [unit(0, false, "one")]);
    rtp.stamp += 1024;
    let packet = rtp.packet(true, &payload(&[3, 0, 5], b"twothree"));
    assert_eq!(
        units(&mut packets, &packet),
        [unit(1024, false, "two"), unit(1024 + 2048, false, "three")]
    );
}

#[test]
fn a_long_access_unit_is_joined_unless_a_part_is_lost() {
    let mut packets = aac();
    let mut rtp = Maker::new(97);
    let parts = [&b"lo"[..], b"ng", b"!"];
    let mut send = |rtp: &mut Maker, lost: Option<usize>| {
        rtp.stamp += 1024;
        let made = parts.map(|part| rtp.packet(part == b"!", &payload(&[5], part)));
        let all = made.iter().enumerate().filter(|(at, _)| Some(*at) != lost);
        all.flat_map(|(_, packet)| units(&mut packets, packet))
            .collect::<Vec<_>>()
    };
    assert_eq!(send(&mut rtp, None), [unit(0, false, "long!")]);
    assert_eq!(send(&mut rtp, Some(1)), []);
    assert_eq!(send(&mut rtp, None), [unit(2048, true, "long!")]);
}

#[test]
fn invalid_payloads_cost_only_themselves() {
    let mut packets = aac();
    let mut rtp = Maker::new(97);
    for bad in [
        &b""[..],
        b"\0",
        b"\xFF\xFF\0\0",
        b"\0\x20\0\x08",
        b"\0\0abc",
        &payload(&[3, 9], b"onetwo")[..],
        &payload(&[MAX_UNIT + 1], b"x"),
        &payload(&[1; 200], &[b'x'; 200]),
    ] {
        packets.push(&rtp.packet(true, bad));
        while packets.pull().is_some() {}
    }
    packets.push(b"no RTP");
    let packet = rtp.packet(true, &payload(&[3], b"one"));
    assert_eq!(units(&mut packets, &packet), [unit(0, true, "one")]);
}

#[test]
fn g711_is_passed_on_packet_by_packet_in_order() {
    let mut packets = SoundPackets::new(&track("m=audio 0 RTP/AVP 8")).expect("G.711");
    let mut rtp = Maker::new(8);
    let mut next = |text: &str| {
        let packet = rtp.packet(false, text.as_bytes());
        rtp.stamp += 2;
        packet
    };
    let all = ["aa", "bb", "cc", "dd", "ee"].map(&mut next);
    let mut sent = |at: usize| units(&mut packets, &all[at]);
    assert_eq!(sent(0), [unit(0, false, "aa")]);
    assert_eq!(sent(2), [unit(4, true, "cc")], "one is missing");
    assert_eq!(sent(1), [], "it is late");
    assert_eq!(sent(2), [], "a duplicate");
    assert_eq!(sent(3), [unit(6, false, "dd")]);
    // Another payload type, like comfort noise.
    let mut noise = Maker::new(13);
    noise.sequence = 1004;
    assert_eq!(units(&mut packets, &noise.packet(false, b"xx")), []);
    packets.push(&all[4]);
    assert_eq!(packets.pull().map(|unit| unit.duration), Some(2));
    assert_eq!(packets.elapsed_at(90_000 + 8000), Some(8000));
}

#[test]
fn a_camera_that_restarts_its_numbering_is_heard_again() {
    let mut packets = SoundPackets::new(&track("m=audio 0 RTP/AVP 8")).expect("G.711");
    let mut rtp = Maker::new(8);
    for _ in 0..40 {
        assert_eq!(units(&mut packets, &rtp.packet(false, b"a")).len(), 1);
    }
    rtp.sequence -= 40;
    let heard: usize = (0..100)
        .map(|_| units(&mut packets, &rtp.packet(false, b"a")).len())
        .sum();
    assert!(heard >= 50, "{heard}");
}
