use super::Muxer;
use crate::annexb::START_CODE;
use bytes::Bytes;
use ocelli_core::{
    Clock, Codec, Follower, Frame, FrameBuffer, Picture, Slot, SoundCodec, SoundFormat, Timestamp,
};
use shiguredo_mp4::boxes::{MoofBox, MoovBox, SampleEntry};
use shiguredo_mp4::{BoxHeader, Decode};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

/// Written by x264: 640 × 480 without reordering, and 1920 × 1080 with two reordered pictures.
const PLAIN: &str = "6742c016d900a03db0110000030001000003000a0f162e48";
const REORDERED: &str = "67640028acd940780227e5c044000003000400000300283c60c658";
/// Written by x265, 640 × 480, with two reordered pictures; the other parameter sets are made up.
const FIVE: &str =
    "42010101600000030090000003000003005aa0050201e16595952930bc05a020000003002000000300a1";

fn unhex(hex: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex");
    (0..hex.len()).step_by(2).map(digit).collect()
}

fn unit(units: &[&[u8]]) -> Vec<u8> {
    let units = units.iter();
    units
        .flat_map(|unit| [&START_CODE, *unit].concat())
        .collect()
}

fn h264_key(sequence: &str, slice: u8) -> Vec<u8> {
    unit(&[&unhex(sequence), &[0x68, 0xCE, 1], &[slice, 0x88, 1]])
}

fn h264(content: u8) -> Vec<u8> {
    unit(&[&[0x41, 0x9A, content]])
}

#[derive(Default)]
struct TestClock(AtomicU64);

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(SeqCst))
    }
}

/// A slot that makes frames of pictures.
struct Camera {
    slot: Arc<Slot>,
    follower: Follower,
    codec: Codec,
}

impl Camera {
    fn new(codec: Codec) -> Self {
        let slot = Arc::new(Slot::new("cam", Arc::<TestClock>::default()));
        let follower = Follower::new(slot.clone(), None);
        Self {
            slot,
            follower,
            codec,
        }
    }

    /// A frame taken at this time in ms.
    fn frame(&mut self, key: bool, taken: u64, content: &[u8]) -> Frame {
        self.slot.publish(Picture {
            codec: self.codec,
            key,
            captured: Timestamp(1_700_000_000_000_000 + taken * 1000),
            size: None,
            codec_string: None,
            buffer: FrameBuffer::copy_from(content),
        });
        self.follower.try_next().expect("a frame")
    }
}

/// The boxes at the top of these bytes.
fn boxes(mut bytes: &[u8]) -> Vec<(String, &[u8])> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let (header, payload) = BoxHeader::decode_header_and_payload(bytes).expect("a box");
        let len = header.external_size() + payload.len();
        let kind = String::from_utf8_lossy(header.box_type.as_bytes()).into_owned();
        found.push((kind, &bytes[..len]));
        bytes = &bytes[len..];
    }
    found
}

/// A fragment, read back.
#[derive(Debug, PartialEq, Eq)]
struct Read {
    number: u32,
    decode: u64,
    offset: i32,
    duration: u32,
    key: bool,
    data: Vec<u8>,
}

fn read(fragment: &Bytes) -> Read {
    let boxes = boxes(fragment);
    let kinds: Vec<_> = boxes.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(kinds, ["moof", "mdat"]);
    let (moof, _) = MoofBox::decode(boxes[0].1).expect("a fragment");
    let [traf] = &moof.traf_boxes[..] else {
        panic!("one track");
    };
    assert!(traf.tfhd_box.default_base_is_moof && traf.tfhd_box.track_id == 1);
    let [trun] = &traf.trun_boxes[..] else {
        panic!("one run");
    };
    let [sample] = &trun.samples[..] else {
        panic!("one sample");
    };
    let start = trun.data_offset.expect("an offset") as usize;
    let end = start + sample.size.expect("a size") as usize;
    assert_eq!(end, fragment.len());
    let flags = sample.flags.expect("flags");
    Read {
        number: moof.mfhd_box.sequence_number,
        decode: traf
            .tfdt_box
            .as_ref()
            .expect("a time")
            .base_media_decode_time,
        offset: sample.composition_time_offset.expect("an offset"),
        duration: sample.duration.expect("a duration"),
        key: !flags.sample_is_non_sync_sample() && flags.sample_depends_on() == 2,
        data: fragment[start..end].to_vec(),
    }
}

