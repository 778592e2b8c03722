//! RTP packets and tiny pictures for scripted RTSP cameras. The pictures were encoded with
//! x264 and x265, so every decoder plays them.

/// H.264, 64 × 48: parameter sets, a key frame and two more pictures.
pub const SPS: &[u8] = &[
    0x67, 0x42, 0xC0, 0x0A, 0xD9, 0x04, 0x7B, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10, 0x00, 0x00,
    0x03, 0x01, 0x40, 0xF1, 0x22, 0x64, 0x80,
];
/// The picture parameter set.
pub const PPS: &[u8] = &[0x68, 0xCB, 0x83, 0xCB, 0x20];
/// The key frame.
pub const KEY: &[u8] = &[
    0x65, 0x88, 0x84, 0x0F, 0xF2, 0x62, 0x80, 0x00, 0x80, 0x3C, 0x9C, 0x9C, 0x9D, 0x75, 0xD7, 0x5D,
    0x75, 0xD7, 0x5E,
];
/// The second picture.
pub const SECOND: &[u8] = &[0x41, 0x9A, 0x38, 0x1D, 0xE3, 0x60];
/// The third picture.
pub const THIRD: &[u8] = &[0x41, 0x9A, 0x54, 0x06, 0xF8, 0xD8];

/// Both parameter sets as in an SDP.
pub const SPROP: &str = "Z0LACtkEewEQAAADABAAAAMBQPEiZIA=,aMuDyyA=";

/// H.265, 64 × 64: the parameter sets, a key frame and another picture.
pub const H265: [&[u8]; 5] = [
    &[
        0x40, 0x01, 0x0C, 0x01, 0xFF, 0xFF, 0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00,
        0x03, 0x00, 0x00, 0x03, 0x00, 0x1E, 0x92, 0x80, 0x90,
    ],
    &[
        0x42, 0x01, 0x01, 0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00, 0x00,
        0x03, 0x00, 0x1E, 0xA0, 0x20, 0x81, 0x05, 0x96, 0x4A, 0x92, 0x4C, 0xAF, 0x01, 0x68, 0x08,
        0x00, 0x00, 0x03, 0x00, 0x08, 0x00, 0x00, 0x03, 0x00, 0x50, 0x40,
    ],
    &[0x44, 0x01, 0xC1, 0x72, 0xB4, 0x22, 0x40],
    &[
        0x28, 0x01, 0xAF, 0x11, 0x80, 0xF4, 0x92, 0x66, 0xFB, 0x69, 0x74, 0x03, 0x80,
    ],
    &[0x02, 0x01, 0xD0, 0x09, 0x7E, 0x10, 0xC6, 0x23, 0xFA, 0x0A],
];

/// RTP/JPEG: a picture of 320 × 240 in one packet.
pub const JPEG: &[u8] = &[0, 0, 0, 0, 1, 50, 40, 30, 1, 2, 3, 4];

/// Makes the RTP packets of one track. All fields may be changed at any time.
#[derive(Clone, Debug)]
pub struct Rtp {
    /// The payload type.
    pub payload_type: u8,
    /// The next sequence number.
    pub sequence: u16,
    /// The timestamp.
    pub stamp: u32,
    /// The sender.
    pub sender: u32,
}

impl Rtp {
    /// Creates a track.
    pub fn new(payload_type: u8) -> Self {
        Self {
            payload_type,
            sequence: 1000,
            stamp: 90_000,
            sender: 7,
        }
    }

    /// Returns the next packet.
    pub fn packet(&mut self, mark: bool, payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x80, self.payload_type | u8::from(mark) << 7];
        packet.extend(self.sequence.to_be_bytes());
        packet.extend(self.stamp.to_be_bytes());
        packet.extend(self.sender.to_be_bytes());
        packet.extend_from_slice(payload);
        self.sequence = self.sequence.wrapping_add(1);
        packet
    }

    /// Returns the packets of the next picture, one for each unit, with a marker on the last. The
    /// timestamp moves by a tenth of a second.
    pub fn picture(&mut self, units: &[&[u8]]) -> Vec<Vec<u8>> {
        self.stamp = self.stamp.wrapping_add(9_000);
        let last = units.len().saturating_sub(1);
        let units = units.iter().enumerate();
        units
            .map(|(at, unit)| self.packet(at == last, unit))
            .collect()
    }

    /// Returns the packets of an H.264 key frame with its parameter sets, and of two more
    /// pictures.
    pub fn h264(&mut self) -> Vec<Vec<u8>> {
        let pictures: [&[&[u8]]; 3] = [&[SPS, PPS, KEY], &[SECOND], &[THIRD]];
        pictures
            .iter()
            .flat_map(|units| self.picture(units))
            .collect()
    }

    /// Returns the packets of an H.265 key frame with its parameter sets, and of another picture.
    pub fn h265(&mut self) -> Vec<Vec<u8>> {
        let mut packets = self.picture(&H265[..4]);
        packets.extend(self.picture(&H265[4..]));
        packets
    }

    /// Returns a unit in fragments (FU-A) of this many bytes.
    pub fn fragments(&mut self, unit: &[u8], size: usize) -> Vec<Vec<u8>> {
        let Some((header, rest)) = unit.split_first() else {
            return Vec::new();
        };
        let pieces: Vec<_> = rest.chunks(size).collect();
        let last = pieces.len().saturating_sub(1);
        let pieces = pieces.into_iter().enumerate();
        let made = pieces.map(|(at, piece)| {
            let begins = if at == 0 { 0x80 } else { 0 };
            let ends = if at == last { 0x40 } else { 0 };
            let fragment = [header & 0x60 | 28, begins | ends | header & 0x1F];
            self.packet(at == last, &[&fragment[..], piece].concat())
        });
        made.collect()
    }
}
