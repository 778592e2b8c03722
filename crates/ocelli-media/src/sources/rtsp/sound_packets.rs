//! Sound in RTP: AAC (RFC 3640) and G.711 (RFC 3551), unpacked to units within limits.
//!
//! What is not valid is left out: sound is never a reason for the failure of a camera. Packets
//! that arrive late are dropped instead of waited for.

use super::rtp::{Preferred, Rtp};
use super::sdp::Track;
use crate::aac;
use ocelli_core::{SoundCodec, SoundFormat};
use std::collections::VecDeque;

/// The most units in a packet. An AAC access unit has 20 ms or more.
const MAX_UNITS: usize = 64;
/// The longest access unit: 6144 bits for each of eight channels.
const MAX_UNIT: usize = 6144;
/// Packets whose sequence numbers are at most this far back are duplicates or late, unless as
/// many follow each other: then the camera has restarted its numbering.
const MAX_LATE: u16 = 50;
/// The clock rate of G.711 if a camera states none.
const G711_RATE: u32 = 8000;

/// A unit of sound.
#[derive(Debug, PartialEq, Eq)]
pub struct Unit {
    /// Time since the first packet, in ticks of the track's clock.
    pub elapsed: i64,
    /// How long it lasts, in the same ticks.
    pub duration: i64,
    /// Whether sound is missing before it.
    pub after_loss: bool,
    /// The AAC access unit or the G.711 samples.
    pub payload: Vec<u8>,
}

/// How a track's payloads are unpacked.
enum Payloads {
    Aac(AccessUnits),
    /// Bytes in each sample of all channels.
    G711(usize),
}

/// Unpacker of a track with sound.
pub struct SoundPackets {
    format: SoundFormat,
    payloads: Payloads,
    payload_type: Preferred<u8>,
    sender: Preferred<u32>,
    clock_rate: u32,
    /// The next sequence number.
    next: Option<u16>,
    late: u16,
    /// The last timestamp, and the first one.
    stamp: Option<(i64, i64)>,
    after_loss: bool,
    units: VecDeque<Unit>,
}

impl SoundPackets {
    /// Creates an unpacker for a track; `None` if it is no sound that can be passed on.
    pub fn new(track: &Track) -> Option<Self> {
        if track.media != "audio" {
            return None;
        }
        let g711 = |codec, codec_string: &str| {
            let channels = track.channels.unwrap_or(1).max(1);
            let format = SoundFormat {
                codec,
                codec_string: codec_string.to_owned(),
                rate: match track.clock_rate {
                    // The default of the session description, which is that of video.
                    90_000 => G711_RATE,
                    rate => rate,
                },
                channels,
                config: Vec::new(),
            };
            (Payloads::G711(channels.into()), format)
        };
        let (payloads, format) = match &*track.encoding {
            "pcma" => g711(SoundCodec::PcmA, "alaw"),
            "pcmu" => g711(SoundCodec::PcmU, "ulaw"),
            "mpeg4-generic" => {
                let (units, format) = AccessUnits::new(track)?;
                (Payloads::Aac(units), format)
            }
            _ => return None,
        };
        Some(Self {
            clock_rate: match payloads {
                Payloads::G711(_) => format.rate,
                Payloads::Aac(_) => track.clock_rate.max(1),
            },
            format,
            payloads,
            payload_type: Preferred::new(Some(track.payload_type)),
            sender: Preferred::new(None),
            next: None,
            late: 0,
            stamp: None,
            after_loss: false,
            units: VecDeque::new(),
        })
    }

    /// Returns the format of the units.
    pub fn format(&self) -> &SoundFormat {
        &self.format
    }

    /// Returns the ticks of the track's clock a second.
    pub fn clock_rate(&self) -> u32 {
        self.clock_rate
    }

    /// Returns the time from the first packet to this timestamp of a report, in ticks of the
    /// track's clock; `None` before the first packet.
    pub fn elapsed_at(&self, stamp: u32) -> Option<i64> {
        let (last, start) = self.stamp?;
        let passed = stamp.wrapping_sub(last as u32).cast_signed();
        Some(last.saturating_add(i64::from(passed)).saturating_sub(start))
    }

    /// Adds an RTP packet. All units must be pulled before the next one.
    pub fn push(&mut self, packet: &[u8]) {
        let Ok(rtp) = Rtp::parse(packet) else {
            return;
        };
        if !self.payload_type.accepts(rtp.payload_type) || rtp.payload.is_empty() {
            return;
        }
        if self.sender.known != Some(rtp.sender) {
            if !self.sender.accepts(rtp.sender) {
                return;
            }
            self.next = None;
        }
        let ahead = rtp.sequence.wrapping_sub(self.next.unwrap_or(rtp.sequence));
        if ahead.wrapping_neg() <= MAX_LATE && ahead != 0 && self.late < MAX_LATE {
            self.late += 1;
            return;
        }
        self.late = 0;
        self.next = Some(rtp.sequence.wrapping_add(1));
        let stamp = self.extend(rtp.stamp);
        let elapsed = stamp.saturating_sub(self.stamp.map_or(stamp, |(_, start)| start));
        self.after_loss |= ahead != 0;
        let after_loss = &mut self.after_loss;
        let units = &mut self.units;
        let mut add = |elapsed, duration, payload: &[u8]| {
            units.push_back(Unit {
                elapsed,
                duration,
                after_loss: std::mem::take(after_loss),
                payload: payload.to_vec(),
            });
        };
        match &mut self.payloads {
            Payloads::G711(sample) => {
                let samples = rtp.payload.len() / *sample;
                add(elapsed, samples as i64, rtp.payload);
            }
            Payloads::Aac(packets) => {
                if ahead != 0 {
                    packets.begun.clear();
                }
                if packets.unpack(elapsed, rtp.payload, &mut add).is_none() {
                    packets.begun.clear();
                    self.after_loss = true;
                }
            }
        }
    }

