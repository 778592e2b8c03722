//! Tokens, one-time codes and session cookies, and their hashes. The hub stores only a hash,
//! keyed with a key in a file next to the store, so a copy of the store's file reveals none of
//! them.
//!
//! Add every new secret format to `ocelli_core::text` as well, which masks it in displayed text.

use subtle::ConstantTimeEq;

/// The prefix of every API token.
const PREFIX: &str = "sk_";
/// The prefix of every stream key.
pub const STREAM_KEY_PREFIX: &str = "wsk_";
/// Minimum length, without the prefix, of a token that the administrator chooses.
const MIN_LENGTH: usize = 20;

/// Random bytes.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // Without the system's randomness every key would be guessable, so the hub stops.
    getrandom::fill(&mut bytes).unwrap_or_else(|error| panic!("no randomness: {error}"));
    bytes
}

/// Formats bytes as lowercase hex.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A new token.
pub fn new_token() -> String {
    format!("{PREFIX}{}", hex(&random::<32>()))
}

/// A new stream key.
pub fn new_stream_key() -> String {
    format!("{STREAM_KEY_PREFIX}{}", hex(&random::<32>()))
}

/// Whether the character is allowed in a token.
fn in_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}

/// A new id, which is not a secret: the prefix of its kind (`tok`, `usr`, …) and a random
/// number.
pub fn new_id(prefix: &str) -> String {
    format!("{prefix}_{}", hex(&random::<8>()))
}

/// A new one-time code.
pub fn new_code() -> String {
    hex(&random::<20>())
}

/// A secret with the id under which its hash is stored: `ses_….…`.
#[derive(Clone)]
pub struct NamedSecret {
    /// The id.
    pub id: String,
    /// The secret part.
    pub secret: String,
}

impl NamedSecret {
    /// A new secret with a new id.
    pub fn new(prefix: &str) -> Self {
        Self {
            id: new_id(prefix),
            secret: hex(&random::<32>()),
        }
    }

    /// Parses the text form of a secret.
    pub fn parse(text: &str, prefix: &str) -> Option<Self> {
        let (id, secret) = text.split_once('.')?;
        let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = id.strip_prefix(prefix)?.strip_prefix('_')?;
        let fits = number.len() == 16 && plain(number) && secret.len() == 64 && plain(secret);
        fits.then(|| Self {
            id: id.to_owned(),
            secret: secret.to_owned(),
        })
    }

    /// The form that is handed out.
    pub fn text(&self) -> String {
        format!("{}.{}", self.id, self.secret)
    }
}

/// The key for token hashes. It is never printed.
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

    /// Derives a key for another purpose. The derived key does not reveal this one.
    pub fn derive(&self, purpose: &str) -> Self {
        Self(blake3::derive_key(purpose, &self.0))
    }

    /// The hash under which a token is stored.
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

    /// Compares in constant time.
    pub fn matches(&self, other: &[u8]) -> bool {
        self.0.ct_eq(other).into()
    }
}

/// The administrator's token for unattended setup, kept in memory only.
pub struct AdminToken {
    key: Key,
    hash: Hash,
}

impl AdminToken {
    /// Accepts a token that the administrator chose.
    ///
    /// # Errors
    /// The message states the required format without repeating the token.
    pub fn new(token: &str) -> Result<Self, &'static str> {
        let fits = token
            .strip_prefix(PREFIX)
            .is_some_and(|rest| rest.len() >= MIN_LENGTH && rest.chars().all(in_token));
        if !fits {
            return Err(
                "it must be sk_ and at least 20 of a-z, A-Z, 0-9, '_' and '-', chosen at random",
            );
        }
        let key = Key::random();
        let hash = key.hash(token);
        Ok(Self { key, hash })
    }

    /// Returns true if `token` is this token.
    pub fn matches(&self, token: &str) -> bool {
        self.hash.matches(self.key.hash(token).bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::PlayToken;
    use ocelli_core::text::shown;
    use std::collections::BTreeMap;

    #[test]
    fn hashes_depend_on_the_token_and_the_key() {
        let (key, token) = (Key::random(), new_token());
        let hash = key.hash(&token);
        assert!(hash.matches(key.hash(&token).bytes()));
        assert!(!hash.matches(key.hash(&new_token()).bytes()));
        assert!(!hash.matches(Key::random().hash(&token).bytes()));
        assert!(!hash.matches(&[]));
        assert_eq!(token.len(), 67);
    }

    #[test]
    fn a_secret_with_an_id_round_trips() {
        let named = NamedSecret::new("ses");
        let text = named.text();
        let read = NamedSecret::parse(&text, "ses").expect("a secret");
        assert_eq!((read.id, read.secret), (named.id, named.secret));
        for bad in [
            "",
            ".",
            "ses_.",
            &text[1..],
            &text[..80],
            &format!("{text}0"),
        ] {
            assert!(NamedSecret::parse(bad, "ses").is_none(), "{bad}");
        }
        assert!(NamedSecret::parse(&text, "wall").is_none());
    }

    #[test]
    fn every_secret_format_is_masked_in_displayed_text() {
        let play = PlayToken::new(BTreeMap::from([("a".to_owned(), [0; 8])]), 0);
        let play = play.sign(&Key::random());
        let own = format!("{PREFIX}{}", "Own-word_".repeat(3));
        AdminToken::new(&own).expect("a token");
        let whole = [new_token(), new_stream_key(), new_code(), play, own];
        let named = ["wall", "ses"].map(NamedSecret::new);
        let named = named
            .iter()
            .map(|named| (named.text(), named.secret.clone()));
        let secrets = whole.into_iter().map(|secret| (secret.clone(), secret));
        for (text, secret) in secrets.chain(named) {
            for written in [
                text.clone(),
                text.replace('_', "%5F").replace('.', "%2e"),
                text.replace('_', "%255f").replace('.', "%252E"),
            ] {
                let text = format!("room {written:?}: no key {written}, live-{written}/x");
                let shown = shown(&text);
                assert!(!shown.contains(&secret[4..]), "{shown}");
                assert_eq!(shown.matches("***").count(), 3, "{shown}");
            }
        }
    }

    #[test]
    fn a_short_admin_token_is_refused() {
        let good = new_token();
        let admin = AdminToken::new(&good).expect("a token");
        assert!(admin.matches(&good) && !admin.matches(&good[..66]) && !admin.matches(""));
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
