//! A time-stamped encoded picture, laid out so that every sink sends slices of it.
//!
//! A source writes a picture's bytes into a [`FrameBuffer`], which reserves headroom in
//! front. Publishing fills the headroom once for the whole hub:
//!
//! ```text
//! [ v2 header, 28 bytes ][ id length ][ id ][ payload ]
//! └── Form::V2 ────────────────────────────────────────
//!                        └── Form::Plain ──────────────
//!                                           └── Form::Bare
//! ```
//!
//! Message framing on a socket is not here.

use crate::clock::Timestamp;
use bytes::buf::Limit;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use std::sync::Arc;

/// Length of the `ocelli.v2` header, which precedes the plain message.
pub const V2_HEADER: usize = 28;

/// Headroom in front of a payload: the v2 header, the length of the id, the longest id.
const HEADROOM: usize = V2_HEADER + 1 + crate::name::MAX_ID_BYTES;

/// The v2 header's version byte.
const VERSION: u8 = 2;
/// The v2 header's kind byte for a frame.
const KIND_FRAME: u8 = 1;
/// Offset of the flags in the v2 header.
const FLAGS_AT: usize = 3;
/// Flag: the frame starts a group.
const FLAG_KEY: u8 = 1;
/// Flag: the stream was interrupted before this frame.
const FLAG_DISCONTINUITY: u8 = 2;

/// Encoding of a picture. The discriminants are those of the wall protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Codec {
    /// JPEG (ISO/IEC 10918-1); each frame is its own group.
    Jpeg = 1,
    /// H.264, complete access units in Annex B format.
    H264 = 2,
    /// H.265, complete access units in Annex B format.
    H265 = 3,
    /// MPEG-1 video (ISO/IEC 11172-2), complete pictures; a key frame starts with the
    /// sequence and group headers.
    Mpeg1 = 4,
    /// Planar YUV 4:2:0, uncompressed; each frame is its own group. It never leaves the
    /// hub. Rows can be padded to a stride, which follows from the frame's length and
    /// height, see [`raw_stride`].
    Yuv420p = 0xFF,
}

impl Codec {
    /// Returns the name used in listings.
    pub fn name(self) -> &'static str {
        match self {
            Codec::Jpeg => "jpeg",
            Codec::H264 => "h264",
            Codec::H265 => "h265",
            Codec::Mpeg1 => "mpeg1",
            Codec::Yuv420p => "yuv420p",
        }
    }

    /// Whether it is sent to viewers as the camera encodes it, if they can decode it.
    pub fn is_native(self) -> bool {
        matches!(self, Codec::H264 | Codec::H265)
    }
}

/// Returns the size in bytes of a planar YUV 4:2:0 frame with rows of `stride` samples.
/// Stride and height are even.
pub fn raw_len(stride: u16, height: u16) -> usize {
    usize::from(stride) * usize::from(height) * 3 / 2
}

/// Returns the stride in samples of such a frame, given its size in bytes and its height.
pub fn raw_stride(len: usize, height: u16) -> u16 {
    (len * 2 / (usize::from(height).max(1) * 3)) as u16
}

/// A payload being written, with headroom for the headers.
#[derive(Debug)]
pub struct FrameBuffer(BytesMut);

impl FrameBuffer {
    /// Creates an empty payload with space for `capacity` bytes.
    pub fn with_capacity(capacity: usize) -> Self {
        let mut bytes = BytesMut::with_capacity(HEADROOM + capacity);
        bytes.put_bytes(0, HEADROOM);
        Self(bytes)
    }

    /// Creates a copy of `payload`.
    pub fn copy_from(payload: &[u8]) -> Self {
        let mut buffer = Self::with_capacity(payload.len());
        buffer.extend_from_slice(payload);
        buffer
    }

    /// Appends to the payload.
    pub fn extend_from_slice(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// Returns space for the rest of a payload of `len` bytes, to read into without zeroing
    /// it first.
    pub fn missing(&mut self, len: usize) -> Limit<&mut BytesMut> {
        let missing = len.saturating_sub(self.len());
        (&mut self.0).limit(missing)
    }

    /// Returns the payload so far.
    pub fn payload(&self) -> &[u8] {
        &self.0[HEADROOM..]
    }

    /// Returns the length of the payload in bytes.
    pub fn len(&self) -> usize {
        self.0.len() - HEADROOM
    }

    /// Removes everything after the first `len` bytes of the payload.
    pub fn truncate(&mut self, len: usize) {
        self.0.truncate(HEADROOM + len);
    }

    /// Whether the payload is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A complete picture from a source, not yet numbered.
#[derive(Debug)]
pub struct Picture {
    /// Its encoding.
    pub codec: Codec,
    /// Whether a decoder can start here. Always true for JPEG.
    pub key: bool,
    /// When it was taken, if the camera or the source provides that.
    pub captured: Timestamp,
    /// Width and height in pixels, if known.
    pub size: Option<(u16, u16)>,
    /// The codec with its profile and level, as a decoder must support it (RFC 6381, section
    /// 3.3), for example `avc1.64001f`. Known for key frames of H.264 and H.265.
    pub codec_string: Option<Arc<str>>,
    /// The encoded bytes.
    pub buffer: FrameBuffer,
}

impl Picture {
    /// Creates a JPEG picture without a capture time, so that its receipt time is used.
    pub fn jpeg(buffer: FrameBuffer, size: Option<(u16, u16)>) -> Self {
        Self {
            codec: Codec::Jpeg,
            key: true,
            captured: Timestamp::UNKNOWN,
            size,
            codec_string: None,
            buffer,
        }
    }
}

/// Numbers and flags that a slot assigns to a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub group: u32,
    pub sequence: u32,
    pub discontinuity: bool,
    pub received: Timestamp,
}

/// Form in which a frame leaves the hub: how much of its header is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The wall's `ocelli.v2`: header, id length, id, payload.
    V2,
    /// The wall's plain form: id length, id, payload.
    Plain,
    /// Only the payload.
    Bare,
}

