//! An MPEG transport stream (ISO/IEC 13818-1) of one MPEG-1 video.
//!
//! The packets are made here, from the pictures that all viewers share, and not by a second
//! ffmpeg: the transport stream adds only headers to the elementary stream. The continuity counters
//! are per viewer, because a viewer that skips pictures must see no gap in them.

use ocelli_core::Frame;

/// The size of a packet in bytes.
const PACKET: usize = 188;
/// The size of a packet's header in bytes.
const HEADER: usize = 4;

const PAT_PID: u16 = 0;
const PMT_PID: u16 = 0x1000;
const VIDEO_PID: u16 = 0x100;

/// MPEG-1 video (table 2-34).
const STREAM_TYPE: u8 = 1;
/// The first video stream (table 2-22).
const STREAM_ID: u8 = 0xE0;

/// Ticks per second of the stream's clock.
const CLOCK: u64 = 90_000;
/// Presentation delay: the PTS of a picture is this far ahead of the PCR sent with it.
const AHEAD: u64 = CLOCK / 10;

/// Packetizer for one viewer.
#[derive(Debug, Default)]
pub struct Packer {
    /// The continuity counters: PAT, PMT, video.
    counts: [u8; 3],
    last: Option<u32>,
}

impl Packer {
    /// Returns a picture as packets; `rate` is the frame rate as a fraction.
    pub fn pack(&mut self, frame: &Frame, rate: (u32, u32)) -> Vec<u8> {
        let payload = frame.payload();
        let mut packets = Vec::with_capacity((payload.len() / 180 + 4) * PACKET);
        if frame.key {
            self.tables(&mut packets);
        }
        // The time follows from the picture's sequence number, which also counts skipped pictures.
        let clock = u64::from(frame.sequence) * CLOCK * u64::from(rate.1) / u64::from(rate.0);
        let gap = self
            .last
            .is_some_and(|last| frame.sequence != last.wrapping_add(1));
        self.last = Some(frame.sequence);

        let mut rest: &[&[u8]] = &[&pes_header(clock + AHEAD), &payload];
        let mut at = 0;
        let mut first = true;
        while !rest.is_empty() {
            let left: usize = rest.iter().map(|part| part.len()).sum::<usize>() - at;
            let mut field = Vec::new();
            if first {
                field = clock_field(clock, gap, frame.key);
            }
            let mut room = PACKET - HEADER - field.len();
            if left < room {
                stuff(&mut field, room - left);
                room = left;
            }
            self.header(&mut packets, 2, VIDEO_PID, first, !field.is_empty());
            packets.extend(&field);
            while room > 0 {
                let part = &rest[0][at..];
                let len = part.len().min(room);
                packets.extend(&part[..len]);
                (at, room) = (at + len, room - len);
                if at == rest[0].len() {
                    (rest, at) = (&rest[1..], 0);
                }
                if rest.is_empty() {
                    break;
                }
            }
            first = false;
        }
        packets
    }

    fn header(&mut self, packets: &mut Vec<u8>, stream: usize, pid: u16, first: bool, field: bool) {
        let count = self.counts[stream];
        self.counts[stream] = (count + 1) & 0x0F;
        let [high, low] = pid.to_be_bytes();
        let control = 0x10 | u8::from(field) << 5 | count;
        packets.extend([0x47, u8::from(first) << 6 | high, low, control]);
    }

    /// Appends the tables: one program with one video.
    fn tables(&mut self, packets: &mut Vec<u8>) {
        let [map_high, map_low] = (PMT_PID | 0xE000).to_be_bytes();
        let [video_high, video_low] = (VIDEO_PID | 0xE000).to_be_bytes();
        let association = [0, 1, map_high, map_low];
        let map = [
            video_high,
            video_low,
            0xF0,
            0,
            STREAM_TYPE,
            video_high,
            video_low,
            0xF0,
            0,
        ];
        self.table(packets, 0, PAT_PID, 0, &association);
        self.table(packets, 1, PMT_PID, 2, &map);
    }

    fn table(&mut self, packets: &mut Vec<u8>, stream: usize, pid: u16, id: u8, body: &[u8]) {
        let start = packets.len();
        self.header(packets, stream, pid, true, false);
        packets.push(0);
        let section = packets.len();
        let len = (5 + body.len() + 4) as u8;
        packets.extend([id, 0xB0, len, 0, 1, 0xC1, 0, 0]);
        packets.extend(body);
        let sum = checksum(&packets[section..]);
        packets.extend(sum.to_be_bytes());
        packets.resize(start + PACKET, 0xFF);
    }
}

/// The PES header of a picture of unbounded length, with its time (2.4.3.6).
fn pes_header(time: u64) -> [u8; 14] {
    let mut header = [0, 0, 1, STREAM_ID, 0, 0, 0x80, 0x80, 5, 0, 0, 0, 0, 0];
    header[9] = 0x21 | (time >> 29) as u8 & 0x0E;
    header[10] = (time >> 22) as u8;
    header[11] = 1 | (time >> 14) as u8 & 0xFE;
    header[12] = (time >> 7) as u8;
    header[13] = 1 | (time << 1) as u8 & 0xFE;
    header
}

/// An adaptation field with the PCR (2.4.3.4).
fn clock_field(clock: u64, gap: bool, key: bool) -> Vec<u8> {
    let base = clock & 0x1_FFFF_FFFF;
    let mut field = vec![7, u8::from(gap) << 7 | u8::from(key) << 6 | 0x10];
    field.extend(((base >> 1) as u32).to_be_bytes());
    field.extend([(base as u8 & 1) << 7 | 0x7E, 0]);
    field
}

/// Stuffs an adaptation field with `len` bytes.
fn stuff(field: &mut Vec<u8>, len: usize) {
    let end = field.len() + len;
    if field.is_empty() {
        field.push(0);
        if end > 1 {
            field.push(0);
        }
    }
    field.resize(end, 0xFF);
    field[0] = (end - 1) as u8;
}

/// The CRC of tables (annex A).
fn checksum(section: &[u8]) -> u32 {
    section.iter().fold(!0, |sum, &byte| {
        (0..8).fold(sum ^ u32::from(byte) << 24, |sum, _| {
            (sum << 1) ^ if sum >> 31 == 1 { 0x04C1_1DB7 } else { 0 }
        })
    })
}
