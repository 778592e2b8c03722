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
