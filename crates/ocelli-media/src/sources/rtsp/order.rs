//! Order of a track's packets: duplicates are dropped, and packets that arrive ahead of a
//! missing one wait for it for a short time.

use std::time::Duration;
use tokio::time::Instant;

/// The most packets that wait for a missing one.
const MAX_HELD: usize = 16;
/// The longest time that packets wait for a missing one.
const WAIT: Duration = Duration::from_millis(100);
/// Packets whose sequence numbers are at most this far back are duplicates or late.
const MAX_LATE: u16 = 100;
/// The largest gap that counts as loss. After a larger one the camera has restarted its
/// numbering.
const MAX_GAP: u16 = 0x8000;
/// Number of consecutive gaps that were not filled, after which packets no longer wait: this
/// camera's packets are lost, not swapped.
const UNFILLED_GAPS: u8 = 4;
/// Number of consecutive dropped packets after which the camera's sequence numbers are ignored.
const MAX_DROPPED: u32 = 200;

/// What to do with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It is next. States whether packets are missing before it.
    Now(bool),
    /// It must wait, see [`Order::hold`].
    Held,
    /// It is a duplicate, or too late.
    Dropped,
}

/// Order of one track's packets.
#[derive(Debug, Default)]
pub struct Order {
    /// The next sequence number.
    next: Option<u16>,
    /// Packets that wait for an earlier one.
    held: Vec<(u16, Vec<u8>)>,
    /// When the oldest of them arrived.
    since: Option<Instant>,
    /// Whether the held packets are released without waiting, because the numbering jumped.
    jumped: bool,
    /// Number of consecutive gaps that were not filled.
    unfilled: u8,
    /// The last gap: its first sequence number and its length.
    gap: Option<(u16, u16)>,
    /// Number of consecutive dropped packets.
    dropped: u32,
    /// Whether the sequence numbers mean nothing.
    ignored: bool,
    lost: u64,
}

impl Order {
    /// Returns the number of lost packets.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Returns what to do with the packet that has this number.
    pub fn place(&mut self, sequence: u16) -> Turn {
        let Some(next) = self.next.filter(|_| !self.ignored) else {
            self.next = Some(sequence.wrapping_add(1));
            return Turn::Now(false);
        };
        let ahead = sequence.wrapping_sub(next);
        if ahead == 0 {
            self.dropped = 0;
            self.next = Some(sequence.wrapping_add(1));
            return Turn::Now(false);
        }
        if ahead.wrapping_neg() <= MAX_LATE {
            return self.drop_late(sequence);
        }
        self.dropped = 0;
        if self.held.iter().any(|(held, _)| *held == sequence) {
            return Turn::Dropped;
        }
        if self.unfilled >= UNFILLED_GAPS && self.held.is_empty() {
            self.skip_to(sequence);
            self.next = Some(sequence.wrapping_add(1));
            return Turn::Now(true);
        }
        self.jumped |= usize::from(ahead) > MAX_HELD;
        Turn::Held
    }

    fn drop_late(&mut self, sequence: u16) -> Turn {
        let was_missed = |(from, len): (u16, u16)| sequence.wrapping_sub(from) < len;
        if self.gap.is_some_and(was_missed) {
            // It was swapped, so waiting for it would have helped.
            self.unfilled = 0;
        }
        self.dropped += 1;
        if self.dropped > MAX_DROPPED {
            self.ignored = true;
        }
        Turn::Dropped
    }

    /// Keeps a packet until its turn.
    pub fn hold(&mut self, sequence: u16, packet: Vec<u8>, now: Instant) {
        self.since.get_or_insert(now);
        self.held.push((sequence, packet));
    }

    /// Returns when the held packets no longer wait, if there are any.
    pub fn due(&self) -> Option<Instant> {
        self.since.map(|since| since + WAIT)
    }

    /// Returns the next held packet, if it is its turn, and whether packets are missing before
    /// it.
    pub fn release(&mut self, now: Instant) -> Option<(Vec<u8>, bool)> {
        let next = self.next?;
        let ahead = |held: &(u16, Vec<u8>)| held.0.wrapping_sub(next);
        let (at, first) = self
            .held
            .iter()
            .enumerate()
            .min_by_key(|(_, held)| ahead(held))?;
        let sequence = first.0;
        let missing = ahead(first) > 0;
        let is_due = self.due().is_some_and(|due| now >= due);
        if missing && !is_due && !self.jumped && self.held.len() <= MAX_HELD {
            return None;
        }
        let (_, packet) = self.held.swap_remove(at);
        match missing {
            true => self.skip_to(sequence),
            false => self.unfilled = 0,
        }
        self.next = Some(sequence.wrapping_add(1));
        self.since = (!self.held.is_empty()).then_some(now);
        self.jumped &= !self.held.is_empty();
        Some((packet, missing))
    }

