//! Publishing of a camera's pictures and sound: capture time, and the first key frame that a decoder
//! can start from.

use super::super::capture_clock::CaptureClock;
use super::super::parameter_sets::UndecodableKeys;
use super::session::Session;
use super::sound_packets::Unit;
use super::unpacker;
use crate::jpeg;
use ocelli_core::{Codec, Failure, Picture, Publisher, Timestamp};

/// A larger difference between the receipt of sound and its time by the sender reports, in µs,
/// means that the reports are wrong.
const MAX_SHIFT: i64 = 2_000_000;

/// Publishes the pictures and the sound of one session.
pub struct Reception<'a> {
    codec: Codec,
    publisher: &'a Publisher,
    clock: CaptureClock,
    /// Time since the first picture, in µs, and capture time of the last one.
    last: Option<(i64, Timestamp)>,
    sound_clock: CaptureClock,
    /// Whether the last unit of sound had its time from the sender reports.
    is_synchronized: bool,
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
            last: None,
            sound_clock: CaptureClock::default(),
            is_synchronized: false,
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
        let elapsed = micros(picture.elapsed, picture.clock_rate);
        let captured = self.clock.captured(elapsed, self.publisher.now());
        self.last = Some((elapsed, captured));
        captured
    }

    /// Publishes a unit of sound.
    ///
    /// With sender reports, its capture time is that of a picture of the same moment. (It can be
    /// later than its receipt: the capture time of a picture includes the least time that the
    /// camera needs to encode and send one, and sound needs less.) Without them, the receipt of
    /// the sound counts, and its last sample was recorded before that.
    pub fn publish_sound(&mut self, unit: &Unit, session: &Session) {
        let rate = session.sound_clock_rate();
        let elapsed = micros(unit.elapsed, rate);
        let received = self.sound_clock.captured(elapsed, self.publisher.now());
        let by_receipt = to_micros(received) - micros(unit.duration, rate);
        let by_reports = session.sound_offset().zip(self.last);
        let by_reports = by_reports.map(|(offset, (last, captured))| {
            let since = elapsed.saturating_add(offset).saturating_sub(last);
            to_micros(captured).saturating_add(since)
        });
        let by_reports =
            by_reports.filter(|time| time.saturating_sub(by_receipt).abs() <= MAX_SHIFT);
        let is_synchronized = by_reports.is_some();
        if unit.after_loss || is_synchronized != self.is_synchronized {
            self.publisher.interrupt_sound();
        }
        self.is_synchronized = is_synchronized;
        let captured = by_reports.unwrap_or(by_receipt).max(0);
        self.publisher
            .publish_sound(Timestamp(captured as u64), &unit.payload);
    }
}

fn to_micros(time: Timestamp) -> i64 {
    i64::try_from(time.0).unwrap_or(i64::MAX)
}

/// Converts ticks of a clock to µs.
fn micros(ticks: i64, rate: u32) -> i64 {
    (i128::from(ticks) * 1_000_000 / i128::from(rate.max(1))) as i64
}
