//! Demultiplexer for MPEG transport streams (ISO/IEC 13818-1): the first H.264 or H.265 stream of
//! the first program.
//!
//! Only what a recording of one camera needs is parsed: tables of one section, and packets of
//! the elementary stream with their presentation times. Anything else is skipped.

use ocelli_core::Codec;

/// Length of a packet, and its first byte.
const PACKET: usize = 188;
const SYNC: u8 = 0x47;
/// The packets with the table of programs.
const PROGRAMS: u16 = 0;

/// The longest access unit that is accepted, and the most capacity kept after one.
const MAX_ACCESS_UNIT: usize = 8 << 20;
const MAX_KEPT_CAPACITY: usize = 1 << 20;

/// Bits of a presentation time, which then starts again at 0.
const TIME_BITS: u32 = 33;

/// What a transport stream holds.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// The stream is announced, with its codec; `None` if it has neither H.264 nor H.265.
    Stream(Option<Codec>),
    /// A packet of the elementary stream, which is one access unit.
    Unit {
        /// Its presentation time in ticks of 90 kHz, if it has one.
        stamp: Option<i64>,
        /// The units in Annex B format.
        bytes: &'a [u8],
    },
}

/// Splits a transport stream into access units.
#[derive(Debug)]
pub struct Demuxer {
    /// Whether a padded packet is the last one of an access unit. Otherwise only the next access
    /// unit, or a length, shows where one ends.
    padding_ends: bool,
    bytes: Vec<u8>,
    /// Start of the bytes that were not parsed.
    start: usize,
    /// The packets with the table of streams.
    table: Option<u16>,
    /// The packets with the stream, and its codec.
    stream: Option<(u16, Codec)>,
    announced: Option<Option<Codec>>,
    /// The access unit that is being received, and its declared length.
    unit: Vec<u8>,
    declared: Option<usize>,
    is_open: bool,
    /// Whether it is whole, and is returned next.
    is_due: bool,
    stamp: Option<i64>,
    /// The last time, to extend the next one.
    last: Option<i64>,
    /// The complete access unit.
    complete: Vec<u8>,
    complete_stamp: Option<i64>,
}

impl Demuxer {
    /// Creates a demultiplexer. With `padding_ends`, a padded packet ends an access unit, as
    /// ffmpeg writes them.
    pub fn new(padding_ends: bool) -> Self {
        Self {
            padding_ends,
            bytes: Vec::new(),
            start: 0,
            table: None,
            stream: None,
            announced: None,
            unit: Vec::new(),
            declared: None,
            is_open: false,
            is_due: false,
            stamp: None,
            last: None,
            complete: Vec::new(),
            complete_stamp: None,
        }
    }

    /// Appends more of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.start);
        self.start = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// Returns the next event in the pushed bytes.
    pub fn next_event(&mut self) -> Option<Event<'_>> {
        if std::mem::take(&mut self.is_due) && self.finish().is_some() {
            return Some(self.unit());
        }
        loop {
            let rest = &self.bytes[self.start..];
            // Anything between the packets is skipped.
            let skipped = rest.iter().position(|&byte| byte == SYNC);
            self.start += skipped.unwrap_or(rest.len());
            let packet = self.bytes.get(self.start..self.start + PACKET)?;
            let packet: [u8; PACKET] = packet.try_into().ok()?;
            self.start += PACKET;
            match self.take(&packet) {
                Some(Found::Stream(codec)) => return Some(Event::Stream(codec)),
                Some(Found::Unit) => return Some(self.unit()),
                None => {}
            }
        }
    }

    /// Returns the complete access unit.
    fn unit(&self) -> Event<'_> {
        Event::Unit {
            stamp: self.complete_stamp,
            bytes: &self.complete,
        }
    }

    /// Parses a packet.
    fn take(&mut self, packet: &[u8; PACKET]) -> Option<Found> {
        let number = u16::from_be_bytes([packet[1] & 0x1F, packet[2]]);
        let begins = packet[1] & 0x40 != 0;
        let is_defective = packet[1] & 0x80 != 0;
        let (has_adaptation, has_payload) = (packet[3] & 0x20 != 0, packet[3] & 0x10 != 0);
        if is_defective || !has_payload {
            return None;
        }
        let adaptation = match has_adaptation {
            true => usize::from(packet[4]) + 1,
            false => 0,
        };
        let payload = packet.get(4 + adaptation..)?;
        if number == PROGRAMS {
            self.table = first_program(section(payload, begins, 0)?);
            return None;
        }
        if Some(number) == self.table {
            let stream = video_stream(section(payload, begins, 2)?)?;
            let codec = stream.map(|(_, codec)| codec);
            self.stream = stream;
            if self.announced == Some(codec) {
                return None;
            }
            self.announced = Some(codec);
            return Some(Found::Stream(codec));
        }
        if self.stream.is_none_or(|(stream, _)| stream != number) {
            return None;
        }
        let is_padded = has_adaptation && is_padding(&packet[4..4 + adaptation]);
        self.take_payload(payload, begins, is_padded)
    }

    /// Parses a part of the elementary stream.
    fn take_payload(&mut self, payload: &[u8], begins: bool, is_padded: bool) -> Option<Found> {
        let mut found = None;
        let mut payload = payload;
        if begins {
            found = self.finish();
            let Some(header) = Header::parse(payload) else {
                return found;
            };
            payload = payload.get(header.len..).unwrap_or_default();
            self.is_open = true;
            self.declared = header.payload;
            self.stamp = header.stamp.map(|stamp| self.extend(stamp));
        }
        if !self.is_open {
            return found;
        }
        self.unit.extend_from_slice(payload);
        if self.unit.len() > MAX_ACCESS_UNIT {
            // No valid stream has an access unit this long.
            self.clear();
        }
        let is_whole = match self.declared {
            Some(len) => self.unit.len() >= len,
            None => self.padding_ends && is_padded,
        };
        if is_whole && found.is_none() {
            return self.finish();
        }
        // The one before it is returned first.
        self.is_due = is_whole;
        found
    }

    /// Completes the access unit.
    fn finish(&mut self) -> Option<Found> {
        if !self.is_open || self.unit.is_empty() {
            self.clear();
            return None;
        }
        std::mem::swap(&mut self.unit, &mut self.complete);
        self.complete_stamp = self.stamp;
        self.clear();
        Some(Found::Unit)
    }

    fn clear(&mut self) {
        self.is_open = false;
        self.declared = None;
        self.stamp = None;
        self.unit.clear();
        self.unit.shrink_to(MAX_KEPT_CAPACITY);
    }

    /// Extends a time across wraparounds.
    fn extend(&mut self, stamp: u64) -> i64 {
        let stamp = stamp.cast_signed();
        let whole = 1i64 << TIME_BITS;
        let last = self.last.unwrap_or(stamp);
        let step = (stamp - last).rem_euclid(whole);
        let step = if step >= whole / 2 {
            step - whole
        } else {
            step
        };
        let extended = last.saturating_add(step);
        self.last = Some(extended);
        extended
    }
}