    /// Returns the next unit.
    pub fn pull(&mut self) -> Option<Unit> {
        self.units.pop_front()
    }

    /// Extends a timestamp across wraparounds.
    fn extend(&mut self, stamp: u32) -> i64 {
        let (last, start) = self.stamp.unwrap_or((stamp.into(), stamp.into()));
        let passed = stamp.wrapping_sub(last as u32).cast_signed();
        let now = last.saturating_add(i64::from(passed));
        self.stamp = Some((now, start));
        now
    }
}

/// AAC access units in packets with AU headers.
struct AccessUnits {
    /// Bits of the size in a header, and of the index in the first and the following headers.
    size_bits: usize,
    index_bits: [usize; 2],
    /// Duration of an access unit in ticks.
    duration: i64,
    /// The beginning of an access unit that is longer than a packet, and when it begins.
    begun: Vec<u8>,
    begun_at: i64,
}

impl AccessUnits {
    /// Parses the description of a track; `None` if it can't be played.
    fn new(track: &Track) -> Option<(Self, SoundFormat)> {
        let mut parameters = Parameters::default();
        for parameter in track.parameters.as_deref().unwrap_or_default().split(';') {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            parameters.set(name.trim(), value.trim());
        }
        let config = match &parameters.config {
            Some(config) => aac::Config::parse(config)?,
            None => aac::Config::low_complexity(track.clock_rate, track.channels.unwrap_or(1))?,
        };
        let is_low_rate = parameters.mode.eq_ignore_ascii_case("AAC-lbr");
        let usual = if is_low_rate { (6, 2) } else { (13, 3) };
        let size_bits = parameters.size_bits.unwrap_or(usual.0);
        let index_bits = [0, 1].map(|at| parameters.index_bits[at].unwrap_or(usual.1));
        // Other modes have more fields in the headers.
        let is_aac = is_low_rate
            || parameters.mode.is_empty()
            || parameters.mode.eq_ignore_ascii_case("AAC-hbr");
        if !is_aac || size_bits == 0 || size_bits > 16 || index_bits.iter().any(|&bits| bits > 16) {
            return None;
        }
        let ticks = u64::from(config.frame_len) * u64::from(track.clock_rate);
        let units = Self {
            size_bits,
            index_bits,
            duration: (ticks / u64::from(config.core_rate.max(1))) as i64,
            begun: Vec::new(),
            begun_at: 0,
        };
        Some((units, config.format()))
    }

    /// Unpacks a payload. Returns `None` if it is not valid, or only a part of an access unit
    /// whose other parts are missing.
    fn unpack(
        &mut self,
        elapsed: i64,
        payload: &[u8],
        mut add: impl FnMut(i64, i64, &[u8]),
    ) -> Option<()> {
        let (&[high, low], rest) = payload.split_first_chunk::<2>()?;
        let bits = usize::from(u16::from_be_bytes([high, low]));
        let (headers, mut data) = rest.split_at_checked(bits.div_ceil(8))?;
        let mut at = 0;
        let mut index = 0;
        while at + self.size_bits <= bits {
            let size = read_bits(headers, at, self.size_bits)?;
            at += self.size_bits + self.index_bits[usize::from(index > 0)];
            if size > MAX_UNIT || index >= MAX_UNITS {
                return None;
            }
            let is_only = index == 0 && at + self.size_bits > bits;
            if is_only && size > data.len() {
                return self.join(elapsed, size, data, add);
            }
            let (unit, after) = data.split_at_checked(size)?;
            if !unit.is_empty() {
                add(elapsed + index as i64 * self.duration, self.duration, unit);
            }
            data = after;
            index += 1;
        }
        (index > 0).then_some(())
    }

    /// Appends a part of an access unit.
    fn join(
        &mut self,
        elapsed: i64,
        size: usize,
        part: &[u8],
        mut add: impl FnMut(i64, i64, &[u8]),
    ) -> Option<()> {
        if self.begun_at != elapsed {
            self.begun.clear();
            self.begun_at = elapsed;
        }
        if self.begun.len() + part.len() > size {
            return None;
        }
        self.begun.extend_from_slice(part);
        if self.begun.len() == size {
            add(elapsed, self.duration, &self.begun);
            self.begun.clear();
        }
        Some(())
    }
}

/// The parameters of a track with AAC that matter here.
#[derive(Default)]
struct Parameters {
    mode: String,
    config: Option<Vec<u8>>,
    size_bits: Option<usize>,
    index_bits: [Option<usize>; 2],
}

impl Parameters {
    fn set(&mut self, name: &str, value: &str) {
        match name.to_ascii_lowercase().as_str() {
            "mode" => self.mode = value.to_owned(),
            // Some cameras send it empty.
            "config" if !value.is_empty() => self.config = Some(hex(value).unwrap_or_default()),
            "sizelength" => self.size_bits = value.parse().ok(),
            "indexlength" => self.index_bits[0] = value.parse().ok(),
            "indexdeltalength" => self.index_bits[1] = value.parse().ok(),
            _ => {}
        }
    }
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let pairs = text.as_bytes().chunks(2).map(|pair| match *pair {
        [high, low] => Some(digit(high)? << 4 | digit(low)?),
        _ => None,
    });
    pairs.collect()
}

fn read_bits(bytes: &[u8], at: usize, count: usize) -> Option<usize> {
    (at..at + count).try_fold(0, |value, at| {
        let byte = bytes.get(at / 8)?;
        Some(value << 1 | usize::from(byte >> (7 - at % 8) & 1))
    })
}

#[cfg(test)]
mod tests;
