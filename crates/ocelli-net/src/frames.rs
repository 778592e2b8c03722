//! Counts the WebSocket frames in the bytes that are read from a connection (RFC 6455, 5.2).
//!
//! The library returns whole messages only. A peer that sends endless empty fragments keeps it
//! busy without completing a message, so frames are counted below the library, by their headers.

use std::time::Duration;

/// The cost of a frame that does not complete a message.
pub const FRAME: Duration = Duration::from_nanos(200);
/// Bytes read at once at a frame boundary. This many bytes of the shortest frames take about one
/// turn of the budget.
const AT_FRAMES: usize = 8 * 1024;
/// Longest header: two bytes, eight of length and the mask.
const LONGEST: usize = 14;

/// The position within a peer's frames.
#[derive(Debug, Default)]
pub struct Frames {
    /// The part of a header that has been read.
    header: [u8; LONGEST],
    held: usize,
    /// Remaining bytes of the payload.
    payload: u64,
}

impl Frames {
    /// Processes bytes that were read. Returns the number of frame headers that end in them.
    pub fn count(&mut self, mut bytes: &[u8]) -> u32 {
        let mut count = 0;
        loop {
            let skipped =
                usize::try_from(self.payload).map_or(bytes.len(), |left| left.min(bytes.len()));
            self.payload -= skipped as u64;
            bytes = &bytes[skipped..];
            let Some((first, rest)) = bytes.split_first() else {
                return count;
            };
            self.header[self.held] = *first;
            self.held += 1;
            bytes = rest;
            if let Some(payload) = self.payload_of_whole_header() {
                self.payload = payload;
                self.held = 0;
                count += 1;
            }
        }
    }

    fn payload_of_whole_header(&self) -> Option<u64> {
        let header = &self.header[..self.held];
        let second = header.get(1)?;
        let mask = if second & 0x80 == 0 { 0 } else { 4 };
        let (length_bytes, payload) = match second & 0x7F {
            126 => (
                2,
                u16::from_be_bytes(header.get(2..4)?.try_into().ok()?).into(),
            ),
            127 => (8, u64::from_be_bytes(header.get(2..10)?.try_into().ok()?)),
            short => (0, short.into()),
        };
        (header.len() == 2 + length_bytes + mask).then_some(payload)
    }

    /// The most bytes that may be read at once.
    pub fn most(&self) -> usize {
        usize::try_from(self.payload).map_or(usize::MAX, |payload| payload.max(AT_FRAMES))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(payload: usize, masked: bool) -> Vec<u8> {
        let mask = if masked { 0x80 } else { 0 };
        let mut frame = vec![0x82];
        match (payload, u16::try_from(payload)) {
            (0..126, _) => frame.push(mask | payload as u8),
            (_, Ok(len)) => {
                frame.push(mask | 126);
                frame.extend(len.to_be_bytes());
            }
            _ => {
                frame.push(mask | 127);
                frame.extend((payload as u64).to_be_bytes());
            }
        }
        frame.extend(vec![0xFF; payload + if masked { 4 } else { 0 }]);
        frame
    }

    #[test]
    fn frames_are_counted_at_any_split() {
        let lengths = [0, 1, 125, 126, 127, 65_535, 65_536, 0, 0];
        for masked in [false, true] {
            let stream: Vec<u8> = lengths.iter().flat_map(|&len| frame(len, masked)).collect();
            for cut in [1, 3, 1000, stream.len()] {
                let mut frames = Frames::default();
                let count: u32 = stream.chunks(cut).map(|piece| frames.count(piece)).sum();
                assert_eq!(count as usize, lengths.len(), "cut at {cut}");
                assert_eq!((frames.held, frames.payload), (0, 0));
            }
        }
    }

    #[test]
    fn reads_are_short_at_frame_boundaries_and_long_within_a_payload() {
        let mut frames = Frames::default();
        assert_eq!(frames.most(), AT_FRAMES);
        frames.count(&frame(100_000, true)[..14]);
        assert_eq!(frames.most(), 100_000);
        let endless = [0x82, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF];
        let mut frames = Frames::default();
        assert_eq!(frames.count(&endless), 0);
        assert_eq!(frames.count(&[0; 4]), 1);
        assert_eq!(frames.count(&[0; 4]), 0);
    }
}