/// What a packet completes.
enum Found {
    Stream(Option<Codec>),
    Unit,
}

/// The header of a packet of the elementary stream.
struct Header {
    /// Its length.
    len: usize,
    /// Presentation time.
    stamp: Option<u64>,
    /// Length of what follows it, if declared.
    payload: Option<usize>,
}

impl Header {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let ([0, 0, 1, _stream, high, low, _, flags, optional], rest) =
            bytes.split_first_chunk::<9>()?
        else {
            return None;
        };
        let len = 9 + usize::from(*optional);
        let declared = usize::from(u16::from_be_bytes([*high, *low]));
        let stamp = match (flags & 0x80 != 0, rest.first_chunk::<5>()) {
            (true, Some(&[a, b, c, d, e])) => Some(
                u64::from(a >> 1 & 7) << 30
                    | u64::from(b) << 22
                    | u64::from(c >> 1) << 15
                    | u64::from(d) << 7
                    | u64::from(e >> 1),
            ),
            _ => None,
        };
        Some(Self {
            len,
            stamp,
            // The declared length counts from behind its field.
            payload: (declared != 0).then(|| (declared + 6).saturating_sub(len)),
        })
    }
}

/// Returns whether an adaptation field, with its length in front, has bytes without a meaning.
fn is_padding(adaptation: &[u8]) -> bool {
    match adaptation {
        [] => false,
        [_] => true,
        [_, flags, rest @ ..] => {
            let clock = if flags & 0x10 != 0 { 6 } else { 0 };
            let original_clock = if flags & 0x08 != 0 { 6 } else { 0 };
            // Parts of other lengths are not written by those who pad.
            flags & 0x07 == 0 && rest.len() > clock + original_clock || rest.is_empty()
        }
    }
}

/// Returns the content of a section with this table id that begins in this packet.
fn section(payload: &[u8], begins: bool, table: u8) -> Option<&[u8]> {
    if !begins {
        return None;
    }
    let (&skipped, rest) = payload.split_first()?;
    let rest = rest.get(usize::from(skipped)..)?;
    let ([id, high, low], rest) = rest.split_first_chunk::<3>()?;
    let len = usize::from(u16::from_be_bytes([high & 0x0F, *low]));
    // A longer section continues in the next packet. What is needed comes first.
    let content = &rest[..len.min(rest.len())];
    // Number, version and position in front; a checksum behind.
    let end = if len <= rest.len() {
        len.checked_sub(4)?
    } else {
        content.len()
    };
    (*id == table).then(|| content.get(5..end)).flatten()
}

/// Returns the packets with the table of streams of the first program.
fn first_program(section: &[u8]) -> Option<u16> {
    let mut programs = section.chunks_exact(4);
    let program = programs.find(|program| program[..2] != [0, 0])?;
    Some(u16::from_be_bytes([program[2] & 0x1F, program[3]]))
}

/// Returns the packets of the first H.264 or H.265 stream; `Some(None)` for a table without one.
fn video_stream(section: &[u8]) -> Option<Option<(u16, Codec)>> {
    let (head, rest) = section.split_first_chunk::<4>()?;
    let skipped = usize::from(u16::from_be_bytes([head[2] & 0x0F, head[3]]));
    let mut rest = rest.get(skipped..)?;
    while let Some(([kind, a, b, c, d], after)) = rest.split_first_chunk::<5>() {
        let number = u16::from_be_bytes([a & 0x1F, *b]);
        match kind {
            0x1B => return Some(Some((number, Codec::H264))),
            0x24 => return Some(Some((number, Codec::H265))),
            _ => {}
        }
        let skipped = usize::from(u16::from_be_bytes([c & 0x0F, *d]));
        rest = after.get(skipped..).unwrap_or_default();
    }
    Some(None)
}

#[cfg(test)]
mod tests;