/// The decode time and the time of presentation in ms, rounded.
fn times(read: &Read) -> (u64, u64) {
    let millis = |micros: u64| (micros + 500) / 1000;
    (
        millis(read.decode),
        millis(read.decode.saturating_add_signed(read.offset.into())),
    )
}

fn start(key: &Frame) -> (Muxer, Bytes) {
    Muxer::start(key, None).expect("a beginning")
}

#[test]
fn the_beginning_describes_the_stream_without_samples() {
    let key = Camera::new(Codec::H264).frame(true, 0, &h264_key(PLAIN, 0x65));
    let (_, header) = start(&key);
    let boxes = boxes(&header);
    assert_eq!((boxes[0].0.as_str(), boxes[1].0.as_str()), ("ftyp", "moov"));
    let (moov, _) = MoovBox::decode(boxes[1].1).expect("a movie");
    let [track] = &moov.trak_boxes[..] else {
        panic!("one track");
    };
    assert_eq!(moov.mvex_box.expect("fragments").trex_boxes[0].track_id, 1);
    assert_eq!(track.tkhd_box.width.integer, 640);
    let table = &track.mdia_box.minf_box.stbl_box;
    let [SampleEntry::Unknown(entry)] = &table.stsd_box.entries[..] else {
        panic!("one entry that the crate does not have");
    };
    assert_eq!(entry.box_type.as_bytes(), b"avc3");
    // The entry has 78 bytes of its own before the configuration.
    let configuration = &entry.payload[78 + 4..];
    let sets = unhex(PLAIN);
    let expected = [
        &b"avcC\x01\x42\xC0\x16\xFF\xE1\x00"[..],
        &[sets.len() as u8],
        &sets,
        &[1, 0, 3, 0x68, 0xCE, 1],
    ];
    assert_eq!(configuration, expected.concat());
}

fn aac() -> SoundFormat {
    SoundFormat {
        codec: SoundCodec::Aac,
        codec_string: "mp4a.40.2".to_owned(),
        rate: 48_000,
        channels: 2,
        config: vec![0x11, 0x90],
    }
}

/// The decode times in samples of the units that were recorded at these times in ms.
fn placed(muxer: &mut Muxer, times: &[u64]) -> Vec<Option<u64>> {
    let place = |&taken: &u64| {
        let captured = Timestamp(1_700_000_000_000_000 + taken * 1000);
        let fragment = muxer.sound_fragment(captured, b"unit", &aac())?;
        let (moof, _) = MoofBox::decode(boxes(&fragment)[0].1).expect("a fragment");
        let track = &moof.traf_boxes[0];
        assert_eq!(track.tfhd_box.track_id, 2);
        assert_eq!(track.trun_boxes[0].samples[0].duration, Some(1024));
        assert!(fragment.ends_with(b"unit"));
        Some(track.tfdt_box.as_ref()?.base_media_decode_time)
    };
    times.iter().map(place).collect()
}

