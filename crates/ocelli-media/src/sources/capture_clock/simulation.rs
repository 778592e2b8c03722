//! Simulated cameras with wrong clocks on disturbed links: the ages must be right.

use super::CaptureClock;
use std::time::Duration;
use tokio::time::Instant;

/// The largest error of an age.
const TOLERANCE: f64 = 0.2;
/// The time within which an event may disturb the ages.
const SETTLING: f64 = 5.0;

/// What happens to the camera's clock. Times in seconds.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// It is set by this much.
    Step(f64),
    /// This many pictures have a timestamp that is off by this much.
    Outlier(u32, f64),
    /// The timestamps stand still for this long.
    Still(f64),
    /// The clock runs at this rate from now on.
    Rate(f64),
    /// The timestamps are random from now on, for this long.
    Random(f64),
}

/// What happens on the link.
#[derive(Clone, Copy, Debug)]
enum Disturbance {
    /// Nothing is transmitted for this long, then everything.
    Stall(f64),
    /// For the first time, only the second fraction of the pictures can be transmitted.
    Slow(f64, f64),
    /// All pictures are delayed by the second time for the first time.
    Backlog(f64, f64),
}

/// A simulated camera.
#[derive(Clone, Debug)]
struct Scenario {
    fps: f64,
    /// Jitter of the link, in seconds; exponentially distributed.
    jitter: f64,
    /// The camera's clock from the start.
    rate: f64,
    /// Number of B frames in a row.
    reordered: usize,
    faults: Vec<(f64, Fault)>,
    disturbances: Vec<(f64, Disturbance)>,
    seconds: f64,
    seed: u64,
}

struct Random(u64);

impl Random {
    /// Returns a number from 0 to 1.
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.next()
    }
}

impl Scenario {
    fn new(fps: f64, seed: u64) -> Self {
        Self {
            fps,
            jitter: 0.005,
            rate: 1.0,
            reordered: 0,
            faults: Vec::new(),
            disturbances: Vec::new(),
            seconds: 60.0,
            seed,
        }
    }

    /// Returns the pictures in the order of transmission: when they were taken and could be
    /// sent, in units of the interval.
    fn order(&self) -> Vec<(usize, usize)> {
        let count = (self.seconds * self.fps) as usize;
        let group = self.reordered + 1;
        let mut order = Vec::new();
        for at in 0..count {
            // The last of a group is sent first, as soon as it was taken.
            let first = at - at % group;
            let picture = match at % group {
                0 => first + group - 1,
                place => first + place - 1,
            };
            order.push((picture, at + self.reordered));
        }
        order
    }

    /// Returns the timestamp in seconds of a picture taken at `taken`.
    fn stamp(&self, taken: f64, random: &mut Random, outliers: &mut [u32]) -> f64 {
        let mut stamp = taken * self.rate;
        for (number, &(at, fault)) in self.faults.iter().enumerate() {
            if taken < at {
                continue;
            }
            let since = taken - at;
            match fault {
                Fault::Step(by) => stamp += by,
                Fault::Outlier(count, by) => {
                    if outliers[number] < count {
                        outliers[number] += 1;
                        stamp += by;
                    }
                }
                Fault::Still(time) => stamp -= since.min(time),
                Fault::Rate(rate) => stamp += since * (rate - self.rate),
                Fault::Random(time) if since < time => stamp += random.between(-1e4, 1e4),
                Fault::Random(_) => {}
            }
        }
        stamp
    }

    /// Whether the ages at this time may be wrong.
    fn is_settling(&self, at: f64) -> bool {
        self.faults.iter().any(|&(begun, fault)| {
            let lasts = match fault {
                Fault::Still(time) | Fault::Random(time) => time,
                Fault::Step(_) | Fault::Rate(_) => 0.0,
                Fault::Outlier(..) => return false,
            };
            // While they stand still, arrivals are all that is known.
            let settled =
                begun + SETTLING < at && at < begun + lasts || at > begun + lasts + SETTLING;
            at >= begun && !settled
        }) || (self.rate != 1.0 && at < SETTLING)
    }

