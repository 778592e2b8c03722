//! Sealing: what only this store's key opens, and only for what it was sealed for.
//! A copy of the store's file alone tells nothing of it.

use super::error::StoreError;
use crate::auth::Key;
use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};

/// Separates this use of the key from others (BLAKE3's key derivation).
const CONTEXT: &str = "ocelli 2026-01 what the store keeps sealed";

/// Seals and opens. AES-256-GCM under a random nonce, which comes first.
pub struct Cipher(RandomizedNonceKey);

impl Cipher {
    /// One whose key is derived from the store's.
    ///
    /// # Errors
    /// The key was not taken.
    pub fn new(key: &Key) -> Result<Self, StoreError> {
        let derived = blake3::derive_key(CONTEXT, key.bytes());
        let key = RandomizedNonceKey::new(&AES_256_GCM, &derived);
        key.map(Self)
            .map_err(|_| StoreError::Unusable("its key can't seal".to_owned()))
    }

    /// Seals `plain`, so that it opens only for the same `about`.
    ///
    /// # Errors
    /// There is no randomness.
    pub fn encrypt(&self, about: &str, plain: &[u8]) -> Result<Vec<u8>, StoreError> {
        let mut text = plain.to_vec();
        let about = Aad::from(about.as_bytes());
        let nonce = self.0.seal_in_place_append_tag(about, &mut text);
        let nonce = nonce.map_err(|_| StoreError::Unusable("nothing could be sealed".into()))?;
        let mut sealed = nonce.as_ref().to_vec();
        sealed.append(&mut text);
        Ok(sealed)
    }

    /// What was sealed; none if that was by another key, for something else, or is damaged.
    pub fn decrypt(&self, about: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, text) = sealed.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut text = text.to_vec();
        let about = Aad::from(about.as_bytes());
        let length = self.0.open_in_place(nonce, about, &mut text).ok()?.len();
        text.truncate(length);
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_key_opens_and_only_for_the_same() {
        let key = Key::random();
        let cipher = Cipher::new(&key).expect("a seal");
        let sealed = cipher.encrypt("live/door", b"hush").expect("sealed");
        assert!(!sealed.windows(4).any(|part| part == b"hush"));
        let again = Cipher::new(&key).expect("a seal");
        assert_eq!(
            again.decrypt("live/door", &sealed).as_deref(),
            Some(&b"hush"[..])
        );
        assert_eq!(cipher.decrypt("live/gate", &sealed), None);
        let other = Cipher::new(&Key::random()).expect("a seal");
        assert_eq!(other.decrypt("live/door", &sealed), None);
        for at in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[at] ^= 1;
            assert_eq!(cipher.decrypt("live/door", &damaged), None);
            assert_eq!(cipher.decrypt("live/door", &sealed[..at]), None);
        }
        assert_ne!(
            cipher.encrypt("live/door", b"hush").expect("sealed"),
            sealed
        );
    }
}
