//! Tests of the JPEG parser.

use super::format::HUFFMAN_TABLES;
use super::tables::TableSet;
use super::*;
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

mod splitter;

/// Encodes noise, so that the scan contains every kind of byte.
fn encoded(width: u16, height: u16, change: impl FnOnce(&mut Encoder<&mut Vec<u8>>)) -> Vec<u8> {
    let mut numbers = Numbers(0x9E37_79B9_7F4A_7C15);
    let len = usize::from(width) * usize::from(height) * 3;
    let pixels: Vec<u8> = (0..len).map(|_| numbers.below(256) as u8).collect();
    let mut jpeg = Vec::new();
    let mut encoder = Encoder::new(&mut jpeg, 80);
    encoder.set_sampling_factor(SamplingFactor::F_2_2);
    change(&mut encoder);
    encoder
        .encode(&pixels, width, height, ColorType::Rgb)
        .expect("encoded");
    jpeg
}

fn encode(width: u16, height: u16) -> Vec<u8> {
    encoded(width, height, |_| {})
}

/// Pseudorandom numbers with a fixed seed.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

fn segment(marker: u8, content: &[u8]) -> Vec<u8> {
    let len = (content.len() as u16 + 2).to_be_bytes();
    [&[0xFF, marker][..], &len, content].concat()
}

/// Inserts bytes after the start marker.
fn with_segment(jpeg: &[u8], segment: &[u8]) -> Vec<u8> {
    [&jpeg[..2], segment, &jpeg[2..]].concat()
}

/// Returns the segments in front of the first scan, with their markers, and the rest.
fn segments(jpeg: &[u8]) -> (Vec<(u8, &[u8])>, &[u8]) {
    let (mut found, mut at) = (Vec::new(), 2);
    while jpeg[at + 1] != SOS {
        let len = usize::from(u16::from_be_bytes([jpeg[at + 2], jpeg[at + 3]]));
        found.push((jpeg[at + 1], &jpeg[at + 4..at + 2 + len]));
        at += 2 + len;
    }
    (found, &jpeg[at..])
}

/// Removes the Huffman tables with these classes and identifiers.
fn without_tables(jpeg: &[u8], removed: impl Fn(u8) -> bool) -> Vec<u8> {
    let (segments, rest) = segments(jpeg);
    let mut bare = vec![0xFF, SOI];
    for (marker, content) in segments {
        if marker != HUFFMAN_TABLES || !removed(content[0]) {
            bare.extend(segment(marker, content));
        }
    }
    [&bare, rest].concat()
}

/// Returns the Huffman tables, in the order of their classes and identifiers.
fn tables(jpeg: &[u8]) -> Vec<Vec<u8>> {
    let mut tables = Vec::new();
    for (marker, mut content) in segments(jpeg).0 {
        while marker == HUFFMAN_TABLES && !content.is_empty() {
            let values: usize = content[1..17].iter().copied().map(usize::from).sum();
            let (table, rest) = content.split_at(17 + values);
            tables.push(table.to_vec());
            content = rest;
        }
    }
    tables.sort();
    tables
}

/// Returns the payload of the picture in a message.
fn shown(message: &[u8]) -> Result<Vec<u8>, Flaw> {
    let payload = |picture: Picture| picture.buffer.payload().to_vec();
    let copied = picture(message).map(payload);
    let moved = picture_in(FrameBuffer::copy_from(message)).map(payload);
    assert_eq!(copied, moved, "both ways in give the same picture");
    copied
}

/// Returns the pictures in a stream. Asserts that they do not depend on how it is split.
fn split(stream: &[u8]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for cut in [stream.len().max(1), 1, 2, 3, 7, 100, 5000] {
        let mut splitter = Splitter::default();
        let mut found = Vec::new();
        for mut piece in stream.chunks(cut) {
            while let Some(picture) = splitter.next_picture(&mut piece) {
                found.push(picture.buffer.payload().to_vec());
            }
        }
        all.push(found);
    }
    let differ = all.windows(2).find(|two| two[0] != two[1]);
    assert!(
        differ.is_none(),
        "the pictures depend on how the stream is split"
    );
    all.swap_remove(0)
}

