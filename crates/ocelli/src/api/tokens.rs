//! `/api/v1/tokens`: giving out and revoking `sk_` tokens.
//!
//! Nobody gives what they do not have: a token can be made only within the
//! permissions and the app of whoever makes it.

use super::access::{check, check_global};
use super::apps::Gone;
use super::body::Body;
use crate::answer::{Answer, Problem, ProblemBody};
use crate::auth::{Grant, PERMISSIONS, Permission, new_id, new_token};
use crate::site::Site;
use crate::store::StoreError;
use crate::store::tokens::{self, Token};
use axum::Extension;
use axum::extract::{Path, State};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
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

/// A token, without its secret.
#[derive(Serialize, ToSchema)]
#[schema(as = Token)]
#[serde(rename_all = "camelCase")]
pub struct View {
    /// By this it is revoked.
    id: String,
    name: String,
    scope: Scope,
    /// The app that it is for; null for a global one.
    app_id: Option<String>,
    permissions: Vec<String>,
    /// In ms since the Unix epoch.
    created_at: i64,
}

impl From<Token> for View {
    fn from(token: Token) -> Self {
        let permissions = token.grant.permissions.iter();
        Self {
            id: token.id,
            name: token.name,
            scope: match token.grant.app {
                None => Scope::Global,
                Some(_) => Scope::App,
            },
            permissions: permissions.map(|own| own.text().to_owned()).collect(),
            app_id: token.grant.app,
            created_at: token.created,
        }
    }
}

/// A new token, the one time that it is shown.
#[derive(Serialize, ToSchema)]
pub struct Shown {
    /// The token itself. The hub keeps no copy.
    token: String,
    #[serde(flatten)]
    view: View,
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

/// Adds to the schema of [`NewToken`] what Rust's types don't say of it: which
/// permissions there are, and that a scope and an app belong together.
pub fn describe(schema: &mut Value) {
    let kinds = PERMISSIONS
        .iter()
        .filter_map(|known| known.split(':').next());
    let mut known: Vec<_> = kinds.map(|kind| format!("{kind}:*")).collect();
    known.dedup();
    known.extend(PERMISSIONS.iter().map(ToString::to_string));
    known.push("*".to_owned());
    schema["properties"]["permissions"]["items"] = json!({ "type": "string", "enum": known });
    schema["oneOf"] = json!([
        { "properties": { "scope": { "const": "global" }, "appId": { "type": "null" } } },
        { "properties": { "scope": { "const": "app" }, "appId": { "type": "string" } },
          "required": ["appId"] },
    ]);
}

impl NewToken {
    /// What it would grant.
    fn grant(&self) -> Result<Grant, Problem> {
        let bad = |field: &str, why: &str| {
            let message = format!("{field} in the body: {why}");
            Problem::new(StatusCode::BAD_REQUEST, message)
        };
        let length = self.name.chars().count();
        if !(1..=NAME_LIMIT).contains(&length) || self.name.chars().any(char::is_control) {
            return Err(bad("name", "it takes 1 to 120 characters"));
        }
        let app = match (self.scope, &self.app_id) {
            (Scope::Global, None) => None,
            (Scope::App, Some(app)) => Some(app.clone()),
            (Scope::Global, Some(_)) => {
                return Err(bad("appId", "it is for the scope \"app\" only"));
            }
            (Scope::App, None) => {
                return Err(bad("appId", "the scope \"app\" needs it"));
            }
        };
        let mut grant = Grant::usual(app);
        if let Some(permissions) = &self.permissions {
            let read = permissions.iter().map(|text| Permission::read(text));
            let read: Result<Vec<_>, _> = read.collect();
            grant.permissions = read.map_err(|error| bad("permissions", &error))?;
            grant.permissions.sort();
            grant.permissions.dedup();
            if grant.permissions.is_empty() {
                return Err(bad(
                    "permissions",
                    "without any the token would open nothing",
                ));
            }
        }
        Ok(grant)
    }
}

/// The tokens, without their secrets; those of its own app, to a token of an app.
#[utoipa::path(get, path = "/api/v1/tokens", tag = "tokens", operation_id = "listTokens",
    security(("token" = ["token:read"])),
    responses((status = 200, description = "The tokens", body = Answer<Vec<View>>)))]
pub async fn list(
    State(site): State<Arc<Site>>,
    Extension(grant): Extension<Grant>,
) -> Result<Answer<Vec<View>>, Problem> {
    let mut tokens = site
        .store
        .call(|connection| tokens::all(connection))
        .await?;
    tokens.retain(|token| grant.app.is_none() || token.grant.app == grant.app);
    Ok(Answer::new(tokens.into_iter().map(View::from).collect()))
}

/// Makes a token, within what the token that asks may do itself.
#[utoipa::path(post, path = "/api/v1/tokens", tag = "tokens", operation_id = "createToken",
    security(("token" = ["token:create"])), request_body = NewToken,
    responses(
        (status = 201, description = "The token, shown this once", body = Answer<Shown>),
        (status = 404, description = "There is no such app", body = ProblemBody)))]
pub async fn create(
    State(site): State<Arc<Site>>,
    Extension(own): Extension<Grant>,
    Body(new): Body<NewToken>,
) -> Result<(StatusCode, Answer<Shown>), Problem> {
    let grant = new.grant()?;
    match &grant.app {
        None => check_global(&own, "token:create")?,
        Some(app) => {
            check(&own, "token:create", Some(app))?;
            if site.hub.app(app).is_none() {
                let message = format!("appId in the body: there is no app {app:?}");
                return Err(Problem::not_found(message));
            }
        }
    }
    for permission in &grant.permissions {
        check(&own, permission.text(), None)?;
    }
    let created = i64::try_from(site.hub.clock().now().0 / 1000).unwrap_or_default();
    let (secret, id) = (new_token(), new_id());
    let hash = site.store.key()?.hash(&secret);
    let token = Token {
        id,
        name: new.name,
        grant,
        created,
    };
    let (kept, hub) = (token.clone(), site.hub.clone());
    let keep = move |connection: &mut rusqlite::Connection| {
        // Its app may have gone since it was looked for.
        match kept
            .grant
            .app
            .as_deref()
            .filter(|app| hub.app(app).is_none())
        {
            Some(app) => Err(StoreError::Missing(format!("there is no app {app:?}"))),
            None => tokens::insert(connection, &kept, &hash),
        }
    };
    site.store.call(keep).await?;
    let shown = Shown {
        token: secret,
        view: token.into(),
    };
    Ok((StatusCode::CREATED, Answer::new(shown)))
}

/// Revokes a token; from then on it opens nothing.
#[utoipa::path(delete, path = "/api/v1/tokens/{id}", tag = "tokens", operation_id = "revokeToken",
    security(("token" = ["token:delete"])), params(("id" = String, Path, description = "`tok_…`")),
    responses(
        (status = 200, description = "It is revoked", body = Answer<Gone>),
        (status = 404, description = "There is none", body = ProblemBody)))]
pub async fn revoke(
    State(site): State<Arc<Site>>,
    Extension(own): Extension<Grant>,
    Path(id): Path<String>,
) -> Result<Answer<Gone>, Problem> {
    let sought = id.clone();
    let delete = move |connection: &mut rusqlite::Connection| {
        tokens::delete(connection, &sought, own.app.as_deref())
    };
    if site.store.call(delete).await? {
        return Ok(Answer::new(Gone { id }));
    }
    Err(Problem::not_found("there is no token of that id"))
}