#[test]
fn aac_is_a_second_track() {
    let key = Camera::new(Codec::H264).frame(true, 0, &h264_key(PLAIN, 0x65));
    let (_, header) = Muxer::start(&key, Some(&aac())).expect("a beginning");
    let (moov, _) = MoovBox::decode(boxes(&header)[1].1).expect("a movie");
    let [_, track] = &moov.trak_boxes[..] else {
        panic!("two tracks");
    };
    assert_eq!(moov.mvex_box.expect("fragments").trex_boxes[1].track_id, 2);
    assert_eq!(track.mdia_box.mdhd_box.timescale.get(), 48_000);
    let table = &track.mdia_box.minf_box.stbl_box;
    let [SampleEntry::Mp4a(entry)] = &table.stsd_box.entries[..] else {
        panic!("one entry");
    };
    assert_eq!(
        (entry.audio.channelcount, entry.audio.samplerate.integer),
        (2, 48_000)
    );
    let decoder = &entry.esds_box.es.dec_config_descr;
    let config = decoder.dec_specific_info.as_ref().expect("a configuration");
    assert_eq!(config.payload, [0x11, 0x90]);
    // G.711 has no place in MP4.
    let alaw = SoundFormat {
        codec: SoundCodec::PcmA,
        ..aac()
    };
    for format in [None, Some(&alaw)] {
        let (mut muxer, header) = Muxer::start(&key, format).expect("a beginning");
        let (moov, _) = MoovBox::decode(boxes(&header)[1].1).expect("a movie");
        assert_eq!(moov.trak_boxes.len(), 1);
        assert_eq!(placed(&mut muxer, &[0]), [None]);
    }
}

#[test]
fn sound_is_on_the_timeline_of_the_pictures() {
    let mut camera = Camera::new(Codec::H264);
    let key = camera.frame(true, 5000, &h264_key(PLAIN, 0x65));
    let (mut muxer, _) = Muxer::start(&key, Some(&aac())).expect("a beginning");
    assert_eq!(
        placed(&mut muxer, &[5000]),
        [None],
        "no picture is placed yet"
    );
    assert_eq!(read(&muxer.fragment(&key).expect("a fragment")).decode, 0);
    // What was recorded before the first picture is left out. The others follow each other
    // without a gap, whatever the jitter of their times.
    assert_eq!(
        placed(&mut muxer, &[4990, 5010, 5035, 5050, 5080]),
        [None, Some(480), Some(1504), Some(2528), Some(3552)]
    );
    // A gap stays a gap, and what is too late is left out.
    assert_eq!(
        placed(&mut muxer, &[5500, 5300, 5521]),
        [Some(24_000), None, Some(25_024)]
    );
    // After a jump of the pictures, sound is left out until they have followed it.
    assert_eq!(placed(&mut muxer, &[65_000]), [None]);
    camera.slot.interrupt();
    let next = camera.frame(true, 65_000, &h264_key(PLAIN, 0x65));
    let at = read(&muxer.fragment(&next).expect("a fragment")).decode;
    assert_eq!(at, 40_000);
    let expected = at * 48 / 1000 + 48 * 600;
    assert_eq!(
        placed(&mut muxer, &[65_000, 65_600]),
        [None, Some(expected)]
    );
}

#[test]
fn h265_is_described_with_all_its_parameter_sets() {
    let sets = [vec![0x40, 1, 5], unhex(FIVE), vec![0x44, 1, 6]];
    let key = unit(&[&sets[0], &sets[1], &sets[2], &[0x26, 1, 0x80]]);
    let key = Camera::new(Codec::H265).frame(true, 0, &key);
    let (_, header) = start(&key);
    let (moov, _) = MoovBox::decode(boxes(&header)[1].1).expect("a movie");
    let table = &moov.trak_boxes[0].mdia_box.minf_box.stbl_box;
    let [SampleEntry::Hev1(entry)] = &table.stsd_box.entries[..] else {
        panic!("one entry");
    };
    let hvcc = &entry.hvcc_box;
    assert_eq!((entry.visual.width, entry.visual.height), (640, 480));
    assert_eq!(hvcc.general_profile_idc.get(), 1);
    assert_eq!(hvcc.general_profile_compatibility_flags, 0x6000_0000);
    assert_eq!(hvcc.general_level_idc, 90);
    assert_eq!(hvcc.chroma_format_idc.get(), 1);
    let found = hvcc.nalu_arrays.iter().flat_map(|array| &array.nalus);
    assert!(found.eq(&sets));
}

