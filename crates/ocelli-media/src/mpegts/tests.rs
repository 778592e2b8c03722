use super::*;

/// Returns a packet with this number; the adaptation field fills what the payload leaves.
fn packet(number: u16, begins: bool, payload: &[u8]) -> Vec<u8> {
    let [high, low] = number.to_be_bytes();
    let mut packet = vec![SYNC, high | if begins { 0x40 } else { 0 }, low];
    let free = PACKET - 4 - payload.len();
    packet.push(if free == 0 { 0x10 } else { 0x30 });
    if free > 0 {
        packet.push(free as u8 - 1);
        if free > 1 {
            packet.push(0);
            packet.resize(4 + free, 0xFF);
        }
    }
    packet.extend(payload);
    packet
}

/// The tables of a stream with this type.
fn tables(kind: u8) -> Vec<u8> {
    let programs = [0, 0, 0xB0, 13, 0, 1, 0xC1, 0, 0, 0, 1, 0xE1, 0, 1, 2, 3, 4];
    let streams = [
        0, 2, 0xB0, 23, 0, 1, 0xC1, 0, 0, 0xE1, 1, 0xF0, 0, 0x0F, 0xE2, 0, 0xF0, 0, kind, 0xE1, 1,
        0xF0, 0, 1, 2, 3, 4,
    ];
    [packet(0, true, &programs), packet(256, true, &streams)].concat()
}

/// The packets of an access unit with this time.
fn unit(stamp: u64, bytes: &[u8], is_declared: bool) -> Vec<u8> {
    packets(257, stamp, bytes, is_declared)
}

/// The packets of an access unit of the stream with this number.
fn packets(number: u16, stamp: u64, bytes: &[u8], is_declared: bool) -> Vec<u8> {
    let declared = if is_declared {
        bytes.len() as u16 + 8
    } else {
        0
    };
    let [high, low] = declared.to_be_bytes();
    let mut whole = vec![0, 0, 1, 0xE0, high, low, 0x80, 0x80, 5];
    whole.push(0x21 | (stamp >> 29) as u8 & 0x0E);
    whole.extend([(stamp >> 22) as u8, (stamp >> 14) as u8 | 1]);
    whole.extend([(stamp >> 7) as u8, (stamp << 1) as u8 | 1]);
    whole.extend(bytes);
    let parts = whole.chunks(PACKET - 4).enumerate();
    parts
        .flat_map(|(at, part)| packet(number, at == 0, part))
        .collect()
}

fn events(demuxer: &mut Demuxer, pieces: &[&[u8]]) -> Vec<String> {
    let mut events = Vec::new();
    for piece in pieces {
        demuxer.push(piece);
        while let Some(event) = demuxer.next_event() {
            events.push(match event {
                Event::Streams { video, sound } => match sound {
                    None => format!("{video:?}"),
                    Some(sound) => format!("{video:?} {sound:?}"),
                },
                Event::Sound { stamp, bytes } => {
                    format!("sound {stamp:?} {}", String::from_utf8_lossy(bytes))
                }
                Event::Unit { stamp, bytes } => format!("{stamp:?} {}", bytes.len()),
            });
        }
    }
    events
}

#[test]
fn access_units_are_split_with_their_times() {
    let stream = [
        tables(0x24),
        b"noise".to_vec(),
        unit(3600, &[1; 1000], false),
        tables(0x24),
        unit(10_800, &[2; 170], false),
        unit(7200, &[3; 300], true),
        unit(14_400, &[4; 1], false),
    ]
    .concat();
    let expected = [
        "Some(H265) Aac",
        "Some(3600) 1000",
        "Some(10800) 170",
        "Some(7200) 300",
    ];
    for step in [1, 100, 188, stream.len()] {
        let pieces: Vec<_> = stream.chunks(step).collect();
        // The last one has no visible end.
        assert_eq!(
            events(&mut Demuxer::new(false), &pieces),
            expected,
            "{step}"
        );
        let padded = events(&mut Demuxer::new(true), &pieces);
        assert_eq!(padded[..4], expected);
        assert_eq!(padded[4..], ["Some(14400) 1"]);
    }
}

#[test]
fn a_unit_that_fills_its_packets_ends_with_the_next() {
    let full = 2 * (PACKET - 4) - 14;
    let mut demuxer = Demuxer::new(true);
    let first = [tables(0x1B), unit(0, &vec![1; full], false)].concat();
    assert_eq!(events(&mut demuxer, &[&first]), ["Some(H264) Aac"]);
    let second = unit(1, &[2; 5], false);
    let both = [format!("Some(0) {full}"), "Some(1) 5".to_owned()];
    assert_eq!(events(&mut demuxer, &[&second]), both);
    // With its length it ends at once.
    let third = unit(2, &vec![3; full], true);
    let third = events(&mut demuxer, &[&third]);
    assert_eq!(third, [format!("Some(2) {full}")]);
}

