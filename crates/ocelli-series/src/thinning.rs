//! Thins samples and keeps their extremes.

use crate::Sample;

/// Thins a stream of samples so that the extremes survive: it divides them into equal parts
/// and emits the minimum and maximum of each part, in their original order, and the newest
/// sample.
#[derive(Debug)]
pub(crate) struct Thinning {
    /// Expected number of samples.
    count: usize,
    /// Number of parts; `None` if every sample is emitted.
    parts: Option<usize>,
    /// Number of samples so far, and number of completed parts.
    at: usize,
    part: usize,
    /// Minimum and maximum of this part, each with its index.
    least: Option<(usize, Sample)>,
    greatest: Option<(usize, Sample)>,
    newest: Option<Sample>,
    given: Option<Sample>,
}

impl Thinning {
    /// Emits at most `most` of `count` samples, but at least two if there are two.
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
        // Fewer samples may arrive than expected, if they were thinned in between; there
        // are never more parts.
        if self.part + 1 < parts && self.at >= (self.part + 1) * self.count / parts {
            self.part += 1;
            self.end_part(give);
        }
    }

    /// Emits the remaining samples after the last one was added.
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
