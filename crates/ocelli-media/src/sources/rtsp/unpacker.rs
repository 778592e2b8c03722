//! From RTP packets to pictures: the library's depacketizers, within bounds.
//!
//! The library keeps a picture's packets until the picture ends, however long that
//! takes. So what has been given to it since the last picture is counted here, and
//! the stream is given up when it is more than any picture has. A packet that it
//! can't take costs that picture alone. Should the library panic on something, it
//! ends the attempt and nothing else.

use super::connection::Broken;
use super::message::quoted;
use super::sdp::Track;
use crate::jpeg;
use retina::codec::{
    CodecItem, Depacketizer, FrameFormat, ParameterSetInsertion, ParametersRef, VideoFrame,
    VideoParameters, h26x,
};
use retina::rtp::{PacketHeader, PacketMeta};
use retina::testutil::DepacketizeBuf;
use retina::{PacketContext, Timestamp};
use std::num::NonZeroU32;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The most packets of one picture, each unit of an aggregation counted. A picture
/// of H.264 has no more slices than it has macroblocks, and cameras make a few
/// hundred packets of one.
const MAX_PARTS: usize = 16_384;
/// The most bytes of one picture.
const MAX_BYTES: usize = jpeg::MAX_BYTES;
/// Packets that can't be read, without a whole picture between them, before it is
/// no video.
const HOPELESS_PACKETS: usize = 1000;
/// Packets of another sender in a row before that one is the sender.
const FOREIGN_PACKETS: usize = 32;
/// Sequence numbers that far back are packets that come again or late.
const LATE: u16 = 100;
/// What the library holds of a picture to begin with; it grows with the picture.
const RING: usize = 64 << 10;
/// The only clock that the library takes for video. Stamps are in the camera's own.
const LIBRARY_CLOCK: u32 = 90_000;

/// Annex B, and the parameter sets left to us: the library puts them before
/// fewer kinds of key frame than there are.
const FORMAT: FrameFormat = {
    let mut format = FrameFormat::SIMPLE;
    format.h26x_framing = h26x::Framing::AnnexB;
    format.parameter_set_insertion = ParameterSetInsertion::Never;
    format
};

/// How a codec's packets hold its units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Packing {
    H264,
    H265,
    Jpeg,
}

/// Puts one track's pictures together.
pub struct Unpacker {
    packing: Packing,
    payload_type: u8,
    clock_rate: NonZeroU32,
    depacketizer: Depacketizer,
    ring: DepacketizeBuf,
    sender: Option<u32>,
    foreign: usize,
    /// The sequence number that comes next.
    next: Option<u16>,
    /// The last time stamp, and what it began with.
    stamp: Option<(i64, u32)>,
    /// What was given to the library since the last picture.
    bytes: usize,
    parts: usize,
    /// Packets that it could not read since then.
    faults: usize,
    lost: u64,
}

impl Unpacker {
    /// For a track; none where it is no video that can be shown.
    ///
    /// # Errors
    /// The library stumbles over the codec's parameters.
    pub fn new(track: &Track) -> Result<Option<Self>, Broken> {
        let packing = match (&*track.media, &*track.encoding) {
            ("video", "h264") => Packing::H264,
            ("video", "h265") => Packing::H265,
            ("video", "jpeg") => Packing::Jpeg,
            _ => return Ok(None),
        };
        let parameters = track.parameters.as_deref();
        let made = contained(|| {
            let mut made = Depacketizer::new(
                &track.media,
                &track.encoding,
                LIBRARY_CLOCK,
                None,
                parameters,
            )?;
            made.set_frame_format(FORMAT);
            Ok(made)
        })?;
        let depacketizer = made.map_err(|fault: String| unreadable(&fault))?;
        Ok(Some(Self {
            packing,
            payload_type: track.payload_type,
            clock_rate: NonZeroU32::new(track.clock_rate).unwrap_or(NonZeroU32::MIN),
            depacketizer,
            ring: DepacketizeBuf::new(RING),
            sender: None,
            foreign: 0,
            next: None,
            stamp: None,
            bytes: 0,
            parts: 0,
            faults: 0,
            lost: 0,
        }))
    }

