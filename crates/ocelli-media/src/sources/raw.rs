//! Splits a stream of raw pictures, which are separated only by their length.
//!
//! Two faults are found by comparing a picture with the one before it at a thousand places,
//! because most of a scene stays as it is:
//!
//! - The program pads its pictures: they are alike at the distance of a padded picture, and
//!   not at the configured one.
//! - The program was restarted in the middle of a picture, behind a pipe that a shell holds
//!   open: after the pause, the pictures are alike if the incomplete one is left out.

use ocelli_core::{Failure, FailureKind, FrameBuffer, raw_len};
use std::time::Duration;

/// Number of places at which pictures are compared.
const PLACES: usize = 1024;
/// Programs pad rows to a multiple of one of these, and the height to a multiple of one of
/// those.
const ROW_ALIGNMENTS: [u16; 5] = [2, 16, 32, 64, 128];
const HEIGHT_ALIGNMENTS: [u16; 2] = [2, 16];
/// Distances are compared within these parts of the picture's length.
const SHORTEST: f64 = 0.8;
const LONGEST: f64 = 1.25;
/// Number of pictures in a row that must be padded alike.
const CONFIRMATION: u32 = 3;
/// The size of this many pictures is checked, and of every few after that: a restarted program
/// may write others.
const CHECKED: u64 = 240;
const CHECKED_LATER: u64 = 32;

/// Pictures whose mean difference per byte is less are alike, whatever others show.
const ALIKE: f64 = 2.0;
/// The least ratio of two differences of which one is right and the other wrong.
const DISTINCT: f64 = 2.5;

/// A pause in the middle of a picture counts from this many intervals on, at least this long.
const PAUSE_INTERVALS: f64 = 4.0;
const MIN_PAUSE: Duration = Duration::from_millis(250);
/// After a longer one, a picture that can't be compared is taken for a new one.
const LONG_PAUSE_INTERVALS: f64 = 10.0;
const MIN_LONG_PAUSE: Duration = Duration::from_secs(1);

/// Layout of the pictures.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Width and height in pixels.
    pub size: (u16, u16),
    /// Samples from one row to the next.
    pub stride: u16,
    /// Pictures a second.
    pub fps: f64,
}

impl Layout {
    /// Returns the length of a picture in bytes.
    pub fn len(&self) -> usize {
        raw_len(self.stride, self.size.1)
    }
}

/// The pictures of one program.
pub struct RawPictures {
    layout: Layout,
    len: usize,
    buffer: FrameBuffer,
    /// Bytes of the picture before, at the places.
    before: Option<Vec<u8>>,
    /// Where in the picture the program paused, and for how long.
    pause: Option<(usize, Duration)>,
    /// Number of pictures.
    count: u64,
    /// The padded size that the latest pictures seem to have, and how many do.
    padded: Option<((u16, u16), u32)>,
}

impl RawPictures {
    /// Creates an empty splitter.
    pub fn new(layout: Layout) -> Self {
        let len = layout.len();
        Self {
            layout,
            len,
            buffer: FrameBuffer::with_capacity(len),
            before: None,
            pause: None,
            count: 0,
            padded: None,
        }
    }

    /// Returns the buffer to read the rest of a picture into.
    pub fn buffer(&mut self) -> &mut FrameBuffer {
        &mut self.buffer
    }

    /// Notes that the bytes from `at` on took this long to come.
    pub fn note_wait(&mut self, at: usize, waited: Duration) {
        if at > 0 && waited >= self.intervals(PAUSE_INTERVALS).max(MIN_PAUSE) {
            self.pause = Some((at, waited));
        }
    }

    fn intervals(&self, count: f64) -> Duration {
        Duration::from_secs_f64(count / self.layout.fps)
    }

