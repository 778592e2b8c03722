//! Password rules and argon2id password hashing.
//!
//! A hash deliberately takes time and 19 MiB. Two threads compute hashes; each reuses its own
//! working memory. A request is refused if too many are already waiting.

use argon2::password_hash::{Output, ParamsString, PasswordHash, SaltString};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// Memory in KiB, passes and lanes, as recommended for argon2id by the OWASP Password Storage
/// Cheat Sheet.
const COST: (u32, u32, u32) = (19 * 1024, 2, 1);
/// Working memory of a hash at that cost, in blocks of 1 KiB.
const BLOCKS: usize = COST.0 as usize;
/// The maximum number of hashing threads.
const MAX_THREADS: usize = 2;
/// The maximum number of hashes in progress or waiting.
const MAX_JOBS: usize = 24;
/// A thread that has been idle for this long frees its working memory.
const IDLE_TIMEOUT: Duration = Duration::from_secs(2);
/// Minimum password length in characters.
const MIN_LENGTH: usize = 10;
/// Maximum password length in characters.
const MAX_LENGTH: usize = 512;

/// Checks the length of a new password.
///
/// # Errors
/// Returns the allowed length, without repeating the password.
pub fn check_password(password: &str) -> Result<(), &'static str> {
    let fits = (MIN_LENGTH..=MAX_LENGTH).contains(&password.chars().count());
    fits.then_some(())
        .ok_or("it must have 10 to 512 characters")
}

/// The error for too many hashes in progress or waiting.
#[derive(Debug)]
pub struct Busy;

/// Hashes and verifies passwords on a thread pool. The threads start with the first password and
/// end when this is dropped.
pub struct Passwords {
    waiting: Arc<Semaphore>,
    pool: Arc<Pool>,
}

impl Default for Passwords {
    fn default() -> Self {
        Self {
            waiting: Arc::new(Semaphore::new(MAX_JOBS)),
            pool: Arc::default(),
        }
    }
}

impl Drop for Passwords {
    fn drop(&mut self) {
        self.pool.lock().over = true;
        self.pool.changed.notify_all();
    }
}

impl Passwords {
    /// Returns true if the password matches the hash. Without a hash, returns false after the same
    /// time.
    ///
    /// # Errors
    /// Too many hashes are in progress or waiting.
    pub async fn verify(&self, password: String, hash: Option<String>) -> Result<bool, Busy> {
        let compare =
            move |memory: &mut Memory| memory.verify(password.as_bytes(), hash.as_deref());
        self.submit(compare).await
    }

    /// Hashes a new password.
    ///
    /// # Errors
    /// Too many hashes are in progress or waiting.
    pub async fn hash(&self, password: String) -> Result<String, Busy> {
        let hash = move |memory: &mut Memory| memory.hash(password.as_bytes());
        self.submit(hash).await?.ok_or(Busy)
    }

    async fn submit<T: Send + 'static>(
        &self,
        submit: impl FnOnce(&mut Memory) -> T + Send + 'static,
    ) -> Result<T, Busy> {
        let permit = self.waiting.clone().try_acquire_owned();
        let permit = permit.map_err(|_| Busy)?;
        let (result_sender, result) = oneshot::channel();
        let run = move |memory: &mut Memory| {
            // Skip requests that were cancelled while they waited.
            if !result_sender.is_closed() {
                let _ = result_sender.send(submit(memory));
            }
        };
        self.pool.add(Job {
            run: Box::new(run),
            _permit: permit,
        })?;
        result.await.map_err(|_| Busy)
    }
}

struct Job {
    run: Box<dyn FnOnce(&mut Memory) + Send>,
    /// Counts the job against `MAX_JOBS` until it is done.
    _permit: OwnedSemaphorePermit,
}

/// The job queue and the threads that work on it.
#[derive(Default)]
struct Pool {
    state: Mutex<Jobs>,
    changed: Condvar,
}

#[derive(Default)]
struct Jobs {
    waiting: VecDeque<Job>,
    threads: usize,
    /// Threads waiting for a job.
    idle: usize,
    over: bool,
}

impl Pool {
    fn lock(&self) -> MutexGuard<'_, Jobs> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a job, and starts a thread if all are busy and the limit allows another.
    fn add(self: &Arc<Self>, job: Job) -> Result<(), Busy> {
        let mut jobs = self.lock();
        if jobs.waiting.len() >= jobs.idle && jobs.threads < MAX_THREADS {
            let pool = self.clone();
            let thread = std::thread::Builder::new().name("passwords".to_owned());
            match thread.spawn(move || pool.run()) {
                Ok(_) => jobs.threads += 1,
                Err(error) if jobs.threads == 0 => {
                    tracing::error!(%error, "can't start a hashing thread");
                    return Err(Busy);
                }
                // The running thread takes the job.
                Err(error) => tracing::warn!(%error, "can't start a second hashing thread"),
            }
        }
        jobs.waiting.push_back(job);
        drop(jobs);
        self.changed.notify_one();
        Ok(())
    }

