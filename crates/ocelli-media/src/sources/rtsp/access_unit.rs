//! H.264 (RFC 6184) and H.265 (RFC 7798) payloads, assembled to access units in Annex B format.
//!
//! Cameras deviate from the payload formats, so the boundaries of pictures are found in three
//! ways. The marker bit ends a picture at once, which is the fastest way. The timestamp changes
//! with every picture, for cameras that never set the marker or set it in every packet. Units
//! that can only be the first of a picture begin one, for cameras whose timestamps stand still.
//! The units themselves are not interpreted; the decoder does that.

use super::super::parameter_sets::{CompleteUnit, ParameterSets};
use crate::annexb::{self, START_CODE};
use ocelli_core::Codec;
use std::collections::VecDeque;

/// Initial capacity of the buffer of an access unit, and the most that is kept for the next.
const CAPACITY: usize = 64 << 10;
const MAX_KEPT: usize = 1 << 20;
/// The most access units in one packet.
const MAX_READY: usize = 16;
/// The most pictures with one timestamp: an interlaced frame has two. With more the timestamps
/// stand still.
const FIELDS: u32 = 2;

/// Access unit with its time.
#[derive(Debug)]
pub struct AccessUnit {
    /// Extended RTP timestamp.
    pub stamp: i64,
    /// The unit as it is published.
    pub unit: CompleteUnit,
}

/// An RTP packet's facts that matter here.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// Extended RTP timestamp.
    pub stamp: i64,
    /// The marker bit.
    pub mark: bool,
    /// Whether packets are missing before it.
    pub after_loss: bool,
    /// The payload.
    pub payload: &'a [u8],
}

/// What the marker bit means in this stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Marker {
    /// Every packet with a part of a slice had it so far.
    Unknown,
    /// It ends a picture.
    Ends,
    /// It is also set in the middle of pictures.
    Meaningless,
}

/// Assembles access units.
pub struct Assembler {
    codec: Codec,
    /// Bytes of the decoding order number in front of units, if the camera sends one.
    order_number: usize,
    sets: ParameterSets,
    ready: VecDeque<AccessUnit>,
    /// The access unit so far.
    bytes: Vec<u8>,
    /// Bytes and units since the last picture, with skipped ones.
    received: usize,
    units: usize,
    stamp: Option<i64>,
    has_slices: bool,
    /// Number of slices that are the first of a picture.
    firsts: u32,
    /// Position of the last unit.
    unit_at: usize,
    /// Whether the last unit is a fragmented one whose end has not arrived.
    is_open: bool,
    /// Position of the first unit that can't follow the slices before it.
    next_at: Option<usize>,
    /// Whether the rest of the access unit is skipped, because a part of it is missing.
    is_broken: bool,
    /// Whether the beginning of the access unit may be missing.
    after_loss: bool,
    marker: Marker,
    /// Timestamp of the last picture whose end was marked.
    marked: Option<i64>,
    /// Whether pictures have the same timestamp.
    stands_still: bool,
}

impl Assembler {
    /// Creates an assembler for a track with these codec parameters.
    pub fn new(codec: Codec, parameters: Option<&str>) -> Self {
        Self {
            codec,
            order_number: order_number(codec, parameters.unwrap_or_default()),
            sets: ParameterSets::announced(codec, parameters),
            ready: VecDeque::new(),
            bytes: Vec::with_capacity(CAPACITY),
            received: 0,
            units: 0,
            stamp: None,
            has_slices: false,
            firsts: 0,
            unit_at: 0,
            is_open: false,
            next_at: None,
            is_broken: false,
            after_loss: false,
            marker: Marker::Unknown,
            marked: None,
            stands_still: false,
        }
    }

    /// Returns the parameter sets received so far.
    pub fn sets(&self) -> &ParameterSets {
        &self.sets
    }

    /// Returns the bytes and units since the last picture.
    pub fn held(&self) -> (usize, usize) {
        (self.received.max(self.bytes.len()), self.units)
    }

    /// Returns the next complete access unit.
    pub fn take(&mut self) -> Option<AccessUnit> {
        self.ready.pop_front()
    }

