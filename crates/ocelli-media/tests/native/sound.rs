//! The sound of cameras and films, as a viewer gets it.

use super::support::{Dir, Native, ffmpeg};
use ocelli_core::{Quality, Ready, SoundCodec, SoundFormat, SoundSubscription, SoundUnit};
use ocelli_media::mp4::Muxer;
use ocelli_testkit::rtsp_media::Rtp;
use ocelli_testkit::rtsp_script::{Script, ScriptedCamera};
use ocelli_testkit::{RtspServer, RtspServerOptions};
use std::future::poll_fn;
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(25);
const OK: &str = "RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\nSession: 7\r\n";
const VIDEO: &str = "v=0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:track1\r\n";
const A_LAW: &str = "m=audio 0 RTP/AVP 8\r\na=control:track2\r\n";

/// A listener to a camera's sound.
struct Listener {
    ready: Arc<Ready>,
    subscription: SoundSubscription,
}

impl Listener {
    /// Listens as soon as the camera has sound.
    async fn of(native: &Native) -> Self {
        let ready = Arc::<Ready>::default();
        let mut changes = native.changes();
        let listening = async {
            loop {
                if let Some(subscription) = native.camera.listen(ready.clone(), 0) {
                    return subscription;
                }
                changes.changed().await.expect("a hub");
            }
        };
        let subscription = timeout(PATIENCE, listening).await;
        Self {
            subscription: subscription.expect("sound"),
            ready,
        }
    }

    fn format(&self) -> SoundFormat {
        (*self.subscription.format().expect("a format")).clone()
    }

    async fn next(&mut self) -> SoundUnit {
        let next = async {
            loop {
                if let Some(unit) = self.subscription.take() {
                    return unit;
                }
                poll_fn(|cx| self.ready.poll_next(cx)).await;
            }
        };
        timeout(PATIENCE, next).await.expect("sound in time")
    }

    async fn units(&mut self, count: usize) -> Vec<SoundUnit> {
        let mut units = Vec::new();
        while units.len() < count {
            units.push(self.next().await);
        }
        units
    }
}

/// Returns the ADTS header of an access unit.
fn adts(format: &SoundFormat, len: usize) -> Vec<u8> {
    let [first, second] = format.config[..2] else {
        panic!("{format:?}");
    };
    let (kind, rate) = (first >> 3, (first & 7) << 1 | second >> 7);
    let (channels, len) = (second >> 3 & 0xF, len + 7);
    vec![
        0xFF,
        0xF1,
        (kind - 1) << 6 | rate << 2 | channels >> 2,
        (channels & 3) << 6 | (len >> 11) as u8,
        (len >> 3) as u8,
        (len << 5) as u8 | 0x1F,
        0xFC,
    ]
}

/// Decodes units with ffmpeg to samples of one channel at 8 kHz.
fn decoded(format: &SoundFormat, units: &[SoundUnit]) -> Vec<i16> {
    let input = match format.codec {
        SoundCodec::PcmA => "-f alaw -ar 8000".to_owned(),
        SoundCodec::PcmU => "-f mulaw -ar 8000".to_owned(),
        SoundCodec::Aac => "-f aac".to_owned(),
        SoundCodec::Opus => "-f ogg".to_owned(),
    };
    let stream: Vec<u8> = match format.codec {
        SoundCodec::Aac => units
            .iter()
            .flat_map(|unit| [adts(format, unit.payload().len()), unit.payload().to_vec()].concat())
            .collect(),
        SoundCodec::Opus => ogg(format.channels, units),
        _ => units.iter().flat_map(|unit| unit.payload()).collect(),
    };
    let arguments = format!("{input} -i pipe:0 -ac 1 -ar 8000 -f s16le pipe:1");
    let samples = ffmpeg(&arguments, &stream);
    let (samples, _) = samples.as_chunks::<2>();
    samples.iter().map(|&two| i16::from_le_bytes(two)).collect()
}