#[test]
fn other_codecs_are_announced_and_skipped() {
    let stream = [tables(2), unit(0, &[1; 10], true)].concat();
    assert_eq!(events(&mut Demuxer::new(true), &[&stream]), ["None Aac"]);
}

/// The number of the sound in [`tables`].
const SOUND: u16 = 512;

#[test]
fn sound_is_split_too() {
    let stream = [
        tables(0x1B),
        packets(SOUND, 900, b"early", true),
        packets(257, 1000, &[1; 300], true)[..PACKET].to_vec(),
        packets(SOUND, 1920, b"between the packets of a picture", true),
        packets(257, 1000, &[1; 300], true)[PACKET..].to_vec(),
        packets(SOUND, 3840, b"without a length", false),
        packets(SOUND, 5760, b"last", true),
    ]
    .concat();
    let expected = [
        "Some(H264) Aac",
        "sound Some(900) early",
        "sound Some(1920) between the packets of a picture",
        "Some(1000) 300",
        "sound Some(3840) without a length",
        "sound Some(5760) last",
    ];
    for padding_ends in [false, true] {
        for step in [1, 100, stream.len()] {
            let pieces: Vec<_> = stream.chunks(step).collect();
            let events = events(&mut Demuxer::new(padding_ends), &pieces);
            assert_eq!(events, expected, "{step}");
        }
    }
}

#[test]
fn the_sound_of_a_program_is_found() {
    let opus = |channels: u8| [&[5, 4][..], b"Opus", &[0x7F, 2, 0x80, channels]].concat();
    let table = |list: &[(u8, &[u8])]| {
        let mut section = vec![0xE1, 1, 0xF0, 0];
        for (at, (kind, descriptors)) in list.iter().enumerate() {
            section.extend([*kind, 0xE2, at as u8, 0xF0, descriptors.len() as u8]);
            section.extend_from_slice(descriptors);
        }
        streams(&section).and_then(|(_, sound)| sound)
    };
    let (video, private) = (0x1B, 0x06);
    for (list, expected) in [
        (vec![(video, &[][..])], None),
        (vec![(video, &[]), (0x0F, &[])], Some((513, SoundKind::Aac))),
        (vec![(0x03, &[]), (0x0F, &[])], Some((513, SoundKind::Aac))),
        (
            vec![(0x81, &[]), (0x03, &[])],
            Some((512, SoundKind::Other)),
        ),
        (vec![(private, &opus(1))], Some((512, SoundKind::Opus(1)))),
        (vec![(private, &opus(0))], Some((512, SoundKind::Opus(2)))),
        (vec![(private, &opus(6))], Some((512, SoundKind::Other))),
        (vec![(private, &[])], Some((512, SoundKind::Other))),
        (vec![(private, &[5, 9])], Some((512, SoundKind::Other))),
    ] {
        assert_eq!(table(&list), expected, "{list:x?}");
    }
}

#[test]
fn times_continue_when_they_wrap() {
    let last = (1 << TIME_BITS) - 10;
    let stream = [
        tables(0x1B),
        unit(last, &[1; 9], true),
        unit(20, &[1; 9], true),
    ]
    .concat();
    assert_eq!(
        events(&mut Demuxer::new(true), &[&stream])[1..],
        [format!("Some({last}) 9"), format!("Some({}) 9", last + 30)]
    );
}

#[test]
fn damaged_streams_cause_no_panic_and_use_little_memory() {
    let stream = [
        tables(0x1B),
        unit(9, &[1; 400], false),
        unit(9, &[1; 99], true),
    ]
    .concat();
    for at in 0..stream.len() {
        for value in [0, 1, 0x3F, 0x47, 0x80, 0xFF] {
            let mut bad = stream.clone();
            bad[at] = value;
            let _ = events(&mut Demuxer::new(true), &[&bad, &stream]);
        }
        let _ = events(&mut Demuxer::new(true), &[&stream[at..]]);
    }
    let mut demuxer = Demuxer::new(true);
    let part = packet(257, false, &[7; PACKET - 4]).repeat(1 << 12);
    let _ = events(&mut demuxer, &[&tables(0x1B), &unit(0, &[1; 340], false)]);
    for _ in 0..20 {
        assert!(events(&mut demuxer, &[&part]).is_empty());
        assert!(
            demuxer.pictures.unit.len() + demuxer.bytes.len()
                <= MAX_ACCESS_UNIT + part.len() + PACKET
        );
    }
}