#[test]
fn the_size_is_read_from_the_header() {
    let mut jpeg = encode(48, 20);
    assert_eq!(size(&jpeg), Some((48, 20)));
    jpeg.extend(b"trailing bytes");
    assert_eq!(size(&jpeg), Some((48, 20)));
    assert_eq!(picture(&jpeg).expect("whole").size, Some((48, 20)));
    for bad in [
        &b""[..],
        b"\xff\xd8",
        b"\xff\xd8\xff",
        b"GIF89a",
        b"\xff\xd8\xff\xd9",
    ] {
        assert_eq!(size(bad), None, "{bad:?}");
    }
}

#[test]
fn a_picture_that_needs_nothing_is_unchanged() {
    let mut every = vec![
        encode(16, 16),
        encoded(64, 48, |encoder| encoder.set_progressive(true)),
        encoded(64, 48, |encoder| encoder.set_restart_interval(2)),
        encoded(64, 48, |encoder| encoder.set_optimized_huffman_tables(true)),
    ];
    let plain = &every[0];
    let (head, end) = plain.split_at(plain.len() - 2);
    let filled = [head, b"\xff\xff\xff\xd9"].concat();
    let commented = [head, &segment(0xFE, b"\xff\xd9 after the scan"), end].concat();
    let junk = with_segment(plain, &[&segment(0xE0, b"x"), &b"junk"[..]].concat());
    every.extend([filled, commented, junk]);
    for jpeg in &every {
        assert_eq!(shown(jpeg).as_ref(), Ok(jpeg));
        assert_eq!(split(jpeg), [jpeg.as_slice()]);
    }
}

#[test]
fn a_picture_without_its_end_is_not_whole() {
    let thumbnail = segment(0xE1, &[&b"Exif\0\0"[..], &encode(8, 8), &[0; 20]].concat());
    for jpeg in [
        encode(48, 20),
        encoded(48, 20, |encoder| encoder.set_progressive(true)),
        with_segment(&encode(48, 20), &thumbnail),
    ] {
        for len in 0..jpeg.len() {
            let flaw = shown(&jpeg[..len]).expect_err("cut off");
            let expected = if len < 3 { Flaw::NotJpeg } else { Flaw::NoEnd };
            assert_eq!(flaw, expected, "{len} of {}", jpeg.len());
        }
    }
}

#[test]
fn headers_without_a_scan_are_not_a_picture() {
    let jpeg = encode(48, 20);
    let (_, rest) = segments(&jpeg);
    let head = &jpeg[..jpeg.len() - rest.len()];
    let scan_header = &rest[..2 + usize::from(rest[3])];
    for bad in [
        [head, b"\xff\xd9"].concat(),
        [head, scan_header, b"\xff\xd9\r"].concat(),
        [&b"\xff\xd8"[..], rest].concat(),
        b"\xff\xd8\xff\xd9".to_vec(),
        b"\xff\xd8\xff\xff\xff\xd9".to_vec(),
    ] {
        assert_eq!(shown(&bad), Err(Flaw::NoScan));
        assert_eq!(split(&[&bad[..], &jpeg].concat()), [jpeg.as_slice()]);
    }
    for bad in [&b""[..], b"GIF89a", &[0; 100], b"\xff\xd8"] {
        assert_eq!(shown(bad), Err(Flaw::NotJpeg));
    }
}

#[test]
fn a_picture_with_an_empty_last_scan_is_not_whole() {
    let jpeg = encode(48, 20);
    let (_, rest) = segments(&jpeg);
    let scan_header = &rest[..2 + usize::from(rest[3])];
    let bad = [&jpeg[..jpeg.len() - 2], scan_header, b"\xff\xd9"].concat();
    assert_eq!(shown(&bad), Err(Flaw::NoEnd));
    assert_eq!(shown(&[&bad[..], b"\r"].concat()), Err(Flaw::NoScan));
    assert_eq!(split(&[&bad[..], &jpeg].concat()), [jpeg]);
}

#[test]
fn padding_is_trimmed() {
    let jpeg = encode(48, 20);
    for padding in [
        &[0; 1000][..],
        &[0xFF; 1000],
        b"\r\n",
        b"\xff\xd9",
        b"\xff\xd8",
        b"\xff\xd8\xff\xe0\0\x10JFIF",
        &jpeg[..jpeg.len() - 10],
        &jpeg[100..],
    ] {
        let padded = [&jpeg, padding].concat();
        assert_eq!(shown(&padded).as_ref(), Ok(&jpeg), "{padding:?}");
    }
    let mut numbers = Numbers(7);
    let noise: Vec<u8> = (0..100_000).map(|_| numbers.below(256) as u8).collect();
    assert_eq!(shown(&[&jpeg[..], &noise].concat()), Ok(jpeg));
}