#[test]
fn no_stream_starts_without_parameter_sets_or_in_another_codec() {
    let mut camera = Camera::new(Codec::H264);
    for content in [
        unit(&[&[0x65, 0x88, 1]]),
        unit(&[&unhex(PLAIN), &[0x65, 0x88, 1]]),
        unit(&[&[0x68, 0xCE, 1], &[0x65, 0x88, 1]]),
    ] {
        assert!(Muxer::start(&camera.frame(true, 0, &content), None).is_none());
    }
    let whole = h264_key(PLAIN, 0x65);
    assert!(
        Muxer::start(&camera.frame(false, 0, &whole), None).is_none(),
        "no key frame"
    );
    for codec in [Codec::Jpeg, Codec::Yuv420p, Codec::Mpeg1, Codec::H265] {
        let frame = Camera::new(codec).frame(true, 0, &whole);
        assert!(Muxer::start(&frame, None).is_none(), "{codec:?}");
    }
}

#[test]
fn each_frame_becomes_a_fragment_with_lengths_instead_of_start_codes() {
    let mut camera = Camera::new(Codec::H264);
    let key = camera.frame(true, 0, &h264_key(PLAIN, 0x65));
    let (mut muxer, _) = start(&key);
    let first = read(&muxer.fragment(&key).expect("a fragment"));
    let sets = unhex(PLAIN);
    let expected = [
        &[0, 0, 0, sets.len() as u8],
        &sets[..],
        &[0, 0, 0, 3, 0x68, 0xCE, 1, 0, 0, 0, 3, 0x65, 0x88, 1],
    ];
    assert_eq!(first.data, expected.concat());
    assert!(first.key);
    assert_eq!((first.number, first.decode, first.offset), (1, 0, 0));
    let second = camera.frame(false, 100, &h264(7));
    let second = read(&muxer.fragment(&second).expect("a fragment"));
    assert_eq!(second.data, [0, 0, 0, 3, 0x41, 0x9A, 7]);
    assert!(!second.key);
    assert_eq!(
        (second.number, second.decode, second.offset),
        (2, 100_000, 0)
    );
}

/// Sends frames at these times in ms, all of them after one key frame.
fn send(muxer: &mut Muxer, camera: &mut Camera, taken: &[u64]) -> Vec<(u64, u64)> {
    let reads = taken.iter().map(|&taken| {
        let frame = camera.frame(false, taken, &h264(1));
        times(&read(&muxer.fragment(&frame).expect("a fragment")))
    });
    reads.collect()
}

#[test]
fn reordered_pictures_are_decoded_before_they_are_shown() {
    let mut camera = Camera::new(Codec::H264);
    let key = camera.frame(true, 1000, &h264_key(REORDERED, 0x65));
    let (mut muxer, _) = start(&key);
    let first = times(&read(&muxer.fragment(&key).expect("a fragment")));
    assert_eq!(first, (0, 80));
    // A pyramid: the fourth picture after the key frame is decoded first.
    let taken = [160, 80, 40, 120, 320, 240, 200, 280].map(|after| 1000 + after);
    let placed = send(&mut muxer, &mut camera, &taken);
    let shown: Vec<_> = placed.iter().map(|&(_, shown)| shown).collect();
    assert_eq!(shown, taken.map(|taken| taken - 1000 + 80));
    let decoded: Vec<_> = placed.iter().map(|&(decode, _)| decode).collect();
    assert_eq!(decoded, [40, 80, 120, 160, 200, 240, 280, 320]);
}

