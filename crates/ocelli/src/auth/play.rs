//! Play tokens: self-contained and signed, so the hub stores none of them.
//!
//! ```text
//! pt_ base64url( version | id | expires | { length | camera id | incarnation }… | keyed blake3 )
//!                1 byte    8    8         1                    8                32
//! ```
//!
//! The incarnation distinguishes a deleted camera from a later camera of the same name.

use super::token::{Key, random};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use std::collections::BTreeMap;
use subtle::ConstantTimeEq;

/// The prefix of every play token.
const PREFIX: &str = "pt_";
/// The format version that is written, and the only one that is read.
const VERSION: u8 = 2;
/// The purpose of the signing key.
const PURPOSE: &str = "ocelli 2026-11 signs play tokens";
const SIGNATURE_LENGTH: usize = 32;

/// Distinguishes a camera from an earlier one in its room, and its app from an earlier app of
/// that name.
pub type Incarnation = [u8; 8];

/// The content of a play token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlayToken {
    /// Identifies the token; not a secret.
    pub id: [u8; 8],
    /// Expiry in ms since the Unix epoch.
    pub expires: i64,
    /// The ids of the cameras that it opens, each with its incarnation.
    pub cameras: BTreeMap<String, Incarnation>,
}

impl PlayToken {
    /// A new token.
    pub fn new(cameras: BTreeMap<String, Incarnation>, expires: i64) -> Self {
        Self {
            id: random(),
            expires,
            cameras,
        }
    }

    /// Encodes the token and signs it with a key derived from `key`.
    pub fn sign(&self, key: &Key) -> String {
        let mut bytes = vec![VERSION];
        bytes.extend(self.id);
        bytes.extend(self.expires.to_be_bytes());
        for (camera, incarnation) in &self.cameras {
            // A camera id has at most 255 bytes, so its length fits in one.
            bytes.push(u8::try_from(camera.len()).unwrap_or_default());
            bytes.extend(camera.as_bytes());
            bytes.extend(incarnation);
        }
        let signature = signature(key, &bytes);
        bytes.extend(signature);
        format!("{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Parses a token and verifies its signature. The token may have expired.
    pub fn read(text: &str, key: &Key) -> Option<Self> {
        let bytes = BASE64_URL_SAFE_NO_PAD
            .decode(text.strip_prefix(PREFIX)?)
            .ok()?;
        let (payload, signed) =
            bytes.split_at_checked(bytes.len().checked_sub(SIGNATURE_LENGTH)?)?;
        if !bool::from(signature(key, payload).ct_eq(signed)) {
            return None;
        }
        let (&version, rest) = payload.split_first()?;
        let (&id, rest) = rest.split_first_chunk()?;
        let (&expires, mut rest) = rest.split_first_chunk()?;
        if version != VERSION {
            return None;
        }
        let mut cameras = BTreeMap::new();
        while let Some((&length, more)) = rest.split_first() {
            let (camera, more) = more.split_at_checked(length.into())?;
            let (&incarnation, after) = more.split_first_chunk()?;
            let camera = std::str::from_utf8(camera).ok()?.to_owned();
            cameras.insert(camera, incarnation);
            rest = after;
        }
        Some(Self {
            id,
            expires: i64::from_be_bytes(expires),
            cameras,
        })
    }

    /// Returns true if the text has the prefix of a play token.
    pub fn has_prefix(text: &str) -> bool {
        text.starts_with(PREFIX)
    }
}

fn signature(key: &Key, payload: &[u8]) -> [u8; SIGNATURE_LENGTH] {
    *blake3::keyed_hash(key.derive(PURPOSE).bytes(), payload).as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_round_trips_and_any_change_breaks_it() {
        let key = Key::random();
        let long = format!("barn/{}", "b".repeat(120));
        let cameras = BTreeMap::from([("cam1".to_owned(), [0; 8]), (long, [7; 8])]);
        let token = PlayToken::new(cameras, 1_700_000_000_000);
        let text = token.sign(&key);
        assert_eq!(PlayToken::read(&text, &key), Some(token.clone()));
        assert_eq!(PlayToken::read(&text, &Key::random()), None);
        // Changing, removing or adding any character breaks the signature.
        for at in PREFIX.len()..text.len() {
            let other = if &text[at..=at] == "A" { "B" } else { "A" };
            let changed = format!("{}{other}{}", &text[..at], &text[at + 1..]);
            assert_eq!(PlayToken::read(&changed, &key), None, "{at}");
            assert_eq!(PlayToken::read(&text[..at], &key), None, "{at}");
        }
        assert_eq!(PlayToken::read(&format!("{text}A"), &key), None);
        // A signature for another purpose does not make a play token.
        let payload = BASE64_URL_SAFE_NO_PAD.decode(&text[3..]).expect("base64");
        let payload = &payload[..payload.len() - SIGNATURE_LENGTH];
        let direct = [payload, blake3::keyed_hash(key.bytes(), payload).as_bytes()].concat();
        let direct = format!("{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(direct));
        assert_eq!(PlayToken::read(&direct, &key), None);
    }
}
