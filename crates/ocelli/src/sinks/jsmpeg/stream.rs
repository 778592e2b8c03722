//! What one JSMpeg viewer is sent: the bytes, in messages.

use super::transport::Packer;
use bytes::{BufMut, Bytes, BytesMut};
use ocelli_core::Frame;
use ocelli_media::mpeg1::{self, RATES};
use serde::Deserialize;

/// The longest message: what players of the classic kind were written for.
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
    /// Whether the header was sent, where there is one.
    begun: bool,
    rate: (u32, u32),
    /// The header, while it waits for the picture that told the size.
    ahead: Option<Bytes>,
    /// What is left of a picture that is longer than a message.
    rest: Bytes,
}

impl Messages {
    /// Nothing is sent yet.
    pub fn new(form: Form) -> Self {
        Self {
            packer: (form == Form::Ts).then(Packer::default),
            begun: form == Form::Ts,
            rate: RATES[0],
            ahead: None,
            rest: Bytes::new(),
        }
    }

    /// Whether the header is due.
    pub fn wants_header(&self) -> bool {
        !self.begun
    }

    /// The header for pictures of this size.
    pub fn header(&mut self, (width, height): (u16, u16)) -> Bytes {
        self.begun = true;
        let mut header = BytesMut::with_capacity(8);
        header.put_slice(b"jsmp");
        header.put_u16(width);
        header.put_u16(height);
        header.freeze()
    }

    /// Whether from now on a picture that is no longer than a message is one, as it is.
    pub fn are_pictures(&self) -> bool {
        self.begun && self.packer.is_none()
    }

    /// Takes a picture; its messages are those that [`Messages::next`] gives, the header
    /// before them if it is still due.
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

    /// The next message of the picture that was taken.
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
