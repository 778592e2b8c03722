use super::super::rtp::FOREIGN_PACKETS;
use super::*;

fn unpacker(encoding: &str) -> Unpacker {
    let track = Track {
        media: "video".into(),
        encoding: encoding.into(),
        payload_type: 96,
        clock_rate: 90_000,
        channels: None,
        parameters: None,
        dimensions: None,
        control: None,
    };
    Unpacker::new(&track).expect("made").expect("a codec")
}

fn packet(sequence: u16, stamp: u32, mark: bool, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, 96 | u8::from(mark) << 7];
    packet.extend(sequence.to_be_bytes());
    packet.extend(stamp.to_be_bytes());
    packet.extend([0, 0, 0, 7]);
    packet.extend(payload);
    packet
}

fn slice(sequence: u16) -> Vec<u8> {
    packet(sequence, u32::from(sequence) * 3000, true, &SLICE)
}

fn pictures(unpacker: &mut Unpacker, packets: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut pictures = Vec::new();
    for packet in packets {
        unpacker.push(packet).expect("video");
        while let Some(picture) = unpacker.pull().expect("video") {
            pictures.push(picture.unit.buffer.payload().to_vec());
        }
    }
    pictures
}

const SLICE: [u8; 3] = [0x41, 0x9A, 7];
const PICTURE: [u8; 7] = [0, 0, 0, 1, 0x41, 0x9A, 7];

#[test]
fn common_packet_faults_lose_no_picture() {
    let mut unpacker = unpacker("h264");
    let coded = [&[0, 0, 0, 1][..], &SLICE].concat();
    let mut foreign = slice(900);
    foreign[11] = 9;
    let mut other = slice(3);
    other[1] = 0x80 | 50;
    let mut padded = slice(6);
    padded[0] |= 0x20;
    let packets = [
        slice(1),
        slice(1),
        packet(2, 6000, true, &[]),
        vec![0x80],
        vec![0; 40],
        other,
        foreign,
        packet(3, 9000, true, &coded),
        slice(2),
        packet(4, 12_000, true, &[0x5C, 0x81, 0x9A]),
        packet(5, 12_000, true, &[0x5C, 0x41, 7]),
        padded,
        slice(40_000),
        slice(40_001),
    ];
    let all = pictures(&mut unpacker, &packets);
    assert_eq!(all, vec![PICTURE.to_vec(); 6]);
    assert_eq!(unpacker.lost(), 0);
}

#[test]
fn swapped_packets_lose_no_picture() {
    let mut unpacker = unpacker("h264");
    let packets = [slice(1), slice(3), slice(2), slice(5), slice(4), slice(6)];
    assert_eq!(pictures(&mut unpacker, &packets).len(), 6);
    assert_eq!((unpacker.lost(), unpacker.due()), (0, None));
}

#[test]
fn another_sender_or_payload_type_is_accepted_after_some_packets() {
    for changed in [1, 11] {
        let mut unpacker = unpacker("h264");
        let packets: Vec<_> = (0..FOREIGN_PACKETS as u16 + 5)
            .map(|at| {
                let mut packet = slice(at);
                packet[changed] += u8::from(at > 0);
                packet
            })
            .collect();
        assert_eq!(pictures(&mut unpacker, &packets).len(), 5, "byte {changed}");
    }
}

#[test]
fn in_a_connection_the_sender_may_change_with_every_picture() {
    let mut unpacker = unpacker("h264");
    unpacker.note_connection();
    let packets: Vec<_> = (0..20u16)
        .map(|at| {
            let mut packet = slice(at.wrapping_mul(5000));
            packet[11] = at as u8;
            packet
        })
        .collect();
    assert_eq!(
        pictures(&mut unpacker, &packets).len(),
        packets.len() - MAX_STRANGERS
    );
    assert_eq!(unpacker.lost(), 0);
}

#[test]
fn timestamps_are_extended_across_wraparounds() {
    let mut unpacker = unpacker("h264");
    assert_eq!(unpacker.extend(u32::MAX - 10), i64::from(u32::MAX) - 10);
    assert_eq!(unpacker.extend(20), i64::from(u32::MAX) + 21);
    assert_eq!(unpacker.extend(u32::MAX), i64::from(u32::MAX));
}

#[test]
fn headers_are_parsed() {
    let header = |first: u8, rest: &[u8]| {
        let packet = [&[first, 0xE0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3][..], rest].concat();
        Rtp::parse(&packet).map(|rtp| (rtp.mark, rtp.payload_type, rtp.payload.to_vec()))
    };
    assert_eq!(header(0x80, &[9]), Ok((true, 96, vec![9])));
    assert_eq!(header(0x81, &[1, 2, 3, 4, 9]), Ok((true, 96, vec![9])));
    let extended = [0xBE, 0xDE, 0, 1, 1, 2, 3, 4, 9];
    assert_eq!(header(0x90, &extended), Ok((true, 96, vec![9])));
    assert_eq!(header(0xA0, &[9, 0, 0, 3]), Ok((true, 96, vec![9])));
    assert_eq!(header(0xA0, &[9, 200]), Ok((true, 96, vec![9, 200])));
    for (first, rest) in [(0x81, &[1][..]), (0x90, &[0; 3]), (0x90, &[0, 0, 0, 1, 9])] {
        assert_eq!(header(first, rest), Err("too short"));
    }
    assert!(header(0x40, &[]).is_err());
}

#[test]
fn a_stream_of_invalid_packets_is_given_up() {
    let mut unpacker = unpacker("h264");
    let fault = (0..=u16::MAX).find_map(|at| unpacker.push(&packet(at, 0, true, &[0xFF])).err());
    let Some(SessionError::Unusable(reason)) = fault else {
        panic!("{fault:?}");
    };
    assert!(reason.contains("undefined type"), "{reason}");
}
