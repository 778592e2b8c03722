//! The sound of one stream of a camera, and the viewers that listen to it.
//!
//! Sound is sent only to viewers that asked for it. Each has a queue of at most [`MAX_QUEUED`],
//! from which the oldest units are dropped; without listeners nothing is kept. The publisher
//! never waits.

use crate::clock::{Clock, Timestamp};
use crate::frame::V2_HEADER;
use crate::ready::{Ready, Token};
use bytes::{BufMut, Bytes, BytesMut};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The most sound that waits for a listener, in microseconds.
const MAX_QUEUED: u64 = 1_000_000;
/// The same in bytes and units, for units whose times are wrong.
const MAX_QUEUED_BYTES: usize = 128 << 10;
const MAX_QUEUED_UNITS: usize = 512;
/// The longest unit that is sent: an AAC access unit of eight channels has at most 6 KiB.
const MAX_UNIT: usize = 8 << 10;

/// The v2 header's version and the kind byte for sound.
const VERSION: u8 = 2;
const KIND_SOUND: u8 = 4;
/// The flag for a unit that does not continue the one before it, and its offset.
const FLAG_DISCONTINUITY: u8 = 2;
const FLAGS_AT: usize = 3;

/// Encoding of sound. The discriminants are those of the wall protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum SoundCodec {
    /// AAC (ISO/IEC 14496-3), raw access units.
    Aac = 16,
    /// Opus (RFC 6716), packets.
    Opus = 17,
    /// G.711 A-law.
    PcmA = 18,
    /// G.711 µ-law.
    PcmU = 19,
}

impl SoundCodec {
    /// Returns the name used in listings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Aac => "aac",
            Self::Opus => "opus",
            Self::PcmA => "pcma",
            Self::PcmU => "pcmu",
        }
    }
}

/// Description of a camera's sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SoundFormat {
    /// Its encoding.
    pub codec: SoundCodec,
    /// The codec as WebCodecs names it, for example `mp4a.40.2`.
    pub codec_string: String,
    /// Samples per second.
    pub rate: u32,
    /// Number of channels.
    pub channels: u8,
    /// The AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1) of AAC; otherwise empty.
    pub config: Vec<u8>,
}

/// A unit of sound as one listener gets it. Cloning shares the bytes.
#[derive(Clone, Debug)]
pub struct SoundUnit {
    /// Whether sound is missing between this unit and the last one that the listener got.
    pub discontinuity: bool,
    /// Its number in the camera's sound; wraps.
    pub sequence: u32,
    /// When its first sample was recorded, on the clock of the camera's pictures.
    pub captured: Timestamp,
    /// When the hub had received it.
    pub received: Timestamp,
    bytes: Bytes,
    payload_at: u16,
}

impl SoundUnit {
    /// Returns its message in the `ocelli.v2` form.
    pub fn into_message(self) -> Bytes {
        if !self.discontinuity {
            return self.bytes;
        }
        let mut bytes = BytesMut::from(&self.bytes[..]);
        bytes[FLAGS_AT] |= FLAG_DISCONTINUITY;
        bytes.freeze()
    }

    /// Returns the encoded sound.
    pub fn payload(&self) -> Bytes {
        self.bytes.slice(usize::from(self.payload_at)..)
    }
}

/// One listener's queue.
struct Queue {
    ready: Arc<Ready>,
    token: Token,
    units: VecDeque<SoundUnit>,
    bytes: usize,
    /// Whether units are missing before the next one.
    has_gap: bool,
}

impl Queue {
    /// Appends a unit. Returns the number of units that were dropped for it.
    fn push(&mut self, unit: SoundUnit) -> u64 {
        self.bytes += unit.bytes.len();
        self.units.push_back(unit);
        let mut dropped = 0;
        while self.is_too_long() {
            if let Some(oldest) = self.units.pop_front() {
                self.bytes -= oldest.bytes.len();
                self.has_gap = true;
                dropped += 1;
            }
        }
        self.ready.enqueue(self.token);
        dropped
    }

    fn is_too_long(&self) -> bool {
        let (Some(oldest), Some(newest)) = (self.units.front(), self.units.back()) else {
            return false;
        };
        let recorded = newest.captured.micros_since(oldest.captured);
        let waited = newest.received.micros_since(oldest.received);
        recorded.max(waited) > MAX_QUEUED
            || self.bytes > MAX_QUEUED_BYTES
            || self.units.len() > MAX_QUEUED_UNITS
    }

    fn take(&mut self) -> Option<SoundUnit> {
        let mut unit = self.units.pop_front()?;
        self.bytes -= unit.bytes.len();
        unit.discontinuity |= std::mem::take(&mut self.has_gap);
        Some(unit)
    }

    fn clear(&mut self) {
        self.units.clear();
        self.bytes = 0;
        self.has_gap = true;
    }
}

#[derive(Default)]
struct Inner {
    format: Option<Arc<SoundFormat>>,
    /// Whether a format will be known with the first unit.
    is_expected: bool,
    next_sequence: u32,
    interrupted: bool,
    queues: Vec<Option<Queue>>,
    dropped: u64,
}

