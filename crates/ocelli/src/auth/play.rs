//! Play tokens: what they open is written in them, under a signature, so that none is
//! kept.
//!
//! ```text
//! pt_ base64url( version | id | expires | { length | camera id | incarnation }… | keyed blake3 )
//!                1 byte    8    8         1                    8                32
//! ```
//!
//! A camera that was deleted and another one of its name differ in the incarnation.

use super::token::{Key, random};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use std::collections::BTreeMap;
use subtle::ConstantTimeEq;

/// What every play token begins with.
const MARK: &str = "pt_";
/// The form that is written; no other is read.
const VERSION: u8 = 2;
/// The purpose of the signing key.
const PURPOSE: &str = "ocelli 2026-11 signs play tokens";
const SIGNATURE: usize = 32;

/// Tells a camera from an earlier one in its room, and its app from an earlier one of that
/// name.
pub type Incarnation = [u8; 8];

/// What a play token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlayToken {
    /// Tells it from others; no secret.
    pub id: [u8; 8],
    /// When it ends, in ms since the Unix epoch.
    pub expires: i64,
    /// The ids of the cameras that it opens, and which of that name they are.
    pub cameras: BTreeMap<String, Incarnation>,
}

impl PlayToken {
    /// A new one.
    pub fn new(cameras: BTreeMap<String, Incarnation>, expires: i64) -> Self {
        Self {
            id: random(),
            expires,
            cameras,
        }
    }

    /// The token, signed with a key derived from this one.
    pub fn sign(&self, key: &Key) -> String {
        let mut bytes = vec![VERSION];
        bytes.extend(self.id);
        bytes.extend(self.expires.to_be_bytes());
        for (camera, incarnation) in &self.cameras {
            // A camera's id has at most 255 bytes: its length travels in one.
            bytes.push(u8::try_from(camera.len()).unwrap_or_default());
            bytes.extend(camera.as_bytes());
            bytes.extend(incarnation);
        }
        let signature = signature(key, &bytes);
        bytes.extend(signature);
        format!("{MARK}{}", BASE64_URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Reads a token, if it is one and the signature is ours. It may have expired.
    pub fn read(text: &str, key: &Key) -> Option<Self> {
        let bytes = BASE64_URL_SAFE_NO_PAD
            .decode(text.strip_prefix(MARK)?)
            .ok()?;
        let (said, signed) = bytes.split_at_checked(bytes.len().checked_sub(SIGNATURE)?)?;
        if !bool::from(signature(key, said).ct_eq(signed)) {
            return None;
        }
        let (&version, rest) = said.split_first()?;
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

    /// Whether a text is meant to be one.
    pub fn is_meant(text: &str) -> bool {
        text.starts_with(MARK)
    }
}

fn signature(key: &Key, said: &[u8]) -> [u8; SIGNATURE] {
    *blake3::keyed_hash(key.derive(PURPOSE).bytes(), said).as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_says_what_was_signed_and_nothing_else_is_one() {
        let key = Key::random();
        let long = format!("barn/{}", "b".repeat(120));
        let cameras = BTreeMap::from([("cam1".to_owned(), [0; 8]), (long, [7; 8])]);
        let token = PlayToken::new(cameras, 1_700_000_000_000);
        let text = token.sign(&key);
        assert_eq!(PlayToken::read(&text, &key), Some(token.clone()));
        assert_eq!(PlayToken::read(&text, &Key::random()), None);
        // Each character matters, each may be missing, and none may be added.
        for at in MARK.len()..text.len() {
            let other = if &text[at..=at] == "A" { "B" } else { "A" };
            let changed = format!("{}{other}{}", &text[..at], &text[at + 1..]);
            assert_eq!(PlayToken::read(&changed, &key), None, "{at}");
            assert_eq!(PlayToken::read(&text[..at], &key), None, "{at}");
        }
        assert_eq!(PlayToken::read(&format!("{text}A"), &key), None);
        // What is signed for another purpose is no play token.
        let said = BASE64_URL_SAFE_NO_PAD.decode(&text[3..]).expect("base64");
        let said = &said[..said.len() - SIGNATURE];
        let direct = [said, blake3::keyed_hash(key.bytes(), said).as_bytes()].concat();
        let direct = format!("{MARK}{}", BASE64_URL_SAFE_NO_PAD.encode(direct));
        assert_eq!(PlayToken::read(&direct, &key), None);
    }
}