/// Returns Opus packets in an Ogg stream, one on each page.
fn ogg(channels: u8, units: &[SoundUnit]) -> Vec<u8> {
    let mut head = b"OpusHead\x01".to_vec();
    head.push(channels);
    head.extend([0, 0, 0x80, 0xBB, 0, 0, 0, 0, 0]);
    let tags = b"OpusTags\0\0\0\0\0\0\0\0".to_vec();
    let packets = units.iter().map(|unit| unit.payload().to_vec());
    let all = [head, tags].into_iter().chain(packets).enumerate();
    all.flat_map(|(number, packet)| {
        let kind = if number == 0 { 2 } else { 0 };
        let position = number.saturating_sub(1) as u64 * 960;
        let mut page = b"OggS\0".to_vec();
        page.push(kind);
        page.extend(position.to_le_bytes());
        page.extend([1, 0, 0, 0]);
        page.extend((number as u32).to_le_bytes());
        page.extend([0; 4]);
        let lacing = packet.len() / 255 + 1;
        page.push(lacing as u8);
        page.extend(std::iter::repeat_n(255, lacing - 1));
        page.push((packet.len() % 255) as u8);
        page.extend(packet);
        let sum = page.iter().fold(0u32, |sum, &byte| {
            (0..8).fold(sum ^ u32::from(byte) << 24, |sum, _| match sum >> 31 {
                1 => sum << 1 ^ 0x04C1_1DB7,
                _ => sum << 1,
            })
        });
        page[22..26].copy_from_slice(&sum.to_le_bytes());
        page
    })
    .collect()
}

/// Returns the frequency of a tone, in Hz.
fn frequency(samples: &[i16]) -> f64 {
    assert!(samples.len() > 4000, "{} samples", samples.len());
    // Without the beginning, which decoders fade in.
    let samples = &samples[1600..];
    let crossings = samples.windows(2).filter(|two| two[0] < 0 && two[1] >= 0);
    crossings.count() as f64 * 8000.0 / samples.len() as f64
}

/// A camera with a picture, and after it, once the test says so, what `more` sends.
fn camera(sound: &str, more: Vec<(u8, Vec<Vec<u8>>)>) -> (ScriptedCamera, mpsc::Sender<()>) {
    let (go, wait) = mpsc::channel();
    let wait = Mutex::new(wait);
    let mut script = Script::new()
        .describe(&format!("{VIDEO}{sound}"))
        .play()
        .packets(0, &Rtp::new(96).h264())
        .run(move |_| {
            let wait = wait.lock().unwrap_or_else(PoisonError::into_inner);
            Ok(wait.recv()?)
        });
    for (channel, packets) in more {
        script = script.packets(channel, &packets);
    }
    (script.start(), go)
}

/// Counts the requests for a track.
fn set_ups(camera: &ScriptedCamera, track: &str) -> usize {
    let requests = camera.requests();
    let of = |request: &&String| request.starts_with("SETUP") && request.contains(track);
    requests.iter().filter(of).count()
}

#[tokio::test]
async fn g711_of_a_camera_is_passed_on_sample_by_sample() {
    for (payload_type, lines, codec) in [
        (8, A_LAW, SoundCodec::PcmA),
        (
            97,
            "m=audio 0 RTP/AVP 97\r\na=rtpmap:97 PCMU/8000/1\r\na=control:track2\r\n",
            SoundCodec::PcmU,
        ),
    ] {
        let mut rtp = Rtp::new(payload_type);
        let packets = (0..5).map(|at: u8| {
            rtp.stamp += 160;
            rtp.packet(false, &[at; 160])
        });
        let (camera, go) = camera(lines, vec![(2, packets.collect())]);
        let mut native = Native::watch(&camera.url());
        native.frame().await;
        let mut listener = Listener::of(&native).await;
        let format = listener.format();
        assert_eq!(
            (format.codec, format.rate, format.channels),
            (codec, 8000, 1)
        );
        go.send(()).expect("the camera waits");
        let units = listener.units(5).await;
        for (at, unit) in units.iter().enumerate() {
            assert_eq!(unit.payload(), vec![at as u8; 160]);
            assert_eq!(unit.discontinuity, at == 0);
        }
        for unit in units {
            let age = unit.received.micros_since(unit.captured);
            assert!((20_000..100_000).contains(&age), "{age} µs");
        }
    }
}

/// Returns a sender report of a track.
fn report(seconds: u32, millis: u32, stamp: u32) -> Vec<u8> {
    let fraction = (u64::from(millis) << 32) / 1000;
    let mut packet = vec![0x80, 200, 0, 6, 0, 0, 0, 7];
    for word in [seconds, fraction as u32, stamp, 0, 0] {
        packet.extend(word.to_be_bytes());
    }
    packet
}

