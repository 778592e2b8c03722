//! An idle socket, as whoever publishes a picture writes to it.
//!
//! To wake a viewer's task for each picture costs about as much as to copy a small
//! picture to the kernel: what a task touches is cold by the time its next picture
//! comes. Nearly always there is nothing for it to decide, for it waits, and the kernel
//! has room.

use super::binary::Header;
use crate::connection::write_now;
use crate::counts::Tally;
use ocelli_core::{DirectWrite, Form, Frame, Offered};
use std::io::IoSlice;
use std::sync::Arc;
use tokio::net::tcp::OwnedWriteHalf;

/// Writes pictures to one viewer's connection.
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
            // Whatever it is, the viewer meets it too.
            Ok(0) | Err(_) => Offered::Declined,
            Ok(sent) => {
                self.tally.sent(frame.payload_len());
                if sent == header.len() + message.len() {
                    Offered::Sent
                } else {
                    Offered::Begun(sent)
                }
            }
        }
    }
}
