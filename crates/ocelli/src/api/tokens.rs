//! `/api/v1/tokens`: creates and revokes `sk_` tokens.
//!
//! A new token can have only permissions and apps that its maker has.

use super::apps::DeletedItem;
use super::body::Body;
use super::page::{Page, Window};
use crate::answer::{Answer, Problem, ProblemBody, QueryParams};
use crate::api::state::Api;
use crate::auth::PERMISSIONS;
use crate::catalog::{NewToken, Scope};
use crate::store::tokens::Token;
use crate::visitor::Visitor;
use axum::extract::{Path, State};
use http::StatusCode;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

/// A token, without its secret.
#[derive(Serialize, ToSchema)]
#[schema(as = Token)]
#[serde(rename_all = "camelCase")]
pub struct TokenView {
    /// The id for revoking it.
    id: String,
    name: String,
    scope: Scope,
    /// Its app; null for a global token.
    app_id: Option<String>,
    permissions: Vec<String>,
    /// In ms since the Unix epoch.
    created_at: i64,
}

impl From<Token> for TokenView {
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

/// A new token with its secret, which is returned only here.
#[derive(Serialize, ToSchema)]
#[schema(as = ShownToken)]
pub struct CreatedToken {
    /// The token itself. The hub stores no copy.
    token: String,
    #[serde(flatten)]
    view: TokenView,
}

/// Adds to the schema of [`NewToken`] what the Rust types don't express: the list of permissions,
/// and that the scope `app` requires an app.
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

/// Lists the tokens without their secrets, oldest first. Permissions for one app list only the
/// tokens of that app.
#[utoipa::path(get, path = "/api/v1/tokens", tag = "tokens", operation_id = "listTokens",
    security(("token" = ["token:read"])), params(Window),
    responses((status = 200, description = "The tokens", body = Page<TokenView>)))]
pub async fn list(
    State(api): State<Api>,
    visitor: Visitor,
    QueryParams(window): QueryParams<Window>,
) -> Result<Page<TokenView>, Problem> {
    let tokens = api.catalog.tokens(&visitor.grant()).await?;
    window.of(tokens.into_iter().map(TokenView::from).collect())
}

/// Creates a token with at most the client's own permissions.
#[utoipa::path(post, path = "/api/v1/tokens", tag = "tokens", operation_id = "createToken",
    security(("token" = ["token:create"])), request_body = NewToken,
    responses(
        (status = 201, description = "The token; its secret is returned only here", body = Answer<CreatedToken>),
        (status = 404, description = "The app does not exist", body = ProblemBody)))]
pub async fn create(
    State(api): State<Api>,
    visitor: Visitor,
    Body(new): Body<NewToken>,
) -> Result<(StatusCode, Answer<CreatedToken>), Problem> {
    let (token, secret) = api.catalog.add_token(new, &visitor.grant()).await?;
    let shown = CreatedToken {
        token: secret,
        view: token.into(),
    };
    Ok((StatusCode::CREATED, Answer::new(shown)))
}

/// Revokes a token and deletes the wall links that were made with it.
#[utoipa::path(delete, path = "/api/v1/tokens/{id}", tag = "tokens", operation_id = "revokeToken",
    security(("token" = ["token:delete"])), params(("id" = String, Path, description = "`tok_…`")),
    responses(
        (status = 200, description = "Revoked", body = Answer<DeletedItem>),
        (status = 404, description = "There is no such token", body = ProblemBody)))]
pub async fn revoke(
    State(api): State<Api>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Answer<DeletedItem>, Problem> {
    api.catalog
        .revoke_token(id.clone(), visitor.grant())
        .await?;
    Ok(Answer::new(DeletedItem { id }))
}
