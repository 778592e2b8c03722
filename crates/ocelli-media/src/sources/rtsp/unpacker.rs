//! RTP depacketization with the library `retina`, within limits.
//!
//! The library keeps a picture's packets until the picture ends, without a limit. So this
//! module counts the packets and bytes since the last picture, and gives the stream up when
//! they exceed those of any valid picture. A packet that the library rejects costs only that
//! picture. A panic in the library ends only the attempt.

use super::connection::SessionError;
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

/// The most packets of one picture, with each unit of an aggregation packet counted. An H.264
/// picture has at most as many slices as macroblocks, and cameras send a few hundred packets
/// for one.
const MAX_PARTS: usize = 16_384;
/// The most bytes of one picture.
const MAX_BYTES: usize = jpeg::MAX_BYTES;
/// Number of unreadable packets without a complete picture between them after which the stream
/// is given up.
const MAX_INVALID_PACKETS: usize = 1000;
/// Number of consecutive packets from another sender after which that sender is accepted.
const FOREIGN_PACKETS: usize = 32;
/// Packets whose sequence numbers are at most this far back are duplicates or late.
const MAX_LATE: u16 = 100;
/// Initial size of the library's buffer, which grows with the picture.
const INITIAL_BUFFER: usize = 64 << 10;
/// The only clock rate that the library accepts for video. Timestamps use the camera's own rate.
const LIBRARY_CLOCK: u32 = 90_000;

/// Annex B, without parameter sets. The hub inserts them, because the library does so only for
/// some types of key frames.
const FORMAT: FrameFormat = {
    let mut format = FrameFormat::SIMPLE;
    format.h26x_framing = h26x::Framing::AnnexB;
    format.parameter_set_insertion = ParameterSetInsertion::Never;
    format
};

/// RTP payload format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Packing {
    H264,
    H265,
    Jpeg,
}

/// Depacketizer of one track.
pub struct Unpacker {
    packing: Packing,
    payload_type: u8,
    clock_rate: NonZeroU32,
    depacketizer: Depacketizer,
    ring: DepacketizeBuf,
    sender: Option<u32>,
    foreign: usize,
    /// The next sequence number.
    next: Option<u16>,
    /// The last timestamp, and the first one.
    stamp: Option<(i64, u32)>,
    /// Bytes given to the library since the last picture.
    bytes: usize,
    parts: usize,
    /// Unreadable packets since the last picture.
    faults: usize,
    lost: u64,
}