    /// Gives up the packets before this one.
    fn skip_to(&mut self, sequence: u16) {
        let from = self.next.unwrap_or(sequence);
        let len = sequence.wrapping_sub(from);
        self.unfilled = self.unfilled.saturating_add(1);
        if len < MAX_GAP {
            self.lost += u64::from(len);
            self.gap = Some((from, len));
        }
    }

    /// Forgets the numbering, because another sender continues.
    pub fn restart(&mut self) {
        *self = Self {
            lost: self.lost,
            ..Self::default()
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the numbers in the order in which they are released, with `!` after a gap.
    fn ordered(order: &mut Order, numbers: &[u16], now: Instant) -> String {
        let note = |number: u16, missing| match missing {
            true => format!("!{number}"),
            false => number.to_string(),
        };
        let mut out = Vec::new();
        let released = |order: &mut Order, out: &mut Vec<String>| {
            while let Some((packet, missing)) = order.release(now) {
                out.push(note(u16::from_be_bytes([packet[0], packet[1]]), missing));
            }
        };
        released(order, &mut out);
        for number in numbers {
            match order.place(*number) {
                Turn::Now(missing) => out.push(note(*number, missing)),
                Turn::Held => order.hold(*number, number.to_be_bytes().to_vec(), now),
                Turn::Dropped => {}
            }
            released(order, &mut out);
        }
        out.join(" ")
    }

    #[test]
    fn swapped_and_duplicate_packets_are_put_in_order() {
        let now = Instant::now();
        let mut order = Order::default();
        let numbers = [65_534, 0, 65_535, 65_535, 1, 3, 4, 4, 2, 2, 5, 1];
        assert_eq!(
            ordered(&mut order, &numbers, now),
            "65534 65535 0 1 2 3 4 5"
        );
        assert_eq!((order.lost(), order.due()), (0, None));
    }

    #[test]
    fn a_missing_packet_is_given_up_after_a_time_or_a_number_of_packets() {
        let now = Instant::now();
        let mut order = Order::default();
        assert_eq!(ordered(&mut order, &[1, 3, 4], now), "1");
        assert_eq!(order.due(), Some(now + WAIT));
        assert_eq!(ordered(&mut order, &[5], now + WAIT), "!3 4 5");
        assert_eq!((order.lost(), order.due()), (1, None));
        let many: Vec<u16> = (7..7 + MAX_HELD as u16 + 1).collect();
        assert!(ordered(&mut order, &many[..MAX_HELD], now).is_empty());
        assert!(ordered(&mut order, &many[MAX_HELD..], now).starts_with("!7 8 9"));
        assert_eq!(order.lost(), 2);
    }

    #[test]
    fn a_restarted_numbering_is_followed_at_once() {
        let now = Instant::now();
        let mut order = Order::default();
        assert_eq!(
            ordered(&mut order, &[5, 40_000, 40_001], now),
            "5 !40000 40001"
        );
        assert_eq!(ordered(&mut order, &[7, 8], now), "!7 8");
    }

    #[test]
    fn packets_do_not_wait_if_gaps_are_never_filled() {
        let now = Instant::now();
        let mut order = Order::default();
        for number in (0..40).map(|at| at * 2) {
            ordered(&mut order, &[number], now);
            ordered(&mut order, &[], now + WAIT);
        }
        assert!(order.due().is_none());
        assert_eq!(ordered(&mut order, &[100, 102], now), "!100 !102");
        // A late packet shows that waiting would help.
        assert_eq!(
            ordered(&mut order, &[101, 103, 105, 104], now),
            "103 104 105"
        );
    }

    #[test]
    fn sequence_numbers_that_stand_still_are_ignored() {
        let now = Instant::now();
        let mut order = Order::default();
        let numbers = vec![9; MAX_DROPPED as usize + 3];
        assert_eq!(ordered(&mut order, &numbers, now), "9 9");
    }
}
