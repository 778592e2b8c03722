//! Parses the credentials of a request.

use super::credential::Credential;
use super::identity::Identity;
use super::origin::{accepts_cookie, cookie_name};
use crate::auth::{Key, NamedSecret, PlayToken};
use crate::store::StoreError;
use http::header::{AUTHORIZATION, COOKIE, HeaderMap};
use http::request::Parts;
use ocelli_core::name::split_id;
use ocelli_net::request::Peer;

/// Why the credentials of a request are refused.
pub enum Fault {
    /// The token is malformed or misplaced; the message states what is expected.
    Invalid(&'static str),
    /// The store is unavailable.
    Store(StoreError),
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Fault::Store(error)
    }
}

/// Parses the credentials of a request.
pub fn credentials_of(
    identity: &Identity,
    peer: &Peer,
    parts: &Parts,
) -> Result<Vec<Credential>, Fault> {
    let mut credentials = Vec::new();
    if let Some(token) = only_bearer(&parts.headers).map_err(Fault::Invalid)? {
        credentials.push(token_of(identity, token)?);
    }
    let query = parts.uri.query().unwrap_or_default();
    let mut pairs = url::form_urlencoded::parse(query.as_bytes());
    let parameter = pairs.find(|(name, token)| name == "token" && !token.is_empty());
    if let Some((_, token)) = parameter {
        if !credentials.is_empty() {
            return Err(Fault::Invalid(
                "the request has one token in its URL and another in its header; send only one",
            ));
        }
        if token.starts_with("sk_") {
            return Err(Fault::Invalid(
                "an sk_ token must not be in a URL; send it in the header \
                 `Authorization: Bearer sk_…`",
            ));
        }
        credentials.push(token_of(identity, &token)?);
    }
    // Without a store there are no sessions, so cookies are ignored.
    if let Ok(key) = identity.store.key()
        && accepts_cookie(&peer.origin, parts)
        && let Some(session) = session(&parts.headers, key, peer.secure)
    {
        credentials.push(session);
    }
    Ok(credentials)
}

/// The token of the `Authorization` header, which may occur only once.
fn only_bearer(headers: &HeaderMap) -> Result<Option<&str>, &'static str> {
    if headers.get_all(AUTHORIZATION).iter().nth(1).is_some() {
        return Err("send the token in one header `Authorization: Bearer sk_…`, not in several");
    }
    Ok(bearer(headers))
}

/// The bearer token of the first `Authorization` header. Other schemes are ignored: they may be
/// for a proxy that asks for its own password.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let header = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = header.split_once(' ').unwrap_or((header, ""));
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn token_of(identity: &Identity, token: &str) -> Result<Credential, Fault> {
    if token.starts_with("sk_") {
        if identity
            .admin
            .as_ref()
            .is_some_and(|admin| admin.matches(token))
        {
            return Ok(Credential::Administrator);
        }
        return Ok(Credential::Token(identity.store.key()?.hash(token)));
    }
    if PlayToken::has_prefix(token) {
        let read = PlayToken::read(token, identity.store.key()?);
        let read = read.ok_or(Fault::Invalid(
            "the play token is not from this hub, or it is incomplete",
        ))?;
        // Cameras of a deleted app no longer exist.
        let cameras = read.cameras.iter().filter_map(|(id, incarnation)| {
            let (app, room) = split_id(id);
            Some((identity.hub.resolve(app, room).ok()?, *incarnation))
        });
        return Ok(Credential::Play(read.expires, cameras.collect()));
    }
    if let Some(named) = NamedSecret::parse(token, "wall") {
        let hash = identity.store.key()?.hash(&named.secret);
        return Ok(Credential::Wall(named.id, hash));
    }
    Err(Fault::Invalid(
        "this is not a token of this hub: expected the header `Authorization: Bearer sk_…`, or \
         `token=pt_…` or `token=wall_…` in the URL",
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
    let named = NamedSecret::parse(value, "ses")?;
    Some(Credential::Session(named.id, key.hash(&named.secret)))
}
