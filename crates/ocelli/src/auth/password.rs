//! Passwords: what one has to be, and their hashes.
//!
//! A hash takes a while and 19 MiB on purpose. So hashes are made on blocking threads,
//! never on the frame path's, a few at a time, and whoever comes while many wait is
//! sent away.

use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use std::sync::{Arc, LazyLock};
use tokio::sync::Semaphore;

/// Memory in KiB, passes and lanes that the OWASP Password Storage Cheat Sheet has for
/// argon2id.
const COST: (u32, u32, u32) = (19 * 1024, 2, 1);
/// How many hashes are made at a time.
const AT_A_TIME: usize = 2;
/// How many may be made or waited for.
const WAITING: usize = 24;
/// The fewest characters of a password.
const SHORTEST: usize = 10;
/// The most characters of a password.
const LONGEST: usize = 512;

/// Checks what somebody wants as a password.
///
/// # Errors
/// Says what one has to be, without saying it.
pub fn check_password(password: &str) -> Result<(), &'static str> {
    let fits = (SHORTEST..=LONGEST).contains(&password.chars().count());
    fits.then_some(()).ok_or("it takes 10 to 512 characters")
}

/// Too many hashes are being made already.
#[derive(Debug)]
pub struct Busy;

/// Makes hashes of passwords and compares with them.
pub struct Passwords {
    at_a_time: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
}

impl Default for Passwords {
    fn default() -> Self {
        Self {
            at_a_time: Arc::new(Semaphore::new(AT_A_TIME)),
            waiting: Arc::new(Semaphore::new(WAITING)),
        }
    }
}

impl Passwords {
    /// Whether a password is the one of this hash. Without a hash it is not, and that
    /// takes as long.
    ///
    /// # Errors
    /// Too many are being compared already.
    pub async fn is(&self, password: String, hash: Option<String>) -> Result<bool, Busy> {
        self.work(move || {
            let known = hash.is_some();
            let hash = hash.as_deref().or(NOBODYS.as_deref());
            let parsed = hash.and_then(|hash| PasswordHash::new(hash).ok());
            let is = parsed.is_some_and(|hash| {
                let compared = hasher().verify_password(password.as_bytes(), &hash);
                compared.is_ok()
            });
            known && is
        })
        .await
    }

    /// The hash of a new password.
    ///
    /// # Errors
    /// Too many are being made already.
    pub async fn hash(&self, password: String) -> Result<String, Busy> {
        self.work(move || hash(&password)).await?.ok_or(Busy)
    }

    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Busy> {
        let place = self.waiting.clone().try_acquire_owned();
        let place = place.map_err(|_| Busy)?;
        let turn = self.at_a_time.clone().acquire_owned().await;
        let turn = turn.map_err(|_| Busy)?;
        // The turn goes with the work, which goes on when nobody waits for it any more.
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            drop((place, turn));
            done
        });
        done.await.map_err(|_| Busy)
    }
}

/// Nobody's hash, for names that nobody has.
static NOBODYS: LazyLock<Option<String>> = LazyLock::new(|| hash(""));

fn hasher() -> Argon2<'static> {
    let (memory, passes, lanes) = COST;
    let params = Params::new(memory, passes, lanes, None).unwrap_or_default();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

fn hash(password: &str) -> Option<String> {
    let salt = SaltString::encode_b64(&super::token::random::<16>()).ok()?;
    let hash = hasher().hash_password(password.as_bytes(), &salt).ok()?;
    Some(hash.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_hash_is_of_one_password_and_no_hash_is_of_none() {
        let passwords = Passwords::default();
        let hash = passwords
            .hash("correct horse".into())
            .await
            .expect("a hash");
        assert!(
            hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{hash}"
        );
        let again = passwords
            .hash("correct horse".into())
            .await
            .expect("a hash");
        assert_ne!(hash, again, "salted");
        let is = async |password: &str, hash: Option<&String>| {
            let compared = passwords.is(password.into(), hash.cloned()).await;
            compared.expect("an answer")
        };
        assert!(is("correct horse", Some(&hash)).await);
        assert!(!is("correct horsf", Some(&hash)).await);
        assert!(!is("", None).await, "nobody's hash opens nothing");
        assert!(!is("correct horse", Some(&String::new())).await);
    }

    #[tokio::test]
    async fn a_flood_takes_no_more_than_its_places() {
        let passwords = Arc::new(Passwords::default());
        let asked: Vec<_> = (0..WAITING * 2)
            .map(|_| {
                let passwords = passwords.clone();
                tokio::spawn(async move { passwords.hash("correct horse".into()).await.is_ok() })
            })
            .collect();
        let mut hashed = 0;
        for answer in asked {
            hashed += usize::from(answer.await.expect("an answer"));
        }
        // Where tests get little time, some hashes are done before all have asked.
        assert!((WAITING..2 * WAITING).contains(&hashed), "{hashed}");
        assert!(passwords.hash("and then on".into()).await.is_ok());
    }

    #[test]
    fn short_and_endless_passwords_are_refused() {
        for bad in ["", "123456789", &"a".repeat(513)] {
            assert!(check_password(bad).is_err(), "{}", bad.len());
        }
        for good in ["1234567890", "ä234567890", &"a".repeat(512)] {
            assert!(check_password(good).is_ok(), "{good}");
        }
    }
}
