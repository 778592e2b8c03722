use super::*;

/// Feeds packets of (timestamp, marker, payload), and returns the pictures as the second byte
/// of each of their units, which tests use as its name.
fn pictures(codec: Codec, packets: &[(i64, bool, &[u8])]) -> Vec<Vec<u8>> {
    let packets: Vec<_> = packets.iter().map(|&(s, m, p)| (s, m, false, p)).collect();
    with_loss(&mut Assembler::new(codec, None), &packets)
}

fn with_loss(assembler: &mut Assembler, packets: &[(i64, bool, bool, &[u8])]) -> Vec<Vec<u8>> {
    let mut pictures = Vec::new();
    for &(stamp, mark, after_loss, payload) in packets {
        let packet = Packet {
            stamp,
            mark,
            after_loss,
            payload,
        };
        let _ = assembler.push(packet);
        while let Some(unit) = assembler.take() {
            let bytes = unit.unit.buffer.payload().to_vec();
            let mut names = Vec::new();
            for at in 0..bytes.len() {
                if bytes[at..].starts_with(&START_CODE) {
                    names.push(bytes[at + 5]);
                }
            }
            pictures.push(names);
        }
    }
    pictures
}

const H264: Codec = Codec::H264;
const SPS: &[u8] = &[0x67, 1, 0, 1, 0x80];
const PPS: &[u8] = &[0x68, 0x82];
const SEI: &[u8] = &[6, 3, 1];
const KEY: &[u8] = &[0x65, 0x84];
const SLICE: &[u8] = &[0x41, 0x85];
const LATER: &[u8] = &[0x41, 0x46];

#[test]
fn the_marker_ends_a_picture_at_once() {
    let packets = [
        (0, false, SPS),
        (0, false, PPS),
        (0, false, SEI),
        (0, false, KEY),
        (0, true, LATER),
        (9, true, SLICE),
    ];
    let all = pictures(H264, &packets);
    assert_eq!(all, [vec![1, 0x82, 3, 0x84, 0x46], vec![0x85]]);
}

#[test]
fn the_timestamp_ends_a_picture_without_a_marker_or_with_meaningless_ones() {
    for mark in [false, true] {
        let packets = [
            (0, mark, SPS),
            (0, mark, PPS),
            (0, mark, KEY),
            (0, mark, LATER),
            (9, mark, SLICE),
            (9, mark, LATER),
            (18, mark, SLICE),
        ];
        let expected = [vec![1, 0x82, 0x84, 0x46], vec![0x85, 0x46]];
        assert_eq!(pictures(H264, &packets), expected, "{mark}");
    }
    // A marker that is trusted at first.
    let packets = [
        (0, false, KEY),
        (0, true, LATER),
        (9, true, SLICE),
        (9, true, LATER),
        (18, true, SLICE),
        (18, true, LATER),
        (27, true, SLICE),
    ];
    let expected = [vec![0x84, 0x46], vec![0x85], vec![0x85, 0x46]];
    assert_eq!(pictures(H264, &packets), expected);
}

#[test]
fn the_first_slice_ends_a_picture_if_timestamps_stand_still() {
    let packets = [
        (0, false, SPS),
        (0, false, KEY),
        (0, false, SLICE),
        (0, false, SLICE),
        (0, false, LATER),
        (0, false, SEI),
        (0, false, SLICE),
        (0, false, SLICE),
    ];
    let all = pictures(H264, &packets);
    let expected = [vec![1, 0x84, 0x85], vec![0x85, 0x46], vec![3, 0x85]];
    assert_eq!(all, expected);
    // With a marker each picture ends at once, from the third on.
    let packets = [
        (0, true, KEY),
        (0, true, SLICE),
        (0, true, SLICE),
        (0, true, SLICE),
    ];
    assert_eq!(pictures(H264, &packets).len(), 3);
}

#[test]
fn both_fields_of_a_frame_stay_together() {
    let packets = [
        (0, false, KEY),
        (0, false, SEI),
        (0, true, SLICE),
        (9, true, SLICE),
    ];
    assert_eq!(pictures(H264, &packets), [vec![0x84, 3, 0x85], vec![0x85]]);
}

#[test]
fn parameter_sets_with_another_timestamp_or_a_marker_belong_to_the_next_picture() {
    let packets = [
        (0, true, SPS),
        (1, true, PPS),
        (2, false, KEY),
        (2, true, LATER),
        (2, true, SPS),
        (3, true, PPS),
        (4, true, KEY),
        // Behind a picture without a marker.
        (5, false, SLICE),
        (5, false, SPS),
        (6, true, KEY),
    ];
    let key = vec![1, 0x82, 0x84];
    let first = vec![1, 0x82, 0x84, 0x46];
    assert_eq!(
        pictures(H264, &packets),
        [first, key.clone(), vec![0x85], key]
    );
}