#[tokio::test]
async fn sender_reports_put_sound_and_pictures_on_one_clock() {
    // The last of the three pictures has timestamp 117,000. According to the reports, it was taken
    // at 1000.9 s, and the sound with timestamp 90,000 was recorded at 1000.5 s.
    let pictures = report(1000, 800, 108_000);
    for (seconds, expected) in [(1000, Some(-400_000)), (5000, None)] {
        let sound = report(seconds, 500, 90_000);
        let packet = Rtp::new(8).packet(false, &[7; 160]);
        let more = vec![
            (1, vec![pictures.clone()]),
            (3, vec![sound]),
            (2, vec![packet]),
        ];
        let (camera, go) = camera(A_LAW, more);
        let mut native = Native::watch(&camera.url());
        let mut last = native.frame().await;
        for _ in 0..2 {
            last = native.frame().await;
        }
        let mut listener = Listener::of(&native).await;
        go.send(()).expect("the camera waits");
        let unit = listener.next().await;
        match expected {
            Some(apart) => {
                let found = unit.captured.0 as i64 - last.captured.0 as i64;
                assert!((found - apart).abs() <= 10, "{found} µs");
            }
            // The reports are more than an hour apart, so the time of receipt counts.
            None => assert_eq!(unit.received.micros_since(unit.captured), 20_000),
        }
    }
}

#[tokio::test]
async fn a_camera_that_refuses_its_sound_is_played_without() {
    for refusal in [
        "RTSP/1.0 404 Not Found\r\nCSeq: {cseq}\r\n\r\n",
        "RTSP/1.0 461 Unsupported Transport\r\nCSeq: {cseq}\r\n\r\n",
        "RTSP/1.0 500 Error\r\nCSeq: {cseq}\r\n\r\n",
        // Another transport, or the channel of the pictures.
        "RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\nTransport: RTP/AVP;unicast;client_port=2-3\r\n\r\n",
        "RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\nTransport: RTP/AVP/TCP;interleaved=0-1\r\n\r\n",
    ] {
        let camera = Script::new()
            .describe(&format!("{VIDEO}{A_LAW}"))
            .answer("SETUP", format!("{OK}\r\n"))
            .answer("SETUP", refusal)
            .answer("PLAY", format!("{OK}\r\n"))
            .packets(0, &Rtp::new(96).h264())
            .start();
        let mut native = Native::watch(&camera.url());
        native.frame().await;
        assert!(native.camera.sound().is_none(), "{refusal}");
        assert_eq!(set_ups(&camera, "track2"), 1);
        assert_eq!(native.camera.status().restarts, 0);
    }
}

#[tokio::test]
async fn a_camera_that_fails_because_of_its_sound_is_asked_only_once() {
    // At the second SETUP, or at PLAY after it.
    for method in ["SETUP", "PLAY"] {
        let camera = Script::new()
            .describe(&format!("{VIDEO}{A_LAW}"))
            .answer("SETUP", format!("{OK}\r\n"))
            .run(move |dialog| {
                if dialog.peek()?.starts_with("PLAY ") {
                    return Ok(());
                }
                if method == "PLAY" {
                    dialog.expect("SETUP")?;
                    dialog.reply(&format!("{OK}\r\n"))?;
                    dialog.expect("PLAY")?;
                }
                Err("closed".into())
            })
            .answer("PLAY", format!("{OK}\r\n"))
            .packets(0, &Rtp::new(96).h264())
            .close()
            .start();
        let mut native = Native::watch(&camera.url());
        native.frame().await;
        // The camera ends each session after its pictures.
        let mut changes = native.changes();
        let restarting = async {
            while native.camera.status().restarts < 2 {
                changes.changed().await.expect("a hub");
            }
        };
        timeout(PATIENCE, restarting).await.expect("restarts");
        assert!(native.camera.sound().is_none());
        assert_eq!(set_ups(&camera, "track2"), 1, "{method}");
    }
}

#[tokio::test]
async fn an_independent_server_is_heard() {
    let mut servers = Vec::new();
    for udp in [false, true] {
        let server = RtspServer::start(RtspServerOptions {
            udp,
            ..RtspServerOptions::default()
        });
        for (mount, codec, tone) in [
            ("av", SoundCodec::PcmA, 440.0),
            ("aac", SoundCodec::Aac, 1000.0),
        ] {
            let mut native = Native::watch(&server.url(mount));
            native.frame().await;
            let mut listener = Listener::of(&native).await;
            let format = listener.format();
            assert_eq!(format.codec, codec);
            let mut units = listener.units(10).await;
            while units[units.len() - 1]
                .captured
                .micros_since(units[0].captured)
                < 1_500_000
            {
                units.push(listener.next().await);
            }
            assert!(units[1..].iter().all(|unit| !unit.discontinuity), "{mount}");
            let heard = frequency(&decoded(&format, &units));
            assert!((heard - tone).abs() < tone / 50.0, "{mount}: {heard} Hz");
            // The newest sound and the newest picture, which were captured at about the same time.
            native.frame().await;
            let mut pictures = native.camera.follow_native(Quality::Main);
            let frame = std::iter::from_fn(|| pictures.try_next()).last();
            let frame = frame.expect("a picture");
            let unit = units[units.len() - 1].clone();
            let apart = unit.captured.0.abs_diff(frame.captured.0);
            assert!(apart < 400_000, "{mount}: {apart} µs");
        }
        servers.push(server);
    }
}

