//! The byte stream for one JSMpeg viewer, split into messages.

use super::transport::Packer;
use bytes::{BufMut, Bytes, BytesMut};
use ocelli_core::Frame;
use ocelli_media::mpeg1::{self, RATES};
use serde::Deserialize;

/// The longest message. JSMpeg players expect messages up to this size.
pub const LONGEST: usize = 32 << 10;

/// The form of the stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// The `jsmp` header, then the bare MPEG-1 video.
    #[default]
    Es,
    /// An MPEG transport stream.
    Ts,
}

/// The messages for one viewer.
pub struct Messages {
    packer: Option<Packer>,
    /// Whether the header was sent. Always true for a transport stream, which has none.
    started: bool,
    rate: (u32, u32),
    /// The header, queued until the picture that gave its size.
    ahead: Option<Bytes>,
    /// The remainder of a picture that is longer than one message.
    rest: Bytes,
}

impl Messages {
    /// An empty stream.
    pub fn new(form: Form) -> Self {
        Self {
            packer: (form == Form::Ts).then(Packer::default),
            started: form == Form::Ts,
            rate: RATES[0],
            ahead: None,
            rest: Bytes::new(),
        }
    }

    /// Returns true if the header is still to be sent.
    pub fn wants_header(&self) -> bool {
        !self.started
    }

    /// Returns the header for pictures of this size, and marks it as sent.
    pub fn header(&mut self, (width, height): (u16, u16)) -> Bytes {
        self.started = true;
        let mut header = BytesMut::with_capacity(8);
        header.put_slice(b"jsmp");
        header.put_u16(width);
        header.put_u16(height);
        header.freeze()
    }

    /// Returns true if, from now on, each picture that fits into a message is sent unchanged as
    /// one message.
    pub fn are_pictures(&self) -> bool {
        self.started && self.packer.is_none()
    }

    /// Takes a picture. [`Messages::next`] then returns its messages, after the header if that
    /// is still to be sent.
    pub fn take(&mut self, frame: &Frame) {
        if self.wants_header() {
            self.ahead = frame.size.map(|size| self.header(size));
        }
        let payload = frame.payload();
        if let Some(sequence) = mpeg1::sequence(&payload) {
            self.rate = sequence.rate;
        }
        self.rest = match &mut self.packer {
            Some(packer) => packer.pack(frame, self.rate).into(),
            None => payload,
        };
    }

    /// Returns the next message of the current picture.
    pub fn next(&mut self) -> Option<Bytes> {
        if let Some(header) = self.ahead.take() {
            return Some(header);
        }
        if self.rest.is_empty() {
            return None;
        }
        Some(self.rest.split_to(self.rest.len().min(LONGEST)))
    }
}