    /// Returns the picture, if it is complete.
    ///
    /// # Errors
    /// The pictures have another size than configured.
    pub fn next_picture(&mut self) -> Result<Option<FrameBuffer>, Failure> {
        if self.buffer.len() < self.len {
            return Ok(None);
        }
        if let Some((at, waited)) = self.pause.take()
            && self.is_restarted(at, waited)
        {
            let rest = self.buffer.payload()[at..].to_vec();
            self.buffer = FrameBuffer::with_capacity(self.len);
            self.buffer.extend_from_slice(&rest);
            return Ok(None);
        }
        self.count += 1;
        if self.count <= CHECKED || self.count.is_multiple_of(CHECKED_LATER) {
            self.check_size()?;
        }
        let picture = self.buffer.payload();
        self.before = Some(self.places(0..self.len).map(|at| picture[at]).collect());
        let next = FrameBuffer::with_capacity(self.len);
        Ok(Some(std::mem::replace(&mut self.buffer, next)))
    }

    /// Returns the places within this range of the picture.
    fn places(&self, range: std::ops::Range<usize>) -> impl Iterator<Item = usize> + use<> {
        let len = self.len;
        let places = (0..PLACES).map(move |place| len * place / PLACES);
        places.filter(move |at| range.contains(at))
    }

    /// Returns the mean difference per byte between the picture before, at these places, and
    /// the current one, `shift` bytes later.
    fn difference(&self, range: std::ops::Range<usize>, shift: isize) -> Option<f64> {
        let before = self.before.as_ref()?;
        let now = self.buffer.payload();
        let (mut sum, mut count) = (0u64, 0u64);
        for at in self.places(range) {
            let place = (at * PLACES).div_ceil(self.len);
            let (Some(&old), Some(&new)) = (
                before.get(place),
                at.checked_add_signed(shift).and_then(|at| now.get(at)),
            ) else {
                continue;
            };
            sum += u64::from(old.abs_diff(new));
            count += 1;
        }
        (count > PLACES as u64 / 32).then(|| sum as f64 / count as f64)
    }

    /// Whether a new picture begins at the pause, and not the rest of the old one.
    fn is_restarted(&self, at: usize, waited: Duration) -> bool {
        let continued = self.difference(at..self.len, 0);
        let restarted = self.difference(0..self.len - at, at as isize);
        match (continued, restarted) {
            (Some(continued), Some(restarted)) if is_right(continued, restarted) => false,
            (Some(continued), Some(restarted)) if is_right(restarted, continued) => true,
            _ => waited >= self.intervals(LONG_PAUSE_INTERVALS).max(MIN_LONG_PAUSE),
        }
    }

    /// Checks that the pictures have the configured length.
    fn check_size(&mut self) -> Result<(), Failure> {
        let Some(padded) = self.padded_size() else {
            self.padded = None;
            return Ok(());
        };
        let count = match self.padded {
            Some((size, count)) if size == padded => count + 1,
            _ => 1,
        };
        self.padded = Some((padded, count));
        match count < CONFIRMATION {
            true => Ok(()),
            false => Err(self.wrong_size(padded)),
        }
    }

    /// Returns the row length and height that this picture seems to have, if they are not the
    /// configured ones.
    fn padded_size(&self) -> Option<(u16, u16)> {
        let (width, height) = self.layout.size;
        let range = (self.len as f64 * (1.0 - SHORTEST)) as usize
            ..(self.len as f64 * (2.0 - LONGEST)) as usize;
        let at_distance = |distance: usize| {
            let shift = distance as isize - self.len as isize;
            self.difference(range.clone(), shift)
        };
        let own = at_distance(self.len)?;
        if own <= ALIKE {
            return None;
        }
        let rows = ROW_ALIGNMENTS.map(|alignment| width.checked_next_multiple_of(alignment));
        let heights = HEIGHT_ALIGNMENTS.map(|alignment| height.checked_next_multiple_of(alignment));
        let mut best: Option<(f64, (u16, u16))> = None;
        for row in rows.into_iter().flatten() {
            for height in heights.into_iter().flatten() {
                let distance = raw_len(row, height);
                let share = distance as f64 / self.len as f64;
                if distance == self.len || !(SHORTEST..=LONGEST).contains(&share) {
                    continue;
                }
                if let Some(found) = at_distance(distance)
                    && best.is_none_or(|(least, _)| found < least)
                {
                    best = Some((found, (row, height)));
                }
            }
        }
        let (least, size) = best?;
        is_right(least, own).then_some(size)
    }