#[test]
fn the_last_of_several_pictures_counts() {
    let (old, new) = (encode(48, 20), encode(16, 24));
    assert_eq!(shown(&[&old[..], &new].concat()).as_ref(), Ok(&new));
    assert_eq!(
        shown(&[&old[..], &[0; 9], &new].concat()).as_ref(),
        Ok(&new)
    );
    let cut = &old[..old.len() - 3];
    assert_eq!(shown(&[cut, &new].concat()).as_ref(), Ok(&new));
    assert_eq!(shown(&[&new[..], cut].concat()).as_ref(), Ok(&new));
}

#[test]
fn the_search_in_a_message_ends_after_many_incomplete_pictures() {
    let jpeg = encode(16, 16);
    let cut = &jpeg[..jpeg.len() - 3];
    for (count, expected) in [
        (MAX_FLAWS - 1, Ok(jpeg.clone())),
        (MAX_FLAWS, Err(Flaw::NoEnd)),
    ] {
        let message = [&cut.repeat(count as usize), &jpeg[..]].concat();
        assert_eq!(shown(&message), expected, "{count}");
    }
}

#[test]
fn a_damaged_scan_does_not_hide_the_end() {
    let jpeg = encode(48, 20);
    // Markers that can't follow a scan. As segments, they would reach beyond the end.
    for marker in [0x01, 0x45, 0xBF, 0xC0, 0xC2, 0xC8, 0xD3, 0xF0, 0xFD] {
        let mut damaged = jpeg.clone();
        let at = damaged.len() - 12;
        damaged[at..at + 4].copy_from_slice(&[0xFF, marker, 1, 0]);
        assert_eq!(shown(&damaged).as_ref(), Ok(&damaged), "{marker:x}");
        assert_eq!(split(&damaged), [damaged.as_slice()], "{marker:x}");
    }
}

#[test]
fn a_start_marker_begins_a_picture_only_in_front_of_another_marker() {
    let jpeg = encode(48, 20);
    for cut in [2, 25, jpeg.len() - 20] {
        let damaged = [&jpeg[..cut], b"\xff\xd8\0", &jpeg[2..]].concat();
        let found = split(&[&damaged[..], &jpeg].concat());
        assert_eq!(found.last(), Some(&jpeg), "{cut}");
        for picture in found {
            assert_eq!(shown(&picture), Ok(picture), "{cut}");
        }
    }
}

#[test]
fn attachments_of_a_picture_are_left_out() {
    let photo = with_segment(&encode(48, 20), &segment(0xE2, b"MPF\0II*\0"));
    let gain_map = encode(16, 8);
    let file = [&photo[..], &gain_map, &gain_map].concat();
    assert_eq!(shown(&file).as_ref(), Ok(&photo));
    assert_eq!(
        split(&[&file[..], &file].concat()),
        [photo.clone(), photo.clone()]
    );
    let stream = [&photo[..], b"\r\n", &gain_map].concat();
    assert_eq!(split(&stream), [photo, gain_map]);
}

#[test]
fn missing_huffman_tables_are_added_once() {
    for (jpeg, chroma) in [
        (encode(48, 20), true),
        (
            encoded(48, 20, |encoder| encoder.set_restart_interval(1)),
            true,
        ),
    ] {
        let is_ac_chroma: fn(u8) -> bool = |table| table == 0x11;
        let is_dc: fn(u8) -> bool = |table| table < 0x10;
        for removed in [|_| true, is_ac_chroma, is_dc] {
            let bare = without_tables(&jpeg, removed);
            assert!(bare.len() < jpeg.len());
            let complete = shown(&bare).expect("whole");
            assert_eq!(tables(&complete), tables(&jpeg));
            assert_eq!(tables(&complete).len(), if chroma { 4 } else { 2 });
            assert_eq!(segments(&complete).1, segments(&jpeg).1);
            assert_eq!(shown(&complete).as_ref(), Ok(&complete), "only once");
            let padded = [&[0; 5], &bare[..], &[0; 5]].concat();
            assert_eq!(shown(&padded).as_ref(), Ok(&complete));
            assert_eq!(
                split(&[&bare[..], &jpeg].concat()),
                [complete, jpeg.clone()]
            );
        }
    }
}