/// The sound of one stream.
pub(crate) struct Sound {
    id: String,
    clock: Arc<dyn Clock>,
    inner: Mutex<Inner>,
}

impl Sound {
    /// Creates the sound of camera `id`, without a format.
    pub fn new(id: String, clock: Arc<dyn Clock>) -> Self {
        Self {
            id,
            clock,
            inner: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns its format, if there is sound.
    pub fn format(&self) -> Option<Arc<SoundFormat>> {
        self.lock().format.clone()
    }

    /// Whether there is sound whose format is not known yet.
    pub fn is_expected(&self) -> bool {
        self.lock().is_expected
    }

    /// Notes that there is sound whose format will be known with the first unit.
    pub fn expect(&self) {
        let mut inner = self.lock();
        inner.is_expected = inner.format.is_none();
    }

    /// Returns the number of units that were dropped, summed over all listeners.
    pub fn dropped(&self) -> u64 {
        self.lock().dropped
    }

    /// Sets the format; `None` if there is no sound. Returns whether that is a change. Units in
    /// the former format are discarded.
    pub fn set_format(&self, format: Option<SoundFormat>) -> bool {
        let mut inner = self.lock();
        inner.is_expected = false;
        if inner.format.as_deref() == format.as_ref() {
            return false;
        }
        inner.format = format.map(Arc::new);
        inner.queues.iter_mut().flatten().for_each(Queue::clear);
        true
    }

    /// Marks that the next unit does not continue the last one.
    pub fn interrupt(&self) {
        self.lock().interrupted = true;
    }

    /// Sends a unit to the listeners. `captured` is when its first sample was recorded;
    /// [`Timestamp::UNKNOWN`] stands for the time of receipt.
    pub fn publish(&self, captured: Timestamp, payload: &[u8]) {
        let received = self.clock.now();
        let mut inner = self.lock();
        let inner = &mut *inner;
        let Some(format) = &inner.format else {
            return;
        };
        if payload.is_empty() || payload.len() > MAX_UNIT {
            inner.interrupted = true;
            return;
        }
        let sequence = inner.next_sequence;
        inner.next_sequence = sequence.wrapping_add(1);
        if inner.queues.iter().all(Option::is_none) {
            return;
        }
        let captured = match captured.is_known() {
            true => captured,
            false => received,
        };
        let id = &self.id.as_bytes()[..self.id.len().min(crate::name::MAX_ID_BYTES)];
        let payload_at = V2_HEADER + 1 + id.len();
        let mut bytes = BytesMut::with_capacity(payload_at + payload.len());
        bytes.put_slice(&[VERSION, KIND_SOUND, format.codec as u8, 0]);
        bytes.put_u32(0);
        bytes.put_u32(sequence);
        bytes.put_u64(captured.0);
        bytes.put_u64(received.0);
        bytes.put_u8(id.len() as u8);
        bytes.put_slice(id);
        bytes.put_slice(payload);
        let unit = SoundUnit {
            discontinuity: std::mem::take(&mut inner.interrupted),
            sequence,
            captured,
            received,
            bytes: bytes.freeze(),
            payload_at: payload_at as u16,
        };
        for queue in inner.queues.iter_mut().flatten() {
            inner.dropped += queue.push(unit.clone());
        }
    }
}

/// One viewer's subscription to a camera's sound.
pub struct SoundSubscription {
    sound: Arc<Sound>,
    index: usize,
}

impl SoundSubscription {
    /// Subscribes from the next unit on. `token` is queued in `ready` with each unit.
    pub(crate) fn new(sound: Arc<Sound>, ready: Arc<Ready>, token: Token) -> Self {
        let mut inner = sound.lock();
        let queue = Some(Queue {
            ready,
            token,
            units: VecDeque::new(),
            bytes: 0,
            has_gap: true,
        });
        let index = match inner.queues.iter().position(Option::is_none) {
            Some(free) => {
                inner.queues[free] = queue;
                free
            }
            None => {
                inner.queues.push(queue);
                inner.queues.len() - 1
            }
        };
        drop(inner);
        Self { sound, index }
    }

    /// Takes the oldest unit that waits.
    pub fn take(&mut self) -> Option<SoundUnit> {
        let mut inner = self.sound.lock();
        inner.queues.get_mut(self.index)?.as_mut()?.take()
    }

    /// Returns the format of its units, once known.
    pub fn format(&self) -> Option<Arc<SoundFormat>> {
        self.sound.format()
    }

    /// Whether it is a subscription to this sound.
    pub(crate) fn is_to(&self, sound: &Arc<Sound>) -> bool {
        Arc::ptr_eq(&self.sound, sound)
    }
}

impl Drop for SoundSubscription {
    fn drop(&mut self) {
        let mut inner = self.sound.lock();
        if let Some(queue) = inner.queues.get_mut(self.index) {
            *queue = None;
        }
        while matches!(inner.queues.last(), Some(None)) {
            inner.queues.pop();
        }
    }
}

#[cfg(test)]
mod tests;
