//! Turns of attempts that send a password which a camera has not accepted yet.
//!
//! Cameras lock an account after a few wrong passwords in quick succession, whichever of their
//! streams was asked for. So such attempts with one user at one host are a second apart, over all
//! cameras of the hub. Once the password was accepted, they do not wait.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// Time between two attempts.
const APART: Duration = Duration::from_secs(1);
/// Number of accounts above which those that nothing is known of are forgotten.
const MAX_ACCOUNTS: usize = 256;

/// State of an account.
struct Account {
    is_accepted: bool,
    /// When the next attempt may begin, if the password is not accepted before.
    next: Instant,
}

/// What is known of all accounts.
#[derive(Clone, Default)]
pub(crate) struct PasswordTurns {
    accounts: Arc<Mutex<HashMap<String, Account>>>,
    changed: Arc<watch::Sender<()>>,
}

impl PasswordTurns {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Account>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the turn of an attempt with this account.
    pub(crate) async fn wait(&self, account: &str) {
        let mut changes = self.changed.subscribe();
        loop {
            changes.mark_unchanged();
            let Err(next) = self.take(account) else {
                return;
            };
            tokio::select! {
                () = sleep_until(next) => {}
                // The sender is in `self`, so this does not fail.
                _ = changes.changed() => {}
            }
        }
    }

    /// Takes the turn, or returns when to try again.
    fn take(&self, account: &str) -> Result<(), Instant> {
        let mut accounts = self.lock();
        let now = Instant::now();
        if let Some(known) = accounts.get_mut(account) {
            if !known.is_accepted && now < known.next {
                return Err(known.next);
            }
            known.next = now + APART;
            return Ok(());
        }
        if accounts.len() >= MAX_ACCOUNTS {
            accounts.retain(|_, known| now < known.next);
        }
        let fresh = Account {
            is_accepted: false,
            next: now + APART,
        };
        accounts.insert(account.to_owned(), fresh);
        Ok(())
    }

    /// Notes that the camera has accepted the password.
    pub(crate) fn accept(&self, account: &str) {
        self.update(account, |known| known.is_accepted = true);
    }

    /// Notes that the camera has refused it.
    pub(crate) fn refuse(&self, account: &str) {
        let next = Instant::now() + APART;
        self.update(account, |known| {
            known.is_accepted = false;
            known.next = next;
        });
    }

    /// Notes that an attempt failed for another reason, so that it need not be waited for.
    pub(crate) fn release(&self, account: &str) {
        let now = Instant::now();
        self.update(account, |known| known.next = now);
    }

    fn update(&self, account: &str, change: impl FnOnce(&mut Account)) {
        if let Some(known) = self.lock().get_mut(account) {
            change(known);
        }
        self.changed.send_replace(());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_number_of_accounts_is_limited() {
        let turns = PasswordTurns::default();
        for number in 0..3 * MAX_ACCOUNTS {
            turns.wait(&number.to_string()).await;
            turns.release(&number.to_string());
        }
        assert!(turns.lock().len() <= MAX_ACCOUNTS);
    }
}