/// Returns the path of a film of 3 s with a tone of 700 Hz.
fn film_with_tone(dir: &Dir, name: &str, arguments: &str) -> String {
    let path = dir.0.join(name).display().to_string();
    let made = format!(
        "-y -f lavfi -i testsrc2=size=320x180:rate=20 \
         -f lavfi -i sine=frequency=700:sample_rate=48000 \
         -t 3 -pix_fmt yuv420p -c:v libx264 -bf 0 -g 10 {arguments} {path}"
    );
    ffmpeg(&made, &[]);
    path
}

#[tokio::test]
async fn the_sound_of_films_is_passed_on_or_transcoded() {
    let dir = Dir::new("sound");
    for (name, arguments, codec) in [
        ("aac.mp4", "-c:a aac", SoundCodec::Aac),
        ("opus.mkv", "-c:a libopus", SoundCodec::Opus),
        ("mp3.mkv", "-c:a libmp3lame", SoundCodec::Aac),
        ("pcm.mkv", "-c:a pcm_alaw -ar 8000", SoundCodec::Aac),
        ("mono.ts", "-c:a aac -ac 1 -ar 16000", SoundCodec::Aac),
    ] {
        let path = film_with_tone(&dir, name, arguments);
        let mut native = Native::watch(&format!("file:{path}"));
        let mut listener = Listener::of(&native).await;
        let format = listener.format();
        assert_eq!(format.codec, codec, "{name}");
        let mut units = listener.units(10).await;
        while units[units.len() - 1]
            .captured
            .micros_since(units[0].captured)
            < 1_200_000
        {
            units.push(listener.next().await);
        }
        let heard = frequency(&decoded(&format, &units));
        assert!((heard - 700.0).abs() < 14.0, "{name}: {heard} Hz");
        native.frame().await;
        assert_eq!(native.camera.status().restarts, 0, "{name}");
    }
    let path = dir.film("silent.mp4", "-c:v libx264 -bf 0 -g 10");
    let mut native = Native::watch(&format!("file:{path}"));
    native.frame().await;
    assert!(native.camera.sound().is_none());
}

#[tokio::test]
async fn aac_in_mp4_is_decoded_on_the_timeline_of_the_pictures() {
    let dir = Dir::new("sound-mp4");
    let path = film_with_tone(&dir, "aac.mp4", "-c:a aac");
    let mut native = Native::watch(&format!("file:{path}"));
    native.frame().await;
    let mut listener = Listener::of(&native).await;
    let format = listener.format();
    let mut pictures = native.camera.follow_native(Quality::Main);
    let (mut muxer, mut file) = loop {
        let frame = pictures.next().await;
        if let Some((mut muxer, header)) = Muxer::start(&frame, Some(&format)) {
            let first = muxer.fragment(&frame).unwrap();
            break (muxer, [header, first].concat());
        }
    };
    let mut count = 1;
    while count < 30 {
        let fragment = tokio::select! {
            frame = pictures.next() => {
                count += 1;
                muxer.fragment(&frame)
            }
            unit = listener.next() => {
                muxer.sound_fragment(unit.captured, &unit.payload(), &format)
            }
        };
        file.extend(fragment.into_iter().flatten());
    }
    let path = dir.0.join("copy.mp4");
    std::fs::write(&path, &file).unwrap();
    let path = path.display();
    let samples = ffmpeg(&format!("-i {path} -ac 1 -ar 8000 -f s16le pipe:1"), &[]);
    let (samples, _) = samples.as_chunks::<2>();
    let samples: Vec<_> = samples.iter().map(|&two| i16::from_le_bytes(two)).collect();
    let heard = frequency(&samples);
    assert!((heard - 700.0).abs() < 14.0, "{heard} Hz");
    // 30 pictures at 20 a second, and sound until the last of them.
    let seconds = samples.len() as f64 / 8000.0;
    assert!((1.2..1.7).contains(&seconds), "{seconds} s");
}
