//! The declaration that pictures are not reordered, as ffmpeg reads it.

use super::support::{checksums, ffmpeg};
use ocelli_core::Codec;
use ocelli_media::{annexb, parameter_set};
use std::io::Write;
use std::process::{Command, Stdio};

/// Encodes twelve pictures and returns the H.264 stream.
fn encoded(arguments: &str) -> Vec<u8> {
    let line = format!(
        "-f lavfi -i testsrc2=size=320x180:rate=20 -t 0.6 -c:v libx264 -preset veryfast \
         -threads 1 {arguments} -f h264 pipe:1"
    );
    ffmpeg(&line, &[])
}

/// A field of a parameter set: position in bits, name, value.
type Field = (usize, String, String);

/// Returns the fields of the first sequence parameter set, as ffmpeg reads them.
fn fields(stream: &[u8]) -> Vec<Field> {
    let line = "-nostdin -loglevel trace -f h264 -i pipe:0 -c copy -bsf:v trace_headers -f null -";
    let mut child = Command::new("ffmpeg")
        .args(line.split(' '))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let output = std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(stream));
        child.wait_with_output().unwrap()
    });
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let mut lines = text.lines().filter_map(|line| line.split_once("] "));
    lines
        .find(|(_, text)| *text == "Sequence Parameter Set")
        .unwrap();
    let lines = lines.take_while(|(_, text)| *text != "Picture Parameter Set");
    let fields = lines.map(|(_, text)| {
        let (name, value) = text.split_once(" = ").unwrap();
        let mut words = name.split_whitespace();
        let position = words.next().unwrap().parse().unwrap();
        (position, words.next().unwrap().to_owned(), value.to_owned())
    });
    fields.collect()
}

fn field<'a>(fields: &'a [Field], name: &str) -> &'a Field {
    let mut found = fields.iter().filter(|(_, found, _)| found == name);
    found.next().unwrap_or_else(|| panic!("no {name}"))
}

fn number(fields: &[Field], name: &str) -> u32 {
    field(fields, name).2.parse().unwrap()
}

fn sequence(stream: &[u8]) -> &[u8] {
    let mut sets = annexb::sequence_parameter_sets(Codec::H264, stream);
    sets.next().unwrap()
}

/// Returns the stream with this sequence parameter set in place of its own.
fn replaced(stream: &[u8], set: &[u8]) -> Vec<u8> {
    let own = sequence(stream);
    let mut windows = stream.windows(own.len());
    let at = windows.position(|bytes| bytes == own).unwrap();
    [&stream[..at], set, &stream[at + own.len()..]].concat()
}

/// Returns the stream with other bits in its sequence parameter set from the field `from` up to
/// the field `to`, or up to the end.
fn changed(stream: &[u8], from: &str, bits: &str, to: Option<&str>) -> Vec<u8> {
    let fields = fields(stream);
    let mut plain: Vec<u8> = Vec::new();
    for &byte in sequence(stream) {
        if byte != 3 || !plain.ends_with(&[0, 0]) {
            plain.push(byte);
        }
    }
    let all: String = plain.iter().map(|byte| format!("{byte:08b}")).collect();
    let end = field(&fields, "rbsp_stop_one_bit").0;
    let to = to.map_or(end, |to| field(&fields, to).0);
    let mut set = format!("{}{bits}{}1", &all[..field(&fields, from).0], &all[to..end]);
    set.push_str(&"0".repeat(set.len().next_multiple_of(8) - set.len()));
    let mut unit: Vec<u8> = Vec::new();
    let mut zeros = 0;
    for at in (0..set.len()).step_by(8) {
        let byte = u8::from_str_radix(&set[at..at + 8], 2).unwrap();
        if zeros == 2 && byte <= 3 {
            unit.push(3);
            zeros = 0;
        }
        unit.push(byte);
        zeros = if byte == 0 { zeros + 1 } else { 0 };
    }
    replaced(stream, &unit)
}

/// Returns the stream without the restrictions, which x264 always writes.
fn without_restrictions(stream: &[u8]) -> Vec<u8> {
    changed(stream, "bitstream_restriction_flag", "0", None)
}

/// Asserts that the declaration is added, changes no pixel and no other field.
fn assert_declared(stream: &[u8], what: &str) {
    let set = parameter_set::without_reordering(Codec::H264, sequence(stream));
    let set = set.unwrap_or_else(|| panic!("{what}: no declaration"));
    assert!(set.len() <= sequence(stream).len() + 8, "{what}");
    let again = parameter_set::without_reordering(Codec::H264, &set);
    assert_eq!(again, None, "{what}: it is declared once");
    let declared = replaced(stream, &set);
    let pictures = checksums("h264", stream);
    assert_eq!(pictures.len(), 12, "{what}");
    assert_eq!(checksums("h264", &declared), pictures, "{what}");
    let (before, after) = (fields(stream), fields(&declared));
    assert_eq!(number(&after, "max_num_reorder_frames"), 0, "{what}");
    let references = number(&after, "max_num_ref_frames");
    let buffered = number(&after, "max_dec_frame_buffering");
    assert!(buffered >= references.max(1), "{what}: {buffered}");
    let may_change = [
        "vui_parameters_present_flag",
        "bitstream_restriction_flag",
        "max_num_reorder_frames",
    ];
    for (_, name, value) in &before {
        if !may_change.contains(&name.as_str()) && !name.starts_with("rbsp_") {
            assert_eq!(&field(&after, name).2, value, "{what}: {name}");
        }
    }
}

