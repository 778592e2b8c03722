//! What a request brings, and what it is found to be.

use super::identity::Identity;
use super::origin::{cookie_counts, cookie_name};
use crate::auth::{Hash, Incarnation, Key, Named, PlayToken};
use crate::store::sessions::{self, Session};
use crate::store::tokens::{self, Token};
use crate::store::users::User;
use crate::store::walls::{self, Wall};
use crate::store::{StoreError, incarnation, users};
use http::header::{AUTHORIZATION, COOKIE, HeaderMap};
use http::request::Parts;
use ocelli_core::CameraId;
use ocelli_core::name::split_id;
use ocelli_net::connection::Peer;
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

/// Why what a request brings can't be taken.
pub enum Fault {
    /// It is none of ours; says what would be.
    Guess(&'static str),
    /// The store can't be asked.
    Store(StoreError),
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Fault::Store(error)
    }
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

/// What a request brings.
pub fn brought(identity: &Identity, peer: &Peer, parts: &Parts) -> Result<Vec<Credential>, Fault> {
    let mut brought = Vec::new();
    if let Some(token) = bearer(&parts.headers).map_err(Fault::Guess)? {
        brought.push(token_of(identity, token)?);
    }
    let query = parts.uri.query().unwrap_or_default();
    let mut pairs = url::form_urlencoded::parse(query.as_bytes());
    let asked = pairs.find(|(name, token)| name == "token" && !token.is_empty());
    if let Some((_, token)) = asked {
        if !brought.is_empty() {
            return Err(Fault::Guess(
                "the request has a token in its address and another in its header; it may have one",
            ));
        }
        if token.starts_with("sk_") {
            return Err(Fault::Guess(
                "an sk_ token opens too much for an address; it goes into the header \
                 `Authorization: Bearer sk_…`",
            ));
        }
        brought.push(token_of(identity, &token)?);
    }
    // Without a store there are no sessions, and no cookie is one.
    if let Ok(key) = identity.store.key()
        && cookie_counts(&identity.front.gate, peer, parts)
        && let Some(session) = session(&parts.headers, key, peer.secure)
    {
        brought.push(session);
    }
    Ok(brought)
}

/// The token of the `Authorization` header; what another scheme says there is for
/// somebody else, such as a proxy that asks for a password itself.
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, &'static str> {
    let mut headers = headers.get_all(AUTHORIZATION).iter();
    let (header, more) = (headers.next(), headers.next());
    if more.is_some() {
        return Err("a token goes into one header `Authorization: Bearer sk_…`, not several");
    }
    let Some(header) = header.and_then(|header| header.to_str().ok()) else {
        return Ok(None);
    };
    let (scheme, token) = header.split_once(' ').unwrap_or((header, ""));
    let token = token.trim();
    Ok(scheme.eq_ignore_ascii_case("bearer").then_some(token))
}

fn token_of(identity: &Identity, token: &str) -> Result<Credential, Fault> {
    if token.starts_with("sk_") {
        if identity.admin.as_ref().is_some_and(|admin| admin.is(token)) {
            return Ok(Credential::Administrator);
        }
        return Ok(Credential::Token(identity.store.key()?.hash(token)));
    }
    if PlayToken::is_meant(token) {
        let read = PlayToken::read(token, identity.store.key()?);
        let read = read.ok_or(Fault::Guess(
            "the play token is not one of this hub, or not whole",
        ))?;
        // Of an app that is gone there is no camera.
        let cameras = read.cameras.iter().filter_map(|(id, incarnation)| {
            let (app, room) = split_id(id);
            Some((identity.hub.resolve(app, room).ok()?, *incarnation))
        });
        return Ok(Credential::Play(read.expires, cameras.collect()));
    }
    if let Some(named) = Named::parse(token, "wall") {
        let hash = identity.store.key()?.hash(&named.secret);
        return Ok(Credential::Wall(named.id, hash));
    }
    Err(Fault::Guess(
        "this is no token of this hub: a header reads `Authorization: Bearer sk_…`, an address \
         ends in `token=pt_…` or `token=wall_…`",
    ))
}

fn session(headers: &HeaderMap, key: &Key, secure: bool) -> Option<Credential> {
    let wanted = cookie_name(key, secure);
    let lines = headers.get_all(COOKIE).iter();
    let cookies = lines.filter_map(|line| line.to_str().ok());
    let mut pairs = cookies.flat_map(|line| line.split(';'));
    let value = pairs.find_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        (name == wanted).then_some(value)
    })?;
    let named = Named::parse(value, "ses")?;
    Some(Credential::Session(named.id, key.hash(&named.secret)))
}

/// What these are when the store can't be asked.
pub fn without_store(brought: &[Credential]) -> Vec<Option<Found>> {
    let found = brought.iter();
    found.map(Credential::without_store).collect()
}

/// Whether the store has to be asked about any of these.
pub fn needs_store(brought: &[Credential]) -> bool {
    let mut brought = brought.iter();
    brought.any(|credential| !matches!(credential, Credential::Administrator))
}

/// What each is found to be; none for a token that is no more.
pub fn find(
    connection: &Connection,
    brought: &[Credential],
    now: i64,
) -> Result<Vec<Option<Found>>, StoreError> {
    let found = brought.iter();
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