#[test]
fn reordering_that_was_not_declared_moves_the_timeline_once() {
    // High profile, cut off before the declaration.
    let sequence = "67640016acd940a03db011";
    let mut camera = Camera::new(Codec::H264);
    let key = camera.frame(true, 0, &h264_key(sequence, 0x65));
    let (mut muxer, _) = start(&key);
    muxer.fragment(&key);
    let taken: Vec<u64> = (0..20)
        .flat_map(|p| [120, 40, 80].map(|after| p * 120 + after))
        .collect();
    let placed = send(&mut muxer, &mut camera, &taken);
    for (at, &(decode, shown)) in placed.iter().enumerate() {
        assert!(decode <= shown, "{at}: {placed:?}");
        assert!(at == 0 || decode > placed[at - 1].0, "{at}: {placed:?}");
    }
    let moved = placed[3].1 - taken[3];
    assert!((40..=160).contains(&moved), "{placed:?}");
    for (taken, placed) in taken.iter().zip(&placed).skip(3) {
        assert_eq!(placed.1, taken + moved, "{placed:?}");
    }
}

#[test]
fn the_next_group_of_a_slow_viewer_follows_without_a_gap() {
    let mut camera = Camera::new(Codec::H264);
    let key = camera.frame(true, 0, &h264_key(REORDERED, 0x65));
    let (mut muxer, _) = start(&key);
    muxer.fragment(&key);
    let taken: Vec<u64> = (0..10)
        .flat_map(|p| [120, 40, 80].map(|after| p * 120 + after))
        .collect();
    let last = send(&mut muxer, &mut camera, &taken).pop().expect("a time");
    // These are skipped.
    for skipped in 31..60 {
        camera.frame(false, skipped * 40, &h264(1));
    }
    let next = camera.frame(true, 2400, &h264_key(REORDERED, 0x65));
    let next = times(&read(&muxer.fragment(&next).expect("a fragment")));
    assert_eq!(next.0, last.0 + 40, "{last:?} {next:?}");
    assert_eq!(next.1, 30 * 40 + 80 + 40, "{last:?} {next:?}");
    let more = send(&mut muxer, &mut camera, &[2520, 2440, 2480]);
    assert_eq!(
        more.iter().map(|at| at.0 - next.0).collect::<Vec<_>>(),
        [40, 80, 120]
    );
    assert_eq!(
        more.iter().map(|at| at.1 - next.1).collect::<Vec<_>>(),
        [120, 40, 80]
    );
}

#[test]
fn a_restart_a_pause_and_a_set_clock_leave_no_gap() {
    let mut camera = Camera::new(Codec::H264);
    let key = camera.frame(true, 0, &h264_key(PLAIN, 0x65));
    let (mut muxer, _) = start(&key);
    muxer.fragment(&key);
    let taken: Vec<u64> = (1..30).map(|frame| frame * 40).collect();
    let mut last = send(&mut muxer, &mut camera, &taken).pop().expect("a time");
    // A restart, a pause, and a clock that is set forward and back.
    for (restart, from) in [
        (true, 20_000),
        (false, 25_000),
        (false, 90_000_000),
        (false, 30_000),
    ] {
        if restart {
            camera.slot.interrupt();
        }
        let key = camera.frame(true, from, &h264_key(PLAIN, 0x65));
        let next = times(&read(&muxer.fragment(&key).expect("a fragment")));
        assert!(
            (39..=41).contains(&(next.0 - last.0)),
            "{from}: {last:?} {next:?}"
        );
        last = send(&mut muxer, &mut camera, &[from + 40, from + 80])
            .pop()
            .expect("a time");
        assert!((119..=121).contains(&(last.1 - next.1 + 40)), "{from}");
    }
}

#[test]
fn a_slow_camera_keeps_its_pace() {
    let mut camera = Camera::new(Codec::H264);
    let key = camera.frame(true, 0, &h264_key(PLAIN, 0x65));
    let (mut muxer, _) = start(&key);
    muxer.fragment(&key);
    let taken: Vec<u64> = (1..8).map(|frame| frame * 10_000).collect();
    let placed = send(&mut muxer, &mut camera, &taken);
    for pair in placed[2..].windows(2) {
        assert_eq!(pair[1].1 - pair[0].1, 10_000, "{placed:?}");
    }
}

