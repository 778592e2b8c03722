use super::*;

fn all(sets: &ParameterSets) -> Vec<&[u8]> {
    sets.sets.iter().map(|set| &set.bytes[..]).collect()
}

#[test]
fn unusual_announcements_are_parsed() {
    let sps = "Z0LAHtkDxWhAAAADAEAAAAwDxYuS";
    for parameters in [
        format!("packetization-mode=1;sprop-parameter-sets={sps},aMuMsg=="),
        format!(" sprop-parameter-sets = \"{sps}, aMuMsg\" ;x"),
        format!("sprop-parameter-sets=!!,{sps},aMuMsg==,"),
        // With a start code before and after the sets, and both in one text.
        "sprop-parameter-sets=AAAAAWdCwB7ZA8VoQAAAAwBAAAAMA8WLkgAAAAFoy4yyAAAAAQ==".into(),
    ] {
        let sets = ParameterSets::announced(Codec::H264, Some(&parameters));
        assert!(sets.is_complete(), "{parameters}: {sets:?}");
        assert_eq!(sets.sets.len(), 2, "{parameters}");
        assert!(sets.size().is_some(), "{parameters}");
    }
    let none = ParameterSets::announced(Codec::H264, Some("sprop-parameter-sets=,;=;"));
    assert!(!none.is_complete() && none.sets.is_empty());
}

#[test]
fn sets_are_replaced_by_kind_and_number() {
    let mut sets = ParameterSets::announced(Codec::H264, None);
    let unit = |bytes: &[u8]| [&START_CODE[..], bytes].concat();
    let first = [unit(&[0x68, 0x80, 1]), unit(&[0x68, 0x40, 2])].concat();
    assert!(!sets.take(&first).0.is_complete(Codec::H264));
    assert_eq!(all(&sets).len(), 2);
    sets.take(&unit(&[0x68, 0x80, 3]));
    assert_eq!(all(&sets), [[0x68, 0x80, 3], [0x68, 0x40, 2]]);
    // The stored sets stay within their limit.
    for at in 0..64 {
        let mut large = unit(&[0x68, at, 0x80]);
        large.resize(4 << 10, 1);
        sets.take(&large);
    }
    assert!(all(&sets).iter().map(|set| set.len()).sum::<usize>() <= MAX_BYTES);
}

#[test]
fn small_numbers_are_parsed() {
    for (bits, expected) in [(0x80, 0), (0x40, 1), (0x60, 2), (0x20, 3), (0x38, 6)] {
        assert_eq!(number(&[bits]), Some(expected));
    }
    assert_eq!(number(&[]), None);
    assert_eq!(number(&[0, 0, 1]), None);
}

/// An H.264 parameter set of the baseline profile for 320 × 240 pixels, without further
/// information, and the same one as it is published.
const SPS: &[u8] = &[0x67, 0x42, 0xC0, 0x0D, 0xDA, 0x05, 0x07, 0xC4];
const PUBLISHED: &[u8] = &[
    0x67, 0x42, 0xC0, 0x0D, 0xDA, 0x05, 0x07, 0xC8, 0x07, 0x84, 0x02, 0x15,
];
const PPS: &[u8] = &[0x68, 0xCE, 0x3C, 0x80];
const DELIMITER: &[u8] = &[9, 0xF0];
const SEI: &[u8] = &[6, 5, 1, 1, 0x80];
const KEY: &[u8] = &[0x65, 0x88, 0x84];
const SLICE: &[u8] = &[0x41, 0x9A, 1];

fn access_unit(units: &[&[u8]]) -> Vec<u8> {
    let coded = units.iter().map(|unit| [&START_CODE[..], unit].concat());
    coded.collect::<Vec<_>>().concat()
}

fn complete(sets: &mut ParameterSets, units: &[&[u8]]) -> (Vec<u8>, bool) {
    let unit = sets.complete(&access_unit(units));
    (unit.buffer.payload().to_vec(), unit.is_new_stream)
}

#[test]
fn each_key_frame_has_all_sets_in_front_and_the_same_declaration() {
    let mut sets = ParameterSets::new(Codec::H264);
    let unit = sets.complete(&access_unit(&[DELIMITER, SEI, SPS, PPS, KEY, KEY]));
    let expected = access_unit(&[DELIMITER, PUBLISHED, PPS, SEI, KEY, KEY]);
    assert_eq!(unit.buffer.payload(), expected);
    assert!(unit.key && unit.has_sets && !unit.is_new_stream);
    assert_eq!(unit.codec_string.as_deref(), Some("avc1.42c00d"));
    assert_eq!(sets.size(), Some((320, 240)));
    let (bytes, is_new) = complete(&mut sets, &[SLICE]);
    assert_eq!((bytes, is_new), (access_unit(&[SLICE]), false));
    // Repeated in front of other pictures.
    let (bytes, is_new) = complete(&mut sets, &[SPS, SEI, SLICE]);
    let expected = access_unit(&[PUBLISHED, SEI, SLICE]);
    assert_eq!((bytes, is_new), (expected, false));
    let (bytes, is_new) = complete(&mut sets, &[KEY]);
    assert_eq!(
        (bytes, is_new),
        (access_unit(&[PUBLISHED, PPS, KEY]), false)
    );
    let (bytes, _) = complete(&mut sets, &[PPS, KEY]);
    assert_eq!(bytes, access_unit(&[PUBLISHED, PPS, KEY]));
}

#[test]
fn other_parameter_sets_begin_another_stream() {
    let larger: &[u8] = &[0x67, 0x42, 0xC0, 0x0D, 0xDA, 0x0A, 0x0F, 0xC4];
    let other_pps: &[u8] = &[0x68, 0xCE, 0x38, 0x80];
    let mut sets = ParameterSets::new(Codec::H264);
    assert!(!complete(&mut sets, &[SPS, PPS, KEY]).1);
    assert!(complete(&mut sets, &[larger, PPS, KEY]).1);
    assert!(!complete(&mut sets, &[larger, PPS, KEY]).1);
    // Pictures that are not key frames depend on one that was not sent.
    assert!(complete(&mut sets, &[SPS, SLICE]).1);
    assert!(complete(&mut sets, &[KEY]).1);
    // A picture parameter set may change between any two pictures.
    assert!(!complete(&mut sets, &[other_pps, SLICE]).1);
    let (bytes, is_new) = complete(&mut sets, &[KEY]);
    assert_eq!(
        (bytes, is_new),
        (access_unit(&[PUBLISHED, other_pps, KEY]), true)
    );
    // What a complete key frame does not have belongs to an earlier stream.
    let second_pps: &[u8] = &[0x68, 0x5E, 0x38, 0x80];
    complete(&mut sets, &[second_pps, SLICE]);
    assert_eq!(all(&sets).len(), 3);
    let (bytes, _) = complete(&mut sets, &[SPS, PPS, KEY]);
    assert_eq!(bytes, access_unit(&[PUBLISHED, PPS, KEY]));
}
