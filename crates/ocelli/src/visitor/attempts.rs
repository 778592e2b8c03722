//! Rate limits for sign-in attempts, one-time codes and invalid tokens.
//!
//! A sign-in attempt counts against both the account and the client's address. An attacker can
//! use up an account's attempts but cannot lock its owner out: an address without failed
//! attempts always gets one.

use ocelli_net::throttle::{AddressPrefix, Throttle};
use std::time::Duration;

/// Counters of recent attempts.
pub struct Attempts {
    /// Sign-in attempts and one-time codes, by address.
    addresses: Throttle<AddressPrefix>,
    /// Sign-in attempts, by account name.
    accounts: Throttle<String>,
    /// Invalid tokens, by address.
    pub tokens: Throttle<AddressPrefix>,
}

impl Default for Attempts {
    fn default() -> Self {
        Self {
            addresses: Throttle::new(20, Duration::from_secs(15)),
            accounts: Throttle::new(10, Duration::from_secs(30)),
            tokens: Throttle::new(60, Duration::from_secs(2)),
        }
    }
}

impl Attempts {
    /// Counts an attempt, also against `account` if one is given, before any secret is compared.
    ///
    /// # Errors
    /// Too many attempts; returns the time until the next one is allowed.
    pub fn count(&self, address: AddressPrefix, account: Option<&str>) -> Result<(), Duration> {
        let clean = self.addresses.is_clean(&address);
        self.addresses.count(&address)?;
        let Some(account) = account else {
            return Ok(());
        };
        match self.accounts.count(&key(account)) {
            Err(wait) if !clean => {
                self.addresses.refund(&address);
                Err(wait)
            }
            _ => Ok(()),
        }
    }

    /// Takes back an attempt that succeeded.
    pub fn succeeded(&self, address: AddressPrefix, account: Option<&str>) {
        self.addresses.refund(&address);
        if let Some(account) = account {
            self.accounts.refund(&key(account));
        }
    }
}

/// Names are compared without case; no user name exceeds 64 characters.
fn key(account: &str) -> String {
    account.chars().take(64).collect::<String>().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;

    fn prefix(last: u8) -> AddressPrefix {
        IpAddr::from([10, 0, 0, last]).into()
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_are_limited_by_address_and_by_account() {
        let attempts = Attempts::default();
        let ann = Some("ann");
        let tried = |address, account| attempts.count(prefix(address), account).is_ok();
        assert_eq!((0..50).filter(|_| tried(1, ann)).count(), 10, "by account");
        assert!(!tried(1, Some("ANN")), "case is ignored");
        assert_eq!((0..50).filter(|_| tried(1, None)).count(), 10, "by address");
        // Each new address gets one attempt, then the account's limit applies.
        assert!((2..60).all(|address| tried(address, ann)));
        assert!((2..60).all(|address| !tried(address, ann)));
        tokio::time::advance(Duration::from_secs(3600)).await;
        assert!(tried(1, ann));
    }

    #[tokio::test(start_paused = true)]
    async fn an_owner_can_sign_in_while_others_guess() {
        let attempts = Attempts::default();
        for _ in 0..1000 {
            let _ = attempts.count(prefix(1), Some("ann"));
            tokio::time::advance(Duration::from_secs(1)).await;
            assert_eq!(attempts.count(prefix(2), Some("ann")), Ok(()));
            attempts.succeeded(prefix(2), Some("ann"));
        }
    }
}
