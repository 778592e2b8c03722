//! RTP/JPEG (RFC 2435) depacketization with the library `retina`, within limits.
//!
//! The library keeps a picture's packets until the picture ends, without a limit. So this
//! module counts the packets and bytes since the last picture. A panic in the library ends only
//! the attempt.

use super::error::SessionError;
use retina::codec::{CodecItem, Depacketizer};
use retina::rtp::PacketMeta;
use retina::testutil::DepacketizeBuf;
use retina::{PacketContext, Timestamp};
use std::num::NonZeroU32;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Initial size of the library's buffer, which grows with the picture.
const INITIAL_BUFFER: usize = 64 << 10;
/// The clock rate of video in RTP.
const CLOCK_RATE: NonZeroU32 = NonZeroU32::new(90_000).expect("not zero");

/// One packet.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// Extended RTP timestamp.
    pub stamp: i64,
    /// Sequence number.
    pub sequence: u16,
    /// The marker bit.
    pub mark: bool,
    /// Whether packets are missing before it.
    pub after_loss: bool,
    /// The payload.
    pub payload: &'a [u8],
}

/// Depacketizer of one track.
pub struct JpegPackets {
    depacketizer: Depacketizer,
    ring: DepacketizeBuf,
    bytes: usize,
    packets: usize,
}

impl JpegPackets {
    /// Creates a depacketizer.
    ///
    /// # Errors
    /// The library fails.
    pub fn new() -> Result<Self, SessionError> {
        let rate = CLOCK_RATE.get();
        let made = catch_panic(|| Depacketizer::new("video", "jpeg", rate, None, None))?;
        let depacketizer = made.map_err(SessionError::Unusable)?;
        Ok(Self {
            depacketizer,
            ring: DepacketizeBuf::new(INITIAL_BUFFER),
            bytes: 0,
            packets: 0,
        })
    }

    /// Returns the bytes and packets since the last picture.
    pub fn held(&self) -> (usize, usize) {
        (self.bytes, self.packets)
    }

    /// Adds a packet. All pictures must be taken before the next one.
    ///
    /// # Errors
    /// Its payload is not valid, with the reason. Only its picture is affected.
    pub fn push(&mut self, packet: Packet<'_>) -> Result<Result<(), String>, SessionError> {
        self.bytes += packet.payload.len();
        self.packets += 1;
        let Some(timestamp) = Timestamp::new(packet.stamp, CLOCK_RATE, 0) else {
            return Ok(Ok(()));
        };
        let meta = PacketMeta {
            ctx: PacketContext::dummy(),
            stream_id: 0,
            timestamp,
            sequence_number: packet.sequence,
            ssrc: 0,
            mark: packet.mark,
            loss: u16::from(packet.after_loss),
        };
        let (ring, depacketizer) = (&mut self.ring, &mut self.depacketizer);
        let pushed = catch_panic(|| ring.push(depacketizer, meta, packet.payload))?;
        if pushed.is_err() {
            // The library has dropped the picture that this packet belongs to.
            (self.bytes, self.packets) = (0, 0);
        }
        Ok(pushed.map_err(|fault| fault.to_string()))
    }

    /// Returns the next complete picture: its timestamp and its bytes.
    ///
    /// # Errors
    /// The library fails.
    pub fn take(&mut self) -> Result<Option<(i64, Vec<u8>)>, SessionError> {
        loop {
            let depacketizer = &mut self.depacketizer;
            match catch_panic(|| depacketizer.pull())? {
                None => return Ok(None),
                Some(Ok(CodecItem::VideoFrame(frame))) => {
                    (self.bytes, self.packets) = (0, 0);
                    return Ok(Some((frame.timestamp().timestamp(), frame.into_data())));
                }
                // A picture that is cut off.
                Some(_) => {}
            }
        }
    }
}

/// Calls the library and converts a panic to an error.
fn catch_panic<T>(work: impl FnOnce() -> T) -> Result<T, SessionError> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| {
        let reason = "a bug in the hub: it can't process this camera's video; please report it";
        SessionError::Unusable(reason.to_owned())
    })
}
