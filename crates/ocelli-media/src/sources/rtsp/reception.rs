//! Publishing of a camera's pictures: capture time, and the first key frame that a decoder can
//! start from.

use super::super::capture_clock::CaptureClock;
use super::super::parameter_sets::UndecodableKeys;
use super::session::Session;
use super::unpacker;
use crate::jpeg;
use ocelli_core::{Codec, Failure, Picture, Publisher, Timestamp};

/// Publishes the pictures of one session.
pub struct Reception<'a> {
    codec: Codec,
    publisher: &'a Publisher,
    clock: CaptureClock,
    /// Whether a key frame that a decoder can start from was published.
    started: bool,
    undecodable: UndecodableKeys,
}

impl<'a> Reception<'a> {
    /// Creates a reception of pictures in `codec`, that publishes to `publisher`.
    pub fn new(codec: Codec, publisher: &'a Publisher) -> Self {
        Self {
            codec,
            publisher,
            clock: CaptureClock::default(),
            started: false,
            undecodable: UndecodableKeys::default(),
        }
    }

    /// Publishes a picture.
    ///
    /// # Errors
    /// No decoder can decode the stream.
    pub fn publish_picture(
        &mut self,
        picture: unpacker::Picture,
        session: &Session,
    ) -> Result<(), Failure> {
        let captured = self.captured(&picture);
        if self.codec == Codec::Jpeg {
            if let Ok(picture) = jpeg::picture(picture.unit.buffer.payload()) {
                self.publisher.publish(Picture {
                    captured,
                    ..picture
                });
            }
            return Ok(());
        }
        let unit = picture.unit;
        if unit.key && !session.is_decodable() {
            return self.undecodable.add();
        }
        if unit.key {
            self.started = true;
        } else if !self.started {
            // It waits for a key frame.
            self.publisher.note_received();
            return Ok(());
        }
        unit.publish(self.codec, captured, session.size(), self.publisher);
        Ok(())
    }

    fn captured(&mut self, picture: &unpacker::Picture) -> Timestamp {
        let micros =
            i128::from(picture.elapsed) * 1_000_000 / i128::from(picture.clock_rate.max(1));
        self.clock.captured(micros as i64, self.publisher.now())
    }
}