    /// Runs it. Returns the largest error of an age outside the settling times, with the time
    /// at which it was seen.
    fn worst(&self) -> (f64, f64) {
        let mut random = Random(self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let mut clock = CaptureClock::default();
        let begun = Instant::now();
        let mut outliers = vec![0; self.faults.len()];
        let mut worst = (0.0f64, 0.0);
        let mut free: f64 = 0.0;
        for (picture, sent) in self.order() {
            let taken = picture as f64 / self.fps;
            let sent = sent as f64 / self.fps;
            let mut ready = sent + 0.01 - self.jitter * (1.0 - random.next()).ln();
            let mut occupied = 0.0;
            for &(at, disturbance) in &self.disturbances {
                match disturbance {
                    Disturbance::Stall(time) if (at..at + time).contains(&sent) => {
                        ready = ready.max(at + time);
                    }
                    Disturbance::Slow(time, share) if (at..at + time).contains(&free) => {
                        occupied = 1.0 / (self.fps * share);
                    }
                    Disturbance::Backlog(time, delay) if (at..at + time).contains(&sent) => {
                        ready = ready.max(sent + delay);
                    }
                    _ => {}
                }
            }
            // Pictures arrive in order.
            let arrived = ready.max(free + occupied);
            free = arrived;
            let stamp = self.stamp(taken, &mut random, &mut outliers);
            let now = begun + Duration::from_secs_f64(arrived);
            let age = clock.age((stamp * 1e6) as i64 + 77_000_000, now) as f64 / 1e6;
            // The delay of the encoder and the link is not visible in the timestamps.
            let hidden = self.reordered as f64 / self.fps;
            let right = arrived - taken - 0.01;
            let error = match age {
                age if age < right - hidden => right - hidden - age,
                age if age > right => age - right,
                _ => 0.0,
            };
            if error > worst.0 && !self.is_settling(arrived) {
                worst = (error, arrived);
            }
        }
        worst
    }

    fn check(&self) {
        let (error, at) = self.worst();
        assert!(
            error <= TOLERANCE,
            "the age at {at:.2} s is wrong by {error:.3} s in {self:?}"
        );
    }
}

const RATES: [f64; 5] = [5.0, 10.0, 15.0, 25.0, 60.0];

/// Checks scenarios with a fault at different times, frame rates and jitters, each also with
/// later congestion.
fn check_all(count: u64, make: impl Fn(&mut Random, &mut Scenario)) {
    for seed in 1..=count {
        let mut random = Random(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) | 1);
        for fps in RATES {
            let mut scenario = Scenario::new(fps, seed);
            scenario.jitter = random.between(0.0, 0.015);
            make(&mut random, &mut scenario);
            scenario.check();
            let stall = random.between(0.5, 4.0);
            scenario.disturbances = vec![(40.0, Disturbance::Stall(stall))];
            scenario.check();
        }
    }
}

#[test]
fn ordinary_cameras() {
    check_all(20, |random, scenario| {
        scenario.rate = 1.0 + random.between(-300e-6, 300e-6);
    });
}

#[test]
fn congestion_is_visible() {
    check_all(20, |random, scenario| {
        let begin = random.between(8.0, 20.0);
        let time = random.between(2.0, 8.0);
        let share = random.between(0.5, 0.9);
        scenario.disturbances = vec![(begin, Disturbance::Slow(time, share))];
        scenario.check();
        let delay = random.between(0.5, 4.0);
        scenario.disturbances = vec![(begin, Disturbance::Backlog(30.0, delay))];
        scenario.check();
    });
}

#[test]
fn steps_both_ways_small_and_large() {
    check_all(20, |random, scenario| {
        for by in [0.3, 1.0, 5.0, 60.0, 3600.0, 1e6] {
            for by in [by, -by] {
                let at = random.between(3.0, 20.0);
                scenario.faults = vec![(at, Fault::Step(by * random.between(0.8, 1.2)))];
                scenario.check();
            }
        }
    });
}

