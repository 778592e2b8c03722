//! How often each address failed to connect lately, so that keys can't be guessed
//! and a device that was left behind with an old key costs little.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How many may fail in [`WINDOW`] before they are told to wait.
const LIMIT: u32 = 30;
const WINDOW: Duration = Duration::from_secs(60);
/// How many addresses are remembered; beyond it the oldest windows go.
const REMEMBERED: usize = 10_000;

/// The handshakes that failed, by address.
#[derive(Default)]
pub struct Failures(Mutex<HashMap<IpAddr, (Instant, u32)>>);

impl Failures {
    /// Counts a failure; whether there were too many before it.
    pub fn note(&self, address: IpAddr, now: Instant) -> bool {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = |begun: Instant| now.saturating_duration_since(begun) < WINDOW;
        if seen.len() >= REMEMBERED {
            seen.retain(|_, (begun, _)| fresh(*begun));
        }
        if seen.len() >= REMEMBERED {
            let oldest = seen.iter().min_by_key(|(_, (begun, _))| *begun);
            if let Some(oldest) = oldest.map(|(address, _)| *address) {
                seen.remove(&oldest);
            }
        }
        let (begun, count) = seen.entry(network(address)).or_insert((now, 0));
        if !fresh(*begun) {
            (*begun, *count) = (now, 0);
        }
        *count = count.saturating_add(1);
        *count > LIMIT
    }
}

/// One household has one address of version 4, and all of a /64 of version 6.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thirty_a_minute_for_each_address() {
        let (failures, start) = (Failures::default(), Instant::now());
        let one: IpAddr = "192.0.2.1".parse().expect("an address");
        let mapped: IpAddr = "::ffff:192.0.2.1".parse().expect("an address");
        for _ in 0..15 {
            assert!(!failures.note(one, start) && !failures.note(mapped, start));
        }
        assert!(failures.note(one, start));
        assert!(!failures.note("192.0.2.2".parse().expect("an address"), start));
        assert!(failures.note(one, start + WINDOW - Duration::from_millis(1)));
        assert!(!failures.note(one, start + WINDOW));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (failures, start) = (Failures::default(), Instant::now());
        for number in 0..REMEMBERED as u32 + 100 {
            let address = std::net::Ipv4Addr::from(number).into();
            failures.note(address, start + Duration::from_micros(number.into()));
        }
        assert_eq!(failures.0.lock().expect("sound").len(), REMEMBERED);
    }

    #[test]
    fn a_household_of_version_6_is_one() {
        let failures = Failures::default();
        let now = Instant::now();
        let mut last = false;
        for host in 0..=LIMIT {
            let address = format!("2001:db8::{host:x}").parse().expect("an address");
            last = failures.note(address, now);
        }
        assert!(last);
    }
}
