//! RTSP cameras whose lines, headers, bodies or access units never end.

use super::attack::{Attack, Bounds, MEGABYTE, Over};
use super::cameras::{Usage, address, next_head, run};
use super::flood::{flood, listen};
use super::progress::{Pace, Progress};
use crate::Result;
use crate::link::Link;
use std::io::Write;

/// Bytes per second.
const RATE: f64 = 80.0 * MEGABYTE as f64;
/// Packets per second if they are empty.
const PACKETS: f64 = 400_000.0;

/// What the camera sends.
#[derive(Clone, Copy)]
enum Behaviour {
    /// The first line of its first response never ends.
    Line,
    /// The headers of its first response never end.
    Headers,
    /// Its first response declares a body of 20 GB.
    Body,
    /// One unit in fragments, without a last fragment.
    Fragments,
    /// Units of one picture, without a last unit.
    Units,
    /// Packets without a payload.
    Empty,
    /// A response in mid-stream whose headers never end.
    Late,
}

pub fn attacks() -> Vec<Attack> {
    let behaviours = [
        ("an endless line", Behaviour::Line),
        ("endless headers", Behaviour::Headers),
        ("a body of 20 GB", Behaviour::Body),
        ("an endless fragmented unit", Behaviour::Fragments),
        ("endless units", Behaviour::Units),
        ("empty packets", Behaviour::Empty),
        ("endless headers in mid-stream", Behaviour::Late),
    ];
    let usages = [(Usage::Watched(1), "watched"), (Usage::Tested, "tested")];
    let all = behaviours
        .into_iter()
        .flat_map(|one| usages.map(|usage| (one, usage)));
    all.map(|((name, behaviour), (usage, how))| {
        let name = format!("RTSP camera, {how}: {name}");
        let attack = Attack::new("rtsp", name, move |target, progress| {
            let response = |link, progress: &Progress| converse(link, behaviour, progress);
            run("rtsp", usage, None, response, target, progress)
        });
        use Behaviour::{Body, Empty, Fragments, Late, Line, Units};
        let short = match usage {
            Usage::Tested => matches!(behaviour, Line | Body | Units),
            _ => !matches!(behaviour, Late),
        };
        let attack = attack.over(Over::Plain);
        let attack = if short { attack } else { attack.short(None) };
        // Four cameras are tested at a time, and each may start a decoder.
        let megabytes = if usage == Usage::Tested { 128 } else { 64 };
        let attack = attack.bounds(Bounds {
            growth: megabytes * MEGABYTE,
            children: 4,
            children_bytes: 512 * MEGABYTE,
            ..Bounds::default()
        });
        // A test ends without the hub's intervention.
        let ends = usage != Usage::Tested && matches!(behaviour, Empty | Fragments | Line);
        if ends { attack.ends() } else { attack }
    })
    .collect()
}

const SDP: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=camera\r\nt=0 0\r\na=control:*\r\n\
     m=video 0 RTP/AVP 96\r\nc=IN IP4 0.0.0.0\r\na=rtpmap:96 H264/90000\r\n\
     a=fmtp:96 packetization-mode=1;profile-level-id=64001E;sprop-parameter-sets=\
     Z2QAHqwsaoLA9puCgIKgAAADACAAAAMD0IAA,aO4xshsA\r\na=control:track1\r\n";

