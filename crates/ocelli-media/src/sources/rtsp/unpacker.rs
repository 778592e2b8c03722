//! RTP packets of one track, unpacked to pictures within limits.
//!
//! A packet that is not valid costs only its picture. Packets of other senders and other payload
//! types are skipped, unless no others come: some cameras announce wrong ones.

use super::super::parameter_sets::CompleteUnit;
use super::access_unit::{self, AccessUnit, Assembler};
use super::error::SessionError;
use super::jpeg_packets::{self, JpegPackets};
use super::message::quoted;
use super::order::{Order, Turn};
use super::rtp::{Preferred, Rtp};
use super::sdp::Track;
use crate::jpeg;
use ocelli_core::{Codec, FrameBuffer};
use tokio::time::Instant;

/// The most packets and units of one picture. An H.264 picture has at most as many slices as
/// macroblocks, and cameras send a few hundred packets for one.
const MAX_PARTS: usize = 16_384;
/// The most bytes of one picture.
const MAX_BYTES: usize = jpeg::MAX_BYTES;
/// Number of unreadable packets without a complete picture between them after which the stream
/// is given up.
const MAX_INVALID_PACKETS: usize = 1000;
/// Number of consecutive packets in the camera's connection from any other senders, after which
/// the sender means nothing.
const MAX_STRANGERS: usize = 4;
/// Payload types that RTCP packets have when they are taken for RTP (RFC 5761).
const RTCP_TYPES: std::ops::RangeInclusive<u8> = 64..=95;

/// Complete picture.
#[derive(Debug)]
pub struct Picture {
    /// Time since the first picture, in ticks of the camera's clock.
    pub elapsed: i64,
    /// Ticks of the camera's clock a second.
    pub clock_rate: u32,
    /// The access unit, or the JPEG as a key frame without parameter sets.
    pub unit: CompleteUnit,
}

enum Payloads {
    Units(Box<Assembler>),
    Jpeg(Box<JpegPackets>),
}

/// Unpacker of one track.
pub struct Unpacker {
    payloads: Payloads,
    payload_type: Preferred<u8>,
    sender: Preferred<u32>,
    /// Whether all packets are of the camera, with any number of the sender.
    in_connection: bool,
    /// Number of consecutive packets in the connection from other senders than the known one.
    strangers: usize,
    clock_rate: u32,
    order: Order,
    /// The last timestamp, and the first one.
    stamp: Option<(i64, i64)>,
    /// Unreadable packets since the last picture.
    faults: usize,
}

impl Unpacker {
    /// Creates an unpacker for a track, or returns `None` if its codec is not supported.
    ///
    /// # Errors
    /// The library that unpacks JPEG fails.
    pub fn new(track: &Track) -> Result<Option<Self>, SessionError> {
        let parameters = track.parameters.as_deref();
        let payloads = match track.codec() {
            Some(Codec::Jpeg) => Payloads::Jpeg(Box::new(JpegPackets::new(track.dimensions)?)),
            Some(codec) => Payloads::Units(Box::new(Assembler::new(codec, parameters))),
            None => return Ok(None),
        };
        Ok(Some(Self {
            payloads,
            payload_type: Preferred::new(Some(track.payload_type)),
            sender: Preferred::new(None),
            in_connection: false,
            strangers: 0,
            clock_rate: track.clock_rate.max(1),
            order: Order::default(),
            stamp: None,
            faults: 0,
        }))
    }

    /// Notes that the packets come in the camera's connection. So they are all the camera's,
    /// even if the number of the sender changes all the time.
    pub fn note_connection(&mut self) {
        self.in_connection = true;
    }

    /// Returns the number of lost packets.
    pub fn lost(&self) -> u64 {
        self.order.lost()
    }

    /// Returns true if a decoder has all parameter sets that it needs.
    pub fn is_decodable(&self) -> bool {
        match &self.payloads {
            Payloads::Units(assembler) => assembler.sets().is_complete(),
            Payloads::Jpeg(_) => true,
        }
    }

    /// Returns the size of the pictures from the parameter sets, if known.
    pub fn size(&self) -> Option<(u16, u16)> {
        match &self.payloads {
            Payloads::Units(assembler) => assembler.sets().size(),
            Payloads::Jpeg(_) => None,
        }
    }

    /// Returns when [`Self::pull`] must be called even if no packet arrives.
    pub fn due(&self) -> Option<Instant> {
        self.order.due()
    }

