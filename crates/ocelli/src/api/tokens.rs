//! `/api/v1/tokens`: giving out and revoking `sk_` tokens.
//!
//! Nobody gives what they do not have: a token can be made only within the
//! permissions and the app of whoever makes it.

use super::access::{check, check_covers, check_global};
use super::apps::Gone;
use super::body::Body;
use super::page::{Page, Window};
use crate::answer::{Answer, Asked, Problem, ProblemBody};
use crate::auth::{Allowance, Grant, PERMISSIONS, Permission, new_id, new_token};
use crate::site::Site;
use crate::store::StoreError;
use crate::store::tokens::{self, Token};
use axum::Extension;
use axum::extract::{Path, State};
use http::StatusCode;
use ocelli_core::text::is_control;
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
        let permissions = token.allowance.permissions.iter();
        Self {
            id: token.id,
            name: token.name,
            scope: match token.allowance.app {
                None => Scope::Global,
                Some(_) => Scope::App,
            },
            permissions: permissions.map(|own| own.text().to_owned()).collect(),
            app_id: token.allowance.app,
            created_at: token.created,
        }
    }
}

/// A new token, the one time that it is shown.
#[derive(Serialize, ToSchema)]
#[schema(as = ShownToken)]
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
    fn allowance(&self) -> Result<Allowance, Problem> {
        let bad = |field: &str, why: &str| {
            let message = format!("{field} in the body: {why}");
            Problem::new(StatusCode::BAD_REQUEST, message)
        };
        let length = self.name.chars().count();
        if !(1..=NAME_LIMIT).contains(&length) || self.name.chars().any(is_control) {
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
        let mut allowance = Allowance::usual(app);
        if let Some(permissions) = &self.permissions {
            let read = permissions.iter().map(|text| Permission::read(text));
            let read: Result<Vec<_>, _> = read.collect();
            allowance.permissions = read.map_err(|error| bad("permissions", &error))?;
            allowance.permissions.sort();
            allowance.permissions.dedup();
            if allowance.permissions.is_empty() {
                return Err(bad(
                    "permissions",
                    "without any the token would open nothing",
                ));
            }
        }
        Ok(allowance)
    }
}

/// The tokens, without their secrets, the oldest first; to whom an app is given, those
/// of that app.
#[utoipa::path(get, path = "/api/v1/tokens", tag = "tokens", operation_id = "listTokens",
    security(("token" = ["token:read"])), params(Window),
    responses((status = 200, description = "The tokens", body = Page<View>)))]
pub async fn list(
    State(site): State<Arc<Site>>,
    Extension(grant): Extension<Grant>,
    Asked(window): Asked<Window>,
) -> Result<Page<View>, Problem> {
    let mut tokens = site
        .identity
        .store
        .call(|connection| tokens::all(connection))
        .await?;
    tokens.retain(|token| grant.allows("token:read", token.allowance.app.as_deref()));
    window.of(tokens.into_iter().map(View::from).collect())
}

/// Makes a token, within what whoever asks may do themselves.
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
    let allowance = new.allowance()?;
    match &allowance.app {
        None => check_global(&own, "token:create")?,
        Some(app) => {
            check(&own, "token:create", Some(app))?;
            if site.hub.app(app).is_none() {
                let message = format!("appId in the body: there is no app {app:?}");
                return Err(Problem::not_found(message));
            }
        }
    }
    check_covers(&own, &Grant::new([allowance.clone()]))?;
    let (secret, id) = (new_token(), new_id("tok"));
    let hash = site.identity.store.key()?.hash(&secret);
    let token = Token {
        id,
        name: new.name,
        allowance,
        created: site.identity.now(),
    };
    let (kept, hub) = (token.clone(), site.hub.clone());
    let keep = move |connection: &mut rusqlite::Connection| {
        // Its app may have gone since it was looked for.
        let app = kept.allowance.app.as_deref();
        match app.filter(|app| hub.app(app).is_none()) {
            Some(app) => Err(StoreError::Missing(format!("there is no app {app:?}"))),
            None => tokens::insert(connection, &kept, &hash),
        }
    };
    site.identity.store.call(keep).await?;
    let shown = Shown {
        token: secret,
        view: token.into(),
    };
    Ok((StatusCode::CREATED, Answer::new(shown)))
}

/// Revokes a token; from then on it opens nothing, and neither do the wall links that
/// were made with it.
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
        let token = tokens::by_id(connection, &sought)?;
        let reached =
            token.is_some_and(|token| own.allows("token:delete", token.allowance.app.as_deref()));
        Ok(reached && tokens::delete(connection, &sought)?)
    };
    if site.identity.store.call(delete).await? {
        site.identity.visitors.look_again();
        return Ok(Answer::new(Gone { id }));
    }
    Err(Problem::not_found("there is no token of that id"))
}