fn converse(mut link: Link, behaviour: Behaviour, progress: &Progress) -> Result<()> {
    loop {
        let head = next_head(&mut link)?;
        let method = head.split(' ').next().unwrap_or_default().to_owned();
        let number = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("cseq").then(|| value.trim())
        });
        let ok = format!("RTSP/1.0 200 OK\r\nCSeq: {}\r\n", number.unwrap_or("1"));
        let endless = match behaviour {
            Behaviour::Line => Some(("RTSP/1.0 200 ".to_owned(), vec![b'a'; 16_000])),
            Behaviour::Headers => Some((ok.clone(), b"X: y\r\n".repeat(2_500))),
            Behaviour::Body => {
                let head = format!("{ok}Content-Length: 20000000000\r\n\r\n");
                Some((head, vec![b' '; 16_000]))
            }
            _ => None,
        };
        if let Some((begin, more)) = endless {
            link.write_all(begin.as_bytes())?;
            return without_end(&mut link, progress, RATE, || more.clone());
        }
        let response = match method.as_str() {
            "OPTIONS" => format!("{ok}Public: DESCRIBE, SETUP, PLAY, TEARDOWN\r\n\r\n"),
            "DESCRIBE" => format!(
                "{ok}Content-Base: rtsp://{}/hostile/\r\nContent-Type: application/sdp\r\n\
                 Content-Length: {}\r\n\r\n{SDP}",
                address(&link)?,
                SDP.len()
            ),
            "SETUP" => format!(
                "{ok}Session: 1;timeout=60\r\n\
                 Transport: RTP/AVP/TCP;unicast;interleaved=0-1;ssrc=00000001\r\n\r\n"
            ),
            "PLAY" => format!("{ok}Session: 1\r\nRange: npt=0.000-\r\n\r\n"),
            _ => format!("{ok}Session: 1\r\n\r\n"),
        };
        link.write_all(response.as_bytes())?;
        if method == "PLAY" {
            return stream(&mut link, behaviour, progress);
        }
    }
}

/// Sends packets until the attack is over.
fn stream(link: &mut Link, behaviour: Behaviour, progress: &Progress) -> Result<()> {
    let mut sequence = 0;
    let mut packets = Packets::default();
    if matches!(behaviour, Behaviour::Late) {
        link.write_all(b"RTSP/1.0 200 OK\r\n")?;
        return without_end(link, progress, RATE, || b"X: y\r\n".repeat(2_500));
    }
    let small = matches!(behaviour, Behaviour::Empty);
    // An empty packet has 16 bytes.
    let rate = if small { PACKETS * 16.0 } else { RATE };
    without_end(link, progress, rate, || {
        packets.bytes.clear();
        for _ in 0..if small { 200 } else { 12 } {
            match behaviour {
                Behaviour::Fragments => {
                    // FU-A of an IDR picture; only the first fragment has the start bit.
                    let begin = if sequence == 0 { 0x80 } else { 0 };
                    packets.add(
                        sequence,
                        &[[0x7C, 0x05 | begin].as_slice(), &[0x55; 1_200]].concat(),
                    );
                }
                Behaviour::Units => {
                    packets.add(sequence, &[[0x61].as_slice(), &[0x55; 60]].concat())
                }
                _ => packets.add(sequence, &[]),
            }
            sequence = sequence.wrapping_add(1);
        }
        packets.bytes.clone()
    })
}

fn without_end(
    link: &mut Link,
    progress: &Progress,
    rate: f64,
    piece: impl FnMut() -> Vec<u8>,
) -> Result<()> {
    let ended = flood(link, progress, &mut Pace::new(rate), piece, |_| {});
    if let Some(how) = ended.or_else(|| listen(link, progress, |_| {})) {
        progress.ended(format!("the hub disconnected: {how}"));
    }
    Ok(())
}

/// Interleaved RTP packets on channel 0, all with the same timestamp and without marker.
#[derive(Default)]
struct Packets {
    bytes: Vec<u8>,
}

impl Packets {
    fn add(&mut self, sequence: u16, payload: &[u8]) {
        let out = &mut self.bytes;
        out.extend([b'$', 0]);
        out.extend((12 + payload.len() as u16).to_be_bytes());
        out.extend([0x80, 96]);
        out.extend(sequence.to_be_bytes());
        out.extend(90_000_u32.to_be_bytes());
        out.extend(1_u32.to_be_bytes());
        out.extend_from_slice(payload);
    }
}
