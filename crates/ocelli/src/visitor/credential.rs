//! Credentials, and what they are found to be.

use crate::auth::{Hash, Incarnation};
use crate::store::sessions::{self, Session};
use crate::store::tokens::{self, Token};
use crate::store::users::User;
use crate::store::walls::{self, Wall};
use crate::store::{StoreError, incarnation, users};
use ocelli_core::CameraId;
use rusqlite::Connection;
use std::collections::BTreeSet;

/// What somebody brings, as far as it can be told without the store. It holds no
/// secret, only the hash of one.
#[derive(Clone)]
pub enum Credential {
    /// The administrator's own token.
    Administrator,
    /// An `sk_` token.
    Token(Hash),
    /// A session's cookie.
    Session(String, Hash),
    /// A play token whose signature is ours: when it ends, and the cameras that it opens
    /// as long as they are the ones that it was made for.
    Play(i64, Vec<(CameraId, Incarnation)>),
    /// The token of a wall link.
    Wall(String, Hash),
}

/// What a credential is found to be.
pub enum Found {
    /// It opens everything.
    Everything,
    /// It is this token.
    Token(Token),
    /// It is this session, of this user.
    Session(User, Session),
    /// It opens these cameras, beside what everybody sees.
    Cameras(BTreeSet<String>),
    /// It opens the cameras of this wall, and nothing else.
    Wall(Wall),
    /// It is none, and that is no fault.
    Nothing,
}

impl Credential {
    /// What it is when the store can't be asked: whoever merely has a cookie sees
    /// what anybody sees.
    fn without_store(&self) -> Option<Found> {
        match self {
            Credential::Administrator => Some(Found::Everything),
            Credential::Session(..) => Some(Found::Nothing),
            _ => None,
        }
    }
}

/// What these are when the store can't be asked.
pub fn without_store(credentials: &[Credential]) -> Vec<Option<Found>> {
    let found = credentials.iter();
    found.map(Credential::without_store).collect()
}

/// Whether the store has to be asked about any of these.
pub fn needs_store(credentials: &[Credential]) -> bool {
    let mut credentials = credentials.iter();
    credentials.any(|credential| !matches!(credential, Credential::Administrator))
}

/// What each is found to be; none for a token that is no more.
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
            Credential::Token(hash) => tokens::known(connection, hash)?.map(Found::Token),
            Credential::Session(id, hash) => {
                let session = sessions::known(connection, id, hash, now)?;
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