    /// Adds a packet.
    ///
    /// # Errors
    /// Its payload is not valid. Only its picture is affected.
    pub fn push(&mut self, packet: Packet<'_>) -> Result<(), &'static str> {
        if packet.after_loss {
            self.lose(packet.stamp);
        }
        if self.stamp != Some(packet.stamp) {
            self.change_stamp(packet.stamp);
        }
        self.received += packet.payload.len();
        self.units += 1 + annexb::start_codes(packet.payload);
        let result = match self.codec {
            Codec::H265 => self.h265(packet.payload),
            _ => self.h264(packet.payload),
        };
        if result.is_err() {
            self.break_off();
        }
        match packet.mark {
            true if !self.is_open => self.mark(packet.stamp),
            false if self.has_slices && self.marker == Marker::Unknown => {
                self.marker = Marker::Ends;
            }
            _ => {}
        }
        result
    }

    /// Handles a marker bit.
    fn mark(&mut self, stamp: i64) {
        if self.marker == Marker::Meaningless {
            return;
        }
        if self.is_broken {
            self.clear();
            self.after_loss = true;
        } else if self.has_slices {
            self.marked = Some(stamp);
            if self.marker == Marker::Ends {
                self.finish();
            }
        }
    }

    /// Notes that packets are missing before a packet with this timestamp.
    fn lose(&mut self, stamp: i64) {
        self.after_loss = true;
        if self.stamp == Some(stamp) && !self.stands_still && !self.bytes.is_empty() {
            self.break_off();
        } else if self.marker == Marker::Unknown && self.marked == self.stamp {
            // This picture was complete.
        } else {
            // Its end is missing.
            self.clear();
        }
    }

    /// Skips the rest of this access unit.
    fn break_off(&mut self) {
        let (received, units) = (self.received, self.units);
        self.clear();
        (self.received, self.units) = (received, units);
        self.is_broken = true;
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.received = 0;
        self.units = 0;
        self.has_slices = false;
        self.is_open = false;
        self.next_at = None;
        self.is_broken = false;
    }

    fn change_stamp(&mut self, stamp: i64) {
        if self.marker == Marker::Unknown && self.marked.is_some() && self.marked == self.stamp {
            self.marker = Marker::Ends;
        }
        // A unit without an end is complete: some cameras do not mark the last fragment.
        if std::mem::take(&mut self.is_open) {
            self.close();
        }
        if self.is_broken {
            self.clear();
        } else if self.has_slices {
            self.finish();
        }
        // Parameter sets with another timestamp than their picture stay.
        self.stamp = Some(stamp);
        self.firsts = 0;
    }

    /// Completes the access unit. Units that belong to the next one stay.
    fn finish(&mut self) {
        let end = self.next_at.unwrap_or(self.bytes.len());
        let unit = self.sets.complete(&self.bytes[..end]);
        if self.ready.len() < MAX_READY {
            self.ready.push_back(AccessUnit {
                stamp: self.stamp.unwrap_or_default(),
                unit,
            });
        }
        self.bytes.drain(..end);
        if self.bytes.is_empty() && self.bytes.capacity() > MAX_KEPT {
            self.bytes = Vec::with_capacity(CAPACITY);
        }
        self.unit_at = self.unit_at.saturating_sub(end);
        self.received = 0;
        self.units = usize::from(!self.bytes.is_empty());
        self.has_slices = false;
        self.firsts = 0;
        self.is_open &= !self.bytes.is_empty();
        self.next_at = None;
        self.after_loss = false;
    }

    fn h264(&mut self, payload: &[u8]) -> Result<(), &'static str> {
        let [first, rest @ ..] = payload else {
            return Ok(());
        };
        match first & 0x1F {
            // Aggregation (STAP-A).
            24 => self.aggregated(rest, 0),
            // Fragment (FU-A).
            28 => {
                let [fragment, rest @ ..] = rest else {
                    return Err("an empty fragment");
                };
                let header = [first & 0x60 | fragment & 0x1F];
                self.fragment(*fragment, &header, rest)
            }
            25..=27 | 29 => Err("packets in interleaved mode, which is not supported"),
            30 | 31 => Err("packets of an undefined type"),
            _ => {
                self.unit(payload);
                Ok(())
            }
        }
    }

