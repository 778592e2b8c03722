//! Token-bucket rate limits per key, for example for password attempts per address.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Maximum number of keys. Beyond that, the keys closest to a full bucket are dropped.
const REMEMBERED: usize = 4096;

/// The part of a client address that an attacker can't vary freely: an IPv4 address, or the IPv6
/// /64 prefix, which a provider assigns to a whole household.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AddressPrefix(IpAddr);

impl From<IpAddr> for AddressPrefix {
    fn from(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            v4 @ IpAddr::V4(_) => v4,
            IpAddr::V6(address) => {
                IpAddr::V6(Ipv6Addr::from(u128::from(address) & !u128::from(u64::MAX)))
            }
        })
    }
}

/// A rate limit of attempts per key.
///
/// It is the leaky bucket in its shortest form (GCRA, ITU-T I.371, annex A): for each key it
/// stores one instant, at which all of its attempts have expired.
pub struct Throttle<K> {
    at_once: u32,
    each: Duration,
    expiry: Mutex<HashMap<K, Instant>>,
}

impl<K: Hash + Eq + Clone> Throttle<K> {
    /// Allows a burst of `at_once` attempts, then one per `each`.
    pub fn new(at_once: u32, each: Duration) -> Self {
        Self {
            at_once,
            each,
            expiry: Mutex::default(),
        }
    }

    /// Counts an attempt.
    ///
    /// # Errors
    /// The attempt exceeds the limit. The error is the time until the next one is allowed.
    pub fn count(&self, key: &K) -> Result<(), Duration> {
        let mut expiry = self.expiry.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let until = expiry.get(key).copied().unwrap_or(now).max(now) + self.each;
        let wait = (until - now).saturating_sub(self.each * self.at_once);
        if !wait.is_zero() {
            return Err(wait);
        }
        if expiry.len() >= REMEMBERED && !expiry.contains_key(key) {
            make_room(&mut expiry, now);
        }
        expiry.insert(key.clone(), until);
        Ok(())
    }

    /// Takes back a counted attempt, because it was legitimate.
    pub fn refund(&self, key: &K) {
        let mut expiry = self.expiry.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(until) = expiry.get_mut(key) {
            *until = until.checked_sub(self.each).unwrap_or_else(Instant::now);
            if *until <= Instant::now() {
                expiry.remove(key);
            }
        }
    }

    /// Whether all attempts of this key have expired.
    pub fn is_clean(&self, key: &K) -> bool {
        let expiry = self.expiry.lock().unwrap_or_else(PoisonError::into_inner);
        expiry.get(key).is_none_or(|until| *until <= Instant::now())
    }
}

fn make_room<K: Hash + Eq + Clone>(expiry: &mut HashMap<K, Instant>, now: Instant) {
    expiry.retain(|_, until| *until > now);
    if expiry.len() < REMEMBERED {
        return;
    }
    let mut instants: Vec<_> = expiry.values().copied().collect();
    let (_, middle, _) = instants.select_nth_unstable(REMEMBERED / 2);
    let middle = *middle;
    expiry.retain(|_, until| *until > middle);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_allowed_and_then_one_attempt_per_interval() {
        let throttle = Throttle::new(3, Duration::from_secs(10));
        for _ in 0..3 {
            assert_eq!(throttle.count(&1), Ok(()));
        }
        assert_eq!(throttle.count(&1), Err(Duration::from_secs(10)));
        assert_eq!(throttle.count(&2), Ok(()), "another key");
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(throttle.count(&1), Ok(()));
        assert!(throttle.count(&1).is_err());
        throttle.refund(&1);
        assert_eq!(
            throttle.count(&1),
            Ok(()),
            "the last attempt was taken back"
        );
        assert!(!throttle.is_clean(&1));
        tokio::time::advance(Duration::from_secs(30)).await;
        assert!(throttle.is_clean(&1));
    }

    #[tokio::test(start_paused = true)]
    async fn the_number_of_keys_is_bounded() {
        let throttle = Throttle::new(2, Duration::from_secs(10));
        for key in 0..3 * REMEMBERED {
            assert_eq!(throttle.count(&key), Ok(()));
        }
        let held = throttle.expiry.lock().expect("the lock").len();
        assert!(held <= REMEMBERED, "{held}");
    }

    #[test]
    fn a_household_is_one_block() {
        let prefix = |text: &str| AddressPrefix::from(text.parse::<IpAddr>().expect("an address"));
        assert_eq!(prefix("2001:db8::1"), prefix("2001:db8::ffff:2"));
        assert_ne!(prefix("2001:db8::1"), prefix("2001:db8:0:1::1"));
        assert_eq!(prefix("::ffff:10.0.0.1"), prefix("10.0.0.1"));
        assert_ne!(prefix("10.0.0.1"), prefix("10.0.0.2"));
    }
}
