//! Encryption of stored secrets. Only this store's key decrypts them, and only in the context
//! that they were encrypted for; a copy of the store's file reveals nothing.

use super::error::StoreError;
use crate::auth::Key;
use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};

/// Separates this use of the key from others (BLAKE3's key derivation).
const CONTEXT: &str = "ocelli 2026-01 what the store keeps sealed";

/// Encrypts and decrypts with AES-256-GCM under a random nonce, which is stored in front.
pub struct Cipher(RandomizedNonceKey);

impl Cipher {
    /// Derives the cipher's key from the store's key.
    ///
    /// # Errors
    /// The key was rejected.
    pub fn new(key: &Key) -> Result<Self, StoreError> {
        let derived = blake3::derive_key(CONTEXT, key.bytes());
        let key = RandomizedNonceKey::new(&AES_256_GCM, &derived);
        key.map(Self)
            .map_err(|_| StoreError::Unusable("its key can't be used for encryption".to_owned()))
    }

    /// Encrypts `plain` for the context `encryption_context`.
    ///
    /// # Errors
    /// The system provides no randomness.
    pub fn encrypt(&self, encryption_context: &str, plain: &[u8]) -> Result<Vec<u8>, StoreError> {
        let mut text = plain.to_vec();
        let encryption_context = Aad::from(encryption_context.as_bytes());
        let nonce = self
            .0
            .seal_in_place_append_tag(encryption_context, &mut text);
        let nonce = nonce.map_err(|_| StoreError::Unusable("encryption failed".into()))?;
        let mut sealed = nonce.as_ref().to_vec();
        sealed.append(&mut text);
        Ok(sealed)
    }

    /// Decrypts; returns `None` if the key or the context differs or the data is damaged.
    pub fn decrypt(&self, encryption_context: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, text) = sealed.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut text = text.to_vec();
        let encryption_context = Aad::from(encryption_context.as_bytes());
        let length = self
            .0
            .open_in_place(nonce, encryption_context, &mut text)
            .ok()?
            .len();
        text.truncate(length);
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decryption_needs_the_same_key_and_context() {
        let key = Key::random();
        let cipher = Cipher::new(&key).expect("a cipher");
        let sealed = cipher.encrypt("live/door", b"hush").expect("sealed");
        assert!(!sealed.windows(4).any(|part| part == b"hush"));
        let again = Cipher::new(&key).expect("a cipher");
        assert_eq!(
            again.decrypt("live/door", &sealed).as_deref(),
            Some(&b"hush"[..])
        );
        assert_eq!(cipher.decrypt("live/gate", &sealed), None);
        let other = Cipher::new(&Key::random()).expect("a cipher");
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
