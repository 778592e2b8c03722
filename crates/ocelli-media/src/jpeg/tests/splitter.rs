//! Pictures in a stream of other bytes.

use super::*;

#[test]
fn pictures_are_found_between_other_bytes() {
    let pictures = [
        encode(16, 16),
        encoded(64, 8, |encoder| encoder.set_progressive(true)),
        encode(8, 40),
        encode(200, 200),
    ];
    let mut stream = b"--frame\r\n\r\n".to_vec();
    for jpeg in &pictures {
        stream.extend(jpeg);
        stream.extend(b"\r\n--frame\xff\r\n\xff\xd8\r\n");
    }
    assert_eq!(split(&stream), pictures);
    assert_eq!(split(&pictures.concat()), pictures);
}

#[test]
fn a_picture_that_was_cut_off_costs_no_other() {
    let (one, two) = (encode(140, 100), encode(100, 140));
    let headers = one.len() - segments(&one).1.len() + 20;
    let lens = (0..headers).chain((headers..one.len()).step_by(97));
    for len in lens {
        for between in [
            "",
            "\r\n",
            "\r\n--frame\r\nContent-Type: image/jpeg\r\n\r\n",
        ] {
            let between = between.as_bytes();
            let stream = [&one[..len], between, &two, between, &one, between].concat();
            let mut splitter = Splitter::default();
            let mut rest = &stream[..];
            for expected in [&two, &one] {
                let found = splitter.next_picture(&mut rest);
                let found = found.unwrap_or_else(|| panic!("{len} of {}, {between:?}", one.len()));
                assert!(
                    found.buffer.payload() == &expected[..],
                    "{len}, {between:?}"
                );
            }
        }
    }
}

#[test]
fn a_thumbnail_never_replaces_a_picture_that_was_cut_off() {
    let thumbnail = encode(8, 8);
    let metadata = segment(0xE1, &[&b"Exif\0\0"[..], &thumbnail, &[0; 9000]].concat());
    let (one, two) = (with_segment(&encode(40, 16), &metadata), encode(64, 64));
    assert!(two.len() < metadata.len());
    for len in 0..one.len() {
        let stream = [
            &one[..len],
            b"\r\n",
            &two,
            b"\r\n",
            &two,
            b"\r\n",
            &two,
            b"\r\n",
            &two,
        ];
        let stream = stream.concat();
        let mut splitter = Splitter::default();
        let mut rest = &stream[..];
        let mut count = 0;
        while let Some(found) = splitter.next_picture(&mut rest) {
            let payload = found.buffer.payload();
            // By chance, the metadata may end exactly between two segments.
            assert!(
                payload == &two[..] || payload.starts_with(&one[..30]),
                "{len}"
            );
            count += 1;
        }
        assert!(count >= 1, "{len}: {count}");
        if len < 4 || len > 2 + metadata.len() {
            assert_eq!(count, 4, "{len}");
        }
    }
}

#[test]
fn a_picture_of_any_length_up_to_the_limit_is_found() {
    let jpeg = encode(16, 16);
    let (head, end) = jpeg.split_at(jpeg.len() - 2);
    for (len, is_found) in [(MAX_BYTES, true), (MAX_BYTES + 1, false)] {
        let long = [head, &vec![0x55; len - jpeg.len()], end].concat();
        let mut splitter = Splitter::default();
        let found = splitter.next_picture(&mut &long[..]);
        assert_eq!(
            found.map(|found| found.buffer.len() == len),
            is_found.then_some(true)
        );
        assert_eq!(splitter.flaws().1.is_some(), !is_found);
        assert!(splitter.next_picture(&mut &jpeg[..]).is_some());
    }
}

#[test]
fn an_endless_picture_is_dropped() {
    let mut splitter = Splitter::default();
    let mut begun = &encode(16, 16)[..700];
    assert!(splitter.next_picture(&mut begun).is_none());
    for _ in 0..40 {
        assert!(
            splitter
                .next_picture(&mut &vec![0x55; 1 << 20][..])
                .is_none()
        );
    }
    assert_eq!(splitter.flaws(), (1, Some(Flaw::TooLong)));
}