    /// How many packets did not come.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// The parameters of the video, once they are known.
    pub fn parameters(&self) -> Option<&VideoParameters> {
        match self.depacketizer.parameters() {
            Some(ParametersRef::Video(parameters)) => Some(parameters),
            _ => None,
        }
    }

    /// Takes an RTP packet. All pictures are to be pulled before the next one.
    ///
    /// # Errors
    /// A picture exceeds a limit, or it is no video.
    pub fn push(&mut self, packet: &[u8]) -> Result<(), Broken> {
        let (header, payload) = match PacketHeader::validate(packet) {
            Ok((header, payload)) => (
                header,
                &packet[usize::from(payload.start)..usize::from(payload.end)],
            ),
            Err(fault) => return self.fault(fault),
        };
        if header.payload_type() != self.payload_type || !self.is_sender(header.ssrc()) {
            return Ok(());
        }
        let Some(loss) = self.follow(header.sequence_number()) else {
            return Ok(());
        };
        let payload = self.bare(payload);
        if payload.is_empty() {
            return Ok(());
        }
        let Some(timestamp) = self.timestamp(header.timestamp()) else {
            return Ok(());
        };
        self.count(payload)?;
        let meta = PacketMeta {
            ctx: PacketContext::dummy(),
            stream_id: 0,
            timestamp,
            sequence_number: header.sequence_number(),
            ssrc: header.ssrc(),
            mark: header.mark() && !self.is_cut(payload),
            loss: u16::from(loss),
        };
        let (ring, depacketizer) = (&mut self.ring, &mut self.depacketizer);
        match contained(|| ring.push(depacketizer, meta, payload))? {
            Ok(()) => Ok(()),
            Err(fault) => {
                // It has let go of the picture that this was to be part of.
                (self.bytes, self.parts) = (0, 0);
                self.fault(&fault)
            }
        }
    }

    /// A picture that has become whole.
    ///
    /// # Errors
    /// It is no video.
    pub fn pull(&mut self) -> Result<Option<VideoFrame>, Broken> {
        loop {
            let depacketizer = &mut self.depacketizer;
            match contained(|| depacketizer.pull())? {
                None => return Ok(None),
                Some(Ok(CodecItem::VideoFrame(frame))) => {
                    (self.bytes, self.parts, self.faults) = (0, 0, 0);
                    return Ok(Some(frame));
                }
                Some(Ok(_)) => {}
                Some(Err(_)) => self.fault("a picture that is cut off")?,
            }
        }
    }

    /// Whether a packet is of the sender whose pictures these are. Old servers mix
    /// in what is left of other sessions.
    fn is_sender(&mut self, sender: u32) -> bool {
        match self.sender {
            Some(known) if known != sender && self.foreign < FOREIGN_PACKETS => {
                self.foreign += 1;
                return false;
            }
            Some(known) if known == sender => {}
            _ => {
                self.sender = Some(sender);
                self.next = None;
            }
        }
        self.foreign = 0;
        true
    }

    /// Whether something is missing before this packet; none where it has come
    /// before, or too late.
    fn follow(&mut self, sequence: u16) -> Option<bool> {
        let ahead = sequence.wrapping_sub(self.next.unwrap_or(sequence));
        if ahead.wrapping_neg() <= LATE && ahead != 0 {
            return None;
        }
        self.next = Some(sequence.wrapping_add(1));
        // Further back means that the camera has begun to count anew.
        if ahead < 0x8000 {
            self.lost += u64::from(ahead);
        }
        Some(ahead > 0)
    }

