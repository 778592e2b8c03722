//! Thinning of samples so that their extremes survive.

use crate::Sample;

/// Thins samples as they are read, so that the extremes survive: of each of equally many
/// in turn it gives the least and the greatest, in the order they came, and the newest.
#[derive(Debug)]
pub(crate) struct Thinning {
    /// How many samples there are to be.
    count: usize,
    /// Into how many parts they are divided; none where all are given.
    parts: Option<usize>,
    /// How many samples there were, and how many parts of them.
    at: usize,
    part: usize,
    /// The least and the greatest of this part, each with its place.
    least: Option<(usize, Sample)>,
    greatest: Option<(usize, Sample)>,
    newest: Option<Sample>,
    given: Option<Sample>,
}

impl Thinning {
    /// Of `count` samples at most `most` are given, but two at least if there are two.
    pub fn new(count: usize, most: usize) -> Self {
        Self {
            count,
            parts: (count > most).then_some((most.max(4) - 1) / 2),
            at: 0,
            part: 0,
            least: None,
            greatest: None,
            newest: None,
            given: None,
        }
    }

    /// Adds the next sample.
    pub fn add(&mut self, sample: Sample, mut give: impl FnMut(Sample)) {
        let Some(parts) = self.parts else {
            return give(sample);
        };
        if self.least.is_none_or(|(_, least)| sample.1 < least.1) {
            self.least = Some((self.at, sample));
        }
        if self.greatest.is_none_or(|(_, most)| sample.1 >= most.1) {
            self.greatest = Some((self.at, sample));
        }
        self.newest = Some(sample);
        self.at += 1;
        // Fewer may come than there were to be, if they were thinned meanwhile, and never
        // more parts.
        if self.part + 1 < parts && self.at >= (self.part + 1) * self.count / parts {
            self.part += 1;
            self.end_part(give);
        }
    }

    /// Gives what is left after the last sample.
    pub fn finish(&mut self, mut give: impl FnMut(Sample)) {
        self.end_part(&mut give);
        if self.newest != self.given
            && let Some(newest) = self.newest
        {
            give(newest);
        }
    }

    fn end_part(&mut self, mut give: impl FnMut(Sample)) {
        let (Some(least), Some(greatest)) = (self.least.take(), self.greatest.take()) else {
            return;
        };
        let (one, other) = match least.0 <= greatest.0 {
            true => (least, greatest),
            false => (greatest, least),
        };
        give(one.1);
        if other.0 != one.0 {
            give(other.1);
        }
        self.given = Some(other.1);
    }
}