    /// Works on jobs until the pool is dropped.
    fn run(&self) {
        let mut memory = Memory::default();
        let mut jobs = self.lock();
        while !jobs.over {
            if let Some(job) = jobs.waiting.pop_front() {
                drop(jobs);
                (job.run)(&mut memory);
                drop(job._permit);
                jobs = self.lock();
                continue;
            }
            jobs.idle += 1;
            let nothing = |jobs: &mut Jobs| jobs.waiting.is_empty() && !jobs.over;
            if memory.is_freed() {
                let waited = self.changed.wait_while(jobs, nothing);
                jobs = waited.unwrap_or_else(PoisonError::into_inner);
            } else {
                let waited = self.changed.wait_timeout_while(jobs, IDLE_TIMEOUT, nothing);
                let timed_out;
                (jobs, timed_out) = waited.unwrap_or_else(PoisonError::into_inner);
                if timed_out.timed_out() {
                    memory.free();
                }
            }
            jobs.idle -= 1;
        }
    }
}

/// A thread's working memory: 19 MiB from its first hash until it has been idle for [`IDLE_TIMEOUT`].
#[derive(Default)]
struct Memory(Vec<Block>);

impl Memory {
    fn is_freed(&self) -> bool {
        self.0.is_empty()
    }

    fn free(&mut self) {
        self.0 = Vec::new();
    }

    /// Returns true if the password matches the hash.
    fn verify(&mut self, password: &[u8], hash: Option<&str>) -> bool {
        let found = hash.and_then(ParsedHash::read);
        let Some(expected) = found else {
            // Takes as long as a comparison, so that timing does not reveal which users have
            // a password.
            let _ = self.derive(&hasher(), password, &[0; 16]);
            return false;
        };
        let derived = self.derive(&expected.hasher, password, &expected.salt);
        // `Output` compares in constant time.
        derived.is_some_and(|derived| derived == expected.output)
    }

    /// Hashes a new password with a random salt.
    fn hash(&mut self, password: &[u8]) -> Option<String> {
        let salt = super::token::random::<16>();
        let hasher = hasher();
        let output = self.derive(&hasher, password, &salt)?;
        let salt = SaltString::encode_b64(&salt).ok()?;
        let hash = PasswordHash {
            algorithm: Algorithm::Argon2id.ident(),
            version: Some(Version::V0x13.into()),
            params: ParamsString::try_from(hasher.params()).ok()?,
            salt: Some(salt.as_salt()),
            hash: Some(output),
        };
        Some(hash.to_string())
    }

    fn derive(&mut self, hasher: &Argon2<'_>, password: &[u8], salt: &[u8]) -> Option<Output> {
        self.0.resize(BLOCKS, Block::new());
        let len = hasher.params().output_len();
        let derive = |out: &mut [u8]| {
            let made = hasher.hash_password_into_with_memory(password, salt, out, &mut self.0);
            Ok(made?)
        };
        Output::init_with(len.unwrap_or(Params::DEFAULT_OUTPUT_LEN), derive).ok()
    }
}

/// A parsed password hash.
struct ParsedHash {
    hasher: Argon2<'static>,
    salt: Vec<u8>,
    output: Output,
}

impl ParsedHash {
    /// Returns `None` if `hash` is malformed or needs more memory than [`COST`].
    fn read(hash: &str) -> Option<Self> {
        let hash = PasswordHash::new(hash).ok()?;
        let (salt, output) = (hash.salt?, hash.hash?);
        let params = Params::try_from(&hash).ok()?;
        if params.block_count() > BLOCKS {
            tracing::error!("a stored password hash needs more memory than the limit of this hub");
            return None;
        }
        let version = hash.version.map_or(Ok(Version::V0x13), Version::try_from);
        let algorithm = Algorithm::try_from(hash.algorithm).ok()?;
        let mut bytes = [0; 64];
        Some(Self {
            hasher: Argon2::new(algorithm, version.ok()?, params),
            salt: salt.decode_b64(&mut bytes).ok()?.to_vec(),
            output,
        })
    }
}

fn hasher() -> Argon2<'static> {
    let (memory, passes, lanes) = COST;
    let params = Params::new(memory, passes, lanes, None).unwrap_or_default();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_right_password_matches_a_hash() {
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
            let compared = passwords.verify(password.into(), hash.cloned()).await;
            compared.expect("an answer")
        };
        assert!(is("correct horse", Some(&hash)).await);
        assert!(!is("correct horsf", Some(&hash)).await);
        assert!(!is("", None).await, "without a hash nothing matches");
        assert!(!is("correct horse", Some(&String::new())).await);
    }

    #[tokio::test]
    async fn a_flood_of_passwords_is_limited() {
        let passwords = Arc::new(Passwords::default());
        let request: Vec<_> = (0..MAX_JOBS * 2)
            .map(|_| {
                let passwords = passwords.clone();
                tokio::spawn(async move { passwords.hash("correct horse".into()).await.is_ok() })
            })
            .collect();
        let mut hashed = 0;
        for result_sender in request {
            hashed += usize::from(result_sender.await.expect("an answer"));
        }
        // On a slow machine some hashes finish before all requests have arrived.
        assert!((MAX_JOBS..2 * MAX_JOBS).contains(&hashed), "{hashed}");
        assert!(passwords.hash("and then on".into()).await.is_ok());
    }

    #[test]
    fn passwords_that_are_too_short_or_too_long_are_refused() {
        for bad in ["", "123456789", &"a".repeat(513)] {
            assert!(check_password(bad).is_err(), "{}", bad.len());
        }
        for good in ["1234567890", "ä234567890", &"a".repeat(512)] {
            assert!(check_password(good).is_ok(), "{good}");
        }
    }
}
