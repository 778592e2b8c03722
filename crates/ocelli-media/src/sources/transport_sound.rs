//! The sound of an MPEG transport stream: AAC in ADTS frames, and Opus.

use crate::aac::{self, AdtsFrame};
use crate::mpegts::SoundKind;
use crate::opus;
use ocelli_core::{Publisher, Timestamp};

/// Presentation times are in this many ticks a second.
const TICKS: i64 = 90_000;
/// The longest ADTS frame, which may be split over two packets.
const MAX_FRAME: usize = 8191;
/// Sound and pictures that are presented further apart, in µs, do not belong together.
const MAX_APART: i64 = 10_000_000;

/// The sound of one stream.
#[derive(Default)]
pub struct Sound {
    kind: Option<SoundKind>,
    config: Option<aac::Config>,
    /// The beginning of a frame whose rest is in the next packet.
    begun: Vec<u8>,
    /// Presentation time of the next unit, in ticks.
    next: Option<i64>,
}

impl Sound {
    /// Begins with a stream as its table announces it. The format of AAC is known only with the
    /// first frame.
    pub fn set_kind(&mut self, kind: Option<SoundKind>, publisher: &Publisher) {
        if self.kind == kind && kind.is_some() {
            return;
        }
        *self = Self {
            kind,
            ..Self::default()
        };
        match kind {
            Some(SoundKind::Opus(channels)) => publisher.set_sound(Some(opus::format(channels))),
            Some(SoundKind::Other) | None => publisher.set_sound(None),
            Some(SoundKind::Aac) => publisher.expect_sound(),
        }
    }

    /// Publishes the units in a packet of the stream. `last` is when the last picture is
    /// presented, in µs, and its capture time.
    pub fn publish(
        &mut self,
        stamp: Option<i64>,
        bytes: &[u8],
        last: Option<(i64, Timestamp)>,
        publisher: &Publisher,
    ) {
        match self.kind {
            Some(SoundKind::Aac) => self.publish_aac(stamp, bytes, last, publisher),
            Some(SoundKind::Opus(_)) => {
                self.next = stamp.or(self.next);
                let mut rest = bytes;
                while let Some((packet, after)) = opus::split_packet(rest) {
                    let ticks = i64::from(opus::duration(packet)) * TICKS;
                    self.publish_unit(packet, ticks / i64::from(opus::RATE), last, publisher);
                    rest = after;
                }
            }
            Some(SoundKind::Other) | None => {}
        }
    }

    fn publish_aac(
        &mut self,
        stamp: Option<i64>,
        bytes: &[u8],
        last: Option<(i64, Timestamp)>,
        publisher: &Publisher,
    ) {
        let mut begun = std::mem::take(&mut self.begun);
        if begun.is_empty() {
            self.next = stamp.or(self.next);
        }
        let mut stamp_at = begun.len();
        begun.extend_from_slice(bytes);
        let mut rest = &begun[..];
        while !rest.is_empty() {
            let Some(frame) = AdtsFrame::parse(rest) else {
                // It is cut off, or something else.
                let skipped = AdtsFrame::find(rest);
                if skipped == 0 {
                    break;
                }
                rest = &rest[skipped..];
                continue;
            };
            let at = begun.len() - rest.len();
            if stamp_at > 0 && at >= stamp_at {
                // The first frame that begins in this packet.
                (self.next, stamp_at) = (stamp.or(self.next), 0);
            }
            if self.config.as_ref() != Some(&frame.config) {
                publisher.set_sound(Some(frame.config.format()));
                self.config = Some(frame.config.clone());
            }
            let ticks = i64::from(frame.config.frame_len) * TICKS;
            let ticks = ticks / i64::from(frame.config.core_rate.max(1));
            self.publish_unit(frame.unit, ticks, last, publisher);
            rest = &rest[frame.len..];
        }
        if rest.len() < MAX_FRAME {
            self.begun = rest.to_vec();
        }
    }

    /// Publishes a unit that lasts this many ticks. Without a picture to which its time can be
    /// related, the time of receipt counts.
    fn publish_unit(
        &mut self,
        unit: &[u8],
        duration: i64,
        last: Option<(i64, Timestamp)>,
        publisher: &Publisher,
    ) {
        let captured = self.next.zip(last).and_then(|(next, (last, captured))| {
            let apart = next.saturating_mul(100) / 9 - last;
            let captured = i64::try_from(captured.0).ok()?.checked_add(apart)?;
            let is_near = (-MAX_APART..=MAX_APART).contains(&apart);
            u64::try_from(captured).ok().filter(|_| is_near)
        });
        let captured = captured.map_or(Timestamp::UNKNOWN, Timestamp);
        publisher.publish_sound(captured, unit);
        self.next = self.next.map(|next| next.saturating_add(duration));
    }
}
