//! Direct write: the publisher of a frame writes it to a viewer's idle socket.
//!
//! Waking a viewer's task for each frame costs about as much as copying a small picture to the
//! kernel, because the memory that the task uses has left the CPU caches by its next frame. In
//! nearly all cases the task has nothing to decide: it is idle, and the kernel's send buffer has
//! room.

use super::binary::Header;
use crate::connection::write_now;
use crate::counts::Tally;
use ocelli_core::{DirectWrite, Form, Frame, Offered};
use std::io::IoSlice;
use std::sync::Arc;
use tokio::net::tcp::OwnedWriteHalf;

/// Writes frames to one viewer's connection.
pub(super) struct Direct {
    wire: Arc<OwnedWriteHalf>,
    form: Form,
    longest: usize,
    tally: Tally,
}

impl Direct {
    pub(super) fn new(wire: Arc<OwnedWriteHalf>, form: Form, longest: usize, tally: Tally) -> Self {
        Self {
            wire,
            form,
            longest,
            tally,
        }
    }
}

impl DirectWrite for Direct {
    fn offer(&mut self, frame: &Frame) -> Offered {
        let message = frame.message(self.form);
        if message.len() > self.longest {
            return Offered::Declined;
        }
        let header = Header::new(message.len());
        let header = header.bytes();
        let pieces = [IoSlice::new(header), IoSlice::new(message)];
        match write_now(&self.wire, &pieces) {
            // The viewer's task gets the same error.
            Ok(0) | Err(_) => Offered::Declined,
            Ok(sent) => {
                self.tally.sent(frame.payload_len());
                if sent == header.len() + message.len() {
                    Offered::Sent
                } else {
                    Offered::Partial(sent)
                }
            }
        }
    }
}