    fn wrong_size(&self, (row, height): (u16, u16)) -> Failure {
        let (width, configured) = self.layout.size;
        let found = match row == width {
            true => "rows",
            false => "padded rows",
        };
        let mut reason = format!(
            "its raw pictures have {height} {found} of {row} bytes, and `size` and `stride` say \
             {configured} of {}",
            self.layout.stride
        );
        reason.push_str(&match height == configured {
            true if row == width => ": remove `stride`".to_owned(),
            true => format!(": add stride = {row}"),
            false => format!(
                ". Let the program write {row}x{height}, or another size that needs no padding, \
                 and set `size` to the same"
            ),
        });
        Failure::new(FailureKind::Unsupported, reason)
    }
}

/// Whether the first of two differences shows that its pictures are the right ones.
fn is_right(right: f64, wrong: f64) -> bool {
    wrong > ALIKE && right * DISTINCT < wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// A program that shows a still scene with noise and something that moves.
    struct Program {
        row: u16,
        height: u16,
        number: u64,
    }

    impl Program {
        fn new(row: u16, height: u16) -> Self {
            Self {
                row,
                height,
                number: 0,
            }
        }

        fn picture(&mut self) -> Vec<u8> {
            self.number += 1;
            let mut state = self.number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
            let mut noise = || {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                (state % 5) as i32
            };
            let mut picture = Vec::with_capacity(raw_len(self.row, self.height));
            let mut plane = |row: u16, height: u16, base: i32| {
                for y in 0..i32::from(height) {
                    for x in 0..i32::from(row) {
                        let scene = (x * 7 / 16 + y * 3 / 8 + (x / 40) * (y / 30) * 13) % 180;
                        let moving = (x - self.number as i32 * 4).rem_euclid(300) < 20;
                        let value = base + scene + noise() + i32::from(moving) * 40;
                        picture.push(value.clamp(0, 255) as u8);
                    }
                }
            };
            plane(self.row, self.height, 20);
            plane(self.row / 2, self.height / 2, 40);
            plane(self.row / 2, self.height / 2, 60);
            picture
        }
    }

    fn pictures(size: (u16, u16), stride: u16) -> RawPictures {
        RawPictures::new(Layout {
            size,
            stride,
            fps: 25.0,
        })
    }

    /// Feeds bytes. Returns the pictures.
    fn feed(splitter: &mut RawPictures, mut bytes: &[u8]) -> Result<Vec<Vec<u8>>, String> {
        let mut found = Vec::new();
        while !bytes.is_empty() {
            let missing = splitter.len - splitter.buffer.len();
            let (part, rest) = bytes.split_at(missing.min(bytes.len()));
            splitter.buffer().extend_from_slice(part);
            bytes = rest;
            let picture = splitter.next_picture().map_err(|failure| failure.reason)?;
            found.extend(picture.map(|picture| picture.payload().to_vec()));
        }
        Ok(found)
    }

    #[test]
    fn padded_pictures_are_named_with_what_to_write() {
        for (size, stride, written, advice) in [
            ((1296, 730), 1296, (1312, 736), "write 1312x736"),
            ((640, 360), 640, (640, 368), "write 640x368"),
            ((1296, 736), 1296, (1312, 736), "add stride = 1312"),
            ((650, 480), 650, (704, 480), "add stride = 704"),
            ((640, 480), 704, (640, 480), "remove `stride`"),
        ] {
            let mut program = Program::new(written.0, written.1);
            let mut splitter = pictures(size, stride);
            let result =
                (0..12).try_for_each(|_| feed(&mut splitter, &program.picture()).map(drop));
            let reason = result.expect_err("another size");
            assert!(reason.contains(advice), "{reason}");
            let named = format!("{} ", written.1);
            assert!(reason.contains(&named), "{reason}");
        }
    }

    #[test]
    fn pictures_of_the_right_size_are_passed_on() {
        for (size, stride) in [((1296, 730), 1296), ((1296, 730), 1312), ((640, 480), 640)] {
            let mut program = Program::new(stride, size.1);
            let mut splitter = pictures(size, stride);
            for _ in 0..30 {
                let picture = program.picture();
                assert_eq!(feed(&mut splitter, &picture), Ok(vec![picture]));
            }
        }
        // Pictures that are all the same, and pictures that have nothing in common.
        let mut splitter = pictures((1296, 730), 1296);
        let len = splitter.len;
        let mut state = 1u64;
        for at in 0..40 {
            let mut random = || {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                (state >> 56) as u8
            };
            let picture: Vec<u8> = match at < 20 {
                true => vec![128; len],
                false => (0..len).map(|_| random()).collect(),
            };
            assert_eq!(
                feed(&mut splitter, &picture).map(|found| found.len()),
                Ok(1)
            );
        }
    }

    #[test]
    fn two_pictures_that_look_padded_by_chance_are_passed_on() {
        let shift = raw_len(640, 368) - raw_len(640, 360);
        let mut program = Program::new(640, 360);
        let mut splitter = pictures((640, 360), 640);
        for (count, is_passed) in [(2, true), (2, true), (3, false)] {
            let mut picture = program.picture();
            assert!(feed(&mut splitter, &picture).is_ok());
            for number in 1..=count {
                picture.rotate_right(shift);
                let passed = feed(&mut splitter, &picture);
                assert_eq!(passed.is_ok(), is_passed || number < count, "{passed:?}");
            }
        }
    }

    #[test]
    fn a_restarted_program_is_followed_after_a_pause() {
        for share in [0.02, 0.3, 0.5, 0.9] {
            let mut program = Program::new(640, 480);
            let mut splitter = pictures((640, 480), 640);
            for _ in 0..3 {
                feed(&mut splitter, &program.picture()).expect("pictures");
            }
            let cut = (splitter.len as f64 * share) as usize;
            let partial = program.picture();
            assert_eq!(feed(&mut splitter, &partial[..cut]), Ok(vec![]));
            splitter.note_wait(cut, SECOND / 2);
            for _ in 0..5 {
                let picture = program.picture();
                assert_eq!(feed(&mut splitter, &picture), Ok(vec![picture]), "{share}");
            }
        }
    }

    #[test]
    fn a_program_that_pauses_in_the_middle_of_a_picture_loses_none() {
        // The end of each picture stays in its output buffer until the next one.
        let mut program = Program::new(640, 480);
        let mut splitter = pictures((640, 480), 640);
        let mut written = Vec::new();
        let mut seen = 0;
        for number in 1..20 {
            written.extend(program.picture());
            let now = written.len() / 4096 * 4096;
            let found = feed(&mut splitter, &written[..now]).expect("pictures");
            written.drain(..now);
            seen += found.len();
            assert!(seen + 1 >= number, "{seen} of {number}");
            splitter.note_wait(splitter.buffer.len(), SECOND * 3);
        }
    }

    #[test]
    fn without_a_picture_to_compare_a_long_pause_starts_a_new_one() {
        for (pause, complete) in [(SECOND * 2, 0), (SECOND / 2, 1)] {
            let mut splitter = pictures((640, 480), 640);
            let len = splitter.len;
            feed(&mut splitter, &vec![7; len]).expect("pictures");
            feed(&mut splitter, &vec![7; len / 4]).expect("pictures");
            splitter.note_wait(len / 4, pause);
            let found = feed(&mut splitter, &vec![7; len * 3 / 4]).expect("pictures");
            assert_eq!(found.len(), complete, "{pause:?}");
        }
    }
}