    /// Adds an RTP packet. All pictures must be pulled before the next one. Returns whether it
    /// is a packet of the track with a payload.
    ///
    /// # Errors
    /// A picture exceeds a limit, or the stream is not valid video.
    pub fn push(&mut self, packet: &[u8]) -> Result<bool, SessionError> {
        let rtp = match Rtp::parse(packet) {
            Ok(rtp) => rtp,
            Err(fault) => return self.fault(fault).map(|()| false),
        };
        if RTCP_TYPES.contains(&rtp.payload_type) || !self.payload_type.accepts(rtp.payload_type) {
            return Ok(false);
        }
        let known = self.sender.known;
        if self.strangers >= MAX_STRANGERS {
            self.sender.known = Some(rtp.sender);
        } else if self.sender.accepts(rtp.sender) {
            self.strangers = 0;
        } else {
            self.strangers += usize::from(self.in_connection);
            return Ok(false);
        }
        if known.is_some_and(|known| known != rtp.sender) {
            self.order.restart();
        }
        match self.order.place(rtp.sequence) {
            Turn::Now(after_loss) => self.unpack(&rtp, after_loss)?,
            Turn::Held => {
                let now = Instant::now();
                self.order.hold(rtp.sequence, packet.to_vec(), now);
            }
            Turn::Dropped => {}
        }
        Ok(!rtp.payload.is_empty())
    }

    fn unpack(&mut self, rtp: &Rtp<'_>, after_loss: bool) -> Result<(), SessionError> {
        if rtp.payload.is_empty() {
            return Ok(());
        }
        let stamp = self.extend(rtp.stamp);
        let result = match &mut self.payloads {
            Payloads::Units(assembler) => {
                let packet = access_unit::Packet {
                    stamp,
                    mark: rtp.mark,
                    after_loss,
                    payload: rtp.payload,
                };
                assembler.push(packet).map_err(str::to_owned)
            }
            Payloads::Jpeg(packets) => packets.push(jpeg_packets::Packet {
                stamp,
                sequence: rtp.sequence,
                mark: rtp.mark,
                after_loss,
                payload: rtp.payload,
            })?,
        };
        let (bytes, parts) = match &self.payloads {
            Payloads::Units(assembler) => assembler.held(),
            Payloads::Jpeg(packets) => packets.held(),
        };
        if bytes > MAX_BYTES || parts > MAX_PARTS {
            return Err(SessionError::Unusable(format!(
                "one of its pictures does not end; a picture should have at most {} MiB \
                 in {MAX_PARTS} packets",
                MAX_BYTES >> 20
            )));
        }
        match result {
            Ok(()) => Ok(()),
            Err(fault) => self.fault(&fault),
        }
    }

    /// Returns the next complete picture.
    ///
    /// # Errors
    /// The stream is not valid video.
    pub fn pull(&mut self) -> Result<Option<Picture>, SessionError> {
        loop {
            if let Some(picture) = self.take()? {
                self.faults = 0;
                return Ok(Some(picture));
            }
            let Some((packet, after_loss)) = self.order.release(Instant::now()) else {
                return Ok(None);
            };
            // It was valid when it was held.
            if let Ok(rtp) = Rtp::parse(&packet) {
                self.unpack(&rtp, after_loss)?;
            }
        }
    }

    fn take(&mut self) -> Result<Option<Picture>, SessionError> {
        let taken = match &mut self.payloads {
            Payloads::Units(assembler) => assembler.take(),
            Payloads::Jpeg(packets) => packets.take()?.map(|(stamp, bytes)| AccessUnit {
                stamp,
                unit: CompleteUnit {
                    key: true,
                    has_sets: false,
                    is_new_stream: false,
                    codec_string: None,
                    buffer: FrameBuffer::copy_from(&bytes),
                },
            }),
        };
        Ok(taken.map(|AccessUnit { stamp, unit }| Picture {
            elapsed: stamp.saturating_sub(self.stamp.map_or(stamp, |(_, start)| start)),
            clock_rate: self.clock_rate,
            unit,
        }))
    }

    /// Extends a timestamp across wraparounds.
    fn extend(&mut self, stamp: u32) -> i64 {
        let (last, start) = self.stamp.unwrap_or((stamp.into(), stamp.into()));
        let passed = stamp.wrapping_sub(last as u32).cast_signed();
        let now = last.saturating_add(i64::from(passed));
        self.stamp = Some((now, start));
        now
    }

    /// Returns the time from the first picture to this timestamp of a report, in ticks of the
    /// camera's clock; `None` before the first packet.
    pub fn elapsed_at(&self, stamp: u32) -> Option<i64> {
        let (last, start) = self.stamp?;
        let passed = stamp.wrapping_sub(last as u32).cast_signed();
        Some(last.saturating_add(i64::from(passed)).saturating_sub(start))
    }

    /// Returns the ticks of the camera's clock a second.
    pub fn clock_rate(&self) -> u32 {
        self.clock_rate
    }

    fn fault(&mut self, fault: &str) -> Result<(), SessionError> {
        self.faults += 1;
        if self.faults < MAX_INVALID_PACKETS {
            return Ok(());
        }
        Err(SessionError::Unusable(format!(
            "its video is not valid ({}); ffmpeg:rtsp://… may be able to read it",
            quoted(fault)
        )))
    }
}

#[cfg(test)]
mod tests;
