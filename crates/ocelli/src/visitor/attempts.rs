//! Attempts to get in, and how many of them there may be.
//!
//! Attempts at an account are held against the account and against the address they
//! come from. Whoever guesses elsewhere can use up an account's attempts but not lock
//! its owner out: an address against which nothing is held has one all the same.

use ocelli_net::throttle::{Block, Throttle};
use std::time::Duration;

/// Attempts to get in.
pub struct Attempts {
    /// At signing in and at one-time codes, by address.
    addresses: Throttle<Block>,
    /// At signing in, by the account's name.
    accounts: Throttle<String>,
    /// Tokens that were none, by address.
    pub tokens: Throttle<Block>,
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
    /// Counts an attempt, at an account if one is named, before anything is compared.
    ///
    /// # Errors
    /// It is one too many; says how long until there may be another.
    pub fn count(&self, address: Block, account: Option<&str>) -> Result<(), Duration> {
        let clean = self.addresses.is_clean(&address);
        self.addresses.count(&address)?;
        let Some(account) = account else {
            return Ok(());
        };
        match self.accounts.count(&key(account)) {
            Err(wait) if !clean => {
                self.addresses.forgive(&address);
                Err(wait)
            }
            _ => Ok(()),
        }
    }

    /// Takes an attempt back that was right.
    pub fn was_right(&self, address: Block, account: Option<&str>) {
        self.addresses.forgive(&address);
        if let Some(account) = account {
            self.accounts.forgive(&key(account));
        }
    }
}

/// Names differ in more than their case; long ones are no user's.
fn key(account: &str) -> String {
    account.chars().take(64).collect::<String>().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;

    fn block(last: u8) -> Block {
        IpAddr::from([10, 0, 0, last]).into()
    }

    #[tokio::test(start_paused = true)]
    async fn guessing_is_slowed_down_by_address_and_by_account() {
        let attempts = Attempts::default();
        let ann = Some("ann");
        let tried = |address, account| attempts.count(block(address), account).is_ok();
        assert_eq!((0..50).filter(|_| tried(1, ann)).count(), 10, "by account");
        assert!(!tried(1, Some("ANN")), "however it is written");
        assert_eq!((0..50).filter(|_| tried(1, None)).count(), 10, "by address");
        // Many addresses have one each, and then wait like the rest.
        assert!((2..60).all(|address| tried(address, ann)));
        assert!((2..60).all(|address| !tried(address, ann)));
        tokio::time::advance(Duration::from_secs(3600)).await;
        assert!(tried(1, ann));
    }

    #[tokio::test(start_paused = true)]
    async fn an_owner_gets_in_while_somebody_guesses_elsewhere() {
        let attempts = Attempts::default();
        for _ in 0..1000 {
            let _ = attempts.count(block(1), Some("ann"));
            tokio::time::advance(Duration::from_secs(1)).await;
            assert_eq!(attempts.count(block(2), Some("ann")), Ok(()));
            attempts.was_right(block(2), Some("ann"));
        }
    }
}
