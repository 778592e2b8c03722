//! Every order in which the steps of several actors can happen.
//!
//! A race test that depends on luck passes on a quiet machine. Here a race is written as actors
//! whose steps are small functions, and the test runs once for each order of these steps.

/// Decides which actor takes the next step, so that all orders are tried eventually.
#[derive(Default)]
pub struct Schedule {
    /// For each choice of this run: the option taken, and the number of options.
    choices: Vec<(usize, usize)>,
    at: usize,
}

impl Schedule {
    /// Picks one of `count` options. `count` must be at least one.
    pub fn pick(&mut self, count: usize) -> usize {
        assert!(count > 0, "nothing to pick from");
        if self.at == self.choices.len() {
            self.choices.push((0, count));
        }
        let (taken, before) = self.choices[self.at];
        assert_eq!(before, count, "a run must depend only on its schedule");
        self.at += 1;
        taken
    }

    /// Advances to the next order. Returns whether there is one.
    fn advance(&mut self) -> bool {
        self.at = 0;
        while let Some((taken, count)) = self.choices.pop() {
            if taken + 1 < count {
                self.choices.push((taken + 1, count));
                return true;
            }
        }
        false
    }
}

/// Calls `run` once for each possible sequence of picks. Returns the number of calls.
pub fn every_order(mut run: impl FnMut(&mut Schedule)) -> usize {
    let mut schedule = Schedule::default();
    let mut runs = 0;
    loop {
        run(&mut schedule);
        runs += 1;
        if !schedule.advance() {
            return runs;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn all_orders_of_two_actors_are_tried_once() {
        let mut seen = BTreeSet::new();
        let runs = every_order(|schedule| {
            let mut left = [2, 3];
            let mut order = String::new();
            while left != [0, 0] {
                let able: Vec<_> = (0..2).filter(|&actor| left[actor] > 0).collect();
                let actor = able[schedule.pick(able.len())];
                left[actor] -= 1;
                order.push(['a', 'b'][actor]);
            }
            assert!(seen.insert(order), "twice");
        });
        assert_eq!((runs, seen.len()), (10, 10));
    }
}
