//! RTSP cameras that send what ffmpeg has encoded.

use super::support::{Native, checksums, ffmpeg};
use ocelli_core::Codec;
use ocelli_media::annexb::{self, START_CODE};
use ocelli_media::sources::rtsp::{Client, Picture};
use ocelli_testkit::rtsp_media::Rtp;
use ocelli_testkit::rtsp_script::{Script, ScriptedCamera};
use std::time::Duration;
use tokio::time::timeout;
use url::Url;

const H264: (Codec, &str, &str) = (Codec::H264, "h264", "-c:v libx264 -bf 0 -g 5");
const H265: (Codec, &str, &str) = (
    Codec::H265,
    "hevc",
    "-c:v libx265 -x265-params log-level=error:keyint=5:open-gop=0:bframes=0",
);

/// Returns an elementary stream of 20 pictures.
fn encoded(format: &str, size: &str, arguments: &str) -> Vec<u8> {
    let line = format!(
        "-f lavfi -i testsrc2=size={size}:rate=20 -t 1 -threads 1 -pix_fmt yuv420p {arguments} \
         -f {format} pipe:1"
    );
    ffmpeg(&line, &[])
}

/// Returns the units of each picture.
fn pictures(codec: Codec, stream: &[u8]) -> Vec<Vec<Vec<u8>>> {
    let mut splitter = annexb::Splitter::new(codec);
    // The beginning of another picture shows the end of the last one.
    let next: &[u8] = match codec {
        Codec::H264 => &[0, 0, 0, 1, 9, 0xF0, 0],
        _ => &[0, 0, 0, 1, 0x46, 1, 0x50],
    };
    splitter.push(&[stream, next].concat());
    let mut pictures = Vec::new();
    while let Some(unit) = splitter.next_unit() {
        let mut units: Vec<_> = annexb::head(codec, unit).map(<[u8]>::to_vec).collect();
        units.push(annexb::from_first_slice(codec, unit).to_vec());
        pictures.push(units);
    }
    assert_eq!(pictures.len(), 20);
    pictures
}

/// Starts a camera that sends these pictures.
fn camera(codec: Codec, pictures: &[Vec<Vec<u8>>]) -> ScriptedCamera {
    let name = codec.name().to_uppercase();
    let sdp = format!(
        "v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=x\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\n\
         a=rtpmap:96 {name}/90000\r\na=control:track1\r\n"
    );
    let mut rtp = Rtp::new(96);
    let mut packets = Vec::new();
    for picture in pictures {
        let units: Vec<_> = picture.iter().map(Vec::as_slice).collect();
        packets.extend(rtp.picture(&units));
    }
    Script::new()
        .describe(&sdp)
        .play()
        .packets(0, &packets)
        .start()
}

/// Plays this many pictures of a camera.
async fn played(camera: &ScriptedCamera, count: usize) -> Vec<Picture> {
    let playing = async {
        let url = Url::parse(&camera.url()).unwrap();
        let mut client = Client::new(url, None, "ocelli");
        let mut session = client.open(|| None).await.unwrap();
        session.play().await.unwrap();
        let mut pictures = Vec::new();
        while pictures.len() < count {
            pictures.push(session.picture().await.unwrap());
        }
        pictures
    };
    timeout(Duration::from_secs(20), playing).await.unwrap()
}

#[tokio::test]
async fn a_decoder_can_start_at_any_key_frame_of_a_camera_that_sends_its_sets_once() {
    for (codec, format, arguments) in [H264, H265] {
        let stream = encoded(format, "320x180", arguments);
        let mut sent = pictures(codec, &stream);
        for picture in &mut sent[1..] {
            picture.retain(|unit| !annexb::is_parameter_set(codec, unit));
        }
        let pictures = played(&camera(codec, &sent), 20).await;
        let expected = checksums(format, &stream);
        let mut keys = 0;
        for (at, picture) in pictures.iter().enumerate() {
            assert!(!picture.unit.is_new_stream, "{format}: {at}");
            assert_eq!(
                picture.unit.codec_string.is_some(),
                picture.unit.key,
                "{format}: {at}"
            );
            if !picture.unit.key {
                continue;
            }
            keys += 1;
            let rest = pictures[at..]
                .iter()
                .map(|picture| picture.unit.buffer.payload());
            let rest: Vec<_> = rest.collect();
            assert_eq!(
                checksums(format, &rest.concat()),
                expected[at..],
                "{format}: {at}"
            );
        }
        assert_eq!(keys, 4, "{format}");
        let string = pictures[0].unit.codec_string.as_deref().unwrap();
        let expected = if codec == Codec::H264 {
            "avc1.64000c"
        } else {
            "hev1.1.6.L60.90"
        };
        assert_eq!(string, expected);
    }
}

#[tokio::test]
async fn pictures_after_other_parameter_sets_wait_for_a_key_frame() {
    for (codec, format, arguments) in [H264, H265] {
        let small = pictures(codec, &encoded(format, "320x180", arguments));
        let large = pictures(codec, &encoded(format, "640x360", arguments));
        let sets: Vec<_> = large[0]
            .iter()
            .filter(|unit| annexb::is_parameter_set(codec, unit))
            .cloned()
            .collect();
        let sps = sets.iter().rev().nth(1).unwrap();
        let lost = [&sets[..], &large[1][..]].concat();
        let key = [&sets[..], &large[5][..]].concat();
        let sent = [
            small[0].clone(),
            small[1].clone(),
            lost,
            large[2].clone(),
            large[3].clone(),
            key,
            large[6].clone(),
            // The last one has no visible end before the next.
            large[7].clone(),
        ];
        let mut native = Native::watch(&camera(codec, &sent).url());
        let mut before = Vec::new();
        let frame = loop {
            let frame = native.frame().await;
            if frame.discontinuity && frame.size == Some((640, 360)) {
                break frame;
            }
            before.push(frame);
        };
        assert!(frame.key, "{format}");
        let needle = [&START_CODE[..], sps].concat();
        let has_sps = |payload: &[u8]| payload.windows(needle.len()).any(|at| at == needle);
        assert!(has_sps(&frame.payload()), "{format}");
        assert!(before.len() <= 2, "{format}: {}", before.len());
        assert!(
            before.iter().all(|frame| !has_sps(&frame.payload())),
            "{format}"
        );
        assert_eq!(native.frame().await.size, Some((640, 360)), "{format}");
    }
}