fn assert_unchanged(stream: &[u8], what: &str) {
    let set = parameter_set::without_reordering(Codec::H264, sequence(stream));
    assert_eq!(set, None, "{what}");
}

#[test]
fn streams_without_reordering_say_so_and_decode_to_the_same_pixels() {
    for (what, arguments) in [
        ("baseline", "-pix_fmt yuv420p -profile:v baseline"),
        ("main", "-pix_fmt yuv420p -profile:v main -bf 0"),
        ("high", "-pix_fmt yuv420p -profile:v high -bf 0"),
        ("4:4:4", "-pix_fmt yuv444p -bf 0"),
        ("ten bits", "-pix_fmt yuv420p10le -bf 0"),
        (
            "two reference decoders",
            "-pix_fmt yuv420p -bf 0 -b:v 500k -maxrate 500k -bufsize 500k -nal-hrd vbr",
        ),
    ] {
        let stream = encoded(arguments);
        assert_unchanged(&stream, what);
        assert_declared(&without_restrictions(&stream), what);
        let bare = changed(&stream, "vui_parameters_present_flag", "0", None);
        if !arguments.contains("hrd") {
            assert_declared(&bare, what);
        }
        // It says that two pictures may be reordered.
        let reordered = "max_num_reorder_frames";
        let other = changed(&stream, reordered, "011", Some("max_dec_frame_buffering"));
        assert_declared(&other, what);
    }
}

#[test]
fn the_other_information_is_kept_bit_by_bit() {
    let filter = "h264_metadata=sample_aspect_ratio=17/11:overscan_appropriate_flag=1:\
                  video_format=5:video_full_range_flag=1:colour_primaries=1:\
                  transfer_characteristics=13:matrix_coefficients=6:chroma_sample_loc_type=2:\
                  tick_rate=50000/1001";
    let stream = encoded("-pix_fmt yuv420p -bf 0");
    let line = format!("-f h264 -i pipe:0 -c copy -bsf:v {filter} -f h264 pipe:1");
    let stream = without_restrictions(&ffmpeg(&line, &stream));
    assert_eq!(number(&fields(&stream), "sar_width"), 17);
    assert_declared(&stream, "all information");
}

#[test]
fn a_stream_that_may_be_reordered_stays_as_it_is() {
    for arguments in [
        "-pix_fmt yuv420p -profile:v main -bf 2",
        "-pix_fmt yuv420p -profile:v high -bf 3 -x264-params b-pyramid=normal",
        "-pix_fmt yuv420p10le -bf 1",
    ] {
        let stream = encoded(arguments);
        assert_unchanged(&stream, arguments);
        assert_unchanged(&without_restrictions(&stream), arguments);
    }
}

#[test]
fn the_profile_tells_where_there_are_no_b_slices() {
    let stream = without_restrictions(&encoded("-pix_fmt yuv420p -bf 2"));
    let set = sequence(&stream);
    for (profile, constraints, is_declared) in [
        (100, 0, false),
        (100, 0x04, true),
        (100, 0x08, false),
        (100, 0x10, true),
        (110, 0x04, false),
        (110, 0x10, true),
        (122, 0x10, true),
        (244, 0x10, true),
    ] {
        let mut set = set.to_vec();
        (set[1], set[2]) = (profile, constraints);
        let declared = parameter_set::without_reordering(Codec::H264, &set);
        assert_eq!(declared.is_some(), is_declared, "{profile} {constraints}");
    }
    let stream = without_restrictions(&encoded("-pix_fmt yuv420p -profile:v main -bf 2"));
    let set = sequence(&stream);
    for (profile, constraints, is_declared) in [
        (66, 0, true),
        (66, 0x40, true),
        (77, 0, false),
        (77, 0x40, false),
        (77, 0x80, true),
        (77, 0x04, true),
        (77, 0x10, false),
        (88, 0, false),
    ] {
        let mut set = set.to_vec();
        (set[1], set[2]) = (profile, constraints);
        let declared = parameter_set::without_reordering(Codec::H264, &set);
        assert_eq!(declared.is_some(), is_declared, "{profile} {constraints}");
    }
}

#[test]
fn damaged_parameter_sets_cause_no_panic_and_keep_their_size() {
    let stream = without_restrictions(&encoded("-pix_fmt yuv420p -bf 0"));
    let set = sequence(&stream);
    for at in 1..set.len() {
        let mut pieces = vec![set[..at].to_vec()];
        for value in [0, 1, 3, 0x42, 0x7F, 0x80, 0xFF, set[at] ^ 0x10, set[at] ^ 1] {
            let mut bad = set.to_vec();
            bad[at] = value;
            pieces.push(bad);
        }
        for bad in pieces {
            let Some(declared) = parameter_set::without_reordering(Codec::H264, &bad) else {
                continue;
            };
            let size = |set: &[u8]| parameter_set::size(Codec::H264, set);
            assert_eq!(size(&declared), size(&bad), "{bad:02x?}");
            let again = parameter_set::without_reordering(Codec::H264, &declared);
            assert_eq!(again, None, "{bad:02x?}");
        }
    }
}
