//! RTP/JPEG (RFC 2435) depacketization with the library `retina`, within limits.
//!
//! The format states the size of a picture in units of eight pixels up to 2040, and zero for
//! more. The size then comes from the session description, and is written into the pictures.
//!
//! The library keeps a picture's packets until the picture ends, without a limit. So this
//! module counts the packets and bytes since the last picture. A panic in the library ends only
//! the attempt.

use super::error::SessionError;
use retina::codec::{CodecItem, Depacketizer};
use retina::rtp::PacketMeta;
use retina::testutil::DepacketizeBuf;
use retina::{PacketContext, Timestamp};
use std::borrow::Cow;
use std::num::NonZeroU32;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Initial size of the library's buffer, which grows with the picture.
const INITIAL_BUFFER: usize = 64 << 10;
/// The clock rate of video in RTP.
const CLOCK_RATE: NonZeroU32 = NonZeroU32::new(90_000).expect("not zero");

/// Position of width and height in a packet's payload.
const SIZE: std::ops::Range<usize> = 6..8;
/// The reason if the size of the pictures is nowhere.
const WITHOUT_SIZE: &str = "its pictures are wider or higher than 2040 pixels, and it does not \
     say by how much: RTP/JPEG can state such a size only in the session description; choose \
     H.264 or smaller pictures in the camera's settings";

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
    /// Width and height in the session description.
    dimensions: Option<(u16, u16)>,
    /// Whether the current picture's packets lack the width, and the height.
    lacks: [bool; 2],
    bytes: usize,
    packets: usize,
}

impl JpegPackets {
    /// Creates a depacketizer for pictures that have these dimensions according to the session
    /// description.
    ///
    /// # Errors
    /// The library fails.
    pub fn new(dimensions: Option<(u16, u16)>) -> Result<Self, SessionError> {
        let rate = CLOCK_RATE.get();
        let made = catch_panic(|| Depacketizer::new("video", "jpeg", rate, None, None))?;
        let depacketizer = made.map_err(SessionError::Unusable)?;
        Ok(Self {
            depacketizer,
            ring: DepacketizeBuf::new(INITIAL_BUFFER),
            dimensions,
            lacks: [false; 2],
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
    /// The size of the pictures is not known, or the library fails. The inner error is the
    /// reason for an invalid payload, which affects only its picture.
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
        let payload = self.with_size(packet.payload)?;
        let (ring, depacketizer) = (&mut self.ring, &mut self.depacketizer);
        let pushed = catch_panic(|| ring.push(depacketizer, meta, &payload))?;
        if pushed.is_err() {
            // The library has dropped the picture that this packet belongs to.
            (self.bytes, self.packets) = (0, 0);
        }
        Ok(pushed.map_err(|fault| fault.to_string()))
    }

    /// Returns the payload with a size that is not zero, which the library would write into the
    /// picture.
    fn with_size<'a>(&mut self, payload: &'a [u8]) -> Result<Cow<'a, [u8]>, SessionError> {
        let Some(&[width, height]) = payload.get(SIZE) else {
            return Ok(Cow::Borrowed(payload));
        };
        self.lacks = [width == 0, height == 0];
        if self.lacks == [false; 2] {
            return Ok(Cow::Borrowed(payload));
        }
        if self.dimensions.is_none() {
            return Err(SessionError::Unusable(WITHOUT_SIZE.to_owned()));
        }
        let mut payload = payload.to_vec();
        payload[SIZE]
            .iter_mut()
            .for_each(|size| *size = (*size).max(1));
        Ok(Cow::Owned(payload))
    }

    /// Writes the dimensions into a picture whose packets lack them.
    fn complete(&self, picture: &mut [u8]) {
        let (Some((width, height)), Some(frame)) = (self.dimensions, frame_header(picture)) else {
            return;
        };
        let [lacks_width, lacks_height] = self.lacks;
        if lacks_height {
            picture[frame..frame + 2].copy_from_slice(&height.to_be_bytes());
        }
        if lacks_width {
            picture[frame + 2..frame + 4].copy_from_slice(&width.to_be_bytes());
        }
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
                    let stamp = frame.timestamp().timestamp();
                    let mut picture = frame.into_data();
                    self.complete(&mut picture);
                    return Ok(Some((stamp, picture)));
                }
                // A picture that is cut off.
                Some(_) => {}
            }
        }
    }
}

/// Returns the position of the height, which the width follows, in a picture of the library.
fn frame_header(picture: &[u8]) -> Option<usize> {
    let mut at = 2;
    loop {
        let &[0xFF, kind, high, low] = picture.get(at..at + 4)? else {
            return None;
        };
        if kind == 0xC0 {
            return picture.get(at + 5..at + 9).map(|_| at + 5);
        }
        at += 2 + usize::from(u16::from_be_bytes([high, low]));
    }
}

/// Calls the library and converts a panic to an error.
fn catch_panic<T>(work: impl FnOnce() -> T) -> Result<T, SessionError> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| {
        let reason = "a bug in the hub: it can't process this camera's video; please report it";
        SessionError::Unusable(reason.to_owned())
    })
}
