//! Extracts the visitor from a request.

use super::authorization::{Authorization, Visitor};
use super::credential;
use super::identity::Identity;
use super::request_credentials::{self, Fault};
use crate::answer::Problem;
use axum::extract::{FromRef, FromRequestParts};
use http::StatusCode;
use http::request::Parts;
use ocelli_net::request::Peer;
use ocelli_net::throttle::AddressPrefix;
use std::sync::Arc;

impl Visitor {
    /// Looks up the credentials of a request.
    async fn look_up(identity: &Identity, peer: &Peer, parts: &Parts) -> Result<Self, Problem> {
        let credentials = match request_credentials::credentials_of(identity, peer, parts) {
            Ok(credentials) => credentials,
            Err(Fault::Invalid(message)) => return Err(refuse(identity, peer, message)),
            Err(Fault::Store(error)) => return Err(error.into()),
        };
        let found = match credential::needs_store(&credentials) {
            false => credential::without_store(&credentials),
            true => {
                let (credentials_to_find, now) = (credentials.clone(), identity.now());
                let find = move |connection: &mut _| {
                    credential::find(connection, &credentials_to_find, now)
                };
                match identity.store.call(find).await {
                    Ok(found) => found,
                    Err(error) => {
                        let found = credential::without_store(&credentials);
                        if found.iter().any(Option::is_none) {
                            return Err(error.into());
                        }
                        found
                    }
                }
            }
        };
        let authorization = Authorization::of(found);
        if authorization.lapsed {
            let message = "there is no such token; it may have expired or been revoked";
            return Err(refuse(identity, peer, message));
        }
        Ok(Self::new(identity.hub.clone(), credentials, authorization))
    }
}

fn refuse(identity: &Identity, peer: &Peer, message: &'static str) -> Problem {
    match identity
        .attempts
        .tokens
        .count(&AddressPrefix::from(peer.remote.ip()))
    {
        Ok(()) => Problem::new(StatusCode::UNAUTHORIZED, message),
        Err(after) => Problem::too_many("invalid tokens", after),
    }
}

impl Visitor {
    /// Returns the visitor that sent a request, which must carry its [`Peer`]. Handlers extract the
    /// visitor instead; call this where the lookup must happen later.
    ///
    /// # Errors
    /// 401 for an invalid token, 429 after too many of them, 503 if the store is unavailable for
    /// the lookup.
    pub async fn of(identity: &Identity, parts: &Parts) -> Result<Self, Problem> {
        if let Some(known) = parts.extensions.get::<Visitor>() {
            return Ok(known.clone());
        }
        let peer = parts.extensions.get::<Peer>().cloned();
        let peer = peer.ok_or_else(|| {
            Problem::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the request has no connection information",
            )
        })?;
        Visitor::look_up(identity, &peer, parts).await
    }
}

/// Looks the visitor up once per request.
impl<S: Send + Sync> FromRequestParts<S> for Visitor
where
    Arc<Identity>: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let visitor = Visitor::of(&Arc::<Identity>::from_ref(state), parts).await?;
        parts.extensions.insert(visitor.clone());
        Ok(visitor)
    }
}