#[test]
fn the_estimated_duration_becomes_the_cameras_interval() {
    let mut camera = Camera::new(Codec::H264);
    let key = camera.frame(true, 0, &h264_key(PLAIN, 0x65));
    let (mut muxer, _) = start(&key);
    muxer.fragment(&key);
    let taken: Vec<u64> = (1..40).map(|frame| frame * 100).collect();
    send(&mut muxer, &mut camera, &taken);
    let frame = camera.frame(false, 4000, &h264(1));
    let duration = read(&muxer.fragment(&frame).expect("a fragment")).duration;
    assert!((99_900..=100_000).contains(&duration), "{duration}");
}

#[test]
fn equal_and_slightly_earlier_times_are_moved_by_a_tick() {
    let mut camera = Camera::new(Codec::H264);
    let key = camera.frame(true, 0, &h264_key(PLAIN, 0x65));
    let (mut muxer, _) = start(&key);
    let mut last = read(&muxer.fragment(&key).expect("a fragment"));
    for taken in [40, 40, 35, 80, 80, 79, 120] {
        let frame = camera.frame(false, taken, &h264(1));
        let next = read(&muxer.fragment(&frame).expect("a fragment"));
        assert!(
            next.decode > last.decode && next.offset == 0,
            "{last:?} {next:?}"
        );
        last = next;
    }
    assert_eq!(times(&last), (120, 120));
}

#[test]
fn leading_pictures_are_left_out_where_a_viewer_joins() {
    // A key frame with a recovery point, as open groups have it.
    let recovery = [6, 6, 1, 0xC4, 0x80];
    let open = unit(&[
        &unhex(REORDERED),
        &[0x68, 0xCE, 1],
        &recovery,
        &[0x41, 0x88, 1],
    ]);
    let mut camera = Camera::new(Codec::H264);
    let key = camera.frame(true, 1000, &open);
    let (mut muxer, _) = start(&key);
    assert!(muxer.fragment(&key).is_some());
    let leading = camera.frame(false, 960, &h264(1));
    assert!(muxer.fragment(&leading).is_none());
    let mut others = vec![(false, 1120), (false, 1040), (false, 1080)];
    // In the next group there is nothing to leave out.
    others.extend([(true, 1240), (false, 1160), (false, 1200)]);
    for (key, taken) in others {
        let content = if key { open.clone() } else { h264(1) };
        let frame = camera.frame(key, taken, &content);
        let next = times(&read(&muxer.fragment(&frame).expect("a fragment")));
        assert_eq!(next.1, taken - 1000 + 80, "{taken}");
    }

    // H.265 names such pictures.
    let sets = [vec![0x40, 1, 5], unhex(FIVE), vec![0x44, 1, 6]];
    let cra = unit(&[&sets[0], &sets[1], &sets[2], &[21 << 1, 1, 0x80]]);
    let mut camera = Camera::new(Codec::H265);
    let key = camera.frame(true, 1000, &cra);
    let (mut muxer, _) = start(&key);
    assert!(muxer.fragment(&key).is_some());
    for (kind, kept) in [(8, false), (9, false), (1, true)] {
        let frame = camera.frame(false, 1040, &unit(&[&[kind << 1, 1, 0x80]]));
        assert_eq!(muxer.fragment(&frame).is_some(), kept, "{kind}");
    }
}

#[test]
fn damaged_units_cause_no_panic() {
    let key = h264_key(REORDERED, 0x65);
    for at in 0..key.len() {
        for value in [0, 1, 0x7F, 0xFF] {
            let mut bad = key.clone();
            bad[at] = value;
            for content in [&bad[..], &bad[..at]] {
                let mut camera = Camera::new(Codec::H264);
                let frame = camera.frame(true, 0, content);
                if let Some((mut muxer, _)) = Muxer::start(&frame, None) {
                    muxer.fragment(&frame);
                    let next = camera.frame(true, u64::from(value), content);
                    muxer.fragment(&next);
                }
            }
        }
    }
}
