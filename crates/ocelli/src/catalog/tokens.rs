//! API tokens (`sk_…`).

use super::error::ChangeError;
use super::service::Catalog;
use crate::auth::{Allowance, Grant, Permission, new_id, new_token};
use crate::store::tokens::{self, Token};
use ocelli_core::text::is_control;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// Maximum length of a name, in characters.
const NAME_LIMIT: usize = 120;

/// Where a token is valid.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// In every app, and for the hub itself.
    Global,
    /// In one app.
    App,
}

/// A token to create.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewToken {
    /// A name for the token.
    #[schema(pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]{1,120}$")]
    name: String,
    scope: Scope,
    /// The app; required for the scope `app`.
    app_id: Option<String>,
    /// Its permissions, such as `app:read` or `ingress:*`; by default all except creating tokens.
    #[schema(min_items = 1)]
    permissions: Option<Vec<String>>,
}

impl NewToken {
    /// The permissions that it would grant.
    fn allowance(&self) -> Result<Allowance, ChangeError> {
        let length = self.name.chars().count();
        if !(1..=NAME_LIMIT).contains(&length) || self.name.chars().any(is_control) {
            return Err(ChangeError::invalid(
                "name",
                "it must have 1 to 120 characters",
            ));
        }
        let app = match (self.scope, &self.app_id) {
            (Scope::Global, None) => None,
            (Scope::App, Some(app)) => Some(app.clone()),
            (Scope::Global, Some(_)) => {
                return Err(ChangeError::invalid(
                    "appId",
                    "it is allowed only with the scope \"app\"",
                ));
            }
            (Scope::App, None) => {
                return Err(ChangeError::invalid(
                    "appId",
                    "it is required with the scope \"app\"",
                ));
            }
        };
        let mut allowance = Allowance::default_for_token(app);
        if let Some(permissions) = &self.permissions {
            let read = permissions.iter().map(|text| Permission::read(text));
            let read: Result<Vec<_>, _> = read.collect();
            allowance.permissions =
                read.map_err(|error| ChangeError::invalid("permissions", error))?;
            allowance.permissions.sort();
            allowance.permissions.dedup();
            if allowance.permissions.is_empty() {
                return Err(ChangeError::invalid(
                    "permissions",
                    "a token needs at least one permission",
                ));
            }
        }
        Ok(allowance)
    }
}

impl Catalog {
    /// The tokens that `grant` may read, without their secrets, oldest first.
    ///
    /// # Errors
    /// The store can't be read.
    pub async fn tokens(&self, grant: &Grant) -> Result<Vec<Token>, ChangeError> {
        let mut tokens = self.read(|connection| tokens::all(connection)).await?;
        tokens.retain(|token| grant.allows("token:read", token.allowance.app.as_deref()));
        Ok(tokens)
    }

    /// Creates a token with at most the permissions of `own`. Returns it with its secret, of which
    /// the store keeps only a hash.
    ///
    /// # Errors
    /// A field is invalid, the token would exceed `own`, or the app does not exist.
    pub async fn add_token(
        self: &Arc<Self>,
        new: NewToken,
        own: &Grant,
    ) -> Result<(Token, String), ChangeError> {
        let allowance = new.allowance()?;
        match &allowance.app {
            None => own.check_global("token:create")?,
            Some(app) => {
                own.check("token:create", Some(app))?;
                if self.hub().app(app).is_none() {
                    let message = format!("appId in the body: there is no app {app:?}");
                    return Err(ChangeError::missing(message));
                }
            }
        }
        own.check_covers(&Grant::new([allowance.clone()]))?;
        let (secret, id) = (new_token(), new_id("tok"));
        let hash = self.identity.store.key()?.hash(&secret);
        let token = Token {
            id,
            name: new.name,
            allowance,
            created: self.identity.now(),
        };
        self.apply(move |catalog, connection| {
            // The app may have been deleted since the first check.
            if let Some(app) = &token.allowance.app {
                catalog.app(app)?;
            }
            tokens::insert(connection, &token, &hash)?;
            Ok((token, secret))
        })
        .await
    }

    /// Revokes a token and deletes the wall links that were made with it.
    ///
    /// # Errors
    /// `own` may delete no such token.
    pub async fn revoke_token(self: &Arc<Self>, id: String, own: Grant) -> Result<(), ChangeError> {
        self.apply(move |_, connection| {
            let token = tokens::by_id(connection, &id)?;
            let reached = token
                .is_some_and(|token| own.allows("token:delete", token.allowance.app.as_deref()));
            match reached && tokens::delete(connection, &id)? {
                true => Ok(()),
                false => Err(ChangeError::missing("there is no token with this id")),
            }
        })
        .await
    }
}