#[test]
fn payloads_with_start_codes_and_odd_fragments_are_assembled() {
    let code = |units: &[&[u8]]| {
        let coded = units.iter().map(|unit| [&START_CODE[..], unit].concat());
        coded.collect::<Vec<_>>().concat()
    };
    let whole = code(&[SPS, PPS, KEY]);
    let aggregate = [&[0x78, 0, 5], SPS, &[0, 2], PPS, &[0, 2], KEY, &[0, 0]].concat();
    // A whole picture in fragments of one unit: its first unit is a parameter set.
    let inside = &whole[5..];
    for payloads in [
        vec![whole.clone()],
        vec![whole[4..].to_vec()],
        vec![aggregate.clone()],
        vec![
            [&[0x7C, 0x87], &inside[..4]].concat(),
            [&[0x7C, 0x47], &inside[4..]].concat(),
        ],
        // Without a last fragment, and with a bad one behind the picture.
        vec![
            [&[0x7C, 0x87], &inside[..4]].concat(),
            [&[0x7C, 0x07], &inside[4..]].concat(),
        ],
        vec![whole.clone(), vec![0x7C], vec![0x1E, 1]],
    ] {
        let mut packets: Vec<_> = payloads.iter().map(|one| (0, false, &one[..])).collect();
        packets.push((9, true, SLICE));
        let all = pictures(H264, &packets);
        // A bad packet costs its picture.
        let expected = match payloads.len() {
            3 => vec![0x85],
            _ => vec![1, 0x82, 0x84],
        };
        assert_eq!(all.first(), Some(&expected), "{payloads:x?}");
    }
}

#[test]
fn loss_costs_one_picture() {
    let mut assembler = Assembler::new(H264, None);
    let packets: [(i64, bool, bool, &[u8]); 12] = [
        (0, false, false, &[0x7C, 0x85, 0x84]),
        (0, true, false, &[0x7C, 0x45, 7]),
        // In the middle.
        (1, false, false, SLICE),
        (1, false, true, LATER),
        (1, true, false, LATER),
        // The end of one picture and the beginning of the next.
        (2, false, false, SLICE),
        (3, true, true, LATER),
        (4, true, false, SLICE),
        // Between two pictures.
        (5, true, true, SLICE),
        // The beginning of a fragmented unit.
        (6, false, true, &[0x7C, 5, 7]),
        (6, true, false, &[0x7C, 0x45, 7]),
        (7, true, false, SLICE),
    ];
    let all = with_loss(&mut assembler, &packets);
    assert_eq!(all, [vec![0x84], vec![0x85], vec![0x85], vec![0x85]]);
}

#[test]
fn key_frames_get_missing_parameter_sets() {
    let parameters = "sprop-parameter-sets=ZwEAAYA=,aII=";
    let mut assembler = Assembler::new(H264, Some(parameters));
    let packets = [(0, false, false, KEY), (0, true, false, LATER)];
    let all = with_loss(&mut assembler, &packets);
    assert_eq!(all, [vec![1, 0x82, 0x84, 0x46]]);
}

#[test]
fn h265_is_assembled() {
    let unit = |kind: u8, name: u8, rest: &[u8]| [&[kind << 1, name], rest].concat();
    let (vps, sps, pps) = (unit(32, 1, &[9]), unit(33, 2, &[9]), unit(34, 3, &[0x80]));
    let key = unit(19, 4, &[0x80, 9]);
    let aggregate = [
        unit(48, 0, &[0, 3]),
        vps,
        vec![0, 3],
        sps,
        vec![0, 3],
        pps,
        vec![0, 4],
        key,
    ];
    let aggregate = aggregate.concat();
    let packets: [(i64, bool, &[u8]); 6] = [
        (0, false, &aggregate),
        (0, false, &unit(49, 5, &[0x80 | 1, 0, 7])),
        (0, true, &unit(49, 5, &[0x40 | 1, 7])),
        (1, true, &unit(1, 6, &[0x80])),
        (2, true, &unit(50, 6, &[0x80])),
        (3, true, &[2]),
    ];
    let all = pictures(Codec::H265, &packets);
    assert_eq!(all, [vec![1, 2, 3, 4, 5], vec![6]]);
    let mut numbered = Assembler::new(Codec::H265, Some("sprop-max-don-diff=2"));
    let packets: [(i64, bool, bool, &[u8]); 3] = [
        (0, false, false, &unit(19, 4, &[0, 1, 0x80])),
        (
            0,
            false,
            false,
            &unit(48, 0, &[0, 2, 0, 3, 2, 5, 0, 1, 0, 3, 2, 6, 0]),
        ),
        (0, true, false, &unit(49, 7, &[0x80 | 0x40 | 1, 0, 3, 0])),
    ];
    assert_eq!(with_loss(&mut numbered, &packets), [vec![4, 5, 6, 7]]);
}