    /// The payload without the start code that some cameras put before it.
    fn bare<'a>(&self, payload: &'a [u8]) -> &'a [u8] {
        if self.packing == Packing::Jpeg {
            return payload;
        }
        let long = payload.strip_prefix(&[0, 0, 0, 1]);
        long.or_else(|| payload.strip_prefix(&[0, 0, 1]))
            .unwrap_or(payload)
    }

    /// Whether a packet holds a piece of a unit that goes on. Some cameras mark
    /// every packet as the last of a picture.
    fn is_cut(&self, payload: &[u8]) -> bool {
        match (self.packing, payload) {
            (Packing::H264, [indicator, header, ..]) => {
                indicator & 0x1F == 28 && header & 0x40 == 0
            }
            (Packing::H265, [first, _, header, ..]) => {
                first >> 1 & 0x3F == 49 && header & 0x40 == 0
            }
            _ => false,
        }
    }

    fn timestamp(&mut self, stamp: u32) -> Option<Timestamp> {
        let (last, start) = self.stamp.unwrap_or((i64::from(stamp), stamp));
        let passed = stamp.wrapping_sub(last as u32).cast_signed();
        let now = last.checked_add(i64::from(passed))?;
        self.stamp = Some((now, start));
        Timestamp::new(now, self.clock_rate, start)
    }

    fn count(&mut self, payload: &[u8]) -> Result<(), Broken> {
        self.bytes += payload.len();
        self.parts += self.parts_in(payload);
        if self.bytes <= MAX_BYTES && self.parts <= MAX_PARTS {
            return Ok(());
        }
        Err(Broken::Unusable(format!(
            "one of its pictures goes on without an end; a picture should have at most {} MiB \
             in {MAX_PARTS} packets",
            MAX_BYTES >> 20
        )))
    }

    /// How many units the library may find in a packet.
    fn parts_in(&self, payload: &[u8]) -> usize {
        match (self.packing, payload) {
            (Packing::H264, [first, units @ ..]) if first & 0x1F == 24 => {
                aggregated(units) + start_codes(payload)
            }
            (Packing::H264, _) => 1 + start_codes(payload),
            (Packing::H265, [first, _, units @ ..]) if first >> 1 & 0x3F == 48 => aggregated(units),
            _ => 1,
        }
    }

    fn fault(&mut self, fault: &str) -> Result<(), Broken> {
        self.faults += 1;
        if self.faults < HOPELESS_PACKETS {
            return Ok(());
        }
        Err(unreadable(fault))
    }
}

fn unreadable(fault: &str) -> Broken {
    Broken::Unusable(format!(
        "it sends something that is no valid video ({}); perhaps ffmpeg:rtsp://… can read it",
        quoted(fault)
    ))
}

/// The units of an aggregation packet, each behind its length; at least one.
fn aggregated(mut units: &[u8]) -> usize {
    let mut count = 1;
    while let [high, low, rest @ ..] = units {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        units = rest.get(length..).unwrap_or_default();
        count += 1;
    }
    count
}

/// How many start codes are in these bytes.
fn start_codes(bytes: &[u8]) -> usize {
    let (mut count, mut at) = (0, 2);
    while let Some(&byte) = bytes.get(at) {
        count += usize::from(byte == 1 && bytes[at - 1] == 0 && bytes[at - 2] == 0);
        // What is no zero can't stand before the end of a code.
        at += if byte == 0 { 1 } else { 3 };
    }
    count
}

