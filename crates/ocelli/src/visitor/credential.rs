//! Credentials, and their lookup in the store.

use crate::auth::{Hash, Incarnation};
use crate::store::sessions::{self, Session};
use crate::store::tokens::{self, Token};
use crate::store::users::User;
use crate::store::walls::{self, Wall};
use crate::store::{StoreError, incarnation, users};
use ocelli_core::CameraId;
use rusqlite::Connection;
use std::collections::BTreeSet;

/// A credential of a request, parsed without the store. It contains only the hash of a secret,
/// never the secret.
#[derive(Clone)]
pub enum Credential {
    /// The administrator's own token.
    Administrator,
    /// An `sk_` token.
    Token(Hash),
    /// A session cookie.
    Session(String, Hash),
    /// A play token with a valid signature: its expiry, and the cameras that it opens while they
    /// have the same incarnation.
    Play(i64, Vec<(CameraId, Incarnation)>),
    /// The token of a wall link.
    Wall(String, Hash),
}

/// The result of looking up a credential.
pub enum Found {
    /// Grants everything.
    Everything,
    /// A valid token.
    Token(Token),
    /// A valid session, and its user.
    Session(User, Session),
    /// Opens these cameras, in addition to the public ones.
    Cameras(BTreeSet<String>),
    /// Opens the cameras of this wall, and nothing else.
    Wall(Wall),
    /// Not valid, which is not an error: the visitor is anonymous.
    Nothing,
}

impl Credential {
    /// The result while the store is unavailable. A session cookie then gives only anonymous
    /// access.
    fn without_store(&self) -> Option<Found> {
        match self {
            Credential::Administrator => Some(Found::Everything),
            Credential::Session(..) => Some(Found::Nothing),
            _ => None,
        }
    }
}

/// The results while the store is unavailable.
pub fn without_store(credentials: &[Credential]) -> Vec<Option<Found>> {
    let found = credentials.iter();
    found.map(Credential::without_store).collect()
}

/// Whether any of these must be looked up in the store.
pub fn needs_store(credentials: &[Credential]) -> bool {
    let mut credentials = credentials.iter();
    credentials.any(|credential| !matches!(credential, Credential::Administrator))
}

/// Looks up each credential; `None` for a token that is not, or no longer, valid.
pub fn find(
    connection: &Connection,
    credentials: &[Credential],
    now: i64,
) -> Result<Vec<Option<Found>>, StoreError> {
    let found = credentials.iter();
    found
        .map(|credential| credential.find(connection, now))
        .collect()
}

impl Credential {
    fn find(&self, connection: &Connection, now: i64) -> Result<Option<Found>, StoreError> {
        Ok(match self {
            Credential::Administrator => Some(Found::Everything),
            Credential::Token(hash) => tokens::find(connection, hash)?.map(Found::Token),
            Credential::Session(id, hash) => {
                let session = sessions::find(connection, id, hash, now)?;
                let found = session.map(|session| {
                    let user = users::by_id(connection, &session.user)?;
                    Ok::<_, StoreError>(user.map(|user| Found::Session(user, session)))
                });
                Some(found.transpose()?.flatten().unwrap_or(Found::Nothing))
            }
            Credential::Play(expires, cameras) => {
                let mut open = BTreeSet::new();
                for (camera, meant) in cameras {
                    if incarnation::of(connection, camera)? == *meant {
                        open.insert(camera.as_str().to_owned());
                    }
                }
                (now < *expires && !open.is_empty()).then_some(Found::Cameras(open))
            }
            Credential::Wall(id, hash) => walls::known(connection, id, hash, now)?.map(Found::Wall),
        })
    }
}
