//! How many frames are in the bytes that a socket reads (RFC 6455, 5.2).
//!
//! The library hands over whole messages. A peer that sends empty fragments without end
//! keeps it busy without any, so frames are counted below it, by their headers alone.

use std::time::Duration;

/// The price of a frame that makes no message.
pub const FRAME: Duration = Duration::from_nanos(200);
/// What is read at once where frames begin: so many of the shortest frames take about a turn.
const AT_FRAMES: usize = 8 * 1024;
/// The longest header: two bytes, eight of length and the mask.
const LONGEST: usize = 14;

/// Where reading is in a peer's frames.
#[derive(Debug, Default)]
pub struct Frames {
    /// The beginning of a header.
    header: [u8; LONGEST],
    held: usize,
    /// What is left of the payload.
    payload: u64,
}

impl Frames {
    /// Takes bytes that were read; how many frames' headers end in them.
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

    /// How many bytes may be read at once.
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
    fn frames_are_counted_however_they_are_cut() {
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
    fn little_is_read_where_frames_begin_and_a_payload_at_once() {
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