/// A time-stamped encoded picture. Cloning shares the bytes.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Its encoding.
    pub codec: Codec,
    /// Whether it starts a group.
    pub key: bool,
    /// Whether the stream was interrupted between this frame and the last one that its
    /// viewer received.
    pub discontinuity: bool,
    /// The group it belongs to.
    pub group: u32,
    /// Its sequence number in its stream; wraps.
    pub sequence: u32,
    /// When it was taken; [`Timestamp::UNKNOWN`] if unknown.
    pub captured: Timestamp,
    /// When the hub had received it completely.
    pub received: Timestamp,
    /// Width and height in pixels, if known.
    pub size: Option<(u16, u16)>,
    bytes: Bytes,
    payload_at: u16,
}

impl Frame {
    pub(crate) fn new(id: &str, picture: Picture, stamp: Stamp) -> Self {
        let Picture {
            codec,
            key,
            captured,
            size,
            codec_string: _,
            buffer,
        } = picture;
        let id_len = id.len().min(crate::name::MAX_ID_BYTES);
        let start = HEADROOM - (V2_HEADER + 1 + id_len);
        let mut bytes = buffer.0;
        let mut head = &mut bytes[start..HEADROOM];
        let mut flags = 0;
        if key {
            flags |= FLAG_KEY;
        }
        if stamp.discontinuity {
            flags |= FLAG_DISCONTINUITY;
        }
        head.put_slice(&[VERSION, KIND_FRAME, codec as u8, flags]);
        head.put_u32(stamp.group);
        head.put_u32(stamp.sequence);
        head.put_u64(captured.0);
        head.put_u64(stamp.received.0);
        head.put_u8(id_len as u8);
        head.put_slice(&id.as_bytes()[..id_len]);
        Self {
            codec,
            key,
            discontinuity: stamp.discontinuity,
            group: stamp.group,
            sequence: stamp.sequence,
            captured,
            received: stamp.received,
            size,
            bytes: bytes.freeze().slice(start..),
            payload_at: (V2_HEADER + 1 + id_len) as u16,
        }
    }

    /// Returns its message to one viewer.
    pub fn into_message(mut self, form: Form) -> Bytes {
        let flagged = self.bytes[FLAGS_AT] & FLAG_DISCONTINUITY != 0;
        if form == Form::V2 && self.discontinuity && !flagged {
            // Only for viewers that missed the frame whose shared bytes have the flag.
            let mut bytes = BytesMut::from(&self.bytes[..]);
            bytes[FLAGS_AT] |= FLAG_DISCONTINUITY;
            return bytes.freeze();
        }
        self.bytes.advance(self.start(form));
        self.bytes
    }

    /// Returns its message to all viewers that received the previous frame.
    pub fn message(&self, form: Form) -> &[u8] {
        &self.bytes[self.start(form)..]
    }

    fn start(&self, form: Form) -> usize {
        match form {
            Form::V2 => 0,
            Form::Plain => V2_HEADER,
            Form::Bare => usize::from(self.payload_at),
        }
    }

    /// Returns only the encoded picture.
    pub fn payload(&self) -> Bytes {
        self.bytes.slice(usize::from(self.payload_at)..)
    }

    /// Returns the size of the encoded picture in bytes.
    pub fn payload_len(&self) -> usize {
        self.bytes.len() - usize::from(self.payload_at)
    }

    /// Returns when the picture was taken, or when it was received if that is unknown.
    pub fn taken(&self) -> Timestamp {
        if self.captured.is_known() {
            self.captured
        } else {
            self.received
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_forms_share_one_buffer() {
        let mut picture = Picture::jpeg(FrameBuffer::copy_from(b"\xff\xd8jpeg\xff\xd9"), None);
        picture.captured = Timestamp(0x0102_0304_0506_0708);
        let stamp = Stamp {
            group: 7,
            sequence: 9,
            discontinuity: true,
            received: Timestamp(0x1112_1314_1516_1718),
        };
        let frame = Frame::new("barn/cam", picture, stamp);
        let mut expected = vec![2, 1, 1, 3, 0, 0, 0, 7, 0, 0, 0, 9];
        expected.extend([1, 2, 3, 4, 5, 6, 7, 8]);
        expected.extend([0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18]);
        let mut plain = vec![8];
        plain.extend(b"barn/cam\xff\xd8jpeg\xff\xd9");
        expected.extend(&plain);
        let forms = [Form::V2, Form::Plain, Form::Bare];
        let messages = forms.map(|form| frame.clone().into_message(form));
        assert_eq!(messages[0], expected);
        assert_eq!(messages[1], plain);
        assert_eq!(messages[2], frame.payload());
        assert_eq!(forms.map(|form| frame.message(form)), messages);
        assert_eq!(&frame.payload()[..], b"\xff\xd8jpeg\xff\xd9");
        assert_eq!(
            messages[0][V2_HEADER..].as_ptr(),
            messages[1].as_ptr(),
            "the forms share their bytes"
        );
    }

    #[test]
    fn the_longest_id_fits() {
        let id = "x".repeat(255);
        let picture = Picture::jpeg(FrameBuffer::copy_from(b"p"), None);
        let stamp = Stamp {
            group: 0,
            sequence: 0,
            discontinuity: false,
            received: Timestamp(1),
        };
        let frame = Frame::new(&id, picture, stamp);
        assert_eq!(frame.message(Form::Plain)[0], 255);
        assert_eq!(&frame.payload()[..], b"p");
    }
}
