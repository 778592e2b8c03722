//! `sk_` tokens of the HTTP interface.

use super::error::ChangeError;
use super::service::Catalog;
use crate::auth::{Allowance, Grant, Permission, new_id, new_token};
use crate::store::tokens::{self, Token};
use ocelli_core::text::is_control;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// The longest name.
const NAME_LIMIT: usize = 120;

/// Where a token is good.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// In every app, and for the hub.
    Global,
    /// In one app.
    App,
}

/// A token to be made.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewToken {
    /// What it is for, in your words.
    #[schema(pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]{1,120}$")]
    name: String,
    scope: Scope,
    /// The app, for the scope `app`.
    app_id: Option<String>,
    /// What it allows, like `app:read` or `ingress:*`; by default all but giving out tokens.
    #[schema(min_items = 1)]
    permissions: Option<Vec<String>>,
}

impl NewToken {
    /// What it would grant.
    fn allowance(&self) -> Result<Allowance, ChangeError> {
        let length = self.name.chars().count();
        if !(1..=NAME_LIMIT).contains(&length) || self.name.chars().any(is_control) {
            return Err(ChangeError::invalid("name", "it takes 1 to 120 characters"));
        }
        let app = match (self.scope, &self.app_id) {
            (Scope::Global, None) => None,
            (Scope::App, Some(app)) => Some(app.clone()),
            (Scope::Global, Some(_)) => {
                return Err(ChangeError::invalid(
                    "appId",
                    "it is for the scope \"app\" only",
                ));
            }
            (Scope::App, None) => {
                return Err(ChangeError::invalid("appId", "the scope \"app\" needs it"));
            }
        };
        let mut allowance = Allowance::usual(app);
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
                    "without any the token would open nothing",
                ));
            }
        }
        Ok(allowance)
    }
}

impl Catalog {
    /// The tokens that a grant reaches, without their secrets, the oldest first.
    ///
    /// # Errors
    /// The store can't be read.
    pub async fn tokens(&self, grant: &Grant) -> Result<Vec<Token>, ChangeError> {
        let mut tokens = self.read(|connection| tokens::all(connection)).await?;
        tokens.retain(|token| grant.allows("token:read", token.allowance.app.as_deref()));
        Ok(tokens)
    }

    /// Makes a token within what `own` allows: nobody gives what they do not have. Returns it
    /// with its secret, of which the store keeps a hash.
    ///
    /// # Errors
    /// A field is wrong, it would allow more than `own`, or there is no such app.
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
        self.make(move |catalog, connection| {
            // Its app may have gone since it was looked for.
            if let Some(app) = &token.allowance.app {
                catalog.app(app)?;
            }
            tokens::insert(connection, &token, &hash)?;
            Ok((token, secret))
        })
        .await
    }

    /// Revokes a token; from then on it opens nothing, and neither do the wall links that
    /// were made with it.
    ///
    /// # Errors
    /// There is none that `own` reaches.
    pub async fn revoke_token(self: &Arc<Self>, id: String, own: Grant) -> Result<(), ChangeError> {
        self.make(move |_, connection| {
            let token = tokens::by_id(connection, &id)?;
            let reached = token
                .is_some_and(|token| own.allows("token:delete", token.allowance.app.as_deref()));
            match reached && tokens::delete(connection, &id)? {
                true => Ok(()),
                false => Err(ChangeError::missing("there is no token of that id")),
            }
        })
        .await
    }
}