impl Unpacker {
    /// Creates an unpacker for a track, or returns `None` if the track is not video with a
    /// supported codec.
    ///
    /// # Errors
    /// The library rejects the codec parameters.
    pub fn new(track: &Track) -> Result<Option<Self>, SessionError> {
        let packing = match (&*track.media, &*track.encoding) {
            ("video", "h264") => Packing::H264,
            ("video", "h265") => Packing::H265,
            ("video", "jpeg") => Packing::Jpeg,
            _ => return Ok(None),
        };
        let parameters = track.parameters.as_deref();
        let made = catch_panic(|| {
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
            ring: DepacketizeBuf::new(INITIAL_BUFFER),
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

    /// Returns the number of lost packets.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Returns the parameters of the video, once they are known.
    pub fn parameters(&self) -> Option<&VideoParameters> {
        match self.depacketizer.parameters() {
            Some(ParametersRef::Video(parameters)) => Some(parameters),
            _ => None,
        }
    }

    /// Adds an RTP packet. All pictures must be pulled before the next one.
    ///
    /// # Errors
    /// A picture exceeds a limit, or the stream is not valid video.
    pub fn push(&mut self, packet: &[u8]) -> Result<(), SessionError> {
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
        let Some(loss) = self.check_sequence(header.sequence_number()) else {
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
            mark: header.mark() && !self.is_fragment(payload),
            loss: u16::from(loss),
        };
        let (ring, depacketizer) = (&mut self.ring, &mut self.depacketizer);
        match catch_panic(|| ring.push(depacketizer, meta, payload))? {
            Ok(()) => Ok(()),
            Err(fault) => {
                // The library has dropped the picture that this packet belongs to.
                (self.bytes, self.parts) = (0, 0);
                self.fault(&fault)
            }
        }
    }

    /// Returns the next complete picture.
    ///
    /// # Errors
    /// The stream is not valid video.
    pub fn pull(&mut self) -> Result<Option<VideoFrame>, SessionError> {
        loop {
            let depacketizer = &mut self.depacketizer;
            match catch_panic(|| depacketizer.pull())? {
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

    /// Returns true if a packet is from the current sender. Old servers mix in packets of other
    /// sessions.
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

    /// Returns whether packets are missing before this one, or `None` if it is a duplicate or too
    /// late.
    fn check_sequence(&mut self, sequence: u16) -> Option<bool> {
        let ahead = sequence.wrapping_sub(self.next.unwrap_or(sequence));
        if ahead.wrapping_neg() <= MAX_LATE && ahead != 0 {
            return None;
        }
        self.next = Some(sequence.wrapping_add(1));
        // Further back means that the camera has restarted its sequence numbers.
        if ahead < 0x8000 {
            self.lost += u64::from(ahead);
        }
        Some(ahead > 0)
    }

    /// Returns the payload without the start code that some cameras put before it.
    fn bare<'a>(&self, payload: &'a [u8]) -> &'a [u8] {
        if self.packing == Packing::Jpeg {
            return payload;
        }
        let long = payload.strip_prefix(&[0, 0, 0, 1]);
        long.or_else(|| payload.strip_prefix(&[0, 0, 1]))
            .unwrap_or(payload)
    }

    /// Returns true if a packet holds a fragment of a unit, but not the last one. Some cameras set
    /// the marker bit in every packet.
    fn is_fragment(&self, payload: &[u8]) -> bool {
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

    fn count(&mut self, payload: &[u8]) -> Result<(), SessionError> {
        self.bytes += payload.len();
        self.parts += self.parts_in(payload);
        if self.bytes <= MAX_BYTES && self.parts <= MAX_PARTS {
            return Ok(());
        }
        Err(SessionError::Unusable(format!(
            "one of its pictures does not end; a picture should have at most {} MiB \
             in {MAX_PARTS} packets",
            MAX_BYTES >> 20
        )))
    }

    /// Returns how many units the library may find in a packet.
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

    fn fault(&mut self, fault: &str) -> Result<(), SessionError> {
        self.faults += 1;
        if self.faults < MAX_INVALID_PACKETS {
            return Ok(());
        }
        Err(unreadable(fault))
    }
}

fn unreadable(fault: &str) -> SessionError {
    SessionError::Unusable(format!(
        "its video is not valid ({}); ffmpeg:rtsp://… may be able to read it",
        quoted(fault)
    ))
}

/// Counts the units of an aggregation packet, each of which follows its length. Returns at
/// least 1.
fn aggregated(mut units: &[u8]) -> usize {
    let mut count = 1;
    while let [high, low, rest @ ..] = units {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        units = rest.get(length..).unwrap_or_default();
        count += 1;
    }
    count
}

/// Counts the start codes in these bytes.
fn start_codes(bytes: &[u8]) -> usize {
    let (mut count, mut at) = (0, 2);
    while let Some(&byte) = bytes.get(at) {
        count += usize::from(byte == 1 && bytes[at - 1] == 0 && bytes[at - 2] == 0);
        // A non-zero byte can't be part of a code that ends after it.
        at += if byte == 0 { 1 } else { 3 };
    }
    count
}

/// Calls the library and converts a panic to an error.
fn catch_panic<T>(work: impl FnOnce() -> T) -> Result<T, SessionError> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| {
        let reason = "a bug in the hub: it can't process this camera's video; please report it";
        SessionError::Unusable(reason.to_owned())
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
    fn common_packet_faults_lose_no_picture() {
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
    fn a_new_sender_is_accepted_after_some_packets() {
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
    fn a_lost_packet_loses_only_its_picture() {
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
    fn units_are_counted_before_the_library_sees_them() {
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
    fn timestamps_are_extended_across_wraparounds() {
        let mut unpacker = unpacker("h264");
        let mut elapsed = |stamp: u32| unpacker.timestamp(stamp).map(|stamp| stamp.elapsed());
        assert_eq!(elapsed(u32::MAX - 10), Some(0));
        assert_eq!(elapsed(20), Some(31));
        assert_eq!(elapsed(u32::MAX), Some(10));
    }

    #[test]
    fn a_stream_of_invalid_packets_is_given_up() {
        let mut unpacker = unpacker("h264");
        let fault =
            (0..=u16::MAX).find_map(|at| unpacker.push(&packet(at, 0, true, &[0xFF])).err());
        let Some(SessionError::Unusable(reason)) = fault else {
            panic!("{fault:?}");
        };
        assert!(reason.contains("F bit"), "{reason}");
    }
}
