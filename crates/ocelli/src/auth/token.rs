//! Tokens and their hashes. Of a token nothing is kept but a hash under a key
//! that lies beside the store, so a copy of the store's file opens nothing.

use subtle::ConstantTimeEq;

/// What every token begins with.
const MARK: &str = "sk_";
/// What every key of a camera that pushes begins with.
pub const STREAM_MARK: &str = "wsk_";
/// The fewest characters behind the mark that a person's own token may have.
const SHORTEST: usize = 20;

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // Without the system's randomness no key is one: better no hub than a guessable one.
    getrandom::fill(&mut bytes).unwrap_or_else(|error| panic!("no randomness: {error}"));
    bytes
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A new token.
pub fn new_token() -> String {
    format!("{MARK}{}", hex(&random::<32>()))
}

/// A new key of a camera that pushes.
pub fn new_stream_key() -> String {
    format!("{STREAM_MARK}{}", hex(&random::<32>()))
}

/// A new stream key's id, which is no secret.
pub fn new_stream_key_id() -> String {
    format!("wsi_{}", hex(&random::<8>()))
}

/// A new token's id, which is no secret.
pub fn new_id() -> String {
    format!("tok_{}", hex(&random::<8>()))
}

/// The key of token hashes. It prints itself nowhere.
#[derive(Clone)]
pub struct Key([u8; 32]);

impl Key {
    /// A key of these bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// A new key.
    pub fn random() -> Self {
        Self(random())
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The hash that a token is kept as.
    pub fn hash(&self, token: &str) -> Hash {
        Hash(*blake3::keyed_hash(&self.0, token.as_bytes()).as_bytes())
    }
}

/// A token's hash.
#[derive(Clone)]
pub struct Hash([u8; 32]);

impl Hash {
    /// Its bytes.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether it is this one, in constant time.
    pub fn is(&self, other: &[u8]) -> bool {
        self.0.ct_eq(other).into()
    }
}

/// The administrator's token of an unattended set-up, known for this run only.
pub struct AdminToken {
    key: Key,
    hash: Hash,
}

impl AdminToken {
    /// Takes a token that somebody chose.
    ///
    /// # Errors
    /// Says what such a token looks like, without saying the token.
    pub fn new(token: &str) -> Result<Self, &'static str> {
        let fits = token.strip_prefix(MARK).is_some_and(|rest| {
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
            rest.len() >= SHORTEST && rest.chars().all(plain)
        });
        if !fits {
            return Err(
                "it has to be sk_ and at least 20 of a-z, A-Z, 0-9, '_' and '-', chosen at random",
            );
        }
        let key = Key::random();
        let hash = key.hash(token);
        Ok(Self { key, hash })
    }

    /// Whether it is this token.
    pub fn is(&self, token: &str) -> bool {
        self.hash.is(self.key.hash(token).bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_tell_tokens_and_keys_apart() {
        let (key, token) = (Key::random(), new_token());
        let hash = key.hash(&token);
        assert!(hash.is(key.hash(&token).bytes()));
        assert!(!hash.is(key.hash(&new_token()).bytes()));
        assert!(!hash.is(Key::random().hash(&token).bytes()));
        assert!(!hash.is(&[]));
        assert_eq!(token.len(), 67);
    }

    #[test]
    fn an_admin_token_is_no_short_word() {
        let good = new_token();
        let admin = AdminToken::new(&good).expect("a token");
        assert!(admin.is(&good) && !admin.is(&good[..66]) && !admin.is(""));
        for bad in [
            "",
            "sk_",
            "secret",
            "sk_short",
            &good[3..],
            &format!("{good}\n"),
        ] {
            assert!(AdminToken::new(bad).is_err(), "{bad:?}");
        }
    }
}