/// What the library gives, unless it panics.
fn contained<T>(work: impl FnOnce() -> T) -> Result<T, Broken> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| {
        let reason = "it sends video that this hub stumbled over; please report it";
        Broken::Unusable(reason.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn track(encoding: &str) -> Track {
        Track {
            media: "video".into(),
            encoding: encoding.into(),
            payload_type: 96,
            clock_rate: 90_000,
            parameters: None,
            control: None,
        }
    }

    fn unpacker(encoding: &str) -> Unpacker {
        Unpacker::new(&track(encoding))
            .expect("made")
            .expect("a codec")
    }

    fn packet(sequence: u16, stamp: u32, mark: bool, payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x80, 96 | u8::from(mark) << 7];
        packet.extend(sequence.to_be_bytes());
        packet.extend(stamp.to_be_bytes());
        packet.extend([0, 0, 0, 7]);
        packet.extend(payload);
        packet
    }

    fn pictures(unpacker: &mut Unpacker, packets: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let mut pictures = Vec::new();
        for packet in packets {
            unpacker.push(packet).expect("video");
            while let Some(frame) = unpacker.pull().expect("video") {
                pictures.push(frame.into_data());
            }
        }
        pictures
    }

    const SLICE: [u8; 3] = [0x41, 0x9A, 7];
    const PICTURE: [u8; 7] = [0, 0, 0, 1, 0x41, 0x9A, 7];

    #[test]
    fn what_cameras_get_wrong_costs_no_picture() {
        let mut unpacker = unpacker("h264");
        let slice = |sequence: u16| packet(sequence, u32::from(sequence) * 3000, true, &SLICE);
        let coded = [&[0, 0, 0, 1][..], &SLICE].concat();
        let mut foreign = slice(900);
        foreign[11] = 9;
        let mut other = slice(3);
        other[1] = 0x80 | 50;
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
            slice(40_000),
        ];
        assert_eq!(pictures(&mut unpacker, &packets), vec![PICTURE.to_vec(); 4]);
        assert_eq!(unpacker.lost(), 0);
    }

    #[test]
    fn a_sender_that_stays_is_the_sender() {
        let mut unpacker = unpacker("h264");
        let packets: Vec<_> = (0..FOREIGN_PACKETS as u16 + 5)
            .map(|at| {
                let mut packet = packet(at, u32::from(at) * 3000, true, &SLICE);
                packet[11] = if at == 0 { 7 } else { 9 };
                packet
            })
            .collect();
        assert_eq!(pictures(&mut unpacker, &packets).len(), 5);
    }

    #[test]
    fn a_gap_costs_the_picture_in_which_it_is() {
        let mut unpacker = unpacker("h264");
        let packets = [
            packet(1, 0, false, &[0x5C, 0x81, 0x9A]),
            packet(3, 0, true, &[0x5C, 0x41, 7]),
            packet(4, 3000, true, &SLICE),
        ];
        assert_eq!(pictures(&mut unpacker, &packets), [PICTURE]);
        assert_eq!(unpacker.lost(), 1);
    }

    #[test]
    fn parts_are_counted_before_the_library_makes_them() {
        for (encoding, payload, parts) in [
            ("h264", &SLICE[..], 1),
            ("h264", &[0x78, 0, 1, 9, 0, 1, 9, 0, 1, 9], 4),
            ("h264", &[0x65, 0, 0, 1, 9, 0, 0, 0, 1, 9], 3),
            ("h265", &[48 << 1, 1, 0, 2, 9, 9, 0, 2, 9, 9], 3),
            ("h265", &[19 << 1, 1, 0, 0, 1], 1),
            ("jpeg", &[0x78, 0, 0, 1], 1),
        ] {
            assert_eq!(unpacker(encoding).parts_in(payload), parts, "{payload:?}");
        }
        assert_eq!(aggregated(&[255, 255, 1]), 2);
    }

    #[test]
    fn time_goes_on_where_stamps_wrap_and_steps_back_with_them() {
        let mut unpacker = unpacker("h264");
        let mut elapsed = |stamp: u32| unpacker.timestamp(stamp).map(|stamp| stamp.elapsed());
        assert_eq!(elapsed(u32::MAX - 10), Some(0));
        assert_eq!(elapsed(20), Some(31));
        assert_eq!(elapsed(u32::MAX), Some(10));
    }

    #[test]
    fn what_is_no_video_is_given_up() {
        let mut unpacker = unpacker("h264");
        let fault =
            (0..=u16::MAX).find_map(|at| unpacker.push(&packet(at, 0, true, &[0xFF])).err());
        let Some(Broken::Unusable(reason)) = fault else {
            panic!("{fault:?}");
        };
        assert!(reason.contains("F bit"), "{reason}");
    }
}