#[test]
fn an_outlier_costs_nothing() {
    check_all(20, |random, scenario| {
        for by in [0.1, 0.3, 1.0, 5.0, 3600.0] {
            for by in [by, -by] {
                let count = 1 + (random.next() * 2.0) as u32;
                scenario.faults = vec![
                    (random.between(3.0, 10.0), Fault::Outlier(1, by)),
                    (random.between(11.0, 20.0), Fault::Outlier(count, by)),
                    (random.between(21.0, 30.0), Fault::Outlier(1, -by)),
                ];
                scenario.check();
            }
        }
    });
}

#[test]
fn stamps_that_stand_still() {
    check_all(20, |random, scenario| {
        scenario.faults = vec![(0.0, Fault::Still(1e3))];
        scenario.check();
        let time = random.between(1.0, 15.0);
        scenario.faults = vec![(random.between(3.0, 12.0), Fault::Still(time))];
    });
}

#[test]
fn stamps_that_tick_at_1_khz() {
    check_all(20, |random, scenario| {
        // The camera announces 90 kHz.
        scenario.rate = 1.0 / 90.0;
        scenario.check();
        scenario.rate = 1.0;
        scenario.faults = vec![(random.between(3.0, 20.0), Fault::Rate(1.0 / 90.0))];
        scenario.check();
        // With arrivals alone, congestion is not visible, so it must come before.
        scenario.faults = vec![(50.0, Fault::Rate(1.0 / 90.0))];
    });
}

#[test]
fn clocks_that_run_backwards() {
    check_all(20, |random, scenario| {
        for rate in [-1.0, -0.3, -3.0] {
            scenario.faults = Vec::new();
            scenario.rate = rate;
            scenario.check();
            scenario.rate = 1.0;
            scenario.faults = vec![(random.between(3.0, 20.0), Fault::Rate(rate))];
            scenario.check();
        }
        // With arrivals alone, congestion is not visible, so it must come before.
        scenario.faults = vec![(50.0, Fault::Rate(-1.0))];
    });
}

#[test]
fn clocks_that_run_fast_or_slow() {
    check_all(20, |random, scenario| {
        for error in [0.002, 0.01, 0.03, 0.05, 0.08, 0.15] {
            for error in [error, -error] {
                scenario.faults = Vec::new();
                scenario.rate = 1.0 + error;
                scenario.check();
                scenario.rate = 1.0;
                scenario.faults = vec![(random.between(6.0, 20.0), Fault::Rate(1.0 + error))];
                scenario.check();
            }
        }
    });
}

#[test]
fn random_stamps_for_a_while() {
    check_all(20, |random, scenario| {
        let time = random.between(1.0, 10.0);
        scenario.faults = vec![(random.between(3.0, 15.0), Fault::Random(time))];
    });
}

#[test]
fn several_faults_one_after_another() {
    check_all(40, |random, scenario| {
        let fault = |random: &mut Random| match (random.next() * 4.0) as u32 {
            0 => Fault::Step(random.between(-20.0, 20.0)),
            1 => Fault::Outlier(1, random.between(-20.0, 20.0)),
            2 => Fault::Still(random.between(0.5, 4.0)),
            _ => Fault::Rate(1.0 + random.between(-0.05, 0.05)),
        };
        let times = [4.0, 13.0, 20.0, 29.0];
        scenario.faults = times.map(|at| (at, fault(random))).to_vec();
    });
}

#[test]
fn reordered_pictures_keep_their_spacing() {
    for seed in 1..=20 {
        for fps in RATES {
            for reordered in [1, 2, 3] {
                let mut scenario = Scenario::new(fps, seed);
                scenario.reordered = reordered;
                scenario.check();
                scenario.faults = vec![(15.0, Fault::Step(-5.0)), (30.0, Fault::Step(9.0))];
                scenario.check();
            }
        }
    }
}