#[test]
fn a_segment_that_ends_in_a_start_marker_is_cut_off_whether_tables_follow_or_not() {
    let complete = encode(48, 20);
    for jpeg in [without_tables(&complete, |_| true), complete] {
        let (segments, scan) = segments(&jpeg);
        let mut damaged = vec![0xFF, SOI];
        let quantization = [&[0; 63][..], &[0xFF, SOI]].concat();
        let all = segments.into_iter();
        for (marker, content) in all.chain([(0xDB, &quantization[..])]) {
            damaged.extend(segment(marker, content));
        }
        assert_eq!(shown(&[&damaged, scan].concat()), Err(Flaw::NoScan));
    }
}

#[test]
fn only_the_tables_that_a_picture_uses_are_added() {
    let mut grey = Vec::new();
    Encoder::new(&mut grey, 80)
        .encode(&[7; 64], 8, 8, ColorType::Luma)
        .expect("encoded");
    let bare = without_tables(&grey, |_| true);
    let classes: Vec<_> = tables(&shown(&bare).expect("whole"))
        .iter()
        .map(|table| table[0])
        .collect();
    assert_eq!(classes, [0x00, 0x10]);
}

#[test]
fn tables_are_not_added_to_other_kinds_of_jpeg() {
    let progressive = encoded(48, 20, |encoder| encoder.set_progressive(true));
    let bare = without_tables(&progressive, |_| true);
    assert_eq!(shown(&bare).as_ref(), Ok(&bare));
    // Arithmetic coding has no Huffman tables, and the standard ones are for 8 bits.
    for (at, byte) in [(1, 0xC9), (4, 12)] {
        let mut other = without_tables(&encode(48, 20), |_| true);
        let header = other.windows(2).position(|two| two == [0xFF, 0xC0]);
        other[header.expect("a header") + at] = byte;
        assert_eq!(shown(&other).as_ref(), Ok(&other));
    }
}

#[test]
fn the_standard_tables_are_those_of_the_encoder() {
    let mut standard = FrameBuffer::with_capacity(0);
    standard.extend_from_slice(&[0xFF, SOI]);
    let all = tables::with_tables(standard.payload(), &[(2, TableSet::STANDARD)]);
    let jpeg = [all.payload(), &[0xFF, SOS]].concat();
    assert_eq!(tables(&jpeg), tables(&encode(16, 16)));
}

#[test]
fn damaged_pictures_cause_no_panic() {
    let thumbnail = segment(0xE1, &encode(8, 8));
    let jpeg = with_segment(&encode(24, 24), &thumbnail);
    let mut numbers = Numbers(0x9E37_79B9_7F4A_7C15);
    for _ in 0..20_000 {
        let mut bytes = jpeg.clone();
        for _ in 0..numbers.below(8) {
            let at = numbers.below(bytes.len());
            bytes[at] = [0, 1, 0xFF, 0xD8, 0xD9, 0xDA, numbers.below(256) as u8][numbers.below(7)];
        }
        // A segment that is too short for its content.
        if numbers.below(4) == 0 {
            let starts = [0xC0, 0xC4, 0xDA, 0xDB, 0xE1];
            let marker = starts[numbers.below(starts.len())];
            let at = bytes.windows(2).position(|two| two == [0xFF, marker]);
            if let Some(length) = at.and_then(|at| bytes.get_mut(at + 2..at + 4)) {
                length.copy_from_slice(&[0, numbers.below(9) as u8]);
            }
        }
        bytes.truncate(numbers.below(bytes.len() + 1));
        let _ = (size(&bytes), shown(&bytes));
        let mut splitter = Splitter::default();
        for mut piece in bytes.chunks(1 + numbers.below(64)) {
            while let Some(found) = splitter.next_picture(&mut piece) {
                let payload = found.buffer.payload().to_vec();
                assert_eq!(shown(&payload), Ok(payload), "it stays the same");
            }
        }
    }
}