    fn h265(&mut self, payload: &[u8]) -> Result<(), &'static str> {
        let [first, second, rest @ ..] = payload else {
            return Err("a packet without a header");
        };
        match first >> 1 & 0x3F {
            // Aggregation.
            48 => self.aggregated(rest, self.order_number),
            // Fragment.
            49 => {
                let [fragment, rest @ ..] = rest else {
                    return Err("an empty fragment");
                };
                let begins = fragment & 0x80 != 0;
                let skipped = if begins { self.order_number } else { 0 };
                let rest = rest.get(skipped..).unwrap_or_default();
                let header = [first & 0x81 | (fragment & 0x3F) << 1, *second];
                self.fragment(*fragment, &header, rest)
            }
            50 => Err("packets with extra headers (PACI), which are not supported"),
            _ if self.order_number > 0 => {
                let rest = rest.get(self.order_number..).unwrap_or_default();
                self.unit(&[&[*first, *second], rest].concat());
                Ok(())
            }
            _ => {
                self.unit(payload);
                Ok(())
            }
        }
    }

    /// Adds the units of an aggregation packet, each of which follows its length.
    fn aggregated(&mut self, bytes: &[u8], order_number: usize) -> Result<(), &'static str> {
        let mut rest = bytes.get(order_number..).unwrap_or_default();
        loop {
            let [high, low, after @ ..] = rest else {
                return Ok(());
            };
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            if length > after.len() {
                return Err("a unit that is longer than its packet");
            }
            self.unit(&after[..length]);
            // The difference to the last decoding order number has one byte.
            rest = after.get(length + order_number / 2..).unwrap_or_default();
        }
    }

    /// Adds a fragment of a unit. `header` is the header of the unit.
    fn fragment(&mut self, fragment: u8, header: &[u8], bytes: &[u8]) -> Result<(), &'static str> {
        let (begins, ends) = (fragment & 0x80 != 0, fragment & 0x40 != 0);
        if begins {
            self.begin(header, bytes);
            self.is_open = !self.is_broken;
        } else if self.is_open {
            self.bytes.extend_from_slice(bytes);
        } else if !self.is_broken {
            self.break_off();
            if !self.after_loss {
                return Err("a fragment of a unit without its beginning");
            }
        }
        if ends && std::mem::take(&mut self.is_open) {
            self.close();
        }
        Ok(())
    }

    /// Adds a whole unit.
    fn unit(&mut self, unit: &[u8]) {
        let header = if self.codec == Codec::H265 { 2 } else { 1 };
        if let Some((header, bytes)) = without_start_code(unit).split_at_checked(header) {
            self.begin(header, bytes);
            if !self.is_broken {
                self.close();
            }
        }
    }

    /// Adds the beginning of a unit.
    fn begin(&mut self, header: &[u8], bytes: &[u8]) {
        if std::mem::take(&mut self.is_open) {
            self.close();
        }
        let role = self.role(header, bytes);
        self.units += 1;
        if role == Role::FirstSlice {
            self.begin_picture();
        }
        if self.is_broken {
            return;
        }
        match role {
            Role::Leading if self.has_slices => {
                self.next_at.get_or_insert(self.bytes.len());
            }
            Role::LaterSlice => {
                if self.marked.is_some() && self.marked == self.stamp && !self.after_loss {
                    self.marker = Marker::Meaningless;
                }
                if !self.has_slices {
                    // The first slice is missing.
                    return self.break_off();
                }
                self.next_at = None;
            }
            _ => {}
        }
        self.has_slices |= matches!(role, Role::FirstSlice | Role::LaterSlice);
        self.unit_at = self.bytes.len();
        self.bytes.extend_from_slice(&START_CODE);
        self.bytes.extend_from_slice(header);
        self.bytes.extend_from_slice(bytes);
    }

    /// Handles the first slice of a picture.
    fn begin_picture(&mut self) {
        self.firsts += 1;
        self.stands_still |= self.firsts > FIELDS;
        if !self.stands_still {
            self.next_at = None;
            return;
        }
        if self.marker == Marker::Unknown && self.marked == self.stamp {
            self.marker = Marker::Ends;
        }
        if self.is_broken {
            self.clear();
        } else if self.has_slices {
            self.finish();
        }
        self.firsts = 1;
    }

    /// Completes the last unit. Some cameras send a whole picture as one unit, with start codes
    /// inside.
    fn close(&mut self) {
        if self.has_slices && self.next_at.is_none() {
            return;
        }
        let unit = self.bytes.get(self.unit_at..).unwrap_or_default();
        if annexb::has_slice(self.codec, unit) {
            self.has_slices = true;
            self.next_at = None;
        }
    }

    /// Returns what a unit means for the boundaries of pictures.
    fn role(&self, header: &[u8], bytes: &[u8]) -> Role {
        let first = header.first().copied().unwrap_or_default();
        match self.codec {
            Codec::H265 => match first >> 1 & 0x3F {
                0..=31 => slice(bytes),
                32..=35 | 39 | 41..=44 | 48..=55 => Role::Leading,
                _ => Role::Other,
            },
            _ => match first & 0x1F {
                1 | 2 | 5 => slice(bytes),
                6..=9 | 14..=18 => Role::Leading,
                _ => Role::Other,
            },
        }
    }
}

/// What a unit means for the boundaries of pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// Can't follow the slices of the same picture.
    Leading,
    /// The first slice of a picture.
    FirstSlice,
    /// Another slice.
    LaterSlice,
    /// Anything else.
    Other,
}

/// Returns the role of a slice, given its bytes after the header.
fn slice(bytes: &[u8]) -> Role {
    match annexb::is_first_slice(bytes) {
        true => Role::FirstSlice,
        false => Role::LaterSlice,
    }
}

/// Removes the start code that some cameras put before a unit.
fn without_start_code(unit: &[u8]) -> &[u8] {
    let long = unit.strip_prefix(&START_CODE);
    long.or_else(|| unit.strip_prefix(&START_CODE[1..]))
        .unwrap_or(unit)
}

/// Returns the length of the decoding order numbers (RFC 7798, 4.4), which few cameras send.
fn order_number(codec: Codec, parameters: &str) -> usize {
    let mut parameters = parameters.split(';').filter_map(|one| one.split_once('='));
    let sends = parameters.any(|(name, value)| {
        let names = ["sprop-max-don-diff", "sprop-depack-buf-nalus"];
        let counts = value.trim().parse::<u32>().is_ok_and(|value| value > 0);
        counts && names.contains(&name.trim().to_ascii_lowercase().as_str())
    });
    if codec == Codec::H265 && sends { 2 } else { 0 }
}

#[cfg(test)]
mod tests;
