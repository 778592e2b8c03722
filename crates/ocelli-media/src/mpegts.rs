//! Demultiplexer for MPEG transport streams (ISO/IEC 13818-1): the first H.264 or H.265 stream of
//! the first program, and its sound.
//!
//! Only what a recording of one camera needs is parsed: tables of one section, and packets of
//! the elementary streams with their presentation times. Anything else is skipped.

mod table;

use ocelli_core::Codec;
pub use table::SoundKind;
use table::{first_program, section, streams};

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

/// The longest packet of sound that is accepted: what fits into its declared length.
const MAX_SOUND: usize = 1 << 16;

/// What a transport stream holds.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// The streams are announced.
    Streams {
        /// The codec of the video; `None` if it is neither H.264 nor H.265.
        video: Option<Codec>,
        /// The sound, if there is any.
        sound: Option<SoundKind>,
    },
    /// A packet of the video, which is one access unit.
    Unit {
        /// Its presentation time in ticks of 90 kHz, if it has one.
        stamp: Option<i64>,
        /// The units in Annex B format.
        bytes: &'a [u8],
    },
    /// A packet of the sound, in the form of its codec in transport streams.
    Sound {
        /// Presentation time of its first unit, on the clock of the video, if it has one.
        stamp: Option<i64>,
        /// The payload.
        bytes: &'a [u8],
    },
}

/// Splits a transport stream into access units.
#[derive(Debug)]
pub struct Demuxer {
    bytes: Vec<u8>,
    /// Start of the bytes that were not parsed.
    start: usize,
    /// The packets with the table of streams.
    table: Option<u16>,
    /// The packets with the video, and its codec.
    video: Option<(u16, Codec)>,
    /// The packets with the sound, and its kind.
    sound: Option<(u16, SoundKind)>,
    announced: Option<(Option<Codec>, Option<SoundKind>)>,
    pictures: Elementary,
    sounds: Elementary,
}

impl Demuxer {
    /// Creates a demultiplexer. With `padding_ends`, a padded packet ends an access unit, as
    /// ffmpeg writes them.
    pub fn new(padding_ends: bool) -> Self {
        Self {
            bytes: Vec::new(),
            start: 0,
            table: None,
            video: None,
            sound: None,
            announced: None,
            pictures: Elementary::new(padding_ends, MAX_ACCESS_UNIT),
            sounds: Elementary::new(padding_ends, MAX_SOUND),
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
        if self.pictures.is_due() {
            return Some(self.unit());
        }
        if self.sounds.is_due() {
            return Some(self.sound());
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
                Some(Found::Streams) => {
                    let (video, sound) = self.announced.unwrap_or_default();
                    return Some(Event::Streams { video, sound });
                }
                Some(Found::Unit) => return Some(self.unit()),
                Some(Found::Sound) => return Some(self.sound()),
                None => {}
            }
        }
    }

    /// Returns the complete access unit.
    fn unit(&self) -> Event<'_> {
        Event::Unit {
            stamp: self.pictures.complete_stamp,
            bytes: &self.pictures.complete,
        }
    }

    /// Returns the complete packet of sound.
    fn sound(&self) -> Event<'_> {
        Event::Sound {
            stamp: self.sounds.complete_stamp,
            bytes: &self.sounds.complete,
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
            (self.video, self.sound) = streams(section(payload, begins, 2)?)?;
            let video = self.video.map(|(_, codec)| codec);
            let now = (video, self.sound.map(|(_, kind)| kind));
            if self.announced == Some(now) {
                return None;
            }
            self.announced = Some(now);
            return Some(Found::Streams);
        }
        let is_padded = has_adaptation && is_padding(&packet[4..4 + adaptation]);
        if self.video.is_some_and(|(stream, _)| stream == number) {
            let found = self.pictures.take(payload, begins, is_padded, None);
            return found.then_some(Found::Unit);
        }
        if self.sound.is_some_and(|(stream, _)| stream == number) {
            let near = self.pictures.last;
            let found = self.sounds.take(payload, begins, is_padded, near);
            return found.then_some(Found::Sound);
        }
        None
    }
}

/// The packets of one elementary stream.
#[derive(Debug)]
struct Elementary {
    /// Whether a padded packet is the last one of an access unit. Otherwise only the next access
    /// unit, or a length, shows where one ends.
    padding_ends: bool,
    /// The longest unit that is accepted.
    max: usize,
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

impl Elementary {
    fn new(padding_ends: bool, max: usize) -> Self {
        Self {
            padding_ends,
            max,
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

    /// Completes the unit that is due. Returns whether there is one.
    fn is_due(&mut self) -> bool {
        std::mem::take(&mut self.is_due) && self.finish()
    }

    /// Parses a part. Returns whether it completes a unit. `near` is a time of another stream, near
    /// which the first time is.
    fn take(&mut self, payload: &[u8], begins: bool, is_padded: bool, near: Option<i64>) -> bool {
        let mut found = false;
        let mut payload = payload;
        if begins {
            found = self.finish();
            let Some(header) = Header::parse(payload) else {
                return found;
            };
            payload = payload.get(header.len..).unwrap_or_default();
            self.is_open = true;
            self.declared = header.payload;
            self.stamp = header.stamp.map(|stamp| self.extend(stamp, near));
        }
        if !self.is_open {
            return found;
        }
        self.unit.extend_from_slice(payload);
        if self.unit.len() > self.max {
            // No valid stream has an access unit this long.
            self.clear();
        }
        let is_whole = match self.declared {
            Some(len) => self.unit.len() >= len,
            None => self.padding_ends && is_padded,
        };
        if is_whole && !found {
            return self.finish();
        }
        // The one before it is returned first.
        self.is_due = is_whole;
        found
    }

    /// Completes the access unit. Returns whether there is one.
    fn finish(&mut self) -> bool {
        if !self.is_open || self.unit.is_empty() {
            self.clear();
            return false;
        }
        std::mem::swap(&mut self.unit, &mut self.complete);
        self.complete_stamp = self.stamp;
        self.clear();
        true
    }

    fn clear(&mut self) {
        self.is_open = false;
        self.declared = None;
        self.stamp = None;
        self.unit.clear();
        self.unit.shrink_to(MAX_KEPT_CAPACITY);
    }

    /// Extends a time across wraparounds.
    fn extend(&mut self, stamp: u64, near: Option<i64>) -> i64 {
        let stamp = stamp.cast_signed();
        let whole = 1i64 << TIME_BITS;
        let last = self.last.or(near).unwrap_or(stamp);
        let step = stamp.saturating_sub(last).rem_euclid(whole);
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
    Streams,
    Unit,
    Sound,
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

#[cfg(test)]
mod tests;
